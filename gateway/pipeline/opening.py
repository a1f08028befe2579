"""Opening the store at start: in time, or set aside, or without it; never silently on nothing (house section 7).

A store in use by another daemon refuses the start. One that is damaged is set aside after what matters has been
salvaged from it, and a new one takes its place. One that cannot be written, or does not answer in time, leaves the
house volatile: it begins from what could be read of it, in RAM, hears and tells, and tries the disk again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gateway.clock import Clock
from gateway.errors import StoreCorrupt, StoreError, StoreLocked
from gateway.model.station import StoreSpec
from gateway.pipeline.restart import Beat, Restored
from gateway.pipeline.writer import Writer
from gateway.store.connection import MEMORY, Lock, keep_private
from gateway.store.database import Store
from gateway.store.salvage import Salvaged, adopt, salvage

log = logging.getLogger(__name__)
Faults = Callable[[str], None]
Restore = Callable[[Store, tuple[str, bytes] | None, Beat], Restored]

FAIL_POINTS = ("before_open", "before_enrol", "before_restore", "before_salvage")


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
    restored: Restored | None = None  # what a house begins with, once it is enrolled


@dataclass(slots=True, frozen=True)
class Enrolment:
    """What a configuration wants to find in its store. `copy`: writes the copy beside it; raises OSError."""

    names: Sequence[str]
    renames: Mapping[str, str]
    digest: str
    blob: bytes
    copy: Callable[[], None] = lambda: None
    restore: Restore | None = None  # reads everything; None where nobody lives in it


async def open_store(spec: StoreSpec, *, clock: Clock, deadline: float, faults: Faults) -> Opened:
    """Open or make the store within `deadline` seconds. Raises StoreLocked: another daemon has it."""
    disk = _Disk(spec, clock, deadline, faults)
    return await disk.answer(lambda _: _told(_open(spec, faults)), None)


async def enrol(
    opened: Opened, wanted: Enrolment, spec: StoreSpec, *, clock: Clock, deadline: float, faults: Faults
) -> Opened:
    """Write points and configuration: the first write, by which a full or hanging disk is found in time; read the rest.

    Afterwards nothing needs to be read from the disk any more.
    """

    def write(beat: Beat) -> Opened:
        del beat  # a few rows: they come in time or not
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

    disk = _Disk(spec, clock, deadline, faults)
    ready = _succeed(opened, await disk.answer(write, opened.lock), wanted)
    if wanted.restore is None:
        return ready
    restored = await disk.answer(partial(_restore, ready, wanted, spec, faults), opened.lock)
    if restored.restored is None:  # the disk died between the first write and the last read
        restored = _succeed(ready, restored, wanted)
        restored.restored = wanted.restore(restored.store, restored.before, lambda: None)
    return restored


def _restore(ready: Opened, wanted: Enrolment, spec: StoreSpec, faults: Faults, beat: Beat) -> Opened:
    """Read everything; what cannot be read to the end leaves the house volatile, with what can be salvaged."""
    if wanted.restore is None:
        return ready
    try:
        if not ready.volatile:
            faults("before_restore")
        return replace(ready, restored=wanted.restore(ready.store, ready.before, beat))
    except StoreError as error:
        ready.store.close()
        return _without(spec, str(error), ready.lock, faults)


def _succeed(before: Opened, after: Opened, wanted: Enrolment) -> Opened:
    """Hand on what was known to the store that took the place of another."""
    if after is not before:
        after.remarks[:0] = before.remarks
        after.store.point_ids(wanted.names, wanted.renames)
        after.before = before.before
    return after


def _told(opened: Opened) -> Opened:
    """Look under which configuration it was written."""
    try:
        opened.before = opened.store.last_good_configuration()
    except StoreCorrupt as error:  # `enrol` writes it afresh
        opened.remarks.append(f"the configuration in the store cannot be read: {error}")
    return opened


@dataclass(slots=True, frozen=True)
class _Disk:
    """Asks the disk in threads of their own, since a dead one may hold them for ever."""

    spec: StoreSpec
    clock: Clock
    deadline: float  # s without a sign of life
    faults: Faults

    async def answer(self, call: Callable[[Beat], Opened], lock: Lock | None) -> Opened:
        """Run a blocking call; of a disk that does not answer in time, what can be salvaged, in RAM.

        The call says by `beat` that it gets on: reading much takes its time, a disk that gives nothing is dead.
        """
        beats: list[None] = []
        writer = Writer("store-opening")
        future = writer.submit(lambda: call(lambda: beats.append(None)))
        try:
            while True:
                heard = len(beats)
                try:
                    async with self.clock.timeout(self.deadline):
                        return await asyncio.shield(future)
                except TimeoutError:
                    if len(beats) == heard:
                        break
        finally:
            writer.abandon()
        future.add_done_callback(partial(_close_late, lock))
        return await self._salvaged(f"{self.spec.path} did not answer within {self.deadline:g} s", lock)

    async def _salvaged(self, reason: str, lock: Lock | None) -> Opened:
        reader = Writer("store-salvage")
        read = reader.submit(lambda: _told(_without(self.spec, reason, lock, self.faults)))
        try:
            async with self.clock.timeout(self.deadline / 2):
                return await asyncio.shield(read)
        except TimeoutError:
            read.add_done_callback(partial(_close_late, lock))
            remarks = [reason, "what stood in it could not be read"]
            return Opened(Store.open(MEMORY, spec=self.spec), lock, volatile=True, unread=True, remarks=remarks)
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
