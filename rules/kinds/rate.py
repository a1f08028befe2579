"""Rate of change: `rate` (unit per second), `per_min` and `per_hour`, the slope over a window; `value` as well.

A rule kind of the step. The window is cut into eight parts of fixed places on the time axis, so that its memory is
bounded and any cut of the input gives the same sums; the slope is the least-squares line through the means of the
parts that have data, so that a burst of readings weighs no more than one. Below 50 % of the parts the rate is
unknown; a window with an UNCERTAIN member never clears (house section 6). BAD and late readings do not enter it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.config.quantities import Seconds
from gateway.model.batch import Floats, Ints
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.verdict import Change
from rules import _carry
from rules._conditions import BAD_FROM, DEAD_BAND, UNCERTAIN_FROM
from rules._slots import Index, rounds
from rules._slotted import Slotted
from rules.check import Finding
from rules.compiled import SECOND, KindSetup, Restarted

PARTS = 8  # a power of two
ENOUGH = PARTS // 2  # 50 % coverage, house section 6
_EMPTY = -(1 << 62)


class OPTIONS(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`window`: how long the slope looks back."""

    window: Seconds = 60.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.window <= 7 * 86400.0:
            raise ValueError("window must be between 1s and 7d")


def names(unit: str) -> dict[str, str]:
    """Return what a condition may name, with units."""
    return {"value": unit, "rate": f"{unit}/s", "per_min": f"{unit}/min", "per_hour": f"{unit}/h"}


def misfits(options: OPTIONS, poll: float) -> Sequence[Finding]:
    """Return what is wrong with a window at a device that speaks every `poll` seconds."""
    least = poll * ENOUGH
    if options.window >= least:
        return ()
    return (("window", f"{options.window:g} s never fills up with a reading every {poll:g} s", f"write {least:g}s"),)


class Rate(Slotted):
    """All rate rules.

    Cell `8 s + i` of slot s holds the sums of the part of time numbered `part`: readings, seconds since the part
    began, values, doubtful ones. `past` has the sums over the means of all but the newest part (`past_of`), made
    again when a new part begins: what happens per reading is one more point on that line.
    """

    def __init__(self, setup: KindSetup) -> None:
        super().__init__(setup, ("rate", "per_min", "per_hour", "value"))
        n = len(setup.places)
        self._width: Ints = np.array([round(p.options.window * SECOND) // PARTS for p in setup.places], dtype=np.int64)
        self._origin: Ints = np.zeros(n, dtype=np.int64)
        self._part: Ints = np.full(n * PARTS, _EMPTY, dtype=np.int64)
        self._sums: tuple[Floats, ...] = tuple(np.zeros(n * PARTS) for _ in range(4))
        self._past_of: Ints = np.full(n, _EMPTY, dtype=np.int64)
        self._past: tuple[Floats, ...] = tuple(
            np.zeros(n) for _ in range(7)
        )  # points, x, y, xx, xy, what y is counted from, doubt

    def apply(self, pairs: tuple[Index, Index], moment: Moment, delta: Delta) -> list[Change]:
        """Judge readings at slots, in rounds in which no slot comes twice."""
        slot, position = pairs
        if self.map.distinct(moment.point):
            return self._round(pairs, moment, delta)
        changes: list[Change] = []
        for rows in rounds(slot):
            changes += self._round((slot[rows], position[rows]), moment, delta)
        return sorted(changes, key=lambda change: (change.position, change.order))

    def _round(self, pairs: tuple[Index, Index], moment: Moment, delta: Delta) -> list[Change]:
        slot, position = pairs
        time, value, quality = moment.time[position], moment.value[position], moment.quality[position]
        newest = self.hold.newest[slot]
        late = time < newest
        now = np.maximum(time, newest) - self._origin[slot]
        width = self._width[slot]
        part = now // width
        self._turn(slot, part, delta)
        cell = slot * PARTS + (part & (PARTS - 1))
        taken = ~late & (quality < BAD_FROM) & np.isfinite(value)
        doubtful = (quality >= UNCERTAIN_FROM).astype(np.float64)
        reading: tuple[Floats, ...] = (np.ones(len(slot)), (now - part * width) / SECOND, value, doubtful)
        if taken.all():
            self._add(cell, part, reading, delta)
        else:
            rows = np.flatnonzero(taken)
            self._add(cell[rows], part[rows], tuple(column[rows] for column in reading), delta)
        rate, doubt = self._slope(slot, cell, part)
        columns = {"rate": rate, "per_min": rate * 60.0, "per_hour": rate * 3600.0, "value": value}
        worst = np.where(doubt & (quality < UNCERTAIN_FROM), np.uint8(UNCERTAIN_FROM), quality)
        code = self.conditions.verdicts(slot, columns, worst)
        code[late] = DEAD_BAND  # the window has moved on: an old reading says nothing of the slope
        return self.hold.apply(pairs, code, (time, value, quality), moment.at, delta)

    def _add(self, cell: Index, part: Ints, reading: tuple[Floats, ...], delta: Delta) -> None:
        """Add readings to their parts; a cell that holds an older part starts over."""
        delta.save(self._part, cell)
        goes_on = self._part.take(cell) == part
        self._part[cell] = part
        for sums, column in zip(self._sums, reading, strict=True):
            delta.save(sums, cell)
            sums[cell] = np.where(goes_on, sums.take(cell), 0.0) + column

    def _turn(self, slot: Index, part: Ints, delta: Delta) -> None:
        """Make the sums over the older parts where a new part begins."""
        stale = np.flatnonzero(self._past_of[slot] != part)
        if not len(stale):
            return
        slot, part = slot[stale], part[stale]
        delta.save(self._past_of, slot)
        age = self._part.reshape(-1, PARTS)[slot] - part[:, None]
        inside = (age > -PARTS) & (age < 0)
        count, times, values, doubts = (np.where(inside, sums.reshape(-1, PARTS)[slot], 0.0) for sums in self._sums)
        filled, weight = np.maximum(count, 1.0), inside.astype(np.float64)
        n = weight.sum(axis=1)
        x = np.where(inside, times / filled + age * (self._width[slot][:, None] / SECOND), 0.0)
        y = values / filled
        level = y.sum(axis=1) / np.maximum(n, 1.0)
        y = (y - level[:, None]) * weight
        made = (n, x.sum(axis=1), y.sum(axis=1), (x * x).sum(axis=1), (x * y).sum(axis=1), level, doubts.sum(axis=1))
        for past, column in zip(self._past, made, strict=True):
            delta.save(past, slot)
            past[slot] = column
        self._past_of[slot] = part

    def _slope(self, slot: Index, cell: Index, part: Ints) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the slope per second (NaN below 50 % coverage) and whether a member is UNCERTAIN, per pair."""
        points, px, py, pxx, pxy, level, doubts = (past.take(slot) for past in self._past)
        here = (self._part.take(cell) == part).astype(np.float64)
        count, times, values, doubt = (sums.take(cell) for sums in self._sums)
        filled = np.maximum(count, 1.0)
        x, y = times / filled * here, (values / filled - level) * here
        n, sx, sy = points + here, px + x, py + y
        with np.errstate(all="ignore"):
            slope = (pxy + x * y - sx * sy / n) / (pxx + x * x - sx * sx / n)
        slope[n < ENOUGH] = np.nan
        return slope, (doubts + doubt * here) > 0.0

    def _columns(self) -> dict[str, NDArray[Any]]:
        n = len(self._width)
        sums = [column.reshape(n, PARTS) for column in self._sums]
        return {
            "part": self._part.reshape(n, PARTS),
            **dict(zip(("count", "times", "values", "doubts"), sums, strict=True)),
            "origin": self._origin,
        }

    def snapshot(self) -> Mapping[str, Any]:
        """Return every slot's state and window."""
        return {**super().snapshot(), "window": _carry.pack(self.hold.places, self._columns())}

    def restore(self, columns: Mapping[str, Any]) -> None:
        """Take a snapshot; windows of unchanged rules only."""
        arrays = self._columns()
        old, same_from, same_to, _, _ = _carry.unpack(columns["window"], self.hold.places, arrays)
        super().restore(columns)
        for name, array in arrays.items():
            array[same_to] = old[name][same_from]
        self._past_of[:] = _EMPTY

    def rebase(self, start: Restarted, delta: Delta) -> None:
        """Move windows and delays; where the shift is unknown the windows start empty."""
        super().rebase(start, delta)
        whole = np.arange(len(self.hold.places), dtype=np.intp)
        delta.save(self._origin, whole)
        delta.save(self._part, np.arange(len(self._part), dtype=np.intp))
        delta.save(self._past_of, whole)
        self._past_of[:] = _EMPTY
        if start.shift is None:
            self._part[:] = _EMPTY
        else:
            self._origin += start.shift


def create(setup: KindSetup) -> Rate:
    """Return the kind with its slots."""
    return Rate(setup)
