"""The `sl651` driver: readings with their own times, what is kept as events, its configuration."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from drivers.sl651 import create
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.batch import EventCode
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import MINUTE, SECOND
from gateway.protocols.sl651 import Function
from gateway.protocols.sl651_elements import PARAMETERS
from tests.channel_rigs import Notes
from tests.drivers.sl651_talk import ADDRESS, OTHER, WALL, Far, device, uplink

OBSERVED = "F0F02609211500"  # in Chinese time
AT = 1_789_974_000 * SECOND  # the same in UTC
HERE = f"F1F1{ADDRESS}48{OBSERVED}"


def test_a_report_becomes_readings_of_its_own_time() -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.TIMED, HERE + "392300006380 2619003196 38121312 452000000485"))
    rows = {name: (time, value, quality) for name, time, value, quality in far.rows(said)}
    assert rows["level"] == (AT, 6.38, "GOOD")
    assert rows["rain_total"] == (AT, 319.6, "GOOD")
    assert rows["voltage"] == (AT, 13.12, "GOOD")
    states = {name: rows[name][1] for name in ("mains", "battery", "level_limit", "cabinet", "level_meter")}
    assert states == {"mains": 1, "battery": 0, "level_limit": 1, "cabinet": 1, "level_meter": 0}
    assert rows["clock_error"] == (0, 0.0, "GOOD")
    assert (said.device, said.decoded.events) == ("it", [])


@pytest.mark.parametrize(
    ("data", "value", "quality"),
    [
        ("3923FFFFFFFF", None, "BAD:fault_value"),
        ("3923AAAAAAAA", None, "BAD:fault_value"),
        ("392309999999", 9999.999, "BAD:fault_value"),
        ("39230000B380", None, "BAD:not_a_number"),
        ("3923FF000172", -0.172, "GOOD"),
        ("392309500000", 9500.0, "BAD:implausible"),
        ("3900", None, "BAD:fault_value"),
    ],
)
def test_what_is_no_value_is_bad_and_not_dropped(data: str, value: float | None, quality: str) -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.TIMED, HERE + data + "38121312"))
    rows = {name: (None if math.isnan(read) else read, told) for name, _, read, told in far.rows(said)}
    assert rows["level"] == (value, quality)
    assert rows["voltage"] == (13.12, "GOOD")


def test_an_impossible_time_costs_the_time_and_not_the_value() -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.TIMED, f"F1F1{ADDRESS}48F0F02602300800 392300006380 {OBSERVED} 38121312"))
    assert [row[:3] for row in far.rows(said)[:3]] == [
        ("clock_error", 0, 0.0),
        ("voltage", AT, 13.12),
        ("level", 0, 6.38),
    ]
    assert said.decoded.problems == ["bad_time"]


@pytest.mark.parametrize(("option", "first"), [("first", AT), ("last", AT - 55 * MINUTE)])
def test_an_hour_becomes_twelve_readings_oldest_first(option: str, first: int) -> None:
    far = Far(series_time=option, points={"level_5min": {"decode": {"offset": 1.0}}})
    levels = "0A2D" * 11 + "FFFF"
    (said,) = far.hear(uplink(Function.HOUR, HERE + f"F460{'05' * 12} F55C{levels} 392300028960"))
    rain = [row[1:] for row in far.rows(said) if row[0] == "rain_5min"]
    level = [row[1:] for row in far.rows(said) if row[0] == "level_5min"]
    assert rain == [(first + number * 5 * MINUTE, 0.5, "GOOD") for number in range(12)]
    assert [row[:1] + row[2:] for row in level] == [
        (first + number * 5 * MINUTE, "GOOD" if number < 11 else "BAD:fault_value") for number in range(12)
    ]
    assert level[0][1] == pytest.approx(27.05)
    times = [time for _, time, _, _ in far.rows(said) if time]
    assert times == sorted(times)


def test_a_series_without_its_time_is_kept_as_an_event() -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.HOUR, f"F1F1{ADDRESS}48 F460{'05' * 12}"))
    assert far.values(said) == {"clock_error": 0.0}
    assert said.decoded.problems == ["series_without_time"]
    assert said.decoded.events[0].text.startswith("1小时内每5分钟时段雨量 DRP = 0.5 0.5")


def test_a_uniform_report_becomes_readings_a_step_apart() -> None:
    far = Far()
    (said,) = far.hear(far.station.uniform(WALL, "Z", (6.1, math.nan, 6.3), 30 * MINUTE))
    level = [row for row in far.rows(said) if row[0] == "level"]
    last = WALL // MINUTE * MINUTE
    assert [(time, quality) for _, time, _, quality in level] == [
        (last - 60 * MINUTE, "GOOD"), (last - 30 * MINUTE, "BAD:fault_value"), (last, "GOOD")
    ]  # fmt: skip


def test_what_nobody_knows_is_kept_and_counted() -> None:
    far = Far(ignore=("7B",))
    (said,) = far.hear(uplink(Function.TIMED, HERE + "7A0829 7B0801 FF92190199A0 02110215 38121312"))
    (event,) = said.decoded.events
    assert event.code is EventCode.INFO
    assert event.text == "7A = 29, FF92 = 数字错误 bad digits, 瞬时气温 AI = 21.5 Cel".replace(", ", "; ")
    assert event.raw == said.frame
    unknown = [f"unknown_element:{code}" for code in ("7A", "FF92")]
    assert sorted(said.decoded.problems) == [*unknown, "unmapped_element:AI"]
    assert far.values(said)["voltage"] == 13.12


def test_an_alarm_report_tells_what_triggered_it() -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.EXTRA, HERE + "392300006380 38121312"))
    assert [event.text for event in said.decoded.events] == ["加报 extra report: 瞬时河道水位 Z = 6.38 m"]
    assert far.values(said)["level"] == 6.38


def test_a_test_report_is_no_measurement() -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.TEST, HERE + "392300006380 452000000004"))
    assert far.values(said) == {"clock_error": 0.0}
    assert [(event.code, event.text) for event in said.decoded.events] == [
        (
            EventCode.TEST,
            "测试报 test report; 瞬时河道水位 Z = 6.38 m; 遥测站状态及报警信息 ZT = 00000004 水位超限 level over limit",
        )
    ]
    assert said.after


@pytest.mark.parametrize("code", [*PARAMETERS, 0xAA])
def test_every_parameter_is_told_in_both_languages(code: int) -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.READ_RUN, f"F1F1{ADDRESS}{code:02X}0810"))
    (event,) = said.decoded.events
    value = r"\*{3}" if code == 0x03 else "10"
    assert re.fullmatch(rf"[\u4e00-\u9fff]+\d? [a-z][a-z0-9 ,-]+ \({code:02X}\) = {value}", event.text), event.text


@pytest.mark.parametrize("rest", ["031004D2", "48031004D2", "031804D2"])
@pytest.mark.parametrize("function", [Function.PASSWORD, Function.WRITE_BASIC])
def test_a_password_is_not_told(function: int, rest: str) -> None:
    (said,) = Far().hear(uplink(function, f"F1F1{ADDRESS}{rest}"))
    told = "".join(event.text for event in said.decoded.events)
    assert function != Function.PASSWORD or "d2" not in told.lower()
    assert rest != "031004D2" or told == "密码 password (03) = ***"


@pytest.mark.parametrize(
    ("function", "rest", "text"),
    [
        (Function.MANUAL, "F2F2" + b"PJ 02 ".hex(), "人工置数 manual entry: PJ 02"),
        (Function.READ_RUN, f"F1F1{ADDRESS}270810", "雨量加报阈值 rain threshold (27) = 10"),
        (Function.VERSION, f"F1F1{ADDRESS}04" + b"V1.2".hex(), "软件版本 software V1.2"),
        (Function.COUNTERS, f"F1F1{ADDRESS}00010203", "事件计数 event counters 1 515"),
        (Function.GATE, f"F1F1{ADDRESS}0102", "未解析 unread 0102"),
        (0xE1, HERE + "392300006380", "功能码 function E1; 瞬时河道水位 Z = 6.38 m"),
        (Function.PICTURE, HERE + "F3F3FFD8FFD9", "图片 picture, 4 bytes"),
    ],
)
def test_what_is_no_reading_is_an_event(function: int, rest: str, text: str) -> None:
    far = Far()
    (said,) = far.hear(uplink(function, rest))
    assert [(event.code, event.text) for event in said.decoded.events] == [(EventCode.INFO, text)]
    assert said.decoded.events[0].raw


def test_a_sign_of_life_is_never_answered() -> None:
    far = Far()
    (said,) = far.hear(far.station.link(WALL))
    assert (said.after, said.at_once, said.digest) == (b"", b"", b"")
    assert said.decoded.heard
    assert not said.decoded.events


def setup(*devices: Any, **options: Any) -> DriverSetup:  # noqa: ANN401 - TOML values
    names = [f"{one.id}.{spec.name}" for one in devices for spec in one.profile.points]
    notes = Notes()
    return DriverSetup(
        source=SourceSpec(id="src", driver="sl651", options={"wire": "udp", "port": 5651, **options}),
        devices=list(devices),
        point_ids={name: number for number, name in enumerate(["@src.events", *names])},
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=notes,
        report=notes,
    )


def test_a_good_configuration_is_taken() -> None:
    create(setup(device(), device("two", "12345679", "sl651-rain"), device("three", OTHER, "sl651-hydrant")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"address": "123"}, "address"),
        ({"address": "12345678xx"}, "hexadecimal"),
        ({"password": "12"}, "four"),
        ({"check_password": True}, "needs a password"),
        ({"mode": "M5"}, "mode"),
        ({"utc_offset": "8"}, "no time zone"),
        ({"ignore": ["nothing"]}, "element"),
        ({"points": {"level": {"decode": {"element": "nothing"}}}}, "element"),
        ({"points": {"level": {"decode": {"colour": 1}}}}, "colour"),
        ({"points": {"level": {"decode": {"ask": 0x48}}}}, "needs bodies"),
        ({"points": {"level": {"decode": {"ask": 0x42}}}}, "needs a parameter"),
        ({"points": {"level": {"decode": {"ask": 0x4D, "bodies": {"1": "x"}}}}}, "non-hexadecimal"),
    ],
)
def test_a_wrong_device_is_told(options: dict[str, Any], said: str) -> None:
    wrong = device("wrong", options.pop("address", OTHER), **options)
    with pytest.raises(ConfigError, match=said) as caught:
        create(setup(device(), wrong))
    assert str(caught.value).startswith("device wrong:")


def test_two_devices_of_one_address_are_told() -> None:
    with pytest.raises(ConfigError, match="device two: address 0012345678 is taken by it"):
        create(setup(device(), device("two", "12345678")))


@pytest.mark.parametrize(
    ("kind", "state", "told"),
    [
        ("sl651-river", "000004FF", ""),  # all that points take, door closed, pump stopped
        ("sl651-river", "00000800", "00000800 水量超限 quota exceeded"),
        (
            "sl651-river",
            "00001804",
            "00001804 水位超限 level over limit, 水量超限 quota exceeded, 保留位 reserved bit 12",
        ),
        ("sl651-rain", "00000048", "00000048 流量超限 flow over limit, 水位仪表故障 level meter fault"),
        ("sl651-rain", "FFFFFFFF", ""),
    ],
)
def test_a_trouble_of_the_state_that_no_point_takes_is_told(kind: str, state: str, told: str) -> None:
    far = Far(kind=kind)
    (said,) = far.hear(uplink(0x46, f"F1F1{ADDRESS}4520{state}"))
    assert [event.text for event in said.decoded.events] == [f"遥测站状态及报警信息 ZT = {told}"] * bool(told)
    assert said.decoded.problems == ["unmapped_element:ZT"] * bool(told)
    assert far.rows(said)
    whole = Far(kind=kind, points={"word": {"unit": "1", "decode": {"element": "ZT"}}})
    assert whole.hear(uplink(0x46, f"F1F1{ADDRESS}4520{state}"))[0].decoded.events == []


@pytest.mark.parametrize("station", [ADDRESS, OTHER])
def test_control_characters_of_a_station_do_not_get_into_messages(station: str) -> None:
    text = "水位\r\n6.38\x1b[2J".encode("gb18030")
    (said,) = Far().hear(uplink(0x35, f"F2F2{text.hex()}", station=station))
    (event,) = said.decoded.events
    assert event.text.isprintable()
    assert "水位  6.38 [2J" in event.text
