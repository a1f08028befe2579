"""What `simulate` publishes for devices of shipped profiles is what their dialects read: no broker, no traceback."""

from __future__ import annotations

from typing import Any

import pytest

from drivers import _profiles as profiles
from drivers.simulated import mqtt_players
from drivers.simulated.mqtt_shown import showing, shown
from drivers.simulated.payloads import payload
from drivers.simulated.sparkplug_player import SparkplugPlayer
from drivers.simulated.station import mqtt_player
from gateway.cli.calm import calm
from gateway.model.point import Device, Kind
from gateway.model.ports import Commanding
from gateway.model.station import Station, StoreSpec
from gateway.protocols.mqtt_topics import covers
from gateway.protocols.sparkplug import (
    DataType,
    Metric,
    Payload,
    Value,
    decode,
    encode,
    rebirth,
    state,
    state_topic,
)
from tests.dialect_bench import Bench

_LORA = {"application": "firewatch"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "chirpstack": {**_LORA, "dev_eui": "24E124126A146970"},
    "ttn": {**_LORA, "device": "smoke-1"},
    "ctwing": {"topic": "aep/+", "imei": "161941770261953"},
    "onenet": {"product": "abc123", "device": "smoke-1"},
    "sparkplug": {"group": "plant", "node": "edge", "device": "d1"},
    "homeassistant": {"availability": [{"topic": "house/d/there", "path": "state"}]},
}
_DIALECTS = (*_OPTIONS, "esphome", "shelly", "tasmota", "zigbee2mqtt", "json")
_SHIPPED = [name for name in profiles.names() if profiles.profile(name).driver in _DIALECTS and name != "json-panel"]
_OWN = {
    "json": {"level": {"unit": "m", "decode": {"path": "$.a.level"}}},
    "esphome": {"level": {"unit": "m", "decode": {"entity": "sensor/level"}}},
    "sparkplug": {"level": {"unit": "m", "decode": {"metric": "Inputs/Level"}}},
    "chirpstack": {"level": {"unit": "m", "decode": {"bytes": {"at": 1, "type": "u16", "scale": 0.01}}}},
    "ttn": {"level": {"unit": "m", "decode": {"path": "level"}}},
    "ctwing": {"level": {"unit": "m", "decode": {"path": "level"}}},
    "onenet": {"level": {"unit": "m", "decode": {"path": "level"}}},
    "homeassistant": {"level": {"unit": "m", "decode": {"topic": "house/d/level"}}},
}

_Values = list[tuple[dict[str, Any], float]]  # `decode.bytes`, what the point shows


def _points(name: str) -> dict[str, Any]:
    """Return what a configuration adds: own points of a generic device, topics that were learnt from discovery."""
    shipped = profiles.profile(name)
    if name.endswith("-generic"):
        return _OWN[shipped.driver]
    if shipped.driver != "homeassistant":
        return {}
    kinds = {spec.name: {"topic": "house/d", "path": f"$.{spec.name}"} for spec in shipped.points}
    return {spec.name: {"decode": kinds[spec.name]} for spec in shipped.points if spec.kind is not Kind.TEXT}


def _options(driver: str) -> dict[str, Any]:
    return _OPTIONS.get(driver, {"topic": "zigbee2mqtt/d" if driver == "zigbee2mqtt" else "d"})


@pytest.mark.parametrize("name", _SHIPPED)
def test_the_dialect_reads_what_a_simulated_device_says(name: str) -> None:
    shipped = profiles.profile(name)
    bench = Bench(("d", name, _options(shipped.driver)), points=_points(name))
    (device,) = bench.devices
    rest = calm(Station(id="s", name="s", store=StoreSpec(path=""), devices=(device,)))
    player = mqtt_player(device, 1, rest)
    assert player is not None
    messages = [message._replace(retain=False) for t in (0.0, 31.0) for message in player.at(t)]
    assert all(message.topic and not {"+", "#"} & set(message.topic) for message in messages)
    into = bench.hear(messages)
    assert not into.problems
    assert not into.events
    said = {point: (value, quality) for point, _, value, quality in bench.said(into) if quality != "BAD offline"}
    assert said
    usual = {one.spec.name: one.value for one in shown(device, rest)}
    for spec in device.profile.points:
        if spec.kind is Kind.TEXT or "extra" in spec.decode or f"d.{spec.name}" not in said:
            continue
        value, quality = said[f"d.{spec.name}"]
        assert quality.startswith("GOOD"), (spec.name, value, quality)
        if not name.startswith("zigbee2mqtt-"):  # these move by themselves
            assert value == pytest.approx(usual[spec.name], abs=0.51), spec.name
    first = next(spec for spec in device.profile.points if spec.kind is not Kind.TEXT)
    assert f"d.{first.name}" in said, "the profile's first point is what it is there for"


def test_devices_of_one_sparkplug_node_are_one_player_that_gives_births_when_asked() -> None:
    options = {"group": "plant", "node": "edge"}
    bench = Bench(
        ("a", "sparkplug-smoke", {**options, "device": "a"}), ("b", "sparkplug-level", {**options, "device": "b"})
    )
    (_, one), (_, other) = mqtt_players.players(bench.devices, {"b.level": 2.5})
    assert one is other
    assert one is not None
    one.at(0.0)  # nobody was there to hear the births
    ((topic, request),) = bench.dialect.ask(bench.devices[0])
    assert topic in one.filters
    into = bench.hear([*one.hear(topic, request, 3.0), *one.at(31.0)])
    assert not into.problems
    assert bench.latest(into)["a.smoke"] == 0.0
    assert bench.latest(into)["b.level"] == 2.5


def test_the_will_of_a_node_is_the_death_of_its_connection() -> None:
    bench = Bench(("d", "sparkplug-level", {"group": "plant", "node": "edge", "device": "d"}))
    ((_, player),) = mqtt_players.players(bench.devices, {"d.level": 2.5})
    assert player is not None
    numbers = []
    for t in (0.0, 5.0):
        will = player.connect()
        assert will is not None
        assert not will.retain
        death, born = decode(will.payload), player.at(t)
        birth = decode(born[0].payload)
        assert isinstance(death, Payload)
        assert isinstance(birth, Payload)
        assert (death.metrics, death.seq) == (birth.metrics[:1], None)  # the same bdSeq
        numbers.append(death.metrics[0].value)
        assert bench.latest(bench.hear(born))["d.level"] == 2.5
        dead = bench.hear([will])
        assert {quality for *_, quality in bench.said(dead)} == {"BAD:offline"}
    assert numbers == [0, 1]


def test_a_node_waits_for_its_primary_host_and_leaves_with_it() -> None:
    options = {"group": "plant", "node": "edge", "device": "d", "host": "jc-07"}
    bench = Bench(("d", "sparkplug-level", options))
    ((_, player),) = mqtt_players.players(bench.devices, {})
    assert isinstance(player, SparkplugPlayer)
    place = state_topic("jc-07")
    assert place in player.filters
    player.connect()
    assert player.at(0.0) == player.hear(place, state(1, online=False), 1.0) == player.at(1.0) == []
    assert player.stays
    assert player.hear(player.node.filter, rebirth(), 2.0) == player.hear(place, state(2, online=True), 2.0) == []
    assert bench.latest(bench.hear(player.at(2.0)))["d.level"] == 0.0
    player.hear(place, state(2, online=False), 3.0)
    assert not player.stays
    player.connect()
    assert player.stays
    assert player.at(4.0) == []


def test_a_node_sets_outputs_alone_and_only_to_what_they_can_be() -> None:
    bench = Bench(("d", "sparkplug-level", {"group": "plant", "node": "edge", "device": "d"}))
    ((_, player),) = mqtt_players.players(bench.devices, {})
    assert player is not None
    bench.hear(player.at(0.0))
    topic = "spBv1.0/plant/DCMD/edge/d"
    assert any(covers(pattern, topic) for pattern in player.filters)

    def told(name: str, datatype: DataType, value: Value) -> dict[str, float]:
        command = encode(Payload(metrics=(Metric(name=name, datatype=datatype, value=value),)))
        return bench.latest(bench.hear(player.hear(topic, command, 1.0)))

    assert told("Outputs/Pump", DataType.BOOLEAN, value=True) == {"d.pump": 1.0}
    assert told("Outputs/Pump", DataType.STRING, value="on") == {}
    assert told("Inputs/Level", DataType.DOUBLE, value=9.0) == {}
    player.show((), "d")
    assert bench.latest(bench.hear(player.at(2.0))) == {"d.level": 0.0, "d.pump": 1.0}, "it stays as it was set"
    assert player.hear(topic, b"\xff", 3.0) == []


@pytest.mark.parametrize("name", ["chirpstack-gs524n", "nb-ctwing-smoke", "nb-onenet-smoke", "zigbee2mqtt-co"])
def test_faults_of_what_reports(name: str) -> None:
    bench = Bench(("d", name, _options(profiles.profile(name).driver)))
    (device,) = bench.devices
    player = mqtt_player(device, 1)
    assert player is not None
    (alarm,) = (spec for spec in device.profile.points if spec.labels.get("alarm"))
    first = player.at(0.0)
    assert bench.latest(bench.hear(first))[f"d.{alarm.name}"] == 0.0
    player.fault.stuck = True
    player.show([showing(alarm, 1.0)], "d")
    assert player.at(1.0)[-1] == first[-1]
    player.fault.stuck, player.fault.silent = False, True
    player.show([showing(alarm, 1.0)], "d")
    assert player.at(2.0) == []
    player.fault.silent = False
    assert bench.latest(bench.hear(player.at(3.0)))[f"d.{alarm.name}"] == 1.0
    player.fault.garbage = True
    assert any(bench.hear(player.at(float(t))).problems for t in range(40, 800, 40))
    player.fault.gone = True
    player.at(900.0)
    assert player.at(1000.0) == player.hear("any", b"", 1000.0) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("json-generic", {"topic": "d"}),  # has no points
        ("json-panel", {"topic": ""}),
        ("ha-smoke", {}),  # was not learnt: no topic
    ],
)
def test_what_cannot_be_played_has_no_player(name: str, options: dict[str, Any]) -> None:
    device = Device(id="d", source="b", profile=profiles.profile(name), options=options)
    assert mqtt_player(device, 1) is None


@pytest.mark.parametrize(
    ("name", "options", "gone"),
    [
        ("tasmota-plug", {"full_topic": "%topic%/%prefix%/", "prefixes": {"tele": "says", "cmnd": "do"}}, "d/says/LWT"),
        ("tasmota-plug", {"full_topic": "home/%prefix%/%topic%"}, "home/tele/d/LWT"),
        ("esphome-plug", {"status": "elsewhere"}, "elsewhere"),
    ],
)
def test_topics_of_a_firmware_are_those_of_the_configuration(name: str, options: dict[str, Any], gone: str) -> None:
    bench = Bench(("d", name, {"topic": "d", **options}))
    (device,) = bench.devices
    player = mqtt_player(device, 1)
    assert player is not None
    will = player.connect()
    assert will is not None
    assert will.topic == gone
    assert bench.latest(bench.hear(one._replace(retain=False) for one in player.at(0.0)))["d.relay"] == 0.0
    assert isinstance(bench.dialect, Commanding)
    ((topic, payload, *_),) = bench.dialect.command(device, "relay", 1.0)
    assert any(covers(pattern, topic) for pattern in player.filters)
    assert bench.latest(bench.hear(player.hear(topic, payload, 1.0))) == {"d.relay": 1.0}
    assert {quality for *_, quality in bench.said(bench.hear([will]))} == {"BAD:offline"}


def test_a_tasmota_node_speaks_through_its_bridge() -> None:
    bench = Bench(("d", "tasmota-zigbee-smoke", {"topic": "bridge", "unit": "0x2916"}))
    player = mqtt_player(bench.devices[0], 1, {"d.battery": 90.0})
    assert player is not None
    into = bench.hear(message._replace(retain=False) for message in player.at(0.0))
    bits = dict.fromkeys(("zone", "battery_low", "tamper", "trouble", "battery_defect"), 0)
    assert bench.latest(into) == {
        "d.smoke": 0,
        **{f"d.{name}": value for name, value in bits.items()},
        "d.battery": 90.0,
    }


def test_raw_payloads_are_written_as_they_are_read() -> None:
    at: _Values = [({"at": 1, "mask": 0x0F, "length": 6}, 7.0), ({"at": 4, "type": "s8", "length": 6}, -5.0)]
    assert payload(at, {"check": "zero"}) == bytes((0, 7, 0, 0, 0xFB, 0xFE))
    record: _Values = [
        ({"head": "5a", "record": True, "type": "u16"}, 2500.0),
        ({"head": "5a", "at": 1, "type": "u16"}, 36.0),
    ]
    records = {"records": {"at": 6, "size": 2, "count_at": 5, "every": "10m"}}
    assert payload(record, records) == bytes.fromhex("5a 0024 0000 01 09c4")
    channel: _Values = [({"channel": "0367", "type": "s16", "order": "little", "scale": 0.1}, 21.5)]
    assert payload(channel, {"channels": {"0367": 2}}) == bytes.fromhex("0367 d700")
    assert payload([({"type": "bcd16"}, 1234.0)], {"check": "xor"}) == bytes.fromhex("1234 26")
    assert payload([], {}) == b""
