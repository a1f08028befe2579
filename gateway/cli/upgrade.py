"""`firegrid upgrade-check`: whether this program can go on where another one stopped, tried on a copy.

Run by the package before it lets a new program take over, beside the old one that goes on running: configuration, a
copy of the store without its telemetry, migration, state, one probe through intake, step and commit. Nothing is told to
anybody and the store itself is not touched. `--roll-back` is the way back after a migration (reliability R23).
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

import msgspec

from gateway.app import DEFAULT_STORE, problems_of, read
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD, add_config
from gateway.clock import SystemClock
from gateway.errors import StoreError
from gateway.house import House, enrolment
from gateway.model.batch import make_batch
from gateway.model.notification import Notification, Reply
from gateway.model.station import Station
from gateway.pipeline.opening import enrol, open_store
from gateway.store import backup, migrate
from gateway.store.connection import Lock
from gateway.store.salvage import put_in_place, set_aside

WITHIN = 60.0  # s for the probe; a long journal is replayed before


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `upgrade-check` takes."""
    add_config(own)
    own.add_argument("--store-only", action="store_true", help="do not mind a configuration that is wrong")
    own.add_argument("--roll-back", action="store_true", help="put the copy back that was kept before a migration")


def run(options: argparse.Namespace) -> int:
    """Try, or go back; 0 when this program can take over."""
    loaded = read(options.config)
    spec = loaded.station.store if loaded.station else loaded.store
    store = Path(spec.path if spec else DEFAULT_STORE)
    if options.roll_back:
        return _roll_back(store)
    wrong = [problem for problem in problems_of(loaded) if not problem.note]
    if wrong and not options.store_only:
        print("\n".join(problem.text() for problem in wrong))
        return BAD_CONFIGURATION
    if loaded.station is None or not store.exists():
        print("nothing is stored yet: nothing to take over")
        return GOOD
    asyncio.run(_tried(loaded.station, loaded.digest, store))
    print(f"{store}: this program can go on with it")
    return GOOD


async def _tried(station: Station, digest: str, store: Path) -> None:
    """Let a house open a copy and commit one probe. Raises StoreError."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="trial-", dir=store.parent) as folder:
        copy = Path(folder) / store.name
        copied = backup.backup(store, copy, telemetry=False)
        spec = msgspec.structs.replace(station.store, path=str(copy))
        trial = msgspec.structs.replace(station, store=spec)
        opened = await open_store(spec, clock=clock, deadline=WITHIN, faults=lambda _: None)
        opened = await enrol(
            opened, enrolment(trial, digest), spec, clock=clock, deadline=WITHIN, faults=lambda _: None
        )
        if opened.volatile or opened.remarks:
            opened.store.close()
            raise StoreError(f"a copy of the store does not open: {'; '.join(opened.remarks)}")
        house = House(trial, digest, opened, clock)
        house.runner.dispatcher = _Nobody()  # type: ignore[assignment] # all of it that the runner uses
        back = asyncio.Event()
        house.intake.put(make_batch("probe", clock.mono(), ack=back.set, waiting=True))
        turning = asyncio.create_task(house.runner.run())
        try:
            async with clock.timeout(WITHIN):
                await back.wait()
        except TimeoutError as error:
            raise StoreError("a probe did not come back in time") from error
        finally:
            turning.cancel()
            volatile = house.ledger.volatile
            await house.ledger.close()
        if volatile or opened.store.last().seq <= copied.seq:
            raise StoreError("a probe could not be committed")


class _Nobody:
    """In place of the dispatcher: a trial tells nobody."""

    def send(self, notice: Notification) -> None:
        """Keep it."""

    def accepted(self, reply: Reply) -> None:
        """Leave it where it is."""


def _roll_back(store: Path) -> int:
    """Put the newest kept copy in the place of the store, which is set aside."""
    copies = migrate.kept_copies(store)
    if not copies:
        print(f"{store}: no copy of an older schema is kept")
        return FAILED
    lock = Lock(store)  # StoreLocked while a daemon runs
    try:
        if store.exists():
            print(f"set aside: {set_aside(store)}")
        put_in_place(copies[max(copies)], store)
    finally:
        lock.release()
    print(f"{store} has schema {max(copies)} again, as before the upgrade")
    return GOOD
