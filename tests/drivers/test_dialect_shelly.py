"""The shelly dialect beyond its golden cases: overlays, filters, questions, commands, and any bytes whatever."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._profiles import profile, tailor
from drivers.dialects.shelly import Shelly, create
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup

CASES = Path(__file__).parents[1] / "cases" / "shelly" / "notifications.toml"
PAYLOADS = [case["payload"].encode() for case in tomllib.loads(CASES.read_text("utf-8"))["case"]]
TOPICS = ["d/events/rpc", "d/online", "d/status/switch:0", "firegrid/d/rpc", "d/rpc", "d"]


def device(
    options: dict[str, Any] | None = None, name: str = "shelly-plug", points: dict[str, Any] | None = None
) -> Device:
    return Device(id="d", source="b", profile=tailor(profile(name), points or {}), options=options or {"topic": "d"})


def made(one: Device) -> Shelly:
    ids = {f"d.{spec.name}": number for number, spec in enumerate(one.profile.points, 1)}
    return create(DialectSetup(devices=[one], point_ids=ids, source_events=99))


def test_topics_questions_and_commands() -> None:
    one = device({"topic": "site/d"})
    dialect = made(one)
    assert dialect.filters(one) == ("site/d/online", "site/d/events/rpc", "site/d/status/+", "firegrid/site/d/rpc")
    ((topic, payload),) = dialect.ask(one)
    assert topic == "site/d/rpc"
    assert json.loads(payload) == {"id": 1, "src": "firegrid/site/d", "method": "Shelly.GetStatus", "params": {}}
    change, question = dialect.command(one, "relay", 1.0)
    assert json.loads(change.payload)["params"] == {"id": 0, "on": True}
    assert question.payload == payload
    assert dialect.command(one, "power", 1.0) == ()


def test_what_sleeps_is_not_asked() -> None:
    one = device(name="shelly-smoke")
    dialect = made(one)
    assert (dialect.ask(one), dialect.poll(one)) == ((), [])
    into = Decoded()
    dialect.decode("d/online", b"true", retained=False, into=into)
    dialect.decode(
        "d/events/rpc", b'{"method":"NotifyStatus","params":{"smoke:0":{"mute":true}}}', retained=False, into=into
    )
    assert into.replies == []


@pytest.mark.parametrize(
    ("options", "points"),
    [
        ({"topic": "+"}, {}),
        ({"topic": "d", "x": 1}, {}),
        ({"topic": "d"}, {"relay": {"decode": {"component": "input:0"}}}),
        ({"topic": "d"}, {"relay": {"decode": {"component": "switch:x"}}}),
        ({"topic": "d"}, {"power": {"decode": {"field": "a["}}}),
        ({"topic": "d"}, {"power": {"decode": {"fild": "a"}}}),
    ],
)
def test_wrong_options_name_the_device(options: dict[str, Any], points: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^device d: "):
        made(device(options, points=points))


FIELDS = {"output": "relay", "voltage": "voltage", "current": "current", "apower": "power"}


@given(
    updates=st.lists(
        st.dictionaries(st.sampled_from(sorted(FIELDS)), st.integers(0, 1).map(float), min_size=1), max_size=6
    )
)
def test_partial_overlays_are_the_full_status_they_add_up_to(updates: list[dict[str, float]]) -> None:
    """The points after any partial updates are those of the full status that a device would tell then."""
    one = device()
    dialect, status = made(one), dict.fromkeys(FIELDS, 0.0)
    held: dict[int, float] = {}

    def hear(method: str, fields: dict[str, float], at: Shelly) -> dict[int, float]:
        switch = {key: bool(value) if key == "output" else value for key, value in fields.items()}
        into = Decoded()
        payload = json.dumps({"method": method, "params": {"ts": 1.0, "switch:0": switch}}).encode()
        at.decode("d/events/rpc", payload, retained=False, into=into)
        return {point: value for point, _, value, _ in into.rows}

    held |= hear("NotifyFullStatus", status, dialect)
    for update in updates:
        held |= hear("NotifyStatus", update, dialect)
        status |= update
    assert held == hear("NotifyFullStatus", status, made(one))


def test_after_an_absence_a_partial_update_is_not_enough() -> None:
    dialect = made(device())
    partial = b'{"method":"NotifyStatus","params":{"switch:0":{"voltage":230}}}'

    def replies(topic: str, payload: bytes) -> int:
        into = Decoded()
        dialect.decode(topic, payload, retained=False, into=into)
        return len(into.replies)

    assert replies("d/events/rpc", partial) == 1
    assert replies("d/events/rpc", partial) == 1  # until it is answered; the session asks only now and then
    assert replies("firegrid/d/rpc", b'{"id":1,"result":{"switch:0":{"output":false}}}') == 0
    assert replies("d/events/rpc", partial) == 0
    assert replies("d/online", b"false") == 0
    assert replies("d/events/rpc", partial) == 1


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(st.sampled_from(PAYLOADS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(payload)))
        payload[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload)


ODD = [
    b'{"method":"NotifyEvent","params":{"events":[{"component":"\\ud800","event":"alarm","ts":1e400}]}}',
    b'{"method":"NotifyEvent","params":{"events":[{"component":[],"event":{}}]}}',
    b'{"id":1,"result":[]}',
    b'{"method":[],"params":{}}',
]


@pytest.mark.parametrize("name", ["shelly-plug", "shelly-smoke"])
@given(
    payload=st.binary(max_size=60) | mutated() | st.sampled_from(ODD),
    topic=st.sampled_from(TOPICS),
    retained=st.booleans(),
)
def test_no_bytes_make_it_raise(name: str, payload: bytes, topic: str, retained: bool) -> None:  # noqa: FBT001 - hypothesis
    into = Decoded()
    ours = made(device(name=name)).decode(topic, payload, retained=retained, into=into)
    make_batch("b", 1, into.rows, events=into.events, heard=into.heard)
    assert ours is (topic not in ("d/rpc", "d"))
    assert ours or into == Decoded()
    assert not (retained and (into.events or into.heard or into.replies))
    assert all((event.key + event.text).encode() is not None for event in into.events)
