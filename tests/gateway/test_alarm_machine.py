"""The alarm machine: every state by every event, and the promises that hold on every path."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms.machine import Standing, move, over
from gateway.alarms.states import LATCHED_CLEAR, LIFTED, LIFTING, STATES, SUPPRESSING, SUPPRESSIONS, tables_as_text
from gateway.errors import IllegalTransition
from gateway.model.alarm import AlarmEvent, AlarmState, Suppression

S = AlarmState
P = Suppression
E = AlarmEvent

# Written out by hand from ISA-18.2 and house section 9, not from the tables: (state, event) → state, "!" = latched.
EXPECTED = {
    (S.NORMAL, E.RAISE): S.UNACK,
    (S.UNACK, E.RAISE): S.UNACK,
    (S.ACKED, E.RAISE): S.UNACK,
    (S.RTN_UNACK, E.RAISE): S.UNACK,
    (S.LATCHED_UNACK, E.RAISE): S.UNACK,
    (S.LATCHED_ACKED, E.RAISE): S.UNACK,
    (S.UNACK, E.ACK): S.ACKED,
    (S.RTN_UNACK, E.ACK): S.NORMAL,
    (S.LATCHED_UNACK, E.ACK): S.LATCHED_ACKED,
    (S.LATCHED_ACKED, E.RESET): S.NORMAL,
    (S.NORMAL, E.REMOVE): S.NORMAL,
    (S.UNACK, E.REMOVE): S.RTN_UNACK,
    (S.ACKED, E.REMOVE): S.NORMAL,
    (S.RTN_UNACK, E.REMOVE): S.RTN_UNACK,
    (S.LATCHED_UNACK, E.REMOVE): S.RTN_UNACK,
    (S.LATCHED_ACKED, E.REMOVE): S.NORMAL,
}
CLEARED = {(S.UNACK, False): S.RTN_UNACK, (S.UNACK, True): S.LATCHED_UNACK}
CLEARED |= {(S.ACKED, False): S.NORMAL, (S.ACKED, True): S.LATCHED_ACKED}

MOVES = st.tuples(st.sampled_from(list(E)), st.booleans())


@pytest.mark.parametrize(
    ("state", "suppression", "event", "latch"),
    list(itertools.product(S, P, [e for e in E if e not in SUPPRESSING], (0, 1))),
)
def test_every_state_by_every_event(state: S, suppression: P, event: E, latch: int) -> None:
    expected = CLEARED.get((state, bool(latch))) if event is E.CLEAR else EXPECTED.get((state, event))
    before = Standing(state, suppression)
    if expected is None:
        with pytest.raises(IllegalTransition):
            move(before, event, latch=bool(latch))
    else:
        assert move(before, event, latch=bool(latch)) == (expected, suppression)


@pytest.mark.parametrize(("state", "suppression", "event"), list(itertools.product(S, P, sorted(SUPPRESSING))))
def test_every_suppression_by_every_event(state: S, suppression: P, event: E) -> None:
    target = SUPPRESSIONS[suppression].get(event)
    before = Standing(state, suppression)
    if target is None:
        with pytest.raises(IllegalTransition):
            move(before, event, latch=True)
        return
    after = move(before, event, latch=True)
    assert after.suppression is target
    still_true = state is S.ACKED and event in LIFTING
    assert after.state is (S.UNACK if still_true else state)


def test_the_stronger_suppression_stands() -> None:
    assert SUPPRESSIONS[P.OUT_OF_SERVICE] == {E.ENABLE: P.NONE}
    assert SUPPRESSIONS[P.SHELVED][E.SHELVE] is P.SHELVED
    assert E.SUPPRESS not in SUPPRESSIONS[P.SHELVED]


@given(st.lists(MOVES, max_size=40))
def test_no_path_loses_an_unacknowledged_alarm(moves: list[tuple[E, bool]]) -> None:
    standing = Standing(S.NORMAL, P.NONE)
    answered = True
    for event, latch in moves:
        try:
            after = move(standing, event, latch=latch)
        except IllegalTransition:
            continue
        if event is E.RAISE:
            answered = False
        if event is E.ACK:
            answered = True
        if event in LIFTING and standing.state is S.ACKED:
            answered = False
        assert after.state.unacknowledged is not answered
        assert not (over(after) and not answered)
        standing = after


def test_every_state_can_be_left_towards_normal() -> None:
    reach = {S.NORMAL}
    for _ in S:
        for state, moves in STATES.items():
            ends = {*moves.values(), *filter(None, [LATCHED_CLEAR.get(state)])}
            if ends & reach:
                reach.add(state)
    assert reach == set(S)
    assert set(LIFTED) <= set(S)


def test_the_printed_table_has_every_row_and_column() -> None:
    text = tables_as_text()
    for state in S:
        assert f"| {state} |" in text
    for event in E:
        assert event.name in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows[: len(S) + 2]}) == 1
