"""What the writer does when no commit is out: compaction, and a look over the record's chain, a slice at a time.

Beside the ledger. Keeps house section 4: only the record must be proved later, so it is proved all the time; a chain
that does not hold is a fault of the gateway, told once. A slice is short enough that no commit notices it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from functools import partial
from typing import NamedTuple

from gateway.clock import HOUR, MILLISECOND, SECOND, Clock
from gateway.pipeline.writer import Writer
from gateway.store.database import Store, Verification
from gateway.store.shapes import Room

COMPACT_EVERY = SECOND
COMPACT_SOON = 100 * MILLISECOND  # while more is to do: it keeps up with a flood
COMPACT_SLICE = 30  # ms of the writer's thread
VERIFY_EVERY = 2 * SECOND
VERIFY_AGAIN = HOUR  # after the whole record was looked over
VERIFY_ROWS = 200  # a slice: some 3 ms, and 13 MB where every row has a frame of 64 KiB


class _Compacted(NamedTuple):
    more: bool
    wal_bytes: int
    room: Room


class Upkeep:
    """Slices of housekeeping in the writer's thread. Loop thread only.

    `broken` is told the first row of the record that does not follow from the one before it, or None after a whole
    look that found nothing; `spared` returns the points whose readings go last; `wake` is told that more is to do.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        broken: Callable[[int | None], None],
        spared: Callable[[], Container[int]],
        wake: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._broken = broken
        self._spared = spared
        self._wake = wake
        self._told: int | None = -1  # what was told last, -1 nothing yet
        self._compact_at = clock.mono() + COMPACT_EVERY
        self._verify_at = clock.mono() + VERIFY_EVERY
        self.wal_bytes = 0  # of the write-ahead log beside the store
        self.room = Room()

    def due(self) -> int:
        """Return when the next slice is due (ns, monotonic)."""
        return min(self._compact_at, self._verify_at)

    def poll(self, writer: Writer, store: Store, now: int) -> None:
        """Begin a slice that is due, unless the writer has something to do."""
        if self._compact_at <= now:
            self._compact_at = now + COMPACT_EVERY
            if writer.pending == 0:
                writer.submit(partial(_compact, store, self._spared())).add_done_callback(self._compacted)
        elif self._verify_at <= now:
            self._verify_at = now + VERIFY_EVERY
            if writer.pending == 0:
                writer.submit(partial(store.verify, VERIFY_ROWS)).add_done_callback(self._verified)

    def _compacted(self, future: asyncio.Future[_Compacted]) -> None:
        if not future.cancelled() and future.exception() is None:
            more, self.wal_bytes, self.room = future.result()
            if more:
                self._compact_at = self._clock.mono() + COMPACT_SOON
                self._wake()

    def _verified(self, future: asyncio.Future[Verification]) -> None:
        if future.cancelled() or future.exception() is not None:  # the next commit meets the same disk and decides
            return
        found = future.result()
        if found.done or found.broken is not None:
            self._verify_at = self._clock.mono() + VERIFY_AGAIN
            if found.broken != self._told:
                self._told = found.broken
                self._broken(found.broken)


def _compact(store: Store, spared: Container[int]) -> _Compacted:
    more = store.compact(COMPACT_SLICE, spared)
    return _Compacted(more, store.wal_bytes(), store.room)
