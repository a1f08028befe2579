"""Simulated Tasmota, ESPHome, Shelly and announced devices: what is simulated is what the dialects read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._profiles import profile, tailor
from drivers.dialects.homeassistant import learn
from drivers.simulated.behaviour import constant, switch
from drivers.simulated.mqtt_announced import AnnouncedDevice
from drivers.simulated.mqtt_devices import Flag, MqttFault, Quantity
from drivers.simulated.mqtt_firmware import EsphomeNode, Firmware, Physics, ShellyDevice
from drivers.simulated.mqtt_shown import showing
from drivers.simulated.mqtt_tasmota import TasmotaDevice, TasmotaNode
from gateway import registry
from gateway.model.batch import make_batch
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.ports import Commanding, Decoded, Dialect, DialectSetup, Polling
from gateway.model.quality import describe
from gateway.protocols.mqtt_topics import covers

# Profile → what its points are called by the firmware. The same points are simulated and read.
FAMILIES: dict[str, tuple[Callable[..., Firmware], dict[str, str]]] = {
    "tasmota-plug": (
        TasmotaDevice,
        {
            "relay": "POWER1",
            "voltage": "ENERGY.Voltage",
            "current": "ENERGY.Current",
            "power": "ENERGY.Power",
            "energy": "ENERGY.Total",
            "signal": "Wifi.Signal",
        },
    ),
    "tasmota-leak": (TasmotaDevice, {"water": "Switch1", "signal": "Wifi.Signal"}),
    "tasmota-sht3x": (TasmotaDevice, {"temperature": "SHT3X.Temperature", "humidity": "SHT3X.Humidity"}),
    "esphome-smoke": (
        EsphomeNode,
        {"smoke": "binary_sensor/smoke", "temperature": "sensor/temperature", "uptime": "sensor/uptime"},
    ),
    "esphome-plug": (EsphomeNode, {"relay": "switch/relay", "voltage": "sensor/voltage", "energy": "sensor/energy"}),
    "shelly-smoke": (ShellyDevice, {"smoke": "smoke:0 alarm", "battery": "devicepower:0 battery.percent"}),
    "shelly-plug": (
        ShellyDevice,
        {"relay": "switch:0 output", "voltage": "switch:0 voltage", "energy": "switch:0 aenergy.total"},
    ),
    "ha-smoke": (
        AnnouncedDevice,
        {"smoke": "binary_sensor smoke", "temperature": "sensor temperature °C", "battery": "sensor battery %"},
    ),
    "ha-leak": (AnnouncedDevice, {"water": "binary_sensor moisture", "tamper": "binary_sensor tamper"}),
}
GOOD_RANGE = {
    "battery": (0, 100),
    "humidity": (0, 100),
    "signal": (-120, 0),
    "temperature": (-40, 125),
    "voltage": (0, 400),
}


def simulated(name: str, values: Mapping[str, float | bool]) -> Firmware:
    """Return a device at which this is so."""
    make, names = FAMILIES[name]
    quantities = {
        key: Quantity(constant(float(value)), digits=3, low=float("-inf"))
        for key, value in values.items()
        if key != "relay"
    }
    states = {spec.name for spec in profile(name).points if spec.kind is Kind.STATE} - {"relay"}
    flags = {key: Flag(key, 1.0, 1.0) for key in values if key in states}
    relays = {"relay": bool(values["relay"])} if "relay" in values else {}
    return make("d", Physics(quantities, flags, relays), names, period=5.0)


def dialect_of(name: str, device: Firmware) -> tuple[Dialect, Device, dict[int, str]]:
    """Return the dialect that reads it, its device, and names of point ids."""
    known, options = profile(name), dict[str, Any](topic=device.topic)
    if isinstance(device, AnnouncedDevice):
        announced = device.announcement()
        (found,) = learn(announced.topic, announced.payload)
        assert (found.profile, found.not_understood) == (name, ())
        known = tailor(known, {point: {"decode": keys["decode"]} for point, keys in found.points.items()})
        options = dict(found.options)
    one = Device(id="d", source="b", profile=known, options=options)
    ids = {f"d.{spec.name}": number for number, spec in enumerate(known.points, 1)}
    dialect: Dialect = registry.dialect(known.driver).create(
        DialectSetup(devices=[one], point_ids=ids, source_events=99)
    )
    return dialect, one, {number: key.partition(".")[2] for key, number in ids.items()}


def read(dialect: Dialect, messages: list[Any], *, retained: bool = False) -> Decoded:
    into = Decoded()
    for message in messages:
        dialect.decode(message.topic, message.payload, retained=retained and message.retain, into=into)
    return into


def rows(into: Decoded, names: Mapping[int, str]) -> dict[str, tuple[float, str]]:
    return {names[point]: (value, describe(mark)) for point, _, value, mark in into.rows}


def good(values: Mapping[str, float | bool]) -> dict[str, tuple[float, str]]:
    """Return what is to be read where this is so: numbers come as they were sent."""
    return {key: (float(value), "GOOD") for key, value in values.items()}


def some(name: str) -> dict[str, float | bool]:
    """Return anything that can be so."""
    return {key: -60.0 if key == "signal" else 1.0 for key in FAMILIES[name][1]}


@st.composite
def situations(draw: st.DrawFn) -> tuple[str, dict[str, float | bool]]:
    """Draw a device and what is so at it."""
    name = draw(st.sampled_from(sorted(FAMILIES)))
    specs = {spec.name: spec for spec in profile(name).points}
    values: dict[str, float | bool] = {}
    for key in FAMILIES[name][1]:
        if specs[key].kind is Kind.STATE:
            values[key] = draw(st.booleans())
        else:
            low, high = GOOD_RANGE.get(key, (0, 100))
            values[key] = draw(st.integers(low * 100, high * 100)) / 100
    return name, values


@given(situation=situations())
def test_what_is_simulated_is_what_is_read(situation: tuple[str, dict[str, float | bool]]) -> None:
    name, values = situation
    device = simulated(name, values)
    dialect, _, names = dialect_of(name, device)
    into = read(dialect, device.at(0.0))
    assert rows(into, names) == good(values)
    assert into.problems == []


@given(situation=situations())
def test_questions_are_answered_with_the_same(situation: tuple[str, dict[str, float | bool]]) -> None:
    name, values = situation
    device = simulated(name, values)
    dialect, one, names = dialect_of(name, device)
    device.at(0.0)
    asked = list(dialect.ask(one))
    polled = [(topic, payload) for topic, payload, *_ in dialect.poll(one)] if isinstance(dialect, Polling) else []
    assert asked == polled
    if asked:
        into = read(dialect, [answer for topic, payload in asked for answer in device.hear(topic, payload)])
        assert rows(into, names) == good(values)


@pytest.mark.parametrize("name", ["tasmota-plug", "esphome-plug", "shelly-plug"])
@pytest.mark.parametrize("wanted", [0.0, 1.0])
def test_a_command_sets_the_relay_and_the_device_says_so(name: str, wanted: float) -> None:
    device = simulated(name, {"relay": not wanted, "voltage": 230.0})
    dialect, one, names = dialect_of(name, device)
    assert isinstance(dialect, Commanding)
    device.at(0.0)
    answers = [
        answer for topic, payload, *_ in dialect.command(one, "relay", wanted) for answer in device.hear(topic, payload)
    ]
    assert rows(read(dialect, answers), names)["relay"] == (wanted, "GOOD")
    assert dialect.command(one, "voltage", 1.0) == ()


@pytest.mark.parametrize(
    ("name", "topic", "payload", "answers"),
    [
        ("tasmota-plug", "cmnd/d/POWER1", b"ON", [("stat/d/RESULT", '{"POWER": "ON"}'), ("stat/d/POWER", "ON")]),
        ("tasmota-plug", "cmnd/d/power", b"toggle", [("stat/d/RESULT", '{"POWER": "ON"}'), ("stat/d/POWER", "ON")]),
        ("tasmota-plug", "cmnd/d/Power", b"", [("stat/d/RESULT", '{"POWER": "OFF"}'), ("stat/d/POWER", "OFF")]),
        ("tasmota-plug", "cmnd/d/POWER2", b"ON", [("stat/d/RESULT", '{"Command": "Unknown"}')]),
        ("esphome-plug", "d/switch/relay/command", b"ON", [("d/switch/relay/state", "ON")]),
        ("esphome-plug", "d/switch/relay/command", b"TOGGLE", [("d/switch/relay/state", "ON")]),
        ("esphome-plug", "d/switch/relay/command", b"\xff", []),
        ("esphome-plug", "d/sensor/voltage/command", b"ON", []),
        (
            "shelly-plug",
            "d/rpc",
            b'{"id": 7, "src": "me", "method": "Switch.Set", "params": {"id": 0, "on": true}}',
            [
                ("me/rpc", '{"id": 7, "src": "d", "dst": "me", "result": {"was_on": false}}'),
                ("d/events/rpc", '"method": "NotifyStatus"'),
            ],
        ),
        (
            "shelly-plug",
            "d/rpc",
            b'{"id": 7, "src": "me", "method": "Switch.Set", "params": {"id": 0}}',
            [("me/rpc", '"error": {"code": -103')],
        ),
        (
            "shelly-plug",
            "d/rpc",
            b'{"src": "me", "method": "Smoke.Mute\\ud800"}',
            [("me/rpc", '"error": {"code": 404')],
        ),
        ("shelly-plug", "d/rpc", b'{"src": "#", "method": "Shelly.GetStatus"}', []),
        ("shelly-plug", "d/rpc", b'{"method": "Shelly.GetStatus"}', []),
        ("shelly-plug", "d/rpc", b"[" * 100_000, []),
    ],
)
def test_commands_are_obeyed_and_refused_as_the_firmware_does(
    name: str, topic: str, payload: bytes, answers: list[tuple[str, str]]
) -> None:
    device = simulated(name, {"relay": False, "voltage": 230.0})
    device.at(0.0)
    assert any(covers(pattern, topic) for pattern in device.filters) or not answers
    told = device.hear(topic, payload)
    assert [message.topic for message in told] == [where for where, _ in answers]
    for message, (_, words) in zip(told, answers, strict=True):
        assert words in message.payload.decode()


def test_a_node_of_a_tasmota_bridge_is_told_by_the_bridge_alone() -> None:
    names = {"smoke": "ZbReceived.0x2916.Fire", "zone": "ZbReceived.0x2916.ZoneStatus"}
    node = TasmotaNode("bridge", Physics({"zone": Quantity(constant(1.0))}, state={"smoke": False}), names, begins=0.0)
    assert node.connect() is None
    (told,) = node.at(0.0)
    assert told.topic == "tele/bridge/SENSOR"
    assert json.loads(told.payload) == {"Epoch": 0, "ZbReceived": {"0x2916": {"Fire": 0, "ZoneStatus": 1.0}}}
    node.physics.show([showing(PointSpec(name="smoke", kind=Kind.STATE), 1.0)])
    (told,) = node.at(1.0)
    assert json.loads(told.payload)["ZbReceived"]["0x2916"] == {"Fire": 1, "ZoneStatus": 1.0}
    node.fault.gone = True
    assert node.at(2.0) == []


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_connection_begins_with_a_will_a_birth_and_everything(name: str) -> None:
    device = simulated(name, some(name))
    first = device.at(0.0)
    will = device.connect()
    assert will is not None
    assert will == device.presence(there=False)[-1]
    again = device.at(1.0)
    assert [message.topic for message in again] == [message.topic for message in first]
    assert will.topic in {message.topic for message in again if message.payload != will.payload}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_gone_and_back(name: str) -> None:
    device = simulated(name, some(name))
    dialect, one, names = dialect_of(name, device)
    read(dialect, device.at(0.0))
    device.fault.gone = True
    gone = rows(read(dialect, device.at(1.0)), names)
    sleeps = one.profile.options.get("sleeps", False)
    assert {mark for _, mark in gone.values()} == (set() if sleeps else {"BAD:offline"})
    assert device.at(2.0) == []
    assert device.hear("cmnd/d/STATUS", b"10") == []
    device.fault.gone = False
    back = read(dialect, device.at(3.0))
    assert {mark for _, mark in rows(back, names).values()} == {"GOOD"}
    assert back.heard


@pytest.mark.parametrize("name", ["tasmota-leak", "esphome-smoke", "shelly-smoke", "ha-leak"])
def test_what_breaks_out_is_told_at_once(name: str) -> None:
    state = {"tasmota-leak": "water", "ha-leak": "water"}.get(name, "smoke")
    make, names_there = FAMILIES[name]
    physics = Physics({"depth": Quantity(switch(0.0, 1.0, at=7.0))}, {state: Flag("depth", 1.0, 0.5)})
    device = make("d", physics, names_there, period=1_000.0)
    dialect, _, names = dialect_of(name, device)
    told = {t: rows(read(dialect, device.at(float(t))), names).get(state) for t in range(20)}
    assert {t: said for t, said in told.items() if said} == {0: (0.0, "GOOD"), 7: (1.0, "GOOD")}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_garbage_costs_no_dialect_its_life(name: str) -> None:
    device = simulated(name, some(name))
    dialect, _, _ = dialect_of(name, device)
    device.period, device.fault = 1.0, MqttFault(garbage=True)
    into = read(dialect, [message for t in range(300) for message in device.at(float(t))])
    make_batch("b", 1, into.rows, events=into.events)
    assert into.problems or any(describe(mark) != "GOOD" for *_, mark in into.rows)


def test_silent_and_stuck() -> None:
    device = simulated("esphome-smoke", {"smoke": False, "temperature": 20.0})
    device.at(0.0)
    device.fault.silent = True
    assert not [message for t in range(1, 20) for message in device.at(float(t))]
    device.fault = MqttFault(stuck=True)
    device.physics = Physics({"smoke": Quantity(constant(1.0)), "temperature": Quantity(constant(90.0))})
    assert {m.payload for t in range(20, 40) for m in device.at(float(t))} == {b"OFF", b"20.0"}


def test_a_firmware_has_to_say_everything_in_its_own_way() -> None:
    device = Firmware("d", Physics({}), {})
    with pytest.raises(NotImplementedError):
        device.presence(there=True)
    with pytest.raises(NotImplementedError):
        _ = device.filters
    for told in (device.whole, device.change):
        with pytest.raises(NotImplementedError):
            told({}, 0.0)
    with pytest.raises(NotImplementedError):
        device.answer("t", b"", 0.0)
