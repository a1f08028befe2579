"""What a fuzz target is, and what holds for whatever any decoder says.

A target is a function of bytes that returns nothing and raises only when a promise is broken. `tests/fuzz/decoders.py`
has the table of all; `test_decoders.py` feeds them mutants, `one.py` lets coverage look for inputs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.model.batch import make_batch
from gateway.model.ports import Decoded

CASES = Path(__file__).parent.parent / "cases"
SEPARATOR = b"\xff\x00\xff"  # between the messages of one input
_LONGEST_REASON = 120  # problems become names of counters
_LONGEST_TOPIC = 65_535


def nothing() -> None:
    """Begin anew where there is nothing to begin."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """`feed` takes any bytes; `seeds` are real inputs.

    Attributes:
        sealed: mutants also get a right CRC of Modbus.
        renew: forgets what former inputs left behind in the decoder, so that a failure can be had again.
        covers: modules of `gateway.protocols`, drivers and dialects (registry names) that it feeds.
        cost: how many usual ones one input takes: so many fewer are fed in `make test`.
        in_pieces: checks that cuts do not matter, where `feed` does not.
    """

    feed: Callable[[bytes], None]
    seeds: Sequence[bytes]
    sealed: bool = False
    renew: Callable[[], None] = nothing
    covers: Sequence[str] = ()
    in_pieces: Callable[[Sequence[bytes]], None] | None = None
    cost: int = 1


def cases(name: str, table: str = "case") -> list[dict[str, Any]]:
    """Return the golden cases of a file."""
    found: list[dict[str, Any]] = tomllib.loads((CASES / name).read_text(encoding="utf-8"))[table]
    return found


def halves(data: bytes) -> tuple[bytes, bytes]:
    """Cut anywhere: the place is drawn from the bytes themselves, so that a failure stays one input."""
    place = sum(data[:4]) % (len(data) + 1)
    return data[:place], data[place:]


def pieces(data: bytes, drawn: bytes) -> Iterator[bytes]:
    """Cut into pieces of 1 to 61 bytes, or one by one; `drawn` says where."""
    number = sum(drawn[:8]) + len(drawn)
    place = 0
    while place < len(data):
        number = (number * 73 + 41) % 251
        size = 1 if number % 4 == 0 else number % 61 + 1
        yield data[place : place + size]
        place += size


def fits(decoded: Decoded) -> None:
    """Rows and events fit the arrays of a batch, texts can be stored, reasons be counted, replies be published."""
    if decoded.rows or decoded.events or decoded.heard:
        make_batch("b", 1, decoded.rows, events=decoded.events, heard=decoded.heard)
    for event in decoded.events:
        assert (event.key + event.text).encode() is not None
        assert isinstance(event.raw, bytes)
        assert 0 <= event.time < 1 << 63
    for reason in decoded.problems:
        assert 0 < len(reason.encode()) <= _LONGEST_REASON
    for topic, payload, *_ in decoded.replies:
        assert 0 < len(topic.encode()) <= _LONGEST_TOPIC
        assert not set(topic) & set("+#\0")
        assert isinstance(payload, bytes)
