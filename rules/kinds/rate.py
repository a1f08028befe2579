"""Rate of change: `rate` (unit per second), `per_min` and `per_hour`, the slope over a window; `value` as well.

A rule kind of the step. The window is cut into eight parts of fixed places on the time axis, so that its memory is
bounded and any cut of the input gives the same sums; the slope is the least-squares line through the means of the
parts that have data, so that a burst of readings weighs no more than one. Below 50 % of the parts the rate is
unknown; a window with an UNCERTAIN member never clears (house section 6). BAD and late readings do not enter it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.config.quantities import Seconds
from gateway.model.batch import Bytes, Floats, Ints
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.verdict import Change
from rules import _carry
from rules._conditions import BAD_FROM, DEAD_BAND, UNCERTAIN_FROM
from rules._slots import Index, rounds
from rules._slotted import Slotted
from rules.compiled import SECOND, KindSetup, Restarted

PARTS = 8
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


class Rate(Slotted):
    """All rate rules. `part[s, i]` is the number of the part of time that cell i of slot s holds the sums of."""

    def __init__(self, setup: KindSetup) -> None:
        super().__init__(setup, ("rate", "per_min", "per_hour", "value"))
        shape = (len(setup.places), PARTS)
        self._width: Ints = np.array([round(p.options.window * SECOND) // PARTS for p in setup.places], dtype=np.int64)
        self._origin: Ints = np.zeros(len(setup.places), dtype=np.int64)
        self._part: Ints = np.full(shape, _EMPTY, dtype=np.int64)
        self._count: Floats = np.zeros(shape)
        self._times: Floats = np.zeros(shape)  # sum of seconds since the part began
        self._values: Floats = np.zeros(shape)
        self._doubt: NDArray[np.bool_] = np.zeros(shape, dtype=np.bool_)

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
        late = time < self.hold.newest[slot]
        self._add(slot, (time, value, quality), ~late & (quality < BAD_FROM) & np.isfinite(value), delta)
        rate, doubt = self._slope(slot, time)
        columns = {"rate": rate, "per_min": rate * 60.0, "per_hour": rate * 3600.0, "value": value}
        worst = np.where(doubt & (quality < UNCERTAIN_FROM), np.uint8(UNCERTAIN_FROM), quality)
        code = self.conditions.verdicts(slot, columns, worst)
        code[late] = DEAD_BAND  # the window has moved on: an old reading says nothing of the slope
        return self.hold.apply(pairs, code, (time, value, quality), moment.at, delta)

    def _add(self, slot: Index, columns: tuple[Ints, Floats, Bytes], take: NDArray[np.bool_], delta: Delta) -> None:
        rows = np.flatnonzero(take)
        slot, time, value = slot[rows], columns[0][rows] - self._origin[slot[rows]], columns[1][rows]
        part = time // self._width[slot]
        cell = slot * PARTS + part % PARTS
        parts, count, times, values, doubt = (array.reshape(-1) for array in self._arrays())
        for array in (parts, count, times, values, doubt):
            delta.save(array, cell)
        stale = cell[parts[cell] != part]
        count[stale] = times[stale] = values[stale] = 0.0
        doubt[stale] = False
        parts[cell] = part
        count[cell] += 1.0
        times[cell] += (time - part * self._width[slot]) / SECOND
        values[cell] += value
        doubt[cell] |= columns[2][rows] >= UNCERTAIN_FROM

    def _slope(self, slot: Index, time: Ints) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the slope per second (NaN below 50 % coverage) and whether a member is UNCERTAIN, per pair."""
        width = self._width[slot]
        now = (time - self._origin[slot]) // width
        part = self._part[slot]
        age = part - now[:, None]
        inside = (age > -PARTS) & (age <= 0)
        count = np.where(inside, self._count[slot], 0.0)
        filled = np.maximum(count, 1.0)
        weight = inside.astype(np.float64)
        x = np.where(inside, self._times[slot] / filled + age * (width[:, None] / SECOND), 0.0)
        y = np.where(inside, self._values[slot] / filled, 0.0)
        n = weight.sum(axis=1)
        safe = np.maximum(n, 1.0)
        dx = (x - (x.sum(axis=1) / safe)[:, None]) * weight
        dy = (y - (y.sum(axis=1) / safe)[:, None]) * weight
        with np.errstate(all="ignore"):
            slope = (dx * dy).sum(axis=1) / (dx * dx).sum(axis=1)
        slope[n < ENOUGH] = np.nan
        return slope, np.asarray((self._doubt[slot] & inside).any(axis=1))

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self._part, self._count, self._times, self._values, self._doubt

    def _columns(self) -> dict[str, NDArray[Any]]:
        names_ = ("part", "count", "times", "values", "doubt")
        return {**dict(zip(names_, self._arrays(), strict=True)), "origin": self._origin}

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

    def rebase(self, start: Restarted, delta: Delta) -> None:
        """Move windows and delays; where the shift is unknown the windows start empty."""
        super().rebase(start, delta)
        whole = np.arange(len(self.hold.places), dtype=np.intp)
        delta.save(self._origin, whole)
        delta.save(self._part, whole)
        if start.shift is None:
            self._part[:] = _EMPTY
        else:
            self._origin += start.shift


def create(setup: KindSetup) -> Rate:
    """Return the kind with its slots."""
    return Rate(setup)
