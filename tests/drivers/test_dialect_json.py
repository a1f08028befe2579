"""The json dialect beyond its golden cases: wrong options are told, and no bytes whatever make it raise."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._profiles import profile, tailor
from drivers.dialects.json import create
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.point import Device
from gateway.model.ports import Decoded, Dialect, DialectSetup
from gateway.model.quality import Level, level_of

CASES = Path(__file__).parents[1] / "cases" / "json"
POINT = {"t": {"unit": "Cel"}}


def made(options: dict[str, Any], points: dict[str, Any] | None = None, name: str = "json-generic") -> Dialect:
    kind = tailor(profile(name), points or {})
    device = Device(id="d", source="b", profile=kind, options=options)
    ids = {f"d.{spec.name}": number for number, spec in enumerate(kind.points, 1)}
    return create(DialectSetup(devices=[device], point_ids=ids, source_events=99))


@pytest.mark.parametrize(
    ("options", "points", "said"),
    [
        ({}, POINT, "topic"),
        ({"topic": "a/#/b"}, POINT, "wildcards are whole levels"),
        ({"topic": "a/b+"}, POINT, "wildcards are whole levels"),
        ({"topic": "a/{x}/{x}"}, POINT, "wildcards are whole levels"),
        ({"topic": ""}, POINT, "wildcards are whole levels"),
        ({"topic": "a", "tpoic": "b"}, POINT, "tpoic"),
        ({"topic": "a", "time": "$["}, POINT, "cannot read"),
        ({"topic": "a", "zone": "Shanghai"}, POINT, "Shanghai"),
        ({"topic": "a", "time_unit": "h"}, POINT, "time_unit"),
        ({"topic": "a"}, {}, "no points"),
        ({"topic": "a"}, {"t": {"unit": "Cel", "decode": {"pth": "x"}}}, "pth"),
        ({"topic": "a"}, {"t": {"unit": "Cel", "decode": {"path": "x["}}}, "cannot read"),
        ({"topic": "a", "event": {"code": "c", "codes": {"F": "feuer"}}}, POINT, "feuer"),
    ],
)
def test_wrong_options_name_device_and_reason(options: dict[str, Any], points: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as told:
        made(options, points)
    assert str(told.value).startswith("device d: ")
    assert said in str(told.value)


def test_filters_cover_every_topic_of_the_device_once() -> None:
    points = {
        "t": {"unit": "Cel", "decode": {"topic": "~/t", "path": "$"}},
        "h": {"unit": "%", "decode": {"topic": "~/h", "path": "$"}},
    }
    options = {"topic": "site/{room}", "event": {"code": "c", "topic": "~/h"}, "availability": {"topic": "up/{room}"}}
    dialect = made(options, points)
    device = Device(id="d", source="b", profile=profile("json-panel"))
    assert list(dialect.filters(device)) == ["site/+/t", "site/+/h", "up/+"]


def test_topics_made_by_others_are_not_remembered_without_bound() -> None:
    dialect = made({"topic": "#"}, POINT)
    for number in range(10_000):
        assert dialect.decode(f"x/{number}", b"{}", retained=False, into=Decoded())
    assert len(dialect._routes) <= 4096  # type: ignore[attr-defined]  # noqa: SLF001 - the bound is the point


def test_broker_statistics_are_no_devices() -> None:
    assert not made({"topic": "#"}, POINT).decode("$SYS/broker/uptime", b"5", retained=False, into=Decoded())


def payloads() -> list[bytes]:
    cases = [case for path in sorted(CASES.glob("*.toml")) for case in tomllib.loads(path.read_text("utf-8"))["case"]]
    return [case["payload"].encode() for case in cases if case.get("payload")]


DIALECTS = {
    "readings": made(
        {"topic": "a/{u}", "match": {"$.id": "1"}, "time": "ts", "samples": "data", "availability": {"topic": "~/up"}},
        {"t": {"unit": "Cel"}, "s": {"kind": "state", "labels": {"on": 1, "off": 0}, "decode": {"path": "a[0].b"}}},
    ),
    "flat": made({"topic": "a/x"}, {"t": {"unit": "Cel"}, "b": {"kind": "state", "labels": {"on": 1, "off": 0}}}),
    "whole": made({"topic": "a/{u}"}, {"t": {"unit": "Cel", "decode": {"path": "$"}}}),
    "panel": made({"topic": "a/{u}", "match": {"u": "x"}}, name="json-panel"),
    "list": made({"topic": "a/+", "event": {"code": "type", "each": "$", "key": "{loop}", "text": "text"}}, POINT),
}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(st.sampled_from(payloads())))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(payload) - 1))
        payload[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
        payload = payload or bytearray(b"0")
    return bytes(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "ts", "data", "t", "a", "b", "type", "loop", "address", "text", "time"]), inner
        )
    ),
    max_leaves=10,
)


def check(payload: bytes, name: str, *, retained: bool) -> None:
    into = Decoded()
    for topic in ("a/x", "a/y", "a/x/up"):
        DIALECTS[name].decode(topic, payload, retained=retained, into=into)
    make_batch("b", 1, into.rows, events=into.events)  # whatever was read fits the arrays
    assert not (retained and into.events)
    for event in into.events:
        assert len(event.key) <= 64
        event.text.encode()


@given(payload=st.binary(max_size=60) | mutated(), name=st.sampled_from(sorted(DIALECTS)), retained=st.booleans())
def test_no_bytes_make_it_raise(payload: bytes, name: str, retained: bool) -> None:  # noqa: FBT001 - hypothesis
    check(payload, name, retained=retained)


@given(message=JSON, name=st.sampled_from(sorted(DIALECTS)))
def test_no_json_makes_it_raise(message: object, name: str) -> None:
    import json

    check(json.dumps(message).encode(), name, retained=False)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_more_digits_than_python_reads_costs_the_others_nothing(sign: str) -> None:
    into = Decoded()
    payload = f'{{"t":{sign}{"9" * 5_000},"more":{sign}{"9" * 399},"b":true}}'.encode()
    assert DIALECTS["flat"].decode("a/x", payload, retained=False, into=into)
    assert [(math.isnan(value), level_of(quality)) for _, _, value, quality in into.rows] == [
        (True, Level.BAD),
        (False, Level.GOOD),
    ]


@pytest.mark.parametrize("payload", [b"[" * 60_000, b'{"a":' * 10_000, b'{"t":' + b"9" * 60_000 + b"}", b'"' * 60_000])
@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_deep_and_long_payloads_are_problems(payload: bytes, name: str) -> None:
    check(payload, name, retained=False)
