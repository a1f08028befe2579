"""SL 651-2014 bodies: what the layout says is read, what is written is read as it was, no bytes raise."""

from __future__ import annotations

import math
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.time import DAY, HOUR, MINUTE
from gateway.protocols import sl651
from gateway.protocols.sl651 import ENQ, ETX, Coding, Frame, Function
from gateway.protocols.sl651_body import UNIFORM, read
from gateway.protocols.sl651_elements import ELEMENTS, STATE, code_of, name_of
from gateway.protocols.sl651_message import Element, Flaw, Parameter, read_number
from gateway.protocols.sl651_times import digits_of, local_time
from gateway.protocols.sl651_writing import (
    definition,
    head,
    question,
    write_elements,
    write_number,
    write_parameters,
    write_picture,
    write_station,
    write_text,
)
from tests.drivers.sl651_talk import FLAT, nanoseconds, only, shown

CASES = Path(__file__).parents[1] / "cases" / "sl651"
BODIES: list[dict[str, Any]] = tomllib.loads((CASES / "bodies.toml").read_text(encoding="utf-8"))["body"]


@pytest.mark.golden("sl651 bodies")
@pytest.mark.parametrize("case", BODIES, ids=lambda case: case["name"])
def test_a_body_says_what_it_is_said_to_say(case: dict[str, Any]) -> None:
    coding = Coding(case.get("coding", "hex"))
    body = case["body"].encode() if coding is Coding.ASCII else bytes.fromhex(case["body"])
    made = Frame(function=case["function"], body=body, end=ETX, station="0012345678", coding=coding)
    said = read(only(sl651.encode(made)))
    assert [shown(element) for element in said.elements] == case.get("elements", [])
    assert list(said.problems) == case.get("problems", [])
    stations = [element.station + element.kind for element in said.elements]
    assert stations == case.get("stations", ["0012345678H"] * len(stations))
    assert [[f"{each.code:02X}", each.data.hex().upper()] for each in said.parameters] == case.get("parameters", [])
    assert said.text.decode() == case.get("text", "")
    assert said.rest == (case["rest"].encode() if coding is Coding.ASCII else bytes.fromhex(case.get("rest", "")))


@given(
    function=st.integers(0, 255),
    down=st.booleans(),
    coding=st.sampled_from(Coding),
    body=st.binary(min_size=1, max_size=120)
    | st.lists(
        st.sampled_from(
            [
                "F1F1",
                "F0F0",
                "1234567890",
                "48",
                "2609090800",
                "F4",
                "F5C0",
                "FDF6",
                "FF9219",
                "041800000104",
                "4520",
                "3923",
                "00012345",
                "FFFFFFFF",
                "F2F2",
                "F3F3",
                "0001260909080000",
            ]
        ),
        min_size=1,
        max_size=20,
    ).map(lambda parts: bytes.fromhex("0001260909080000" + "".join(parts)))
    | st.lists(
        st.sampled_from(
            [
                "ST",
                "5010123456",
                "H",
                "TT",
                "2609090800",
                "Z",
                "6.38",
                "M",
                "DRN05",
                "DRP",
                "ZT",
                "PIC",
                "00000001",
                "FF92",
                "x",
                "\xb5\xff",
                "RGZS",
                "",
            ]
        ),
        max_size=20,
    ).map(lambda words: b"0001260909080000" + " ".join(words).encode("latin-1")),
)
@settings(max_examples=300)
def test_no_body_raises(function: int, down: bool, coding: Coding, body: bytes) -> None:  # noqa: FBT001
    frame = Frame(function=function, body=body, end=ENQ if down else ETX, station="0" * 10, coding=coding, down=down)
    said = read(frame)
    for element in said.elements:
        assert element.values or element.flaw or element.code not in ELEMENTS
        assert not any(math.isinf(value) for value in element.values)


@given(value=st.integers(-99_999, 99_999), width=st.integers(1, 6), decimals=st.integers(0, 7))
def test_a_number_read_is_the_number_written(value: int, width: int, decimals: int) -> None:
    number = value / 10**decimals
    room = 10 ** (2 * (width if value >= 0 else width - 1))
    if abs(value) >= room or (value < 0 and width == 1):
        with pytest.raises(ValueError, match="does not fit"):
            write_number(number, width, decimals)
        return
    assert read_number(write_number(number, width, decimals), decimals) == (number, Flaw.NONE)


@pytest.mark.parametrize(
    ("data", "decimals", "value", "flaw"),
    [
        ("FF00000172", 2, -1.72, Flaw.NONE),
        ("FF0123", 1, -12.3, Flaw.NONE),
        ("FFFFFFFF", 3, None, Flaw.MISSING),
        ("AAAAAAAA", 3, None, Flaw.MISSING),
        ("FF", 0, None, Flaw.MISSING),
        ("12A4", 2, None, Flaw.DIGITS),
        ("FFFF12", 2, None, Flaw.DIGITS),
        ("EEEE", 2, None, Flaw.DIGITS),
        ("", 0, None, Flaw.EMPTY),
        ("09999999", 3, 9999.999, Flaw.NONE),
    ],
)
def test_numbers_of_the_field(data: str, decimals: int, value: float | None, flaw: Flaw) -> None:
    found, why = read_number(bytes.fromhex(data), decimals)
    assert (None if math.isnan(found) else found, why) == (value, flaw)


def test_times_are_those_of_a_calendar() -> None:
    assert local_time("2609090800") == nanoseconds(datetime(2026, 9, 9, 8, tzinfo=UTC))
    assert local_time("240229235959") == nanoseconds(datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC))
    wrong = (
        "2602290000",
        "2613010000",
        "2600010000",
        "2609310000",
        "2609092400",
        "2609090060",
        "26090908A0",
        "",
        "²" * 10,
    )
    assert [local_time(digits) for digits in wrong] == [0] * len(wrong)
    assert digits_of(local_time("991231235959"), seconds=True) == "991231235959"
    with pytest.raises(ValueError, match="century"):
        digits_of(-1, seconds=True)


WIDTHS = {code: definition(row.width, row.decimals) for code, row in ELEMENTS.items()}
PLAIN = [code for code in ELEMENTS if code not in (0xF4, STATE) and not 0xF5 <= code <= 0xFC]

STATION = st.text("0123456789ABCDEF", min_size=10, max_size=10)


@st.composite
def elements(draw: st.DrawFn) -> list[Element]:
    """Elements of a report as a station would send them: some stations, times, numbers, states and hour series."""
    made = []
    for station in draw(st.lists(STATION, min_size=1, max_size=2, unique=True)):
        observed = 0
        kind = draw(st.sampled_from("PHKZDTMGQIO"))
        for _ in range(draw(st.integers(1, 4))):
            observed = FLAT + draw(st.integers(0, 1000)) * MINUTE
            code = draw(st.sampled_from([*PLAIN, 0xF4, 0xF5, 0xFC, STATE, 0x7A, 0xFF92]))
            missing = draw(st.booleans())
            made.append(_element(draw, code, station, kind, observed, missing=missing))
    return made


def _element(draw: st.DrawFn, code: int, station: str, kind: str, observed: int, *, missing: bool) -> Element:
    place: dict[str, Any] = {"code": code, "station": station, "kind": kind, "observed": observed}
    if code == STATE:
        return Element(values=(float(draw(st.integers(0, 0xFFFF))),), definition=0x20, **place)
    if code == 0xF4 or 0xF5 <= code <= 0xFC:
        scale, top = (10, 254) if code == 0xF4 else (100, 65534)
        numbers = draw(st.lists(st.integers(0, top) | st.none(), min_size=12, max_size=12))
        values = tuple(math.nan if number is None else number / scale for number in numbers)
        return Element(values=values, step=5 * MINUTE, definition=0x60 if code == 0xF4 else 0xC0, **place)
    form = WIDTHS.get(code, definition(3, 1))
    if missing:
        return Element(flaw=Flaw.MISSING, definition=form, **place)
    digits = 2 * (form >> 3) - 2
    number = draw(st.integers(-(10**digits) + 1 if digits else 0, 10**digits))
    return Element(values=(number / 10 ** (form & 7),), definition=form, **place)


def stripped(found: Element) -> dict[str, Any]:
    """Return what an element says, whatever the bytes were."""
    fields = msgspec.structs.asdict(found) | {"definition": 0, "data": b""}
    return fields | {"values": tuple(None if math.isnan(value) else value for value in found.values)}


@given(said=elements(), coding=st.sampled_from(Coding), function=st.sampled_from([0x30, 0x32, 0x33, 0x34, 0x37, 0x3A]))
def test_elements_read_are_the_elements_written(said: list[Element], coding: Coding, function: int) -> None:
    body = head(coding, 7, FLAT) + write_elements(coding, said)
    frame = Frame(function=function, body=body, end=ETX, station="0012345678", coding=coding)
    found = read(only(sl651.encode(frame)))
    assert (found.serial, found.sent, found.problems) == (7, FLAT, ())
    assert [stripped(each) for each in found.elements] == [stripped(each) for each in said]


@given(
    step=st.sampled_from([MINUTE, 30 * MINUTE, 60 * MINUTE, HOUR, 23 * HOUR, DAY, 99 * DAY]),
    numbers=st.lists(st.integers(0, 9_999_999) | st.none(), min_size=2, max_size=20),
    coding=st.sampled_from(Coding),
    function=st.sampled_from(sorted(UNIFORM)),
)
def test_a_uniform_report_read_is_the_one_written(
    step: int, numbers: list[int | None], coding: Coding, function: int
) -> None:
    values = tuple(math.nan if number is None else number / 1000 for number in numbers)
    said = Element(code=0x39, values=values, step=step, definition=0x23, station="5010123456", kind="H", observed=FLAT)
    body = head(coding, 1, FLAT) + write_elements(coding, [said])
    frame = Frame(function=function, body=body, end=ETX, station="5010123456", coding=coding)
    (found,) = read(only(sl651.encode(frame))).elements
    assert stripped(found) == stripped(said)


@pytest.mark.parametrize("coding", Coding)
def test_texts_and_pictures_are_carried_as_they_are(coding: Coding) -> None:
    start = head(coding, 2, FLAT)
    station = write_station(coding, "5010123456", "H")
    picture = b"\xff\xd8 M RGZS\x00\x7e\x7e\xff\xd9"
    for body, want in (
        (start + write_text(coding, b"Q 1.5 "), (b"Q 1.5 ", b"")),
        (start + station + write_picture(coding, picture), (b"", picture)),
    ):
        said = read(Frame(function=Function.PICTURE, body=body, end=ETX, station="5010123456", coding=coding))
        assert (said.text, said.picture, said.problems) == (*want, ())


@pytest.mark.parametrize("function", sorted(Function))
@pytest.mark.parametrize("coding", Coding)
def test_questions_read_are_the_questions_written(function: Function, coding: Coding) -> None:
    heard = Frame(function=0x2F, body=b"x", end=ETX, station="00A2345678", centre=9, coding=coding)
    named = [Parameter(0xF4, 0x60), Parameter(0xFF92, 0x19)]
    given_ = [Parameter(0x27, 0x08, b"\x10"), Parameter(0x97, 0x00)]
    rest = write_parameters(named if function in (0x3A, 0x41, 0x43) else given_)
    frame = only(sl651.encode(question(heard, function, FLAT, rest if coding is Coding.HEX else b"Z ")))
    assert (frame.down, frame.station, frame.centre, frame.password) == (True, "00A2345678", 9, heard.password)
    said = read(frame)
    assert (said.serial, said.sent, said.problems) == (0, FLAT, ())
    if coding is Coding.ASCII:
        assert said.rest == b"Z "
    elif function in (0x3A, 0x41, 0x43):
        assert list(said.parameters) == named
    elif function in (0x40, 0x42, 0x47, 0x48, 0x49):
        assert list(said.parameters) == given_
    else:
        assert said.rest == rest


def test_the_element_table_names_every_identifier_once() -> None:
    assert len(ELEMENTS) == 125
    assert all(code_of(name_of(code)) == code for code in (*ELEMENTS, *range(1, 0xF0), *range(0xFF00, 0x10000)))
    assert (code_of("AC"), code_of("0xAC"), name_of(0xAC)) == (0x01, 0xAC, "0xAC")
    assert (code_of("ff92"), code_of("7A"), name_of(0xFF92)) == (0xFF92, 0x7A, "FF92")
    for word in ("", "nothing", "123", "GG"):
        with pytest.raises(ValueError, match="element"):
            code_of(word)
