"""Streams of every dialect of fire panels: cut anywhere, spoilt, foreign, endless, made to cost time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._panel_device import dialect_of, dialects
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
        b"\xfe\xff\x64" + (2044).to_bytes(2, "little"),  # each ends in an FF of another
        b"\xfe\x01\x6e" + (2 + 32 * 61).to_bytes(2, "little") + (61).to_bytes(2, "little") + b"\x00\xff",
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
        self._seen: dict[int, Stretch] = {}
        self._read = dialect.read
        self._stream = Stream(self._judge, dialect.BEGIN)
        self._longest = dialect.LONGEST

    @property
    def summed(self) -> int:
        """Bytes that running sums went through."""
        return sum(len(data.sums) for data in self._seen.values() if "sums" in vars(data))

    def _judge(self, data: Stretch, at: int) -> Reading:
        self.judged += 1
        self._seen[id(data)] = data
        return self._read(data, at)

    def feed(self, data: bytes) -> None:
        """Feed in pieces; what is kept and told stays bounded."""
        for at in range(0, len(data), 4096):
            for one in self._stream.feed(data[at : at + 4096]):
                assert isinstance(one, Heard) or len(one.data) <= KEPT
        given_up = self._stream.drop()
        assert sum(len(one.frame) if isinstance(one, Heard) else one.size for one in given_up) <= self._longest


@pytest.mark.parametrize("name", dialects())
def test_a_stream_without_an_end_keeps_no_memory_and_costs_no_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = FRAMES[name](1, 2)[0]
    monkeypatch.setattr(jb3208, "crc16", None)  # not over and over
    for pattern in (begin[:-1], begin[:4], *NESTED[name], b"\x00"):
        one, data = Watched(name), pattern * (SIZE // len(pattern))
        one.feed(data)
        assert one.judged <= len(data) / 2 + 8, pattern
        assert one.summed <= 2 * len(data), pattern


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
