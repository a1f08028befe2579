"""SL 651-2014 frames and bodies: published frames say what they are said to say, nothing else passes for a frame."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.time import MINUTE
from gateway.protocols import sl651
from gateway.protocols.modbus_line import crc16
from gateway.protocols.sl651 import ACK, DOWN_ENDS, ETB, ETX, SYN, Coding, Frame, Function, Refusal
from gateway.protocols.sl651_body import read
from gateway.protocols.sl651_frames import Frames, Garbage
from gateway.protocols.sl651_writing import (
    head,
    split,
    write_parameters,
    write_text,
)
from tests.drivers.sl651_talk import FLAT, nanoseconds, only, shown, whole

CASES = Path(__file__).parents[1] / "cases" / "sl651"
FRAMES: list[dict[str, Any]] = tomllib.loads((CASES / "frames.toml").read_text(encoding="utf-8"))["frame"]
BODIES: list[dict[str, Any]] = tomllib.loads((CASES / "bodies.toml").read_text(encoding="utf-8"))["body"]
GOOD = [bytes.fromhex(case["hex"]) for case in FRAMES if "refused" not in case]
ENDS = {"ETX": 0x03, "ETB": 0x17, "ENQ": 0x05, "ACK": 0x06, "NAK": 0x15, "EOT": 0x04, "ESC": 0x1B}


@pytest.mark.golden("sl651")
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


def test_a_stray_byte_behind_a_frame_means_nothing() -> None:
    found = whole(GOOD[0] + b"~" + GOOD[1] + b"~")
    assert [each.raw for each in found if isinstance(each, Frame)] == [GOOD[0], GOOD[1]]
    assert len(found) == 2
    assert [type(each) for each in whole(b"~" + GOOD[0] + b"~~")] == [Garbage, Frame, Garbage]


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


@pytest.mark.parametrize("pattern", [b"\x7e", b"\x01", bytes(range(256)), GOOD[0][:12]])
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


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize("numbers", [0x003000, 0x003004, 0x000001, 0x000000])
def test_packet_numbers_that_cannot_be_are_refused(coding: Coding, numbers: int) -> None:
    frame = Frame(function=0x36, body=b"x", end=ETB, station="0012345678", coding=coding, total=3, sequence=2)
    wrong = bytearray(sl651.encode(frame))
    if coding is Coding.HEX:
        wrong[14:17] = numbers.to_bytes(3, "big")
        wrong[-2:] = crc16(bytes(wrong[:-2])).to_bytes(2, "big")
    else:
        wrong[24:30] = b"%06X" % numbers
        wrong[-4:] = b"%04X" % crc16(bytes(wrong[:-4]))
    assert [each.reason for each in whole(bytes(wrong)) if isinstance(each, Garbage)] == [Refusal.HEADER]
