"""The conditions of all slots of a kind, evaluated together: quality and value in, verdict codes out.

A condition on one column is two bounds per slot, so that a thousand different thresholds are one comparison; what is
more than that runs as its own closure, once per expression and moment. Keeps the quality table of house section 6:
GOOD raises and clears, UNCERTAIN raises and never clears, BAD does neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.batch import Bytes, Floats
from gateway.model.distinct import distinct
from gateway.model.quality import LEVEL_SHIFT, Level
from rules._slots import Index
from rules.expression import Bools, Condition, Test, closure, names
from rules.intervals import Region, complement, solve

# Verdict codes of a reading. DEAD_BAND: neither `when` nor `clear`; the condition stays what it was.
UNKNOWN, FALSE, TRUE, DEAD_BAND = 0, 1, 2, 3

BAD_FROM = Level.BAD << LEVEL_SHIFT
UNCERTAIN_FROM = Level.UNCERTAIN << LEVEL_SHIFT

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Bounds:
    """TRUE where (low <= x <= high) differs from `outside`."""

    low: Floats
    high: Floats
    outside: Bools

    def holds(self, slot: Index, x: Floats) -> Bools:
        return ((x >= self.low[slot]) & (x <= self.high[slot])) ^ self.outside[slot]


class Conditions:
    """`when` and `clear` of n slots.

    Args:
        pairs: (when, clear) of every slot, checked by `rules.language`.
        columns: names of the columns the kind offers, first the one a slot falls back to.
    """

    def __init__(self, pairs: Sequence[tuple[Condition, Condition]], columns: Sequence[str]) -> None:
        programs: dict[tuple[Condition, Condition], int] = {}
        self._program = np.full(len(pairs), -1, dtype=np.intp)
        self._column = np.zeros(len(pairs), dtype=np.intp)
        self._columns = tuple(columns)
        rows: list[tuple[tuple[float, float, bool], tuple[float, float, bool]]] = []
        for slot, (when, clear) in enumerate(pairs):
            row = _simple(when, clear)
            if row is None:
                self._program[slot] = programs.setdefault((when, clear), len(programs))
                row = (0.0, 0.0, False), (0.0, 0.0, False)
            else:
                self._column[slot] = self._columns.index(next(iter(names(when))))
            rows.append(row)
        self._when = _bounds([row[0] for row in rows])
        self._clear = _bounds([row[1] for row in rows])
        self._tests: list[tuple[Test, Test]] = [(closure(when), closure(clear)) for when, clear in programs]
        simple = distinct(self._column[self._program < 0])
        # The column of every simple condition, where it is the same: nearly always, and then nothing is to be chosen.
        self._only = self._columns[int(simple[0]) if len(simple) else 0] if len(simple) <= 1 else None

    def verdicts(self, slot: Index, columns: Mapping[str, Floats], quality: Bytes) -> Codes:
        """Return the verdict code of every pair: `slot` and every column have length n, NaN means not known."""
        if self._only is not None:
            x = columns[self._only]
        else:
            x = np.choose(self._column[slot], [columns[name] for name in self._columns])
        true, clear, unknown = self._when.holds(slot, x), self._clear.holds(slot, x), np.isnan(x)
        if self._tests:
            self._general(slot, columns, (true, clear, unknown))
        doubtful = unknown | (quality >= UNCERTAIN_FROM)
        code = np.where(true, np.uint8(TRUE), np.where(clear, np.uint8(FALSE), np.uint8(DEAD_BAND)))
        if doubtful.any():
            # Doubt takes everything but TRUE; a general condition may clear although one of its columns is unknown.
            sure_clear = clear & (quality < UNCERTAIN_FROM) & (self._program[slot] >= 0)
            code[doubtful & (code != TRUE) & ~sure_clear] = UNKNOWN
            code[(quality >= BAD_FROM) | (unknown & (self._program[slot] < 0))] = UNKNOWN
        return code

    def _general(self, slot: Index, columns: Mapping[str, Floats], into: tuple[Bools, Bools, Bools]) -> None:
        true, clear, unknown = into
        program = self._program[slot]
        for number in distinct(program[program >= 0]):
            rows = np.flatnonzero(program == number)
            part = {name: column[rows] for name, column in columns.items()}
            when_test, clear_test = self._tests[number]
            true[rows] = when_test(part)
            clear[rows] = clear_test(part)
            unknown[rows] = np.logical_or.reduce([np.isnan(column) for column in part.values()])


def _simple(when: Condition, clear: Condition) -> tuple[tuple[float, float, bool], tuple[float, float, bool]] | None:
    if names(when) != names(clear) or len(names(when)) != 1:
        return None
    one, other = _row(solve(when)), _row(solve(clear))
    return None if one is None or other is None else (one, other)


def _row(region: Region | None) -> tuple[float, float, bool] | None:
    """Return (low, high, outside) where the region is one interval or all but one."""
    if region is None:
        return None
    if len(region) == 1:
        return (*region[0], False)
    hole = complement(region)
    return (*hole[0], True) if len(hole) == 1 else None


def _bounds(rows: list[tuple[float, float, bool]]) -> _Bounds:
    return _Bounds(
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.bool_),
    )
