"""A store that is begun anew: a power cut on the way costs no alarm, and nothing of the old file gets into the new."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.model.alarm import Alarm
from gateway.model.station import StoreSpec
from gateway.pipeline.opening import open_store
from gateway.store import salvage
from gateway.store.connection import Lock
from gateway.store.database import Store
from tests.gateway.ledger_bench import Bench
from tests.patience import PATIENCE, until
from tests.store_groups import group


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the disk is found as a power cut leaves it while a store is begun anew: the old one is gone."""
    folder, honest = tmp_path / "cut", salvage.put_in_place

    def put_in_place(file: Path, path: Path) -> None:
        if not folder.exists():
            shutil.copytree(path.parent, folder)
        honest(file, path)

    monkeypatch.setattr(salvage, "put_in_place", put_in_place)
    return folder


def damage(path: Path) -> None:
    """Destroy the root page of the journal."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'").fetchone()
    content = path.read_bytes()
    path.write_bytes(content[: (root - 1) * 4096] + b"\xff" * 4096 + content[root * 4096 :])


def begun(path: Path) -> tuple[list[str], dict[str, Alarm], list[str]]:
    """Start on a store; returns its points, alarms, and what was said."""

    async def main() -> tuple[list[str], dict[str, Alarm], list[str]]:
        spec = StoreSpec(path=str(path))
        opened = await open_store(spec, clock=SystemClock(), deadline=PATIENCE, faults=lambda _: None)
        assert not opened.volatile
        found = list(opened.store.points()), opened.store.rows("alarm", Alarm), opened.remarks
        opened.store.close()
        assert opened.lock is not None
        opened.lock.release()
        return found

    return asyncio.run(main())


def test_a_start_on_a_damaged_store_may_be_cut_off(tmp_path: Path, cut: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path)) as store:
        store.point_ids(["hall.smoke"])
        for n in range(1, 4):
            store.commit(group(n))
    damage(path)
    points, alarms, said = begun(path)
    assert (points, list(alarms)) == (["hall.smoke"], ["1", "2", "3"])
    assert "station.db.aside-1" in said[0]
    assert not (cut / "station.db").exists()
    assert begun(cut / "station.db") == (points, alarms, []), "nothing more to be done, and nothing to be said"
    assert sorted(file.name for file in tmp_path.glob("*.begun*")) == []


def test_a_beginning_that_was_cut_off_early_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path)) as store:
        store.commit(group(1))
    Path(f"{path}.begun").write_bytes(b"half")
    assert list(begun(path)[1]) == ["1"]
    assert not Path(f"{path}.begun").exists()


def test_a_house_whose_store_is_damaged_may_be_cut_off(tmp_path: Path, cut: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        for value in range(3):
            bench.take(bench.message(value), answer=f"a{value}", urgent=True)
            await bench.quiet()
        before = bench.rows()
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(4), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        await until(lambda: not Path(f"{bench.path}-wal").exists())  # the connection that is given up closes
        damage(bench.path)
        bench.disk.release()
        await bench.wait(10.1)
        await until(lambda: not bench.ledger.volatile)
        assert bench.rows() == bench.house.table.rows
        with closing(Store.open(cut / "station.db.begun", lock=Lock(cut / "station.db"))) as store:
            assert store.rows("memory", str) == before
        assert len(before) == 3

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
