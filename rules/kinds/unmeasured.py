"""Unmeasured: a watched point that gives no usable value while its device goes on talking is a fault of its own.

A rule kind of the step; one slot per point that a rule watches, where its device has other points: their readings are
signs of life, and `absence` hears nothing wrong when one broken loop of eight, or one dead cell, makes no alarm
possible any more (house rule 5: missing is not normal). BAD raises after the delay, anything better ends it. Who says
nothing at all is the matter of `absence`, and a late reading says nothing of now: both leave it where it is. A sensor
that warms up gives no value yet, which is no fault (one that never ends is told by its profile): nor does a delay end
in one meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from gateway.config.quantities import Seconds
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.quality import Doubt, Level, quality
from gateway.model.verdict import Cause, Change, Delay
from rules._conditions import BAD_FROM, DEAD_BAND, FALSE, TRUE, UNKNOWN, Codes
from rules._hold import LOST, PENDING
from rules._slots import Index
from rules._slotted import Slotted
from rules.compiled import KindSetup, PlaceId

_UNHEARD = [quality(Level.BAD, doubt) for doubt in (Doubt.NO_COMMS, Doubt.OFFLINE, Doubt.REFUSED)]
_PREHEAT = quality(Level.BAD, Doubt.PREHEAT)


class OPTIONS(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`limit`: how long a point may give no value, instead of the device's silence limit."""

    limit: Seconds = 0.0


def names(unit: str) -> dict[str, str]:
    """Return nothing: quality has no condition to write."""
    del unit  # every kind is asked the same
    return {}


class Unmeasured(Slotted):
    """All points that have to give a value; see `rules._slotted`."""

    def apply(self, pairs: tuple[Index, Index], moment: Moment, delta: Delta) -> list[Change]:
        """Judge readings at slots by their quality alone."""
        slot, position = pairs
        time, value, marks = moment.time[position], moment.value[position], moment.quality[position]
        bad = marks >= BAD_FROM
        code: Codes = np.where(bad, np.uint8(TRUE), np.uint8(FALSE))
        if bad.any():
            code[marks == _PREHEAT] = UNKNOWN
            code[np.isin(marks, _UNHEARD) | (bad & (time < self.hold.newest[slot]))] = DEAD_BAND
        return _named(self.hold.apply(pairs, code, (time, value, marks), moment.at, delta))

    def fire(self, until: int, delta: Delta) -> list[Change]:
        """Raise what has given no value for its limit."""
        return _named(super().fire(until, delta))

    def resume(self, delays: Sequence[Delay], conditions: frozenset[PlaceId]) -> None:
        """Take the durable rows: BAD is what began these delays, and does not say that they are lost."""
        super().resume(delays, conditions)
        self.hold.state[self.hold.state == LOST] = PENDING


def _named(changes: Sequence[Change]) -> list[Change]:
    return [change._replace(cause=Cause.UNMEASURED) if change.up else change for change in changes]


def create(setup: KindSetup) -> Unmeasured:
    """Return the kind with its slots."""
    return Unmeasured(setup, ("value",))
