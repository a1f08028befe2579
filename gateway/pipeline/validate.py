"""From batch to moments: which readings may be judged, and at which time of the station axis each one stands.

First part of the step. Pure. Keeps house section 10: a source's own time counts where it is plausible and our wall time
is trusted, else the arrival does; no reading is ever younger than its arrival.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gateway.model.batch import Batch, Ints
from gateway.model.moment import Moment
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import DAY

PLAUSIBLE_AGE = DAY  # a source time older than this is a wrong clock, not an old reading
SLACK = 1_000_000_000  # a source clock may run ahead by this much and still be believed
REFUSED = quality(Level.BAD, Doubt.REFUSED)  # made the step fail: kept, never judged
NOT_A_NUMBER = quality(Level.BAD, Doubt.NOT_A_NUMBER)


@dataclass(frozen=True, slots=True)
class Axis:
    """Wall time on the station axis: wall = mono + `offset`, believed only when `trusted`."""

    offset: int = 0
    trusted: bool = False

    def wall(self, at: int) -> int:
        """Return a moment of the station axis as ns since 1970, 0 while that is not to be believed."""
        return at + self.offset if self.trusted else 0


def moments(batch: Batch, axis: Axis, points: int) -> Iterator[tuple[int, Moment]]:
    """Yield (row offset, moment) for each arrival of a batch, in order. `points` is the size of the point arrays.

    A batch without readings but with signs of life yields one empty moment.
    """
    if not len(batch):
        if batch.heard:
            yield 0, _cut(batch, 0, 0, axis, points)
        return
    arrival = batch.arrival
    if len(batch) == 1 or arrival[0] == arrival[-1]:
        yield 0, _cut(batch, 0, len(batch), axis, points)
        return
    edges = [0, *(np.flatnonzero(np.diff(arrival)) + 1).tolist(), len(batch)]
    for start, end in itertools.pairwise(edges):
        yield start, _cut(batch, start, end, axis, points)


def _cut(batch: Batch, start: int, end: int, axis: Axis, points: int) -> Moment:
    point = batch.point[start:end]
    value = batch.value[start:end]
    marks = batch.quality[start:end]
    known = (point >= 0) & (point < points) & (marks != REFUSED)
    if not known.all():
        point = np.where(known, point, 0)  # point 0 exists and is watched by nothing
    finite = np.isfinite(value)
    if not finite.all():
        wrong = ~finite & (marks >> 6 < Level.BAD)
        marks = np.where(wrong, np.uint8(NOT_A_NUMBER), marks)
        value = np.where(finite, value, 0.0)
    at = int(batch.arrival[end - 1]) if end > start else batch.event_arrival
    time = slot_times(batch.time[start:end], at, axis)
    return Moment(at=at, point=point, time=time, value=value, quality=marks, heard=batch.heard if start == 0 else ())


def slot_times(source: Ints, arrival: int, axis: Axis) -> Ints:
    """Return each reading's slot time: int64 ns, never after `arrival`."""
    if not axis.trusted or not source.any():
        return np.full(len(source), arrival, dtype=np.int64)
    mono = source - axis.offset
    plausible = (source > 0) & (mono >= arrival - PLAUSIBLE_AGE) & (mono <= arrival + SLACK)
    return np.where(plausible, np.minimum(mono, arrival), arrival)
