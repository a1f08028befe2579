"""Restore as a person does it: what a new box has afterwards, and what is refused before anything is written."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gateway.app import read
from gateway.care import archive
from gateway.cli.main import FAILED, GOOD, REFUSED
from gateway.store.connection import Lock
from gateway.store.database import Store
from gateway.store.numbers import keep_points, kept_points
from gateway.store.read import Reader
from tests.care.backed_up import Box, box, firegrid
from tests.store_groups import group

__all__ = ["box"]  # a fixture


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


def test_what_is_left_of_another_store_does_not_get_into_the_restored_one(tmp_path: Path, box: Box) -> None:
    firegrid("backup", "-c", box.config, tmp_path / "copy")
    with closing(Store.open(tmp_path / "other.db")) as other:
        other.commit(group(1))
        wal = Path(f"{other.path}-wal").read_bytes()
    there = tmp_path / "new" / "station.db"
    there.parent.mkdir()
    Path(f"{there}-wal").write_bytes(wal)
    keep_points(there, {"other.point": 1})
    assert firegrid("restore", tmp_path / "copy", "--to", there.parent)[0] == GOOD
    with Reader(there) as reader:
        assert len(reader.alarms()) == 100
    assert kept_points(there) == {}, "of another store: a slow disk at the start would take them for its own"


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
