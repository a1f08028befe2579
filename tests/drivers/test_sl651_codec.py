"""SL 651-2014 frames and bodies: published frames say what they are said to say, nothing else passes for a frame."""

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

from gateway.model.time import DAY, HOUR, MINUTE, SECOND
from gateway.protocols import sl651
from gateway.protocols.sl651 import ACK, DOWN_ENDS, ENQ, ETB, ETX, SYN, Coding, Frame, Function, Refusal
from gateway.protocols.sl651_body import UNIFORM, read
from gateway.protocols.sl651_elements import ELEMENTS, STATE, code_of, name_of
from gateway.protocols.sl651_frames import Frames, Garbage
from gateway.protocols.sl651_message import Element, Flaw, Parameter, Problem, read_number
from gateway.protocols.sl651_times import digits_of, local_time
from gateway.protocols.sl651_writing import (
    definition,
    head,
    question,
    split,
    write_elements,
    write_number,
    write_parameters,
    write_picture,
    write_station,
    write_text,
)

CASES = Path(__file__).parents[1] / "cases" / "sl651"
FRAMES: list[dict[str, Any]] = tomllib.loads((CASES / "frames.toml").read_text(encoding="utf-8"))["frame"]
BODIES: list[dict[str, Any]] = tomllib.loads((CASES / "bodies.toml").read_text(encoding="utf-8"))["body"]
GOOD = [bytes.fromhex(case["hex"]) for case in FRAMES if "refused" not in case]
ENDS = {"ETX": 0x03, "ETB": 0x17, "ENQ": 0x05, "ACK": 0x06, "NAK": 0x15, "EOT": 0x04, "ESC": 0x1B}
FLAT = 1_700_000_000 * SECOND // MINUTE * MINUTE


def nanoseconds(moment: datetime) -> int:
    """Return a time of the case files as the codec has it."""
    return round(moment.replace(tzinfo=UTC).timestamp()) * SECOND


def whole(data: bytes, coding: Coding | None = None) -> list[Frame | Garbage]:
    """Return all that a closed stream brings."""
    frames = Frames(coding)
    found = frames.feed(data)
    while frames.pending:
        found += frames.drop()
    return found


def only(data: bytes) -> Frame:
    """Return the one frame that the bytes are."""
    (found,) = whole(data)
    assert isinstance(found, Frame)
    return found


def shown(element: Element) -> list[object]:
    """Return an element in the words of the case files."""
    values = ["missing" if math.isnan(value) else value for value in element.values]
    value: object = element.flaw.value if element.flaw else values[0] if len(values) == 1 else values
    clock = [digits_of(element.observed, seconds=False)[6:]] if element.observed else []
    return [f"{element.code:02X}", value, *[f"{text[:2]}:{text[2:]}" for text in clock]]


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case["name"])
def test_a_published_frame_says_what_it_is_said_to_say(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["hex"])
    found = whole(raw)
    if "refused" in case:
        assert found == [Garbage(Refusal(case["refused"]), raw)]
        return
    (frame,) = found
    assert isinstance(frame, Frame)
    assert frame.raw == (raw[:-1] if case.get("stray") else raw)
    assert (frame.down, frame.function, frame.centre) == (case["down"], case["function"], case["centre"])
    assert (frame.station, frame.password) == (case["station"], case["password"])
    assert (len(frame.body), frame.end, frame.total) == (case["length"], ENDS[case["end"]], 0)
    assert sl651.encode(frame) == frame.raw
    body = read(frame)
    assert (body.serial, body.sent) == (case["serial"], nanoseconds(case["sent"]))
    assert body.problems == ()
    assert [shown(element) for element in body.elements] == case.get("elements", [])
    assert {element.kind for element in body.elements} <= {case.get("kind", "")}
    assert write_parameters(body.parameters).hex().upper() == case.get("parameters", "")
    assert body.text.decode() == case.get("text", "")
    assert not body.rest
    if "step_minutes" in case:
        assert {element.step for element in body.elements} == {case["step_minutes"] * MINUTE}


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


def test_how_many_published_frames_there_are() -> None:
    refused = sum("refused" in case for case in FRAMES)
    print(f"SL 651: {len(FRAMES)} published frames, {refused} of them refused; {len(BODIES)} bodies by the layout")  # noqa: T201
    assert (len(FRAMES), refused) == (41, 2)


def ascii_frame() -> bytes:
    """Return the example of an ASCII body as a frame."""
    body = b"0001260909080000ST 5010123456 H TT 2609090800 Z 6.38 VT 12.50 "
    made = Frame(function=Function.TIMED, body=body, end=ETX, station="5010123456", coding=Coding.ASCII)
    return sl651.encode(made)


def test_no_frame_with_one_wrong_bit_passes() -> None:
    tried = 0
    for raw in [*GOOD, ascii_frame()]:
        raw = raw[: len(only(raw).raw)]  # noqa: PLW2901 - without the stray byte
        for place in range(8 * len(raw)):
            flipped = bytearray(raw)
            flipped[place // 8] ^= 1 << place % 8
            found = whole(bytes(flipped))
            assert not any(isinstance(each, Frame) for each in found)
            tried += 1
    assert tried > 15_000


def test_no_truncation_passes_and_what_follows_it_is_heard() -> None:
    after = GOOD[1]
    for raw in (GOOD[2], ascii_frame()):
        for end in range(len(raw)):
            assert not any(isinstance(each, Frame) for each in whole(raw[:end]))
            heard = [each for each in whole(raw[:end] + after) if isinstance(each, Frame)]
            assert [each.raw for each in heard] == [after]


def test_where_a_stream_is_cut_does_not_matter() -> None:
    stream = b"\x00\x7e" + GOOD[3] + b"\x7e" + ascii_frame() + b"~~~" + GOOD[0] + b"\x01\x02" + GOOD[5] + b"~"
    want = [each.raw for each in whole(stream) if isinstance(each, Frame)]
    assert len(want) == 4
    for cut in range(len(stream)):
        frames = Frames()
        found = [*frames.feed(stream[:cut]), *frames.feed(stream[cut:])]
        assert [each.raw for each in found if isinstance(each, Frame)] == want
    frames = Frames()
    found = [each for byte in stream for each in frames.feed(bytes((byte,)))]
    assert [each.raw for each in found if isinstance(each, Frame)] == want


def test_a_frame_inside_another_is_its_text() -> None:
    inner = GOOD[0]
    outer = Frame(
        function=Function.MANUAL,
        body=head(Coding.HEX, 1, FLAT) + write_text(Coding.HEX, inner),
        end=ETX,
        station="0012345678",
    )
    assert read(only(sl651.encode(outer))).text == inner


def test_a_length_that_lies_costs_no_good_frame() -> None:
    lying = bytearray(GOOD[1])
    lying[11:13] = b"\x0f\xff"
    frames = Frames()
    assert frames.feed(bytes(lying) + GOOD[2]) == []
    assert frames.pending
    garbage, frame = frames.drop()
    assert garbage == Garbage(Refusal.CUT_SHORT, bytes(lying))
    assert isinstance(frame, Frame)
    assert frame.raw == GOOD[2]
    assert not frames.pending


@pytest.mark.parametrize("pattern", [b"\x7e", b"\x01", b"\x7e\x7e\x01", b"\x00", bytes(range(256)), GOOD[0][:12]])
def test_a_megabyte_without_a_frame_end_is_not_kept(pattern: bytes) -> None:
    frames = Frames()
    data = (pattern * (1_000_000 // len(pattern) + 1))[:1_000_000]
    kept = 0
    for at in range(0, len(data), 16_384):
        frames.feed(data[at : at + 4096])
        kept = max(kept, len(frames._buffer))  # noqa: SLF001 - what it keeps is the question
    assert kept < 4_200
    found = [each for each in frames.feed(bytes(5000) + GOOD[0]) if isinstance(each, Frame)]
    assert [each.raw for each in found] == [GOOD[0]]


def test_the_reason_of_a_refusal_is_told() -> None:
    good = GOOD[1]

    def refused(place: int, byte: int) -> Refusal:
        wrong = bytearray(good)
        wrong[place] = byte
        (found,) = whole(bytes(wrong))
        assert isinstance(found, Garbage)
        return found.reason

    assert refused(13, 0x55) is Refusal.START_MARK
    assert refused(11, 0x40) is Refusal.HEADER
    assert refused(-3, 0x1B) is Refusal.END_MARK
    assert refused(-1, good[-1] ^ 1) is Refusal.CRC
    assert refused(12, 0xFF) is Refusal.CUT_SHORT
    assert refused(1, 0) is Refusal.NOISE
    zero = sl651.HEX_START + bytes(9) + b"\x00\x00\x02\x03\x00\x00"
    assert [each.reason for each in whole(zero) if isinstance(each, Garbage)] == [Refusal.HEADER]


STATION = st.text("0123456789ABCDEF", min_size=10, max_size=10)


@st.composite
def any_frame(draw: st.DrawFn) -> Frame:
    """A frame whose fields are anything that fits."""
    down = draw(st.booleans())
    total = draw(st.sampled_from([0, 0, 1, 13, 4095]))
    return Frame(
        coding=draw(st.sampled_from(Coding)),
        down=down,
        centre=draw(st.integers(0, 255)),
        station=draw(STATION),
        password=draw(st.text("0123456789ABCDEF", min_size=4, max_size=4)),
        function=draw(st.integers(0, 255)),
        total=total,
        sequence=draw(st.integers(1, total)) if total else 0,
        body=draw(st.binary(min_size=1, max_size=80)),
        end=draw(st.sampled_from(sorted(DOWN_ENDS if down else sl651.UP_ENDS))),
    )


@given(frame=any_frame())
def test_a_frame_read_is_the_frame_written(frame: Frame) -> None:
    found = only(sl651.encode(frame))
    assert msgspec.structs.replace(found, raw=b"") == frame
    read(found)


@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
@settings(max_examples=300)
def test_no_bytes_raise(data: bytes, cut: int) -> None:
    for coding in (None, *Coding):
        frames = Frames(coding)
        for part in (data[:cut], b"\x7e\x7e" + data[cut:]):
            for found in frames.feed(part):
                assert isinstance(found, Garbage)
        frames.drop()


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
                "",
            ]
        ),
        max_size=20,
    ).map(lambda words: b"0001260909080000" + " ".join(words).encode()),
)
@settings(max_examples=500)
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


def test_a_long_report_is_cut_into_numbered_packets() -> None:
    frame = Frame(function=Function.PICTURE, body=b"", end=ETX, station="0012345678")
    packets = [only(sl651.encode(packet)) for packet in split(frame, bytes(range(250)), 100)]
    assert [(each.sequence, each.total, each.end) for each in packets] == [(1, 3, ETB), (2, 3, ETB), (3, 3, ETX)]
    assert b"".join(each.body for each in packets) == bytes(range(250))
    assert {each.raw[13] for each in packets} == {SYN}


@pytest.mark.parametrize(
    "changed",
    [
        {"station": "12345"},
        {"password": "12"},
        {"centre": 256},
        {"function": -1},
        {"end": ACK},
        {"body": b""},
        {"body": bytes(4096)},
        {"total": 3, "sequence": 4},
    ],
)
def test_a_frame_that_cannot_be_is_not_written(changed: dict[str, Any]) -> None:
    frame = Frame(function=0x32, body=b"x", end=ETX, station="0012345678")
    with pytest.raises(ValueError, match=r"\w"):
        sl651.encode(msgspec.structs.replace(frame, **changed))


def test_the_element_table_names_every_identifier_once() -> None:
    assert len(ELEMENTS) == 125
    assert all(code_of(name_of(code)) == code for code in ELEMENTS)
    assert (code_of("ff92"), code_of("7A"), name_of(0xFF92)) == (0xFF92, 0x7A, "FF92")
    for word in ("", "nothing", "123", "GG"):
        with pytest.raises(ValueError, match="element"):
            code_of(word)


def test_problems_are_named() -> None:
    assert {each.value for each in Problem} == {
        "short_body",
        "bad_send_time",
        "bad_time",
        "element_cut_short",
        "bad_digits",
    }
