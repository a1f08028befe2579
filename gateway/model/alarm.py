"""The alarm: ISA-18.2 / IEC 62682 life cycle of one condition at one place, and the transition that moves it.

State, suppression and severity are three separate fields (house section 9): folding one into another is how alarm
books go wrong. Times are ns on the station axis, see `gateway.model.station`.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from gateway.model.point import AlarmClass, Severity
from gateway.model.verdict import Cause
from gateway.model.walktest import Subject


class AlarmState(StrEnum):
    """Where the alarm stands with people."""

    NORMAL = "normal"
    UNACK = "unack"  # condition true, nobody has answered
    ACKED = "acked"  # condition true, somebody has
    RTN_UNACK = "rtn_unack"  # returned to normal, nobody has answered
    LATCHED_UNACK = "latched_unack"  # returned, held by its latch, nobody has answered
    LATCHED_ACKED = "latched_acked"  # returned, held by its latch, answered

    @property
    def unacknowledged(self) -> bool:
        """Whether a person is still to answer."""
        return self in (AlarmState.UNACK, AlarmState.RTN_UNACK, AlarmState.LATCHED_UNACK)


class Suppression(StrEnum):
    """Whether the alarm is kept from calling people."""

    NONE = "none"
    SHELVED = "shelved"
    BY_DESIGN = "by_design"
    OUT_OF_SERVICE = "out_of_service"


class AlarmEvent(IntEnum):
    """What can happen to an alarm: the columns of the machine's tables."""

    RAISE = 1  # the condition became true
    CLEAR = 2  # the condition became false
    ACK = 3
    RESET = 4  # a person resets the latch
    SHELVE = 5
    UNSHELVE = 6  # by a person or because its end has come
    SUPPRESS = 7  # by design
    UNSUPPRESS = 8
    DISABLE = 9  # out of service
    ENABLE = 10
    REMOVE = 11  # its rule or point left the configuration


class Evidence(msgspec.Struct, frozen=True):
    """What led to a transition: the raw frame, the reading, the source's own time (ns since 1970, 0 if none)."""

    frame: bytes = b""
    value: float = 0.0
    quality: int = 0
    time: int = 0
    text: str = ""


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm of the book. Keyed (rule, point, key); `id` is never reused.

    `since`: when the condition became true; `raised`: when the alarm was last raised (after the on-delay);
    `occurrence`: counts raises of this id.
    """

    id: int
    rule: str
    point: int
    key: str
    device: str
    point_name: str
    cell: str
    alarm_class: AlarmClass
    severity: Severity
    latch: bool
    state: AlarmState
    suppression: Suppression = Suppression.NONE
    condition: bool = False
    since: int = 0
    raised: int = 0
    cause: Cause = Cause.CONDITION
    value: float = 0.0
    unit: str = ""
    text: str = ""  # what the device said, or the rule's title
    code: str = ""  # short code for replies, unique among open alarms
    policy: str = ""
    occurrence: int = 1
    from_before_start: bool = False  # raised by a retained state
    acknowledged_by: str = ""
    acknowledged_at: int = 0
    shelved_until: int = 0
    shelved_by: str = ""
    returned_at: int = 0
    test: bool = False  # raised by a device under test; calls nobody
    test_siren: bool = False  # … but sounds
    lifted: Cause | None = None  # what ended its last suppression, since it was raised
    evidence: Evidence = Evidence()


class AlarmFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of a place that can alarm: copied into the alarm when it is first raised."""

    device: str
    point_name: str
    cell: str
    alarm_class: AlarmClass
    severity: Severity
    latch: bool
    policy: str = ""  # empty: the class's choice at that cell
    unit: str = ""
    title: str = ""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One move of an alarm, as the record keeps it. `at` is the stamped moment, never the moment of writing."""

    alarm: int
    rule: str
    point: int
    key: str
    event: AlarmEvent
    before: AlarmState
    after: AlarmState
    suppression: Suppression
    cause: Cause
    at: int
    who: str = ""
    value: float = 0.0
    reason: str = ""  # a person's words: why shelved, what it was
    evidence: Evidence = Evidence()


class Verb(StrEnum):
    """What an operator can do."""

    ACK = "ack"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    DISABLE = "disable"
    ENABLE = "enable"
    WALKTEST = "walktest"
    END_WALKTEST = "end_walktest"


class OperatorAct(msgspec.Struct, frozen=True, kw_only=True):
    """A person's act, put on the intake like a reading; never a call into alarms.

    `alarms` names ids; empty with verb ACK means "all that are open for this person". `until`: end of a shelf or
    walk test, ns on the station axis.
    """

    verb: Verb
    alarms: tuple[int, ...]
    who: str
    via: str  # cli, web, sms, key …
    at: int
    until: int = 0
    reason: str = ""
    request: str = ""  # token by which the asker finds its answer
    cells: tuple[str, ...] = ()  # of a walk test, and what is tried there
    subjects: tuple[Subject, ...] = ()
    siren: bool = False
    peer: str = ""  # local user at the other end of the control socket, whoever `who` is
