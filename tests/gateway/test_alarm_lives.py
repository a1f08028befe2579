"""Random lives of the alarm book: nothing unanswered is lost, no id is reused, undoing restores exactly."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms.book import AlarmBook
from gateway.alarms.outcome import Move
from gateway.model.alarm import AlarmEvent, AlarmState, Evidence, OperatorAct, Verb
from gateway.model.delta import Delta
from tests.escalation_world import change, encoded, facts, ns

S = AlarmState

WISHES = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 3), st.booleans(), st.booleans()),
    st.tuples(st.just("act"), st.integers(0, 6), st.sampled_from(list(Verb)), st.booleans()),
    st.tuples(st.just("time"), st.integers(1, 40), st.just(0), st.just(0)),
    st.tuples(st.just("remove"), st.integers(0, 3), st.just(0), st.just(0)),
)


def _everything(book: AlarmBook) -> bytes:
    fresh = AlarmBook()
    fresh.load({t.name: dict(t.rows) for t in book.tables()})
    assert [a.id for a in fresh.open_alarms()] == [a.id for a in book.open_alarms()]
    assert fresh.due() == book.due()
    assert all(fresh.by_id(a.id) == book.by_id(a.id) == a for a in book.open_alarms())
    return encoded({t.name: dict(t.rows) for t in book.tables()})


def _play(book: AlarmBook, wish: tuple[str, int, Any, Any], now: int, delta: Delta) -> list[Move]:
    kind, number, what, latch = wish
    if kind == "flip":
        move = book.apply(change(number, now, up=what), facts(latch=latch), Evidence(), delta)
        return [] if move is None else [move]
    if kind == "act":
        act = OperatorAct(
            verb=what, alarms=(number,), who="li", via="cli", at=ns(now), until=ns(now + 20 * latch), reason="r"
        )
        return list(book.act(act, delta).moves)
    if kind == "time":
        return book.fire(ns(now), delta)
    removed = book.remove("r", number, "", ns(now), delta)
    return [] if removed is None else [removed]


@settings(max_examples=120, deadline=None)
@given(st.lists(WISHES, max_size=40), st.data())
def test_random_lives_lose_nothing_reuse_nothing_and_undo_exactly(
    wishes: list[tuple[str, int, Any, Any]], data: st.DataObject
) -> None:
    book = AlarmBook()
    now = 0
    born: set[int] = set()
    for wish in wishes:
        now += wish[1] if wish[0] == "time" else 1
        before = _everything(book)
        unanswered = {a.id for a in book.open_alarms() if a.state.unacknowledged}
        delta = Delta()
        moves = _play(book, wish, now, delta)
        answered = {m.alarm.id for m in moves if m.transition.event is AlarmEvent.ACK}
        assert unanswered - answered <= {a.id for a in book.open_alarms() if a.state.unacknowledged}
        for move in moves:
            new = move.transition.before is S.NORMAL and move.alarm.occurrence == 1
            assert not (new and move.alarm.id in born)
            born.add(move.alarm.id)
        codes = [a.code for a in book.open_alarms()]
        assert len(set(codes)) == len(codes)
        if data.draw(st.booleans()):
            delta.undo()
            assert _everything(book) == before
            _play(book, wish, now, Delta())
