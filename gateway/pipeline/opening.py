"""Opening the store at start: in time, or set aside, or without it; never silently on nothing (house section 7).

A store in use by another daemon refuses the start. One that is damaged is set aside after what matters has been
salvaged from it, and a new one takes its place. One that cannot be written, or does not answer in time, leaves the
house volatile: it begins from what could be read of it, in RAM, hears and tells, and tries the disk again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import StoreCorrupt, StoreError, StoreLocked
from gateway.model.station import StoreSpec
from gateway.pipeline.writer import Writer
from gateway.store.connection import MEMORY, Lock, keep_private
from gateway.store.database import Store
from gateway.store.salvage import Salvaged, adopt, salvage

log = logging.getLogger(__name__)
Faults = Callable[[str], None]

FAIL_POINTS = ("before_open", "before_enrol", "before_salvage")


@dataclass(slots=True)
class Opened:
    """What came of it.

    `store`: on the disk, or `volatile`: in RAM, with what could be salvaged. `unread`: there is a file that nothing
    could be read of. `remarks` go into the fault alarm.
    """

    store: Store
    lock: Lock | None
    volatile: bool = False
    unread: bool = False
    remarks: list[str] = field(default_factory=list)
    before: tuple[str, bytes] | None = None  # digest and bytes of the configuration it was written under


@dataclass(slots=True, frozen=True)
class Enrolment:
    """What a configuration wants to find in its store. `copy`: writes the copy beside it; raises OSError."""

    names: Sequence[str]
    renames: Mapping[str, str]
    digest: str
    blob: bytes
    copy: Callable[[], None] = lambda: None


async def open_store(spec: StoreSpec, *, clock: Clock, deadline: float, faults: Faults) -> Opened:
    """Open or make the store within `deadline` seconds. Raises StoreLocked: another daemon has it."""
    opened = await _in_time(lambda: _open(spec, faults), spec, clock=clock, deadline=deadline, faults=faults)
    try:
        opened.before = opened.store.last_good_configuration()
    except StoreCorrupt as error:  # `enrol` writes it afresh
        opened.remarks.append(f"the configuration in the store cannot be read: {error}")
    return opened


async def enrol(
    opened: Opened, wanted: Enrolment, spec: StoreSpec, *, clock: Clock, deadline: float, faults: Faults
) -> Opened:
    """Write points and configuration: the first write, by which a full or hanging disk is found in time."""

    def write() -> Opened:
        try:
            faults("before_enrol")
            opened.store.point_ids(wanted.names, wanted.renames)
            opened.store.save_configuration(wanted.digest, wanted.blob)
        except StoreError as error:
            opened.store.close()
            return _without(spec, str(error), opened.lock, faults)
        try:
            wanted.copy()
        except OSError as error:
            opened.remarks.append(f"no copy of the configuration could be written: {error}")
        return opened

    ready = await _in_time(write, spec, clock=clock, deadline=deadline, faults=faults, lock=opened.lock)
    if ready is not opened:
        ready.remarks[:0] = opened.remarks
        ready.store.point_ids(wanted.names, wanted.renames)
    ready.before = opened.before
    return ready


async def _in_time(
    call: Callable[[], Opened],
    spec: StoreSpec,
    *,
    clock: Clock,
    deadline: float,
    faults: Faults,
    lock: Lock | None = None,
) -> Opened:
    """Run a blocking call in a thread of its own, since a dead disk may hold it for ever; then one that only reads."""
    writer = Writer("store-opening")
    future = writer.submit(call)
    try:
        async with clock.timeout(deadline):
            return await asyncio.shield(future)
    except TimeoutError:
        future.add_done_callback(partial(_close_late, lock))
    finally:
        writer.abandon()
    reason = f"{spec.path} did not answer within {deadline:g} s"
    reader = Writer("store-salvage")
    read = reader.submit(lambda: _without(spec, reason, lock, faults))
    try:
        async with clock.timeout(deadline / 2):
            return await asyncio.shield(read)
    except TimeoutError:
        read.add_done_callback(partial(_close_late, lock))
        remarks = [reason, "what stood in it could not be read"]
        return Opened(Store.open(MEMORY, spec=spec), lock, volatile=True, unread=True, remarks=remarks)
    finally:
        reader.abandon()


def _open(spec: StoreSpec, faults: Faults) -> Opened:
    path = Path(spec.path)
    try:
        faults("before_open")
        lock = Lock(path)
    except StoreLocked:
        raise
    except StoreError as error:
        return _without(spec, str(error), None, faults)
    try:
        return Opened(Store.open(path, lock=lock, spec=spec, faults=faults), lock)
    except StoreCorrupt as error:
        return _begin_anew(spec, lock, str(error), faults)
    except StoreError as error:
        return _without(spec, str(error), lock, faults)


def _begin_anew(spec: StoreSpec, lock: Lock, reason: str, faults: Faults) -> Opened:
    path = Path(spec.path)
    salvaged = salvage(path)
    try:
        aside = set_aside(path)
        store = Store.open(path, lock=lock, spec=spec, faults=faults)
        adopt(store, salvaged)
    except (StoreError, OSError) as error:  # the disk is damaged and cannot be written either
        return _without(spec, f"{reason}; {error}", lock, faults, salvaged)
    remark = f"{path} was damaged ({reason}) and is set aside as {aside.name}; taken over: {len(salvaged.rows)} rows"
    return Opened(store, lock, remarks=[remark, *salvaged.lost])


def _without(
    spec: StoreSpec, reason: str, lock: Lock | None, faults: Faults, salvaged: Salvaged | None = None
) -> Opened:
    """Begin in RAM from what can be read."""
    faults("before_salvage")
    path = Path(spec.path)
    there = path.exists()
    if salvaged is None:
        salvaged = salvage(path) if there else Salvaged()
    store = Store.open(MEMORY, spec=spec)
    adopt(store, salvaged)
    unread = there and not salvaged.rows and bool(salvaged.lost)
    return Opened(store, lock, volatile=True, unread=unread, remarks=[reason, *salvaged.lost])


def set_aside(path: Path) -> Path:
    """Rename a store and what SQLite keeps beside it; returns the new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.aside-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    keep_private(aside)
    return aside


def _close_late(kept: Lock | None, future: asyncio.Future[Opened]) -> None:
    """Close a store that opened after all, when nobody waited any more: the next try opens it afresh."""
    if not future.cancelled() and future.exception() is None:
        opened = future.result()
        opened.store.close()
        if opened.lock is not None and opened.lock is not kept:
            opened.lock.release()


class Reopener:
    """Opens a fresh connection to the disk; blocking.

    It is called with the newest commit that is surely on the disk and the newest that may be. A file that is damaged,
    that ends elsewhere, or whose points have other ids is not the one this house lives in: it is set aside, and a new
    one begun with the points' ids as they are in RAM; its `last().seq` is 0.
    """

    def __init__(
        self, spec: StoreSpec, opened: Opened, wanted: Enrolment, ids: Mapping[str, int], faults: Faults
    ) -> None:
        self._spec = spec
        self._lock = opened.lock
        self._unread = opened.unread
        self._wanted = wanted
        self._ids = dict(ids)
        self._faults = faults

    def __call__(self, least: int, most: int) -> Store:
        """Return the store; any StoreError when the disk cannot be written."""
        self._faults("before_open")
        path = Path(self._spec.path)
        self._lock = self._lock or Lock(path)
        try:
            store = self._open(path)
            if self._is_ours(store, least, most):
                return store
            log.warning("%s is not the store this house lives in; it is set aside", path)
            store.close()
        except StoreCorrupt:
            log.exception("the store on the disk is damaged; it is set aside")
        set_aside(path)
        self._unread = False
        store = self._open(path)
        self._is_ours(store, 0, 0)
        return store

    def _open(self, path: Path) -> Store:
        return Store.open(path, lock=self._lock, spec=self._spec, faults=self._faults)

    def _is_ours(self, store: Store, least: int, most: int) -> bool:
        """Whether it can be gone on with; brings points and configuration up to date."""
        wanted, seq = self._wanted, store.last().seq
        try:
            known = store.points()
            if seq == 0 and not known:
                adopt(store, Salvaged(points=self._ids))
            elif (seq == 0 and known != self._ids) or (seq and (self._unread or not least <= seq <= most)):
                return False
            if store.point_ids(wanted.names, wanted.renames) != self._ids:
                return False
            last = store.last_good_configuration()
            if last is None or last[0] != wanted.digest:
                store.save_configuration(wanted.digest, wanted.blob)
        except BaseException:
            store.close()
            raise
        return True
