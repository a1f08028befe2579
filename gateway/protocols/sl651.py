"""SL 651-2014 frames in both directions and both codings: header, length, marks, CRC. Nothing about what a body says.

Pure codec (house rule 2) below `gateway.protocols.sl651_frames` (streams) and `sl651_body` (contents). Follows SL
651-2014 section 6.2: HEX/BCD frames begin with 7E7E, ASCII frames with SOH; station and centre address change places
between up- and downlink, so the direction (top four bits before the length) is read first. The CRC (0xA001 reflected,
start 0xFFFF, over everything before it) is sent high byte first. There is no tail and no stuffing: the length rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import IntEnum, StrEnum
from functools import lru_cache

import msgspec

from gateway.protocols.modbus_line import crc16

STX, ETX, EOT, ENQ, ACK, NAK, SYN, ETB, ESC, SOH = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15, 0x16, 0x17, 0x1B, 0x01
HEX_START = b"\x7e\x7e"
UP_ENDS = frozenset({ETX, ETB})
DOWN_ENDS = frozenset({ENQ, ACK, NAK, EOT, ESC})
LONGEST_BODY = 0xFFF  # 12 bits, the packet numbers of a SYN frame among them
MOST_PACKETS = 0xFFF

_HEX_HEAD = 14  # up to and with the start mark
_HEX_EXTRA = 17  # bytes of a frame besides its length field's
_ASCII_HEAD = 24
_ASCII_EXTRA = 29
_HEX_CHARACTERS = re.compile(rb"[0-9A-Fa-f]*")
_STATION = re.compile(r"[0-9A-F]{10}")
_PASSWORD = re.compile(r"[0-9A-F]{4}")
_SOH, _STX, _SYN = (bytes((mark,)) for mark in (SOH, STX, SYN))


class Coding(StrEnum):
    """How frames are written; a link uses one (section 6.2.2)."""

    HEX = "hex"
    ASCII = "ascii"


class Function(IntEnum):
    """Function codes (table B.1). 00 to 2E, 3B to 3F and 52 to DF are reserved, E0 to FF the maker's own."""

    LINK = 0x2F
    TEST = 0x30
    UNIFORM = 0x31
    TIMED = 0x32
    EXTRA = 0x33
    HOUR = 0x34
    MANUAL = 0x35
    PICTURE = 0x36
    ASK_NOW = 0x37
    ASK_RANGE = 0x38
    ASK_MANUAL = 0x39
    ASK_ELEMENTS = 0x3A
    WRITE_BASIC = 0x40
    READ_BASIC = 0x41
    WRITE_RUN = 0x42
    READ_RUN = 0x43
    PUMPS = 0x44
    VERSION = 0x45
    STATE = 0x46
    CLEAR_STORAGE = 0x47
    FACTORY = 0x48
    PASSWORD = 0x49
    SET_CLOCK = 0x4A
    IC_CARD = 0x4B
    PUMP = 0x4C
    VALVE = 0x4D
    GATE = 0x4E
    QUOTA = 0x4F
    COUNTERS = 0x50
    READ_CLOCK = 0x51


REPORTS = frozenset(range(Function.TEST, Function.ASK_NOW))  # what a station sends by itself and wants confirmed


class Refusal(StrEnum):
    """Why bytes are no frame."""

    NOISE = "noise"  # no frame begins there
    HEADER = "header"  # direction, length or packet numbers that cannot be
    START_MARK = "start_mark"
    END_MARK = "end_mark"
    CRC = "crc"
    CUT_SHORT = "cut_short"  # its time or its datagram ended before it did


class Frame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One frame whose CRC is right.

    Attributes:
        coding: how it is written.
        down: from the centre to the station.
        centre: address of the centre, 0 to 255.
        station: its ten hexadecimal characters; the last four need not be decimal.
        password: four hexadecimal characters.
        function: 0 to 255, see `Function`.
        total, sequence: packet numbers of a SYN frame, from 1; both 0 in a single frame.
        body: bytes between start mark (or packet numbers) and end mark.
        end: the end mark.
        raw: the frame as received; empty in one made to be sent.
    """

    function: int
    body: bytes
    end: int
    station: str
    centre: int = 1
    password: str = "0000"  # noqa: S105 - what stations are delivered with
    coding: Coding = Coding.HEX
    down: bool = False
    total: int = 0
    sequence: int = 0
    raw: bytes = b""


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame; `frame.raw` is not looked at.

    Raises:
        ValueError: a field is outside what the frame can carry.
    """
    hexadecimal = frame.coding is Coding.HEX
    body = frame.body
    if frame.total:
        body = _packet_numbers(frame) + body
    if frame.end not in (DOWN_ENDS if frame.down else UP_ENDS):
        raise ValueError(f"end mark {frame.end:#04x} does not go {'down' if frame.down else 'up'}")
    if not frame.body or len(body) > LONGEST_BODY:
        raise ValueError(f"a body of {len(frame.body)} bytes")
    length = (0x8000 if frame.down else 0) | len(body)
    head = _head(frame.coding, frame.down, frame.station, frame.centre, frame.password, frame.function)
    size = length.to_bytes(2, "big") if hexadecimal else b"%04X" % length
    whole = b"".join((head, size, _SYN if frame.total else _STX, body, bytes((frame.end,))))
    crc = crc16(whole)
    return whole + (crc.to_bytes(2, "big") if hexadecimal else b"%04X" % crc)


def numbered(frame: Frame, total: int, sequence: int) -> Frame:
    """Return a single frame as one of packets, or as the answer to one."""
    return msgspec.structs.replace(frame, total=total, sequence=sequence)


def size_at(data: bytes | bytearray, at: int) -> int | Refusal:
    """Return the size of the frame that begins at `at` (7E7E or SOH stands there), 0 when more bytes must come."""
    return _hex_size(data, at) if data[at] == HEX_START[0] else _ascii_size(data, at)


def decode(raw: bytes, crc: Callable[[bytes], int] = crc16) -> Frame | Refusal:
    """Return the frame that these bytes, as many as `size_at` said, are. `crc`: of the bytes before the CRC."""
    return _decode_hex(raw, crc) if raw[0] == HEX_START[0] else _decode_ascii(raw, crc)


@lru_cache(maxsize=1024)  # answers to one station begin alike
def _head(coding: Coding, down: bool, station: str, centre: int, password: str, function: int) -> bytes:  # noqa: FBT001, PLR0917 - as cached
    """Return a frame up to its length. Raises ValueError."""
    if not _STATION.fullmatch(station):
        raise ValueError(f"station {station!r}: ten hexadecimal characters")
    if not _PASSWORD.fullmatch(password):
        raise ValueError(f"password {password!r}: four hexadecimal characters")
    if not 0 <= centre <= 0xFF or not 0 <= function <= 0xFF:
        raise ValueError(f"centre {centre} or function {function} is outside 0..255")
    addresses = f"{station}{centre:02X}" if down else f"{centre:02X}{station}"
    head = f"{addresses}{password}{function:02X}"
    return HEX_START + bytes.fromhex(head) if coding is Coding.HEX else _SOH + head.encode()


def _packet_numbers(frame: Frame) -> bytes:
    if not 1 <= frame.sequence <= frame.total <= MOST_PACKETS:
        raise ValueError(f"packet {frame.sequence} of {frame.total}")
    numbers = frame.total << 12 | frame.sequence
    return numbers.to_bytes(3, "big") if frame.coding is Coding.HEX else b"%06X" % numbers


def _hex_size(data: bytes | bytearray, at: int) -> int | Refusal:
    if len(data) - at < _HEX_HEAD:
        return 0
    top = data[at + 11]
    length = (top & 0x0F) << 8 | data[at + 12]
    start = data[at + 13]
    if top & 0x70 or length < (4 if start == SYN else 1):
        return Refusal.HEADER
    if start not in (STX, SYN):
        return Refusal.START_MARK
    return length + _HEX_EXTRA


def _ascii_size(data: bytes | bytearray, at: int) -> int | Refusal:
    head = data[at + 1 : at + _ASCII_HEAD - 1]
    if not _HEX_CHARACTERS.fullmatch(head):
        return Refusal.NOISE  # SOH is a common byte: what follows it must look like a header
    if len(data) - at < _ASCII_HEAD:
        return 0
    field = int(head[18:], 16)
    length = field & LONGEST_BODY
    start = data[at + _ASCII_HEAD - 1]
    if field & 0x7000 or length < (7 if start == SYN else 1):
        return Refusal.HEADER
    if start not in (STX, SYN):
        return Refusal.START_MARK
    return length + _ASCII_EXTRA


def _decode_hex(raw: bytes, crc: Callable[[bytes], int]) -> Frame | Refusal:
    down = raw[11] >= 0x80
    end = raw[-3]
    if end not in (DOWN_ENDS if down else UP_ENDS):
        return Refusal.END_MARK
    if crc(raw[:-2]) != raw[-2] << 8 | raw[-1]:
        return Refusal.CRC
    head = raw[2:10].hex().upper()
    total = sequence = 0
    body = raw[14:-3]
    if raw[13] == SYN:
        numbers = int.from_bytes(body[:3], "big")
        total, sequence, body = numbers >> 12, numbers & 0xFFF, body[3:]
        if not 1 <= sequence <= total:
            return Refusal.HEADER
    return Frame(
        coding=Coding.HEX,
        down=down,
        centre=raw[7] if down else raw[2],
        station=head[:10] if down else head[2:12],
        password=head[12:],
        function=raw[10],
        total=total,
        sequence=sequence,
        body=body,
        end=end,
        raw=raw,
    )


def _decode_ascii(raw: bytes, crc: Callable[[bytes], int]) -> Frame | Refusal:
    head = raw[1:23].decode().upper()
    down = int(head[18], 16) >= 8
    end = raw[-5]
    if end not in (DOWN_ENDS if down else UP_ENDS):
        return Refusal.END_MARK
    if raw[-4:] != b"%04X" % crc(raw[:-4]):  # small letters would let some single wrong bits pass
        return Refusal.CRC
    total = sequence = 0
    body = raw[24:-5]
    if raw[23] == SYN:
        numbers = body[:6]
        if len(numbers) < 6 or not _HEX_CHARACTERS.fullmatch(numbers):
            return Refusal.HEADER
        total, sequence, body = int(numbers[:3], 16), int(numbers[3:], 16), body[6:]
        if not 1 <= sequence <= total:
            return Refusal.HEADER
    return Frame(
        coding=Coding.ASCII,
        down=down,
        centre=int(head[10:12] if down else head[:2], 16),
        station=head[:10] if down else head[2:12],
        password=head[12:16],
        function=int(head[16:18], 16),
        total=total,
        sequence=sequence,
        body=body,
        end=end,
        raw=raw,
    )
