"""Application data units of GB/T 26875.3-2011: `type, count, objects`, in both directions.

Pure codec, beside `gateway.protocols.gb26875` (the frames around them); keeps house rule 2. The objects are those of
`gateway.protocols.gb26875_objects`. Foreign bytes never raise: what is no object of its type (unknown type, wrong
length) is `rest`, kept raw.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import starmap

import msgspec

from gateway.protocols.gb26875_objects import (
    NO_TIME,
    Analog,
    ComponentConfig,
    ComponentStatus,
    DeviceConfig,
    DeviceOperation,
    DeviceStatus,
    DeviceTime,
    DeviceVersion,
    DutyCheck,
    Object,
    Operation,
    ReadComponent,
    ReadDevice,
    ReadDeviceOperations,
    ReadOperations,
    ReadSystem,
    SetTime,
    SystemConfig,
    SystemStatus,
    SystemTime,
    SystemVersion,
)

DESCRIPTION_SIZE = 31
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_CENTURY = 2000


class Unit(msgspec.Struct, frozen=True):
    """One application data unit. `count` as it was sent; `rest`: bytes that are no object of the type."""

    type: int
    count: int
    objects: tuple[Object, ...] = ()
    rest: bytes = b""


def _fixed(layout: str, kind: Callable[..., Object]) -> tuple[struct.Struct, Callable[..., Object]]:
    return struct.Struct("<" + layout), kind


# Type → layout of one object (tables of clauses 8.2 and 8.3). Types 6 and 26 have texts of their own length.
_FIXED: dict[int, tuple[struct.Struct, Callable[..., Object]]] = {
    1: _fixed("BBH6s", SystemStatus),
    2: _fixed("BBBIH31s6s", ComponentStatus),
    3: _fixed("BBBIBh6s", Analog),
    4: _fixed("BBBB6s", Operation),
    5: _fixed("BBBB", SystemVersion),
    7: _fixed("BBBI31s", ComponentConfig),
    8: _fixed("BB6s", SystemTime),
    21: _fixed("B6s", DeviceStatus),
    24: _fixed("BB6s", DeviceOperation),
    25: _fixed("BB", DeviceVersion),
    28: _fixed("6s", DeviceTime),
    **dict.fromkeys((61, 65, 66, 68), _fixed("BB", ReadSystem)),
    **dict.fromkeys((62, 63, 67), _fixed("BBI", ReadComponent)),
    64: _fixed("BBB6s", ReadOperations),
    **dict.fromkeys((81, 85, 86, 88, 89), _fixed("B", ReadDevice)),
    84: _fixed("B6s", ReadDeviceOperations),
    90: _fixed("6s", SetTime),
    91: _fixed("B", DutyCheck),
}
_TEXTS: dict[int, tuple[int, Callable[..., Object]]] = {6: (2, SystemConfig), 26: (0, DeviceConfig)}
_HEAD = struct.Struct("<BBBIH")  # of a component status
HEAD_SIZE = _HEAD.size

# Most objects in one unit, as the standard prints them.
LIMITS = {1: 102, 2: 22, 3: 63, 4: 102, 5: 1, 6: 3, 7: 26, 8: 1, 21: 1, 24: 127, 25: 1, 26: 1, 28: 1}
LIMITS |= {61: 102, 62: 22, 63: 63, 64: 1, 65: 1, 66: 3, 67: 26, 68: 1}
LIMITS |= dict.fromkeys((81, 84, 85, 86, 88, 89, 90, 91), 1)


def decode_unit(data: bytes) -> Unit | None:
    """Return what the unit says; None when it has no type and count (shorter than 2 bytes).

    Where count and length disagree, whole objects are read as far as both go and what is left is `rest`. More objects
    than the standard's limit are read all the same.
    """
    if len(data) < 2:
        return None
    code, count, body = data[0], data[1], data[2:]
    known = _FIXED.get(code)
    if known is not None:
        return _read_fixed(code, count, body, *known)
    if code in _TEXTS:
        return _read_texts(code, count, body, *_TEXTS[code])
    return Unit(code, count, (), body)


def encode_unit(code: int, objects: Sequence[Object]) -> bytes:
    """Return the bytes of a unit. Raises ValueError: an unknown type, too many objects, a field that does not fit."""
    if len(objects) > LIMITS.get(code, 0):
        raise ValueError(f"{len(objects)} objects of type {code}; at most {LIMITS.get(code, 0)}")
    try:
        if code in _TEXTS:
            body = b"".join(_text_bytes(one) for one in objects)
        else:
            layout = _FIXED[code][0]
            body = b"".join(layout.pack(*msgspec.structs.astuple(one)) for one in objects)
    except struct.error as error:
        raise ValueError(str(error)) from error
    return bytes((code, len(objects))) + body


def _read_fixed(code: int, count: int, body: bytes, layout: struct.Struct, kind: Callable[..., Object]) -> Unit:
    size = layout.size
    if len(body) == count * size:
        return Unit(code, count, tuple(starmap(kind, layout.iter_unpack(body))))
    short = _read_short(code, count, body)
    if short is not None:
        return short
    whole = len(body) // size  # a count that lies may not hide what is there
    if len(body) % size:
        whole = min(whole, count)
    told = body[: whole * size]
    return Unit(code, count, tuple(starmap(kind, layout.iter_unpack(told))), body[len(told) :])


def _read_short(code: int, count: int, body: bytes) -> Unit | None:
    """Read two forms that makers send: a device status without time, components without description (15, 16 bytes)."""
    if code == 21 and len(body) == count:
        return Unit(code, count, tuple(DeviceStatus(status, b"") for status in body))
    size = len(body) // count if count and not len(body) % count else 0
    if code != 2 or size not in (15, 16):
        return None
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return Unit(code, count, tuple(component_head(part, part[-6:]) for part in parts))


def component_head(data: bytes, time: bytes = NO_TIME) -> ComponentStatus:
    """Return a component status without description; `data` begins with its first 9 bytes (`HEAD_SIZE`)."""
    system, address, component, place, status = _HEAD.unpack_from(data)
    return ComponentStatus(system, address, component, place, status, b"", time)


def _read_texts(code: int, count: int, body: bytes, head: int, kind: Callable[..., Object]) -> Unit:
    found: list[Object] = []
    at = 0
    while len(found) < count and at + head < len(body):
        start = at + head + 1
        end = start + body[at + head]
        if end > len(body):
            break
        found.append(kind(*body[at : at + head], body[start:end]))
        at = end
    return Unit(code, count, tuple(found), body[at:])


def _text_bytes(one: Object) -> bytes:
    *head, text = msgspec.structs.astuple(one)
    if len(text) > 0xFF:
        raise ValueError(f"a text of {len(text)} bytes; at most 255")
    return bytes((*head, len(text), *text))


def text_of(raw: bytes) -> str:
    """Return a GB 18030 text of the wire: cut at the first zero byte, spaces stripped, what is no text replaced."""
    return raw.split(b"\0", 1)[0].decode("gb18030", "replace").strip()


def text_bytes(text: str, limit: int = DESCRIPTION_SIZE) -> bytes:
    """Return a text as GB 18030, cut so that no character is split."""
    while len(raw := text.encode("gb18030", "replace")) > limit:
        text = text[:-1]
    return raw


@lru_cache(maxsize=4096)
def time_ns(tag: bytes, offset: int) -> int:
    """Return ns since 1970 UTC of a time tag, 0 when it is absent or no date. `offset`: s its clock is east of UTC."""
    if len(tag) != 6 or tag[5] > 99:
        return 0
    second, minute, hour, day, month, year = tag
    try:
        local = datetime(_CENTURY + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return 0
    return (round((local - _EPOCH).total_seconds()) - offset) * _SECOND


def time_tag(ns: int, offset: int) -> bytes:
    """Return the time tag of ns since 1970 UTC; all zero when its year is none of 2000 to 2099."""
    local = _EPOCH + timedelta(seconds=ns // _SECOND + offset)
    if not _CENTURY <= local.year <= _CENTURY + 99:
        return NO_TIME
    return bytes((local.second, local.minute, local.hour, local.day, local.month, local.year - _CENTURY))
