"""The intake: every input of the house waits here, in two lanes, until the step takes it.

Lane 1 holds what life can depend on: batches with a point watched by a rule of class fire, gas or flood, all events,
acts, replies, receipts, starts and epochs. It is taken by class, then by source in turn. Lane 2 holds the rest and is
taken in small portions, so that a flood of telemetry never stands before a smoke detector (house section 2). What is
taken for one step is handed over in the order of arrival: an act never passes a reading that came before it.

Sources that wait for acknowledgements hold themselves back. The others (serial, QoS 0) can overflow: then the oldest
of the lowest class goes, counted; whoever takes tells of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from gateway.model.batch import Batch, Bytes
from gateway.model.moment import Epoch, Input, Start
from gateway.model.verdict import NEVER

LANE_1_READINGS = 1_000  # per source and step
LANE_2_READINGS = 5_000  # per step
LOOSE = 200_000  # weight that may wait of sources that cannot be held back: some 20 MB
SHED = LOOSE // 10  # weight that goes at once when it is too much
FEW = 8  # readings up to which a loop is faster than arrays
NO_CLASS = 255  # a point that no rule of a life-safety class watches


class Intake:
    """Queues by class and source. `ranks[point]` is the class of a life-safety point, NO_CLASS for the others."""

    def __init__(self, ranks: Bytes, wake: Callable[[], None]) -> None:
        self._ranks = ranks
        self._rank_of: list[int] = ranks.tolist()
        self._wake = wake
        self._first: deque[Input] = deque()  # acts, replies, receipts, clock, probes
        self._lane1: dict[int, dict[str, deque[Batch]]] = {}
        self._lane2: dict[str, deque[Batch]] = {}
        self._loose = 0
        self._losses: dict[str, int] = {}
        self.waiting = 0  # weight of what is not yet taken: readings, events, one for each batch

    def put(self, item: Input) -> None:
        """Queue one input; never blocks. Loop thread only."""
        if isinstance(item, Batch) and not _is_probe(item):
            rank = self._rank(item)
            lane = self._lane2 if rank == NO_CLASS else self._lane1.setdefault(rank, {})
            lane.setdefault(item.source, deque()).append(item)
            self.waiting += _weight(item)
            if _cannot_wait(item):
                self._loose += _weight(item)
                if self._loose > LOOSE:
                    self._shed()
        else:
            self._first.append(item)
        self._wake()

    def _rank(self, batch: Batch) -> int:
        if batch.events:
            return 0
        if len(batch) <= FEW:
            found = [self._rank_of[point] for point in batch.point.tolist() if 0 <= point < len(self._rank_of)]
            return min(found, default=NO_CLASS)
        known = batch.point[(batch.point >= 0) & (batch.point < len(self._ranks))]
        return int(self._ranks[known].min()) if len(known) else NO_CLASS

    def __bool__(self) -> bool:
        return bool(self._first or self._lane1 or self._lane2)

    def urgent(self) -> bool:
        """Whether lane 1 holds anything."""
        return bool(self._first or self._lane1)

    def take(self, *, telemetry: bool = True) -> list[Input]:
        """Take what the next step handles: acts and receipts, then lane 1 by class, else a portion of lane 2.

        Without `telemetry` lane 2 waits.
        """
        taken: list[Input] = list(self._first)
        self._first.clear()
        for rank in sorted(self._lane1):
            taken.extend(self._portion(self._lane1[rank], LANE_1_READINGS))
            if not self._lane1[rank]:
                del self._lane1[rank]
        if not taken and telemetry:
            taken.extend(self._portion(self._lane2, LANE_2_READINGS // max(1, len(self._lane2))))
        taken.sort(key=arrival_of)
        return taken

    def _portion(self, sources: dict[str, deque[Batch]], limit: int) -> list[Batch]:
        """Take batches of every source in turn until each has given `limit` readings."""
        taken: list[Batch] = []
        for source in list(sources):
            given = 0
            queue = sources[source]
            while queue and (given == 0 or given + _weight(queue[0]) <= limit):
                batch = queue.popleft()
                given += _weight(batch)
                self._loose -= _weight(batch) if _cannot_wait(batch) else 0
                taken.append(batch)
            self.waiting -= given
            if not queue:
                del sources[source]
        return taken

    def _shed(self) -> None:
        """Drop the oldest of what could not be held back, the lowest class first; the step learns how much."""
        enough = LOOSE - SHED
        for sources in (self._lane2, *(self._lane1[rank] for rank in sorted(self._lane1, reverse=True))):
            for source, queue in sources.items():
                kept: deque[Batch] = deque()
                for batch in queue:
                    if self._loose > enough and _cannot_wait(batch):
                        self._loose -= _weight(batch)
                        self.waiting -= _weight(batch)
                        self._losses[source] = self._losses.get(source, 0) + len(batch) + len(batch.events)
                    else:
                        kept.append(batch)
                sources[source] = kept
            for source in [source for source, queue in sources.items() if not queue]:
                del sources[source]
        for rank in [rank for rank, sources in self._lane1.items() if not sources]:
            del self._lane1[rank]

    def losses(self) -> dict[str, int]:
        """Return readings and events dropped since the last call, by source."""
        losses, self._losses = self._losses, {}
        return losses

    def oldest(self) -> int:
        """Return the arrival of the oldest input waiting in lane 1, NEVER if none: timers may not pass it."""
        arrivals = [arrival_of(item) for item in self._first]
        arrivals += [arrival_of(queue[0]) for sources in self._lane1.values() for queue in sources.values()]
        return min(arrivals, default=NEVER)


def _is_probe(batch: Batch) -> bool:
    """Whether nothing is in it but an acknowledgement to call: a sign of life must not wait behind a flood."""
    return not (len(batch) or batch.events or batch.heard or batch.marks or batch.stale)


def _weight(batch: Batch) -> int:
    return len(batch) + len(batch.events) + 1


def _cannot_wait(batch: Batch) -> bool:
    """Whether the source goes on sending without an acknowledgement: nothing holds it back."""
    return not batch.marks and not batch.waiting


def arrival_of(item: Input) -> int:
    """Return when an input came in (ns, monotonic); of a batch, its first reading."""
    match item:
        case Batch():
            return int(item.arrival[0]) if len(item) else item.event_arrival
        case Epoch():
            return item.mono_from
        case Start():
            return item.at
        case _:
            return item.at


def rank_points(classes: Mapping[int, int], points: int) -> Bytes:
    """Return the array of ranks from point id → class."""
    ranks = np.full(points, NO_CLASS, dtype=np.uint8)
    for point, rank in classes.items():
        ranks[point] = rank
    return ranks
