"""chirpstack and ttn beyond their golden cases: simulated devices read back, copies, wrong options, any bytes."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.behaviour import constant, switch
from drivers.simulated.lora_devices import LoraDevice, channels, leak_sensor, smoke_payload
from drivers.simulated.mqtt_devices import Message, Quantity
from gateway.errors import ConfigError
from gateway.model.batch import EventCode
from gateway.model.ports import Decoded
from tests.dialect_bench import Bench, growth, mutated

Server = Literal["chirpstack", "ttn"]
EUI = "24e124136b502201"
PLACE: dict[str, dict[str, Any]] = {
    "chirpstack": {"dev_eui": EUI.upper(), "application": "jc"},
    "ttn": {"application": "jc@ttn", "device": "leak-1"},
}
SERVERS: list[Server] = ["chirpstack", "ttn"]


def bench(server: Server, kind: str = "em300-sld") -> tuple[Bench, LoraDevice]:
    names = {"chirpstack": ("jc", EUI), "ttn": ("jc@ttn", "leak-1")}
    return Bench(("d", f"{server}-{kind}", PLACE[server])), LoraDevice(server, *names[server], Random(1))  # noqa: S311 - a simulated device's


@given(
    st.sampled_from(SERVERS),
    st.lists(st.tuples(st.booleans(), st.integers(-400, 1250), st.booleans()), min_size=1, max_size=12),
)
@settings(max_examples=60)
def test_what_a_device_measures_is_read_by_codec_and_by_bytes(
    server: Server, story: list[tuple[bool, int, bool]]
) -> None:
    station, device = bench(server)
    for second, (wet, tenths, codec) in enumerate(story):
        device.codec = codec
        data = channels([("0367", tenths.to_bytes(2, "little", signed=True)), ("0500", bytes((wet,)))])
        fields = {"temperature": tenths / 10, "leakage_status": "leak" if wet else "normal"}
        into = station.hear(device.up(data, fields, 1_700_000_000 + second))
        rows = {name: (time, value, quality) for name, time, value, quality in station.said(into)}
        time = (1_700_000_000 + second) * 10**9
        assert rows["d.leak"] == (time, float(wet), "GOOD")
        assert rows["d.temperature"][1] == pytest.approx(tenths / 10)
        assert rows["d.rssi"][0] == time
        assert not into.problems


@pytest.mark.parametrize("server", SERVERS)
def test_a_leak_is_told_at_once_and_not_before(server: Server) -> None:
    station, device = bench(server)
    sensor = leak_sensor(device, Quantity(switch(0.0, 5.0, at=1234.0)), Quantity(constant(12.0)))
    values = [(t, station.latest(station.hear(sensor.at(float(t)))).get("d.leak")) for t in range(0, 3000, 2)]
    told = [(t, value) for t, value in values if value is not None]
    assert [t for t, _ in told] == [0, 600, 1200, 1234, 1834, 2434]
    assert [value for _, value in told] == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("server", SERVERS)
def test_copies_say_nothing_twice(server: Server) -> None:
    station, device = bench(server)
    device.fault.copies = 2
    into = station.hear(device.up(channels([("0500", b"\1")]), {"leakage_status": "leak"}, 1.0))
    assert [name for name, *_ in station.said(into)].count("d.leak") == 1
    assert into.problems == ["repeat", "repeat"]
    assert len(into.heard) == 2


@pytest.mark.parametrize("server", SERVERS)
def test_no_counter_hides_a_change(server: Server) -> None:
    station, device = bench(server)
    device.fault.stuck = True
    for second, wet in enumerate([0, 1, 0, 1, 1, 0]):
        if second == 3:
            station.hear(device.join(3.0))
        into = station.hear(device.up(channels([("0500", bytes((wet,)))]), {}, float(second)))
        assert station.latest(into).get("d.leak", wet) == wet
        assert station.latest(into) or into.problems == ["repeat"]


@pytest.mark.parametrize("server", SERVERS)
def test_every_flipped_bit_of_a_smoke_detectors_payload_is_refused(server: Server) -> None:
    station, device = bench(server, "gs524n")
    sound = smoke_payload(1, smoke=40)
    assert station.latest(station.hear(device.up(sound, {}, 1.0)))["d.smoke"] == 1.0
    for bit in range(8 * len(sound)):
        spoilt = bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(sound))
        into = station.hear(device.up(spoilt, {}, 2.0 + bit))
        assert "checksum" in into.problems
        assert set(station.latest(into)) <= {"d.rssi"}


def test_a_test_of_the_detector_is_no_alarm_and_a_battery_on_mains_has_no_level() -> None:
    station, device = bench("chirpstack", "gs524n")
    into = station.hear(device.up(smoke_payload(14), {}, 1.0))
    assert [event.code for event in into.events] == [EventCode.TEST]
    assert "d.smoke" not in station.latest(into)
    assert station.latest(station.hear(device.status(40.5, 7, 2.0))) == {"d.battery": 40.5}
    assert station.latest(station.hear(device.status(0.0, 0, 3.0))) == {"d.battery": 0.0}
    assert station.latest(station.hear(device.status(None, 7, 4.0))) == {}


@pytest.mark.parametrize("server", SERVERS)
def test_garbage_and_a_failing_codec_cost_nothing_beside_them(server: Server) -> None:
    station, device = bench(server)
    for second in range(300):
        device.fault.garbage = second % 2 == 0
        device.fault.codec_fails = second % 3 == 0
        into = station.hear(device.up(channels([("0500", b"\1")]), {"leakage_status": "leak"}, float(second)))
        if not device.fault.garbage:
            assert station.latest(into)["d.leak"] == 1.0
    device.fault.silent = True
    assert device.up(b"", {}, 0.0) == []


@pytest.mark.parametrize(
    ("server", "wrong", "says"),
    [
        ("chirpstack", {"dev_eui": "24e1"}, "16 hexadecimal"),
        ("chirpstack", {"dev_eui": EUI, "application": "a/b"}, "application"),
        ("chirpstack", {}, "dev_eui"),
        ("chirpstack", {"dev_eui": EUI, "x": 1}, "x"),
        ("chirpstack", {"dev_eui": EUI, "zone": "local"}, "is no time zone"),
        ("chirpstack", {"dev_eui": EUI, "samples": "a..b"}, "path"),
        ("chirpstack", {"dev_eui": EUI, "raw": {"check": "md5"}}, "check"),
        ("ttn", {"application": "a", "device": ""}, "ids of the console"),
        ("ttn", {"application": "a/#", "device": "d"}, "ids of the console"),
        ("ttn", {"device": "d"}, "application"),
    ],
)
def test_wrong_options_name_the_device(server: Server, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^device d: .*{says}"):
        Bench(("d", f"{server}-em300-sld", wrong))


@pytest.mark.parametrize(
    ("decode", "says"),
    [
        ({"path": "a..b"}, "path"),
        ({"extra": "weather"}, "known: battery"),
        ({"bytes": {"head": "xy"}}, "hex"),
        ({"bytes": {"channel": "01"}}, "four small hexadecimal digits"),
        ({"bytes": {"type": "u7"}}, "u7"),
        ({"bytes": {"type": "f32", "mask": 1}}, "whole numbers"),
        ({"bytes": {"channel": "0175"}}, "not among raw.channels"),
        ({"bytes": {"record": True}}, "raw.records"),
        ({"byte": {}}, "byte"),
    ],
)
def test_a_wrong_decode_names_the_device(decode: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^device d: .*{says}"):
        Bench(("d", "chirpstack-generic", PLACE["chirpstack"]), points={"x": {"unit": "1", "decode": decode}})


def messages(server: Server) -> list[Message]:
    _, device = bench(server)
    both = [
        *device.up(channels([("0500", b"\1"), ("0367", b"\xf6\xff")]), {"leakage_status": "leak"}, 1.0),
        *device.join(2.0),
    ]
    return both if server == "ttn" else both + device.status(50.0, 3, 3.0)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("server", SERVERS)
@given(data=st.data())
@settings(max_examples=60)
def test_no_bytes_make_it_raise(server: Server, data: st.DataObject) -> None:
    station, _ = bench(server)
    known = messages(server)
    topic = data.draw(st.sampled_from(sorted({message.topic for message in known})))
    payload = data.draw(st.binary(max_size=40) | mutated([message.payload for message in known]))
    retained = data.draw(st.booleans())
    into = station.hear([Message(topic, payload, retained)])
    assert not (retained and (into.events or into.heard))


@pytest.mark.parametrize("server", SERVERS)
@given(data=st.data())
@settings(max_examples=60)
def test_no_value_of_any_field_makes_it_raise(server: Server, data: st.DataObject) -> None:
    station, _ = bench(server)
    message = data.draw(st.sampled_from(messages(server)))
    content = json.loads(message.payload)
    place = content.get("uplink_message", content) if data.draw(st.booleans()) else content
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSONISH)
    station.hear([message._replace(payload=json.dumps(content).encode())])


@pytest.mark.parametrize("server", SERVERS)
def test_ever_new_messages_do_not_grow_the_memory(server: Server) -> None:
    station, device = bench(server)

    def flood(number: int) -> None:
        into = Decoded()
        for message in device.up(number.to_bytes(3, "big") * 5, {}, float(number), port=1 + number % 200):
            station.dialect.decode(message.topic, message.payload, retained=False, into=into)

    assert growth(flood) < 20_000
