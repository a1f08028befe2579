"""Silence of a configured device: when it is told, what counts as heard, and that a restart does not forget."""

from __future__ import annotations

import pytest

from gateway.model.batch import Event, EventCode
from gateway.model.delta import Delta
from gateway.model.point import Kind, Point, PointSpec
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import Limits
from gateway.model.verdict import NEVER, Cause, Change
from rules.compile import compile_rules
from rules.compiled import Heard, PlaceId
from rules.engine import Engine
from rules.kinds.absence import GRACE
from tests.rules.building import GAS, SECOND, device, engine, moment, points_of, rule, station

TWO = (device("a", GAS, PointSpec(name="t", unit="Cel")), device("b", silence=90000.0))
BAD = quality(Level.BAD, Doubt.NO_COMMS)


def _started(at: int = 0) -> Engine:
    made = engine(TWO)
    made.rebase(0, at * SECOND, at * SECOND, Delta())
    return made


def _flips(changes: list[Change]) -> list[tuple[int, bool, float, Cause]]:
    return [(change.point, change.up, change.at / SECOND, change.cause) for change in changes]


def test_a_device_never_heard_counts_from_the_start() -> None:
    made = _started(at=1000)
    assert made.fire(1100 * SECOND - 1, Delta()) == []
    assert _flips(made.fire(1100 * SECOND, Delta())) == [(1, True, 1100.0, Cause.SILENCE)]
    assert _flips(made.fire(10**6 * SECOND, Delta())) == [(3, True, 91000.0, Cause.SILENCE)]
    assert made.due() == NEVER


@pytest.mark.parametrize("row", [(1, 40, 5.0, 0), (2, 40, 5.0, 0), (2, 7, 5.0, 64)])
def test_any_reading_better_than_bad_is_heard_at_its_arrival(row: tuple[int, float, float, int]) -> None:
    made = _started()
    made.judge(moment(50, [row]), Delta())
    assert _flips(made.fire(151 * SECOND, Delta())) == [(1, True, 150.0, Cause.SILENCE)]


def test_a_bad_reading_is_not_heard_of() -> None:
    made = _started()
    made.judge(moment(50, [(1, 50, 0.0, BAD)]), Delta())
    assert _flips(made.fire(101 * SECOND, Delta())) == [(1, True, 100.0, Cause.SILENCE)]


def test_a_retained_state_is_said_by_the_broker_and_no_sign_of_life() -> None:
    made = _started()
    made.judge(moment(50, [(2, 50, 0.0, quality(Level.UNCERTAIN, Doubt.RETAINED))]), Delta())
    assert _flips(made.fire(101 * SECOND, Delta())) == [(1, True, 100.0, Cause.SILENCE)]
    assert made.judge(moment(120, [(2, 120, 0.0, quality(Level.UNCERTAIN, Doubt.RETAINED))]), Delta()) == []


def test_signs_of_life_and_events_are_heard() -> None:
    made = _started()
    made.judge(moment(50, [], heard=[2]), Delta())
    made.events([Event(1, "", EventCode.TEST)], 120 * SECOND, Delta())
    assert _flips(made.fire(300 * SECOND, Delta())) == [(1, True, 220.0, Cause.SILENCE)]


OFFLINE = quality(Level.BAD, Doubt.OFFLINE)  # of device b: it is waited for for a day


@pytest.mark.parametrize(
    ("told", "silent"),
    [
        ([(50, OFFLINE)], 150.0),
        ([(50, OFFLINE), (140, OFFLINE)], 150.0),  # said again
        ([(50, OFFLINE), (120, 0)], 90_120.0),  # it came back
        ([(50, OFFLINE), (120, 0), (130, OFFLINE)], 230.0),
        ([(50, OFFLINE), (120, BAD)], 150.0),
        ([(50, 0), (50, OFFLINE)], 90_050.0),  # which of them was later nobody knows
        ([(50, OFFLINE), (50, 0)], 90_050.0),
        ([(50, BAD)], 90_000.0),  # no answer is no proof
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_who_is_told_to_be_gone_is_a_fault_before_its_limit(
    told: list[tuple[int, int]],
    silent: float,
    at_once: bool,  # noqa: FBT001 - a case
) -> None:
    made = _started()
    assert GRACE == 100 * SECOND
    times = dict.fromkeys(at for at, _ in told)
    rows = {at: [(3, at, 0.0, mark) for when, mark in told if when == at] for at in times}
    for at in times:
        for some in [rows[at]] if at_once else [[row] for row in rows[at]]:
            made.judge(moment(at, some), Delta())
    found = [one for one in _flips(made.fire(100_000 * SECOND, Delta())) if one[0] == 3]
    assert found == [(3, True, silent, Cause.SILENCE)]


def test_a_device_that_was_gone_comes_back() -> None:
    made = _started()
    made.judge(moment(50, [(3, 50, 0.0, OFFLINE)]), Delta())
    assert [one[0] for one in _flips(made.fire(150 * SECOND, Delta()))] == [1, 3]
    assert _flips(made.judge(moment(200, [(3, 200, 1.0, 0)]), Delta())) == [(3, False, 200.0, Cause.HEARD)]
    assert _flips(made.fire(1000 * SECOND, Delta())) == []


def test_a_commit_that_fails_takes_it_back_that_a_device_is_gone() -> None:
    made, delta = _started(), Delta()
    made.judge(moment(50, [(3, 50, 0.0, OFFLINE)]), delta)
    delta.undo()
    assert [one[0] for one in _flips(made.fire(1000 * SECOND, Delta()))] == [1]


@pytest.mark.parametrize("former", [False, True])
def test_who_is_gone_is_known_after_a_restart_as_far_as_the_snapshot_tells(former: bool) -> None:  # noqa: FBT001 - a case
    first, made = _started(), engine(TWO)
    first.judge(moment(50, [(3, 50, 0.0, OFFLINE)]), Delta())
    kept = first.kinds["absence"].snapshot()
    if former:
        slots = {name: column for name, column in kept["slots"].items() if name != "gone"}
        kept = {**kept, "slots": slots}
    made.kinds["absence"].restore(kept)
    made.rebase(10 * SECOND, 60 * SECOND, 50 * SECOND, Delta())
    found = [one for one in _flips(made.fire(100_000 * SECOND, Delta())) if one[0] == 3]
    assert found == [(3, True, 90_010.0 if former else 160.0, Cause.SILENCE)]


def test_heard_again() -> None:
    made = _started()
    made.fire(100 * SECOND, Delta())
    changes = made.judge(moment(130, [(2, 130, 1.0, 0), (1, 130, 1.0, 0)]), Delta())
    assert _flips(changes) == [(1, False, 130.0, Cause.HEARD)]
    assert changes[0].position == 0
    assert changes[0].value == 130.0
    assert _flips(made.fire(231 * SECOND, Delta())) == [(1, True, 230.0, Cause.SILENCE)]


def test_one_row_a_minute_and_at_every_flip() -> None:
    made = _started()
    written = 0
    for at in range(1, 601):
        delta = Delta()
        made.judge(moment(at, [(1, at, 1.0, 0)]), delta)
        written += sum(name == "heard" for name, _, _ in delta.rows())
    assert written == 10
    delta = Delta()
    made.fire(700 * SECOND, delta)
    made.judge(moment(701, [(1, 701, 1.0, 0)]), delta)
    row = made.tables.heard["silence|1|"]
    assert (row.at, row.silent) == (701 * SECOND, False)


def test_a_daily_reboot_does_not_restart_a_long_limit() -> None:
    rows: dict[str, Heard] = {}
    silent: frozenset[PlaceId] = frozenset()
    fell_silent = []
    for day in range(3):
        made = engine(TWO)
        made.resume([], silent, heard=rows)
        last = 86400 * SECOND if day else 0
        made.rebase(-86400 * SECOND if day else 0, 0, last, Delta())
        fell_silent += [(day, c.at // SECOND) for c in made.fire(86400 * SECOND, Delta()) if c.point == 3]
        rows, silent = dict(made.tables.heard.rows), made.active()
    assert fell_silent == [(1, 90000 - 86400)]


def test_faults_wait_one_poll_round_after_a_start() -> None:
    made = engine(TWO, limits=Limits(settle=60.0))
    first = _started()
    made.resume([], frozenset(), heard=first.tables.heard.rows)
    made.rebase(0, 5000 * SECOND, 5000 * SECOND, Delta())
    assert made.fire(5060 * SECOND - 1, Delta()) == []
    assert _flips(made.fire(5060 * SECOND, Delta())) == [(1, True, 5060.0, Cause.SILENCE)]


def test_unknown_time_down_counts_as_none() -> None:
    made = engine(TWO)
    first = _started()
    made.resume([], frozenset(), heard=first.tables.heard.rows)
    made.rebase(None, 7 * SECOND, 30 * SECOND, Delta())  # 30 s of silence before, then who knows how long
    assert _flips(made.fire(200 * SECOND, Delta())) == [(1, True, 77.0, Cause.SILENCE)]


def test_who_was_silent_stays_silent_over_a_restart_and_is_heard_again() -> None:
    made = engine(TWO)
    first = _started()
    first.fire(100 * SECOND, Delta())
    made.resume([], first.active(), heard=first.tables.heard.rows)
    made.rebase(0, 200 * SECOND, 150 * SECOND, Delta())
    assert made.fire(900 * SECOND, Delta()) == []
    changes = made.judge(moment(901, [(1, 901, 1.0, 0)]), Delta())
    assert _flips(changes) == [(1, False, 901.0, Cause.HEARD)]


def test_a_rule_refines_the_limit() -> None:
    made = engine(TWO, rule(id="slow", kind="absence", points=("a.*",), when="", options={"limit": 300.0}))
    made.rebase(0, 0, 0, Delta())
    changes = made.fire(1000 * SECOND, Delta())
    assert [(c.rule, c.point, c.at // SECOND) for c in changes] == [("slow", 1, 300)]
    assert made.facts("silence", 3, "").device == "b"
    assert made.facts("silence", 3, "").unit == "s"


def test_an_event_point_of_a_source_has_no_silence() -> None:
    source = Point(9, "@bus1", PointSpec(name="events", kind=Kind.TEXT), "jc")
    made, problems = compile_rules(station(TWO, ()), [*points_of(TWO), source])
    assert problems == []
    made.rebase(0, 0, 0, Delta())
    assert {change.point for change in made.fire(NEVER - 1, Delta())} == {1, 3}
