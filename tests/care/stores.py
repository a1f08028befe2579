"""Stores of every schema that was ever released, as they stood on a box: an open alarm, notices, a tail, a snapshot.

`python -m tests.care.stores` writes the one of this version as tests/cases/stores/schema-<n>.db.gz. It is done once,
when a schema is released; the files are never made anew.
"""

from __future__ import annotations

import asyncio
import gzip
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from gateway.app import open_house
from gateway.clock import SECOND
from gateway.model.batch import make_batch
from gateway.store import migrate
from gateway.testing import FakeClock
from tests.care.test_no_restart import Disk, Phone, configuration
from tests.patience import until

FOLDER = Path(__file__).parents[1] / "cases" / "stores"
ALARM = "gas"  # the rule whose alarm is open in each of them
READINGS = 40  # of the detector


def config(folder: Path) -> Path:
    """Write the configuration that belongs to them."""
    path = folder / "station.toml"
    path.write_text(configuration(folder), encoding="utf-8")
    return path


def unpack(schema: int, folder: Path) -> Path:
    """Put one of them where the configuration of `config` expects it."""
    packed = (FOLDER / f"schema-{schema}.db.gz").read_bytes()
    path = folder / "station.db"
    path.write_bytes(gzip.decompress(packed))
    return path


async def lived(folder: Path) -> Path:
    """Live for a while; returns the store."""
    clock = FakeClock()
    house = await open_house(config(folder), clock, Disk())
    house.channels["sms"] = Phone(clock)
    for number in range(READINGS):
        rows = [(house.ids["g.v"], 0, 99.0 if number > READINGS / 2 else 1.0, 0)]
        house.intake.put(make_batch("broker", clock.mono(), rows, waiting=True))
        while house.intake:
            house.runner.turn()
        await clock.advance(1)
        house.runner.turn()
        await until(lambda: not house.ledger.busy)
    clock.jump(10 * SECOND)
    await house.ledger.close()
    return folder / "station.db"


def main() -> None:
    """Write the store of this version."""
    schema = len(migrate.scripts())
    target = FOLDER / f"schema-{schema}.db.gz"
    with tempfile.TemporaryDirectory() as folder:
        store = asyncio.run(lived(Path(folder)))
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with target.open("xb") as file:
            file.write(gzip.compress(store.read_bytes(), mtime=0))


if __name__ == "__main__":
    main()
