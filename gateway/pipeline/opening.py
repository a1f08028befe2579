"""Opening the store at start: in time, or set aside, or without it; never silently on nothing (house section 7).

A store in use by another daemon refuses the start. One that is damaged is set aside after what matters has been
salvaged from it, and a new one takes its place. One that cannot be written, or does not answer in time, leaves the
house volatile: it begins from what could be read of it, in RAM, hears and tells, and tries the disk again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gateway.clock import SECOND, Clock
from gateway.errors import StoreCorrupt, StoreError, StoreLocked
from gateway.model.station import StoreSpec
from gateway.pipeline.restart import Beat, Restored
from gateway.pipeline.writer import Writer, aside
from gateway.store.connection import MEMORY, Lock, is_older
from gateway.store.database import Store
from gateway.store.numbers import keep_points, kept_points, number_from
from gateway.store.salvage import Salvaged, adopt, begin_anew, salvage, take_up

Faults = Callable[[str], None]
Restore = Callable[[Store, tuple[str, bytes] | None, Beat], Restored]

LACKS = "what stood in it could not be read"
PATIENCE = 3  # deadlines in all that a disk may take which gives a little every now and then
FAIL_POINTS = ("before_open", "before_enrol", "before_restore", "before_salvage")


@dataclass(slots=True)
class Opened:
    """What came of it.

    `store`: on the disk, or `volatile`: in RAM, with what could be salvaged. `unread`: there is a file that could not
    be read whole; where it ends is not known then. `remarks` go into the fault alarm.
    """

    store: Store
    lock: Lock | None
    volatile: bool = False
    unread: bool = False
    remarks: list[str] = field(default_factory=list)
    before: tuple[str, bytes] | None = None  # digest and bytes of the configuration it was written under
    points: dict[str, int] = field(default_factory=dict)  # name → id of every point that is known
    restored: Restored | None = None  # what a house begins with, once it is enrolled


@dataclass(slots=True)
class Seen:
    """What was read of a store before something that may take long: nothing needs to be read beside it then.

    `points`: name → id of every point, from the small file beside the store; `whole`: all that matters.
    """

    points: dict[str, int] = field(default_factory=dict)
    whole: Salvaged | None = None


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
    disk = _Disk(spec, clock, deadline, faults, Seen())
    return await disk.answer(lambda _: _open(spec, faults, disk.seen), None)


async def enrol(
    opened: Opened, wanted: Enrolment, spec: StoreSpec, *, clock: Clock, deadline: float, faults: Faults
) -> Opened:
    """Write points and configuration: the first write, by which a full or hanging disk is found in time; read the rest.

    Afterwards nothing needs to be read from the disk any more.
    """

    def write(beat: Beat) -> Opened:
        del beat  # a few rows: they come in time or not
        try:
            if not opened.volatile:
                faults("before_enrol")
            opened.store.point_ids(wanted.names, wanted.renames)
            opened.store.save_configuration(wanted.digest, wanted.blob)
            points = opened.store.points()
        except StoreError as error:
            opened.store.close()
            return _without(spec, str(error), opened.lock, faults, disk.seen)
        if opened.volatile:
            return opened
        try:
            keep_points(spec.path, points)
            wanted.copy()
        except OSError as error:
            opened.remarks.append(f"no copy of the configuration could be written: {error}")
        return opened

    if opened.volatile:
        aside(wanted.copy)  # a disk that hangs here must not cost what is known
    disk = _Disk(spec, clock, deadline, faults, Seen(opened.points))
    ready = _succeed(opened, await disk.answer(write, opened.lock), wanted, clock)
    if wanted.restore is None:
        return ready
    restored = await disk.answer(partial(_restore, ready, wanted, disk), opened.lock)
    if restored.restored is None:  # the disk died between the first write and the last read
        restored = _succeed(ready, restored, wanted, clock)
        restored.restored = wanted.restore(restored.store, restored.before, lambda: None)
    return restored


def _restore(ready: Opened, wanted: Enrolment, disk: _Disk, beat: Beat) -> Opened:
    """Read everything; what cannot be read to the end leaves the house volatile, with what can be salvaged."""
    if wanted.restore is None:
        return ready
    try:
        if not ready.volatile:
            disk.faults("before_restore")
        return replace(ready, restored=wanted.restore(ready.store, ready.before, beat))
    except StoreError as error:
        ready.store.close()
        return _without(disk.spec, str(error), ready.lock, disk.faults, disk.seen)


def _succeed(before: Opened, after: Opened, wanted: Enrolment, clock: Clock) -> Opened:
    """Hand on what was known to the store that took the place of another."""
    if after is not before:
        before.store.retire()
        after.remarks[:0] = before.remarks
        after.store.point_ids(wanted.names, wanted.renames)
        after.before = before.before
    if after.unread:
        number_from(after.store, clock.wall() // SECOND)
    return after


def _told(opened: Opened) -> Opened:
    """Look which points it has and under which configuration it was written."""
    opened.points = opened.store.points()
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
    seen: Seen

    async def answer(self, call: Callable[[Beat], Opened], lock: Lock | None) -> Opened:
        """Run a blocking call; of a disk that does not answer in time, what can be salvaged, in RAM.

        The call says by `beat` that it gets on: reading much takes its time, a disk that gives nothing is dead, and
        one that gives too little is as good as dead: nobody is heard meanwhile.
        """
        beats: list[None] = []
        writer = Writer("store-opening")
        future = writer.submit(lambda: call(lambda: beats.append(None)))
        end = self.clock.mono() + round(PATIENCE * self.deadline * SECOND)
        reason = f"{self.spec.path} was not read within {PATIENCE * self.deadline:g} s"
        try:
            while (left := end - self.clock.mono()) > 0:
                heard = len(beats)
                try:
                    async with self.clock.timeout(min(self.deadline, left / SECOND)):
                        return await asyncio.shield(future)
                except TimeoutError:
                    if len(beats) == heard:
                        reason = f"{self.spec.path} did not answer within {self.deadline:g} s"
                        break
        finally:
            writer.abandon()
        future.add_done_callback(partial(_close_late, lock))
        return await self._salvaged(reason, lock)

    async def _salvaged(self, reason: str, lock: Lock | None) -> Opened:
        reader = Writer("store-salvage")
        read = reader.submit(lambda: _without(self.spec, reason, lock, self.faults, self.seen))
        try:
            async with self.clock.timeout(self.deadline / 2):
                return await asyncio.shield(read)
        except TimeoutError:
            read.add_done_callback(partial(_close_late, lock))
            return _in_ram(self.spec, lock, Salvaged(points=dict(self.seen.points), lost=[LACKS]), reason)
        finally:
            reader.abandon()


def _open(spec: StoreSpec, faults: Faults, seen: Seen) -> Opened:
    path = Path(spec.path)
    seen.points, lock = kept_points(path), None
    try:
        faults("before_open")
        lock = Lock(path)
        take_up(path)
    except StoreLocked:
        raise
    except (StoreError, OSError) as error:
        return _without(spec, str(error), lock, faults, seen)
    if is_older(path) and not (salvaged := salvage(path)).lost:
        seen.whole = salvaged  # an upgrade copies the file: that may take minutes
    try:
        opened = Opened(Store.open(path, lock=lock, spec=spec, faults=faults), lock)
    except StoreCorrupt as error:
        return _begin_anew(spec, lock, str(error), faults)
    except StoreError as error:
        return _without(spec, str(error), lock, faults, seen)
    try:
        return _told(opened)
    except StoreError as error:
        opened.store.close()
        return _without(spec, str(error), lock, faults, seen)


def _begin_anew(spec: StoreSpec, lock: Lock, reason: str, faults: Faults) -> Opened:
    path = Path(spec.path)
    salvaged = salvage(path)
    try:
        aside = begin_anew(path, salvaged, lock)
        store = Store.open(path, lock=lock, spec=spec, faults=faults)
        store.resume_after(salvaged.seq)
        opened = _told(Opened(store, lock))
    except (StoreError, OSError) as error:  # the disk is damaged and cannot be written either
        return _in_ram(spec, lock, salvaged, f"{reason}; {error}")
    remark = f"{path} was damaged ({reason}) and is set aside as {aside.name}; taken over: {len(salvaged.rows)} rows"
    opened.remarks[:0] = [remark, *salvaged.lost]
    return opened


def _without(spec: StoreSpec, reason: str, lock: Lock | None, faults: Faults, seen: Seen) -> Opened:
    """Begin in RAM from what can be read, or was."""
    salvaged = seen.whole
    if salvaged is None:
        faults("before_salvage")
        path = Path(spec.path)
        salvaged = salvage(path) if path.exists() else Salvaged()
        salvaged.points = salvaged.points or dict(seen.points)
    return _in_ram(spec, lock, salvaged, reason)


def _in_ram(spec: StoreSpec, lock: Lock | None, salvaged: Salvaged, reason: str) -> Opened:
    unread = bool(salvaged.lost)
    store = Store.open(MEMORY, spec=spec)
    adopt(store, replace(salvaged, seq=0) if unread else salvaged)
    return _told(Opened(store, lock, volatile=True, unread=unread, remarks=[reason, *salvaged.lost]))


def _close_late(kept: Lock | None, future: asyncio.Future[Opened]) -> None:
    """Close a store that opened after all, when nobody waited any more: the next try opens it afresh."""
    if not future.cancelled() and future.exception() is None:
        opened = future.result()
        aside(partial(_close, opened, kept))


def _close(opened: Opened, kept: Lock | None) -> None:
    opened.store.close()
    if opened.lock is not None and opened.lock is not kept:
        opened.lock.release()
