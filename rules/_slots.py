"""Points → slots: which rule × point places a reading touches.

A reading costs only the rules that watch its point (house section 3), however many others there are: the slots of
point p lie together in one array, `start[p]` to `start[p + 1]`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.model.batch import Points

Index = NDArray[np.intp]


class PointMap:
    """Compressed rows point → slots, the slots of a point in the order they were given.

    Args:
        slot_points: point id of every slot.
        points: upper bound (exclusive) of point ids; readings of others touch nothing.
    """

    def __init__(self, slot_points: Sequence[int], points: int) -> None:
        owner = np.asarray(slot_points, dtype=np.intp)
        self._points = max([points, *(int(p) + 1 for p in owner)])
        # One row more than there are points: of readings nobody watches.
        self._count = np.bincount(owner, minlength=self._points + 1).astype(np.intp)
        self._slots = np.argsort(owner, kind="stable").astype(np.intp)
        self._start = np.concatenate([[0], np.cumsum(self._count)]).astype(np.intp)
        self._at_most_one = bool(self._count.max(initial=0) <= 1)
        self._only = np.full(self._points + 1, -1, dtype=np.intp)
        self._only[owner[self._slots][::-1]] = self._slots[::-1]
        self._seen = np.zeros(self._points, dtype=np.intp)  # scratch of `distinct`

    def pairs(self, point: Points) -> tuple[Index, Index]:
        """Return (slot, position) of every slot a reading touches, by position, then by the slots' order."""
        row = np.minimum(point.astype(np.uint32), self._points).astype(np.intp)  # negative ids wrap to large ones
        rows = np.arange(len(point), dtype=np.intp)
        if self._at_most_one:
            slot = self._only.take(row)
            if slot.min(initial=0) >= 0:
                return slot, rows
            position = np.flatnonzero(slot >= 0)
            return slot[position], position
        count = self._count.take(row)
        position = np.repeat(rows, count)
        first = self._start.take(row) - (np.cumsum(count) - count)
        return self._slots.take(np.arange(len(position), dtype=np.intp) + first.take(position)), position

    def distinct(self, point: Points) -> bool:
        """Whether no point comes twice (points beyond the map count as twice: the caller takes the longer way)."""
        if not len(point) or int(point.max()) >= self._points or int(point.min()) < 0:
            return not len(point)
        rows = np.arange(len(point), dtype=np.intp)
        self._seen[point] = rows
        return bool((self._seen[point] == rows).all())


def rounds(slot: Index) -> list[Index]:
    """Cut pairs into rounds in which no slot comes twice: round k has the k-th occurrence of each."""
    order = np.argsort(slot, kind="stable")
    ordered = slot[order]
    fresh = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    begin = np.maximum.accumulate(np.where(fresh, np.arange(len(slot)), 0))
    nth = np.empty(len(slot), dtype=np.intp)
    nth[order] = np.arange(len(slot)) - begin
    return [np.flatnonzero(nth == k) for k in range(int(nth.max(initial=-1)) + 1)]
