"""Modbus in its other clothes: ASCII lines and MBAP (Modbus TCP), turned into RTU frames and back.

Pure, beside `gateway.protocols.modbus`, whose requests and matchers know RTU only: what passes a framing's own check
(LRC, transaction, length) leaves it as the RTU frame of the same content, so that everything above is one. Follows
"MODBUS over Serial Line V1.02" section 2.5.2 (ASCII) and "MODBUS Messaging on TCP/IP Implementation Guide V1.0b"
section 3.1.3 (MBAP).
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Protocol

from gateway.errors import ProtocolViolation
from gateway.protocols.modbus_line import seal

LONGEST_LINE = 513  # characters from colon to line feed, section 2.5.2.1
LONGEST_PDU = 253
_MBAP = struct.Struct(">HHHB")  # transaction, protocol (0), length of what follows it, unit
_OPEN = 64  # requests a slave may owe an answer to


class Framing(Protocol):
    """One direction each: RTU frames that go out, bytes that came in. One object a connection."""

    late: int  # answers to requests that were given up
    waiting: bytes  # begins a frame that is not whole

    def pack(self, frame: bytes) -> bytes:
        """Return what an RTU frame looks like on this wire."""

    def unpack(self, data: bytes) -> bytes:
        """Return the RTU frames completed by some bytes, one behind the other; unfit ones come as the bytes they are.

        Raises:
            ProtocolViolation: the stream cannot be read any further.
        """


class Ascii:
    """`:` address function data LRC CR LF, each byte as two hexadecimal digits."""

    def __init__(self) -> None:
        self.late = 0
        self.waiting = b""

    def pack(self, frame: bytes) -> bytes:
        """Return the line."""
        body = frame[:-2]
        return b":" + (body + bytes((lrc(body),))).hex().upper().encode() + b"\r\n"

    def unpack(self, data: bytes) -> bytes:
        """Return frames; a colon begins a new one wherever it stands."""
        *lines, rest = (self.waiting + data).split(b"\n")
        begin = rest.rfind(b":")
        self.waiting = rest[begin:] if begin >= 0 and len(rest) - begin <= LONGEST_LINE else b""
        lost = rest[: len(rest) - len(self.waiting)]
        return b"".join(_line(line) for line in lines) + lost


class Mbap:
    """The seven bytes in front of a PDU; at the master's end (`asks`) an answer must carry the newest transaction.

    `after` is the framing of the former connection: transactions go on counting, so that what a gateway says late on
    the next connection is told apart too. `number` is the transaction of the newest question.
    """

    def __init__(self, *, asks: bool, after: Mbap | None = None) -> None:
        self.late = 0
        self._asks = asks
        self.number: int = 0 if after is None else after.number
        self._owed: deque[tuple[int, int]] = deque(maxlen=_OPEN)  # unit, transaction
        self.waiting = b""

    def pack(self, frame: bytes) -> bytes:
        """Return the frame under the next transaction, or under the one it answers."""
        unit, pdu = frame[0], frame[1:-2]
        if self._asks:
            self.number = self.number % 0xFFFF + 1
            number = self.number
        else:
            place = next((place for place, one in enumerate(self._owed) if one[0] == unit), None)
            number = 0 if place is None else self._owed[place][1]
            if place is not None:
                del self._owed[place]
        return _MBAP.pack(number, 0, len(pdu) + 1, unit) + pdu

    def unpack(self, data: bytes) -> bytes:
        """Return frames. A header that is none leaves no way to find the next one: ProtocolViolation.

        What was whole before it is not told then: it may be half an answer with the next one's head for its end.
        """
        self.waiting += data
        found = b""
        while len(self.waiting) >= _MBAP.size:
            number, protocol, length, unit = _MBAP.unpack_from(self.waiting)
            if protocol or not 2 <= length <= LONGEST_PDU + 1:
                raise ProtocolViolation(f"no Modbus TCP header: {self.waiting[:7].hex(' ')}")
            end = _MBAP.size - 1 + length
            if len(self.waiting) < end:
                break
            pdu, self.waiting = self.waiting[_MBAP.size : end], self.waiting[end:]
            if self._asks and number != self.number:
                self.late += 1
                continue
            self._owed.append((unit, number))
            found += seal(bytes((unit,)) + pdu)
        return found


def lrc(body: bytes) -> int:
    """Return the checksum of ASCII mode: two's complement of the sum (section 2.5.2.2)."""
    return -sum(body) & 0xFF


def _line(line: bytes) -> bytes:
    """Return the RTU frame of a line, or the line itself where it is none."""
    before, colon, digits = line.rpartition(b":")
    try:
        body = bytes.fromhex(digits.strip().decode("ascii"))
    except ValueError:
        return line
    if not colon or len(body) < 3 or sum(body) & 0xFF:
        return line
    return before.strip() + seal(body[:-1])
