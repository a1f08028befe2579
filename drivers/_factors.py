"""Factors that a configuration gives: none that makes every value the same, and none of a code that is no number. Pure.

Read at load by `drivers._modbus_registers` and `drivers.uart`. Keeps house section 6: a wrong word in a file is told by
`check`, and is never a value that stays normal for ever.
"""

from __future__ import annotations

import math
from collections.abc import Mapping


def refuse_factor(factor: float) -> None:
    """Raise ValueError for a factor that no value survives."""
    if factor == 0 or not math.isfinite(factor):
        raise ValueError(f"{factor:g} would make every value the same")


def by_code(factors: Mapping[str, float]) -> dict[int, float]:
    """Return code → factor of what is written as "17" or "0x11". Raises ValueError."""
    found = {}
    for text, factor in factors.items():
        try:
            code = int(text, 0)
        except ValueError:
            raise ValueError(f'"{text}" is no code; write it as "17" or "0x11"') from None
        refuse_factor(factor)
        found[code] = factor
    return found
