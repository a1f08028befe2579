"""Rate of change: what enters the window, when it is known, and what it may do (house section 6)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.delta import Delta
from gateway.model.point import AlarmClass
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import RuleSpec
from gateway.model.verdict import Cause, Change
from rules.engine import Engine
from tests.rules.building import SECOND, Row, device, engine, moment, rule

BAD = quality(Level.BAD, Doubt.FAULT_VALUE)
UNCERTAIN = quality(Level.UNCERTAIN, Doubt.DEVICE_DOUBT)
RISING: list[Row] = [(1, 100 + t, 2.0 * t, 0) for t in range(16)]
FLAT: list[Row] = [(1, 116 + t, 30.0, 0) for t in range(16)]


def _rule(when: str = "rate > 1", clear: str | None = None, **given: float) -> RuleSpec:
    options = {"window": 8.0}
    return rule(id="r", kind="rate", when=when, clear=clear, alarm_class=AlarmClass.FIRE, options=options, **given)


def _started(spec: RuleSpec) -> Engine:
    made = engine((device("d", silence=90000.0),), spec)
    made.rebase(0, 0, 0, Delta())
    return made


def _run(spec: RuleSpec, *rows: Row) -> list[tuple[bool, float, Cause]]:
    made, changes = _started(spec), list[Change]()
    for row in rows:
        changes += made.fire(round(row[1] * SECOND) - 1, Delta()) + made.judge(moment(row[1], [row]), Delta())
    return [(change.up, change.at / SECOND, change.cause) for change in changes]


def test_rises_when_half_the_window_is_known_and_returns_when_it_is_flat() -> None:
    flips = _run(_rule(), *RISING, *FLAT)
    assert flips[0] == (True, 103.0, Cause.CONDITION)  # the fourth of eight parts
    assert [flip[0] for flip in flips] == [True, False]
    assert 117.0 <= flips[1][1] <= 123.0


@pytest.mark.parametrize("when", ["rate > 1.9", "per_min > 119", "per_hour > 7150"])
def test_units_of_time(when: str) -> None:
    assert _run(_rule(when), *RISING) == [(True, 103.0, Cause.CONDITION)]


@pytest.mark.parametrize("when", ["rate > 2.1", "per_min > 121", "per_hour > 7250"])
def test_units_of_time_above(when: str) -> None:
    assert _run(_rule(when), *RISING) == []


def test_bad_readings_do_not_enter_the_window() -> None:
    wild: list[Row] = [(1, 100 + t / 2, 2.0 if t % 2 else 9999.0 * t, BAD if t % 2 == 0 else 0) for t in range(40)]
    assert _run(_rule("rate > 0.5 or rate < -0.5", "-0.1 < rate < 0.1"), *wild) == []


def test_late_readings_do_not_enter_the_window() -> None:
    level: list[Row] = [(1, 100 + t, 2.0, 0) for t in range(12)]
    made = _started(_rule("rate > 0.5 or rate < -0.5", "-0.1 < rate < 0.1"))
    for row in level:
        assert made.judge(moment(row[1], [row]), Delta()) == []
        assert made.judge(moment(row[1], [(1, row[1] - 3, 999.0, 0)]), Delta()) == []


def test_a_window_with_an_uncertain_member_raises_and_never_clears() -> None:
    doubtful: list[Row] = [(1, t, v, UNCERTAIN if t % 4 == 0 else 0) for _, t, v, _ in (*RISING, *FLAT)]
    assert _run(_rule(), *doubtful) == [(True, 103.0, Cause.CONDITION)]
    sure: list[Row] = [(1, 132 + t, 30.0, 0) for t in range(10)]
    assert _run(_rule(), *doubtful, *sure)[1:] == [(False, 136.0, Cause.RETURNED)]


def test_a_gap_makes_it_unknown_and_holds() -> None:
    after: list[Row] = [(1, 200 + t, 30.0, 0) for t in range(3)]
    assert _run(_rule(), *RISING, *after) == [(True, 103.0, Cause.CONDITION)]
    assert len(_run(_rule(), *RISING, *after, (1, 203, 30.0, 0))) == 2


def test_what_does_not_depend_on_the_rate_is_judged_without_it() -> None:
    either = _rule("value > 57 or per_min > 60", "value < 40 and per_min < 30")
    assert _run(either, (1, 100, 60.0, 0), (1, 200, 30.0, 0)) == [(True, 100.0, Cause.CONDITION)]
    both = _rule("value > 20 and per_min > 60", "value < 10")
    assert _run(both, (1, 100, 60.0, 0)) == []
    assert _run(both, *RISING, (1, 300, 5.0, UNCERTAIN), (1, 400, 5.0, 0)) == [
        (True, 111.0, Cause.CONDITION),
        (False, 400.0, Cause.RETURNED),
    ]


def test_the_samples_of_one_message_are_judged_one_by_one() -> None:
    made = _started(_rule(on_delay=2.0))
    rows: list[Row] = [*RISING, *FLAT]
    changes = made.judge(moment(140, rows), Delta())
    expected = _run(_rule(on_delay=2.0), *rows)
    assert [(change.up, change.at / SECOND, change.cause) for change in changes] == expected
    assert [change.position for change in changes] == [5, changes[1].position]
    assert len(expected) == 2


def test_a_burst_weighs_no_more_than_one_reading() -> None:
    burst: list[Row] = [(1, 103 + n / 100, 6.0, 0) for n in range(90)]
    assert _run(_rule("rate > 1.5"), *RISING[:4], *burst, *RISING[4:]) == [(True, 103.0, Cause.CONDITION)]


_dense = st.lists(st.tuples(st.sampled_from([0.3, 0.9, 1.0, 2.0]), st.integers(-4, 4)), min_size=12, max_size=30)
NERVOUS = _rule("rate > 0")


def _rows(steps: list[tuple[float, int]]) -> list[Row]:
    time, rows = 100.0, list[Row]()
    for step, value in steps:
        time += step
        rows.append((1, time, float(value), 0))
    return rows


def _feed(made: Engine, rows: list[Row], delta: Delta, shift: float = 0.0) -> list[tuple[bool, int]]:
    changes: list[Change] = []
    for point, time, value, doubt in rows:
        changes += made.judge(moment(time + shift, [(point, time + shift, value, doubt)]), delta)
    return [(change.up, change.at - round(shift * SECOND)) for change in changes]


@settings(max_examples=60, deadline=None)
@given(_dense, st.integers(0, 30), st.sampled_from([-70.5, 0.0, 12.25]))
def test_the_window_moves_with_the_axis_of_time(steps: list[tuple[float, int]], place: int, shift: float) -> None:
    rows = _rows(steps)
    expected = _feed(_started(NERVOUS), rows, Delta())
    old, made = _started(NERVOUS), _started(NERVOUS)
    got = _feed(old, rows[:place], Delta())
    if place % 2:
        made.rebase(5 * SECOND, 0, 0, Delta())  # what a restore replaces
    assert made.restore(old.snapshot()) == []
    made.rebase(round(shift * SECOND), 20 * SECOND, 100 * SECOND, Delta())
    got += _feed(made, rows[place : place + 3], Delta(), shift)
    made.rebase(-round(shift * SECOND), 20 * SECOND, 100 * SECOND, Delta())
    assert got + _feed(made, rows[place + 3 :], Delta()) == expected


@settings(max_examples=60, deadline=None)
@given(_dense, _dense, st.integers(0, 30))
def test_an_undone_window_is_as_before(
    steps: list[tuple[float, int]], others: list[tuple[float, int]], place: int
) -> None:
    rows = _rows(steps)
    expected = _feed(_started(NERVOUS), rows, Delta())
    made, delta = _started(NERVOUS), Delta()
    got = _feed(made, rows[:place], Delta())
    _feed(made, [(1, time + sum(step for step, _ in steps[:place]), v, q) for _, time, v, q in _rows(others)], delta)
    if place % 2:
        made.rebase(None, 0, 0, delta)
    delta.undo()
    assert got + _feed(made, rows[place:], Delta()) == expected


def test_an_unknown_time_down_empties_the_window() -> None:
    made = _started(_rule())
    _feed(made, RISING[:3], Delta())
    made.rebase(None, 102 * SECOND, 102 * SECOND, Delta())
    assert _feed(made, RISING[3:6], Delta()) == []
    assert _feed(made, RISING[6:7], Delta()) == [(True, 106 * SECOND)]
