"""Backup and restore as a person does them: what is in a backup, what is not, and what a new box has afterwards."""

from __future__ import annotations

import io
import json
import os
import re
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gateway.app import read
from gateway.care import archive, redact
from gateway.cli import backup as command
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD, REFUSED, run
from gateway.config.kept import dump, undump
from gateway.store.connection import Lock
from gateway.store.database import Store
from gateway.store.read import Reader
from tests.faults.test_failing_store import fill, small_disk
from tests.store_groups import group

__all__ = ["small_disk"]  # a fixture

_CONFIG = """# 李伟's number is 13800138000
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
        self.config.write_text(_CONFIG, encoding="utf-8")
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


def test_a_backup_holds_store_configuration_people_and_profiles_and_no_secret(tmp_path: Path, box: Box) -> None:
    code, out, err = firegrid("backup", "-c", box.config, tmp_path / "copy")
    assert code == GOOD, err
    assert out.splitlines() == [str(tmp_path / "copy"), "not in it: mqtt.password"]
    assert "100 %" in err
    held = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    names = {"station.toml", "contacts.csv", "profiles/own-kind.toml"}
    assert held == {"manifest.json", "station.db"} | {f"configuration/{name}" for name in names}
    for path in (tmp_path / "copy").rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0
            assert not {b"hunter2", b"4711"} & {word for word in (b"hunter2", b"4711") if word in path.read_bytes()}
    parsed = tomllib.loads((tmp_path / "copy/configuration/station.toml").read_text(encoding="utf-8"))
    assert parsed["channel"][0]["pin"] == ""
    assert parsed["channel"][0]["port"] == "/nowhere"
    with Reader(tmp_path / "copy/station.db") as reader:
        kept = reader.configuration()
    assert kept is not None
    assert undump(kept[1]).channels[0].options["pin"] == ""
    assert json.loads((tmp_path / "copy/manifest.json").read_bytes())["record"] == 200
    assert not (tmp_path / "copy.partial").exists()


@pytest.mark.parametrize(("options", "held"), [((), None), (("--with-secrets",), "c0ffee" * 10)])
def test_the_key_and_passwords_of_the_page_are_secrets(
    tmp_path: Path, box: Box, options: tuple[str, ...], held: str | None
) -> None:
    rows = [("memory", "page key", "c0ffee" * 10), ("memory", "page password li-wei", "5a17:beef")]
    store = Store.open(box.store)
    store.commit(replace(group(101), rows=[*rows, ("memory", "source broker subscriptions", "t/#")]))
    store.close()
    assert firegrid("backup", "-c", box.config, tmp_path / "copy", *options)[0] == GOOD
    raw = (tmp_path / "copy/station.db").read_bytes()
    assert (b"c0ffee" in raw, b"5a17:beef" in raw) == (held is not None, held is not None)
    copy = Store.open(tmp_path / "copy/station.db")
    assert copy.memory("page key") == held
    assert copy.memory("source broker subscriptions") == "t/#"
    copy.close()


@pytest.mark.parametrize(("options", "held"), [((), False), (("--with-secrets",), True)])
def test_no_byte_of_a_backup_tells_a_secret_that_is_or_was(
    tmp_path: Path, box: Box, options: tuple[str, ...], *, held: bool
) -> None:
    """Neither one that was replaced, whose bytes still stand in the station's own file, nor one that is in use."""
    store = Store.open(box.store)
    old = read(box.config).station
    assert old is not None
    store.connection.execute("PRAGMA secure_delete = OFF")  # Debian's SQLite has it on, others have not
    for number in range(101, 141):  # rows are replaced and gone, pages divide and are freed
        rows = [("memory", f"channel sms-{n} sms.pin_refused", f"5a17$old-{number}-" + "ab" * 64) for n in range(20)]
        gone = [("memory", f"channel sms-{n} sms.pin_refused", None) for n in range(0, 20, 2)] if number % 2 else []
        others = [("memory", f"channel sms-{n} sms.number", "x" * number) for n in range(20)]
        store.commit(replace(group(number), rows=[*rows, *gone, *others]))
        pin = msgspec.structs.replace(old.channels[0], options={**old.channels[0].options, "pin": f"47{number}"})
        dumped = dump(msgspec.structs.replace(old, channels=(pin, *old.channels[1:])))
        store.save_configuration("digest", dumped)
    kept = store.connection.execute("SELECT body FROM configuration WHERE hash = 'digest'").fetchone()[0]
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    assert len(set(re.findall(rb"5a17\$old-\d+", box.store.read_bytes()))) > 1, "what was replaced is there still"
    assert firegrid("backup", "-c", box.config, tmp_path / "copy", *options)[0] == GOOD
    raw = (tmp_path / "copy/station.db").read_bytes()
    assert set(re.findall(rb"5a17\$old-\d+", raw)) == ({b"5a17$old-140"} if held else set())
    assert (kept[100:300] in raw) == held
    assert b"sms.number" in raw


_CALLED = """
[[channel]]
id = "robot"
kind = "webhook"
url = "https://robots.example/hook/T0PSECRET?access_token=ABCDEF"
secret_file = "mqtt.password"
[[sink]]
id = "far"
kind = "influx"
url = "http://vm.example:8480/insert/0/influx"
# url = "https://robots.example/hook/T0PSECRET?access_token=ABCDEF"
[heartbeat]
url = 'https://dead.example/ping/5ECRETPATH'
secret_file = "mqtt.password"
"""


def test_what_a_webhooks_address_has_beside_its_host_is_a_secret_and_so_is_a_refused_pin(
    tmp_path: Path, box: Box
) -> None:
    box.config.write_text("\ufeff" + _CONFIG + _CALLED, encoding="utf-8")
    station = read(box.config).station
    assert station is not None, read(box.config).problems
    store = Store.open(box.store)
    store.save_configuration("called", dump(station))
    store.commit(replace(group(101), rows=[("memory", "channel sms sms.pin_refused", "5a17$beefbeef")]))
    store.close()
    assert firegrid("backup", "-c", box.config, tmp_path / "copy")[0] == GOOD
    for path in (path for path in (tmp_path / "copy").rglob("*") if path.is_file()):
        for secret in (b"T0PSECRET", b"ABCDEF", b"5ECRETPATH", b"5a17$beefbeef", b"4711"):
            assert secret not in path.read_bytes(), (path, secret)
    text = (tmp_path / "copy/configuration/station.toml").read_text(encoding="utf-8-sig")
    parsed = tomllib.loads(text)
    assert parsed["channel"][1]["url"] == "https://robots.example/…"
    assert parsed["heartbeat"]["url"] == "https://dead.example/…"
    assert parsed["sink"][0]["url"] == "http://vm.example:8480/insert/0/influx"
    with Reader(tmp_path / "copy/station.db") as reader:
        kept = reader.configuration()
    assert kept is not None
    assert undump(kept[1]).channels[1].options["url"] == "https://robots.example/…"
    assert firegrid("restore", tmp_path / "copy", "-c", tmp_path / "new/station.toml")[0] == GOOD
    (tmp_path / "new/mqtt.password").touch(mode=0o600)
    code, out, _ = firegrid("check", "-c", tmp_path / "new/station.toml")
    assert code == BAD_CONFIGURATION
    assert "https://robots.example/…" in out, "whoever restores it is told what is missing"
    assert "https://dead.example/…" in out


@pytest.mark.parametrize(
    ("address", "server", "left"),
    [
        ("http://127.0.0.1:8428", True, "http://127.0.0.1:8428"),
        ("http://h:1/", False, "http://h:1/"),
        ("http://h/write?token=x", True, "http://h/write?…"),
        ("https://user:word@h/x#y", False, "https://h/…"),
        ("https://h?key=1", False, "https://h?…"),
        ("nonsense", False, "…"),
        ("", False, ""),
    ],
)
def test_what_is_left_of_an_address(address: str, server: bool, left: str) -> None:  # noqa: FBT001 - a parameter
    assert redact.masked(address, server=server) == left


def test_with_secrets_they_are_in_it(tmp_path: Path, box: Box) -> None:
    assert firegrid("backup", "-c", box.config, tmp_path / "copy", "--with-secrets")[:2] == (
        GOOD,
        f"{tmp_path / 'copy'}\n",
    )
    assert (tmp_path / "copy/configuration/mqtt.password").read_text(encoding="utf-8") == "hunter2hunter2"
    assert (tmp_path / "copy/configuration/station.toml").read_text(encoding="utf-8") == _CONFIG


def test_into_a_folder_that_is_there_a_new_one_is_made(tmp_path: Path, box: Box) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    code, out, _ = firegrid("backup", "-c", box.config, stick)
    assert code == GOOD
    (made,) = stick.iterdir()
    assert out.splitlines()[0] == str(made)
    assert made.name.startswith("jc-07-20")


def test_restored_on_a_new_box_it_is_the_same_station(tmp_path: Path, box: Box) -> None:
    firegrid("backup", "-c", box.config, tmp_path / "copy", "--with-secrets")
    config = tmp_path / "new" / "station.toml"
    code, out, err = firegrid("restore", tmp_path / "copy", "-c", config)
    assert code == GOOD, err
    assert "200 record rows" in out
    for name in ("station.toml", "contacts.csv", "profiles/own-kind.toml", "mqtt.password"):
        assert (config.parent / name).read_bytes() == (box.config.parent / name).read_bytes()
    assert (config.parent / "mqtt.password").stat().st_mode & 0o077 == 0
    assert read(config).good == read(box.config).good
    before, after = Reader(box.store), Reader(config.parent / "state/station.db")
    with before, after:
        assert after.readings(1).value.tolist() == before.readings(1).value.tolist()
        assert [entry.body for entry in after.alarms()] == [entry.body for entry in before.alarms()]
    code, out, _ = firegrid("verify", "-c", config)
    assert code == GOOD
    assert "200 record rows, unchanged" in out
    with_store = Store.open(config.parent / "state/station.db")
    with_store.commit(group(101))
    with_store.close()


def test_the_packages_own_configuration_without_a_station_is_no_obstacle(tmp_path: Path, box: Box) -> None:
    firegrid("backup", "-c", box.config, tmp_path / "copy", "--with-secrets")
    fresh = tmp_path / "new" / "station.toml"
    fresh.parent.mkdir()
    fresh.write_bytes(Path("deploy/debian/station.toml").read_bytes())
    assert firegrid("restore", tmp_path / "copy", "-c", fresh)[0] == GOOD
    assert read(fresh).station is not None


def test_what_is_there_is_set_aside_or_left_alone(tmp_path: Path, box: Box) -> None:
    firegrid("backup", "-c", box.config, tmp_path / "copy")
    before = box.store.read_bytes()
    code, out, _ = firegrid("restore", tmp_path / "copy", "-c", box.config)
    assert code == REFUSED
    assert "--replace" in out
    assert box.store.read_bytes() == before
    lock = Lock(box.store)
    code, _, err = firegrid("restore", tmp_path / "copy", "-c", box.config, "--replace")
    assert code == FAILED
    assert "in use" in err
    assert box.store.read_bytes() == before
    lock.release()
    assert firegrid("restore", tmp_path / "copy", "-c", box.config, "--replace")[0] == GOOD
    assert (box.store.parent / "station.db.aside-1").read_bytes() == before
    code, out, _ = firegrid("restore", tmp_path / "copy", "--to", tmp_path / "look")
    assert code == GOOD
    assert {path.name for path in (tmp_path / "look").iterdir()} >= {"station.toml", "station.db", "contacts.csv"}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda copy: (copy / "manifest.json").unlink(), "no backup"),
        (lambda copy: (copy / "manifest.json").write_text("{"), "no backup"),
        (lambda copy: (copy / "station.db").unlink(), "No such file"),
        (lambda copy: (copy / "station.db").write_bytes((copy / "station.db").read_bytes()[:-4096]), "not what was"),
        (lambda copy: (copy / "configuration/contacts.csv").write_text("id\n"), "not what was"),
        (lambda copy: _edit(copy, format=2), "format 2"),
        (lambda copy: _edit(copy, head="00" * 32), "chain"),
        (lambda copy: _edit(copy, files={}), "incomplete"),
        (lambda copy: _edit(copy, files={"../station.db": "0"}), "outside"),
        (lambda copy: _edit(copy, files=_newer(copy)), "knows up to"),
    ],
    ids=["no manifest", "no json", "no store", "cut", "changed", "format", "head", "empty", "outside", "newer"],
)
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(
    tmp_path: Path, box: Box, damage: object, words: str
) -> None:
    firegrid("backup", "-c", box.config, tmp_path / "copy")
    damage(tmp_path / "copy")  # type: ignore[operator] # a function
    code, _, err = firegrid("restore", tmp_path / "copy", "-c", tmp_path / "new" / "station.toml")
    assert code == FAILED
    assert re.search(words, err), err
    assert not (tmp_path / "new").exists()


def _edit(copy: Path, **changes: object) -> None:
    manifest = msgspec.json.decode((copy / "manifest.json").read_bytes())
    (copy / "manifest.json").write_bytes(msgspec.json.encode(manifest | changes))


def _newer(copy: Path) -> dict[str, str]:
    store = Store.open(copy / "station.db")
    store.connection.execute("PRAGMA user_version = 99")
    store.close()
    files: dict[str, str] = msgspec.json.decode((copy / "manifest.json").read_bytes())["files"]
    return files | {"station.db": archive.digest(copy / "station.db")}


def test_a_target_that_fills_up_is_said_and_nothing_is_left(box: Box, small_disk: Path) -> None:
    code, _, err = firegrid("backup", "-c", box.config, small_disk / "copy")
    assert code == FAILED
    assert "MiB are free" in err
    assert list(small_disk.iterdir()) == []


def test_a_target_that_fills_up_while_it_is_written(
    box: Box, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SPARE", -(1 << 30))
    ballast = fill(small_disk)
    os.truncate(ballast, ballast.stat().st_size - 40_000)
    code, _, err = firegrid("backup", "-c", box.config, small_disk / "copy")
    assert code == FAILED
    assert "full" in err or "No space" in err
    assert {path.name for path in small_disk.iterdir()} == {"ballast"}


def test_a_station_without_its_disk_is_said_to_hold_more_than_the_copy(
    tmp_path: Path, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.transport.unix.ask", lambda *_: {"volatile": True})
    code, _, err = firegrid("backup", "-c", box.config, tmp_path / "copy")
    assert code == GOOD
    assert "without its disk" in err
    monkeypatch.undo()  # nobody answers: no daemon runs
    assert "without its disk" not in firegrid("backup", "-c", box.config, tmp_path / "again")[2]


def test_a_configuration_that_is_not_there_or_cannot_be_read(tmp_path: Path, box: Box) -> None:
    assert firegrid("backup", "-c", tmp_path / "none.toml", tmp_path / "copy")[0] == FAILED
    box.config.write_text("[[[", encoding="utf-8")
    assert firegrid("backup", "-c", box.config, tmp_path / "copy")[0] == FAILED
    assert not (tmp_path / "copy").exists()


def test_secrets_are_found_wherever_they_stand_in_a_line() -> None:
    text = """
pin = "1" # pin = "2"
a = { mqtt_password = 'x"y', password_file = "f", token = "t\\"u", topic = "pin = 3" }
# pin = "4"
spin = "5"
"""
    assert (
        redact.without_secrets(text)
        == """
pin = "" # pin = "2"
a = { mqtt_password = "", password_file = "f", token = "", topic = "pin = 3" }
# pin = "4"
spin = "5"
"""
    )


def test_a_changed_record_and_a_lost_end_are_found_by_verify(box: Box) -> None:
    code, out, _ = firegrid("verify", "-c", box.config, "--json")
    head = json.loads(out)["head"]
    assert (code, json.loads(out)["rows"]) == (GOOD, 200)
    store = Store.open(box.store)
    store.commit(group(101))
    assert firegrid("verify", "-c", box.config, "--head", head)[0] == GOOD
    store.connection.execute("DELETE FROM record WHERE n > 198")
    assert firegrid("verify", "--store", box.store)[0] == GOOD
    code, out, _ = firegrid("verify", "-c", box.config, "--head", head)
    assert code == FAILED
    assert "removed at its end" in out
    store.connection.execute("UPDATE record SET kind = 'x' WHERE n = 7")
    code, out, _ = firegrid("verify", "-c", box.config)
    assert code == FAILED
    assert "row 7" in out
    store.close()
