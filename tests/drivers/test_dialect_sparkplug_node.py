"""The Sparkplug dialect against the simulated node: reports, births, deaths, what is lost, and outputs."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.sparkplug_node import NODE, EdgeNode
from gateway.model.point import Device
from gateway.model.ports import Commanding
from gateway.model.quality import GOOD, Level, level_of
from gateway.protocols import sparkplug
from gateway.protocols.sparkplug import DataType, Metric, Payload
from tests.drivers.sparkplug_bench import DEVICES, METRICS, POINTS, heard, made

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
