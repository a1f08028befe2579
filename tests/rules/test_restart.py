"""Delays over a reboot, other code, another configuration (house sections 3 and 10), and a kind that raises."""

from __future__ import annotations

import msgspec
import pytest

from gateway.model.batch import Event, EventCode
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.point import AlarmClass, Kind, PointSpec
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import RuleSpec
from gateway.model.verdict import Cause, Change
from rules.engine import Engine
from tests.rules.building import SECOND, Row, compiled, device, engine, moment, rule

ONE = (device("d", silence=90000.0),)
TWO = (device("d", silence=90000.0), device("e", silence=90000.0))
BAD = quality(Level.BAD, Doubt.NO_COMMS)
GAS_RULE = rule(clear="value < 5", on_delay=10.0, off_delay=10.0)


def _of(alarm_class: AlarmClass) -> RuleSpec:
    return rule(clear="value < 5", on_delay=10.0, off_delay=10.0, alarm_class=alarm_class)


def _run(made: Engine, *rows: Row) -> list[Change]:
    delta = Delta()
    changes: list[Change] = []
    for row in rows:
        at = row[1]
        changes += made.fire(round(at * SECOND) - 1, delta) + made.judge(moment(at, [row]), delta)
    return changes


def _short(changes: list[Change]) -> list[tuple[bool, float, Cause]]:
    return [(change.up, change.at / SECOND, change.cause) for change in changes]


def _reborn(old: Engine, spec: RuleSpec, shift: int | None, at: float, last: float) -> Engine:
    """Return an engine that has only the durable rows of the old one, started at `at`."""
    made = engine(ONE, spec)
    made.resume(list(old.tables.delays), old.active(), heard=old.tables.heard.rows)
    seconds = None if shift is None else shift * SECOND
    made.rebase(seconds, round(at * SECOND), round(last * SECOND), Delta())
    return made


def _pending(spec: RuleSpec = GAS_RULE) -> Engine:
    old = engine(ONE, spec)
    old.rebase(0, 0, 0, Delta())
    _run(old, (1, 1000, 20.0, 0))
    return old


@pytest.mark.parametrize("alarm_class", [AlarmClass.GAS, AlarmClass.SUPERVISORY])
def test_known_time_down_counts(alarm_class: AlarmClass) -> None:
    spec = _of(alarm_class)
    made = _reborn(_pending(spec), spec, shift=-995, at=9, last=1000)  # 1000 → 5; starts at 9; due at 15
    assert made.fire(15 * SECOND - 1, Delta()) == []
    assert _short(made.fire(15 * SECOND, Delta())) == [(True, 15.0, Cause.CONDITION)]


def test_a_delay_that_ended_while_down_is_stamped_with_its_own_time() -> None:
    made = _reborn(_pending(), GAS_RULE, shift=0, at=5000, last=1000)
    assert _short(made.fire(5000 * SECOND, Delta())) == [(True, 1010.0, Cause.CONDITION)]


@pytest.mark.parametrize("alarm_class", [AlarmClass.FIRE, AlarmClass.GAS, AlarmClass.FLOOD])
def test_unknown_time_down_life_safety_raises_at_the_first_true(alarm_class: AlarmClass) -> None:
    spec = _of(alarm_class)
    made = _reborn(_pending(spec), spec, shift=None, at=3, last=1001)
    assert _short(_run(made, (1, 4, 20.0, 0))) == [(True, 4.0, Cause.CONDITION)]


def test_unknown_time_down_nothing_heard_in_the_first_poll_round() -> None:
    made = _reborn(_pending(), GAS_RULE, shift=None, at=3, last=1001)
    _run(made, (1, 4, 0.0, BAD))
    assert _short(made.fire(500 * SECOND, Delta())) == [(True, 63.0, Cause.LOST_WHILE_PENDING)]


def test_unknown_time_down_a_good_false_ends_it() -> None:
    made = _reborn(_pending(), GAS_RULE, shift=None, at=3, last=1001)
    assert _run(made, (1, 4, 1.0, 0)) == []
    assert made.fire(500 * SECOND, Delta()) == []


def test_unknown_time_down_other_on_delays_continue_from_what_had_elapsed() -> None:
    spec = _of(AlarmClass.SUPERVISORY)
    made = _reborn(_pending(spec), spec, shift=None, at=3, last=1004)  # 4 s had elapsed
    assert made.fire(9 * SECOND - 1, Delta()) == []
    assert _short(made.fire(9 * SECOND, Delta())) == [(True, 9.0, Cause.CONDITION)]


@pytest.mark.parametrize(("shift", "cleared"), [(-1020, [30.0]), (None, [34.0])])
def test_off_delays_count_or_start_again(shift: int | None, cleared: list[float]) -> None:
    old = _pending()
    assert len(_run(old, (1, 1040, 1.0, 0))) == 1  # raised at 1010, clearing since 1040
    made = _reborn(old, GAS_RULE, shift=shift, at=22, last=1041)
    if shift is None:
        assert made.fire(23 * SECOND, Delta()) == []
    changes = _run(made, (1, 24, 1.0, 0)) + made.fire(500 * SECOND, Delta())
    assert _short(changes) == [(False, at, Cause.RETURNED) for at in cleared]


def test_rebase_can_be_undone() -> None:
    old = _pending()
    before, rows = old.snapshot(), dict(old.tables.delays.rows)
    for shift in (None, 55 * SECOND):
        delta = Delta()
        old.rebase(shift, 7 * SECOND, 1000 * SECOND, delta)
        delta.undo()
        assert old.snapshot() == before
        assert old.tables.delays.rows == rows


def test_a_snapshot_of_other_code_costs_windows_not_delays() -> None:
    old = _pending()
    blob = msgspec.msgpack.decode(msgspec.msgpack.encode(old.snapshot()))
    blob["kinds"]["threshold"]["version"] = 999
    blob["kinds"]["rate"]["window"]["part"] = b"odd"
    made = engine(ONE, GAS_RULE)
    assert sorted(made.restore(blob)) == ["rate", "threshold"]
    made.resume(list(old.tables.delays), old.active())
    assert _short(made.fire(2000 * SECOND, Delta())) == [(True, 1010.0, Cause.CONDITION)]
    assert engine(ONE, GAS_RULE).restore({"version": 999}) == sorted(made.kinds)


def test_the_durable_rows_count_where_a_replay_disagrees() -> None:
    old = _pending()
    made = engine(ONE, GAS_RULE)
    fresh = made.snapshot()
    made.restore(old.snapshot())
    made.resume([], frozenset({("gas", 1, "")}))
    assert made.active() == {("gas", 1, "")}
    assert len(made.tables.delays) == 0
    assert made.restore(fresh) == []
    made.resume(list(old.tables.delays), frozenset())
    assert made.tables.delays.rows == old.tables.delays.rows
    assert _short(made.fire(2000 * SECOND, Delta())) == [(True, 1010.0, Cause.CONDITION)]


def test_an_adoption_undone_can_be_tried_again() -> None:
    old = _pending()
    made = engine(TWO, rule(on_delay=0.0, clear="value < 5"))
    latest = moment(1005, [(1, 1000, 20.0, 0), (2, 900, 50.0, 0)])
    delta = Delta()
    first = made.adopt(old, latest, delta)
    delta.undo()
    assert len(old.tables.delays) == 1
    assert made.adopt(old, latest, Delta()) == first
    assert len(first.changes) == 2
    assert len(old.tables.delays) == 0


def _latest(at: float, *rows: Row) -> Moment:
    return moment(at, rows)


def test_adoption_an_unchanged_rule_keeps_its_delay() -> None:
    old = _pending()
    made = engine(TWO, GAS_RULE, rule(id="new", points=("e.*",), alarm_class=AlarmClass.FIRE))
    adoption = made.adopt(old, _latest(1005, (1, 1000, 20.0, 0), (2, 900, 50.0, 0)), Delta())
    assert [(c.rule, c.point, c.up, c.at // SECOND) for c in adoption.changes] == [("new", 2, True, 900)]
    assert adoption.removed == []
    assert _short(made.fire(1010 * SECOND, Delta()))[0] == (True, 910.0, Cause.CONDITION)  # the gas rule at point 2
    assert _short(_run(made, (1, 1011, 20.0, 0))) == []
    assert ("gas", 1, "") in made.active()


def test_adoption_a_changed_rule_is_judged_at_once_and_keeps_its_condition() -> None:
    old = _pending()
    changed = rule(when="value > 15", clear="value < 3", on_delay=0.0)
    made = engine(ONE, changed)
    adoption = made.adopt(old, _latest(1005, (1, 1000, 20.0, 0)), Delta())
    assert _short(adoption.changes) == [(True, 1000.0, Cause.CONDITION)]
    assert len(made.tables.delays) == 0
    again = engine(ONE, rule(when="value > 50", clear="value < 30", off_delay=0.0))
    adoption = again.adopt(made, _latest(1006, (1, 1000, 20.0, 0)), Delta())
    assert _short(adoption.changes) == [(False, 1000.0, Cause.RETURNED)]


def test_adoption_lists_what_is_gone() -> None:
    panel = device("p", PointSpec(name="events", kind=Kind.TEXT), silence=90000.0)
    old = engine((*ONE, panel), rule(on_delay=0.0, points=("d.*",)), rule(id="x", on_delay=9.0, points=("d.*",)))
    old.rebase(0, 0, 0, Delta())
    _run(old, (1, 5, 20.0, 0))
    old.events([Event(2, "3", EventCode.FIRE)], 6 * SECOND, Delta())
    delta = Delta()
    made = engine(ONE)
    adoption = made.adopt(old, _latest(7, (1, 5, 20.0, 0)), delta)
    assert adoption.removed == [("event:fire", 2, "3"), ("gas", 1, "")]
    assert len(old.tables.delays) == len(old.tables.levels) == 0
    delta.undo()
    assert old.active() == {("event:fire", 2, "3"), ("gas", 1, "")}
    assert [(c.rule, c.at // SECOND) for c in old.fire(14 * SECOND, Delta())] == [("x", 14)]


def test_a_kind_that_raises_costs_its_own_slots_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(ONE, rule(id="slow", clear="value < 5", off_delay=3.0), rule(id="r", kind="rate", when="rate > 1"))
    made.rebase(0, 0, 0, Delta())
    assert len(_run(made, (1, 1, 20.0, 0), (1, 2, 0.0, 0))) == 1
    threshold = made.kinds["threshold"]
    monkeypatch.setattr(threshold, "apply", lambda *_: 1 / 0)
    assert _run(made, *((1, t, float(3 * t), 0) for t in range(3, 70)))[0].rule == "r"
    fault = made.tables.faults["threshold"]
    assert (fault.kind, fault.error, fault.at) == ("threshold", "ZeroDivisionError: division by zero", 69 * SECOND)
    assert ("slow", 1, "") in made.active()  # its off-delay stopped: nothing cleared unseen
    monkeypatch.undo()
    _run(made, *((1, t, 0.0, 0) for t in range(70, 135)))
    assert len(made.tables.faults) == 0
    assert ("slow", 1, "") not in made.active()


def test_losing_a_kind_makes_a_pending_fire_raise_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _pending()
    monkeypatch.setattr(made.kinds["threshold"], "apply", lambda *_: 1 / 0)
    assert _run(made, (1, 1003, 0.0, 0)) == []
    assert _short(made.fire(1010 * SECOND, Delta())) == [(True, 1010.0, Cause.LOST_WHILE_PENDING)]


def test_compiled_engines_share_nothing() -> None:
    one, problems = compiled(ONE, (GAS_RULE,))
    assert problems == []
    other = engine(ONE, GAS_RULE)
    one.rebase(0, 0, 0, Delta())
    _run(one, (1, 1, 20.0, 0))
    assert len(other.tables.delays) == 0
