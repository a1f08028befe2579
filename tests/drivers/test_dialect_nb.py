"""ctwing and onenet beyond their golden cases: simulated devices read back, repetitions, wrong options, any bytes."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.mqtt_devices import Message
from drivers.simulated.nb_devices import CtwingDevice, OnenetDevice, sealed
from gateway.errors import ConfigError
from gateway.model.batch import EventCode
from gateway.model.ports import Decoded
from tests.dialect_bench import STRANGERS, Bench, growth, mutated
from tests.drivers.test_dialect_lora import JSONISH

NOW = 1_619_524_024_049  # ms
Platform = Literal["ctwing", "onenet"]
PLATFORMS: list[Platform] = ["ctwing", "onenet"]


def ctwing(kind: str = "smoke", **options: Any) -> tuple[Bench, CtwingDevice]:  # noqa: ANN401 - as in a TOML table
    device = CtwingDevice(Random(1))  # noqa: S311 - a simulated device's
    place = {"topic": device.topic, "device_id": device.device_id, "product": device.product}
    return Bench(("d", f"nb-ctwing-{kind}", place | options)), device


def onenet(kind: str = "smoke", **options: Any) -> tuple[Bench, OnenetDevice]:  # noqa: ANN401 - as in a TOML table
    device = OnenetDevice(Random(1))  # noqa: S311 - a simulated device's
    return Bench(("d", f"nb-onenet-{kind}", {"product": device.product, "device": device.name} | options)), device


readings = st.fixed_dictionaries(
    {"smoke": st.booleans(), "warmth": st.integers(-400, 1250), "battery": st.integers(0, 100)}
)


@given(st.lists(readings, min_size=1, max_size=8))
@settings(max_examples=40)
def test_what_a_detector_reports_is_read_with_its_time(story: list[dict[str, int]]) -> None:
    wing, pushed = ctwing()
    net, posted = onenet()
    bare, transparent = ctwing("smoke-raw")
    for second, said in enumerate(story):
        time = NOW + 1000 * second
        smoke, warmth, battery = int(said["smoke"]), said["warmth"], said["battery"]
        raw = sealed(b"\xaa" + bytes((smoke, battery)) + warmth.to_bytes(2, "big", signed=True))
        heard = [
            (wing, pushed.report({"smoke_state": smoke, "temperature": warmth / 10, "battery_value": battery}, time)),
            (net, posted.post({"smoke": smoke, "temperature": warmth / 10, "battery": battery}, time)),
            (bare, transparent.transparent(raw, time)),
        ]
        for station, messages in heard:
            into = station.hear(messages)
            assert not into.problems
            assert {at for _, at, _, _ in into.rows} == {time * 10**6}
            found = station.latest(into)
            assert (found["d.smoke"], found["d.battery"]) == (smoke, battery)
            assert found["d.temperature"] == pytest.approx(warmth / 10)


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=24))
@settings(max_examples=40)
def test_aggregated_levels_become_readings_of_their_own_times(levels: list[int]) -> None:
    station, device = onenet("level")
    into = station.hear(device.logged("data", levels, NOW))
    rows = [(time, value) for name, time, value, _ in station.said(into) if name == "d.level"]
    first = (NOW - 600_000 * (len(levels) - 1)) * 10**6
    assert rows == [(first + 600 * 10**9 * number, float(level)) for number, level in enumerate(levels)]

    station, device = onenet()
    values: list[tuple[int, object]] = [(NOW + 1000 * number, level / 1000) for number, level in enumerate(levels)]
    into = station.hear(device.aggregated("temperature", values[::-1]))
    assert [(time, value) for _, time, value, _ in station.said(into)] == [(at * 10**6, value) for at, value in values]


def test_repetitions_of_the_platform_say_nothing_twice() -> None:
    for station, device in (ctwing(), onenet()):
        device.fault.repeats = 2
        report = device.report if isinstance(device, CtwingDevice) else device.post
        into = station.hear(report({"smoke_state": 1, "smoke": 1}, NOW))
        assert [name for name, *_ in station.said(into)] == ["d.smoke"]
        assert into.problems == ["repeat", "repeat"]
        device.fault.silent = True
        assert report({}, NOW) == []


def test_every_flipped_bit_of_a_sealed_payload_is_refused() -> None:
    station, device = ctwing("smoke-raw")
    sound = sealed(b"\xaa\x01\x05\x00\xfa")
    for bit in range(8 * len(sound)):
        spoilt = bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(sound))
        into = station.hear(device.transparent(spoilt, NOW + bit))
        assert "checksum" in into.problems
        assert not into.rows


def test_a_strangers_fire_is_not_registered_whatever_its_form() -> None:
    for kind, payload in (("smoke", None), ("smoke-raw", sealed(b"\xaa\x01\x05\x00\xfa"))):
        station, device = ctwing(kind)
        device.device_id, device.imei = "stranger", "undefined"
        said = device.report({"smoke_state": 1}, NOW) if payload is None else device.transparent(payload, NOW)
        (event,) = station.hear(said).events
        assert (event.point, event.key, event.code, event.registered) == (STRANGERS, "stranger", EventCode.FIRE, False)


def test_a_message_full_of_events_is_not_kept_a_thousand_times() -> None:
    station, device = onenet()
    many: list[tuple[int, object]] = [(NOW + number, {"type": "fire"}) for number in range(1000)]
    many.append((NOW + 1000, {"type": "restore"}))
    into = station.hear(device.aggregated("alarm_event", many))
    assert len(into.events) == 32
    assert into.events[-1].code is EventCode.RESTORE
    assert into.problems == ["too_many_events"]

    station, wing = ctwing(samples="values")
    wing.device_id = wing.imei = "stranger"
    assert len(station.hear(wing.report({"values": [{"smoke_state": 1}] * 1000}, NOW)).events) == 1


def test_a_detector_offline_is_bad_only_if_it_does_not_sleep() -> None:
    for sleeps in (True, False):
        station, device = ctwing(sleeps=sleeps)
        bad = station.said(station.hear(device.presence(NOW, online=False)))
        assert {quality for *_, quality in bad} == (set() if sleeps else {"BAD:offline"})
        assert station.hear(device.presence(NOW, online=True)).heard


def test_posts_are_answered_only_where_that_is_wanted() -> None:
    for reply in (False, True):
        station, device = onenet(reply=reply)
        into = station.hear(device.post({"smoke": 0}, NOW))
        topics = [topic for topic, *_ in into.replies]
        assert topics == (["$sys/abc123/smoke-1/thing/property/post/reply"] if reply else [])


@pytest.mark.parametrize(
    ("platform", "wrong", "says"),
    [
        ("ctwing", {"topic": "t"}, "device_id or its imei"),
        ("ctwing", {"topic": "t/#/u", "imei": "1"}, "wildcards"),
        ("ctwing", {"topic": "t", "imei": "1", "base64": "a..b"}, "path"),
        ("ctwing", {"imei": "1"}, "topic"),
        ("onenet", {"product": "p"}, "device"),
        ("onenet", {"product": "p", "device": "a/b"}, "levels of a topic"),
        ("onenet", {"product": "p", "device": "d", "every": "soon"}, "soon"),
    ],
)
def test_wrong_options_name_the_device(platform: Platform, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^device d: .*{says}"):
        Bench(("d", f"nb-{platform}-smoke", wrong))


def test_two_devices_of_one_id_are_refused() -> None:
    place = {"topic": "t", "imei": "1"}
    with pytest.raises(ConfigError, match=r"^device e: 1 is another device's already"):
        Bench(("d", "nb-ctwing-smoke", place), ("e", "nb-ctwing-gas", place))


def sent(platform: Platform) -> tuple[Bench, list[Message]]:
    if platform == "ctwing":
        station, device = ctwing(samples="values", every="10m", hex="data")
        reports: list[dict[str, Any]] = [
            {"smoke_state": 1},
            {"values": [{"smoke_state": 1}, {}]},
            {"data": "aa0105"},
            {"APPdata": "qgEF"},
        ]
        return station, [message for report in reports for message in device.report(report, NOW)]
    net, posted = onenet("level")
    many = posted.aggregated("data", [(NOW, "5a"), (NOW + 1, "5a0e")])
    return net, posted.logged("data", [1, 2, 3], NOW) + posted.post({"battery": 3.6}, NOW) + many


@pytest.mark.parametrize("platform", PLATFORMS)
@given(data=st.data())
@settings(max_examples=60)
def test_no_bytes_make_it_raise(platform: Platform, data: st.DataObject) -> None:
    station, known = sent(platform)
    payload = data.draw(st.binary(max_size=40) | mutated([message.payload for message in known]))
    retained = data.draw(st.booleans())
    into = station.hear([Message(known[0].topic, payload, retained)])
    assert not (retained and (into.events or into.heard or into.replies))


@pytest.mark.parametrize("platform", PLATFORMS)
@given(data=st.data())
@settings(max_examples=60)
def test_no_value_of_any_field_makes_it_raise(platform: Platform, data: st.DataObject) -> None:
    station, known = sent(platform)
    message = data.draw(st.sampled_from(known))
    content = json.loads(message.payload)
    inner = [content, *(part for part in content.values() if isinstance(part, dict))]
    place = data.draw(st.sampled_from(inner))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSONISH)
    station.hear([message._replace(payload=json.dumps(content).encode())])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_ever_new_messages_do_not_grow_the_memory(platform: Platform) -> None:
    station, known = sent(platform)

    def flood(number: int) -> None:
        payload = known[0].payload.replace(str(NOW).encode(), str(NOW + number).encode())
        station.dialect.decode(known[0].topic, payload, retained=False, into=Decoded())

    assert growth(flood) < 20_000
