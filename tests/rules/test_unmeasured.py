"""A watched point without a usable value: its own fault, where its device has others to be heard by."""

from __future__ import annotations

import msgspec
import pytest

from gateway.model.delta import Delta
from gateway.model.point import AlarmClass, PointSpec
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import RuleSpec
from gateway.model.verdict import Cause
from gateway.pipeline.recovery import CODE_VERSION
from rules.compile import UNMEASURED
from rules.engine import Engine
from tests.rules.building import GAS, SECOND, compiled, device, engine, moment, rule

LOOPS = device("m", GAS, PointSpec(name="p", unit="MPa"))  # one point that a rule watches, one that shows life
BROKEN = quality(Level.BAD, Doubt.FAULT_VALUE)
SILENT = quality(Level.BAD, Doubt.NO_COMMS)
COLD = quality(Level.BAD, Doubt.PREHEAT)
Told = tuple[str, int, bool, float, Cause]


def _made(*rules: RuleSpec) -> Engine:
    made = engine([LOOPS], rule(points=("m.ch4",), clear="value < 5"), *rules)
    made.rebase(0, 0, 0, Delta())
    return made


def _after(made: Engine, readings: list[tuple[float, float, int]], *, until: float) -> list[Told]:
    """Tell what came of readings of the watched point (arrival, time, quality), the other being heard all the time."""
    told = []
    steps = sorted({*(at for at, _, _ in readings), *range(0, int(until), 50), until})
    for at in steps:
        told += made.fire(round(at * SECOND), Delta())
        rows = [(1, time, 3.0, mark) for when, time, mark in readings if when == at]
        told += made.judge(moment(at, [*rows, (2, at, 1.0, 0)]), Delta())
    return [(change.rule, change.point, change.up, change.at / SECOND, change.cause) for change in told]


@pytest.mark.parametrize(
    ("readings", "told"),
    [
        ([(10, 10, BROKEN)], [(True, 110.0, Cause.UNMEASURED)]),  # once said, it stands
        ([(10, 10, BROKEN), (60, 60, BROKEN)], [(True, 110.0, Cause.UNMEASURED)]),
        ([(10, 10, BROKEN), (60, 60, 0), (70, 70, BROKEN)], [(True, 170.0, Cause.UNMEASURED)]),
        ([(10, 10, BROKEN), (109, 109, 64)], []),  # doubtful is better than nothing
        ([(10, 10, BROKEN), (130, 130, 0)], [(True, 110.0, Cause.UNMEASURED), (False, 130.0, Cause.RETURNED)]),
        ([(10, 10, SILENT)], []),  # whoever says nothing is the matter of `absence`
        ([(10, 10, BROKEN), (20, 20, SILENT)], [(True, 110.0, Cause.UNMEASURED)]),
        ([(10, 10, BROKEN), (120, 120, SILENT)], [(True, 110.0, Cause.UNMEASURED)]),
        ([(10, 10, COLD), (100, 100, COLD), (190, 190, 0)], []),  # it warms up for its three minutes
        ([(10, 10, BROKEN), (20, 20, COLD), (150, 150, 0)], []),  # its first words under power
        ([(10, 10, COLD), (150, 150, BROKEN)], [(True, 250.0, Cause.UNMEASURED)]),
        ([(10, 10, BROKEN), (130, 130, COLD)], [(True, 110.0, Cause.UNMEASURED)]),
        ([(30, 30, 0), (40, 20, BROKEN)], []),  # said late: it measures again since
        ([], []),  # who speaks only of what changes
    ],
)
def test_what_gives_no_value_for_its_limit_is_a_fault(
    readings: list[tuple[float, float, int]], told: list[tuple[bool, float, Cause]]
) -> None:
    assert _after(_made(), readings, until=300.0) == [(UNMEASURED, 1, *one) for one in told]


def test_a_rule_gives_another_limit() -> None:
    slower = RuleSpec(
        id="slow", kind=UNMEASURED, points=("m.ch4",), alarm_class=AlarmClass.SUPERVISORY, options={"limit": 200.0}
    )
    assert _after(_made(slower), [(10, 10, BROKEN)], until=300.0) == [("slow", 1, True, 210.0, Cause.UNMEASURED)]


def test_it_is_told_without_a_value_as_a_fault_of_the_point() -> None:
    facts = _made().facts(UNMEASURED, 1, "")
    assert (facts.alarm_class, facts.device, facts.point_name, facts.unit) == (AlarmClass.FAULT, "m", "ch4", "")


def test_points_nobody_watches_and_devices_of_one_point_have_none() -> None:
    made, _ = compiled([LOOPS, device("one")], [rule(points=("one.ch4",))])
    assert _after(made, [(10, 10, BROKEN)], until=300.0) == []
    assert not [key for key in made.watched if key[0] == UNMEASURED]


def test_a_channel_that_is_switched_off_is_not_missed_though_a_rule_for_all_of_them_watches_it() -> None:
    off = RuleSpec(id="unfitted", points=("m.ch4",), alarm=False, reason="not fitted")
    assert _after(_made(off), [(10, 10, BROKEN)], until=300.0) == []


def test_its_delay_and_its_fault_live_through_a_restart() -> None:
    for at, later in ((60, [(110.0, True)]), (150, [])):
        before, after = _made(), _made()
        _after(before, [(10, 10, BROKEN)], until=at)
        assert after.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(before.snapshot()))) == []
        fired = after.fire(155 * SECOND, Delta())
        assert [(change.at / SECOND, change.up) for change in fired] == later
        ended = after.judge(moment(156, [(1, 156, 3.0, 0)]), Delta())
        assert [(change.rule, change.up) for change in ended] == [(UNMEASURED, False)]


def test_its_delay_goes_on_without_a_snapshot() -> None:
    before, after = _made(), _made()
    _after(before, [(10, 10, BROKEN)], until=60)
    after.resume(list(before.tables.delays), before.active(), dict(before.tables.heard.rows))
    fired = after.fire(140 * SECOND, Delta())
    assert [(change.rule, change.at / SECOND, change.up) for change in fired] == [(UNMEASURED, 110.0, True)]


def test_a_snapshot_without_this_kind_is_one_of_another_version() -> None:
    assert (CODE_VERSION, sorted(_made().kinds)) == ("4", ["absence", "rate", "threshold", UNMEASURED])


def test_whoever_speaks_once_a_day_has_until_then_to_say_better() -> None:
    battery = device("m", GAS, PointSpec(name="p", unit="MPa"), silence=400.0)
    made = engine([battery], rule(points=("m.ch4",), clear="value < 5"))
    made.rebase(0, 0, 0, Delta())
    assert _after(made, [(10, 10, BROKEN)], until=500.0) == [(UNMEASURED, 1, True, 410.0, Cause.UNMEASURED)]
