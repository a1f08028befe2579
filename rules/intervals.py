"""Which values make a condition true: exact sets of closed float intervals, where a condition reads one column.

Used twice: `rules.compile` finds conditions that contradict each other or can never hold, and the kinds turn
`value > 10` into two numbers per slot, so that a thousand different rules cost one array comparison.
"""

from __future__ import annotations

import math

from rules.expression import MIRRORED, Compare, Condition, Every, Name, Number, names

Interval = tuple[float, float]
Region = tuple[Interval, ...]  # sorted, disjoint, closed

EVERYTHING: Region = ((-math.inf, math.inf),)
NOTHING: Region = ()


def solve(condition: Condition) -> Region | None:
    """Return the region of the one column a condition reads; None where it is not a matter of constants alone."""
    return None if len(names(condition)) != 1 else _region(condition)


def _region(condition: Condition) -> Region | None:
    if isinstance(condition, Compare):
        return _compared(condition)
    regions = [_region(part) for part in condition.parts]
    result = EVERYTHING if isinstance(condition, Every) else NOTHING
    for region in regions:
        if region is None:
            return None
        result = intersection(result, region) if isinstance(condition, Every) else union(result, region)
    return result


def _compared(test: Compare) -> Region | None:
    op, left, right = test.op, test.left, test.right
    if isinstance(left, Number) and isinstance(right, Name):
        op, left, right = MIRRORED[op], right, left
    if not (isinstance(left, Name) and isinstance(right, Number)):
        return None
    at = right.value
    below, above = (-math.inf, _below(at)), (_above(at), math.inf)
    regions: dict[str, Region] = {
        "<": (below,),
        "<=": ((-math.inf, at),),
        ">": (above,),
        ">=": ((at, math.inf),),
        "==": ((at, at),),
        "!=": (below, above),
    }
    return regions[op]


def _above(x: float) -> float:
    return math.nextafter(x, math.inf)


def _below(x: float) -> float:
    return math.nextafter(x, -math.inf)


def union(one: Region, other: Region) -> Region:
    """Return what lies in either; neighbours without a float between them are joined."""
    result: list[Interval] = []
    for low, high in sorted((*one, *other)):
        if result and low <= _above(result[-1][1]):
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return tuple(result)


def intersection(one: Region, other: Region) -> Region:
    """Return what lies in both."""
    both = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return tuple(sorted((low, high) for low, high in both if low <= high))


def complement(region: Region) -> Region:
    """Return everything else."""
    result: list[Interval] = []
    low = -math.inf
    for start, end in region:
        if start > low:
            result.append((low, _below(start)))
        if end == math.inf:
            return tuple(result)
        low = _above(end)
    return (*result, (low, math.inf))


def describe(region: Region) -> str:
    """Return an example or the bounds, for messages."""
    words = [f"{low:g}" if low == high else f"{low:g} … {high:g}" for low, high in region]
    return ", ".join(words) or "no value"
