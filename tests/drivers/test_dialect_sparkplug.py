"""The sparkplug dialect: golden sessions, the simulated node read back, STATE of the host, wrong options, any bytes."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._profiles import profile, tailor
from drivers.dialects import sparkplug as dialects
from drivers.simulated.mqtt_devices import Message
from drivers.simulated.sparkplug_node import NODE, EdgeNode
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.point import Device
from gateway.model.ports import Commanding, Decoded, DialectSetup, Publication
from gateway.model.quality import GOOD, Level, level_of
from gateway.protocols import sparkplug
from gateway.protocols.sparkplug import Address, DataType, Metric, Payload
from tests.dialect_bench import growth
from tests.drivers.test_dialect_cases import told

CASES = sorted((Path(__file__).parents[1] / "cases" / "sparkplug").glob("*.toml"))
REQUEST = Publication("spBv1.0/g/NCMD/n", sparkplug.rebirth(), qos=0)


def walk() -> list[Any]:
    found = []
    for path in CASES:
        document = tomllib.loads(path.read_text("utf-8"))
        found += [pytest.param(document, case, id=f"{path.stem}: {case['name']}") for case in document["case"]]
    return found


def metric(said: dict[str, Any]) -> Metric:
    datatype = DataType[said["type"]] if "type" in said else DataType.UNKNOWN
    value = bytes.fromhex(said["hex"]) if "hex" in said else said.get("value")
    kind = said.get("wire", "")
    if said.get("untyped"):
        kind, value = sparkplug.placed(datatype, said["value"])
        datatype = DataType.UNKNOWN
    own = {key: said[key] for key in ("name", "alias", "time", "historical", "quality") if key in said}
    return Metric(datatype=datatype, value=value, kind=kind, **own)


def sent(said: dict[str, Any]) -> tuple[str, bytes]:
    kind = said["kind"]
    address = Address("g", kind, "n", said.get("device", "d1") if kind.startswith("D") else "")
    if "hex" in said:
        return address.topic(), bytes.fromhex(said["hex"])
    metrics = tuple(metric(one) for one in said.get("metrics", []))
    return address.topic(), sparkplug.encode(Payload(time=said.get("time"), seq=said.get("seq"), metrics=metrics))


def made(entries: list[dict[str, Any]]) -> tuple[dialects.Sparkplug, dict[str, int], list[Device]]:
    devices = [
        Device(
            id=entry["id"],
            source="b",
            profile=tailor(profile(entry["profile"]), entry.get("points", {})),
            options=entry["options"],
        )
        for entry in entries
    ]
    names = [f"{device.id}.{spec.name}" for device in devices for spec in device.profile.points]
    ids = {name: number for number, name in enumerate(names, 10)}
    return dialects.create(DialectSetup(devices=devices, point_ids=ids, source_events=1)), ids, devices


def in_order(said: dict[str, Any]) -> dict[str, Any]:
    return {key: sorted(entries, key=str) for key, entries in said.items()}


@pytest.mark.golden("sparkplug")
@pytest.mark.parametrize(("document", "case"), walk())
def test_a_session_says_what_the_case_says(document: dict[str, Any], case: dict[str, Any]) -> None:
    entries = [
        {**entry, "points": case.get("points", {})} if entry["id"] == "tank" else entry for entry in document["device"]
    ]
    dialect, ids, _ = made(entries)
    decoded = Decoded()
    for said in case["messages"]:
        message = document["births"][said] if isinstance(said, str) else said
        decoded = Decoded()
        topic, payload = sent(message)
        assert dialect.decode(topic, payload, retained=message.get("retained", False), into=decoded)
    replies, decoded.replies = decoded.replies, []
    found: dict[str, Any] = told(decoded, {number: name for name, number in ids.items()})
    expected: dict[str, Any] = {key: case[key] for key in ("rows", "events", "heard", "problems") if key in case}
    if case.get("unordered"):
        found, expected = in_order(found), in_order(expected)
    assert found == expected
    request = REQUEST._replace(payload=sparkplug.rebirth(message.get("time", case.get("asked_at"))))
    assert replies == ([request] if case.get("asked") else [])
    assert all(event.raw for event in decoded.events)


DEVICES: list[dict[str, Any]] = [
    {"id": "smoke", "profile": "sparkplug-smoke", "options": {"group": "g", "node": "n", "device": "d1"}},
    {"id": "tank", "profile": "sparkplug-level", "options": {"group": "g", "node": "n"}},
]
METRICS = {
    NODE: {"Inputs/Level": DataType.FLOAT},
    "d1": {"Inputs/Smoke": DataType.BOOLEAN, "Inputs/Temperature": DataType.INT16, "Inputs/Fault": DataType.UINT8},
}
POINTS = {"Inputs/Level": "tank.level", "Inputs/Smoke": "smoke.smoke", "Inputs/Temperature": "smoke.temperature"}


def heard(dialect: dialects.Sparkplug, messages: list[Message]) -> Decoded:
    into = Decoded()
    for message in messages:
        assert dialect.decode(message.topic, message.payload, retained=message.retain, into=into)
    return into


values = st.one_of(
    st.tuples(st.just(NODE), st.just("Inputs/Level"), st.none() | st.floats(-1, 200, width=32)),
    st.tuples(st.just("d1"), st.just("Inputs/Smoke"), st.none() | st.booleans()),
    st.tuples(st.just("d1"), st.just("Inputs/Temperature"), st.none() | st.integers(-40, 125)),
)


@given(st.lists(values, max_size=30))
@settings(max_examples=40)
def test_what_a_node_reports_is_read_with_its_times(reports: list[tuple[str, str, Any]]) -> None:
    dialect, ids, _ = made(DEVICES)
    node = EdgeNode("g", "n", METRICS)
    assert not heard(dialect, node.births(1)).replies
    for time, (place, name, value) in enumerate(reports, 2):
        into = heard(dialect, node.report(place, {name: value}, time))
        ((point, at, found, quality),) = into.rows
        assert (point, at) == (ids[POINTS[name]], time * 10**6)
        assert (
            (math.isnan(found) and level_of(quality) is Level.BAD)
            if value is None
            else (found, quality) == (value, GOOD)
        )
        assert not into.problems
        assert not into.replies


@given(st.lists(st.booleans(), min_size=1, max_size=40))
@settings(max_examples=40)
def test_whatever_is_lost_the_state_after_the_rebirth_is_the_nodes(arrives: list[bool]) -> None:
    dialect, ids, _ = made(DEVICES)
    node = EdgeNode("g", "n", METRICS)
    heard(dialect, node.births(1))
    smoke: dict[int, tuple[float, int]] = {}
    for number, came in enumerate(arrives, 2):
        time = 1000 * number  # a second apart: so often a node may be asked
        node.fault.losing = not came
        into = heard(dialect, node.report("d1", {"Inputs/Smoke": number % 2 == 0}, time))
        smoke |= {point: (value, quality) for point, _, value, quality in into.rows}
        for reply in into.replies:
            births = heard(dialect, node.hear(reply.topic, reply.payload, time))
            assert not births.replies
            smoke |= {point: (value, quality) for point, _, value, quality in births.rows}
        if came:
            assert smoke[ids["smoke.smoke"]] == (node.values["d1", "Inputs/Smoke"], GOOD)


def test_a_node_that_connects_again_buries_only_its_earlier_life() -> None:
    dialect, ids, _ = made(DEVICES)
    node = EdgeNode("g", "n", METRICS)
    will = node.connect()
    heard(dialect, node.births(1))
    later = node.connect()
    heard(dialect, node.births(2))
    assert heard(dialect, [will]).problems == ["old_death"]
    gone = {point for point, _, _, quality in heard(dialect, [later]).rows if level_of(quality) is Level.BAD}
    assert gone == set(ids.values()) - {ids["smoke.events"]}


def test_a_node_that_always_loses_something_is_not_born_for_ever() -> None:
    dialect, _, _ = made(DEVICES)
    node = EdgeNode("g", "n", METRICS)
    heard(dialect, node.births(1))
    asked = 0
    for time in range(1_000, 11_000, 50):
        node.fault.losing = 1
        node.report(NODE, {}, time)
        for reply in heard(dialect, node.report(NODE, {}, time)).replies:
            asked += 1
            heard(dialect, node.hear(reply.topic, reply.payload, time))
    assert asked == 10


def test_a_node_that_never_answers_is_asked_ever_more_rarely() -> None:
    dialect, _, _ = made(DEVICES)
    node = EdgeNode("g", "n", METRICS)
    asked = [second for second in range(1, 3600) if heard(dialect, node.report(NODE, {}, 1000 * second)).replies]
    assert asked == [1, 11, 31, 71, 151, 311, 631, 1231, 1831, 2431, 3031]


def test_outputs_are_set_by_a_command_of_the_births_type() -> None:
    pump = {**DEVICES[1], "points": {"pump": {"decode": {"metric": "Pump", "write": True}}}}
    limit = {"unit": "m", "decode": {"metric": "Limit", "write": True, "scale": 0.001}}
    speed = {"unit": "1", "decode": {"metric": "Speed", "write": True}}
    place = {"group": "g", "node": "n", "device": "d1"}
    other = {
        "id": "drive",
        "profile": "sparkplug-generic",
        "options": place,
        "points": {"limit": limit, "speed": speed},
    }
    dialect, _, (tank, drive) = made([pump, other])

    def command(device: Device, point: str, value: float) -> list[tuple[str, Metric]]:
        found = []
        for topic, payload, retain, qos in dialect.command(device, point, value):
            assert (retain, qos) == (False, 0)
            said = sparkplug.decode(payload)
            assert isinstance(said, Payload)
            found.append((topic, said.metrics[0]))
        return found

    assert isinstance(dialect, Commanding)
    ((topic, metric),) = command(tank, "pump", 1.0)
    assert (topic, metric.name, metric.datatype, metric.value) == ("spBv1.0/g/NCMD/n", "Pump", DataType.BOOLEAN, True)
    births = EdgeNode("g", "n", {"d1": {"Limit": DataType.UINT16, "Speed": DataType.STRING}}).births(1)
    heard(dialect, births)
    ((topic, metric),) = command(drive, "limit", 2.5)
    assert (topic, metric.datatype, metric.value) == ("spBv1.0/g/DCMD/n/d1", DataType.UINT16, 2500)
    assert command(drive, "limit", 70.0) == []  # more than its type can hold
    assert command(drive, "speed", 1.0) == []
    assert command(tank, "level", 1.0) == []


def test_filters_are_all_messages_of_the_node_and_one_device_asks_for_its_births() -> None:
    dialect, _, devices = made(DEVICES)
    assert dialect.filters(devices[0]) == dialect.filters(devices[1])
    assert dialect.filters(devices[0]) == (
        *(f"spBv1.0/g/{kind}/n" for kind in ("NBIRTH", "NDATA", "NDEATH")),
        *(f"spBv1.0/g/{kind}/n/+" for kind in ("DBIRTH", "DDATA", "DDEATH")),
    )
    assert [dialect.ask(device) for device in devices] == [((REQUEST.topic, REQUEST.payload),), ()]
    assert dialect.will(10**18) is None
    assert dialect.births(10**18) == []


def test_the_primary_hosts_state_is_told_and_told_again_when_an_old_will_says_otherwise() -> None:
    entries = [{**DEVICES[0], "options": {"group": "g", "node": "n", "device": "d1", "host": "jc-07"}}]
    dialect, _, (device,) = made(entries)
    assert dialect.filters(device)[-1] == "spBv1.0/STATE/jc-07"
    will = dialect.will(1_700_000_000_123_456_789)
    (birth,) = dialect.births(1_700_000_000_123_456_789)
    assert will is not None
    assert (
        (will.topic, will.retain, will.qos)
        == (birth.topic, birth.retain, birth.qos)
        == ("spBv1.0/STATE/jc-07", True, 1)
    )
    assert json.loads(will.payload) == {"online": False, "timestamp": 1_700_000_000_123}
    assert json.loads(birth.payload) == {"online": True, "timestamp": 1_700_000_000_123}
    into = Decoded()
    assert dialect.decode(birth.topic, birth.payload, retained=True, into=into)
    assert into == Decoded()
    assert dialect.decode(will.topic, will.payload, retained=False, into=into)
    assert into == Decoded(replies=[birth])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"group": "g"},
        {"group": "g", "node": ""},
        {"group": "g/h", "node": "n"},
        {"group": "g", "node": "+"},
        {"group": "g", "node": "n", "x": 1},
    ],
)
def test_wrong_options_name_the_device(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^device smoke: "):
        made([{**DEVICES[0], "options": options}])


def test_one_source_is_one_host() -> None:
    entries = [{**entry, "options": {"group": "g", "node": "n", "host": entry["id"]}} for entry in DEVICES]
    with pytest.raises(ConfigError, match="one source is one host"):
        made(entries)


def test_topics_of_others_are_nobodys() -> None:
    dialect, _, _ = made(DEVICES)
    for topic in ("spBv1.0/g/NDATA/other", "spBv1.0/g/NCMD/n", "spBv1.0/STATE/h", "zigbee2mqtt/x", ""):
        assert not dialect.decode(topic, b"", retained=False, into=Decoded())


TOPICS = [
    f"spBv1.0/g/{kind}" for kind in ("NBIRTH/n", "NDATA/n", "NDEATH/n", "DBIRTH/n/d1", "DDATA/n/d1", "DDEATH/n/d1")
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    node = EdgeNode("g", "n", METRICS, values={("d1", "Inputs/Smoke"): True, (NODE, "Inputs/Level"): 2.5})
    payload = bytearray(
        draw(st.sampled_from(node.births(1000) + node.report("d1", {"Inputs/Smoke": True}, 2000))).payload
    )
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(payload)))
        payload[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(payload)


@given(st.lists(st.tuples(st.sampled_from(TOPICS), st.binary(max_size=60) | mutated(), st.booleans()), max_size=8))
def test_no_bytes_make_it_raise(messages: list[tuple[str, bytes, bool]]) -> None:
    dialect, _, _ = made(DEVICES)
    for topic, payload, retained in messages:
        into = Decoded()
        assert dialect.decode(topic, payload, retained=retained, into=into)
        make_batch("b", 1, into.rows, events=into.events)
        assert len(into.replies) <= 1


def test_births_of_ever_other_devices_and_metrics_do_not_grow_the_memory() -> None:
    dialect, _, _ = made(DEVICES)

    def births(number: int) -> None:
        for place in ("d1", f"d{number}"):
            names = [f"{place}/{number}/{n}" for n in range(5)]
            metrics = tuple(Metric(name=name, alias=n, datatype=1, value=1) for n, name in enumerate(names))
            payload = sparkplug.encode(Payload(time=1, seq=number % 256, metrics=metrics))
            dialect.decode(Address("g", "DBIRTH", "n", place).topic(), payload, retained=False, into=Decoded())

    assert growth(births) < 20_000
