"""The way back to the disk: a fresh connection every so often, one attempt at a time, then the backlog in order.

Used by the ledger while the house is volatile (house section 7). Every attempt has a thread of its own; one that hangs
is waited for, as a second one would hang as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import StoreError, StoreFull
from gateway.model.verdict import NEVER
from gateway.pipeline.backlog import Backlog, Row, append
from gateway.pipeline.writer import Writer
from gateway.store.database import Store
from gateway.store.eviction import make_room_at_once
from gateway.store.shapes import Group

# Newest commit that is surely there, newest that may be → an attempt: it blocks and returns a fresh connection.
Reopen = Callable[[int, int], Callable[[], Store]]


class House(Protocol):
    """What the way back needs of the house."""

    def store_begun_anew(self) -> None:
        """Say that the store on the disk is a new one, which has the state of now but not what was before."""

    def rows(self) -> Iterable[Row]:
        """Return every row of every durable table as of now."""

    def life_points(self) -> Container[int]:
        """Return the points that a rule of class fire, gas or flood watches: their readings are kept longest."""


class Comeback:
    """Brings `backlog` to the disk. `seq`: newest commit that is surely there. Loop thread only.

    `done(writer, store)` is called when all of it is written; `wake` after an attempt that failed.
    """

    def __init__(
        self,
        reopen: Reopen,
        backlog: Backlog,
        *,
        clock: Clock,
        every: int,
        house: House,
        done: Callable[[Writer, Store], None],
        wake: Callable[[], None],
    ) -> None:
        self._reopen = reopen
        self._backlog = backlog
        self._clock = clock
        self._every = every
        self._house = house
        self._done = done
        self._wake = wake
        self._writer: Writer | None = None
        self._appending: Store | None = None
        self._next_try = NEVER
        self.seq = 0

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way."""
        return self._writer is not None

    @property
    def reached(self) -> int:
        """Return the newest commit that is surely there, also of an attempt that is under way: whether it gets on."""
        return self.seq if self._appending is None else self._appending.last().seq

    def due(self) -> int:
        """Return when the next attempt begins (ns), NEVER while one is under way."""
        return NEVER if self.busy else self._next_try

    def begin(self, seq: int, *, full: bool = False) -> None:
        """Leave the disk, which has commit `seq`; `full`: it was that."""
        self.seq = seq
        self._next_try = self._clock.mono() + self._pause(full=full)

    def hurry(self) -> None:
        """Look at once: the disk has just answered."""
        self._next_try = 0

    def poll(self, now: int) -> None:
        """Begin an attempt when it is due."""
        if self.due() > now:
            return
        self._next_try = now + self._every
        self._writer = Writer("store-comeback")
        reopen = self._reopen(self.seq, self.seq + self._backlog.offered)
        self._writer.submit(reopen).add_done_callback(partial(self._found, self._writer))

    def _found(self, writer: Writer, future: asyncio.Future[Store]) -> None:
        """Look what stands on the disk that can be written again."""
        if (error := future.exception()) is not None:
            self._give_up(writer, None, full=isinstance(error, StoreFull))
            return
        store = future.result()
        there = store.last().seq
        if there and self.seq <= there <= self.seq + self._backlog.offered:
            self._backlog.found(there - self.seq)
        else:  # a new file gets everything, and so does one that could not be read when this life began
            self._backlog.begin_anew(self._house.rows())
            if self.seq and not there:
                self._house.store_begun_anew()
        self.seq = there
        self._append(writer, store)

    def _append(self, writer: Writer, store: Store) -> None:
        if not self._backlog:
            self._writer, self._next_try = None, NEVER
            self._done(writer, store)
            return
        alone = self._backlog.alone
        groups, rows = self._backlog.offer()
        moment = (self._clock.boot(), self._clock.mono(), self._clock.wall())
        spared = self._house.life_points()
        self._appending = store
        future = writer.submit(partial(_append, store, spared, groups, rows, moment, alone=alone))
        future.add_done_callback(partial(self._appended, writer, store))

    def _appended(self, writer: Writer, store: Store, future: asyncio.Future[tuple[int, StoreError | None]]) -> None:
        written, wrong = (0, StoreError("it raised")) if future.exception() else future.result()
        self._appending = None
        self.seq += written
        self._backlog.settle(written, whole=not wrong)
        if wrong:
            if written:  # a disk that fails now and then, but gets on: at the usual pace it would never catch up
                self.hurry()
            self._give_up(writer, store, full=isinstance(wrong, StoreFull))
        else:
            self._append(writer, store)  # what came while the rest was being written

    def _pause(self, *, full: bool) -> int:
        """Return how long to wait: a full disk answers at once, and is to be used within 10 s of there being room."""
        return self._every // 2 if full else self._every

    def _give_up(self, writer: Writer, store: Store | None, *, full: bool) -> None:
        writer.abandon(store.close if store else None)
        self._next_try = min(self._next_try, self._clock.mono() + self._pause(full=full))
        self._writer = None
        self._wake()


def _append(
    store: Store,
    spared: Container[int],
    groups: Sequence[Group],
    rows: Sequence[Row],
    moment: tuple[str, int, int],
    *,
    alone: bool,
) -> tuple[int, StoreError | None]:
    """Make room for the backlog, if the disk is full of readings, then append it; blocking."""
    with suppress(StoreError):  # a disk that takes no deletion will say the same of the backlog
        make_room_at_once(store, spared)
    return append(store, groups, rows, moment, alone=alone)
