"""Streams that never become a frame, and senders that are never the same: what is kept is bounded, and what it costs.

Beside `test_decoders.py`, whose inputs are short. Limits of time are ten times what is usual: only growth that is worse
than the stream's length breaks them.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols import hj212
from gateway.protocols.gb26875 import Command, Frame, encode_frame
from gateway.protocols.modbus_line import Sums, crc16
from gateway.protocols.sl651 import ETX
from gateway.protocols.sl651 import Frame as Sl651Frame
from gateway.protocols.sl651 import encode as encode_sl651
from tests.fuzz.decoders import DECODERS
from tests.fuzz.streams import SPLITTERS, Splitter, held

CHUNK = 4_096
MEBIBYTE = 1 << 20
WITHIN = 10.0  # s of processor time
SENDERS = 1_300  # more than any cache holds
GROWN = 300  # objects that 600 more may leave behind

# Heads of long frames, so made that each would-be frame inside another has to be summed up.
NESTED = {
    "sl651 hex": bytes.fromhex("7e7e0103030303030303030fee02"),
    "sl651 auto": bytes.fromhex("7e7e0103030303030303030fee02"),
    "sl651 ascii": b"\x01" + b"0" * 18 + b"0FE0\x02" + b"\x03" * 4,
    "gb26875": b"@@" + b"#" * 22 + (1024).to_bytes(2, "little") + b"\x02" + b"#" * 4,
    "hj212": b"##0400&&&&",
}


def endless(name: str, splitter: Splitter) -> Iterator[bytes]:
    """Yield streams that are no frames."""
    good = splitter.good
    half = good[: max(4, len(good) // 2)]
    yield bytes(MEBIBYTE)
    yield half * (MEBIBYTE // 16 // len(half))
    yield random.Random(7).randbytes(MEBIBYTE // 8)  # noqa: S311 - nothing secret
    yield good[:1] * (MEBIBYTE // 16)  # a frame may begin at each byte
    if name in NESTED:
        yield NESTED[name] * (MEBIBYTE // 8 // len(NESTED[name]))


@pytest.mark.parametrize("name", SPLITTERS)
def test_a_mebibyte_without_a_frame_is_not_kept_and_costs_little(name: str) -> None:
    splitter = SPLITTERS[name]
    for stream in endless(name, splitter):
        one, begun = splitter.make(), time.process_time()
        for at in range(0, len(stream), CHUNK):
            one.feed(stream[at : at + CHUNK])
            assert held(one) <= splitter.limit
        while one.pending:
            one.drop()
        assert time.process_time() - begun < WITHIN
        assert splitter.good in [splitter.whole(found) for found in one.feed(splitter.good)]


def _gb26875(number: int) -> bytes:
    unit = bytes((2, 1, 1, number & 0xFF)) + bytes(40)
    return encode_frame(Frame(serial=number, command=Command.SEND, source=1000 + number, unit=unit))


def _hj212(number: int) -> bytes:
    split = b"Flag=9;PNUM=3;PNO=1;" if number % 2 else b""
    return hj212.encode_frame(b"QN=%017d;ST=22;CN=2072;MN=%d;%sCP=&&AlarmTime=%d&&" % (number, number, split, number))


def _sl651(number: int) -> bytes:
    body = number.to_bytes(2, "big") * 200
    return encode_sl651(
        Sl651Frame(function=0x36, body=body, end=ETX, station=f"{number:010}", total=3, sequence=1 + number % 2)
    )


@pytest.mark.parametrize(
    ("name", "frame"), [("gb26875 talk", _gb26875), ("hj212 talk", _hj212), ("sl651 talk", _sl651)]
)
def test_senders_that_are_never_the_same_leave_nothing_behind(name: str, frame: Callable[[int], bytes]) -> None:
    decoder = DECODERS[name]
    decoder.renew()
    held_after = []
    for number in range(SENDERS + 600):
        decoder.feed(b"\0" + frame(number))
        if number in (SENDERS, SENDERS + 599):
            gc.collect()
            held_after.append(sys.getallocatedblocks())
    assert held_after[1] - held_after[0] < GROWN


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 300))
def test_sums_of_stretches_are_their_crcs(data: bytes, one: int, other: int) -> None:
    start, end = sorted((min(one, len(data)), min(other, len(data))))
    sums = Sums(data)
    assert sums.crc16(start, end) == crc16(data[start:end])
    assert sums.crc16(0, len(data)) == crc16(data)
