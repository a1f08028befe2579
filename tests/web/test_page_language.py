"""A page in one language says what alarms tell in that language alone, and leaves a device's own words as they came."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.model.alarm import Alarm, AlarmState
from gateway.model.inventory import EVENTS
from gateway.model.point import AlarmClass, Point, PointSpec, Severity
from gateway.model.verdict import Cause
from gateway.web.facts import Facts
from gateway.web.views import Views

SMOKE = Point(1, "hall", PointSpec(name="smoke_alarm", title="烟雾报警", title_en="smoke alarm"), "jc")
OWN = Point(2, "tank", PointSpec(name="level_low", title="水箱水位"), "jc")  # a title of the station's own
PANEL = Point(3, "panel", EVENTS, "jc")
FACTS = cast("Facts", SimpleNamespace(station=SimpleNamespace(language="zh")))


def alarm_of(text: str, value: float = 0.0, cause: Cause = Cause.CONDITION) -> Alarm:
    return Alarm(
        id=1,
        rule="heat",
        point=1,
        key="",
        device="hall",
        point_name="smoke_alarm",
        cell="jc",
        alarm_class=AlarmClass.FIRE,
        severity=Severity.CRITICAL,
        latch=True,
        state=AlarmState.UNACK,
        text=text,
        value=value,
        cause=cause,
    )


def told(text: str, point: Point | None, language: str) -> str:
    return Views(FACTS, language).told(alarm_of(text), point)


@pytest.mark.parametrize(
    ("text", "point", "zh", "en"),
    [
        ("烟雾报警", SMOKE, "烟雾报警", "smoke alarm"),
        ("", SMOKE, "烟雾报警", "smoke alarm"),
        ("水箱水位", OWN, "水箱水位", "水箱水位"),
        ("地下室进水", OWN, "地下室进水", "地下室进水"),  # a rule's own title has no other language
        ("门厅 感烟火灾探测器 smoke detector 火警 fire", PANEL, "门厅 感烟火灾探测器 火警", "门厅 smoke detector fire"),
        ("FIRE Zone 3 大厅", PANEL, "FIRE Zone 3 大厅", "FIRE Zone 3 大厅"),
        ("链路中断 link down: bus1: hung up", None, "链路中断: bus1: 已断开", "link down: bus1: hung up"),
        ("", PANEL, "heat", "heat"),
        ("", None, "heat", "heat"),
    ],
)
def test_one_language(text: str, point: Point | None, zh: str, en: str) -> None:
    assert told(text, point, "zh") == zh
    assert told(text, point, "en") == en


LOOP = Point(4, "tank.p", PointSpec(name="p", unit="MPa"), "jc")


@pytest.mark.parametrize(
    ("value", "cause", "zh", "en"),
    [
        (0.25, Cause.CONDITION, "0.25 MPa", "0.25 MPa"),
        (math.nan, Cause.UNMEASURED, "测不到数值", "gives no usable value"),
        (3276.7, Cause.UNMEASURED, "测不到数值", "gives no usable value"),  # the device's code for "broken"
        (100.0, Cause.SILENCE, "设备失联", "not heard from"),  # seconds, not what the device measures
        (math.nan, Cause.CONFIGURATION, "", ""),
    ],
)
def test_no_value_is_told_where_none_was_measured(value: float, cause: Cause, zh: str, en: str) -> None:
    alarm = alarm_of("", value, cause)
    assert [Views(FACTS, language).figure(alarm, LOOP) for language in ("zh", "en")] == [zh, en]
