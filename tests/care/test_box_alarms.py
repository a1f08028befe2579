"""Which figures of the box are alarms without a line of configuration, and which rules mean the box."""

from __future__ import annotations

import pytest

from gateway.care.own import POINTS, furnished, named_so
from gateway.model.inventory import BOX, names_of, numbered, points_of
from gateway.model.point import AlarmClass, Device, PointSpec, Profile
from gateway.model.station import RuleSpec, Station
from gateway.testing import Scenario
from rules.compile import compile_rules
from rules.matching import Matcher
from tests.care.boxes import FIGURES, STATION


def scenario() -> Scenario:
    """A station with its box."""
    return Scenario(furnished(STATION)).start()


BAD = [
    ("disk_free_share", 9.0, "fault:warning", 65),
    ("disk_free_share", 4.0, "fault:critical", 65),
    ("inodes_free_share", 1.0, "fault:critical", 65),
    ("wal_size", float(300 << 20), "fault:warning", 65),
    ("store_budget", 91.0, "maintenance:warning", 65),
    ("thinning", 1.0, "fault:warning", 0),
    ("written_day", float(5 << 30), "maintenance:warning", 3600),
    ("disk_written_day", float(20 << 30), "maintenance:warning", 3600),
    ("card_wear", 90.0, "maintenance:warning", 65),
    ("card_wear", 110.0, "fault:critical", 65),
    ("card_reserve", 2.0, "fault:critical", 65),
    ("cpu_temperature", 82.0, "fault:warning", 65),
    ("under_voltage", 1.0, "fault:warning", 0),
    ("under_voltage_seen", 1.0, "maintenance:warning", 0),
    ("throttled", 1.0, "maintenance:warning", 300),
    ("memory_available", 3.0, "fault:critical", 65),
    ("load", 4.0, "maintenance:warning", 900),
    ("restarts_day", 6.0, "fault:warning", 0),
    ("clock_trusted", 0.0, "supervisory:warning", 600),
    ("clock_error", 6.0, "supervisory:warning", 600),
    ("modem_signal", -109.0, "maintenance:warning", 600),
    ("modem_registered", 0.0, "fault:warning", 65),
    ("sim", 0.0, "fault:warning", 65),
    ("sim", 2.0, "fault:warning", 65),
    ("mains", 0.0, "supervisory:warning", 10),
    ("battery_charge", 15.0, "supervisory:critical", 65),
    ("battery_low", 1.0, "supervisory:critical", 0),
]


@pytest.mark.parametrize(("name", "value", "kind", "delay"), BAD)
def test_a_bad_figure_is_an_alarm_without_a_line_of_configuration(
    name: str, value: float, kind: str, delay: float
) -> None:
    life = scenario().until(70)  # faults wait out the settling of a start
    for at in range(70, 70 + round(delay) + 61, 30):
        life.read(at, f"{BOX}.{name}", value)
        if at - 70 < delay:
            assert f"profile:{kind}" not in {alarm.rule for alarm in life.alarms()}
    raised = {alarm.rule: alarm for alarm in life.alarms()}
    assert f"profile:{kind}" in raised
    assert not raised[f"profile:{kind}"].alarm_class.life_safety


def test_the_box_has_no_alarm_that_the_rules_refuse() -> None:
    station = furnished(STATION)
    assert compile_rules(station, points_of(station, numbered(station)))[1] == []


def test_every_alarm_of_the_box_is_tried_above() -> None:
    tried = {(name, kind) for name, _, kind, _ in BAD}
    there = {
        (point.name, f"{alarm.alarm_class.word}:{alarm.severity.word}") for point in POINTS for alarm in point.alarms
    }
    warnings_below = {
        ("inodes_free_share", "fault:warning"),
        ("memory_available", "fault:warning"),
        ("battery_charge", "supervisory:warning"),
        ("card_reserve", "maintenance:warning"),
    }
    assert there - tried == warnings_below


def test_a_good_box_raises_nothing_and_a_silent_one_does() -> None:
    life = scenario()
    for at in range(0, 4000, 30):
        for name, value in FIGURES.items():
            life.read(at, f"{BOX}.{name}", value if name != "under_voltage_seen" else 0.0)
    assert life.alarms() == []
    life.until(4200)
    assert [alarm.rule for alarm in life.alarms()] == ["silence"]


def test_points_that_never_speak_are_no_alarm() -> None:
    life = scenario()
    for at in range(0, 8000, 30):
        life.read(at, f"{BOX}.disk_free", 1e9)
    assert life.alarms() == []


def test_wide_rules_do_not_mean_the_box() -> None:
    station = furnished(STATION)
    matcher = Matcher(points_of(station, numbered(station)))
    for pattern in ("unit:Cel", "kind:measure", "*.cpu_temperature", "*"):
        assert not any(point.device == BOX for point in matcher.match([pattern])[0])
    assert len(matcher.match(["gateway.*"])[0]) == len(POINTS)
    assert len(matcher.match(["gateway.cpu_temperature"])[0]) == 1


def test_a_rule_that_names_a_point_refines_its_alarm() -> None:
    rule = RuleSpec(
        id="hot", points=("gateway.cpu_temperature",), when="value > 60", alarm_class=AlarmClass.FAULT, on_delay=0.0
    )
    life = Scenario(furnished(Station(id="s", name="s", store=STATION.store, rules=(rule,)))).start().until(70)
    life.read(80, f"{BOX}.cpu_temperature", 65.0)
    assert [alarm.rule for alarm in life.alarms()] == ["hot"]


def test_a_station_is_furnished_once_in_its_language_and_a_name_of_the_users_stands() -> None:
    once = furnished(STATION)
    assert furnished(once) == once
    english = furnished(Station(id="s", name="s", language="en", store=STATION.store)).devices[0]
    assert all(point.title.isascii() for point in english.profile.points)
    own = Device(id=BOX, source="bus", profile=Profile(id="other", title="", points=(PointSpec(name="x"),)))
    theirs = Station(id="s", name="s", store=STATION.store, devices=(own,))
    assert named_so(theirs)
    assert not named_so(once)
    assert furnished(theirs) == theirs
    assert f"{BOX}.disk_free" in names_of(once)
