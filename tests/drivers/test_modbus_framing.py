"""ASCII lines and MBAP headers: what passes them is the RTU frame of the same content, and nothing else passes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.errors import ProtocolViolation
from gateway.protocols.modbus_framing import LONGEST_LINE, Ascii, Framing, Mbap, lrc
from gateway.protocols.modbus_line import seal

FRAMES = st.one_of(st.binary(min_size=2, max_size=40), st.just(b"\x01\x03" + bytes(248))).map(seal)
BYTES = st.binary(max_size=600)


def test_the_line_of_the_standard() -> None:
    frame = seal(bytes.fromhex("11 03 00 6B 00 03"))
    assert Ascii().pack(frame) == b":1103006B00037E\r\n"
    assert Ascii().unpack(b":1103006B00037E\r\n") == frame
    assert lrc(bytes.fromhex("11 03 00 6B 00 03")) == 0x7E


def test_the_header_of_the_guide() -> None:
    master, slave = Mbap(asks=True), Mbap(asks=False)
    request, reply = seal(bytes.fromhex("FF 03 00 04 00 01")), seal(bytes.fromhex("FF 03 02 00 05"))
    asked = master.pack(request)
    assert asked == bytes.fromhex("00 01 00 00 00 06 FF 03 00 04 00 01")
    assert slave.unpack(asked) == request
    assert master.unpack(slave.pack(reply)) == reply


@pytest.mark.parametrize("kind", ["ascii", "tcp"])
@given(frames=st.lists(FRAMES, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_any_cut_of_the_stream_gives_the_same_frames(kind: str, frames: list[bytes], cuts: list[int]) -> None:
    near: Framing = Ascii() if kind == "ascii" else Mbap(asks=True)
    far: Framing = Ascii() if kind == "ascii" else Mbap(asks=False)
    stream = b"".join(near.pack(frame) for frame in frames)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    assert b"".join(far.unpack(stream[a:b]) for a, b in pairwise(places)) == b"".join(frames)


@given(frame=FRAMES, data=st.data())
def test_no_single_bit_flip_of_a_line_passes(frame: bytes, data: st.DataObject) -> None:
    line = bytearray(Ascii().pack(frame))
    place = data.draw(st.integers(0, len(line) - 3))
    line[place] ^= 1 << data.draw(st.integers(0, 7))
    assume(line[place] != ord(":"))  # begins a new line by the standard, whose sum may fit by chance
    found = Ascii().unpack(bytes(line))
    # lower-case digits mean the same; anything else is no frame and comes as the text that it is
    assert found == frame or found in bytes(line)


def test_a_late_answer_is_dropped_by_its_transaction() -> None:
    master, slave = Mbap(asks=True), Mbap(asks=False)
    first, second = seal(b"\x01\x03\x00\x00\x00\x01"), seal(b"\x01\x03\x00\x01\x00\x01")
    old, new = seal(b"\x01\x03\x02\x00\x07"), seal(b"\x01\x03\x02\x00\x08")
    slave.unpack(master.pack(first))
    late = slave.pack(old)
    slave.unpack(master.pack(second))
    assert master.unpack(late) == b""
    assert master.late == 1
    assert master.unpack(slave.pack(new)) == new


@pytest.mark.parametrize("header", ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 00FF 01", "4745 5420 2F20 48"])
def test_a_header_that_is_none_ends_the_connection(header: str) -> None:
    with pytest.raises(ProtocolViolation, match="no Modbus TCP header"):
        Mbap(asks=True).unpack(bytes.fromhex(header))


@given(st.lists(BYTES, max_size=20))
def test_foreign_bytes_neither_raise_nor_pile_up_in_lines(chunks: list[bytes]) -> None:
    line = Ascii()
    for chunk in chunks:
        line.unpack(chunk)
        assert len(line.waiting) <= LONGEST_LINE


@given(st.lists(BYTES, max_size=20))
def test_foreign_bytes_end_a_connection_or_wait_in_bounds(chunks: list[bytes]) -> None:
    mbap = Mbap(asks=True)
    for chunk in chunks:
        try:
            mbap.unpack(chunk)
        except ProtocolViolation:
            return
        assert len(mbap.waiting) <= 260
