"""What a fire panel's serial output says, whatever its dialect, and the stream that the dialects are read from.

Pure, below the dialects in `gateway.protocols.panels` (one file each) and `drivers.panel_serial`. There is no common
wire format: GB 4717 names none, so every dialect is what makers' documents and captures show. Keeps house section 11:
foreign bytes never raise, and one bad byte never costs the good frames beside it.

A dialect is a module with

    SETTINGS: Settings                    # of the line, and of the manners
    BEGIN: re.Pattern[bytes]              # where something may begin; looks ahead as far as costs nothing
    LONGEST: int                          # bytes of its longest frame
    def read(data: Stretch, at: int) -> Reading    # judge what begins at data[at]
    def encode(…) -> bytes                # the other direction, for simulated panels

Bytes made for it begin a would-be frame at each of them, one inside another: so `BEGIN` passes over runs of its own
first byte, and what has to be summed up over long stretches is summed up once for all of them (`Stretch.sums`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from gateway.model.batch import EventCode
from gateway.protocols.modbus_line import Sums

KEPT = 256  # bytes of what was refused that are kept as evidence
_PIECE = 16_384  # bytes that are looked through at once, so that running sums stay small


class Refusal(StrEnum):
    """Why bytes are no frame."""

    NOISE = "noise"
    CHECKSUM = "checksum"
    LENGTH = "length"
    CUT = "cut"  # the rest never came


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The line as the maker delivers it, and who speaks when.

    Attributes:
        title: panel, in Chinese and Latin letters.
        baudrate: and `stopbits`, `parity`: of the line; 8 data bits.
        poll: what a host sends to be told news; b"" where it only listens or is itself polled.
        taken: what a host sends when it has taken the answer to a poll. Where this is said, a poll begins with the
            panel's address, whose ninth bit is set (mark), and `poll` follows when the panel has echoed it.
        period: seconds between two polls.
        silent: whether the panel says nothing unless it is polled.
        limit: seconds in which it wants an answer, 0: none.
        quiet: seconds in which the rest of a frame comes, or never.
    """

    title: str
    baudrate: int
    stopbits: int = 1
    parity: str = "N"
    poll: bytes = b""
    taken: bytes = b""
    period: float = 1.0
    silent: bool = False
    limit: float = 0.0
    quiet: float = 1.0


class PanelEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a panel says.

    Attributes:
        number: the event as the dialect numbers it, by which an installation may say what it really means.
        code: what it means.
        key: where: `panel/loop/point` or the like; "" the whole panel.
        text: in words, with the place if the panel tells it.
        date: year, month, day, hour, minute, second of the panel's clock; () where it tells none.
        kind: type of the device, 0 if it is not told.
        ends: a RESTORE ends what was said with this code alone.
        by_type: the dialect told it by the type of the device alone: an installation may know better.
    """

    number: int
    code: EventCode
    key: str
    text: str = ""
    date: tuple[int, ...] = ()
    kind: int = 0
    ends: EventCode | None = None
    by_type: bool = False


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A whole frame. `same`: what a repeat of it has in common with it (b"": the frame itself).

    `answer` is what the panel waits for; it stands for having taken the events. `panel`: its number, None if not told.
    """

    frame: bytes
    events: tuple[PanelEvent, ...] = ()
    answer: bytes = b""
    panel: int | None = None
    same: bytes = b""
    unknown: bool = False  # a frame or event that no document explains: kept raw


class Refused(msgspec.Struct, frozen=True):
    """Bytes that are no frame: at most the first `KEPT` of `size`."""

    reason: Refusal
    data: bytes
    size: int


Reading = Heard | Refusal | None  # None: it may become a frame, more bytes are needed
Meaning = tuple[EventCode, str, EventCode | None]  # code, text, `ends`


class Stretch(bytes):
    """Some bytes of a stream."""

    _sums: Sums | None = None

    @property
    def sums(self) -> Sums:
        """Running sums, for CRC-16/MODBUS of parts that overlap."""
        if self._sums is None:
            self._sums = Sums(bytes(self))
        return self._sums

    def followed(self, start: int, data: bytes = b"") -> Stretch:
        """Return what stands from `start` on and `data` behind it, with the sums that were made."""
        stretch = Stretch(self[start:] + data)
        if self._sums is not None:
            stretch._sums = self._sums.followed(start, bytes(stretch))
        return stretch


class Stream:
    """Frames of a dialect out of a stream; keeps less than its longest frame.

    `passed`: bytes that were judged, so where the frame that waits for its rest begins.
    """

    def __init__(self, read: Callable[[Stretch, int], Reading], begin: re.Pattern[bytes]) -> None:
        self.passed = 0
        self._read = read
        self._begin = begin
        self._waiting = Stretch()

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._waiting)

    def feed(self, data: bytes) -> list[Heard | Refused]:
        """Return what has become whole, and what is refused, in the order of the stream."""
        found = list[Heard | Refused]()
        for place in range(0, len(data), _PIECE):
            found += self._scan(self._waiting.followed(0, data[place : place + _PIECE]), 0, Refusal.NOISE)
        return found

    def drop(self) -> list[Heard | Refused]:
        """Give up the frame that waits for its rest; return what was hidden behind it."""
        return self._scan(self._waiting, 1, Refusal.CUT) if self._waiting else []

    def _scan(self, data: Stretch, at: int, reason: Refusal) -> list[Heard | Refused]:
        search, read = self._begin.search, self._read
        found = list[Heard | Refused]()
        quiet = 0  # from here on nothing is reported yet
        while begin := search(data, at):
            at = begin.start()
            reading = read(data, at)
            if isinstance(reading, Refusal):
                reason = reading if reason is Refusal.NOISE else reason
                at += 1
            elif reading is None:
                break
            else:
                if quiet < at:
                    found.append(_refused(reason, data, quiet, at))
                found.append(reading)
                at += len(reading.frame)
                quiet, reason = at, Refusal.NOISE
        else:
            at = len(data)
        if quiet < at:
            found.append(_refused(reason, data, quiet, at))
        self._waiting = data.followed(at)
        self.passed += at
        return found


def _refused(reason: Refusal, data: bytes, start: int, end: int) -> Refused:
    return Refused(reason, data[start : min(end, start + KEPT)], end - start)


def total(data: bytes) -> int:
    """Return the sum of bytes, modulo 256."""
    return sum(data) & 0xFF


def decimal(byte: int) -> int:
    """Return the number that a BCD byte writes, -1 where a digit is above 9."""
    high, low = byte >> 4, byte & 0xF
    return high * 10 + low if high < 10 and low < 10 else -1


def bcd(number: int) -> int:
    """Return the BCD byte of 0 to 99."""
    return number // 10 << 4 | number % 10


def event_of(
    table: Mapping[int, Meaning],
    number: int,
    key: str,
    *,
    text: str = "",
    date: tuple[int, ...] = (),
    kind: int = 0,
    by_type: bool = False,
) -> PanelEvent:
    """Return an event by a dialect's table; a number that it has not is kept as INFO with its raw text."""
    code, word, ends = table.get(number, (EventCode.INFO, f"事件{number:02X}", None))
    if code is EventCode.RESET:
        key = ""
    # It goes into messages: no control characters; a full-width blank is a blank.
    said = "".join(mark if mark.isprintable() else " " * mark.isspace() for mark in f"{word} {text}").strip()
    return PanelEvent(number=number, code=code, key=key, text=said, date=date, kind=kind, ends=ends, by_type=by_type)
