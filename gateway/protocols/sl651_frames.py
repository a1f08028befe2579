"""SL 651-2014 frames out of a stream of bytes: hunted for, cut by their length, checked by their CRC.

Pure, between a wire and `gateway.protocols.sl651_body`; keeps house section 11: bytes that are no frame are handed on
with a closed reason, and never cost the good frame beside them. What waits for its end is one frame at most (4 124
bytes), and `drop` gives it up when its time is over: what stood inside it is then looked through.
"""

from __future__ import annotations

import re
from functools import partial

import msgspec

from gateway.protocols.modbus_line import Sums
from gateway.protocols.sl651 import HEX_START, Coding, Frame, Refusal, decode, size_at

_STRAY = HEX_START[:1]  # one more 7E behind a CRC: some makers send it, and it means nothing
_STARTS = {  # 7E7E, or its first half at the end; not where nothing but starts follows, since no head looks like that
    Coding.HEX: re.compile(rb"~~(?!~{12})|~\Z"),
    Coding.ASCII: re.compile(rb"\x01(?!\x01)"),
    None: re.compile(rb"~~(?!~{12})|~\Z|\x01(?!\x01)"),
}
# Of several candidates in what is refused, the reason of the one that came furthest.
_TELLING = (Refusal.CRC, Refusal.END_MARK, Refusal.CUT_SHORT, Refusal.START_MARK, Refusal.HEADER)


class Garbage(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are no frame, and why the first of them is none."""

    reason: Refusal
    data: bytes


class Frames:
    """The splitter of one link. `coding` None: both are looked for."""

    def __init__(self, coding: Coding | None = None) -> None:
        self._start = _STARTS[coding]
        self._buffer = bytearray()
        self._sums: Sums | None = None  # of the buffer, once frames seem to begin inside one another
        self._after_frame = False  # nothing but a frame's last byte stands before the buffer

    @property
    def pending(self) -> bool:
        """Whether bytes wait for the rest of their frame."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame | Garbage]:
        """Add bytes; return what they complete, in order."""
        self._buffer += data
        return self._scan(0, set())

    def drop(self) -> list[Frame | Garbage]:
        """Give up the frame that waits; return what stood inside it."""
        return self._scan(1, {Refusal.CUT_SHORT}) if self._buffer else []

    def _scan(self, at: int, refused: set[Refusal]) -> list[Frame | Garbage]:
        """Look through the buffer from `at` on; `refused`: why what stands before is no frame."""
        found: list[Frame | Garbage] = []
        data = self._buffer
        clean = 0  # what stands before has been handed on
        sums = None if self._sums is None else self._sums.followed(0, bytes(data))
        while True:
            start = self._start.search(data, at)
            place = len(data) if start is None else start.start()
            size = size_at(data, place) if start else 0
            if isinstance(size, Refusal):
                refused.add(size)
                at = place + 1
                continue
            if not size or place + size > len(data):
                break
            raw = bytes(data[place : place + size])
            frame = decode(raw) if sums is None else decode(raw, partial(sums.leading, place))
            if isinstance(frame, Refusal):
                refused.add(frame)
                if frame is Refusal.CRC and sums is None:  # frames may seem to begin at every byte of it
                    sums = Sums(bytes(data))
                at = place + 1
                continue
            self._refuse(found, bytes(data[clean:place]), refused)
            found.append(frame)
            self._after_frame = True
            at = clean = place + size
        self._refuse(found, bytes(data[clean:place]), refused)
        del data[:place]
        self._sums = sums.followed(place, b"") if sums is not None and data else None
        return found

    def _refuse(self, found: list[Frame | Garbage], data: bytes, refused: set[Refusal]) -> None:
        if data and not (self._after_frame and data == _STRAY):
            found.append(Garbage(next((reason for reason in _TELLING if reason in refused), Refusal.NOISE), data))
        if data:
            self._after_frame = False
        refused.clear()
