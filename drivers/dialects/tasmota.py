"""The `tasmota` dialect: telemetry, results and last will of Tasmota, and of the Zigbee and LoRaWAN nodes of a bridge.

Between the `mqtt` driver and the intake; pure (house rule 2). Follows the MQTT chapter of Tasmota's documentation:
`tele/<topic>/LWT` (Online, Offline), `STATE`, `SENSOR`, `INFO1..3`, `stat/<topic>/RESULT`, `POWERn`, `SWITCHn`,
`STATUS8/10/11`. "Time" is the device's local time, "Epoch" (if enabled) UTC and preferred.

Keys of a `[[device]]`: `topic` (%topic%), `full_topic`, `prefixes` (`cmnd`, `stat`, `tele`, where they were renamed),
`zone` of its clock, `unit` (a node of a bridge: short address `0x2916` or friendly name), `sleeps`.

`decode` of a point: `path` inside the message (default: its name; `POWER1` is also `POWER`; the wrappers StatusSNS,
StatusSTS, ZbReceived and LwReceived are taken off), `bit` of a number there (`ZoneStatus`), `words`, `scale`, `offset`,
`write` (true: an output, set by `cmnd/<topic>/<path>`). `ZoneStatus` bit 8 is a self-test: a TEST event, and the states
that can alarm beside it are not passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, timezone

import msgspec

from drivers._installing import install, options_of
from drivers._json_path import MISSING, Find, finder
from drivers._mqtt_thing import (
    Read,
    Thing,
    can_alarm,
    first,
    fit_topic,
    frame_of,
    from_fahrenheit,
    raw_state,
    specs_of,
)
from drivers._payload import Unreadable, message_of
from drivers._times import source_time, zone_of
from drivers._values import Spelling
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.ports import Decoded, DialectSetup, Publication

_WRAPPERS = ("StatusSNS", "StatusSTS")
_BRIDGES = ("ZbReceived", "LwReceived")
_SWITCH = "SWITCH"  # in a topic; Switch1 in JSON
_SAID = ("Action", "State", "STATE")  # where an input's state stands, by age of the firmware
_ZONES = ("ZoneStatus", "ZoneStatusChange")  # as it was asked for, as the device told it unasked
_TEST = 1 << 8  # of an IAS ZoneStatus
_LONGEST_MAP = 20  # characters
_QUESTIONS = (b"10", b"11")  # sensors, state
_LOCAL = "+08:00"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a tasmota device, see above."""

    topic: str
    full_topic: str = "%prefix%/%topic%/"
    prefixes: dict[str, str] = {}
    zone: str = _LOCAL
    unit: str = ""
    sleeps: bool = False
    open: bool = False


OPTIONS = Options


class _Decode(Spelling, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point."""

    path: str = ""
    bit: int | None = None
    write: bool = False


@dataclass(slots=True)
class _Field:
    """One point: where it stands and how it is read. `fahrenheit`: how when the message says TempUnit F."""

    point: int
    finds: tuple[Find, ...]
    bit: int | None
    read: Read
    fahrenheit: Read
    alarming: bool


@dataclass(slots=True)
class _Tasmota(Thing):
    """One device, or one node of a bridge."""

    tele: str = ""
    stat: str = ""
    cmnd: str = ""
    unit: str = ""
    zone: timezone = UTC
    fields: list[_Field] = field(default_factory=list)
    outputs: dict[str, tuple[str, PointSpec]] = field(default_factory=dict)

    @property
    def questions(self) -> list[tuple[str, bytes]]:
        """What makes it tell its present state; what sleeps and a node of a bridge are asked by nobody."""
        return [] if self.unit or self.sleeps else [(f"{self.cmnd}STATUS", number) for number in _QUESTIONS]


def create(setup: DialectSetup) -> Tasmota:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Tasmota(setup)


class Tasmota:
    """All Tasmota devices of one source (ports `Dialect`, `Polling` and `Commanding`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._devices = install(setup, _install)
        self._under: dict[str, list[_Tasmota]] = {}
        for known in self._devices.values():
            for base in (known.tele, known.stat):
                self._under.setdefault(base, []).append(known)

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filters of a device; those of a bridge are shared by its nodes."""
        known = self._devices[device.id]
        return (f"{known.tele}+", f"{known.stat}+", *([f"{known.tele}+/SENSOR"] if known.unit else []))

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:
        """Return the questions for sensors and state."""
        return self._devices[device.id].questions

    def poll(self, device: Device) -> Sequence[Publication]:
        """Return the same: inputs and relays tell changes only."""
        return [Publication(*question) for question in self.ask(device)]

    def command(self, device: Device, point: str, value: float) -> Sequence[Publication]:
        """Return the command of an output; Tasmota answers each with the state it has then."""
        known = self._devices[device.id]
        if point not in known.outputs:
            return ()
        name, spec = known.outputs[point]
        return (Publication(f"{known.cmnd}{name}", b"ON" if raw_state(spec, value) else b"OFF"),)

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        head, _, last = topic.rpartition("/")
        base = f"{head}/"
        if base not in self._under and last == "SENSOR":  # a node with a topic of its own (SetOption89)
            base = f"{head.rpartition('/')[0]}/"
        known = self._under.get(base)
        if known is None:
            return False
        if last == "LWT":
            _lwt(known, payload, retained=retained, into=into)
            return True
        message = message_of(payload)
        if isinstance(message, Unreadable):
            into.problems.append(message.value)
        elif isinstance(message, dict):
            if last.startswith(_SWITCH) and not message.keys().isdisjoint(
                _SAID
            ):  # stat/<topic>/SWITCH1 {"Action": "ON"}
                message = {last.capitalize(): message}
            _message(known, message, payload, retained=retained, into=into)
        elif base == known[0].stat and not isinstance(message, list):  # stat/<topic>/POWER1 ON
            key = last.capitalize() if last.startswith(_SWITCH) else last
            _message(known, {key: message}, payload, retained=retained, into=into)
        else:
            into.problems.append("not_json")
        return True


def _install(device: Device, ids: Mapping[str, int]) -> _Tasmota:
    options = options_of(device, Options)
    fit_topic(options.topic)
    if "%prefix%" not in options.full_topic or "%topic%" not in options.full_topic:
        raise ValueError(f'full_topic "{options.full_topic}": it has %prefix% and %topic% in it')
    specs = specs_of(device, ids)
    pattern = options.full_topic.replace("%topic%", options.topic).rstrip("/") + "/"
    tele, stat, cmnd = (
        pattern.replace("%prefix%", options.prefixes.get(name, name)) for name in ("tele", "stat", "cmnd")
    )
    known = _Tasmota(*frame_of(specs), options.sleeps, tele=tele, stat=stat, cmnd=cmnd)
    known.unit, known.zone = options.unit.casefold(), zone_of(options.zone)
    for point, spec in specs.items():
        if spec.kind is Kind.TEXT:
            continue
        decode = msgspec.convert(spec.decode, _Decode, strict=False)
        path = decode.path or spec.name
        read = decode.reader(spec)
        celsius = spec.unit == "Cel"
        other = from_fahrenheit(spec, decode.scale, decode.offset) if celsius else read
        finds = tuple(finder(name) for name in _names(path))
        known.fields.append(_Field(point, finds, decode.bit, read, other, can_alarm(spec)))
        if decode.write:
            known.outputs[spec.name] = (path, spec)
    return known


def _names(path: str) -> tuple[str, ...]:
    """A single relay is POWER, the first of several POWER1; which of the two depends on the number of relays."""
    twins = ("POWER", "POWER1")
    return (path, *(name for name in twins if name != path)) if path in twins else (path,)


def _lwt(known: Sequence[_Tasmota], payload: bytes, *, retained: bool, into: Decoded) -> None:
    said = payload.strip().lower()
    if said not in (b"online", b"offline"):
        into.problems.append("unknown_availability")
        return
    for device in known:
        if said == b"offline":
            device.left(into)
        elif not device.unit:
            device.came(into, retained=retained)
            if not retained:
                into.replies.extend(Publication(*question) for question in device.questions)
        else:  # that the bridge is there says nothing of its nodes
            device.away = False


def _message(
    known: Sequence[_Tasmota], message: Mapping[str, object], payload: bytes, *, retained: bool, into: Decoded
) -> None:
    inner = [part for wrapper in _WRAPPERS if isinstance(part := message.get(wrapper), dict)]
    if inner:  # STATUS0 has both
        message = {key: said for part in inner for key, said in part.items()}
    if message.get("Command") in ("Unknown", "Error"):
        into.problems.append("refused_command")
    for device in known:
        if device.unit:
            for entry in _entries(message, device.unit):
                _read(device, entry, message, payload, retained=retained, into=into)
        else:
            _read(device, message, message, payload, retained=retained, into=into)


def _entries(message: Mapping[str, object], unit: str) -> Iterator[Mapping[str, object]]:
    """Yield what a bridge tells of one node: under its address or name, with the wrapper or (SetOption100) without."""
    inner = first((found for name in _BRIDGES if isinstance(found := message.get(name), dict)), message)
    if isinstance(inner, dict):
        for key, entry in inner.items():
            if isinstance(entry, dict):
                names = (key, entry.get("Device"), entry.get("Name"))
                if any(isinstance(name, str) and name.casefold() == unit for name in names):
                    yield entry


def _read(
    device: _Tasmota,
    message: Mapping[str, object],
    whole: Mapping[str, object],
    payload: bytes,
    *,
    retained: bool,
    into: Decoded,
) -> None:
    before, time = len(into.rows), _time(whole, device.zone, into.problems)
    zone = first((message.get(name, MISSING) for name in _ZONES), MISSING)
    if zone is not MISSING:
        zone = _bits(zone)
        message = {**message, "ZoneStatus": zone}
    testing = isinstance(zone, int) and bool(zone & _TEST) and not retained
    if isinstance(zone, int) and not retained:
        device.test(into, payload, time, on=testing)
    fahrenheit = message.get("TempUnit") == "F"
    for one in device.fields:
        raw = first((find(message) for find in one.finds), MISSING)
        if isinstance(raw, dict):  # {"Switch1": {"Action": "ON"}}
            raw = first((raw.get(name, MISSING) for name in _SAID), MISSING)
        if raw is MISSING or (testing and one.alarming):
            continue
        if one.bit is not None:
            raw = _bits(raw)
            raw = raw >> one.bit & 1 if type(raw) is int else None
        into.rows.append((one.point, time, *(one.fahrenheit if fahrenheit else one.read)(raw)))
    device.told(into, before, retained=retained)


def _bits(raw: object) -> object:
    """Return a bit map as a number; some write it as text, 33 or 0x0021. What is none stays as it is."""
    if isinstance(raw, str):
        with suppress(ValueError):
            return int(raw[:_LONGEST_MAP], 16 if raw.lower().startswith("0x") else 10)
    return int(raw) if isinstance(raw, float) and raw.is_integer() else raw


def _time(message: Mapping[str, object], zone: timezone, problems: list[str]) -> int:
    raw = first((message.get(name, MISSING) for name in ("Epoch", "Time")), MISSING)
    if raw is MISSING:
        return 0
    found = source_time(raw, zone)
    if found is None:
        problems.append("bad_time")
    return found or 0
