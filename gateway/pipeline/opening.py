"""Opening the store at start: in time, or set aside, or without it; never silently on nothing (house section 7).

A store in use by another daemon refuses the start. One that is damaged is set aside after what matters has been
salvaged from it, and a new one takes its place. One that cannot be opened at all, or not in time, leaves the house
volatile: it hears and tells, and tries again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import StoreCorrupt, StoreError, StoreLocked
from gateway.pipeline.writer import Writer
from gateway.store.connection import Lock
from gateway.store.database import Store
from gateway.store.salvage import adopt, salvage

log = logging.getLogger(__name__)
Faults = Callable[[str], None]


@dataclass(slots=True)
class Opened:
    """What came of it: `store` is None when the house starts volatile, `remarks` go into the fault alarm."""

    store: Store | None
    lock: Lock | None
    remarks: list[str] = field(default_factory=list)


async def open_store(path: Path, *, clock: Clock, deadline: float, faults: Faults) -> Opened:
    """Open or make the store within `deadline` seconds. Raises StoreLocked: another daemon has it."""
    writer = Writer("store-opening")
    future = writer.submit(lambda: _open(path, faults))
    try:
        async with clock.timeout(deadline):
            return await asyncio.shield(future)
    except TimeoutError:
        future.add_done_callback(_close_late)
        return Opened(None, None, [f"{path} did not open within {deadline:g} s"])
    finally:
        writer.close()


def _open(path: Path, faults: Faults) -> Opened:
    """Blocking part; in a thread of its own, since a dead disk may hold it for ever."""
    faults("before_open")
    try:
        lock = Lock(path)
    except StoreLocked:
        raise
    except StoreError as error:
        return Opened(None, None, [str(error)])
    try:
        return Opened(Store.open(path, lock=lock, faults=faults), lock)
    except StoreCorrupt as error:
        return _begin_anew(path, lock, str(error), faults)
    except StoreError as error:
        return Opened(None, lock, [str(error)])


def _begin_anew(path: Path, lock: Lock, reason: str, faults: Faults) -> Opened:
    salvaged = salvage(path)
    aside = set_aside(path)
    store = Store.open(path, lock=lock, faults=faults)
    adopt(store, salvaged)
    remark = f"{path} was damaged ({reason}) and is set aside as {aside.name}; taken over: {len(salvaged.rows)} rows"
    return Opened(store, lock, [remark, *salvaged.lost])


def set_aside(path: Path) -> Path:
    """Rename a store and what SQLite keeps beside it; returns the new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.aside-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return aside


def _close_late(future: asyncio.Future[Opened]) -> None:
    """A store that opened after all, when nobody waited any more: the next try opens it afresh."""
    if not future.cancelled() and future.exception() is None:
        opened = future.result()
        if opened.store is not None:
            opened.store.close()
        if opened.lock is not None:
            opened.lock.release()


def reopener(
    path: Path, lock: Lock | None, names: list[str], ids: dict[str, int], faults: Faults
) -> Callable[[], Store]:
    """Return what opens a fresh connection to the disk; blocking.

    A house that began volatile gave its points ids of its own: a store that knows them by other ids is set aside.
    """

    def reopen() -> Store:
        nonlocal lock
        faults("before_open")
        lock = lock or Lock(path)
        try:
            store = Store.open(path, lock=lock, faults=faults)
        except StoreCorrupt:
            log.exception("the store on the disk is damaged; it is set aside")
            set_aside(path)
            store = Store.open(path, lock=lock, faults=faults)
        if store.point_ids(names) != ids:
            store.close()
            log.warning("%s knows other points by these ids; it is set aside", path)
            set_aside(path)
            store = Store.open(path, lock=lock, faults=faults)
            store.point_ids(names)
        return store

    return reopen
