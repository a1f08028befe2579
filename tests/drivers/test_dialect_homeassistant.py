"""Home Assistant's discovery: what is learnt from announcements, as TOML that `check` takes; and any bytes whatever."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._ha_words import POINTS_OF, STATES, UNITS
from drivers._profiles import names, profile, tailor
from drivers.dialects.homeassistant import LearnedDevice, create, learn, merge, to_toml
from gateway.errors import ConfigError
from gateway.model.batch import make_batch
from gateway.model.point import AlarmClass, Device
from gateway.model.ports import Commanding, Decoded, Dialect, DialectSetup

CASES = Path(__file__).parents[1] / "cases" / "ha_discovery" / "announcements.toml"
ALL = tomllib.loads(CASES.read_text("utf-8"))["case"]


def learnt(case: dict[str, Any]) -> list[LearnedDevice]:
    said = [*case.get("before", []), case]
    return merge(one for message in said for one in learn(message["topic"], message["payload"].encode()))


def usable(device: LearnedDevice) -> tuple[Dialect, Device]:
    """Put the TOML into a station as a person does."""
    table = tomllib.loads(to_toml(device, "broker", "jc/3"))["device"][0]
    assert table.pop("source") == "broker"
    known = tailor(profile(table.pop("profile")), table.pop("points"))
    core = {key: table.pop(key) for key in ("id", "name", "cell", "silence") if key in table}
    one = Device(id=core["id"], source="broker", profile=known, options=table)
    ids = {f"{one.id}.{spec.name}": number for number, spec in enumerate(known.points, 1)}
    return create(DialectSetup(devices=[one], point_ids=ids, source_events=99)), one


@pytest.mark.golden("ha_discovery")
@pytest.mark.parametrize("case", ALL, ids=lambda case: case["name"])
def test_an_announcement_is_learnt_as_the_case_says(case: dict[str, Any]) -> None:
    found = learnt(case)
    if case.get("gone"):
        assert found == []
        return
    (device,) = found
    assert (device.id, device.profile) == (case["id"], case["profile"])
    assert {name: dict(keys["decode"]) for name, keys in device.points.items()} == case["points"]
    assert list(device.not_understood) == case.get("notes", [])
    assert dict(device.options) == case.get("options", {})
    assert set(device.origins) == set(device.points)
    if device.points:
        dialect, one = usable(device)
        topics = {keys["decode"]["topic"] for keys in device.points.values()}
        assert topics <= set(dialect.filters(one))
        assert dialect.ask(one) == ()


def test_what_cannot_be_read_is_a_comment_in_the_toml() -> None:
    case = next(case for case in ALL if case["name"].startswith("any other template"))
    (device,) = learnt(case)
    text = to_toml(device, "broker")
    assert all(line.startswith("# ") for line in text.splitlines())
    assert "int(0) > 5" in text


def test_points_of_a_profile_keep_its_alarms_others_bring_their_own() -> None:
    announced = {
        "dev": {"ids": ["d"], "name": "Kitchen"},
        "cmps": {
            "s": {"p": "binary_sensor", "dev_cla": "smoke", "stat_t": "s"},
            "w": {"p": "binary_sensor", "dev_cla": "moisture", "stat_t": "w"},
            "w2": {"p": "binary_sensor", "dev_cla": "moisture", "stat_t": "w2"},
            "t": {"p": "sensor", "dev_cla": "temperature", "unit_of_meas": "°C", "stat_t": "t"},
            "h": {"p": "binary_sensor", "dev_cla": "heat", "stat_t": "h"},
            "c": {"p": "binary_sensor", "dev_cla": "cold", "stat_t": "c"},
        },
    }
    (device,) = merge(learn("homeassistant/device/k/config", json.dumps(announced).encode()))
    _, one = usable(device)
    classes = {spec.name: {alarm.alarm_class for alarm in spec.alarms} for spec in one.profile.points}
    assert classes["smoke"] == classes["heat"] == classes["temperature"] == {AlarmClass.FIRE}
    assert classes["water"] == classes["w2"] == {AlarmClass.FLOOD}
    assert classes["c"] == set()
    assert "alarms" not in to_toml(device, "b").partition("[device.points.smoke]")[2].partition("[device")[0]


def test_another_prefix_and_other_topics() -> None:
    payload = b'{"name":"s","dev_cla":"smoke","stat_t":"s"}'
    assert learn("ha/x/binary_sensor/s/config", payload, prefix="ha/x")[0].points
    for topic in ("ha/binary_sensor/s/config", "homeassistant/config", "homeassistant/a/b/c/d/config", "homeassistant"):
        assert learn(topic, payload) == []


def test_the_table_of_profiles_is_what_is_shipped() -> None:
    assert set(POINTS_OF) == {name for name in names() if name.startswith("ha-")}
    for name, points in POINTS_OF.items():
        assert {spec.name: spec.unit for spec in profile(name).points} == dict(points), name
    for state, off, on, alarm in STATES.values():
        for name in POINTS_OF:
            for spec in profile(name).points:
                if spec.name == state:
                    assert spec.labels == {off: 0, on: 1}
                    assert [one.alarm_class.word for one in spec.alarms] == ([alarm["class"]] if alarm else [])
    assert all(unit for unit, _, _ in UNITS.values())


@pytest.mark.parametrize(
    ("points", "options", "said"),
    [
        ({}, {}, "no point has a topic"),
        ({"smoke": {"decode": {"topic": "a/#"}}}, {}, "without \\+ and #"),
        ({"smoke": {"decode": {"topic": "a", "path": "$["}}}, {}, "path"),
        ({"smoke": {"decode": {"topic": "a", "template": "{{ value }}"}}}, {}, "template"),
        ({"smoke": {"decode": {"topic": "a"}}}, {"availability_mode": "most"}, "most"),
        ({"smoke": {"decode": {"topic": "a"}}}, {"availability": [{"topic": ""}]}, "topic"),
    ],
)
def test_wrong_keys_name_the_device(points: dict[str, Any], options: dict[str, Any], said: str) -> None:
    known = tailor(profile("ha-smoke"), points)
    one = Device(id="d", source="b", profile=known, options=options)
    ids = {f"d.{spec.name}": number for number, spec in enumerate(known.points)}
    with pytest.raises(ConfigError, match=rf"^device d: .*{said}"):
        create(DialectSetup(devices=[one], point_ids=ids, source_events=99))


def test_only_what_has_a_command_topic_is_an_output() -> None:
    (device,) = learnt(next(case for case in ALL if case["name"].startswith("switch")))
    dialect, one = usable(device)
    assert isinstance(dialect, Commanding)
    assert [message[:2] for message in dialect.command(one, "siren", 1.0)] == [("siren/be", b"1")]
    assert [message[:2] for message in dialect.command(one, "siren", 0.0)] == [("siren/be", b"0")]
    assert dialect.command(one, "volume", 1.0) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["dev", "ids", "cmps", "p", "stat_t", "avty", "t", "val_tpl", "pl_on", "~", "x\ud800", "name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TOPICS = ["homeassistant/device/d/config", "homeassistant/binary_sensor/d/config", "homeassistant/sensor/a/b/config"]


@given(
    topic=st.sampled_from(TOPICS),
    payload=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_no_announcement_makes_it_raise_and_what_it_makes_is_toml(topic: str, payload: bytes) -> None:
    for device in merge(learn(topic, payload)):
        tomllib.loads(to_toml(device, "b"))
        to_toml(device, "b").encode()


@st.composite
def announced(draw: st.DrawFn) -> bytes:
    """Draw a real announcement with something else somewhere."""
    message = json.loads(draw(st.sampled_from([case["payload"] for case in ALL if case["payload"].startswith('{"')])))
    table = message
    while True:
        key = draw(st.sampled_from(sorted(table)))
        if isinstance(table[key], dict) and table[key] and draw(st.booleans()):
            table = table[key]
            continue
        table[key] = draw(JSON)
        return json.dumps(message).encode()


@given(topic=st.sampled_from(TOPICS), payload=announced())
def test_a_changed_announcement_is_usable_or_left_out(topic: str, payload: bytes) -> None:
    for device in merge(learn(topic, payload)):
        if device.points:
            usable(device)


@given(payload=st.binary(max_size=40), topic=st.sampled_from(["z/hall", "a/up", "x"]), retained=st.booleans())
def test_no_bytes_make_it_raise(payload: bytes, topic: str, retained: bool) -> None:  # noqa: FBT001 - hypothesis
    known = tailor(profile("ha-smoke"), {"smoke": {"decode": {"topic": "z/hall", "path": "$.smoke"}}})
    one = Device(id="d", source="b", profile=known, options={"availability": [{"topic": "a/up"}]})
    ids = {f"d.{spec.name}": number for number, spec in enumerate(known.points)}
    into = Decoded()
    ours = create(DialectSetup(devices=[one], point_ids=ids, source_events=99)).decode(
        topic, payload, retained=retained, into=into
    )
    make_batch("b", 1, into.rows, events=into.events)
    assert ours is (topic != "x")
