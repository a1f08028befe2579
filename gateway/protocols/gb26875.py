"""Frames of GB/T 26875.3-2011 between a user information transmission device and a monitoring centre.

Pure codec in both directions, below `drivers.gb26875` and the simulated devices; keeps house rule 2. What stands inside
a frame (the application data unit) is read by `gateway.protocols.gb26875_units`.

A frame is found by its length, never by its end: serial number, times, addresses and texts may contain any byte. What
fails costs one byte, then the search goes on behind it, so that bad bytes never cost the good frames beside them.
"""

from __future__ import annotations

import struct
from enum import IntEnum, StrEnum

import msgspec

START = b"@@"
END = b"##"
UNIT_LIMIT = 1024
SMALLEST = 30  # bytes of a frame without application data unit
LARGEST = SMALLEST + UNIT_LIMIT
_HEAD = struct.Struct("<2sHBB6s6s6sHB")  # start, serial, versions, sending time, addresses, length, command
_LENGTH_AT = 24
_ADDRESS_SIZE = 6
_KEPT = LARGEST  # bytes of noise that a refusal carries


class Command(IntEnum):
    """The command byte (table 3). 128 to 255 are the maker's; 0 and 7 to 127 are reserved."""

    CONTROL = 1  # down
    SEND = 2  # up
    CONFIRM = 3
    REQUEST = 4  # down
    ANSWER = 5  # up
    DENY = 6


USER_COMMANDS = range(128, 256)


class Refusal(StrEnum):
    """Why bytes are no frame (clause "check errors")."""

    NOISE = "noise"  # no start symbol
    TOO_LONG = "too_long"  # the length field is above 1024
    BAD_END = "bad_end"
    BAD_CHECKSUM = "bad_checksum"
    UNFINISHED = "unfinished"  # the rest never came


class Garbage(msgspec.Struct, frozen=True):
    """Bytes that are no frame; `data` is cut at 1 054 bytes, `size` is how many there were."""

    reason: Refusal
    data: bytes
    size: int


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame. `serial` u16, `source` and `destination` u48, `sent` the 6 bytes of the sending time, `unit` the ADU.

    Versions are kept as they came: other main versions than the standard's 1 are in use.
    """

    serial: int
    command: int
    source: int = 0
    destination: int = 0
    unit: bytes = b""
    main: int = 1
    user: int = 1
    sent: bytes = bytes(6)


def checksum(body: bytes) -> int:
    """Return the sum of everything between start symbol and checksum, modulo 256."""
    return sum(body) & 0xFF


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of a frame. Raises ValueError: the unit is longer than 1 024 bytes or a field does not fit."""
    if len(frame.unit) > UNIT_LIMIT or len(frame.sent) != _ADDRESS_SIZE:
        raise ValueError(f"{len(frame.unit)} bytes of unit (at most {UNIT_LIMIT}), {len(frame.sent)} of time (6)")
    try:
        head = _HEAD.pack(
            START,
            frame.serial,
            frame.main,
            frame.user,
            frame.sent,
            frame.source.to_bytes(_ADDRESS_SIZE, "little"),
            frame.destination.to_bytes(_ADDRESS_SIZE, "little"),
            len(frame.unit),
            frame.command,
        )
    except (struct.error, OverflowError) as error:
        raise ValueError(str(error)) from error
    body = head[len(START) :] + frame.unit
    return START + body + bytes((checksum(body),)) + END


def reply_to(frame: Frame, command: int, sent: bytes, unit: bytes = b"") -> Frame:
    """Return the answer: serial number and versions of the frame, addresses exchanged (clause "exchange")."""
    return Frame(
        serial=frame.serial,
        command=command,
        source=frame.destination,
        destination=frame.source,
        unit=unit,
        main=frame.main,
        user=frame.user,
        sent=sent,
    )


def head_of(data: bytes) -> Frame | None:
    """Return what stands in the fields of a refused frame, so that it can be denied; None when it is too short."""
    return _read(data[: len(data) - 3]) if len(data) >= SMALLEST else None


def deniable(garbage: Garbage) -> bool:
    """Whether bytes are a frame but for its checksum or its end symbol alone, so that its sender waits for an answer.

    Those with a wrong end and a wrong checksum are as likely no frame at all.
    """
    if garbage.reason is Refusal.BAD_END:
        return checksum(garbage.data[len(START) : -3]) == garbage.data[-3]
    return garbage.reason is Refusal.BAD_CHECKSUM


class Frames:
    """Bytes in any pieces → frames and refusals, in order. Holds back at most one unfinished frame (1 053 bytes)."""

    def __init__(self) -> None:
        self._waiting = b""
        self._told = 0  # bytes at the front of `_waiting` that a refusal has already carried

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and its end has not come."""
        return bool(self._waiting)

    def feed(self, data: bytes) -> list[Frame | Garbage]:
        """Return what the bytes complete."""
        found: list[Frame | Garbage] = []
        self._scan(self._waiting + data, found)
        return found

    def drop(self) -> list[Frame | Garbage]:
        """Give up waiting for the end of what has begun; return it as a refusal, and the frames inside it."""
        found: list[Frame | Garbage] = []
        untold = self._waiting[self._told :]
        if untold:
            found.append(_refused(Refusal.UNFINISHED, untold))
        while self._waiting:
            held = self._waiting[1:]
            self._told = len(held)
            self._scan(held, found)
        return found

    def _scan(self, data: bytes, found: list[Frame | Garbage]) -> None:
        at = 0
        told = self._told
        size = len(data)
        noise = Refusal.NOISE
        while at < size:
            start = data.find(START, at)
            if start < 0:  # the last byte may be the first half of a start symbol
                start = size - 1 if data[-1] == START[0] else size
            at = start
            if size - at < _HEAD.size:
                break
            unit = data[at + _LENGTH_AT] | data[at + _LENGTH_AT + 1] << 8
            if unit > UNIT_LIMIT:
                noise = Refusal.TOO_LONG if at >= told else noise
                at += 1
                continue
            whole = SMALLEST + unit
            if size - at < whole:
                break
            refusal = _check(data, at, at + whole)
            if told < at:
                found.append(_refused(noise, data[told:at]))
                told, noise = at, Refusal.NOISE
            if refusal is None:
                found.append(_read(data[at : at + whole - 3]))
                at += whole
                told = max(told, at)
                continue
            if at == told:  # it may hold frames: it is told whole, then searched
                told = at + whole
                found.append(_refused(refusal, data[at:told]))
            at += 1
        if told < at:
            found.append(_refused(noise, data[told:at]))
        self._waiting = data[at:]
        self._told = max(0, told - at)


def _check(data: bytes, at: int, end: int) -> Refusal | None:
    if data[end - 2 : end] != END:
        return Refusal.BAD_END
    if checksum(data[at + 2 : end - 3]) != data[end - 3]:
        return Refusal.BAD_CHECKSUM
    return None


def _read(data: bytes) -> Frame:
    """Read head and unit; `data` ends before the checksum."""
    _, serial, main, user, sent, source, destination, _, command = _HEAD.unpack_from(data)
    return Frame(
        serial=serial,
        command=command,
        source=int.from_bytes(source, "little"),
        destination=int.from_bytes(destination, "little"),
        unit=data[_HEAD.size :],
        main=main,
        user=user,
        sent=sent,
    )


def _refused(reason: Refusal, data: bytes) -> Garbage:
    return Garbage(reason, data[:_KEPT], len(data))
