"""What the alarm book answers: moves, and what came of a person's act.

From the book to the step, which records them and lets escalation see them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from gateway.alarms.refusal import Refusal
from gateway.model.alarm import Alarm, AlarmEvent, Transition, Verb
from gateway.model.verdict import Cause

# What an act does to an alarm, and the cause that is recorded.
EVENT_OF: Final = {
    Verb.ACK: (AlarmEvent.ACK, Cause.ACKNOWLEDGED),
    Verb.RESET: (AlarmEvent.RESET, Cause.RESET),
    Verb.SHELVE: (AlarmEvent.SHELVE, Cause.SHELVED),
    Verb.UNSHELVE: (AlarmEvent.UNSHELVE, Cause.UNSHELVED),
    Verb.DISABLE: (AlarmEvent.DISABLE, Cause.OUT_OF_SERVICE),
    Verb.ENABLE: (AlarmEvent.ENABLE, Cause.IN_SERVICE),
}


class Move(NamedTuple):
    """One transition and the alarm as it is after it (also when it has just left the book)."""

    transition: Transition
    alarm: Alarm


class Outcome(msgspec.Struct, frozen=True):
    """What came of an act: what moved, and what was refused with the reason for the person."""

    moves: tuple[Move, ...]
    refusals: tuple[Refusal, ...]
