"""The Sparkplug dialect: golden sessions, STATE of the host, wrong options, any bytes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulated.sparkplug_node import NODE, EdgeNode
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.ports import Decoded
from gateway.protocols import sparkplug
from gateway.protocols.sparkplug import Address, DataType, Metric, Payload
from tests.dialect_bench import growth
from tests.drivers.sparkplug_bench import DEVICES, METRICS, REQUEST, made
from tests.drivers.test_dialect_cases import told

CASES = sorted((Path(__file__).parents[1] / "cases" / "sparkplug").glob("*.toml"))


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
