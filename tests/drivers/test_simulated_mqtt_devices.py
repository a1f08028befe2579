"""Simulated MQTT devices: physics that the dialects read back, faults on demand, the same seed the same story."""

from __future__ import annotations

import json

import pytest

from drivers._profiles import profile, tailor
from drivers.dialects.json import create as create_json
from drivers.dialects.zigbee2mqtt import create as create_zigbee
from drivers.simulated.mqtt_devices import (
    Message,
    MqttDevice,
    Panel,
    Quantity,
    gas_detector,
    leak_sensor,
    smoke_detector,
    tank_gauge,
)
from gateway.model.batch import EventCode
from gateway.model.point import Device
from gateway.model.ports import Decoded, Dialect, DialectSetup
from gateway.model.quality import GOOD, Level, level_of


def zigbee(kind: str) -> tuple[Dialect, dict[str, int]]:
    one = Device(id="d", source="b", profile=profile(kind), options={"topic": "z/d"})
    ids = {spec.name: number for number, spec in enumerate(one.profile.points, 1)}
    setup = DialectSetup(devices=[one], point_ids={f"d.{name}": n for name, n in ids.items()}, source_events=0)
    return create_zigbee(setup), ids


def history(device: MqttDevice, seconds: int) -> list[tuple[float, Message]]:
    """Return (second, message) of everything published."""
    return [(float(t), message) for t in range(seconds) for message in device.at(float(t))]


def read(dialect: Dialect, point: int, story: list[tuple[float, Message]]) -> list[tuple[float, float]]:
    """Return (second, value) of a point as the dialect reads it."""
    found = []
    for t, message in story:
        into = Decoded()
        dialect.decode(message.topic, message.payload, retained=message.retain, into=into)
        found += [(t, value) for at, _, value, quality in into.rows if at == point and quality == GOOD]
    return found


@pytest.mark.parametrize(
    ("device", "kind", "point", "begins", "within"),
    [
        (smoke_detector("z/d", 1, fire_at=60.0), "zigbee2mqtt-smoke", "smoke", 60, 30),
        (gas_detector("z/d", 2, leak_at=60.0), "zigbee2mqtt-gas", "gas", 60, 30),
        (leak_sensor("z/d", 3, wet_at=63.0), "zigbee2mqtt-leak", "water_leak", 63, 0),  # between two periods
    ],
)
def test_what_breaks_out_is_told_at_once_and_not_before(
    device: MqttDevice, kind: str, point: str, begins: int, within: int
) -> None:
    dialect, ids = zigbee(kind)
    values = read(dialect, ids[point], history(device, 200))
    assert {value for t, value in values if t < begins} == {0.0}
    first = next(t for t, value in values if value == 1.0)
    assert begins <= first <= begins + within
    assert {value for t, value in values if t > first} == {1.0}


def test_a_fire_grows_and_a_tank_drains() -> None:
    density = [json.loads(m.payload)["smoke_density"] for _, m in history(smoke_detector("z/d", 1, fire_at=20.0), 80)]
    assert density[0] < 1
    assert density[-1] > 30
    level = [json.loads(m.payload)["level"] for _, m in history(tank_gauge("t", 1, drains_at=60.0), 181)]
    assert level[0] == pytest.approx(2.5, abs=0.02)
    assert level[-1] == pytest.approx(2.5 / 4, abs=0.05)


def test_a_detector_stays_in_alarm_inside_its_dead_band() -> None:
    levels = {0.0: 0.0, 1.0: 4.0, 2.0: 2.0, 3.0: 0.5, 4.0: 2.0}
    device = smoke_detector("z/d", 1)
    device.quantities = {"smoke_density": Quantity(levels.__getitem__)}
    device.period = 1.0
    told = [json.loads(message.payload)["smoke"] for t in levels for message in device.at(t)]
    assert told == [False, True, True, False, False]


def test_the_tank_is_read_by_a_generic_profile() -> None:
    kind = tailor(profile("json-generic"), {"level": {"unit": "m"}})
    one = Device(id="d", source="b", profile=kind, options={"topic": "t"})
    dialect = create_json(DialectSetup(devices=[one], point_ids={"d.level": 1}, source_events=0))
    assert len(read(dialect, 1, history(tank_gauge("t", 1), 50))) == 10


def test_the_same_seed_tells_the_same_story() -> None:
    one, same, other = (history(smoke_detector("z/d", seed, fire_at=9.0), 60) for seed in (5, 5, 6))
    assert one == same
    assert one != other


def test_silent_says_nothing_and_is_back_when_it_ends() -> None:
    device = smoke_detector("z/d", 1)
    assert device.at(0.0)
    device.fault.silent = True
    assert not [message for t in range(1, 50) for message in device.at(float(t))]
    device.fault.silent = False
    assert device.at(50.0)


def test_gone_is_offline_and_back_with_its_state() -> None:
    dialect, ids = zigbee("zigbee2mqtt-smoke")
    device = smoke_detector("z/d", 1)
    device.at(0.0)
    device.fault.gone = True
    (offline,) = device.at(1.0)
    assert offline == Message("z/d/availability", b'{"state": "offline"}', retain=True)
    into = Decoded()
    dialect.decode(*offline[:2], retained=False, into=into)
    assert {level_of(quality) for _, _, _, quality in into.rows} == {Level.BAD}
    assert device.at(2.0) == []
    device.fault.gone = False
    online, state = device.at(3.0)
    assert json.loads(online.payload) == {"state": "online"}
    assert read(dialect, ids["smoke"], [(3.0, state)]) == [(3.0, 0.0)]


def test_stuck_goes_on_with_the_same() -> None:
    device = gas_detector("z/d", 1, leak_at=5.0)
    device.at(0.0)
    device.fault.stuck = True
    later = [message.payload for t in range(1, 60) for message in device.at(float(t))]
    assert len(set(later)) == 1
    assert json.loads(later[0])["gas"] is False


def test_garbage_costs_no_dialect_its_life() -> None:
    dialect, _ = zigbee("zigbee2mqtt-smoke")
    device = smoke_detector("z/d", 1, fire_at=10.0)
    device.period = 1.0
    device.fault.garbage = True
    problems = Decoded()
    for t in range(500):
        for message in device.at(float(t)):
            dialect.decode(message.topic, message.payload, retained=False, into=problems)
    assert "not_json" in problems.problems


def test_a_panel_tells_its_events_once() -> None:
    fire, reset = {"type": "fire", "loop": 3, "address": 17, "text": "3层走廊"}, {"type": "reset"}
    panel = Panel("p", [(5.0, fire), (5.5, fire), (40.0, reset)])
    kind = profile("json-panel")
    one = Device(id="d", source="b", profile=kind, options={"topic": "p", "addresses": ["3/17"]})
    dialect = create_json(DialectSetup(devices=[one], point_ids={"d.events": 1}, source_events=0))
    into = Decoded()
    for second in range(100):
        for message in panel.at(second):
            dialect.decode(message.topic, message.payload, retained=False, into=into)
    assert [(event.code, event.key) for event in into.events] == [
        (EventCode.FIRE, "3/17"),
        (EventCode.FIRE, "3/17"),
        (EventCode.RESET, ""),
    ]
    assert into.heard  # signs of life in between
