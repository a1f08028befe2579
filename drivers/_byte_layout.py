"""Values inside raw payloads, told by a profile: byte positions, channels (id, type, value) and repeated records.

Pure, used by the dialects of LoRaWAN servers and NB-IoT platforms, since many detectors come without a codec. Whatever
the bytes are, nothing raises: a value that is not there is MISSING, what does not fit is a problem with a closed
reason.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from drivers._json_path import MISSING
from gateway.config.quantities import duration
from gateway.protocols.modbus_line import crc16

_Type = Literal[
    "u8", "s8", "u16", "s16", "u24", "s24", "u32", "s32", "u40", "u48", "u64", "s64", "f32", "f64",
    "bcd8", "bcd16", "bcd24", "bcd32", "bcd48",
]  # fmt: skip
_FLOATS = {"f32": "f", "f64": "d"}
_MOST_RECORDS = 1024  # a payload is small; a count that lies must not make more

_CHECKS: dict[str, Callable[[bytes], bool]] = {
    "zero": lambda data: len(data) > 1 and sum(data) % 256 == 0,
    "sum": lambda data: len(data) > 1 and sum(data[:-1]) % 256 == data[-1],
    "xor": lambda data: len(data) > 1 and _xor(data) == 0,
    "crc16": lambda data: len(data) > 2 and crc16(data[:-2]).to_bytes(2, "little") == data[-2:],
}


class Bytes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`decode.bytes` of a point: where in the payload its raw number stands.

    Attributes:
        at: first byte, from 0; negative: from the end.
        type: u, s, f or bcd and the number of bits.
        order: of the bytes.
        mask: AND, then shifted right to the mask's lowest bit; before the sign.
        scale, offset: value = raw * scale + offset.
        port: only messages of this LoRaWAN port; 0: any.
        head: hexadecimal; only payloads that begin with it.
        length: only payloads of so many bytes; 0: any.
        channel: hexadecimal id and type; `at` counts inside its value (see `Channels`).
        record: whether it stands in each record (see `Records`); `at` counts inside the record.
    """

    at: int = 0
    type: _Type = "u8"
    order: Literal["big", "little"] = "big"
    mask: Annotated[int, msgspec.Meta(ge=0)] = 0
    scale: float = 1.0
    offset: float = 0.0
    port: int = 0
    head: str = ""
    length: int = 0
    channel: str = ""
    record: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no hexadecimal text, and a mask over what has no bits."""
        bytes.fromhex(self.head)
        if self.channel and (len(bytes.fromhex(self.channel)) != 2 or self.channel != self.channel.lower()):
            raise ValueError(f'channel "{self.channel}": write id and type as four small hexadecimal digits')
        if self.mask and self.type[0] in "fb":
            raise ValueError(f"a mask picks bits of whole numbers, not of {self.type}")


class Records(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`options.records`: a payload that carries several measurements, one after the other.

    Attributes:
        at: first byte of the first record.
        size: bytes of a record.
        count: how many; 0: as many whole ones as there are.
        count_at: byte that says how many; -1: none does.
        newest_first: the first record is the newest.
        every: time between two records, the newest is of the message's time.
        time: where in a record its own time stands (seconds since 1970), instead of `every`.
    """

    at: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=1)]
    count: Annotated[int, msgspec.Meta(ge=0)] = 0
    count_at: int = -1
    newest_first: bool = False
    every: str = ""
    time: Bytes | None = None

    def spacing(self) -> int:
        """Return `every` in ns, 0 without. Raises ValueError."""
        return round(duration(self.every) * 1e9) if self.every else 0


class Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`options.raw`: what holds for the whole raw payload.

    Attributes:
        check: checksum over all: `zero` (all bytes add up to 0), `sum` or `xor` in the last byte, `crc16` (Modbus) in
            the last two; a payload that fails it is refused.
        channels: hexadecimal id and type → bytes of its value, for payloads made of those.
        records: see `Records`.
    """

    check: Literal["", "zero", "sum", "xor", "crc16"] = ""
    channels: dict[str, Annotated[int, msgspec.Meta(ge=1)]] = {}
    records: Records | None = None


@dataclass(slots=True)
class View:
    """A payload taken apart once for all points of a device."""

    data: bytes
    port: int = 0
    channels: dict[str, bytes] = field(default_factory=dict)
    records: list[bytes] = field(default_factory=list)  # oldest first


NOTHING = View(b"")


def viewed(raw: Raw, data: bytes, port: int, problems: list[str]) -> View:
    """Take a payload apart; what fails its checksum is empty."""
    if raw.check and not _CHECKS[raw.check](data):
        problems.append("checksum")
        return NOTHING
    view = View(data, port)
    if raw.channels:
        view.channels = _channels(raw.channels, data, problems)
    if raw.records is not None:
        view.records = _records(raw.records, data, problems)
    return view


def _channels(lengths: dict[str, int], data: bytes, problems: list[str]) -> dict[str, bytes]:
    """Split id, type, value; what stands behind an unknown channel cannot be found. The last of equal ones counts."""
    found: dict[str, bytes] = {}
    place = 0
    while place < len(data):
        name = data[place : place + 2].hex()
        length = lengths.get(name)
        if length is None:
            problems.append("unknown_channel" if len(name) == 4 else "truncated")
            break
        value = data[place + 2 : place + 2 + length]
        if len(value) < length:
            problems.append("truncated")
            break
        found[name] = value
        place += 2 + length
    return found


def _records(records: Records, data: bytes, problems: list[str]) -> list[bytes]:
    room = max(0, len(data) - records.at) // records.size
    told = records.count or room
    if records.count_at >= 0:
        told = data[records.count_at] if records.count_at < len(data) else 0
    if told > room:
        problems.append("truncated")  # the whole ones count all the same
    starts = range(records.at, records.at + min(told, room, _MOST_RECORDS) * records.size, records.size)
    found = [data[start : start + records.size] for start in starts]
    return found[::-1] if records.newest_first else found


def layout(where: Bytes) -> Callable[[View, bytes], object]:
    """Return what finds the raw number in a view (and the record, for those in records), or MISSING."""
    take = _taker(where)
    head = bytes.fromhex(where.head)

    def find(view: View, record: bytes) -> object:
        data = view.data
        if (where.port and where.port != view.port) or (where.length and len(data) != where.length):
            return MISSING
        if not data.startswith(head):
            return MISSING
        if where.channel:
            data = view.channels.get(where.channel, b"")
        elif where.record:
            data = record
        return take(data)

    return find


def _taker(where: Bytes) -> Callable[[bytes], object]:
    size = int(where.type.lstrip("usfbcd")) // 8
    read = _reader(where, size)

    def take(data: bytes) -> object:
        start = where.at if where.at >= 0 else len(data) + where.at
        part = data[start : start + size] if start >= 0 else b""
        return read(part) if len(part) == size else MISSING

    return take


def _reader(where: Bytes, size: int) -> Callable[[bytes], object]:
    if where.type in _FLOATS:
        unpack = struct.Struct((">" if where.order == "big" else "<") + _FLOATS[where.type]).unpack
        return lambda part: unpack(part)[0]
    if where.type.startswith("bcd"):
        return lambda part: _bcd(part if where.order == "big" else part[::-1])
    bits, shift = 8 * size, 0
    if where.mask:
        shift = (where.mask & -where.mask).bit_length() - 1
        bits = (where.mask >> shift).bit_length()
    sign = 1 << (bits - 1) if where.type.startswith("s") else 0

    def read(part: bytes) -> object:
        number = int.from_bytes(part, where.order)
        if where.mask:
            number = (number & where.mask) >> shift
        return number - 2 * sign if number & sign else number

    return read


def _bcd(part: bytes) -> object:
    """Digits above 9 are no number: they are handed on as text, which every reader finds BAD."""
    text = part.hex()
    return int(text) if text.isdecimal() else f"bcd {text}"


def _xor(data: bytes) -> int:
    found = 0
    for byte in data:
        found ^= byte
    return found


def record_times(records: Records, found: Sequence[bytes], time: int) -> list[int]:
    """Return the time of each record in ns, 0 where none can be said; `time` is the message's."""
    if records.time is not None:
        take = _taker(records.time)
        return [said * 10**9 if isinstance(said := take(record), int) and said < 1 << 33 else 0 for record in found]
    spacing = records.spacing()
    if not spacing or not time:
        return [0] * len(found) if len(found) > 1 else [time] * len(found)
    return [time - spacing * (len(found) - 1 - number) for number in range(len(found))]
