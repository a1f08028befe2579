"""The two tables of an alarm: state by event and suppression by event, as data. Theory first, then the tables.

Everything that decides where an alarm goes is in this file (ISA-18.2 / IEC 62682 life cycle, OPC UA Part 9 fields).
An alarm is two machines at once:

* **state**: where it stands with people (`STATES`). CLEAR has a second column for alarms that latch
  (`LATCHED_CLEAR`): they wait for a person's RESET, which is possible only once acknowledged and no longer true.
* **suppression**: whether it is kept from calling people (`SUPPRESSIONS`). The stronger word stands: out of service
  over shelved over by design, so a weaker one is no move at all while a stronger one holds.

They are coupled in one place only: when a suppression is lifted, the alarm returns to what is true (`LIFTED`): a
condition that still holds calls people again, also when it had been acknowledged before.

Three rules hold on every path. (1) Only ACK leads out of the unacknowledged states, so no sequence of events loses an
alarm that nobody has answered. (2) RAISE leads to UNACK from everywhere: a re-alarm asks for a new answer. (3) A move
that is not in the tables raises `IllegalTransition` and changes nothing: people's wrong wishes are refused before
(`gateway.alarms.refusal`), so an illegal move is a bug of ours.

Flow: `gateway.alarms.book` asks `gateway.alarms.machine`, which reads these tables. House section 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.model.alarm import AlarmEvent, AlarmState, Suppression

_E = AlarmEvent
_S = AlarmState
_P = Suppression

STATES: Final[Mapping[AlarmState, Mapping[AlarmEvent, AlarmState]]] = {
    _S.NORMAL: {_E.RAISE: _S.UNACK, _E.REMOVE: _S.NORMAL},
    _S.UNACK: {_E.RAISE: _S.UNACK, _E.CLEAR: _S.RTN_UNACK, _E.ACK: _S.ACKED, _E.REMOVE: _S.RTN_UNACK},
    _S.ACKED: {_E.RAISE: _S.UNACK, _E.CLEAR: _S.NORMAL, _E.REMOVE: _S.NORMAL},
    _S.RTN_UNACK: {_E.RAISE: _S.UNACK, _E.ACK: _S.NORMAL, _E.REMOVE: _S.RTN_UNACK},
    _S.LATCHED_UNACK: {_E.RAISE: _S.UNACK, _E.ACK: _S.LATCHED_ACKED, _E.REMOVE: _S.RTN_UNACK},
    _S.LATCHED_ACKED: {_E.RAISE: _S.UNACK, _E.RESET: _S.NORMAL, _E.REMOVE: _S.NORMAL},
}

LATCHED_CLEAR: Final[Mapping[AlarmState, AlarmState]] = {
    _S.UNACK: _S.LATCHED_UNACK,
    _S.ACKED: _S.LATCHED_ACKED,
}

SUPPRESSIONS: Final[Mapping[Suppression, Mapping[AlarmEvent, Suppression]]] = {
    _P.NONE: {_E.SHELVE: _P.SHELVED, _E.SUPPRESS: _P.BY_DESIGN, _E.DISABLE: _P.OUT_OF_SERVICE},
    _P.BY_DESIGN: {_E.UNSUPPRESS: _P.NONE, _E.SHELVE: _P.SHELVED, _E.DISABLE: _P.OUT_OF_SERVICE},
    _P.SHELVED: {_E.SHELVE: _P.SHELVED, _E.UNSHELVE: _P.NONE, _E.DISABLE: _P.OUT_OF_SERVICE},
    _P.OUT_OF_SERVICE: {_E.ENABLE: _P.NONE},
}

LIFTED: Final[Mapping[AlarmState, AlarmState]] = {_S.ACKED: _S.UNACK}

LIFTING: Final = frozenset({_E.UNSHELVE, _E.UNSUPPRESS, _E.ENABLE})
SUPPRESSING: Final = frozenset({_E.SHELVE, _E.SUPPRESS, _E.DISABLE}) | LIFTING


def tables_as_text() -> str:
    """Return both tables as Markdown, for the documentation; `-` is an illegal move."""
    events = [event for event in AlarmEvent if event not in SUPPRESSING]
    lines = ["| state | " + " | ".join(event.name for event in events) + " | CLEAR (latched) | lifted |"]
    lines.append("|---" * (len(events) + 3) + "|")
    for state in AlarmState:
        cells = [STATES[state].get(event) for event in events]
        cells += [LATCHED_CLEAR.get(state), LIFTED.get(state, state)]
        lines.append(f"| {state} | " + " | ".join(cell or "-" for cell in cells) + " |")
    moves = [event for event in AlarmEvent if event in SUPPRESSING]
    lines += ["", "| suppression | " + " | ".join(event.name for event in moves) + " |"]
    lines.append("|---" * (len(moves) + 1) + "|")
    for suppression in Suppression:
        lines.append(
            f"| {suppression} | " + " | ".join(SUPPRESSIONS[suppression].get(event) or "-" for event in moves) + " |"
        )
    return "\n".join(lines) + "\n"
