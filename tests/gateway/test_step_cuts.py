"""Properties of the whole step: cuts, undo, replay, two stations at once, and what may clear an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.escalation.rows import ASKING
from gateway.model.alarm import AlarmEvent, OperatorAct, Transition, Verb
from gateway.model.batch import Batch, Event, EventCode, make_batch
from gateway.model.inventory import events_of
from gateway.model.moment import Epoch, Input
from gateway.model.notification import Notification
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import SECOND
from gateway.model.verdict import Cause
from gateway.pipeline import recovery
from gateway.pipeline.intake import arrival_of
from gateway.pipeline.run import split
from gateway.pipeline.step import Effects, State, step
from gateway.store.journal import decode, encode
from gateway.testing import BOOTED, WALL, Scenario
from tests.step_station import STATION

GONE = (Doubt.NO_COMMS, Doubt.OFFLINE)
QUALITIES = (0, 0, 0, quality(Level.UNCERTAIN, Doubt.OVER_RANGE), *(quality(Level.BAD, why) for why in GONE))
CODES = (EventCode.FIRE, EventCode.FIRE, EventCode.RESTORE, EventCode.RESET, EventCode.FAULT, EventCode.INFO)
END = 2_000


class Wish(NamedTuple):
    """One input to be: seconds since the one before, what it is, and its numbers."""

    after: float
    kind: str
    numbers: tuple[int, ...]


def wish(kind: str, *numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Wish]:
    """Draw an input of a kind."""
    return st.builds(Wish, st.sampled_from([0, 0.5, 1, 2, 3, 7, 20, 61]), st.just(kind), st.tuples(*numbers))


SMALL = st.integers(0, 5)
READ = wish("read", SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL)
WISHES = st.lists(
    st.one_of(READ, READ, READ, wish("event", SMALL, SMALL, SMALL), wish("act", SMALL, SMALL), wish("epoch", SMALL)),
    min_size=1,
    max_size=14,
)
VALUES = (0.0, 4.0, 12.0, 12.0, 33.0, 60.0)
VERBS = (Verb.ACK, Verb.ACK, Verb.RESET, Verb.SHELVE, Verb.UNSHELVE, Verb.DISABLE)


def inputs_of(ids: dict[str, int], wishes: Sequence[Wish]) -> list[Input]:
    """Make the inputs, in order of arrival, beginning at second 1."""
    made: list[Input] = []
    at = BOOTED + SECOND
    for after, kind, numbers in wishes:
        at += round(after * SECOND)
        if kind == "read":
            rows = []
            for place in (0, 4):
                which, value, doubt, late = numbers[place : place + 4]
                source = 0 if late < 3 else at - BOOTED + WALL - late * SECOND
                point = ids[("gas.ch4", "temp.t", "gas.ch4", "temp.t", "mute.x", "gas.ch4")[which]]
                rows.append((point, source, VALUES[value], (*QUALITIES, 0)[doubt]))
            made.append(make_batch("s", at, rows))
        elif kind == "event":
            code, address, device = numbers
            point = ids[events_of("panel" if device else "@s")]
            event = Event(point, f"3/{address}" if address else "", CODES[code], f"三层{address}")
            made.append(make_batch("s", at, events=[event]))
        elif kind == "act":
            verb, alarm = numbers
            until = at + 30 * SECOND
            made.append(
                OperatorAct(
                    verb=VERBS[verb], alarms=(alarm,), who="li", via="cli", at=at, until=until, reason="r", request="q"
                )
            )
        else:
            offset = WALL - BOOTED + (numbers[0] % 2) * 3600 * SECOND
            made.append(Epoch(boot="boot-1", mono_from=at, wall_offset=offset, trusted=numbers[0] != 3))
    return made


def begun() -> Scenario:
    """Return a station that has just started."""
    return Scenario(STATION).start()


class Said(NamedTuple):
    """What steps said: transitions, and every notice as it was planned."""

    transitions: list[Transition]
    notices: dict[int, tuple[Any, ...]]

    def add(self, effects: Effects) -> None:
        """Take what one step said."""
        self.transitions.extend(effects.transitions)
        for kind, body in effects.records:
            if kind == "notice" and isinstance(body, Notification):
                told = (body.alarm, body.contact, body.channel, body.reason, body.text, body.planned_at)
                self.notices.setdefault(body.id, told)


def play(state: State, steps: Sequence[tuple[int, list[Input]]]) -> Said:
    """Run steps through a state."""
    said = Said([], {})
    for now, inputs in steps:
        said.add(step(state, inputs, now)[1])
    return said


def whole(inputs: list[Input]) -> list[tuple[int, list[Input]]]:
    """Everything in one step, then every timer."""
    return [(BOOTED + END * SECOND, inputs)]


def cut(inputs: list[Input], data: st.DataObject) -> list[tuple[int, list[Input]]]:
    """Cut inputs anywhere: batches in two, several to a step, `now` anywhere below the next arrival."""
    pieces: list[Input] = []
    for item in inputs:
        if isinstance(item, Batch) and len(item) > 1 and data.draw(st.booleans()):
            pieces.extend(split(item))
        else:
            pieces.append(item)
    steps: list[tuple[int, list[Input]]] = []
    group: list[Input] = []
    for place, item in enumerate(pieces):
        group.append(item)
        after = arrival_of(pieces[place + 1]) if place + 1 < len(pieces) else BOOTED + END * SECOND
        if data.draw(st.booleans()):
            steps.append((data.draw(st.sampled_from([after - 1, min(after - 1, arrival_of(item))])), group))
            group = []
            if data.draw(st.integers(0, 3)) == 0:
                steps.append((after - 1, []))
    return [*steps, (BOOTED + END * SECOND, group)]


@settings(max_examples=50, phases=(Phase.explicit, Phase.generate))
@given(WISHES, st.data())
def test_any_cut_gives_the_same_transitions(wishes: list[Wish], data: st.DataObject) -> None:
    one, other = begun(), begun()
    inputs = inputs_of(one.ids, wishes)
    expected = play(one.state, whole(inputs))
    got = play(other.state, cut(inputs_of(other.ids, wishes), data))
    assert got.transitions == expected.transitions
    steady = all(kind != "epoch" for _, kind, _ in wishes)
    assert first_told(got, worded=steady) == first_told(expected, worded=steady)


def first_told(said: Said, *, worded: bool) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return of each (alarm, contact, channel) the first notice that asked: its reason, logical time and words.

    What comes after depends on what had left by then, and which wall time words say on what was known of it when they
    were written: facts of the commit and not of the inputs (ADR 14).
    """
    asking = [told for _, told in sorted(said.notices.items()) if told[3] in ASKING]
    return {
        (alarm, contact, channel): (reason, at, text if worded else "")
        for alarm, contact, channel, reason, text, at in reversed(asking)
    }


def deep(scenario: Scenario) -> dict[str, bytes]:
    """Return the whole state as bytes: durable rows, rules, latest values."""
    tables = recovery.tables_of(scenario.state)
    rows = {table.name: {key: repr(row) for key, row in table.rows.items()} for table in tables}
    return {**recovery.blobs_of(scenario.state), "rows": msgspec.json.encode(rows, order="deterministic")}


@settings(max_examples=40, phases=(Phase.explicit, Phase.generate))
@given(WISHES, WISHES)
def test_an_undone_step_never_happened(first: list[Wish], second: list[Wish]) -> None:
    scenario = begun()
    play(scenario.state, [(arrival_of(item), [item]) for item in inputs_of(scenario.ids, first)])
    before, logical = deep(scenario), scenario.state.logical
    axis, audited = scenario.state.axis, scenario.state.audited
    later = inputs_of(scenario.ids, [second[0]._replace(after=500), *second[1:]])
    step(scenario.state, later, BOOTED + END * SECOND)[0].undo()
    scenario.state.logical, scenario.state.axis, scenario.state.audited = logical, axis, audited
    assert deep(scenario) == before


@settings(max_examples=40, phases=(Phase.explicit, Phase.generate))
@given(WISHES, st.integers(0, 14), st.integers(1, 2), st.sampled_from([0, 1, 700]))
def test_a_snapshot_and_the_tail_are_the_life_before(wishes: list[Wish], place: int, lives: int, down: int) -> None:
    live = begun()
    for number, item in enumerate(inputs_of(live.ids, wishes)):
        if number == place:
            live.snapshot()
        live.give(live.seconds(arrival_of(item)), item)
    again = live
    for _ in range(lives):  # the second time, the tail holds a start
        again = again.restarted(again.now + down)
        assert again.remarks == []
    other = begun()
    for item in inputs_of(other.ids, wishes):
        other.give(other.seconds(arrival_of(item)), item)
    if lives == 1 and not down:
        assert again.state.engine.active() == other.state.engine.active()
        assert again.state.engine.tables.delays.rows == other.state.engine.tables.delays.rows
        assert np.array_equal(again.state.latest.time, other.state.latest.time) or place >= len(wishes)


@settings(max_examples=30, phases=(Phase.explicit, Phase.generate))
@given(WISHES)
def test_what_the_journal_gives_back_is_judged_as_it_was(wishes: list[Wish]) -> None:
    live, replayed = begun(), begun()
    steps = [(arrival_of(item), [item]) for item in inputs_of(live.ids, wishes)]
    expected = play(live.state, steps)
    assert play(replayed.state, decode(encode(steps))) == expected
    assert deep(replayed) == deep(live)


@settings(max_examples=20, phases=(Phase.explicit, Phase.generate))
@given(WISHES, WISHES)
def test_two_stations_in_turn_are_two_stations(first: list[Wish], second: list[Wish]) -> None:
    alone = [begun(), begun()]
    expected = [
        play(one.state, [(arrival_of(item), [item]) for item in inputs_of(one.ids, wishes)])
        for one, wishes in zip(alone, (first, second), strict=True)
    ]
    pair = [begun(), begun()]
    got = [Said([], {}), Said([], {})]
    waiting = [inputs_of(one.ids, wishes) for one, wishes in zip(pair, (first, second), strict=True)]
    while any(waiting):
        for one, said, inputs in zip(pair, got, waiting, strict=True):
            if inputs:
                item = inputs.pop(0)
                said.add(step(one.state, [item], arrival_of(item))[1])
    assert got == expected


@settings(max_examples=50, phases=(Phase.explicit, Phase.generate))
@given(WISHES)
def test_nothing_but_a_good_reading_a_panel_or_a_person_clears_and_there_is_always_a_next_step(
    wishes: list[Wish],
) -> None:
    scenario = begun()
    for item in inputs_of(scenario.ids, wishes):
        _, effects = step(scenario.state, [item], arrival_of(item))
        for transition in effects.transitions:
            if transition.event is AlarmEvent.CLEAR and transition.cause is Cause.RETURNED:
                assert transition.evidence.quality == 0
            assert transition.event is not AlarmEvent.REMOVE
        assert scenario.state.escalation.audit(scenario.alarms(), scenario.state.logical) == []
        open_now = {alarm.id for alarm in scenario.alarms()}
        for transition in effects.transitions:
            assert transition.alarm in open_now or not transition.after.unacknowledged
