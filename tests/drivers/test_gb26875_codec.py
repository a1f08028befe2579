"""The codec of GB/T 26875.3: every published frame, its round trip, and what bytes that are no frame come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols import gb26875_tables as tables
from gateway.protocols.gb26875 import (
    LARGEST,
    Command,
    Frame,
    Frames,
    Garbage,
    Refusal,
    encode_frame,
    head_of,
    reply_to,
)
from gateway.protocols.gb26875_objects import ComponentStatus, DeviceStatus, Object, SystemConfig
from gateway.protocols.gb26875_units import (
    LIMITS,
    Unit,
    decode_unit,
    encode_unit,
    text_bytes,
    text_of,
    time_ns,
    time_tag,
)
from tests.drivers.gb26875_centre import CHINA, cases
from tests.drivers.gb26875_objects import PAYLOADS, frames_of, units

GOOD = cases("frames.toml")
BAD = cases("refused.toml")
BITS = {1: tables.SYSTEM_BITS, 2: tables.COMPONENT_BITS, 4: tables.OPERATION_BITS, 21: tables.DEVICE_BITS}
BITS[24] = tables.DEVICE_OPERATION_BITS


def raw_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["bytes"])


def only_frame(data: bytes) -> Frame:
    found = Frames().feed(data)
    assert len(found) == 1
    assert isinstance(found[0], Frame)
    return found[0]


def written(tag: bytes) -> str:
    """Return a time tag as the sheet writes it, "" for no date."""
    ns = time_ns(tag, CHINA)
    return datetime.fromtimestamp(ns // 10**9 + CHINA, UTC).strftime("%Y-%m-%d %H:%M:%S") if ns else ""


def fields_of(one: Object) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.structs.asdict(one)
    if "time" in found:
        found["time"] = written(found["time"])
    return found


def test_the_published_frames_are_all_here() -> None:
    assert [case["number"] for case in GOOD] == list(range(1, 41))
    assert len(BAD) == 5


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["number"])
def test_a_published_frame_means_what_its_source_says(case: dict[str, Any]) -> None:
    frame = only_frame(raw_of(case))
    said = (frame.command, frame.serial, [frame.main, frame.user], frame.source, frame.destination, len(frame.unit))
    keys = ("command", "serial", "version", "source", "destination", "length")
    assert said == tuple(case[key] for key in keys)
    assert written(frame.sent) == case["sent"]
    assert encode_frame(frame) == raw_of(case)
    unit = decode_unit(frame.unit)
    if unit is None:
        assert "type" not in case
        return
    assert (unit.type, unit.count) == (case["type"], case["count"])
    assert bool(unit.rest or not unit.objects) == case.get("rest", False)
    for one in unit.objects:
        fields = fields_of(one)
        assert {key: fields[key] for key in case["object"]} == case["object"]
        if "bits" in case:
            word = fields.get("status", fields.get("flags", 0))
            names = [name.en for bit, name in BITS[unit.type].items() if word >> bit & 1]
            normal = ["normal"] if unit.type in (1, 2, 21) and word & 1 else []
            assert normal + names == case["bits"]
        if "description" in case:
            assert text_of(fields["description"]) == case["description"]


@pytest.mark.parametrize("case", BAD, ids=range(len(BAD)))
def test_a_published_frame_with_a_wrong_checksum_is_refused(case: dict[str, Any]) -> None:
    raw = raw_of(case)
    assert Frames().feed(raw) == [Garbage(Refusal.BAD_CHECKSUM, raw, len(raw))]
    head = head_of(raw)
    assert head is not None
    assert head.unit == raw[27:-3]


@pytest.mark.parametrize("case", [*GOOD, *BAD], ids=lambda case: case.get("number", "bad"))
def test_no_single_bit_flip_of_a_frame_is_decoded(case: dict[str, Any]) -> None:
    """Nothing of it is decoded as something else: neither at once nor when the wait for its end is given up."""
    raw = raw_of(case)
    original = Frames().feed(raw)[0]
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        line = Frames()
        found = [*line.feed(bytes(flipped)), *line.drop()]
        frames = [one for one in found if isinstance(one, Frame)]
        if isinstance(original, Garbage):  # a flip may mend what was wrong
            assert all(encode_frame(frame) == bytes(flipped) for frame in frames)
        else:
            assert not frames, bit
        assert found
        assert not line.pending


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case["number"])
def test_every_truncation_of_a_frame_waits_and_is_refused(case: dict[str, Any]) -> None:
    raw = raw_of(case)
    for size in range(1, len(raw)):
        line = Frames()
        assert line.feed(raw[:size]) == []
        assert line.pending
        assert [(one.reason, one.size) for one in line.drop() if isinstance(one, Garbage)] == [
            (Refusal.UNFINISHED, size)
        ]
        assert not line.pending
    assert Frames().feed(b"") == []


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.one_of(frames_of(), st.binary(max_size=80)), max_size=6), data=st.data())
def test_frames_come_through_noise_pieces_and_neighbours(parts: list[Frame | bytes], data: st.DataObject) -> None:
    """However the stream is cut the same is found, and no byte is lost; noise without start symbols hides nothing."""
    quiet = [part.replace(b"@", b"?") if isinstance(part, bytes) else encode_frame(part) for part in parts]
    stream = b"".join(quiet)
    whole = Frames().feed(stream)
    assert [one for one in whole if isinstance(one, Frame)] == [part for part in parts if isinstance(part, Frame)]
    cut = data.draw(st.integers(0, len(stream)))
    line = Frames()
    pieces = [*line.feed(stream[:cut]), *line.feed(stream[cut:])]
    assert [one for one in pieces if isinstance(one, Frame)] == [one for one in whole if isinstance(one, Frame)]
    sizes = [len(encode_frame(one)) if isinstance(one, Frame) else one.size for one in pieces]
    assert sum(sizes) == len(stream)
    assert not line.pending


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([b"@@", b"##", b"@" * 60])), max_size=8))
def test_any_bytes_are_frames_or_refusals_and_none_is_kept_too_long(pieces: list[bytes]) -> None:
    line = Frames()
    found: list[Frame | Garbage] = []
    for piece in pieces:
        found += line.feed(piece)
        assert len(line._waiting) < LARGEST  # noqa: SLF001 - the bound is the point
    found += line.drop()
    assert not line.pending
    assert sum(len(encode_frame(one)) if isinstance(one, Frame) else one.size for one in found) >= sum(map(len, pieces))


def test_a_length_that_lies_costs_no_frame_behind_it() -> None:
    good = raw_of(GOOD[0])
    lying = bytearray(good)
    lying[24:26] = (700).to_bytes(2, "little")
    line = Frames()
    assert line.feed(bytes(lying) + good) == []
    found = line.drop()
    assert [type(one) for one in found] == [Garbage, Frame]
    line = Frames()  # or as soon as enough has come to see that its end is not there
    assert [one for one in line.feed(bytes(lying) + good * 10) if isinstance(one, Frame)] == [only_frame(good)] * 10


def test_a_frame_inside_anothers_payload_is_no_frame() -> None:
    inner = raw_of(GOOD[0])
    outer = Frame(serial=7, command=2, unit=b"\x80\x01" + inner)
    assert Frames().feed(encode_frame(outer)) == [outer]


@pytest.mark.parametrize("filling", [b"@", b"#", b"\0", b"@@\0\0\1\1", raw_of(GOOD[0])[:29]])
def test_a_megabyte_without_an_end_is_refused_in_bounded_memory(filling: bytes) -> None:
    data = (filling * (1 + (1 << 20) // len(filling)))[: 1 << 20]
    line = Frames()
    told = 0
    for start in range(0, len(data), 1 << 16):
        for one in line.feed(data[start : start + (1 << 16)]):
            assert isinstance(one, Garbage)
            assert len(one.data) <= LARGEST
            told += one.size
    assert told + len(line._waiting) - line._told == len(data)  # noqa: SLF001 - nothing is passed over in silence


@settings(max_examples=100, deadline=None)
@given(frames_of())
def test_a_reply_has_serial_and_versions_and_the_addresses_exchanged(frame: Frame) -> None:
    reply = only_frame(encode_frame(reply_to(frame, Command.CONFIRM, time_tag(0, CHINA))))
    assert (reply.serial, reply.main, reply.user) == (frame.serial, frame.main, frame.user)
    assert (reply.source, reply.destination, reply.unit) == (frame.destination, frame.source, b"")


@pytest.mark.parametrize("frame", [Frame(serial=65536, command=2), Frame(serial=0, command=2, unit=bytes(1025))])
def test_what_no_frame_can_carry_is_refused_at_home(frame: Frame) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        encode_frame(frame)


@settings(max_examples=150, deadline=None)
@given(units())
def test_units_of_every_type_come_back_as_they_were(unit: Unit) -> None:
    raw = encode_unit(unit.type, unit.objects)
    assert decode_unit(raw) == unit


def test_every_type_of_the_standard_has_a_codec() -> None:
    assert set(PAYLOADS) == set(LIMITS)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*LIMITS, 9, 128]))
def test_any_unit_is_objects_and_a_rest_that_together_are_its_bytes(body: bytes, code: int) -> None:
    unit = decode_unit(bytes((code,)) + body)
    if unit is None:
        assert not body
        return
    assert (unit.type, unit.count) == (code, body[0])
    short = code in (2, 21) and unit.objects and not unit.rest
    if not short:
        objects = encode_unit(code, unit.objects)[2:] if 0 < len(unit.objects) <= LIMITS.get(code, 0) else None
        assert objects is None or objects + unit.rest == body[1:]


def test_a_count_that_lies_hides_no_object() -> None:
    one = ComponentStatus(1, 1, 40, 10, 2)
    raw = encode_unit(2, [one, one])
    read: Callable[[int, bytes], Unit | None] = lambda count, body: decode_unit(bytes((2, count)) + body)  # noqa: E731
    padded = msgspec.structs.replace(one, description=bytes(31))
    for count in (0, 1, 3, 255):
        assert read(count, raw[2:]) == Unit(2, count, (padded, padded))
    assert read(2, raw[2:-1]) == Unit(2, 2, (padded,), raw[48:-1])
    assert read(1, raw[2:] + b"!") == Unit(2, 1, (padded,), raw[48:] + b"!")


def test_shortened_objects_of_makers_are_read() -> None:
    head = bytes.fromhex("01 01 28 0A 00 02 00 02 00")
    time = bytes.fromhex("02 3A 09 1A 09 0C")
    for extra in (b"", b"\0"):
        unit = decode_unit(b"\x02\x02" + (head + extra + time) * 2)
        assert unit == Unit(2, 2, (ComponentStatus(1, 1, 40, 131082, 2, b"", time),) * 2)
    assert decode_unit(b"\x15\x01\x01") == Unit(21, 1, (DeviceStatus(1, b""),))


@pytest.mark.parametrize(
    ("code", "objects"),
    [
        (99, []),
        (2, [ComponentStatus(1, 1, 40, 1, 2)] * 23),
        (21, [DeviceStatus(256)]),
        (6, [SystemConfig(1, 1, bytes(256))]),
    ],
)
def test_a_unit_that_the_standard_does_not_allow_is_not_made(code: int, objects: Sequence[Object]) -> None:
    if code == 99:
        objects = [DeviceStatus(1)]
    with pytest.raises(ValueError, match=r"\d"):
        encode_unit(code, objects)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.integers(0, 40))
def test_texts_are_cut_between_characters(text: str, limit: int) -> None:
    raw = text_bytes(text, limit)
    assert len(raw) <= limit
    assert "�" not in raw.decode("gb18030") or "�" in text
    plain = raw.decode("gb18030").split("\0")[0].strip()
    assert text_of(raw.ljust(31, b"\0")) == text_of(raw.ljust(31) + b"\0") == plain


def test_what_is_no_text_is_replaced() -> None:
    assert text_of(bytes.fromhex("D2 BB B2 E3 00 FF FF")) == "一层"
    assert text_of(b"\xff\xff\xff") == "���"


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=6, max_size=6), st.sampled_from([0, CHINA, -5 * 3600]))
def test_a_time_tag_is_a_date_or_nothing(tag: bytes, offset: int) -> None:
    ns = time_ns(tag, offset)
    assert time_tag(ns, offset) == tag if ns else not written(tag)


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "00 00 00 00 00 00",
        "0C 11 00 02 01 E2",
        "00 00 00 1E 02 18",
        "3C 00 00 01 01 18",
        "00 00 18 01 01 18",
        "FFFFFFFFFFFF",
    ],
)
def test_impossible_times_are_none(tag: str) -> None:
    assert time_ns(bytes.fromhex(tag), CHINA) == 0
    assert time_tag(0, 0) == bytes(6)
