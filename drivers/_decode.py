"""What `firegrid decode` prints: bytes of any protocol of the house → JSON-able objects of house section 12.

Pure. Readings go through the very dialects and register maps that the daemon uses; a reading's device is the profile's
id, because no configuration is at hand. Nothing is guessed silently: without a protocol it is said which ones fit.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from drivers import _profiles
from drivers._decode_modbus import frames_of, rows_of, split
from drivers._payload import Plain, Unreadable, message_of
from drivers.dialects import json, zigbee2mqtt
from gateway.errors import ConfigError, ProtocolViolation
from gateway.model.point import Device, Profile
from gateway.model.ports import Decoded, DialectSetup
from gateway.model.quality import describe
from gateway.protocols import smspdu
from gateway.protocols.modbus_line import is_whole

Said = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZIGBEE = "zigbee2mqtt"


def decode(data: bytes, *, protocol: str = "", profile: Profile | None = None, topic: str = "") -> list[Said]:
    """Return one object per reading, event or message, or per reason why there is none (`kind` = `error`).

    Args:
        data: the payload; for modbus_rtu and at-pdu hexadecimal text (blanks and colons allowed) or the bytes.
        protocol: one of `PROTOCOLS`; empty: the profile's, else the only one that fits.
        profile: what the device is; without it registers and fields are shown as they are.
        topic: the MQTT topic, if any.
    """
    chosen = protocol or (profile.driver if profile is not None else "")
    if chosen and chosen not in PROTOCOLS:
        return [_error(f"unknown protocol {chosen}; known: {', '.join(PROTOCOLS)}")]
    if not chosen:
        fits = fitting(data, topic=topic)
        if len(fits) != 1:
            return [_error(f"fits {', '.join(fits)}: choose one with --as" if fits else "no protocol fits")]
        chosen = fits[0]
        return [{"kind": "message", "protocol": chosen, "what": "fits"}, *decode(data, protocol=chosen, topic=topic)]
    if profile is not None and profile.driver != chosen:
        return [_error(f"profile {profile.id} speaks {profile.driver}, not {chosen}")]
    try:
        return PROTOCOLS[chosen](data, profile, topic)
    except (ConfigError, ProtocolViolation) as error:
        return [_error(str(error))]


def fitting(data: bytes, *, topic: str = "") -> list[str]:
    """Return the protocols that the bytes can be."""
    found = []
    frame = _bytes(data)
    request, rest = split(frame)
    if len(frame) >= 4 and (is_whole(frame) or (request is not None and (not rest or is_whole(rest)))):
        found.append("modbus_rtu")
    try:
        smspdu.decode(frame)
        found.append("at-pdu")
    except ProtocolViolation:
        pass
    message = message_of(data)
    if isinstance(message, dict) and (topic.startswith(f"{_ZIGBEE}/") or "linkquality" in message):
        found.append(_ZIGBEE)
    elif not isinstance(message, Plain | Unreadable):
        found.append("json")
    return found


def _modbus(data: bytes, profile: Profile | None, _topic: str) -> list[Said]:
    frame = _bytes(data)
    if profile is None:
        return frames_of(frame)
    device, ids = _installed(profile, {})
    return _readings(rows_of(frame, profile, ids, device), profile, ids) or frames_of(frame)


def _json(data: bytes, profile: Profile | None, topic: str) -> list[Said]:
    message = message_of(data)
    if profile is None or not profile.points:
        if isinstance(message, Plain | Unreadable):
            return [_error(message.value if isinstance(message, Unreadable) else "not_json")]
        return [{"kind": "message", "protocol": "json", "value": _finite(message)}]
    topic = topic or "device"
    device, ids = _installed(profile, {"topic": topic})
    return _dialect(json.create, device, ids, topic, data)


def _zigbee(data: bytes, profile: Profile | None, topic: str) -> list[Said]:
    topic = topic or f"{_ZIGBEE}/device"
    name = topic.removesuffix("/availability")
    device, ids = _installed(profile or _nearest_zigbee(message_of(data)), {"topic": name})
    return _dialect(zigbee2mqtt.create, device, ids, topic, data)


def _pdu(data: bytes, _profile: Profile | None, _topic: str) -> list[Said]:
    message = smspdu.decode(_bytes(data))
    fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    user = fields.pop("user", None)
    said: Said = {"kind": "message", "protocol": "at-pdu", "what": type(message).__name__.lower()}
    for key, value in fields.items():
        if isinstance(value, datetime):
            said[key] = value.isoformat()
        elif value not in (None, "", b""):
            said[key] = value.hex() if isinstance(value, bytes) else value
    if user is not None:
        said["text"] = user.text
        if user.concatenation is not None:
            said["part"] = list(dataclasses.astuple(user.concatenation))
    if isinstance(message, smspdu.StatusReport):
        said["outcome"] = message.outcome.value
    return [said]


PROTOCOLS: Mapping[str, Callable[[bytes, Profile | None, str], list[Said]]] = {
    "modbus_rtu": _modbus,
    "json": _json,
    _ZIGBEE: _zigbee,
    "at-pdu": _pdu,
}


def _dialect(
    create: Callable[[DialectSetup], Any], device: Device, ids: dict[str, int], topic: str, data: bytes
) -> list[Said]:
    into = Decoded()
    create(DialectSetup(devices=[device], point_ids=ids, source_events=0)).decode(
        topic, data, retained=False, into=into
    )
    names = {number: name.rpartition(".")[2] for name, number in ids.items()}
    events = [
        {
            "kind": "event",
            "device": device.id,
            "point": names[event.point],
            "key": event.key,
            "code": event.code.name.lower(),
            "text": event.text,
            "time": _time(event.time),
            "raw": event.raw.hex(),
        }
        for event in into.events
    ]
    problems = [_error(problem) for problem in into.problems]
    return [*_readings(into.rows, device.profile, ids), *events, *problems]


def _readings(rows: list[tuple[int, int, float, int]], profile: Profile, ids: Mapping[str, int]) -> list[Said]:
    specs = {ids[f"{profile.id}.{spec.name}"]: spec for spec in profile.points}
    return [
        {
            "kind": "reading",
            "device": profile.id,
            "point": specs[point].name,
            "value": value if math.isfinite(value) else None,
            "unit": specs[point].unit,
            "quality": describe(quality),
            "time": _time(time),
        }
        for point, time, value, quality in rows
    ]


def _installed(profile: Profile, options: dict[str, Any]) -> tuple[Device, dict[str, int]]:
    device = Device(id=profile.id, source="decode", profile=profile, options=options)
    return device, {f"{profile.id}.{spec.name}": number for number, spec in enumerate(profile.points, 1)}


def _nearest_zigbee(message: object) -> Profile:
    """The shipped profile whose own fields the message has most of."""
    fields = set(message) if isinstance(message, dict) else set()
    known = [_profiles.profile(name) for name in _profiles.names() if name.startswith(f"{_ZIGBEE}-")]
    return max(known, key=lambda one: len(fields & {str(spec.decode.get("field", spec.name)) for spec in one.points}))


def _bytes(data: bytes) -> bytes:
    """Hexadecimal text as the bytes it means, anything else as it is."""
    try:
        return bytes.fromhex(data.decode("ascii").replace(":", " "))
    except ValueError:
        return data


def _time(time: int) -> str | None:
    try:
        return (_EPOCH + timedelta(microseconds=time // 1000)).isoformat() if time else None
    except OverflowError:
        return None


def _finite(value: object) -> object:
    """NaN and infinities as null: JSON has none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


def _error(reason: str) -> Said:
    return {"kind": "error", "reason": reason}
