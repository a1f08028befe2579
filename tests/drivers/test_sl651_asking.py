"""The `sl651` driver: questions to a station and how its answers settle them."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from gateway.model.point import PointSpec
from gateway.model.time import SECOND
from gateway.protocols.sl651 import Coding
from gateway.protocols.sl651_times import digits_of
from tests.drivers.sl651_talk import ADDRESS, WALL, Far, device, heard

OBSERVED = "F0F02609211500"  # in Chinese time
AT = 1_789_974_000 * SECOND  # the same in UTC
HERE = f"F1F1{ADDRESS}48{OBSERVED}"


@pytest.mark.parametrize("coding", Coding)
def test_a_report_is_asked_for(coding: Coding) -> None:
    far = Far(coding=coding)
    far.hear(far.station.report(WALL))
    question = far.talk.ask("it", "report_now", 1.0, 0, WALL)
    assert question is not None
    ((frame, body),) = heard(question.data)
    assert (frame.function, frame.end, frame.coding, body.serial) == (0x37, 0x05, coding, 0)
    (said,) = far.hear(far.station.hear(question.data, WALL))
    assert said.settles is question
    assert (said.refusal, said.after) == ("", b"")
    assert far.values(said)["level"] == 6.38


def test_a_station_that_has_not_spoken_is_asked_by_its_options() -> None:
    far = Far(centre=9, password="03e8")  # noqa: S106 - a station's
    question = far.talk.ask("it", "report_state", 1.0, 0, 0)
    assert question is not None
    ((frame, _),) = heard(question.data)
    assert (frame.centre, frame.password, frame.station) == (9, "03E8", ADDRESS)


def test_a_clock_is_set_twice_when_it_is_far_off() -> None:
    far = Far()
    far.station.fault.clock = 3600.0
    (said,) = far.hear(far.station.report(WALL))
    assert far.values(said)["clock_error"] == 3600.0
    far.station.fault.stuck_clock = True
    question = far.talk.ask("it", "set_clock", 1.0, 0, WALL)
    assert question is not None
    assert question.tries == 1
    assert heard(question.data)[0][1].sent == WALL + 8 * 3600 * SECOND
    (first,) = far.hear(far.station.hear(question.data, WALL))
    assert first.settles is None
    assert heard(first.at_once)[0][0].function == 0x4A
    far.station.fault.stuck_clock = False
    (second,) = far.hear(far.station.hear(first.at_once, WALL))
    assert (second.settles, second.refusal) == (question, "")
    assert far.station.fault.clock == 0.0


def test_a_clock_that_cannot_be_set_is_a_refusal() -> None:
    far = Far()
    far.station.fault.clock, far.station.fault.stuck_clock = 3600.0, True
    question = far.talk.ask("it", "set_clock", 1.0, 0, WALL)
    assert question is not None
    (first,) = far.hear(far.station.hear(question.data, WALL))
    (second,) = far.hear(far.station.hear(first.at_once, WALL))
    assert second.settles is question
    assert second.refusal == "its clock is still 3600 s off"


OUTPUTS = {
    "hours": {"decode": {"ask": 0x38, "names": ["DRP"], "step": 5}},
    "some": {"decode": {"ask": 0x3A, "names": ["Z", "7A:08"]}},
    "read": {"decode": {"ask": 0x43, "names": ["27:08"]}},
    "threshold": {"decode": {"ask": 0x42, "parameter": "27:08"}},
    "valve": {"decode": {"ask": 0x4D, "bodies": {"0": "0100", "1": "0101"}}},
}


def asking(**options: Any) -> Far:  # noqa: ANN401 - keys of any type
    one = device(**options)
    specs = tuple(PointSpec(name=name, unit="1", decode=keys["decode"]) for name, keys in OUTPUTS.items())
    kind = msgspec.structs.replace(one.profile, points=(*one.profile.points, *specs))
    return Far(msgspec.structs.replace(one, profile=kind))


@pytest.mark.parametrize(
    ("point", "value", "rest"),
    [
        ("hours", 3.0, "26092119 26092122 0418000005 F460".replace("19", "18", 1)),
        ("some", 1.0, "3923 7A08"),
        ("read", 1.0, "2708"),
        ("threshold", 10.0, "270810"),
        ("valve", 1.0, "0101"),
        ("valve", 0.0, "0100"),
    ],
)
def test_every_question_has_the_body_of_its_function(point: str, value: float, rest: str) -> None:
    far = asking()
    question = far.talk.ask("it", point, value, 0, WALL)
    assert question is not None
    ((frame, body),) = heard(question.data)
    assert frame.body[8:].hex().upper() == rest.replace(" ", "") or point == "hours"
    if point == "hours":
        assert frame.body[8:].hex().upper()[8:] == _hour(0) + "0418000005F460"
        assert frame.body[8:12].hex() == _hour(3)
    assert body.problems == ()
    settled = [said for said in far.hear(far.station.hear(question.data, WALL)) if said.settles is question]
    assert len(settled) == 1


def _hour(back: int) -> str:
    return digits_of(WALL + 8 * 3600 * SECOND - back * 3600 * SECOND, seconds=False)[:8]


@pytest.mark.parametrize(
    ("point", "value"),
    [
        ("report_now", 0.0),
        ("report_now", math.nan),
        ("threshold", 1000.0),
        ("threshold", math.nan),
        ("valve", 2.0),
        ("hours", math.inf),
        ("level", 1.0),
        ("absent", 1.0),
    ],
)
def test_what_cannot_be_asked_is_not(point: str, value: float) -> None:
    assert asking().talk.ask("it", point, value, 0, WALL) is None
    assert asking().talk.ask("nobody", point, value, 0, WALL) is None


def test_a_clock_is_not_set_by_one_that_is_not_trusted() -> None:
    assert asking().talk.ask("it", "set_clock", 1.0, 0, 0) is None
    assert asking().talk.ask("it", "hours", 1.0, 0, 0) is None


def test_a_downlink_on_the_line_is_nobody_s_report() -> None:
    far = Far()
    question = far.talk.ask("it", "report_now", 1.0, 0, WALL)
    assert question is not None
    (said,) = far.hear(question.data)
    assert (said.decoded.problems, said.settles, said.device) == (["downlink"], None, "")
