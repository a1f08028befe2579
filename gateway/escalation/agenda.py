"""An ordered index that survives `Delta.undo`: which key comes first, in O(log n) per change.

A heap alone cannot be undone, a sorted scan of all rows is quadratic in a flood. Here the truth is a table of RAM
(`_…`, never stored) that goes through the delta, and the heap beside it is only a guess of the order: entries that no
longer match the table are skipped, and a stamp in the table says when an undo has passed, so that it is built afresh.

Flow: timers of chains and notices, and the queue of each channel (`gateway.escalation.notices`).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable

from gateway.model.delta import Delta, Table

Order = tuple[int, ...]
_STAMP = ""  # the one key that is no entry


class Agenda:
    """Keys with an order (a tuple of integers); the smallest order comes first, ties by key."""

    def __init__(self, name: str) -> None:
        self._table: Table[Order] = Table(f"_{name}")
        self._heap: list[tuple[Order, str]] = []
        self._stamps = itertools.count(1)
        self._stamp = 0

    def __len__(self) -> int:
        return len(self._table) - (_STAMP in self._table)

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def put(self, delta: Delta, key: str, order: Order) -> None:
        """Enter a key, or move it."""
        if self._table.get(key) == order:
            return
        self._touch(delta)
        self._table.put(delta, key, order)
        heapq.heappush(self._heap, (order, key))

    def drop(self, delta: Delta, key: str) -> None:
        """Strike a key off if it is there."""
        if key in self._table:
            self._touch(delta)
            self._table.drop(delta, key)

    def first(self) -> tuple[Order, str] | None:
        """Return the entry that comes first, or None."""
        if not self._current():
            self._rebuild()
        heap, rows = self._heap, self._table.rows
        while heap and rows.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def load(self, entries: Iterable[tuple[str, Order]]) -> None:
        """Take these entries in place of all."""
        self._table.rows = dict(entries)
        self._rebuild()

    def _current(self) -> bool:
        return (self._table.get(_STAMP) or (0,))[0] == self._stamp and len(self._heap) <= 2 * len(self._table) + 64

    def _touch(self, delta: Delta) -> None:
        """Stamp the table, so that undoing this change is noticed."""
        if not self._current():
            self._rebuild()
        self._stamp = next(self._stamps)
        self._table.put(delta, _STAMP, (self._stamp,))

    def _rebuild(self) -> None:
        self._heap = [(order, key) for key, order in self._table.rows.items() if key != _STAMP]
        heapq.heapify(self._heap)
        self._stamp = (self._table.get(_STAMP) or (0,))[0]
