"""From configuration to engine: matching, alarms on by default, refinement, and every problem at once."""

from __future__ import annotations

import pytest

from gateway.model.delta import Delta
from gateway.model.point import AlarmClass, AlarmSpec, Kind, PointSpec, Severity
from gateway.model.station import RuleSpec
from rules import check
from tests.rules.building import GAS, SECOND, compiled, device, engine, moment, rule, state_point

SMOKE = device("smoke", state_point(), cell="jc/3/12")
BOILER = device("boiler", GAS, PointSpec(name="temp", unit="Cel", valid_range=(-40.0, 120.0)), cell="jc/4")
EVENTS = device("panel", PointSpec(name="events", kind=Kind.TEXT))
ALL = (SMOKE, BOILER, EVENTS)


def _raised(*rules: RuleSpec) -> list[tuple[str, int]]:
    made = engine(ALL, *rules)
    made.rebase(0, 0, 0, Delta())
    changes = made.judge(moment(1, [(1, 1, 1.0, 0), (2, 1, 20.0, 0), (3, 1, 90.0, 0)]), Delta())
    return [(change.rule, change.point) for change in changes]


def test_an_alarm_label_raises_without_any_rule() -> None:
    assert _raised() == [("profile:fire:critical", 1)]
    made = engine(ALL)
    facts = made.facts("profile:fire:critical", 1, "")
    assert (facts.device, facts.cell, facts.alarm_class, facts.latch) == ("smoke", "jc/3/12", AlarmClass.FIRE, True)
    assert set(made.life_points) == {1}


def test_a_rule_of_the_same_class_refines() -> None:
    refining = rule(id="mine", points=("smoke.*",), when='value == "alarm"', alarm_class=AlarmClass.FIRE)
    assert _raised(refining) == [("mine", 1)]
    other = rule(id="mine", points=("smoke.*",), when='value == "alarm"', alarm_class=AlarmClass.SUPERVISORY)
    assert _raised(other) == [("mine", 1), ("profile:fire:critical", 1)]


def test_a_broken_rule_does_not_switch_the_default_off() -> None:
    broken = rule(id="mine", points=("smoke.*",), when='value == "fire"', alarm_class=AlarmClass.FIRE)
    made, problems = compiled(ALL, (broken,))
    assert [(p.rule, p.key) for p in problems] == [("mine", "when")]
    made.rebase(0, 0, 0, Delta())
    assert [c.rule for c in made.judge(moment(1, [(1, 1, 1.0, 0)]), Delta())] == ["profile:fire:critical"]


def test_a_rate_rule_leaves_the_default_alone() -> None:
    rate = rule(id="r", kind="rate", points=("smoke.*",), when="rate > 1", alarm_class=AlarmClass.FIRE)
    assert _raised(rate) == [("profile:fire:critical", 1)]


def test_switching_off_needs_a_reason_and_is_listed() -> None:
    made, problems = compiled(ALL, (rule(id="off", points=("smoke.*",), alarm=False),))
    assert [(p.key, p.note) for p in problems] == [("reason", False)]
    assert made.switched_off == ()
    made, problems = compiled(ALL, (rule(id="off", points=("smoke.*",), alarm=False, reason="kitchen steam"),))
    assert made.switched_off == (("smoke.state", "off", "kitchen steam"),)
    assert [(p.rule, p.note) for p in problems] == [("off", True)]
    assert made.life_points == {}


@pytest.mark.parametrize(
    ("patterns", "points"),
    [
        (("*.ch4",), [2]),
        (("boiler.*",), [2, 3]),
        (("boiler.temp", "boiler.ch4"), [2, 3]),
        (("unit:Cel",), [3]),
        (("unit:%LEL",), [2]),
        (("cell:jc/4",), [2, 3]),
        (("cell:jc",), [1, 2, 3, 4]),
        (("kind:state",), [1]),
    ],
)
def test_matching(patterns: tuple[str, ...], points: list[int]) -> None:
    from rules.matching import Matcher
    from tests.rules.building import points_of

    found, findings = Matcher(points_of(ALL)).match(patterns)
    assert [point.id for point in found] == points
    assert findings == []


@pytest.mark.parametrize(
    ("given", "key", "reason", "fix"),
    [
        ({"points": ("boiler.ch5",)}, "points", '"boiler.ch5" matches no point', 'did you mean "boiler.ch4"?'),
        ({"points": ("unit:%LEK",)}, "points", "matches no point", "%[LEL]"),
        ({"points": ("cel:jc",)}, "points", "matches no point", "selectors are unit:, cell:, kind:"),
        ({"points": ()}, "points", "names no points", "device.point"),
        ({"points": ("boiler.*",)}, "points", 'differ in unit: "%[LEL]", "Cel"', "one rule per unit"),
        ({"points": ("panel.*",)}, "points", "text only", "have a value"),
        ({"kind": "treshold"}, "kind", 'no rule kind "treshold"', 'did you mean "threshold"?'),
        ({"options": {"windw": 3}}, "options", "windw", "keys of kind threshold: none"),
        ({"kind": "rate", "when": "rate > 1", "options": {"window": 0.1}}, "options", "window", "window"),
        ({"kind": "rate", "when": "rate > 1", "options": {"window": 3.0}}, "window", "a reading every 1 s", "write 4s"),
        ({"when": "vlaue > 3"}, "when", 'unknown name "vlaue" (character 1)', "value"),
        ({"when": "rate > 3"}, "when", 'unknown name "rate"', "value"),
        ({"when": 'value > "25 ppm"'}, "when", "wrong unit", "%[LEL]"),
        ({"clear": "value > 5"}, "clear", "raise and clear at once", "other side"),
        ({"clear": ""}, "clear", "not a condition", "write comparisons"),
        ({"when": "value > 200"}, "when", "can never be true", "0 … 100"),
        ({"on_delay": 61.0}, "on_delay", "61 s is not what class gas allows", "0s to 60s (a household gas alarm"),
        ({"on_delay": -1.0}, "on_delay", "-1 s", "0s"),
        ({"off_delay": 1e9}, "off_delay", "1e+09 s", "0s to 7d"),
    ],
)
def test_problems(given: dict[str, object], key: str, reason: str, fix: str) -> None:
    _, problems = compiled(ALL, (rule(**({"points": ("boiler.ch4",)} | given)),))
    assert [(p.rule, p.key) for p in problems] == [("gas", key)]
    assert reason in problems[0].reason
    assert fix in problems[0].fix


def test_every_problem_at_once_and_the_good_part_works() -> None:
    rules = (
        rule(id="a", points=("nothing",)),
        rule(id="b", points=("boiler.ch4",), when="value >"),
        rule(id="c", points=("boiler.ch4",)),
        rule(id="c", points=("boiler.ch4",)),
        rule(id="d", points=("boiler.ch4",), on_delay=999.0, off_delay=-1.0),
    )
    made, problems = compiled(ALL, rules)
    assert [(p.rule, p.key) for p in problems] == [
        ("a", "points"),
        ("b", "when"),
        ("c", "id"),
        ("d", "on_delay"),
        ("d", "off_delay"),
    ]
    made.rebase(0, 0, 0, Delta())
    assert [c.rule for c in made.judge(moment(1, [(2, 1, 20.0, 0)]), Delta())] == ["c"]


@pytest.mark.parametrize("name", ["silence", "profile:fire:critical", "event:fire"])
def test_names_of_our_own_are_taken(name: str) -> None:
    _, problems = compiled(ALL, (rule(id=name, points=("boiler.ch4",)),))
    assert [(p.rule, p.key) for p in problems] == [(name, "id")]


def test_co_is_a_dose() -> None:
    co = PointSpec(name="co", unit="[ppm]", valid_range=(0.0, 1000.0))
    assert compiled((device("co", co),), (rule(when="value > 30", on_delay=7200.0),))[1] == []


def test_the_longest_on_delays() -> None:
    seconds = {kind.word: longest for kind, (longest, _) in check.LONGEST_ON_DELAY.items()}
    assert seconds == {
        "fire": 60.0,
        "gas": 60.0,
        "flood": 60.0,
        "supervisory": 600.0,
        "fault": 100.0,
        "maintenance": 604800.0,
    }


def test_alarms_of_a_profile_have_ids_of_their_own() -> None:
    alarms = (
        AlarmSpec(when="value > 10", alarm_class=AlarmClass.GAS, severity=Severity.WARNING),
        AlarmSpec(when="value > 25", alarm_class=AlarmClass.GAS),
        AlarmSpec(when="value > 50", alarm_class=AlarmClass.GAS),
    )
    gas = PointSpec(name="ch4", unit="%[LEL]", alarms=alarms)
    made = engine((device("a", gas), device("b", gas)))
    made.rebase(0, 0, 0, Delta())
    changes = made.judge(moment(1, [(1, 1, 60.0, 0), (2, 1, 30.0, 0)]), Delta())
    ids = ["profile:gas:warning", "profile:gas:critical", "profile:gas:critical#2"]
    assert [(c.rule, c.point) for c in changes] == [*((i, 1) for i in ids), *((i, 2) for i in ids[:2])]
    assert made.facts(ids[0], 1, "").severity is Severity.WARNING


def test_changes_come_by_reading_then_by_rule() -> None:
    rules = (rule(id="z"), rule(id="r", kind="rate", when="value > 5"), rule(id="a"))
    made = engine((device("x"), device("y")), *rules)
    made.rebase(0, 0, 0, Delta())
    changes = made.judge(moment(1, [(2, 1, 20.0, 0), (1, 1, 20.0, 0)]), Delta())
    assert [(c.position, c.rule, c.point) for c in changes] == [(p, r, 2 - p) for p in (0, 1) for r in ("z", "r", "a")]


def test_timers_come_by_due_then_by_rule() -> None:
    made = engine((device("x"),), rule(id="z", on_delay=5.0), rule(id="a", on_delay=5.0), rule(id="b", on_delay=4.0))
    made.rebase(0, 0, 0, Delta())
    made.judge(moment(1, [(1, 1, 20.0, 0)]), Delta())
    changes = made.fire(200 * SECOND, Delta())
    assert [(c.rule, c.at // SECOND) for c in changes] == [("b", 5), ("z", 6), ("a", 6), ("silence", 101)]
