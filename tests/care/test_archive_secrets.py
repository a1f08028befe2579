"""No secret is in a backup, in no byte of it, unless a person asks for them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gateway.app import read
from gateway.care import redact
from gateway.cli.main import BAD_CONFIGURATION, GOOD
from gateway.config.kept import dump, undump
from gateway.store.database import Store
from gateway.store.read import Reader
from tests.care.backed_up import CONFIG, Box, box, firegrid
from tests.store_groups import group

__all__ = ["box"]  # a fixture


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
    box.config.write_text("\ufeff" + CONFIG + _CALLED, encoding="utf-8")
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
    assert (tmp_path / "copy/configuration/station.toml").read_text(encoding="utf-8") == CONFIG


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
