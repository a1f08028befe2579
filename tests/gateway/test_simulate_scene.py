"""What `simulate --fire` and its like let points show: values in range at which what alarms is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.simulated.station import SimulatedField
from gateway.app import read
from gateway.cli.simulate_scene import Scenes, alarming
from gateway.clock import SystemClock
from gateway.model.point import AlarmClass
from gateway.model.station import Station
from tests import station_toml as toml

_LEVEL: dict[str, object] = {"unit": "m", "valid_range": [0, 5]}
_HOT: dict[str, object] = {
    "unit": "Cel",
    "valid_range": [-40, 125],
    "alarms": [{"when": "value >= 60", "class": "fire"}],
}
_GAS = {
    "unit": "%[LEL]",
    "valid_range": [-10, 1000],
    "over_range": [-10, 100],
    "alarms": [
        {"when": "value >= 10", "class": "gas", "severity": "warning"},
        {"when": "value >= 25", "class": "gas"},
        {"when": "value < -5", "class": "fault"},
    ],
}
_DOOR = {
    "kind": "state",
    "labels": {"ok": 0, "burning": 2},
    "alarms": [{"when": 'value == "burning"', "class": "fire"}],
}


def _station(folder: Path, point: dict[str, object], **rule: object) -> Station:
    path = folder / "station.toml"
    text = toml.station(folder) + toml.broker(1883)
    text += toml.table(
        "device", id="d", source="broker", profile="json-generic", cell="a", topic="d", points={"p": point}
    )
    path.write_text(text + (toml.table("rule", id="r", points="d.p", **rule) if rule else ""), encoding="utf-8")
    loaded = read(path)
    assert loaded.station is not None, [problem.text() for problem in loaded.problems]
    return loaded.station


@pytest.mark.parametrize(
    ("point", "rule", "alarm_class", "region"),
    [
        (_HOT, {}, AlarmClass.FIRE, (60, 125)),
        (_HOT, {"when": "value > 90", "class_": "fire"}, AlarmClass.FIRE, (90.01, 125)),
        (_GAS, {}, AlarmClass.GAS, (25, 100)),
        (_DOOR, {}, AlarmClass.FIRE, (2, 2)),
        (_LEVEL, {"when": "value < 1.2", "class_": "flood"}, AlarmClass.FLOOD, (0, 1.199)),
        (_LEVEL, {"when": "value > 4.5", "class_": "flood"}, AlarmClass.FLOOD, (4.501, 5)),
    ],
)
def test_a_point_in_alarm_is_in_range_and_true(
    point: dict[str, object],
    rule: dict[str, object],
    alarm_class: AlarmClass,
    region: tuple[float, float],
    tmp_path: Path,
) -> None:
    station = _station(tmp_path, point, **rule)
    assert region[0] <= alarming(station, alarm_class)["d"]["p"] <= region[1]
    assert all(not alarming(station, other) for other in (AlarmClass.GAS, AlarmClass.FLOOD) if other is not alarm_class)


def test_what_is_switched_off_or_cannot_be_read_shows_nothing(tmp_path: Path) -> None:
    off = _station(tmp_path, _LEVEL, when="value > 4", class_="flood", alarm=False, reason="a test")
    assert alarming(off, AlarmClass.FLOOD) == {}
    never = _station(tmp_path, _LEVEL, when="value > 9", class_="flood")
    assert alarming(never, AlarmClass.FLOOD) == {}


def test_that_nobody_would_see_it_is_said(tmp_path: Path) -> None:
    station, said = _station(tmp_path, _HOT), list[str]()
    scenes = Scenes(station, SimulatedField(station, SystemClock()), said.append)  # nothing of it is played
    scenes.begin(AlarmClass.FIRE)
    scenes.end()
    assert said == ["fire: nothing that is played has an alarm of this class"]
