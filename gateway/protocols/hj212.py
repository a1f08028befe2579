"""HJ 212 packets on the wire: `##`, length, data segment, check, CR LF, found in a stream and made for one.

Pure codec below `gateway.protocols.hj212_packet` (what a segment says); used by the driver and by simulated devices.
Keeps house rule 2 and section 11: one bad byte never costs the good packets beside it. Follows HJ 212-2017 section
6.3 and appendix A; HJ/T 212-2005 and what is known of the edition of 2025 have the same packets.

The check is weaker than it looks. Its register loses its low half before every byte, so eight bits of state are left,
and eight steps undo themselves: every change of one byte is seen, but the same change made twice at a distance of 8,
16, 24 … bytes is not, nor are two bytes that changed places at such a distance. So numbers and codes are checked
behind it as well.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from gateway.protocols.modbus_line import crc16

HEAD = b"##"
END = b"&&"  # of every data segment
LONGEST = 9999  # bytes of a segment: four digits; the standard's 1024 is exceeded in the field
KEPT = 1024  # bytes of what was refused that are kept as evidence

_BEGIN = re.compile(rb"##(?:\d{4}|\d{0,3}\Z)|#\Z")  # of a packet, or of what may become one
_SIZE = 4  # digits of the length, and of the check
_FRONT = len(HEAD) + _SIZE
_HEX = re.compile(rb"[0-9A-Fa-f]{4}")
_SHORT = re.compile(rb"([0-9A-Fa-f]{1,3})[\r\n]")
_FOLD = 8  # after so many bytes the check is back at its beginning


class Check(StrEnum):
    """What the four characters behind a segment are. Only `HJ212` is the standard's."""

    HJ212 = "hj212"
    SHORT = "short"  # the same, leading zeros lost
    SWAPPED = "swapped"  # the same, low byte first
    MODBUS = "modbus"  # CRC-16/MODBUS, high byte first
    MODBUS_LOW = "modbus_low"  # CRC-16/MODBUS, low byte first: seen in the field


class Refusal(StrEnum):
    """Why bytes are no packet."""

    NOISE = "noise"  # between packets
    LENGTH = "length"  # the segment does not end with && where the length says
    CRC = "crc"  # no check fits
    CUT = "cut"  # the rest never came


class Frame(msgspec.Struct, frozen=True):
    """A whole packet: its data segment, which check fitted, and its bytes without CR LF."""

    segment: bytes
    check: Check
    raw: bytes


class Garbage(msgspec.Struct, frozen=True):
    """Bytes that are no packet: at most the first `KEPT` of `size`."""

    reason: Refusal
    data: bytes
    size: int


class Frames:
    """Finds packets in a stream. Never keeps more than one packet of `LONGEST` bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._told = 0  # bytes at the front that were reported already

    @property
    def pending(self) -> bool:
        """Whether a packet has begun and is not whole."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame | Garbage]:
        """Return what has become whole, and what is refused, in the order of the stream."""
        self._buffer += data
        return self._scan(0)

    def drop(self) -> list[Frame | Garbage]:
        """Give up the packet that waits for its rest; return what was hidden behind its wrong length."""
        if not self._buffer:
            return []
        found: list[Frame | Garbage] = []
        if not self._told:
            found.append(_garbage(Refusal.CUT, self._buffer))
            self._told = len(self._buffer)
        return found + self._scan(1)

    def _scan(self, at: int) -> list[Frame | Garbage]:
        """Read from `at` on; every byte before it is done with."""
        buffer, found = self._buffer, list[Frame | Garbage]()
        quiet = at  # from here on nothing is reported yet
        while True:
            begin = _BEGIN.search(buffer, at)
            start = begin.start() if begin else len(buffer)
            digits = bytes(buffer[start + 2 : start + _FRONT])
            end = start + _FRONT + int(digits) if len(digits) == _SIZE else len(buffer)
            if end + _SIZE > len(buffer) and not _SHORT.match(buffer, end):
                break
            self._noise(found, quiet, start)
            quiet = start
            frame = _frame(buffer, start, end)
            if isinstance(frame, Frame):
                found.append(frame)
                at = quiet = start + len(frame.raw)
                self._told = max(self._told, at)
                continue
            if start >= self._told:  # else it lies inside what was refused before
                found.append(_garbage(frame, buffer[start : end + _SIZE]))
                self._told = min(end + _SIZE, len(buffer))
            at = start + 1
        self._noise(found, quiet, start)
        del buffer[:start]
        self._told = max(0, self._told - start)
        return found

    def _noise(self, found: list[Frame | Garbage], start: int, end: int) -> None:
        data = self._buffer[max(start, self._told) : end].strip(b"\r\n")
        if data:
            found.append(_garbage(Refusal.NOISE, data))


def encode_frame(segment: bytes, check: Check = Check.HJ212) -> bytes:
    """Return the packet of a segment. Raises ValueError when it is longer than four digits can say."""
    if len(segment) > LONGEST:
        raise ValueError(f"a segment of {len(segment)} bytes; at most {LONGEST}")
    return b"##%04d%s%s\r\n" % (len(segment), segment, _written(segment, check))


def crc(segment: bytes) -> int:
    """Return the check of appendix A.

    The register starts at FFFF; for each byte its high half is XORed with the byte, the low half is thrown away, and
    the sum goes through eight steps of the polynomial A001. What a byte does to the register comes back to itself
    after eight bytes, so the segment is first folded to eight: as exact as the loop of the standard, and far quicker.
    """
    if not segment:
        return 0xFFFF
    number = int.from_bytes(segment, "big") ^ 0xFF << 8 * (len(segment) - 1)
    size = _FOLD
    while size < len(segment):
        size *= 2
    while size > _FOLD:
        size //= 2
        number = (number >> 8 * size) ^ (number & (1 << 8 * size) - 1)
    register = 0
    for byte in number.to_bytes(_FOLD, "big"):
        register = _CRC_TABLE[register >> 8 ^ byte]
    return register


def _frame(buffer: bytearray, start: int, end: int) -> Frame | Refusal:
    """Judge the packet whose segment ends at `end`; its four check characters are there."""
    if not buffer.endswith(END, start + _FRONT, end):
        return Refusal.LENGTH
    segment, told = bytes(buffer[start + _FRONT : end]), bytes(buffer[end : end + _SIZE])
    right = crc(segment)
    if _HEX.fullmatch(told):
        number = int(told, 16)
        if number == right:
            return Frame(segment, Check.HJ212, bytes(buffer[start : end + _SIZE]))
        if (check := _other(segment, number, right)) is not None:
            return Frame(segment, check, bytes(buffer[start : end + _SIZE]))
    elif (short := _SHORT.match(told)) and int(short[1], 16) == right:
        return Frame(segment, Check.SHORT, bytes(buffer[start : end + len(short[1])]))
    return Refusal.CRC


def _other(segment: bytes, number: int, right: int) -> Check | None:
    """Return which of the checks met in the field it is, if any."""
    if HEAD in segment:  # never in a right one; and a stream full of heads must not cost a CRC for each
        return None
    modbus = crc16(segment)
    others = {_swap(right): Check.SWAPPED, modbus: Check.MODBUS, _swap(modbus): Check.MODBUS_LOW}
    return others.get(number)


def _garbage(reason: Refusal, data: bytearray) -> Garbage:
    return Garbage(reason, bytes(data[:KEPT]), len(data))


def _swap(number: int) -> int:
    return number >> 8 | (number & 0xFF) << 8


def _written(segment: bytes, check: Check) -> bytes:
    number = crc16(segment) if check in (Check.MODBUS, Check.MODBUS_LOW) else crc(segment)
    if check in (Check.SWAPPED, Check.MODBUS_LOW):
        number = _swap(number)
    return b"%X" % number if check is Check.SHORT else b"%04X" % number


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        register = value
        for _ in range(8):
            register = register >> 1 ^ (0xA001 if register & 1 else 0)
        table.append(register)
    return tuple(table)


_CRC_TABLE = _crc_table()
