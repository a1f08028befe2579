"""The tasmota dialect beyond its golden cases: filters, questions, commands, wrong options, and any bytes whatever."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._profiles import profile, tailor
from drivers.dialects.tasmota import Tasmota, create
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup

CASES = Path(__file__).parents[1] / "cases" / "tasmota" / "telemetry.toml"
PAYLOADS = [case["payload"].encode() for case in tomllib.loads(CASES.read_text("utf-8"))["case"] if case["payload"]]
TOPICS = [
    "tele/d/LWT",
    "tele/d/STATE",
    "tele/d/SENSOR",
    "tele/d/2916/SENSOR",
    "stat/d/RESULT",
    "stat/d/POWER1",
    "d",
    "",
]


def device(options: dict[str, Any], name: str = "tasmota-plug", points: dict[str, Any] | None = None) -> Device:
    return Device(id="d", source="b", profile=tailor(profile(name), points or {}), options=options)


def made(one: Device) -> Tasmota:
    ids = {f"d.{spec.name}": number for number, spec in enumerate(one.profile.points, 1)}
    return create(DialectSetup(devices=[one], point_ids=ids, source_events=99))


@pytest.mark.parametrize(
    ("options", "filters", "commands"),
    [
        ({"topic": "d"}, ("tele/d/+", "stat/d/+"), "cmnd/d/"),
        ({"topic": "a/d", "full_topic": "%topic%/%prefix%/"}, ("a/d/tele/+", "a/d/stat/+"), "a/d/cmnd/"),
        ({"topic": "d", "full_topic": "x/%prefix%/%topic%"}, ("x/tele/d/+", "x/stat/d/+"), "x/cmnd/d/"),
        ({"topic": "d", "prefixes": {"tele": "t", "cmnd": "c"}}, ("t/d/+", "stat/d/+"), "c/d/"),
    ],
)
def test_topics_follow_the_full_topic(options: dict[str, Any], filters: tuple[str, ...], commands: str) -> None:
    one = device(options)
    dialect = made(one)
    assert dialect.filters(one) == filters
    assert dialect.ask(one) == [(f"{commands}STATUS", b"10"), (f"{commands}STATUS", b"11")]
    assert [message[:2] for message in dialect.poll(one)] == dialect.ask(one)
    assert dialect.command(one, "relay", 1.0)[0][:2] == (f"{commands}POWER1", b"ON")


def test_a_node_of_a_bridge_is_not_asked() -> None:
    one = device({"topic": "bridge", "unit": "0x2916"}, "tasmota-zigbee-temperature")
    assert made(one).filters(one) == ("tele/bridge/+", "stat/bridge/+", "tele/bridge/+/SENSOR")
    assert made(one).ask(one) == []


def test_an_inverted_output_is_told_the_other_word() -> None:
    one = device({"topic": "d"}, points={"relay": {"invert": True}})
    assert made(one).command(one, "relay", 1.0)[0].payload == b"OFF"
    assert made(one).command(one, "voltage", 1.0) == ()


@pytest.mark.parametrize(
    ("options", "points"),
    [
        ({}, {}),
        ({"topic": "a/#"}, {}),
        ({"topic": "a/"}, {}),
        ({"topic": "d", "full_topic": "%topic%"}, {}),
        ({"topic": "d", "zone": "Beijing"}, {}),
        ({"topic": "d", "x": 1}, {}),
        ({"topic": "d"}, {"relay": {"decode": {"path": "a["}}}),
        ({"topic": "d"}, {"relay": {"decode": {"pth": "a"}}}),
    ],
)
def test_wrong_options_name_the_device(options: dict[str, Any], points: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^device d: "):
        made(device(options, points=points))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(st.sampled_from(PAYLOADS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(payload)))
        payload[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload)


@pytest.mark.parametrize(("name", "unit"), [("tasmota-plug", ""), ("tasmota-zigbee-smoke", "Kitchen")])
@given(payload=st.binary(max_size=60) | mutated(), topic=st.sampled_from(TOPICS), retained=st.booleans())
def test_no_bytes_make_it_raise(name: str, unit: str, payload: bytes, topic: str, retained: bool) -> None:  # noqa: FBT001 - hypothesis
    into = Decoded()
    ours = made(device({"topic": "d", "unit": unit}, name)).decode(topic, payload, retained=retained, into=into)
    make_batch("b", 1, into.rows, events=into.events, heard=into.heard)
    assert ours or into == Decoded()
    assert not (retained and (into.events or into.heard or into.replies))
    assert len(into.rows) <= 40


@given(status=st.integers(0, 0xFFFF), fire=st.booleans())
def test_while_a_self_test_stands_no_alarm_state_passes(status: int, fire: bool) -> None:  # noqa: FBT001 - hypothesis
    one = device({"topic": "d", "unit": "k"}, "tasmota-zigbee-smoke")
    into = Decoded()
    told = {"ZbReceived": {"k": {"ZoneStatus": status, "Fire": int(fire)}}}
    made(one).decode("tele/d/SENSOR", json.dumps(told).encode(), retained=False, into=into)
    rows = {point: value for point, _, value, _ in into.rows}
    testing = bool(status & 0x100)
    assert (1 in rows, 2 in rows) == (not testing, not testing)
    assert rows[3] == float(status >> 3 & 1)
    assert len(into.events) == testing
