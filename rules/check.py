"""What is wrong with a rule although each of its parts can be read: contradictions, dead limits, too long delays.

Asked by `rules.compile` per rule and point. Where `when` and `clear` read one column and compare it with constants
the answer is exact; otherwise a grid around the constants is tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from gateway.model.point import AlarmClass, Kind, PointSpec
from rules.expression import Condition, Number, closure, names, terms
from rules.intervals import NOTHING, Region, complement, describe, intersection, solve, union

# Longest on-delay per class in seconds, with where the figure comes from.
LONGEST_ON_DELAY: dict[AlarmClass, tuple[float, str]] = {
    AlarmClass.FIRE: (60.0, "a smoke alarm is verified within 60 s, practice of UL 864 panels"),
    AlarmClass.GAS: (60.0, "a household gas alarm sounds within 60 s, GB 15322.2"),
    AlarmClass.FLOOD: (60.0, "our own limit, as for gas"),
    AlarmClass.SUPERVISORY: (600.0, "a panel delays no output by more than 10 min, EN 54-2 7.11"),
    AlarmClass.FAULT: (100.0, "a fault shows within 100 s, GB 4717 and EN 54-2"),
    AlarmClass.MAINTENANCE: (7 * 86400.0, "a week, our own limit"),
}
# Carbon monoxide is a dose: 30 ppm may not alarm before 120 min, EN 50291-1.
LONGEST_AT_UNIT: dict[tuple[AlarmClass, str], tuple[float, str]] = {
    (AlarmClass.GAS, "[ppm]"): (7200.0, "30 ppm CO alarms after 120 min, EN 50291-1"),
}
_GRID = 4096  # most combinations of values that are tried

Finding = tuple[str, str, str]  # key, reason, fix


def delays(alarm_class: AlarmClass, unit: str, on_delay: float, off_delay: float) -> Iterator[Finding]:
    """Yield what is wrong with the delays (seconds) of a class at a point of that unit."""
    longest, source = LONGEST_AT_UNIT.get((alarm_class, unit), LONGEST_ON_DELAY[alarm_class])
    if not 0.0 <= on_delay <= longest:
        yield (
            "on_delay",
            f"{on_delay:g} s is not what class {alarm_class.word} allows",
            f"write 0s to {longest:g}s ({source})",
        )
    if not 0.0 <= off_delay <= 7 * 86400.0:
        yield "off_delay", f"{off_delay:g} s is not a delay a rule can keep", "write 0s to 7d"


def conditions(when: Condition, clear: Condition, spec: PointSpec) -> Iterator[Finding]:
    """Yield what is wrong with a pair of conditions at a point."""
    raised, cleared = solve(when), solve(clear)
    if raised is None or cleared is None or names(when) != names(clear):
        yield from _tried(when, clear, spec)
        return
    both = intersection(raised, cleared)
    if both != NOTHING:
        yield "clear", f"{describe(both)} would raise and clear at once", "put clear on the other side of when"
    possible = _possible(spec) if names(when) == {"value"} else ((-math.inf, math.inf),)
    where = f"the point can be {describe(possible)}"
    if intersection(raised, possible) == NOTHING:
        yield "when", "can never be true", f"{where}; correct the limit"
    elif intersection(possible, complement(raised)) == NOTHING:
        yield "when", "is always true", f"{where}; correct the limit"
    elif intersection(cleared, possible) == NOTHING:
        yield "clear", "can never be true: the alarm would never return to normal", f"{where}; correct the limit"
    else:
        yield from _dead_limits(when, possible)


def _dead_limits(when: Condition, possible: Region) -> Iterator[Finding]:
    low, high = possible[0][0], possible[-1][1]
    for term in terms(when):
        if isinstance(term, Number) and not low <= term.value <= high:
            yield "when", f"{term.value:g} lies outside what the point can be", f"write {low:g} to {high:g}"


def _possible(spec: PointSpec) -> Region:
    """Return the values a reading can bring to the rules: implausible ones are BAD, over-range ones the limit."""
    if spec.kind is Kind.STATE and spec.labels:
        region: Region = NOTHING
        for number in spec.labels.values():
            region = union(region, ((number, number),))
        return region
    low, high = -math.inf, math.inf
    for bounds in (spec.valid_range, spec.over_range):
        if bounds is not None:
            low, high = max(low, bounds[0]), min(high, bounds[1])
    return ((low, high),) if low <= high else NOTHING


def _tried(when: Condition, clear: Condition, spec: PointSpec) -> Iterator[Finding]:
    columns = sorted(names(when) | names(clear))
    if not columns:
        yield "when", "reads no value", "compare value with a limit"
        return
    grid = _grid(when, clear, spec, len(columns))
    samples = np.array(list(itertools.product(grid, repeat=len(columns))), dtype=np.float64).T
    given = dict(zip(columns, samples, strict=True))
    shape = samples.shape[1]
    raised = np.broadcast_to(closure(when)(given), shape)
    cleared = np.broadcast_to(closure(clear)(given), shape)
    both = np.flatnonzero(raised & cleared)
    if len(both):
        example = ", ".join(f"{name} = {column[both[0]]:g}" for name, column in given.items())
        yield "clear", f"{example} would raise and clear at once", "put clear on the other side of when"
    if not raised.any():
        yield "when", "is true at none of the values tried", "correct the limits"
    elif raised.all():
        yield "when", "is true at all of the values tried", "correct the limits"


def _grid(when: Condition, clear: Condition, spec: PointSpec, columns: int) -> list[float]:
    constants = {t.value for c in (when, clear) for t in terms(c) if isinstance(t, Number)}
    points = {0.0, 1.0, -1.0}
    for bounds in (spec.valid_range, spec.over_range):
        points |= set(bounds or ())
    for x in constants:
        points |= {x, -x, x / 2, x * 2, x / 60.0, x + 1.0, x - 1.0, math.nextafter(x, math.inf), 1e6, -1e6}
    most = max(2, int(_GRID ** (1 / columns)))
    ordered = sorted(points)
    step = max(1, math.ceil(len(ordered) / most))
    return ordered[::step]
