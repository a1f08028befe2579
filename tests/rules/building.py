"""Small stations for the tests of rules: devices, points, moments, without files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gateway.model.moment import Moment
from gateway.model.point import AlarmClass, AlarmSpec, Device, Kind, Point, PointSpec, Profile
from gateway.model.station import Limits, RuleSpec, Station, StoreSpec
from rules.compile import Problem, compile_rules
from rules.engine import Engine

SECOND = 1_000_000_000
GAS = PointSpec(name="ch4", unit="%[LEL]", valid_range=(0.0, 100.0), title="甲烷")
DEFAULTS = Limits()
Row = tuple[int, float, float, int]  # point, slot time in s, value, quality


def device(name: str, *specs: PointSpec, silence: float = 100.0, cell: str = "jc/3") -> Device:
    """Return a device with a profile of its own."""
    profile = Profile(id=f"p-{name}", title=name, points=specs or (GAS,), silence=silence)
    return Device(id=name, source="bus1", profile=profile, cell=cell)


def points_of(devices: Sequence[Device]) -> list[Point]:
    """Give ids 1, 2, 3 … to all points, in order."""
    found = [(device, spec) for device in devices for spec in device.profile.points]
    return [Point(number, owner.id, spec, owner.cell) for number, (owner, spec) in enumerate(found, start=1)]


def station(devices: Sequence[Device], rules: Sequence[RuleSpec], *, limits: Limits = DEFAULTS) -> Station:
    """Return a station of these devices and rules."""
    return Station(
        id="t",
        name="t",
        store=StoreSpec(path="x"),
        devices=tuple(devices),
        rules=tuple(rules),
        limits=limits,
    )


def compiled(
    devices: Sequence[Device], rules: Sequence[RuleSpec], *, limits: Limits = DEFAULTS
) -> tuple[Engine, list[Problem]]:
    """Compile rules over devices."""
    return compile_rules(station(devices, rules, limits=limits), points_of(devices))


def engine(devices: Sequence[Device], *rules: RuleSpec, limits: Limits = DEFAULTS) -> Engine:
    """Compile rules that have no problem."""
    made, problems = compiled(devices, rules, limits=limits)
    assert [p for p in problems if not p.note] == []
    return made


def rule(**given: object) -> RuleSpec:
    """Return a gas rule with when/clear of the house's example, unless told otherwise."""
    facts: dict[str, Any] = {"id": "gas", "points": ("*",), "when": "value > 10", "alarm_class": AlarmClass.GAS}
    return RuleSpec(**(facts | given))


def moment(at: float, rows: Sequence[Row], heard: Sequence[int] = ()) -> Moment:
    """Return a moment of rows (point, slot time in s, value, quality) that arrived at `at` (s)."""
    columns = tuple(zip(*rows, strict=True)) if rows else ((), (), (), ())
    return Moment(
        round(at * SECOND),
        np.array(columns[0], dtype=np.int32),
        np.array([round(t * SECOND) for t in columns[1]], dtype=np.int64),
        np.array(columns[2], dtype=np.float64),
        np.array(columns[3], dtype=np.uint8),
        tuple(heard),
    )


def state_point(name: str = "state", *, alarm: bool = True) -> PointSpec:
    """Return a smoke detector's state with an alarm label."""
    alarms = (AlarmSpec(when='value == "alarm"', alarm_class=AlarmClass.FIRE),) if alarm else ()
    return PointSpec(name=name, kind=Kind.STATE, labels={"normal": 0.0, "alarm": 1.0}, alarms=alarms)
