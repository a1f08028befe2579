"""What `firegrid decode` and `listen` print: readings, events, messages and errors as objects that JSON can say.

Pure; the last station of these two commands before a line is printed. Keeps house section 12: one object a line, of
the kinds `reading`, `event`, `message` and `error`, times as RFC 3339.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

import msgspec

from gateway.model.batch import Event
from gateway.model.point import PointSpec
from gateway.model.ports import Decoded
from gateway.model.quality import describe

Said = dict[str, Any]
Names = Mapping[int, tuple[str, PointSpec | None]]  # point id → device, and the point of its profile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AS_IT_IS = frozenset({int, bool})


def told(decoded: Decoded, names: Names) -> list[Said]:
    """Return what a frame or message says: its readings, then its events, then what was wrong with it."""
    found = [reading(row, names) for row in decoded.rows]
    found += [_event(event, names) for event in decoded.events]
    return found + [error(problem) for problem in decoded.problems]


def reading(row: tuple[int, int, float, int], names: Names) -> Said:
    """Return one row (point, time, value, quality)."""
    point, time, value, quality = row
    device, spec = names[point]
    return {
        "kind": "reading",
        "device": device,
        "point": spec.name if spec else "events",
        "value": value if math.isfinite(value) else None,
        "unit": spec.unit if spec else "",
        "quality": describe(quality),
        "time": time_of(time),
    }


def message(protocol: str, what: str, **fields: object) -> Said:
    """Return a message: a frame whose fields are told as they stand in it."""
    return {"kind": "message", "protocol": protocol, "what": what, **{key: plain(one) for key, one in fields.items()}}


def error(reason: str, **fields: object) -> Said:
    """Return why something could not be read."""
    return {"kind": "error", "reason": reason, **{key: plain(one) for key, one in fields.items()}}


def time_of(time: int) -> str | None:
    """Return ns since 1970 as RFC 3339; None for 0 and for what no calendar has."""
    try:
        return (_EPOCH + timedelta(microseconds=time // 1000)).isoformat() if time else None
    except OverflowError:
        return None


def fields_of(thing: object) -> Said:
    """Return the fields of a structure that a codec made, as far as they say anything."""
    if isinstance(thing, msgspec.Struct):
        names = thing.__struct_fields__
    elif dataclasses.is_dataclass(thing):
        names = tuple(field.name for field in dataclasses.fields(thing))
    else:
        return {"value": plain(thing)}
    found = {name: getattr(thing, name) for name in names}
    return {name: plain(value) for name, value in found.items() if value is not None and value not in ("", b"", ())}


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON has
    """Return a value of a codec as JSON has it: bytes as hexadecimal text, no NaN, enumerations by their value."""
    if value is None or type(value) in _AS_IT_IS:
        return value
    if type(value) is str or type(value) is bytes:  # most are, and what follows takes its time
        return _atom(value)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value):
        return fields_of(value)
    return _atom(value)


def _atom(value: object) -> object:
    match value:
        case bytes() | bytearray():
            return value.hex()
        case float():
            return value if math.isfinite(value) else None
        case str():
            return value.encode("utf-8", "replace").decode()
        case datetime() | date():
            return value.isoformat()
    return value if isinstance(value, int) else str(value)


def _event(event: Event, names: Names) -> Said:
    device, spec = names[event.point]
    said: Said = {
        "kind": "event",
        "device": device,
        "point": spec.name if spec else "events",
        "key": plain(event.key),
        "code": event.code.name.lower(),
        "text": plain(event.text),
        "time": time_of(event.time),
        "raw": event.raw.hex(),
    }
    return said if event.registered else {**said, "registered": False}
