"""How simulated quantities move: pure functions of the seconds since the simulation began.

Used by every simulated device, whatever it speaks. Keeps house rule 2: no clock in here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Behaviour = Callable[[float], float]


def constant(value: float) -> Behaviour:
    """Stay as it is."""
    return lambda _: value


def ramp(start: float, per_second: float, *, low: float = -math.inf, high: float = math.inf) -> Behaviour:
    """Grow or fall evenly between two stops."""
    return lambda t: min(high, max(low, start + per_second * t))


def sine(middle: float, swing: float, period: float) -> Behaviour:
    """Swing around the middle; period in s."""
    return lambda t: middle + swing * math.sin(2 * math.pi * t / period)


def fire(calm: float, peak: float, *, begins: float, doubling: float = 10.0) -> Behaviour:
    """Stay calm, then grow exponentially from `begins` s on towards the peak, doubling every `doubling` s."""
    seed = (peak - calm) / 64

    def value(t: float) -> float:
        if t < begins:
            return calm
        return min(peak, calm + seed * 2 ** min((t - begins) / doubling, 1000.0))

    return value


def drain(full: float, empty: float, *, begins: float, half_life: float) -> Behaviour:
    """Stay full, then run out through a hole as a tank does, half of what is left every `half_life` s."""
    return lambda t: full if t < begins else empty + (full - empty) * 0.5 ** ((t - begins) / half_life)


def switch(before: float, after: float, *, at: float) -> Behaviour:
    """Jump once."""
    return lambda t: after if t >= at else before
