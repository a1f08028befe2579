"""Raw payloads as a profile's layout has them, written instead of read: the opposite direction of `_byte_layout`.

Pure, for players of LoRaWAN and NB-IoT devices; keeps house rule 9 (fakes ship).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from drivers._byte_layout import Bytes, Raw
from gateway.protocols.modbus_line import crc16

_CHECKED = {"zero": 1, "sum": 1, "xor": 1, "crc16": 2}  # bytes of a checksum
_FLOATS = {"f32": "f", "f64": "d"}


def payload(values: Sequence[tuple[Mapping[str, Any], float]], raw: Mapping[str, Any]) -> bytes:
    """Return the payload of some values in their units. `values`: `decode.bytes` of a point and what it shows."""
    whole = msgspec.convert(raw, Raw, strict=False)
    places = [(msgspec.convert(where, Bytes, strict=False), value) for where, value in values]
    channels: dict[str, bytearray] = {}
    length = max((one.length for one, _ in places), default=0)
    data = bytearray(max(0, length - _CHECKED.get(whole.check, 0)))
    record = bytearray(whole.records.size if whole.records else 0)
    for one, value in places:
        if one.channel:
            _put(channels.setdefault(one.channel, bytearray(whole.channels[one.channel])), one, value)
        elif one.record:
            _put(record, one, value)
        else:
            data[: len(one.head) // 2] = bytes.fromhex(one.head)
            _put(data, one, value)
    if whole.records is not None and any(one.record for one, _ in places):
        data.extend(bytes(max(0, whole.records.at - len(data))))
        if whole.records.count_at >= 0:
            data[whole.records.count_at] = 1
        data += record
    data += b"".join(bytes.fromhex(name) + value for name, value in channels.items())
    return _checked(bytes(data), whole.check) if data else b""


def _put(into: bytearray, one: Bytes, value: float) -> None:
    width = int(one.type.lstrip("usfbcd")) // 8
    number = (value - one.offset) / one.scale
    start = one.at if one.at >= 0 else max(0, len(into) + one.at)
    into.extend(bytes(max(0, start + width - len(into))))
    old = int.from_bytes(into[start : start + width], one.order)
    if one.type in _FLOATS:
        said = struct.pack(("<" if one.order == "little" else ">") + _FLOATS[one.type], number)
    else:
        whole = int(str(round(number)), 16) if one.type.startswith("bcd") else round(number)
        if one.mask:
            whole = (old & ~one.mask) | (whole * (one.mask & -one.mask) & one.mask)
        said = (whole % (1 << 8 * width)).to_bytes(width, one.order)
    into[start : start + width] = said


def _checked(data: bytes, check: str) -> bytes:
    if check == "zero":
        return data + bytes((-sum(data) & 0xFF,))
    if check == "sum":
        return data + bytes((sum(data) & 0xFF,))
    if check == "xor":
        found = 0
        for byte in data:
            found ^= byte
        return data + bytes((found,))
    return data + crc16(data).to_bytes(2, "little") if check == "crc16" else data
