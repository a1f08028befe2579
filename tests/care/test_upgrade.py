"""Upgrades: every released schema opens, a migration that fails changed nothing, and both ways back are open."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import open_house
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD, run
from gateway.clock import SystemClock
from gateway.errors import StoreError, StoreFull, StoreTooNew
from gateway.store import chain, migrate
from gateway.store.connection import Lock
from gateway.store.database import Store
from gateway.store.read import Reader
from tests.care import stores
from tests.small_disk import fill, small_disk

__all__ = ["small_disk"]  # a fixture

RELEASED = sorted(int(path.name.split(".")[0].split("-")[1]) for path in stores.FOLDER.glob("schema-*.db.gz"))
NEWER = (
    "ALTER TABLE cursor ADD COLUMN note TEXT NOT NULL DEFAULT '';\n",
    "CREATE TABLE page (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;\nDELETE FROM mark;\n",
)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The migrations of a future firegrid: two more than the oldest released one has."""
    future = [migrate.scripts()[0], *NEWER]
    monkeypatch.setattr(migrate, "scripts", lambda: future)
    return future


def version_of(store: Path) -> int:
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_whole(store: Path) -> None:
    """Everything that was lived is there."""
    assert chain.check(store).broken is None
    with Reader(store) as reader:
        assert [entry.body.rule for entry in reader.alarms()] == [stores.ALARM]
        assert len(reader.readings(reader.points()["g.v"])) == stores.READINGS
        assert reader.configuration() is not None


def test_the_schema_of_this_version_is_among_the_released_ones() -> None:
    assert list(range(1, len(migrate.scripts()) + 1)) == RELEASED, "python -m tests.care.stores"


@pytest.mark.parametrize("schema", RELEASED)
def test_every_released_schema_opens_and_lives_on(tmp_path: Path, schema: int) -> None:
    store = stores.unpack(schema, tmp_path)
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path))]) == GOOD

    async def live() -> None:
        house = await open_house(stores.config(tmp_path), SystemClock(), lambda _: None)
        assert not house.ledger.volatile
        assert [alarm.rule for alarm in house.state.book.open_alarms()] == [stores.ALARM]
        while house.intake:
            house.runner.turn()
        await house.ledger.close()

    asyncio.run(live())
    assert version_of(store) == len(migrate.scripts())
    check_whole(store)


def test_a_store_two_versions_old_is_migrated_and_its_copy_kept(tmp_path: Path, scripts: list[str]) -> None:
    store = stores.unpack(1, tmp_path)
    (tmp_path / "station.db.schema-0").touch()  # of an upgrade long ago
    Store.open(store).close()
    assert version_of(store) == len(scripts)
    check_whole(store)
    assert migrate.kept_copies(store) == {1: tmp_path / "station.db.schema-1"}
    assert version_of(tmp_path / "station.db.schema-1") == 1
    assert (tmp_path / "station.db.schema-1").stat().st_mode & 0o077 == 0
    del scripts[1:]  # the program before: it does not read what is there now
    with pytest.raises(StoreTooNew, match="schema 3"):
        Store.open(store)
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path)), "--roll-back"]) == GOOD
    check_whole(store)
    assert (tmp_path / "station.db.aside-1").exists()
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path)), "--roll-back"]) == FAILED, "once"


def test_a_roll_back_that_a_power_cut_ended_is_done_again(tmp_path: Path, scripts: list[str]) -> None:
    store = stores.unpack(1, tmp_path)
    with closing(Store.open(store)) as opened:
        opened.point_ids(["new.v"])
        wal = Path(f"{store}-wal").read_bytes()
    store.rename(tmp_path / "station.db.aside-1")  # so far it came; SQLite would take the WAL for that of the copy
    Path(f"{store}-wal").write_bytes(wal)
    del scripts[1:]
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path)), "--roll-back"]) == GOOD
    assert version_of(store) == 1
    check_whole(store)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("INSERT INTO point (id, name) SELECT 1, 'twice' FROM record;\n", "UNIQUE"),
        ("DELETE FROM boot;\n", "self-test"),
        ("UPDATE record SET hash = x'00' WHERE n = (SELECT max(n) FROM record);\n", "self-test"),
    ],
    ids=["sql", "boots lost", "chain broken"],
)
def test_a_migration_that_fails_is_as_if_it_had_not_been(
    tmp_path: Path, scripts: list[str], broken: str, words: str
) -> None:
    store = stores.unpack(1, tmp_path)
    scripts[2] = broken
    with pytest.raises(StoreError, match=words) as raised:
        Store.open(store)
    assert raised.type is StoreError, "the file is well: it must not be set aside"
    assert version_of(store) == 1
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path))]) == FAILED
    check_whole(store)

    async def live() -> None:
        house = await open_house(stores.config(tmp_path), SystemClock(), lambda _: None)
        assert house.ledger.volatile, "the box lives on in RAM and tells of it"
        assert [alarm.rule for alarm in house.state.book.open_alarms()] == [stores.ALARM]
        await house.ledger.close()

    asyncio.run(live())
    assert version_of(store) == 1
    check_whole(store)


def test_a_full_disk_is_told_and_the_store_stays_as_it_was(small_disk: Path, scripts: list[str]) -> None:
    store = stores.unpack(1, small_disk)
    fill(small_disk)
    with pytest.raises(StoreFull):
        Store.open(store)
    (small_disk / "ballast").unlink()
    assert version_of(store) == 1
    assert [path for path in small_disk.iterdir() if "schema" in path.name] == []
    Store.open(store).close()
    assert version_of(store) == len(scripts)


def test_a_store_that_is_too_large_for_a_second_one_keeps_a_copy_without_its_readings(
    tmp_path: Path, scripts: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.unpack(1, tmp_path)
    with closing(Store.open(store)) as opened:
        expected = opened.all_marks(), opened.epochs(), opened.last(), opened.points()
    store = stores.unpack(1, tmp_path)
    monkeypatch.setattr(migrate, "_fits", lambda *_: False)
    Store.open(store).close()
    assert version_of(store) == len(scripts)
    assert "no room for a whole copy" in caplog.text
    check_whole(store)
    del scripts[1:]
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path)), "--roll-back"]) == GOOD
    assert version_of(store) == 1
    with closing(Store.open(store)) as opened:
        assert (opened.all_marks(), opened.epochs(), opened.last(), opened.points()) == expected
    assert chain.check(store).broken is None
    with Reader(store) as reader:
        assert [entry.body.rule for entry in reader.alarms()] == [stores.ALARM]
        assert reader.configuration() is not None


def test_a_trial_changes_and_tells_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.unpack(1, tmp_path)
    before = store.read_bytes()
    files = {path.name for path in tmp_path.iterdir()} | {"station.toml"}
    config = stores.config(tmp_path)
    lock = Lock(store)  # the daemon runs meanwhile
    assert run(["upgrade-check", "-c", str(config)]) == GOOD
    lock.release()
    assert "can go on" in capsys.readouterr().out
    assert store.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} - {"station.db-wal", "station.db-shm"} == files | {
        "station.db.lock"
    }


def test_a_newer_store_and_a_wrong_configuration_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, config = stores.unpack(1, tmp_path), stores.config(tmp_path)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = store.read_bytes()
    assert run(["upgrade-check", "-c", str(config)]) == FAILED
    assert "knows up to" in capsys.readouterr().err
    assert store.read_bytes() == before
    stores.unpack(1, tmp_path)
    config.write_text(config.read_text(encoding="utf-8") + "\n[[rule]]\nid = 'x'\nwhen = 'never'\n", encoding="utf-8")
    assert run(["upgrade-check", "-c", str(config)]) == BAD_CONFIGURATION
    assert run(["upgrade-check", "-c", str(config), "--store-only"]) == GOOD


def test_on_a_new_box_there_is_nothing_to_take_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path))]) == GOOD
    assert "nothing is stored yet" in capsys.readouterr().out
    assert not (tmp_path / "station.db").exists()


def test_a_roll_back_beside_a_running_daemon_is_refused(tmp_path: Path, scripts: list[str]) -> None:
    store = stores.unpack(1, tmp_path)
    running = Store.open(store)
    assert scripts
    assert run(["upgrade-check", "-c", str(stores.config(tmp_path)), "--roll-back"]) == FAILED
    running.close()
    assert version_of(store) == len(scripts)
