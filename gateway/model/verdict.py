"""Verdicts: what a rule thinks of one slot, in Kleene's three-valued logic (house section 6).

`Verdict` values are small integers so that arrays of them are compared as they are. `Change` is one flip of a slot's
condition as a rule kind reports it: the only way from rules to alarms.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

import msgspec

NEVER = (1 << 63) - 1  # a due moment that does not come
ALWAYS_AGO = -(1 << 62)  # a time older than any reading


class Verdict(IntEnum):
    """UNKNOWN holds an alarm where it is."""

    UNKNOWN = -1
    FALSE = 0
    TRUE = 1


class Cause(StrEnum):
    """Why something changed; stored, shown, never free text (house rule 7)."""

    CONDITION = "condition"  # the rule's condition held for its delay
    RETURNED = "returned"  # the clear condition held for its delay
    LATE_READING = "late_reading"  # a reading older than the newest one shows it was true
    LOST_WHILE_PENDING = "lost_while_pending"  # the point went BAD while the on-delay ran
    EVENT = "event"  # a device said so
    EVENT_RESET = "event_reset"  # the device's reset or restore
    UNREGISTERED = "unregistered"  # a fire of an address no configuration knows
    SILENCE = "silence"  # nothing heard for the limit
    HEARD = "heard"  # heard again
    UNMEASURED = "unmeasured"  # its device talks, but this point gives no usable value
    FAULT = "fault"  # the gateway or a link says so
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SHELF_ENDED = "shelf_ended"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    BY_DESIGN = "by_design"
    WALKTEST = "walktest"  # a walk test has ended
    CONFIGURATION = "configuration"  # its rule or point left the configuration
    ESCALATED = "escalated"  # a higher severity or a new zone


class Change(NamedTuple):
    """One slot's condition flipped.

    `at` and `since` are ns on the station axis; `position` is the index of the reading inside the moment, -1 for a
    timer; `order` is the rule's place in the configuration; `timed`: a delay ran out, which began at `since`.
    """

    position: int
    order: int
    rule: str
    point: int
    key: str
    up: bool
    at: int
    since: int
    cause: Cause
    value: float
    quality: int
    timed: bool = False


class Running(IntEnum):
    """Which delay of a slot runs."""

    NONE = 0
    ON = 1
    OFF = 2


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """A running delay as its durable row keeps it: key `rule|point|key` of table `delay`. Times: ns, station axis."""

    rule: str
    point: int
    key: str
    running: Running
    since: int
    due: int
    value: float = 0.0
    quality: int = 0
