"""An upgrade whose copy takes long: the station hears and tells meanwhile, and is on its disk again afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import open_house, read
from gateway.errors import StoreLocked
from gateway.house import House
from gateway.model.batch import make_batch
from gateway.store import chain, migrate
from gateway.store.connection import Lock
from gateway.store.read import Reader
from gateway.testing import FakeClock
from tests.care import stores
from tests.care.test_no_restart import Disk
from tests.patience import PATIENCE, until

NEWER = "CREATE TABLE page (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;\n"


class SlowCopy:
    """Stands in for `migrate.keep_copy`: it begins, and goes on when it is let."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self._copy = migrate.keep_copy

    def __call__(self, connection: sqlite3.Connection, version: int) -> None:
        """Copy."""
        self.begun.set()
        assert self.go_on.wait(2 * PATIENCE)
        self._copy(connection, version)


def given_up(store: Path) -> bool:
    """Whether nobody holds the store."""
    try:
        Lock(store).release()
    except StoreLocked:
        return False
    return True


def rules(house: House) -> list[str]:
    """Return the rules of the open alarms."""
    return [alarm.rule for alarm in house.state.book.open_alarms()]


async def hear(house: House, clock: FakeClock, value: float) -> None:
    """Let the detector speak."""
    rows = [(house.ids["g.v"], 0, value, 0)]
    house.intake.put(make_batch("broker", clock.mono(), rows, waiting=True))
    while house.intake:
        house.runner.turn()
    await until(lambda: not house.ledger.busy)


# The disk is busy with the copy: it may not be read, and nothing else be written to it.
@pytest.mark.parametrize("hangs_at", ["", "before_salvage", "configuration"])
def test_a_copy_that_takes_long_keeps_nobody_deaf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs_at: str
) -> None:
    store, config = stores.unpack(1, tmp_path), stores.config(tmp_path)
    future, copy = [*migrate.scripts(), NEWER], SlowCopy()
    monkeypatch.setattr(migrate, "scripts", lambda: future)
    monkeypatch.setattr(migrate, "keep_copy", copy)
    if hangs_at == "configuration":
        monkeypatch.setattr("gateway.app.write_copy", lambda *_: copy.go_on.wait(2 * PATIENCE))
    station = read(config).station
    assert station is not None
    with Reader(store) as reader:
        heard = len(reader.readings(reader.points()["g.v"]))

    async def main() -> None:
        clock, disk = FakeClock(boot="boot-2", wall=1_790_001_000 * 10**9), Disk()
        opening = asyncio.create_task(open_house(config, clock, disk))
        await until(copy.begun.is_set)
        disk.hangs_at = hangs_at
        await clock.advance(station.limits.open_deadline)
        await until(opening.done)
        disk.release()
        house = opening.result()
        assert house.ledger.volatile
        assert stores.ALARM in rules(house)
        await hear(house, clock, 55.0)
        await clock.advance(station.limits.reopen)  # an attempt while the copy is being made: the file is left alone
        await hear(house, clock, 56.0)
        assert house.ledger.volatile
        copy.go_on.set()
        await until(lambda: given_up(store))
        await clock.advance(station.limits.reopen)
        await hear(house, clock, 57.0)
        assert not house.ledger.volatile
        assert stores.ALARM in rules(house)
        await house.ledger.close()

    asyncio.run(main())
    assert [path.name for path in tmp_path.iterdir() if "aside" in path.name] == []
    assert migrate.kept_copies(store).keys() == {1}
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(future),)
    assert chain.check(store).broken is None
    with Reader(store) as reader:
        assert len(reader.readings(reader.points()["g.v"])) == heard + 3
        assert stores.ALARM in [entry.body.rule for entry in reader.alarms()]
