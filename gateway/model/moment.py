"""What the step is fed with, beside batches: starts, clock epochs, and the moment that rules judge.

The station axis: every time inside the step is ns on the boot-time monotonic clock of the *current* boot. `Start`
carries the shift from the previous boot's axis; where time spent down is not known the shift is None and house
section 10 says what each timer does.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gateway.model.alarm import Alarm, OperatorAct
from gateway.model.batch import Batch, Bytes, Floats, Ints, Points
from gateway.model.notification import ChannelState, Receipt, Reply


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon began. `shift`: add to old times to get new ones; 0 within one boot; None when unknown."""

    boot: str
    at: int
    shift: int | None
    configuration: str = ""  # hash of the configuration taken over
    volatile: bool = False


def shifted(time: int, shift: int | None, at: int) -> int:
    """Return a time on the new boot's axis; 0 means "not yet" and stays; an unknown shift makes it `at`."""
    if not time:
        return 0
    return at if shift is None else time + shift


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """Wall time became trusted, stepped or lost its trust: wall = mono + offset from `mono_from` on (ns)."""

    boot: str
    mono_from: int
    wall_offset: int
    error: int = 0
    source: str = ""
    trusted: bool = True


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Unacknowledged alarms of a store that could be read only after the start; points and times are of this life."""

    alarms: tuple[Alarm, ...]
    at: int


Input = Batch | OperatorAct | Receipt | Reply | ChannelState | Start | Epoch | Found


@dataclass(slots=True)
class Moment:
    """Validated readings of one arrival, as arrays of length n; the unit that rules judge.

    `at` is the logical time (ns, station axis): timers due before it have fired already. `time[i] <= at` is each
    reading's own slot time: source time where plausible, else arrival.
    """

    at: int
    point: Points
    time: Ints
    value: Floats
    quality: Bytes
    heard: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.point)
