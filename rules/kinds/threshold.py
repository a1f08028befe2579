"""Threshold: `when` and `clear` over the value of a reading, with on-delay and off-delay.

First rule kind of the step. Without `clear` it clears where `when` is false; between the two the condition stays what
it was (hysteresis). Everything about time and quality is in `rules._hold` and `rules._conditions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.verdict import Change
from rules._slots import Index
from rules._slotted import Slotted
from rules.check import Finding
from rules.compiled import KindSetup


class OPTIONS(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A threshold has no keys of its own."""


def names(unit: str) -> dict[str, str]:
    """Return what a condition may name, with units."""
    return {"value": unit}


def misfits(options: OPTIONS, poll: float) -> Sequence[Finding]:
    """Return nothing: a threshold fits any device."""
    del options, poll
    return ()


class Threshold(Slotted):
    """All threshold rules; see `rules._slotted`."""

    def apply(self, pairs: tuple[Index, Index], moment: Moment, delta: Delta) -> list[Change]:
        """Judge readings at slots."""
        slot, position = pairs
        time, value, quality = moment.time[position], moment.value[position], moment.quality[position]
        code = self.conditions.verdicts(slot, {"value": value}, quality)
        return self.hold.apply(pairs, code, (time, value, quality), moment.at, delta)


def create(setup: KindSetup) -> Threshold:
    """Return the kind with its slots."""
    return Threshold(setup, ("value",))
