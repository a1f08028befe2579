"""Streams of every dialect of fire panels: cut anywhere, spoilt, foreign, endless, made to cost time."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._panel_device import dialect_of, dialects
from gateway.protocols.modbus_line import Sums
from gateway.protocols.modbus_line import crc16 as crc16_of
from gateway.protocols.panel_words import KEPT, Heard, Reading, Stream, Stretch
from gateway.protocols.panels import jb3208, jbf193k
from tests.drivers.panel_frames import FRAMES, SHORT, events, stream

byte = st.integers(0, 255)
CHECKED = sorted(set(FRAMES) - {"ld128e", "gst9000_printer"})


def test_every_dialect_is_played() -> None:
    assert set(FRAMES) == set(dialects())


@pytest.mark.parametrize("name", dialects())
@given(st.lists(st.tuples(byte, byte), min_size=1, max_size=4), st.integers(1, 60))
@settings(max_examples=25)
def test_what_was_encoded_is_what_is_heard_however_it_is_cut(
    name: str, places: list[tuple[int, int]], cut: int
) -> None:
    made = [FRAMES[name](a, b) for a, b in places]
    wire = b"".join(frame for frame, _ in made)
    reader = stream(dialect_of(name))
    heard = [found for at in range(0, len(wire), cut) for found in reader.feed(wire[at : at + cut])]
    assert [found.frame for found in heard if isinstance(found, Heard)] == [frame for frame, _ in made]
    said = [(event.code, event.key) for found in heard if isinstance(found, Heard) for event in found.events]
    assert said == [event for _, expected in made for event in expected]
    assert not reader.pending


@pytest.mark.parametrize("name", CHECKED)
def test_every_single_bit_flip_is_refused(name: str) -> None:
    frame, expected = FRAMES[name](3, 17)
    for place in range(len(frame) * 8):
        spoilt = (int.from_bytes(frame, "little") ^ 1 << place).to_bytes(len(frame), "little")
        reader = stream(dialect_of(name))
        found = reader.feed(spoilt)
        while reader.pending:
            found += reader.drop()
        said = [(event.code, event.key) for one in found if isinstance(one, Heard) for event in one.events]
        if name == "gst_crt" and place < 8:
            assert said in ([], list(expected))  # FE for 0E says that it is sent again
            continue
        assert said == [], (place, said)


def test_the_date_of_a_frame_with_the_short_sum_is_not_protected() -> None:
    frame = bytearray(jbf193k.encode(jbf193k.FIRE, "1/2/3", 4, SHORT, short=True))
    frame[14] ^= 1  # the month's low half
    assert [event.date[1] for event in events("jbf193k", bytes(frame))] == [3]


@pytest.mark.parametrize("name", dialects())
def test_no_good_frame_is_lost_behind_a_bad_one(name: str) -> None:
    frame, expected = FRAMES[name](3, 17)
    for bad in [frame[:size] for size in range(len(frame))] + [b"\xff\x00\xaa", frame[1:], frame[:-1] + b"\x00"]:
        reader = stream(dialect_of(name))
        found = reader.feed(bad)
        while reader.pending:
            found += reader.drop()  # panels pause between frames
        found += reader.feed(frame)
        while reader.pending:
            found += reader.drop()
        said = [(event.code, event.key) for one in found if isinstance(one, Heard) for event in one.events]
        assert said[-len(expected) :] == list(expected), bad


@pytest.mark.parametrize("name", sorted(set(dialects()) - {"ld128e"}))  # whose two bytes too many are an address
def test_a_byte_that_looks_like_a_beginning_costs_nothing(name: str) -> None:
    frame, expected = FRAMES[name](3, 17)
    for number in range(1, 4):
        reader = stream(dialect_of(name))
        found = reader.feed(frame[:1] * number + frame)
        while reader.pending:
            found += reader.drop()
        said = [(event.code, event.key) for one in found if isinstance(one, Heard) for event in one.events]
        assert said == list(expected)


@pytest.mark.parametrize("name", dialects())
@given(data=st.lists(st.binary(max_size=80), max_size=5))
@settings(max_examples=25)
def test_foreign_bytes_never_raise_and_none_is_lost_from_the_count(name: str, data: list[bytes]) -> None:
    reader, begin = stream(dialect_of(name)), FRAMES[name](1, 2)[0]
    found, fed = [], 0
    for piece in data:
        for bytes_ in (piece, begin[:3] + piece):
            found += reader.feed(bytes_)
            fed += len(bytes_)
    while reader.pending:
        found += reader.drop()
    assert sum(len(one.frame) if isinstance(one, Heard) else one.size for one in found) == fed


# -- what bytes cost that were made to cost time

SIZE = 16_384
# Heads of long frames, one inside another, with the marks that let each be taken for one as long as possible.
NESTED = {
    "fs5101w": [b"\xf0\xf0\x40\xa5", b"\xf0\x01\x05\xa5"],
    "gst5000": [b"\xaa\x15", b"\xaa\x00\x00\x00\x00\x00\xaa"],
    "gst9000_printer": [b"\x1b6", b"\x1b6\n", b"\x1b608/12  17:24" + b"\x1b" * 380],
    "gst_crt": [b"\x0d\xdd", b"\x0d\xdd\xbb", b"\xcb"],
    "jb3208": [
        b"\xfe\xff\x64" + (8159).to_bytes(2, "little"),  # each ends in an FF of another
        b"\xfe\x01\x6e" + (2 + 32 * 250).to_bytes(2, "little") + (250).to_bytes(2, "little") + b"\x00\xff",
    ],
    "jbf11sf": [b"\xff\xff\xff\x0a", b"\xff\xff\xff\x80"],
    "jbf193k": [b"\x82" + b"0" * 24, b"\x82" + b"1" * 24 + b"\x83"],
    "ld128e": [b"\x01\x00", b"\x30\x80"],
}


class Watched:
    """A dialect's splitter that counts the candidates that it judges."""

    def __init__(self, name: str) -> None:
        dialect = dialect_of(name)
        self.judged = 0
        self._read = dialect.read
        self._stream = Stream(self._judge, dialect.BEGIN)
        self._longest = dialect.LONGEST

    def _judge(self, data: Stretch, at: int) -> Reading:
        self.judged += 1
        return self._read(data, at)

    def feed(self, data: bytes, size: int = 4096) -> None:
        """Feed in pieces; what is kept and told stays bounded."""
        for at in range(0, len(data), size):
            for one in self._stream.feed(data[at : at + size]):
                assert isinstance(one, Heard) or len(one.data) <= KEPT
        given_up = self._stream.drop()
        assert sum(len(one.frame) if isinstance(one, Heard) else one.size for one in given_up) <= self._longest


@pytest.fixture
def summed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the bytes that are summed up."""
    counted: Counter[str] = Counter()
    sum_up = Sums.crc16

    def crc16(sums: Sums, start: int, end: int) -> int:
        before = len(sums)
        crc = sum_up(sums, start, end)
        counted["bytes"] += len(sums) - before
        return crc

    def alone(data: bytes) -> int:
        counted["bytes"] += len(data)
        return crc16_of(data)

    monkeypatch.setattr(Sums, "crc16", crc16)
    monkeypatch.setattr(jb3208, "crc16", alone)
    return counted


@pytest.mark.parametrize("name", dialects())
def test_a_stream_without_an_end_keeps_no_memory_and_costs_no_time(name: str, summed: Counter[str]) -> None:
    begin = FRAMES[name](1, 2)[0]
    for pattern in (begin[:-1], begin[:4], *NESTED[name], b"\x00"):
        one, data = Watched(name), pattern * (SIZE // len(pattern))
        summed.clear()
        one.feed(data)
        assert one.judged <= len(data) / 2 + 8, pattern
        assert summed["bytes"] <= len(data), pattern


@pytest.mark.parametrize("size", [1, 16, 300])
def test_small_pieces_are_not_summed_up_again_and_again(size: int, summed: Counter[str]) -> None:
    for pattern in NESTED["jb3208"]:
        data = pattern * (5 * SIZE // 8 // len(pattern))  # more than one frame may have
        summed.clear()
        Watched("jb3208").feed(data, size)
        assert len(data) / 4 < summed["bytes"] <= len(data)


@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 60)), max_size=5))
def test_sums_go_on_where_bytes_follow(parts: list[tuple[bytes, int]]) -> None:
    stretch = Stretch()
    for data, start in parts:
        stretch = stretch.followed(min(start, len(stretch)), data)
        middle = len(stretch) // 2
        assert stretch.sums.crc16(middle // 2, middle) == crc16_of(stretch[middle // 2 : middle])
    assert stretch.sums.crc16(0, len(stretch)) == crc16_of(stretch)


@pytest.mark.parametrize("name", sorted(set(dialects()) - {"ld128e"}))  # of which three such bytes are an event
def test_a_run_of_first_bytes_is_passed_over(name: str) -> None:
    one = Watched(name)
    one.feed(FRAMES[name](1, 2)[0][:1] * SIZE)
    assert one.judged <= 8 * SIZE / 4096


def test_noise_is_hardly_looked_at() -> None:
    noise = random.Random(7).randbytes(SIZE)  # noqa: S311 - nothing secret
    for name in sorted(set(dialects()) - {"ld128e"}):
        one = Watched(name)
        one.feed(noise)
        assert one.judged <= SIZE / 100, name
