"""The zigbee2mqtt dialect beyond its golden cases: filters, questions, wrong options, and any bytes whatever."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._profiles import profile
from drivers.dialects.zigbee2mqtt import create
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.point import Device
from gateway.model.ports import Decoded, Dialect, DialectSetup

CASES = Path(__file__).parents[1] / "cases" / "zigbee2mqtt" / "states.toml"


def device(options: dict[str, Any], name: str = "zigbee2mqtt-smoke") -> Device:
    return Device(id="d", source="b", profile=profile(name), options=options)


def made(one: Device) -> Dialect:
    ids = {f"d.{spec.name}": number for number, spec in enumerate(one.profile.points, 1)}
    return create(DialectSetup(devices=[one], point_ids=ids, source_events=99))


def test_filters_are_the_topics_of_the_device() -> None:
    one = device({"topic": "zigbee2mqtt/a/b"})
    assert made(one).filters(one) == ("zigbee2mqtt/a/b", "zigbee2mqtt/a/b/availability", "zigbee2mqtt/bridge/state")


def test_filters_of_one_topic_per_field_do_not_overlap() -> None:
    one = device({"topic": "z/x/b", "base": "z/x", "attributes": True})
    assert made(one).filters(one) == ("z/x/b", "z/x/b/+", "z/x/bridge/state")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("zigbee2mqtt-smoke", ((("z/a/get"), b'{"smoke":""}'),)),
        ("zigbee2mqtt-gas", ((("z/a/get"), b'{"gas":""}'),)),
        ("zigbee2mqtt-temperature", ()),
    ],
)
def test_what_can_alarm_is_asked_for(name: str, asked: tuple[tuple[str, bytes], ...]) -> None:
    one = device({"topic": "z/a"}, name)
    assert made(one).ask(one) == asked


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"topic": "hall"},
        {"topic": "zigbee2mqtt/+"},
        {"topic": "zigbee2mqtt/bridge/state"},
        {"topic": "z/a", "x": 1},
    ],
)
def test_wrong_options_name_the_device(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^device d: "):
        made(device(options))


def payloads() -> list[bytes]:
    return [case["payload"].encode() for case in tomllib.loads(CASES.read_text("utf-8"))["case"] if case["payload"]]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(st.sampled_from(payloads())))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(payload)))
        payload[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload)


TOPICS = ["z/a", "z/a/availability", "z/a/smoke", "z/a/test", "z/a/set/x", "z/bridge/state", "z/a/b/c", "z", ""]


@given(payload=st.binary(max_size=60) | mutated(), topic=st.sampled_from(TOPICS), retained=st.booleans())
def test_no_bytes_make_it_raise(payload: bytes, topic: str, retained: bool) -> None:  # noqa: FBT001 - hypothesis
    into = Decoded()
    ours = made(device({"topic": "z/a", "attributes": True})).decode(topic, payload, retained=retained, into=into)
    make_batch("b", 1, into.rows, events=into.events)
    assert ours or not (into.rows or into.events or into.heard or into.problems)
    assert not (retained and into.events)


@given(payload=mutated(), fields=st.dictionaries(st.sampled_from(["smoke", "battery"]), st.none() | st.floats()))
def test_while_a_test_stands_no_alarm_state_passes(payload: bytes, fields: dict[str, float | None]) -> None:
    import json

    dialect = made(device({"topic": "z/a"}))
    dialect.decode("z/a", payload, retained=False, into=Decoded())
    into = Decoded()
    dialect.decode("z/a", json.dumps({**fields, "smoke": True, "test": True}).encode(), retained=False, into=into)
    smoke = 1
    assert smoke not in [point for point, _, _, _ in into.rows]
