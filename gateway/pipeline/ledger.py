"""The ledger: gets groups onto the disk in order, and keeps them in RAM while the disk will not take them.

One commit is out at a time, in the writer's thread. A commit that fails goes again on a fresh connection; if that fails
too, or a life-safety transition waits longer than the deadline, whatever stands before it, the ledger turns volatile:
notices leave marked as not recorded, groups are kept in a bounded backlog, acknowledgements are withheld up to half a
window. A fresh connection is tried every ten seconds, one at a time; the backlog is then appended in order, what the
late commit did store is found by its `seq`, and the house is back on its disk (house section 7).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from gateway.clock import MILLISECOND, MINUTE, SECOND, Clock
from gateway.model.batch import Batch, Mark
from gateway.model.delta import Delta
from gateway.model.moment import Input
from gateway.model.station import Limits
from gateway.model.verdict import NEVER
from gateway.pipeline.commit import Acknowledgements, Policy, Work, group_of
from gateway.pipeline.recovery import CODE_VERSION
from gateway.pipeline.step import Effects
from gateway.pipeline.writer import Writer
from gateway.store.database import Store
from gateway.store.shapes import Group

SNAPSHOT_EVERY = MINUTE
COMPACT_EVERY = SECOND
COMPACT_SLICE = 30  # ms of the writer's thread
BACKLOG_BYTES = 16 << 20  # readings kept in RAM while the disk is dead; records are always kept

FAIL_POINTS = ("before_hand_over", "before_ack", "after_ack")

Blobs = Mapping[str, bytes]


class House(Protocol):
    """What the ledger needs of the house around it."""

    def hand_over(self, work: Work, *, recorded: bool) -> None:
        """Let notices, answers and accepted replies of a group leave."""

    def store_fault(self, reason: str | None) -> None:
        """Raise the store fault, or let it return to normal (None)."""

    def snapshot(self) -> Blobs:
        """Return the state's blobs as of now."""


@dataclass(slots=True)
class Late:
    """A group the disk has not taken, with the sequence number it would have got."""

    seq: int
    group: Group
    size: int


class Ledger:
    """Owns the open group, the one that is out, and the store. Loop thread only."""

    def __init__(
        self,
        store: Store | None,
        reopen: Callable[[], Store],
        *,
        clock: Clock,
        limits: Limits,
        interval: float,
        house: House,
        configuration: str,
        faults: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._reopen = reopen
        self._clock = clock
        self._limits = limits
        self._house = house
        self._configuration = configuration
        self._faults = faults
        self._boot = clock.boot()
        self._policy = Policy(round(interval * SECOND), limits)
        self._open = Work()
        self._out: Work | None = None
        self._out_group: Group | None = None
        self._retried = False
        self._writer = Writer("store")
        self._recovery: Writer | None = None
        self._store = store
        self._seq = store.last().seq if store else 0
        self._backlog: deque[Late] = deque()
        self._fat: deque[Late] = deque()
        self._backlog_bytes = 0
        self._marks: list[list[Mark]] = [[], []]
        self._held = Acknowledgements(limits.receive_maximum)
        self._next_try = NEVER
        self._snapshot_at = clock.mono() + SNAPSHOT_EVERY
        self._compact_at = clock.mono() + COMPACT_EVERY
        self._blobs: Blobs | None = None
        self.dropped = 0  # readings that even the backlog could not keep
        self.wake: Callable[[], None] = lambda: None

    @property
    def volatile(self) -> bool:
        """Whether the house lives without its disk."""
        return self._store is None

    @property
    def unrecorded(self) -> int:
        """Messages acknowledged without a record."""
        return self._held.unrecorded

    @property
    def waiting(self) -> Work:
        """The open group."""
        return self._open

    def add(self, now: int, inputs: Sequence[Input], delta: Delta, effects: Effects) -> None:
        """Join one step to the open group."""
        self._open.add(now, inputs, delta, effects, self._clock.mono())

    def keep(self, table: str, key: str, value: str) -> None:
        """Write a row that no step decides (what a plug-in remembers) with the next commit."""
        self._open.rows[table, key] = value
        self._open.first_at = min(self._open.first_at, self._clock.mono())
        self.wake()

    def due(self) -> int:
        """Return the next moment `poll` has something to do (ns, monotonic; 0 is at once)."""
        if self.volatile:
            return min(self._policy.due(self._open), self._next_try)
        if self._out is not None:
            return self._deadline()
        return min(self._policy.due(self._open), self._compact_at, self._deadline())

    def _deadline(self) -> int:
        since = min(self._open.safety_since, self._out.safety_since if self._out else NEVER)
        return NEVER if since == NEVER else since + round(self._limits.commit_deadline * SECOND)

    def poll(self, now: int) -> None:
        """Start what is due: a commit, a fresh connection, a slice of compaction; give a hanging commit up."""
        if self.volatile:
            if self._policy.due(self._open) <= now:
                self._keep(self._close(now))
            if self._next_try <= now and self._recovery is None:
                self._recover()
        elif self._deadline() <= now:
            self._turn_volatile("commit takes too long")
        elif self._out is None:
            self._start(now)

    def _start(self, now: int) -> None:
        if self._policy.due(self._open) <= now:
            work = self._close(now)
            self._out, self._retried = work, False
            if now >= self._snapshot_at:
                self._blobs, self._snapshot_at = self._house.snapshot(), now + SNAPSHOT_EVERY
            self._out_group = self._group(work)
            self._commit(partial(self._stored().commit, self._out_group))
        elif self._compact_at <= now and self._writer.pending == 0:
            self._compact_at = now + COMPACT_EVERY
            future = self._writer.submit(partial(self._stored().compact, COMPACT_SLICE))
            future.add_done_callback(_heard)

    def _close(self, now: int) -> Work:
        work, self._open = self._open, Work()
        self._policy.spend(work, now)
        return work

    def _group(self, work: Work) -> Group:
        group = group_of(work, boot=self._boot, mono=self._clock.mono(), wall=self._clock.wall())
        # The marks of a group are forgotten two commits later: by then its acknowledgements have long been written.
        group.marks = ([mark for batch in work.batches for mark in batch.marks], self._marks[0])
        self._marks = [self._marks[1], list(group.marks[0])]
        return group

    def _stored(self) -> Store:
        if self._store is None:
            raise AssertionError("volatile: nothing is written")
        return self._store

    def _commit(self, call: Callable[[], int]) -> None:
        future = self._writer.submit(call)
        future.add_done_callback(partial(self._returned, self._out))

    def _returned(self, work: Work | None, future: asyncio.Future[int]) -> None:
        error = future.exception()
        if work is not self._out or work is None:  # given up meanwhile: look at once what it did store
            self._next_try = 0
        elif error is None:
            self._seq, self._out, self._out_group = future.result(), None, None
            self._faults("before_hand_over")
            self._house.hand_over(work, recorded=True)
            self._faults("before_ack")
            for batch in work.batches:
                batch.ack()
            self._faults("after_ack")
            self._save_snapshot()
        elif not self._retried:
            self._retried = True
            self._commit(self._again)
        else:
            self._turn_volatile(str(error) or type(error).__name__)
        self.wake()

    def _again(self) -> int:
        """Write the group that is out once more, on a fresh connection. Writer's thread."""
        store, group = self._reopen(), self._out_group
        if group is None:
            raise AssertionError("nothing is out")
        self._store = store
        last = store.last().seq
        return last if last > self._seq else store.commit(group)

    def _save_snapshot(self) -> None:
        if self._blobs is not None:
            blobs, self._blobs = self._blobs, None
            save = self._stored().save_snapshot
            future = self._writer.submit(partial(save, self._seq, CODE_VERSION, self._configuration, blobs))
            future.add_done_callback(_heard)

    # -- without the disk

    def _turn_volatile(self, reason: str) -> None:
        self._writer.close()
        self._store = None
        self._blobs = None
        out, self._out, self._out_group = self._out, None, None
        if out is not None:
            self._keep(out)
        if self._open:
            self._keep(self._close(self._clock.mono()))
        self._next_try = self._clock.mono() + round(self._limits.reopen * SECOND)
        self._house.store_fault(reason)

    def begin_volatile(self, reason: str) -> None:
        """Start without a disk: the store did not open in time."""
        self._next_try = self._clock.mono() + round(self._limits.reopen * SECOND)
        self._house.store_fault(reason)

    def _keep(self, work: Work) -> None:
        group = self._group(work)
        group.late = True
        self._seq += 1
        size = sum(batch.value.nbytes * 5 for batch in work.batches)
        self._backlog.append(Late(self._seq, group, size))
        self._backlog_bytes += size
        self._fat.append(self._backlog[-1])
        while self._backlog_bytes > BACKLOG_BYTES:  # telemetry goes first, oldest first; records are never dropped
            self._thin(self._fat.popleft())
        self._house.hand_over(work, recorded=False)
        self._held.hold(work.batches)

    def _thin(self, late: Late) -> None:
        self.dropped += late.size // 40
        self._backlog_bytes -= late.size
        late.size = 0
        late.group.steps = [
            (now, [item for item in inputs if not isinstance(item, Batch)]) for now, inputs in late.group.steps
        ]

    def _recover(self) -> None:
        self._next_try = self._clock.mono() + round(self._limits.reopen * SECOND)
        self._recovery = Writer("store-recovery")
        future = self._recovery.submit(partial(_append, self._reopen, tuple(self._backlog)))
        future.add_done_callback(self._recovered)

    def _recovered(self, future: asyncio.Future[Store]) -> None:
        recovery, self._recovery = self._recovery, None
        if recovery is None:
            raise AssertionError("a recovery that nobody began")
        if future.exception() is not None:
            recovery.close()
            self.wake()
            return
        store = future.result()
        done = store.last().seq
        while self._backlog and self._backlog[0].seq <= done:
            self._backlog_bytes -= self._backlog.popleft().size
        if self._backlog:  # what came while the rest was being written
            self._recovery = recovery
            again = recovery.submit(partial(_append, lambda: store, tuple(self._backlog)))
            again.add_done_callback(self._recovered)
            return
        self._writer, self._store, self._seq = recovery, store, done
        self._next_try, self._snapshot_at = NEVER, 0
        self._fat.clear()
        self._held.release()
        self._house.store_fault(None)
        self.wake()

    # -- the end

    async def close(self) -> None:
        """Write what is open and close the store; gives up at the deadline, as a hanging disk must not stop a stop."""
        deadline = self._clock.mono() + round(self._limits.commit_deadline * SECOND)
        while (self._open or self._out) and not self.volatile and self._clock.mono() < deadline:
            self._open.urgent = True
            self.poll(self._clock.mono())
            await self._clock.sleep(5 * MILLISECOND / SECOND)
        if self._store is not None and self._writer.pending == 0:
            await self._writer.submit(self._store.close)
        self._writer.close()


def _append(reopen: Callable[[], Store], backlog: tuple[Late, ...]) -> Store:
    """Append what the disk does not have yet, in order. Recovery thread."""
    store = reopen()
    for late in backlog:
        if late.seq > store.last().seq:
            store.commit(late.group)
    return store


def _heard(future: asyncio.Future[Any]) -> None:
    """Take note of a failure of housekeeping: the next commit meets the same disk and decides."""
    future.exception()
