"""Profiles: every shipped one is whole, its golden frames say what they are said to carry, wrong files are told."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import _profiles
from drivers._decode import decode
from drivers._modbus_points import Field
from drivers._modbus_registers import Decode
from drivers._profiles import names, profile, tailor
from gateway import registry
from gateway.app import read
from gateway.config.problems import Kind as ProblemKind
from gateway.errors import ConfigError
from gateway.model.point import AlarmClass, Device, Kind, Point, Profile, Severity
from gateway.model.ports import DialectSetup
from gateway.model.quality import describe
from gateway.model.station import SourceSpec, Station, StoreSpec
from gateway.protocols.mqtt_topics import is_filter
from gateway.registry import Group
from rules.compile import compile_rules
from tests import station_toml as toml

OWN_POINT = {"t": {"unit": "Cel"}}  # json-generic has none of its own
CASES = Path(__file__).parents[1] / "cases" / "profiles"


def cases() -> list[Any]:
    """Return every golden case as (profile, case)."""
    return [
        pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
        for path in sorted(CASES.glob("*.toml"))
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    ]


@pytest.mark.golden("modbus profiles")
@pytest.mark.parametrize(("name", "case"), cases())
def test_a_published_frame_says_what_it_is_said_to_carry(name: str, case: dict[str, Any]) -> None:
    said = [line for pair in case["frames"] for line in decode(" ".join(pair).encode(), profile=profile(name))]
    if case.get("refused"):
        assert [line["kind"] for line in said] == ["error"]
        return
    order = [spec.name for spec in profile(name).points]
    expected = sorted(case["points"], key=lambda point: order.index(point[0]))
    assert sorted([line["point"] for line in said], key=order.index) == [point[0] for point in expected]
    for line in said:
        _, value, unit, quality = next(point for point in expected if point[0] == line["point"])
        assert (line["unit"], line["quality"]) == (unit, quality)
        assert (math.nan if line["value"] is None else line["value"]) == pytest.approx(value, nan_ok=True)


def test_every_register_profile_has_golden_frames() -> None:
    registers = {name for name in names() if profile(name).driver == "modbus_rtu"}
    assert registers == {path.stem for path in CASES.glob("*.toml")}
    assert len(names()) >= 20


@pytest.mark.parametrize("name", names())
def test_a_shipped_profile_is_whole(name: str) -> None:
    known = profile(name)
    assert known.driver in {*registry.names(Group.DRIVER), *registry.names(Group.DIALECT)}
    assert known.title
    assert known.source
    assert known.silence in (100.0, 90_000.0)  # house section 6: polled and mains at most 100 s, battery 25 h
    for spec in known.points:
        assert spec.title, spec.name
        assert (spec.unit != "") == (spec.kind in (Kind.MEASURE, Kind.COUNTER)), spec.name


def usable(name: str) -> Profile:
    """Return a profile as a device has it: with a point where it has none, with topics where they come from outside."""
    known = profile(name)
    known = known if known.points else tailor(known, OWN_POINT)
    if known.driver == "homeassistant":
        return tailor(known, {spec.name: {"decode": {"topic": f"t/{spec.name}"}} for spec in known.points})
    return known


@pytest.mark.parametrize("name", names())
def test_its_alarms_compile(name: str) -> None:
    known = usable(name)
    device = Device(id="d", source="s", profile=known)
    points = [Point(number, "d", spec, "") for number, spec in enumerate(known.points, 1)]
    station = Station(
        id="x", name="x", store=StoreSpec(path=""), sources=(SourceSpec(id="s", driver="mqtt"),), devices=(device,)
    )
    _, problems = compile_rules(station, points)
    assert not problems


PLACES: dict[str, dict[str, str]] = {  # how a device is found, where that is not its topic
    "homeassistant": {},
    "sparkplug": {"group": "g", "node": "n"},
    "chirpstack": {"dev_eui": "24e124136b502217"},
    "ttn": {"application": "jc@ttn", "device": "d"},
    "ctwing": {"topic": "aep/push", "imei": "861941770261953"},
    "onenet": {"product": "p", "device": "d"},
}
SPOKEN = [name for name in names() if profile(name).driver in registry.names(Group.DIALECT)]


@pytest.mark.parametrize("name", SPOKEN)
def test_its_dialect_takes_it(name: str) -> None:
    known = usable(name)
    place = PLACES.get(known.driver, {"topic": "zigbee2mqtt/d"})
    device = Device(id="d", source="s", profile=known, options=place)
    ids = {f"d.{spec.name}": number for number, spec in enumerate(known.points, 1)}
    dialect = registry.dialect(known.driver).create(DialectSetup(devices=[device], point_ids=ids, source_events=0))
    assert dialect.filters(device)
    assert all(map(is_filter, dialect.filters(device)))


def test_life_safety_alarms_have_the_classes_of_their_devices() -> None:
    def classes(name: str, point: str) -> set[AlarmClass]:
        return {alarm.alarm_class for spec in profile(name).points if spec.name == point for alarm in spec.alarms}

    assert classes("zigbee2mqtt-smoke", "smoke") == {AlarmClass.FIRE}
    assert classes("zigbee2mqtt-gas", "ch4") == {AlarmClass.GAS}
    assert classes("zigbee2mqtt-leak", "water_leak") == {AlarmClass.FLOOD}
    assert classes("renke-smoke", "smoke") == {AlarmClass.FIRE}
    assert not profile("renke-smoke").confirmed


GOOD = """
title = "t"
driver = "json"
source = "s"
[[point]]
name = "t"
unit = "Cel"
"""


GUESSED = {"ha-gas", "nb-ctwing-gas", "zigbee2mqtt-gas"}


def test_a_limit_that_is_a_guess_is_long_and_check_asks_for_the_devices_own(tmp_path: Path) -> None:
    assert {name for name in names() if profile(name).silence_guessed} == GUESSED
    places = {"ha-gas": 'points = { gas = { decode = { topic = "g" } } }', "nb-ctwing-gas": 'imei = "860000000000001"'}
    config = tmp_path / "station.toml"
    text = toml.station(tmp_path) + toml.broker(1)
    for name in GUESSED:
        assert profile(name).silence == 90_000.0
        place = places.get(name, "")
        for device, own in ((name, ""), (f"{name}-2", 'silence = "15m"')):
            said = place.replace("001", "002") if own else place
            text += f'[[device]]\nid = "{device}"\nsource = "broker"\nprofile = "{name}"\ncell = "a"\n{own}\n{said}\n'
            text += "" if name == "ha-gas" else f'topic = "t/{device}"\n'
    config.write_text(text, encoding="utf-8")
    loaded = read(config)
    asked = [problem.key for problem in loaded.problems if problem.kind is ProblemKind.SILENCE_GUESSED]
    assert sorted(asked) == [f"device[{name}].profile" for name in sorted(GUESSED)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "uint = 1", "uint"),
        (GOOD + "valid_range = [5, 5]", "valid_range must be"),
        (GOOD + 'alarms = [{ when = "value > 5", class = "smoke" }]', "smoke"),
        (GOOD + 'alarms = [{ when = "value > 5", class = "fire", on_delay = "5x" }]', "5x"),
        (GOOD + "labels = { a = 1 }", "only a state"),
        (GOOD.replace('unit = "Cel"', ""), "needs a unit"),
        (GOOD.replace('unit = "Cel"', 'kind = "state"'), "needs labels"),
        (GOOD.replace('name = "t"', 'name = "a.b"'), "lower-case"),
        (GOOD + '[[point]]\nname = "t"\nunit = "m"', "twice"),
        ('title = "t"\ndriver = "json"\nsource = "s"', "no [[point]]"),
        (GOOD.replace('source = "s"', 'source = "s"\nsilence = 100'), "silence"),
        (GOOD.replace('source = "s"', 'source = "s"\nsilence = "0s"'), "silence"),
        ("title = ", "Invalid value"),
    ],
)
def test_a_wrong_file_is_told_with_its_reason(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        profile("mine", tmp_path)
    assert str(tmp_path / "mine.toml") in str(told.value)
    assert said in str(told.value)


def test_own_profiles_come_first_and_extend_the_list(tmp_path: Path) -> None:
    (tmp_path / "xy-md02.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "mine.toml").write_text(GOOD, encoding="utf-8")
    assert profile("xy-md02", tmp_path).title == "t"
    assert profile("mine", tmp_path).silence == 100.0
    assert profile("renke-smoke", tmp_path).driver == "modbus_rtu"
    assert set(names(tmp_path)) == {*names(), "mine"}


@pytest.mark.parametrize("name", ["renke-smok", "../profiles/xy-md02", "", "nothing-like-it"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        profile(name)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "renke-smoke"'):
        profile("renke-smok")


def test_a_device_tailors_a_point() -> None:
    alarm = {"when": 'value == "alarm"', "class": "fire"}
    changed = tailor(profile("io-waveshare-8ch"), {"di1": {"invert": True, "title": "门厅烟感", "alarms": [alarm]}})
    one, two = (next(spec for spec in changed.points if spec.name == name) for name in ("di1", "di2"))
    assert (one.invert, one.title) == (True, "门厅烟感")
    assert [(a.alarm_class, a.severity) for a in one.alarms] == [(AlarmClass.FIRE, Severity.CRITICAL)]
    assert one.decode == {"fc": 2, "address": 0}
    assert two == next(spec for spec in profile("io-waveshare-8ch").points if spec.name == "di2")


def test_what_a_profile_says_nothing_about_is_critical_where_lives_are_at_stake_else_a_warning() -> None:
    found = {
        alarm.alarm_class: alarm.severity
        for word in AlarmClass
        for spec in tailor(
            profile("io-waveshare-8ch"), {"di1": {"alarms": [{"when": "value > 0", "class": word.word}]}}
        ).points
        if spec.name == "di1"
        for alarm in spec.alarms
    }
    assert {word.word for word, severity in found.items() if severity is Severity.CRITICAL} == {"fire", "gas", "flood"}
    assert set(found.values()) == {Severity.CRITICAL, Severity.WARNING}
    river = [alarm for spec in profile("sl651-river").points for alarm in spec.alarms]
    assert {one.severity for one in river if not one.alarm_class.life_safety} == {Severity.WARNING}


def test_tailoring_merges_decode_key_by_key() -> None:
    changed = tailor(profile("xy-md02"), {"temperature": {"decode": {"scale": 0.01}}})
    assert changed.points[0].decode == {"fc": 4, "address": 1, "type": "s16", "scale": 0.01}
    assert (changed.points[0].valid_range, changed.points[0].over_range) == ((-47, 130), (-40, 125))


@pytest.mark.parametrize(
    ("loop", "own", "ranges"),
    [
        ({"low": 0, "high": 2.5}, {}, (-0.15625, 2.8125)),
        ({"low": 10, "high": -6}, {}, (-8, 11)),
        ({"low": 0, "high": 2.5}, {"valid_range": [0, 3]}, (0, 3)),
        ({"low": 1, "high": 1}, {}, None),  # the driver refuses it
    ],
)
def test_another_loop_brings_its_own_range(
    loop: dict[str, float], own: dict[str, Any], ranges: tuple[float, float] | None
) -> None:
    before = profile("loop-pump-pressure")
    (point,) = tailor(before, {"pressure": {"decode": {"loop": loop}, **own}}).points
    assert point.valid_range == (ranges and pytest.approx(ranges))
    assert point.alarms == before.points[0].alarms
    (same,) = tailor(before, {"pressure": {"decode": {"address": 3}}}).points
    assert same.valid_range == before.points[0].valid_range


@given(low=st.floats(-1e3, 1e3), span=st.floats(0.1, 1e3) | st.floats(-1e3, -0.1), share=st.floats(0, 1))
def test_all_that_another_loop_can_say_is_plausible(low: float, span: float, share: float) -> None:
    loop = {"low": low, "high": low + span}
    (point,) = tailor(profile("loop-pump-pressure"), {"pressure": {"decode": {"loop": loop}}}).points
    raw = round(3600 + (21_000 - 3600) * share)
    made = Field(1, point, msgspec.convert(point.decode, Decode))
    assert describe(made.reading([raw])[1]) == "GOOD"
    assert describe(made.reading([3599])[1]) == "BAD:fault_value"


def test_a_fault_code_is_the_pattern_that_the_register_shows() -> None:
    assert profile("wb-msw-v3").points[0].fault_values == (32767, -1)
    assert profile("wb-msw-v3").points[1].fault_values == (32767, 65535)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("xy-md02", {"temprature": {"unit": "K"}}, 'did you mean "temperature"'),
        ("xy-md02", {"temperature": {"uint": "K"}}, "uint"),
        ("xy-md02", {"temperature": {"valid_range": [3, 1]}}, "valid_range"),
        ("xy-md02", {"temperature": 5}, "temperature"),
        ("loop-tank-level", {"level": {"decode": {"loop": {"high": 5}}}}, "low"),
        ("loop-tank-level", {"level": {"decode": {"loop": 5}}}, "points.level"),
        ("json-generic", {"t": {}}, "needs a unit"),
        ("json-generic", {"A": {"unit": "m"}}, "lower-case"),
    ],
)
def test_wrong_tailoring_is_told(name: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tailor(profile(name), changes)


@given(
    changes=st.dictionaries(st.sampled_from(["temperature", "x"]), st.none() | st.dictionaries(st.text(), st.none()))
)
def test_tailoring_returns_or_raises_config_error(changes: dict[str, Any]) -> None:
    try:
        assert tailor(profile("xy-md02"), changes).id == "xy-md02"
    except ConfigError:
        assert changes


def test_shipped_files_are_where_the_package_is() -> None:
    assert _profiles.SHIPPED.is_dir()


@pytest.mark.parametrize("name", names())
def test_every_shipped_title_has_an_english_twin(name: str) -> None:
    known = profile(name)
    titles = [(known.title, known.title_en), *((spec.title, spec.title_en) for spec in known.points)]
    for title, english in titles:
        assert bool(title) == bool(english), title
        assert english.isascii()


def test_a_device_s_own_title_stands_in_any_language() -> None:
    known = tailor(profile("renke-smoke"), {"smoke": {"title": "hall"}})
    assert (known.points[0].title, known.points[0].title_en) == ("hall", "")
