"""A station with people, a profile of its own and secrets, to be backed up; and the commands that do it."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from gateway.app import read
from gateway.cli.main import run
from gateway.config.kept import dump
from gateway.store.database import Store
from tests.store_groups import group

CONFIG = """# 李伟's number is 13800138000
[station]
id = "jc-07"
name = "江城"
clock = "trusted"
[store]
path = "state/station.db"
[people]
contacts = "contacts.csv"
[[cell]]
id = "a"
name = "一号楼"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = 1
username = "u"
password_file = "mqtt.password"
[[device]]
id = "own"
source = "broker"
profile = "own-kind"
topic = "t/own"
cell = "a"
[[channel]]
id = "sms"
kind = "sms_modem"
port = "/nowhere"
pin = "4711"
"""
_PROFILE = """
id = "own-kind"
title = "own"
driver = "json"
silence = "1d"
[[point]]
name = "v"
unit = "1"
decode = { path = "$.v" }
"""


class Box:
    """One machine's folders with a station that has run."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "etc" / "station.toml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(CONFIG, encoding="utf-8")
        (folder / "etc" / "contacts.csv").write_text(
            "id,name,phone,cell,role\nli-wei,李伟,13800138000,a,squad\n", encoding="utf-8"
        )
        password = folder / "etc" / "mqtt.password"
        password.write_text("hunter2hunter2", encoding="utf-8")
        password.chmod(0o600)
        profile = Path("drivers/profiles/json-generic.toml").read_text(encoding="utf-8")
        (folder / "etc" / "profiles").mkdir()
        (folder / "etc" / "profiles" / "own-kind.toml").write_text(
            profile.replace("json-generic", "own-kind"), encoding="utf-8"
        )
        self.store = folder / "etc" / "state" / "station.db"
        self.store.parent.mkdir()
        with_pin = read(self.config).station
        assert with_pin is not None, read(self.config).problems
        store = Store.open(self.store)
        for number in range(1, 101):
            store.commit(group(number))
        store.save_configuration("digest", dump(with_pin))
        store.close()


def firegrid(*arguments: object) -> tuple[int, str, str]:
    """Run a command; returns exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")
