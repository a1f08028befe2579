"""Backup as a person makes it: what is in it, what a full or missing disk does to it, and the check of the record."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from gateway.cli import backup as command
from gateway.cli.main import FAILED, GOOD
from gateway.config.kept import undump
from gateway.store.database import Store
from gateway.store.read import Reader
from tests.care.backed_up import Box, box, firegrid
from tests.small_disk import fill, small_disk
from tests.store_groups import group

__all__ = ["box", "small_disk"]  # fixtures


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


def test_into_a_folder_that_is_there_a_new_one_is_made(tmp_path: Path, box: Box) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    code, out, _ = firegrid("backup", "-c", box.config, stick)
    assert code == GOOD
    (made,) = stick.iterdir()
    assert out.splitlines()[0] == str(made)
    assert made.name.startswith("jc-07-20")


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
