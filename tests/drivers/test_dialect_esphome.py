"""The esphome dialect beyond its golden cases: filters, commands, wrong options, and any bytes whatever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._profiles import profile, tailor
from drivers.dialects.esphome import Esphome, create
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup

VALVE = {"kind": "state", "labels": {"shut": 0, "open": 1}, "decode": {"entity": "switch/valve", "write": True}}
SPEED = {"unit": "%", "decode": {"entity": "number/speed", "write": True}}


def device(points: dict[str, Any], **options: Any) -> Device:  # noqa: ANN401 - whatever a TOML table holds
    return Device(id="d", source="b", profile=tailor(profile("esphome-generic"), points), options=options)


def made(one: Device) -> Esphome:
    ids = {f"d.{spec.name}": number for number, spec in enumerate(one.profile.points, 1)}
    return create(DialectSetup(devices=[one], point_ids=ids, source_events=99))


def test_filters_are_the_states_and_the_status() -> None:
    one = device({"valve": VALVE, "flow": {"unit": "L/min"}, "wet": VALVE | {"decode": {}}}, topic="n")
    assert made(one).filters(one) == (
        "n/switch/valve/state",
        "n/sensor/flow/state",
        "n/binary_sensor/wet/state",
        "n/status",
    )
    assert made(one).ask(one) == ()


def test_commands_of_switches_and_numbers() -> None:
    one = device({"valve": VALVE | {"invert": True}, "speed": SPEED}, topic="n")
    dialect = made(one)
    assert [dialect.command(one, "valve", value)[0][:2] for value in (0.0, 1.0)] == [
        ("n/switch/valve/command", b"ON"),
        ("n/switch/valve/command", b"OFF"),
    ]
    told = [dialect.command(one, "speed", value)[0].payload for value in (62.5, 0.1, 10_000_001.0)]
    assert told == [b"62.5", b"0.1", b"10000001"]
    assert dialect.command(one, "other", 1.0) == ()


def test_two_devices_may_share_a_node() -> None:
    devices = [
        Device(
            id=name, source="b", profile=tailor(profile("esphome-generic"), {"valve": VALVE}), options={"topic": "n"}
        )
        for name in "ab"
    ]
    dialect = create(DialectSetup(devices=devices, point_ids={"a.valve": 1, "b.valve": 2}, source_events=9))
    into = Decoded()
    dialect.decode("n/switch/valve/state", b"ON", retained=False, into=into)
    assert [row[0] for row in into.rows] == [1, 2]


@pytest.mark.parametrize(
    ("points", "options"),
    [
        ({}, {"topic": "n"}),
        ({"valve": VALVE}, {}),
        ({"valve": VALVE}, {"topic": "n/+"}),
        ({"valve": VALVE}, {"topic": "n", "status": "#"}),
        ({"valve": VALVE}, {"topic": "n", "x": 1}),
        ({"valve": VALVE | {"decode": {"entity": "valve"}}}, {"topic": "n"}),
        ({"valve": VALVE | {"decode": {"topic": "a/+"}}}, {"topic": "n"}),
    ],
)
def test_wrong_options_name_the_device(points: dict[str, Any], options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^device d: "):
        made(device(points, **options))


WORDS = [b"ON", b"OFF", b"nan", b"21.5", b"-1e400", b"online", b"offline", b"{}", b"[1]", b"null", b""]


@given(
    payload=st.binary(max_size=40) | st.sampled_from(WORDS),
    topic=st.sampled_from(["n/switch/valve/state", "n/status", "n/text_sensor/t/state", "n/debug"]),
    retained=st.booleans(),
)
def test_no_bytes_make_it_raise(payload: bytes, topic: str, retained: bool) -> None:  # noqa: FBT001 - hypothesis
    text = {"kind": "text", "decode": {"entity": "text_sensor/t"}}
    into = Decoded()
    ours = made(device({"valve": VALVE, "t": text}, topic="n")).decode(topic, payload, retained=retained, into=into)
    make_batch("b", 1, into.rows, events=into.events, heard=into.heard)
    assert ours is (topic != "n/debug")
    assert not (retained and (into.events or into.heard))
    assert all(event.text.encode() is not None for event in into.events)
