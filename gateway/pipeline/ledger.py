"""The ledger: gets groups onto the disk in order, and keeps them in RAM while the disk will not take them.

One commit is out at a time, in the writer's thread. A commit that fails goes again on a fresh connection; if that fails
too, or a life-safety transition waits longer than the deadline, whatever stands before it, the ledger turns volatile:
notices leave marked as not recorded, groups go to a bounded backlog, acknowledgements are withheld up to half a window.
A fresh connection is tried every ten seconds, one at a time; what a late commit did store is found by its `seq`, the
rest is appended in order, and the house is back on its disk (house section 7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol

from gateway.clock import MILLISECOND, MINUTE, SECOND, Clock
from gateway.errors import StoreError, StoreFull
from gateway.model.delta import Delta
from gateway.model.moment import Input
from gateway.model.station import Limits
from gateway.model.verdict import NEVER
from gateway.pipeline import comeback
from gateway.pipeline.backlog import Backlog
from gateway.pipeline.comeback import Comeback, Reopen
from gateway.pipeline.commit import Acknowledgements, Policy, Settlement, Work, group_of, guarded
from gateway.pipeline.recovery import CODE_VERSION
from gateway.pipeline.step import Effects
from gateway.pipeline.upkeep import Upkeep
from gateway.pipeline.writer import Writer, aside, heard
from gateway.store.database import Store
from gateway.store.shapes import Group

SNAPSHOT_EVERY = MINUTE
FAIL_POINTS = ("before_hand_over", "before_ack", "after_ack")


class House(comeback.House, Protocol):
    """What the ledger needs of the house around it."""

    def hand_over(self, work: Work) -> None:
        """Let notices, answers and accepted replies of a group leave."""

    def unrecorded(self, work: Work) -> None:
        """Mark the notices of a group as leaving without a record."""

    def store_fault(self, reason: str | None) -> None:
        """Raise the store fault, or let it return to normal (None)."""

    def record_broken(self, row: int | None) -> None:
        """Raise the fault that the record's chain does not hold at a row, or let it return to normal (None)."""

    def snapshot(self) -> Mapping[str, bytes]:
        """Return the state's blobs as of now."""


class Ledger:
    """Owns the open group, the one that is out, and the store. Loop thread only.

    `store` is None when the house starts volatile, `seq` then the newest commit that the disk is known to have.
    """

    def __init__(
        self,
        store: Store | None,
        reopen: Reopen,
        *,
        clock: Clock,
        limits: Limits,
        interval: float,
        house: House,
        configuration: str,
        seq: int = 0,
        faults: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._reopen = reopen
        self._clock = clock
        self._deadline_after = round(limits.commit_deadline * SECOND)
        self._reopen_after = round(limits.reopen * SECOND)
        self._patience = round(max(limits.open_deadline, limits.commit_deadline) * SECOND)
        self._house = house
        self._configuration = configuration
        self._faults = faults
        self._boot = clock.boot()
        self._policy = Policy(round(interval * SECOND), limits)
        self._open = Work()
        self._out: Work | None = None
        self._out_group = Group(boot=self._boot, mono=0, wall=0, steps=())
        self._out_since, self._retried = NEVER, False
        self._writer = Writer("store")
        self._store = store
        self.seq = store.last().seq if store else seq  # of the newest commit that is on the disk
        self._backlog = Backlog()
        self._comeback = Comeback(
            reopen,
            self._backlog,
            clock=clock,
            every=self._reopen_after,
            house=house,
            done=self._back_on_disk,
            wake=lambda: self.wake(),  # noqa: PLW0108 - it is plugged in later
        )
        self._settlement = Settlement()
        self._held = Acknowledgements(limits.receive_maximum)
        self._snapshot_at = 0  # with the first commit: a tail never reaches back over a start
        self.upkeep = Upkeep(
            clock,
            broken=house.record_broken,
            spared=house.life_points,
            wake=lambda: self.wake(),  # noqa: PLW0108 - as above
        )
        self._blobs: Mapping[str, bytes] | None = None
        self.wake: Callable[[], None] = lambda: None

    @property
    def volatile(self) -> bool:
        """Whether the house lives without its disk."""
        return self._store is None

    @property
    def busy(self) -> bool:
        """Whether a commit or an attempt to come back is under way."""
        return self._out is not None or self._comeback.busy

    @property
    def full(self) -> bool:
        """Whether the open group is long enough: telemetry then waits, so that what is urgent never waits for it."""
        return self._policy.full(self._open)

    @property
    def unrecorded(self) -> int:
        """Messages acknowledged without a record."""
        return self._held.unrecorded

    @property
    def dropped(self) -> int:
        """Readings that even the backlog could not keep."""
        return self._backlog.dropped

    @property
    def backlog_bytes(self) -> int:
        """Return what the backlog's packed readings take."""
        return self._backlog.size

    def add(self, now: int, inputs: Sequence[Input], delta: Delta, effects: Effects) -> None:
        """Join one step to the open group."""
        self._open.add(now, inputs, delta, effects, self._clock.mono())

    def keep(self, table: str, key: str, value: str) -> None:
        """Write a row that no step decides (what a plug-in remembers) with the next commit."""
        self._open.rows[table, key] = value
        self._open.first_at = min(self._open.first_at, self._clock.mono())
        self.wake()

    def ride(self, rows: Mapping[tuple[str, str], str | None], cursors: Mapping[str, int]) -> None:
        """Write rows (None: gone) and cursors with a commit that happens anyway: a reader's progress makes none."""
        self._open.rows.update(rows)
        self._open.cursors.update(cursors)

    def due(self) -> int:
        """Return the next moment `poll` has something to do (ns, monotonic; 0 is at once)."""
        if self.volatile:
            return min(self._policy.due(self._open), self._comeback.due())
        if self._out is not None:
            return self._deadline()
        return min(self._policy.due(self._open), self.upkeep.due())

    def _deadline(self) -> int:
        """Return when the commit that is out is given up: sooner when a life-safety transition waits for it."""
        if self._out is None:
            return NEVER
        since = min(self._open.safety_since, self._out.safety_since)
        return min(self._out_since + self._patience, NEVER if since == NEVER else since + self._deadline_after)

    def poll(self, now: int) -> None:
        """Start what is due: a commit, a fresh connection, a slice of compaction; give a hanging commit up."""
        if self.volatile:
            if self._policy.due(self._open) <= now:
                self._keep(self._close(now))
            self._comeback.poll(now)
        elif self._out is None:
            self._start(now)
        elif self._deadline() <= now:
            self._turn_volatile("a commit takes too long")

    def _start(self, now: int) -> None:
        if self._policy.due(self._open) <= now:
            work = self._close(now)
            self._out, self._retried, self._out_since = work, False, now
            if now >= self._snapshot_at:
                self._blobs, self._snapshot_at = self._house.snapshot(), now + SNAPSHOT_EVERY
            self._out_group = self._group(work)
            self._commit(work)
        elif self.upkeep.due() <= now:
            self.upkeep.poll(self._writer, self._stored(), now)

    def _close(self, now: int) -> Work:
        work, self._open = self._open, Work()
        work.closed_at = now
        self._policy.spend(work, now)
        return work

    def _group(self, work: Work) -> Group:
        group = group_of(work, boot=self._boot, mono=self._clock.mono(), wall=self._clock.wall())
        stale = [mark for batch in work.batches for mark in batch.stale]
        group.marks = ([m for batch in work.batches for m in batch.marks], self._settlement.forgettable() + stale)
        return group

    def _stored(self) -> Store:
        if self._store is None:
            raise AssertionError("volatile: nothing is written")
        return self._store

    def _commit(self, work: Work) -> None:
        future = self._writer.submit(partial(self._stored().commit, self._out_group))
        future.add_done_callback(partial(self._returned, work))

    def _returned(self, work: Work, future: asyncio.Future[int]) -> None:
        error = future.exception()
        if work is not self._out:  # given up meanwhile: look at once what it did store
            self._comeback.hurry()
        elif error is None:
            self._committed(work, future.result())
        elif not self._retried:
            self._retried = True
            fresh = self._writer.submit(partial(_afresh, self._stored(), self._reopen(self.seq, self.seq + 1)))
            fresh.add_done_callback(partial(self._reopened, work))
        else:
            self._turn_volatile(str(error) or type(error).__name__, full=isinstance(error, StoreFull))
        self.wake()

    def _reopened(self, work: Work, future: asyncio.Future[Store]) -> None:
        """Write the group that is out once more, on the fresh connection."""
        if work is not self._out:  # given up meanwhile
            if future.exception() is None:
                aside(future.result().close)
            self._comeback.hurry()
        elif (error := future.exception()) is not None:
            self._turn_volatile(str(error) or type(error).__name__, full=isinstance(error, StoreFull))
        else:
            self._store = future.result()
            done = self._store.last().seq
            if done == self.seq + 1:  # it had stored it after all
                self._committed(work, done)
            elif done == self.seq:
                self._commit(work)
            else:
                self._turn_volatile("the store on the disk had to be begun anew")
                self._comeback.hurry()
        self.wake()

    def _committed(self, work: Work, seq: int) -> None:
        self.seq, self._out = seq, None
        self._faults("before_hand_over")
        guarded(partial(self._house.hand_over, work))
        self._faults("before_ack")
        for batch in work.batches:
            guarded(batch.ack)
        self._settlement.add(work.batches)
        self._faults("after_ack")
        if self._blobs is not None:
            blobs, self._blobs = self._blobs, None
            save = partial(self._stored().save_snapshot, seq, CODE_VERSION, self._configuration, blobs)
            self._writer.submit(save).add_done_callback(heard)

    # -- without the disk

    def begin_volatile(self, reason: str) -> None:
        """Start without a disk: the store did not open in time."""
        self._comeback.begin(self.seq)
        self._house.store_fault(reason)

    def _turn_volatile(self, reason: str, *, full: bool = False) -> None:
        self._stored().retire()
        self._writer.abandon(self._stored().close)
        self._store = self._blobs = None
        out, self._out = self._out, None
        self._comeback.begin(self.seq, full=full)
        self._house.store_fault(reason)
        if out is not None:
            self._keep(out, self._out_group)
        if self._open:
            self._keep(self._close(self._clock.mono()))

    def _keep(self, work: Work, out: Group | None = None) -> None:
        """Let a group's notices leave and put it into the backlog (`out`: as it was given to a commit)."""
        guarded(partial(self._house.unrecorded, work))
        guarded(partial(self._house.hand_over, work))
        group = self._group(work) if out is None else replace(out, records=work.records)
        late = self._backlog.add(group, work.readings, offered=out is not None)
        self._held.hold(work.batches, late.marks)

    def _back_on_disk(self, writer: Writer, store: Store) -> None:
        self._writer.abandon()
        self._writer, self._store, self.seq = writer, store, self._comeback.seq
        self._snapshot_at = 0
        self._settlement.add(self._held.release(), self._backlog.forgettable())
        self._house.store_fault(None)
        self.wake()

    async def close(self) -> None:
        """Write what is open and close the store; gives up at the deadline, as a hanging disk must not stop a stop.

        Without the disk the way back is tried once more, as long as it gets on: the backlog is lost otherwise.
        """
        deadline, tried, reached = self._clock.mono() + self._deadline_after, False, self._comeback.reached
        while self._clock.mono() < deadline and (self._open or self.busy or self.volatile):
            if self._comeback.reached != reached:
                deadline, reached = self._clock.mono() + self._deadline_after, self._comeback.reached
            if self.volatile and not self._comeback.busy:
                if tried:
                    break
                tried = True
                self._comeback.hurry()
            self._open.urgent = True
            self.poll(self._clock.mono())
            await self._clock.sleep(5 * MILLISECOND / SECOND)
        if self._store is not None:
            with suppress(TimeoutError, StoreError):
                async with self._clock.timeout(self._deadline_after / SECOND):
                    await self._writer.submit(self._store.close)
        self._writer.abandon()


def _afresh(store: Store, reopen: Callable[[], Store]) -> Store:
    """Return a fresh connection in place of one that failed. Writer's thread."""
    store.close()
    return reopen()
