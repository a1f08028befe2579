"""Quality of a reading: GOOD, UNCERTAIN or BAD with a reason, packed into one byte (house section 6).

GOOD raises and clears, UNCERTAIN raises and never clears, BAD does neither. The two high bits are the level, the six
low bits the reason, so that an array of qualities is compared with one shift.
"""

from __future__ import annotations

from enum import IntEnum

LEVEL_SHIFT = 6
REASON_MASK = 0x3F


class Level(IntEnum):
    """How far a reading may be believed."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Doubt(IntEnum):
    """Why a reading is not GOOD. Stored in journals: numbers are never reused."""

    NONE = 0
    RETAINED = 1  # a state from before we connected
    OVER_RANGE = 2  # at the alarm side of its scale: the limit stands as value
    NO_COMMS = 3  # the device or its link is silent
    FAULT_VALUE = 4  # the device's own code for "broken"
    IMPLAUSIBLE = 5  # outside what the device can measure
    PREHEAT = 6  # the sensor is warming up
    NOT_A_NUMBER = 7  # NaN, infinity, text that is no number
    UNKNOWN_LABEL = 8  # a state without a name in the profile; kept raw
    DEVICE_DOUBT = 9  # the device itself marks its value
    REFUSED = 10  # a reading that made the step fail: kept, never judged
    OFFLINE = 11  # who must know says that the device is gone: its last will, its bridge, its node


GOOD = 0


def quality(level: Level, doubt: Doubt = Doubt.NONE) -> int:
    """Pack level and doubt into the byte that arrays carry."""
    return (level << LEVEL_SHIFT) | doubt


def level_of(packed: int) -> Level:
    """Return the level of a packed quality."""
    return Level(packed >> LEVEL_SHIFT)


def doubt_of(packed: int) -> Doubt:
    """Return the reason of a packed quality."""
    return Doubt(packed & REASON_MASK)


def describe(packed: int) -> str:
    """Return e.g. `GOOD` or `BAD:no_comms`, as commands print it."""
    level, doubt = level_of(packed), doubt_of(packed)
    return level.name if doubt is Doubt.NONE else f"{level.name}:{doubt.name.lower()}"
