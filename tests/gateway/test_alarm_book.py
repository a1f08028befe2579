"""The alarm book: changes, acts, shelves, reply codes and restart."""

from __future__ import annotations

import copy

import pytest

from gateway.alarms.book import AlarmBook
from gateway.alarms.outcome import Move, Outcome
from gateway.model.alarm import AlarmFacts, AlarmState, Evidence, OperatorAct, Suppression, Verb
from gateway.model.delta import Delta
from gateway.model.point import AlarmClass, Severity
from gateway.model.quality import Doubt, Level, quality
from gateway.model.verdict import NEVER, Cause
from tests.escalation_world import SECOND, change, encoded, facts, ns

S = AlarmState


def flip(
    book: AlarmBook,
    place: int,
    at: float,
    *,
    up: bool,
    what: AlarmFacts | None = None,
    cause: Cause = Cause.CONDITION,
    quality: int = 0,
    evidence: Evidence = Evidence(frame=b"\x01"),  # noqa: B008 - frozen
) -> Move | None:
    flipped = change(place, at, up=up, cause=cause, quality=quality)
    return book.apply(flipped, what or facts(), evidence, Delta())


def act(
    book: AlarmBook, verb: Verb, *alarms: int, at: float = 9.0, until: float = 0.0, reason: str = "检修"
) -> Outcome:
    wish = OperatorAct(
        verb=verb, alarms=alarms, who="li", via="cli", at=ns(at), until=ns(until) if until else 0, reason=reason
    )
    return book.act(wish, Delta())


def test_a_latched_fire_from_first_reading_to_reset() -> None:
    book = AlarmBook()
    raised = flip(book, 1, 1, up=True)
    assert raised is not None
    assert (raised.transition.before, raised.transition.after) == (S.NORMAL, S.UNACK)
    assert raised.transition.evidence.frame == b"\x01"
    assert raised.alarm.since == raised.alarm.raised == ns(1)
    assert book.conditions() == [("r", 1, "")]
    cleared = flip(book, 1, 2, up=False, cause=Cause.RETURNED)
    assert cleared is not None
    assert cleared.alarm.state is S.LATCHED_UNACK
    assert cleared.alarm.returned_at == ns(2)
    assert book.conditions() == []
    assert act(book, Verb.RESET, 1).refusals[0].zh == "请先确认，再复位"
    (acked,) = act(book, Verb.ACK, 1).moves
    assert acked.alarm.state is S.LATCHED_ACKED
    assert (acked.alarm.acknowledged_by, acked.transition.who, acked.transition.at) == ("li", "li", ns(9))
    (reset,) = act(book, Verb.RESET, 1).moves
    assert reset.alarm.state is S.NORMAL
    assert book.open_alarms() == []
    assert book.by_id(1) is None


def test_what_is_no_news_moves_nothing() -> None:
    book = AlarmBook()
    assert flip(book, 1, 0, up=False) is None
    flip(book, 1, 1, up=True)
    assert flip(book, 1, 2, up=True) is None
    flip(book, 1, 3, up=False)
    assert flip(book, 1, 4, up=False) is None


def test_raised_again_asks_for_a_new_answer_with_the_same_id_and_code() -> None:
    book = AlarmBook()
    first = flip(book, 1, 1, up=True)
    act(book, Verb.ACK, 1)
    flip(book, 1, 2, up=False)
    again = flip(book, 1, 3, up=True)
    assert first is not None
    assert again is not None
    assert (again.transition.before, again.alarm.state) == (S.LATCHED_ACKED, S.UNACK)
    assert (again.alarm.id, again.alarm.code, again.alarm.occurrence) == (1, first.alarm.code, 2)
    assert (again.alarm.acknowledged_by, again.alarm.returned_at) == ("", 0)


@pytest.mark.parametrize("how", ["new address", "higher severity"])
def test_escalated_while_still_true_calls_anew(how: str) -> None:
    book = AlarmBook()
    mild = AlarmFacts(
        device="d", point_name="p", cell="", alarm_class=AlarmClass.GAS, severity=Severity.WARNING, latch=True
    )
    flip(book, 1, 1, up=True, what=mild)
    act(book, Verb.ACK, 1)
    again = (
        flip(book, 1, 2, up=True, what=mild, cause=Cause.ESCALATED)
        if how == "new address"
        else flip(book, 1, 2, up=True, what=facts(AlarmClass.GAS))
    )
    assert again is not None
    assert (again.alarm.state, again.transition.cause) == (S.UNACK, Cause.ESCALATED)


def test_unlatched_returns_and_is_ended_by_the_answer() -> None:
    book = AlarmBook()
    flip(book, 1, 1, up=True, what=facts(AlarmClass.FAULT))
    flip(book, 1, 2, up=False)
    assert book.open_alarms()[0].state is S.RTN_UNACK
    act(book, Verb.ACK, 1)
    assert book.open_alarms() == []
    second = flip(book, 1, 3, up=True, what=facts(AlarmClass.FAULT))
    assert second is not None
    assert second.alarm.id == 2


def test_a_shelf_ends_at_its_own_time_and_what_is_true_calls_again() -> None:
    book = AlarmBook()
    flip(book, 1, 1, up=True)
    act(book, Verb.ACK, 1)
    assert act(book, Verb.SHELVE, 1, until=30, reason="").refusals[0].en == "shelving needs a reason"
    assert act(book, Verb.SHELVE, 1, until=9).refusals[0].en == "shelving needs an end in the future"
    (shelved,) = act(book, Verb.SHELVE, 1, until=30).moves
    assert (shelved.alarm.suppression, shelved.transition.reason) == (Suppression.SHELVED, "检修")
    assert book.due() == ns(30)
    assert book.fire(ns(29), Delta()) == []
    (ended,) = book.fire(ns(99), Delta())
    assert (ended.transition.at, ended.transition.cause) == (ns(30), Cause.SHELF_ENDED)
    assert (ended.alarm.state, ended.alarm.suppression) == (S.UNACK, Suppression.NONE)
    assert (ended.alarm.acknowledged_by, ended.alarm.shelved_by) == ("", "")
    assert book.due() == NEVER


def test_removal_takes_the_shelf_along() -> None:
    book = AlarmBook()
    flip(book, 1, 1, up=True)
    act(book, Verb.ACK, 1)
    act(book, Verb.SHELVE, 1, until=30)
    assert book.remove("r", 1, "", ns(10), Delta()) is not None
    assert book.due() == NEVER
    assert book.fire(ns(99), Delta()) == []


def test_shelved_alarm_stays_in_the_book_while_its_condition_is_gone() -> None:
    book = AlarmBook()
    what = facts(AlarmClass.FAULT)
    flip(book, 1, 1, up=True, what=what)
    act(book, Verb.ACK, 1)
    act(book, Verb.SHELVE, 1, until=30)
    flip(book, 1, 12, up=False, what=what)
    raised = flip(book, 1, 13, up=True, what=what)
    assert raised is not None
    assert (raised.alarm.id, raised.alarm.suppression, raised.alarm.state) == (1, Suppression.SHELVED, S.UNACK)
    flip(book, 1, 14, up=False, what=what)
    act(book, Verb.ACK, 1, at=15)
    book.fire(ns(30), Delta())
    assert book.open_alarms() == []


def test_out_of_service_and_back() -> None:
    book = AlarmBook()
    flip(book, 1, 1, up=True)
    assert act(book, Verb.ENABLE, 1).refusals
    assert act(book, Verb.DISABLE, 1).moves
    assert act(book, Verb.SHELVE, 1, until=30).refusals[0].en == "out of service, cannot be shelved"
    assert act(book, Verb.UNSHELVE, 1).refusals
    (back,) = act(book, Verb.ENABLE, 1).moves
    assert (back.alarm.state, back.alarm.suppression) == (S.UNACK, Suppression.NONE)


@pytest.mark.parametrize("answered", [True, False])
def test_removal_ends_what_was_answered_and_keeps_what_was_not(*, answered: bool) -> None:
    book = AlarmBook()
    flip(book, 1, 1, up=True)
    if answered:
        act(book, Verb.ACK, 1)
    removed = book.remove("r", 1, "", ns(20), Delta())
    assert removed is not None
    assert removed.transition.cause is Cause.CONFIGURATION
    assert [alarm.state for alarm in book.open_alarms()] == ([] if answered else [S.RTN_UNACK])
    assert book.remove("r", 1, "", ns(21), Delta()) is None
    act(book, Verb.ACK, 1)
    assert book.open_alarms() == []


def test_every_wrong_wish_is_refused_in_both_languages_and_changes_nothing() -> None:
    book = AlarmBook()
    for number in range(1, 4):
        flip(book, number, 1, up=True)
    act(book, Verb.ACK, 2)
    flip(book, 3, 2, up=False)
    before = encoded({t.name: dict(t.rows) for t in book.tables()})
    for verb, number in [(Verb.RESET, 1), (Verb.ACK, 2), (Verb.RESET, 2), (Verb.RESET, 3), (Verb.ACK, 77)]:
        outcome = act(book, verb, number)
        assert outcome.moves == ()
        assert outcome.refusals[0].alarm == number
        assert outcome.refusals[0].zh
        assert outcome.refusals[0].en
    assert encoded({t.name: dict(t.rows) for t in book.tables()}) == before


def test_acknowledging_nothing_in_particular_means_all_that_are_open() -> None:
    book = AlarmBook()
    for number in range(1, 4):
        flip(book, number, 1, up=True)
    act(book, Verb.ACK, 2)
    assert [move.alarm.id for move in act(book, Verb.ACK).moves] == [1, 3]
    assert len(act(book, Verb.ACK, 77, 77).refusals) == 1


def test_a_retained_state_closed_by_a_person_does_not_raise_again() -> None:
    book = AlarmBook()
    retained = quality(Level.UNCERTAIN, Doubt.RETAINED)
    frame = Evidence(frame=b'{"smoke":true}')
    what = facts(latch=False)
    raised = flip(book, 1, 1, up=True, what=what, quality=retained, evidence=frame)
    assert raised is not None
    assert raised.alarm.from_before_start
    act(book, Verb.ACK, 1)
    flip(book, 1, 2, up=False, what=what)
    assert book.open_alarms() == []
    assert flip(book, 1, 3, up=True, what=what, quality=retained, evidence=frame) is None
    other = flip(book, 1, 4, up=True, what=what, quality=retained, evidence=Evidence(frame=b'{"smoke":true,"n":2}'))
    assert other is not None


def test_codes_are_unique_rotate_and_grow() -> None:
    book = AlarmBook()
    seen = []
    for number in range(2100):
        move = flip(book, number, 1, up=True)
        assert move is not None
        seen.append(move.alarm.code)
    assert len(set(seen)) == len(seen)
    assert {len(code) for code in seen[:60]} == {2}
    assert {len(code) for code in seen[61:500]} == {3}
    assert not any(len(code) > 2 and code.startswith("1") for code in seen)
    freed = book.open_alarms()[10]
    book.remove("r", freed.point, "", ns(2), Delta())
    act(book, Verb.ACK, freed.id)
    move = flip(book, 9999, 3, up=True)
    assert move is not None
    assert move.alarm.code != freed.code


def test_a_code_just_freed_is_not_the_next_one() -> None:
    book = AlarmBook()
    codes = []
    for number in range(300):
        move = flip(book, number, 1, up=True, what=facts(AlarmClass.FAULT))
        assert move is not None
        codes.append(move.alarm.code)
        flip(book, number, 2, up=False, what=facts(AlarmClass.FAULT))
        act(book, Verb.ACK, move.alarm.id)
    assert len(set(codes[:90])) == 90
    assert {len(code) for code in codes} == {2}


@pytest.mark.parametrize("shift", [0, -500 * SECOND, None])
def test_restart_moves_every_time(shift: int | None) -> None:
    book = AlarmBook()
    flip(book, 1, 1, up=True)
    flip(book, 2, 1, up=True)
    act(book, Verb.ACK, 2, at=5)
    act(book, Verb.SHELVE, 2, at=6, until=1000)
    other = AlarmBook()
    other.load(copy.deepcopy({t.name: dict(t.rows) for t in book.tables()}))
    moves = other.rebase(shift, ns(7), Delta())
    first, second = other.open_alarms()
    if shift is None:
        assert [(m.alarm.id, m.transition.cause) for m in moves] == [(2, Cause.SHELF_ENDED)]
        assert first.since == ns(7)
        assert second.state is S.UNACK
        assert other.due() == NEVER
    else:
        assert moves == []
        assert first.since == ns(1) + shift
        assert second.acknowledged_at == ns(5) + shift
        assert other.due() == ns(1000) + shift
    assert first.acknowledged_at == 0
    third = other.apply(change(3, 8, up=True), facts(), Evidence(), Delta())
    assert third is not None
    assert third.alarm.id == 3
    assert third.alarm.code not in {first.code, second.code}
