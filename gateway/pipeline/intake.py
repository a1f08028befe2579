"""The intake: every input of the house waits here, in two lanes, until the step takes it.

Lane 1 holds what life can depend on: batches with a point watched by a rule of class fire, gas or flood, all events,
acts, replies, receipts, starts and epochs. It is taken by class, then by source in turn. Lane 2 holds the rest and is
taken in small portions, so that a flood of telemetry never stands before a smoke detector (house section 2).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from gateway.model.batch import Batch, Bytes
from gateway.model.moment import Epoch, Input, Start
from gateway.model.verdict import NEVER

LANE_1_READINGS = 1_000  # per source and step
LANE_2_READINGS = 5_000  # per step
NO_CLASS = 255  # a point that no rule of a life-safety class watches


class Intake:
    """Queues by class and source. `ranks[point]` is the class of a life-safety point, NO_CLASS for the others."""

    def __init__(self, ranks: Bytes, wake: Callable[[], None]) -> None:
        self._ranks = ranks
        self._wake = wake
        self._first: deque[Input] = deque()  # acts, replies, receipts, clock
        self._lane1: dict[int, dict[str, deque[Batch]]] = {}
        self._lane2: dict[str, deque[Batch]] = {}
        self.waiting = 0  # readings and events not yet taken

    def put(self, item: Input) -> None:
        """Queue one input; never blocks. Loop thread only."""
        if isinstance(item, Batch):
            rank = self._rank(item)
            lane = self._lane2 if rank == NO_CLASS else self._lane1.setdefault(rank, {})
            lane.setdefault(item.source, deque()).append(item)
            self.waiting += _weight(item)
        else:
            self._first.append(item)
        self._wake()

    def _rank(self, batch: Batch) -> int:
        if batch.events:
            return 0
        known = batch.point[(batch.point >= 0) & (batch.point < len(self._ranks))]
        return int(self._ranks[known].min()) if len(known) else NO_CLASS

    def __bool__(self) -> bool:
        return bool(self._first or self._lane1 or self._lane2)

    def urgent(self) -> bool:
        """Whether lane 1 holds anything."""
        return bool(self._first or self._lane1)

    def take(self) -> list[Input]:
        """Take what the next step handles: acts and receipts, then lane 1 by class, else a portion of lane 2."""
        taken: list[Input] = list(self._first)
        self._first.clear()
        for rank in sorted(self._lane1):
            taken.extend(self._portion(self._lane1[rank], LANE_1_READINGS))
            if not self._lane1[rank]:
                del self._lane1[rank]
        if not taken:
            taken.extend(self._portion(self._lane2, LANE_2_READINGS))
        return taken

    def _portion(self, sources: dict[str, deque[Batch]], limit: int) -> list[Batch]:
        """Take batches of every source in turn until each has given `limit` readings."""
        taken: list[Batch] = []
        for source in list(sources):
            given = 0
            queue = sources[source]
            while queue and (given == 0 or given + len(queue[0]) <= limit):
                batch = queue.popleft()
                given += _weight(batch)
                taken.append(batch)
            self.waiting -= given
            if not queue:
                del sources[source]
        return taken

    def oldest(self) -> int:
        """Return the arrival of the oldest input waiting in lane 1, NEVER if none: timers may not pass it."""
        arrivals = [_arrival(item) for item in self._first]
        arrivals += [_arrival(queue[0]) for sources in self._lane1.values() for queue in sources.values()]
        return min(arrivals, default=NEVER)


def _weight(batch: Batch) -> int:
    return len(batch) + len(batch.events) + 1


def _arrival(item: Input) -> int:
    match item:
        case Batch():
            return int(item.arrival[0]) if len(item) else item.event_arrival
        case Epoch():
            return item.mono_from
        case Start():
            return item.at
        case _:
            return item.at


def rank_points(classes: dict[int, int], points: int) -> Bytes:
    """Return the array of ranks from point id → class."""
    ranks = np.full(points, NO_CLASS, dtype=np.uint8)
    for point, rank in classes.items():
        ranks[point] = rank
    return ranks
