"""The rows that escalation keeps, and the closed words of its decisions. Times: ns on the station axis.

Flow: written by `chains` and `notices`, stored with the commit that holds the transition they follow from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from gateway.model.alarm import Alarm
from gateway.model.delta import Delta, Table
from gateway.model.notification import DeliveryState, Notification, NotifyReason

T = TypeVar("T")
SECOND: Final = 1_000_000_000

Out = list[tuple[str, msgspec.Struct]]
"""What a step did here, in order: ("notice", Notification) for every state of a notice, ("reply", Answered)."""


class Turn(NamedTuple):
    """What every write here needs: the moment it is stamped with, the step's delta, and where to report."""

    at: int
    delta: Delta
    out: Out


FindAlarm = Callable[[int], Alarm | None]
WallText = Callable[[int], str]
"""Moment on the station axis → time as people read it; empty while the clock is not trusted."""

ASKING: Final = frozenset({NotifyReason.RAISED, NotifyReason.ESCALATED, NotifyReason.REPEATED})
STOPPED_BY_ACK: Final = ASKING | {NotifyReason.SOUND}
WAITING: Final = frozenset({DeliveryState.PLANNED, DeliveryState.FAILED_FOR_NOW})
SUCCESS: Final = (DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ)


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The escalation of one alarm that nobody has answered. There is one exactly as long as the alarm calls people.

    `step`: index of the step that is next, due at `due`; 0 with `round` > 0 means that the policy starts over.
    `started`: when the round began or will begin. `notices`: the methods of the step that ran last.
    """

    alarm: int
    started: int
    due: int
    step: int = 0
    round: int = 0
    notices: tuple[int, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody was told of an alarm by one channel: key `alarm|contact|channel`; contact is empty for a place.

    `at`: when the first byte may have left. `reached`: a message is on its way or arrived; `confirmed`: at least one
    arrived, or may have. `followed`: the follow-up of this chain is planned.
    """

    alarm: int
    contact: str
    channel: str
    address: str
    at: int
    reached: bool = True
    confirmed: bool = False
    followed: bool = False


class Verdict(StrEnum):
    """What became of a reply."""

    ACKNOWLEDGES = "acknowledges"
    OPEN_CODES = "open_codes"  # no or a wrong code: answered with the open ones
    NOTHING_OPEN = "nothing_open"  # a contact who has not been told of any open alarm
    UNKNOWN_NUMBER = "unknown_number"  # recorded, never answered
    READ_AGAIN = "read_again"  # taken before, and still in the modem: counts for nothing


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A reply and what it was taken for, for the record."""

    channel: str
    number: str
    text: str
    at: int
    verdict: Verdict
    contact: str = ""
    alarm: int = 0
    token: str = ""


ROW_TYPES: Final[Mapping[str, Any]] = {
    "chain": Chain,
    "notice": Notification,
    "notice_counter": int,
    "told": Told,
    "channel_down": str,
    "sounding": int,
    "silenced": int,
    "reply_seen": int,
}


def seconds(value: float) -> int:
    """Return a duration in ns."""
    return round(value * SECOND)


def shifted(time: int, shift: int | None, at: int) -> int:
    """Return a time on the new boot's axis; 0 means "not yet" and stays; an unknown shift makes it `at`."""
    if not time:
        return 0
    return at if shift is None else time + shift


def put_or_drop(index: Table[tuple[T, ...]], key: str, value: tuple[T, ...], delta: Delta) -> None:
    """Keep a list of an index; an empty one is no row."""
    if value:
        index.put(delta, key, value)
    else:
        index.drop(delta, key)
