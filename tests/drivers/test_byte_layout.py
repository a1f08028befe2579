"""Layouts of raw payloads: every type and order, masks and signs, digits above 9, checksums, records that lie."""

from __future__ import annotations

import struct
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import _byte_layout
from drivers._byte_layout import Bytes, Raw, Records, View, layout, record_times, viewed
from drivers._json_path import MISSING
from gateway.protocols.modbus_line import seal

TYPES: tuple[str, ...] = get_args(_byte_layout._Type)  # noqa: SLF001 - the one list of them
WHOLE = [name for name in TYPES if name[0] in "us"]


def where(**keys: Any) -> Bytes:  # noqa: ANN401 - as in a TOML table
    return msgspec.convert(keys, Bytes)


def read(data: bytes, **keys: Any) -> object:  # noqa: ANN401 - as in a TOML table
    return layout(where(**keys))(View(data), b"")


@given(st.sampled_from(WHOLE), st.sampled_from(["big", "little"]), st.integers(), st.binary(max_size=3))
def test_whole_numbers_are_read_as_they_were_written(kind: str, order: Any, number: int, before: bytes) -> None:  # noqa: ANN401
    size = int(kind[1:]) // 8
    signed = kind[0] == "s"
    number %= 1 << 8 * size
    number -= (1 << 8 * size) if signed and number >> (8 * size - 1) else 0
    data = before + number.to_bytes(size, order, signed=signed)
    assert read(data + b"\xff", at=len(before), type=kind, order=order) == number
    assert read(data, at=-size, type=kind, order=order) == number
    assert read(data[:-1], at=len(before), type=kind, order=order) is MISSING


@pytest.mark.parametrize(("kind", "code"), [("f32", "f"), ("f64", "d")])
def test_floats(kind: str, code: str) -> None:
    assert read(struct.pack(f">{code}", 12.5), type=kind) == 12.5
    assert read(struct.pack(f"<{code}", -12.5), type=kind, order="little") == -12.5


@given(st.integers(0, 999_999), st.sampled_from(["big", "little"]))
def test_digits(number: int, order: str) -> None:
    data = bytes.fromhex(f"{number:06d}")
    assert read(data if order == "big" else data[::-1], type="bcd24", order=order) == number


def test_digits_above_nine_are_no_number() -> None:
    assert read(b"\x12\x3a", type="bcd16") == "bcd 123a"


@pytest.mark.parametrize(
    ("data", "mask", "kind", "number"),
    [
        ("1e", 0x0F, "u8", 14),
        ("1e", 0xF0, "u8", 1),
        ("1e", 0x0F, "s8", -2),
        ("17", 0x0F, "s8", 7),
        ("ff80", 0xFF80, "u16", 511),
        ("04", 0x04, "u8", 1),
        ("fb", 0x04, "u8", 0),
    ],
)
def test_a_mask_is_shifted_down_before_the_sign(data: str, mask: int, kind: str, number: int) -> None:
    assert read(bytes.fromhex(data), mask=mask, type=kind) == number


def test_head_length_and_port_choose_the_message() -> None:
    find = layout(where(at=1, head="aa", length=2, port=5))
    assert find(View(b"\xaa\x07", 5), b"") == 7
    for data, port in ((b"\xab\x07", 5), (b"\xaa\x07\x00", 5), (b"\xaa\x07", 6), (b"\xaa\x07", 0)):
        assert find(View(data, port), b"") is MISSING


SOUND = {
    "zero": b"\x22\x1e\x64\x00\x1c\x40",
    "sum": b"\x01\x02\xff\x02",
    "xor": b"\xaa\x01\x05\x00\xfa\x54",
    "crc16": seal(b"\x01\x03\x02\x00\x64"),
}


@pytest.mark.parametrize("check", list(SOUND))
def test_every_flipped_bit_fails_the_checksum(check: Any) -> None:  # noqa: ANN401 - a literal of the option
    sound = SOUND[check]
    problems: list[str] = []
    assert viewed(Raw(check=check), sound, 0, problems).data == sound
    assert not problems
    for bit in range(8 * len(sound)):
        spoilt = bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(sound))
        assert viewed(Raw(check=check), spoilt, 0, problems).data == b""
    assert problems == ["checksum"] * 8 * len(sound)
    for short in (b"", sound[:1]):
        assert viewed(Raw(check=check), short, 0, []).data == b""


CHANNELS = Raw(channels={"0175": 1, "0367": 2})


@pytest.mark.parametrize(
    ("data", "channels", "problems"),
    [
        ("017564036710010175 63", {"0175": "63", "0367": "1001"}, []),
        ("", {}, []),
        ("0175", {}, ["truncated"]),
        ("01756403", {"0175": "64"}, ["truncated"]),
        ("036710", {}, ["truncated"]),
        ("017564ff000367f6ff", {"0175": "64"}, ["unknown_channel"]),
    ],
)
def test_channels(data: str, channels: dict[str, str], problems: list[str]) -> None:
    said: list[str] = []
    view = viewed(CHANNELS, bytes.fromhex(data), 0, said)
    assert {name: value.hex() for name, value in view.channels.items()} == channels
    assert said == problems


@pytest.mark.parametrize(
    ("records", "data", "found", "problems"),
    [
        ({"at": 1, "size": 2}, "aa000100020003", ["0001", "0002", "0003"], []),
        ({"at": 1, "size": 2, "newest_first": True}, "aa000100020003", ["0003", "0002", "0001"], []),
        ({"at": 1, "size": 2, "count": 2}, "aa000100020003", ["0001", "0002"], []),
        ({"at": 1, "size": 2, "count_at": 0}, "02000100020003", ["0001", "0002"], []),
        ({"at": 1, "size": 2, "count_at": 0}, "ff00010002", ["0001", "0002"], ["truncated"]),
        ({"at": 1, "size": 2, "count_at": 9}, "0200010002", [], []),
        ({"at": 1, "size": 2}, "", [], []),
        ({"at": 9, "size": 2}, "0001", [], []),
    ],
)
def test_records(records: dict[str, Any], data: str, found: list[str], problems: list[str]) -> None:
    said: list[str] = []
    view = viewed(Raw(records=msgspec.convert(records, Records)), bytes.fromhex(data), 0, said)
    assert [record.hex() for record in view.records] == found
    assert said == problems


def test_a_payload_of_a_megabyte_makes_no_million_records() -> None:
    view = viewed(Raw(records=Records(at=0, size=1)), bytes(1 << 20), 0, [])
    assert len(view.records) == 1024


def test_times_of_records() -> None:
    three = [b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\3"]
    assert record_times(Records(at=0, size=4, every="10s"), three, 10**12) == [98 * 10**10, 99 * 10**10, 10**12]
    assert record_times(Records(at=0, size=4, every="10s"), three, 0) == [0, 0, 0]
    assert record_times(Records(at=0, size=4), three, 10**12) == [0, 0, 0]  # nobody knows: their order stays
    assert record_times(Records(at=0, size=4), three[:1], 10**12) == [10**12]
    own = Records(at=0, size=4, time=where(type="u32"))
    assert record_times(own, [*three, b"\0"], 0) == [10**9, 2 * 10**9, 3 * 10**9, 0]


@given(st.binary(max_size=64), st.integers(-70, 70), st.sampled_from(TYPES), st.integers(0, 1 << 16))
def test_no_bytes_make_it_raise(data: bytes, at: int, kind: str, mask: int) -> None:
    raw = Raw(channels={"0175": 1}, records=Records(at=1, size=2, count_at=0))
    view = viewed(raw, data, 0, [])
    keys = {} if kind[0] in "fb" else {"mask": mask}
    for record in (b"", *view.records):
        found = layout(where(at=at, type=kind, record=True, **keys))(view, record)
        assert found is MISSING or isinstance(found, int | float | str)
