"""The alarm machine: one move of the two coupled tables, as a pure function of what stands and what happens.

Flow: book → machine → `states`. Illegal moves raise `IllegalTransition` and, being a function, change nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.alarms.states import LATCHED_CLEAR, LIFTED, LIFTING, STATES, SUPPRESSING, SUPPRESSIONS
from gateway.errors import IllegalTransition
from gateway.model.alarm import AlarmEvent, AlarmState, Suppression


class Standing(NamedTuple):
    """Where both machines stand."""

    state: AlarmState
    suppression: Suppression


def move(standing: Standing, event: AlarmEvent, *, latch: bool) -> Standing:
    """Return where `event` leads; IllegalTransition when the tables do not have the move.

    `latch` says whether a cleared alarm of this kind waits for a RESET.
    """
    if event in SUPPRESSING:
        suppression = SUPPRESSIONS[standing.suppression].get(event)
        if suppression is None:
            raise IllegalTransition(f"{event.name} while {standing.suppression}")
        state = LIFTED.get(standing.state, standing.state) if event in LIFTING else standing.state
        return Standing(state, suppression)
    target = STATES[standing.state].get(event)
    if target is None:
        raise IllegalTransition(f"{event.name} while {standing.state}")
    if event is AlarmEvent.CLEAR and latch:
        target = LATCHED_CLEAR[standing.state]
    return Standing(target, standing.suppression)


def over(standing: Standing) -> bool:
    """Say whether the alarm has ended and leaves the book: normal, and nothing suppresses it."""
    return standing == (AlarmState.NORMAL, Suppression.NONE)
