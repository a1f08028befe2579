"""The `homeassistant` dialect: whatever announces itself by Home Assistant's MQTT discovery, read as it announced.

Between the `mqtt` driver and the intake; pure (house rule 2). The configuration says what to read: `learn` makes it out
of discovery messages (`drivers._ha_discovery`), a person puts it into the station's file. Nothing a device announces
later changes what the station watches, and no template is ever evaluated.

Keys of a `[[device]]`: `availability` (a list of `{ topic, path, online, offline }`), `availability_mode` (`latest`,
`all`: every one must be online, `any`), `sleeps` ("offline" says nothing).

`decode` of a point: `topic` (a point without one is not there), `path` (default `$`: the message itself), `words` (the
sender's words → raw numbers, also for `true` and `1`), `scale`, `offset`, `available` (path in the same message of what
says whether the point is there) and `online` (the word that it is); of an output `write` (its command topic), `on` and
`off` (what to say there).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from drivers._ha_discovery import LearnedDevice, component_of, learn, merge
from drivers._ha_toml import to_toml
from drivers._installing import install, options_of
from drivers._json_path import MISSING, Find, finder
from drivers._mqtt_thing import Thing, fit_topic, frame_of, raw_state, specs_of
from drivers._payload import Plain, Unreadable, message_of
from drivers._values import NO_COMMS, Reading, Spelling
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.ports import Decoded, DialectSetup, Publication

__all__ = ["OPTIONS", "Homeassistant", "LearnedDevice", "component_of", "create", "learn", "merge", "to_toml"]


class Availability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A topic that says whether the device is there."""

    topic: str
    path: str = "$"
    online: str = "online"
    offline: str = "offline"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a homeassistant device, see above."""

    availability: tuple[Availability, ...] = ()
    availability_mode: Literal["latest", "all", "any"] = "latest"
    sleeps: bool = False
    open: bool = False


OPTIONS = Options


class _Decode(Spelling, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point."""

    topic: str = ""
    path: str = "$"
    available: str = ""
    online: str = "online"
    write: str = ""
    on: str = "ON"
    off: str = "OFF"


_Said = tuple[Find, str]  # where in the message of a state stands whether it is there, and the word that it is


@dataclass(slots=True)
class _Known(Thing):
    """One device. `there`: what each availability topic said last."""

    mode: str = "latest"
    states: dict[str, list[tuple[int, Find, Callable[[object], Reading], _Said | None]]] = field(default_factory=dict)
    availability: dict[str, tuple[Find, str, str]] = field(default_factory=dict)
    there: dict[str, bool] = field(default_factory=dict)
    outputs: dict[str, tuple[_Decode, PointSpec]] = field(default_factory=dict)

    def gone(self, topic: str) -> bool:
        """Whether it is away by what its topics said, the last word that of `topic`."""
        if self.mode == "latest":
            return not self.there[topic]
        said = [self.there.get(name) for name in self.availability]
        return False in said if self.mode == "all" else all(word is False for word in said)


def create(setup: DialectSetup) -> Homeassistant:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Homeassistant(setup)


class Homeassistant:
    """All devices of one source that were learnt from discovery (ports `Dialect` and `Commanding`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._devices = install(setup, _install)
        self._topics: dict[str, list[_Known]] = {}
        for known in self._devices.values():
            for topic in dict.fromkeys((*known.states, *known.availability)):
                self._topics.setdefault(topic, []).append(known)

    def filters(self, device: Device) -> Sequence[str]:
        """Return the topics of a device's points and of its availability."""
        known = self._devices[device.id]
        return tuple(dict.fromkeys((*known.states, *known.availability)))

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - the port names it
        """Nothing: discovery names no way to be asked."""
        return ()

    def command(self, device: Device, point: str, value: float) -> Sequence[Publication]:
        """Return the command of an output."""
        known = self._devices[device.id]
        if point not in known.outputs:
            return ()
        decode, spec = known.outputs[point]
        word = decode.on if raw_state(spec, value) else decode.off
        return (Publication(decode.write, word.encode()),)

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        known = self._topics.get(topic)
        if known is None:
            return False
        message = message_of(payload)
        if isinstance(message, Unreadable):
            into.problems.append(message.value)
            return True
        for device in known:
            if topic in device.states:
                _state(device, topic, message, retained=retained, into=into)
            if topic in device.availability:
                _available(device, topic, message, retained=retained, into=into)
        return True


def _install(device: Device, ids: Mapping[str, int]) -> _Known:
    options = options_of(device, Options)
    specs = specs_of(device, ids)
    known = _Known(*frame_of(specs), options.sleeps, mode=options.availability_mode)
    for one in options.availability:
        words = one.online.casefold(), one.offline.casefold()  # a template writes True where JSON has true
        known.availability[fit_topic(one.topic)] = finder(one.path), *words
    found: list[int] = []
    for point, spec in specs.items():
        decode = msgspec.convert(spec.decode, _Decode, strict=False)
        if spec.kind is Kind.TEXT or not decode.topic:
            continue
        read = decode.reader(spec)
        known.states.setdefault(fit_topic(decode.topic), []).append(
            (
                point,
                finder(decode.path),
                _worded(read) if decode.words else read,
                (finder(decode.available), decode.online.casefold()) if decode.available else None,
            )
        )
        found.append(point)
        if decode.write:
            known.outputs[spec.name] = (decode, spec)
    if not found:
        raise ValueError('no point has a topic: points.smoke.decode = { topic = "…" }')
    known.values = tuple(found)
    return known


def _worded(read: Callable[[object], Reading]) -> Callable[[object], Reading]:
    """Let the words of a device stand for JSON's true, false and numbers too, as they do for Home Assistant."""

    def read_object(raw: object) -> Reading:
        if isinstance(raw, bool):
            raw = "true" if raw else "false"
        elif type(raw) is int and abs(raw) < 1 << 53:
            raw = str(raw)
        return read(raw)

    return read_object


def _state(device: _Known, topic: str, message: object, *, retained: bool, into: Decoded) -> None:
    before = len(into.rows)
    for point, find, read, there in device.states[topic]:
        raw = find(message)
        said = MISSING if there is None else there[0](message)
        if said is not MISSING and there is not None and _word_of(said) != there[1]:
            into.rows.append((point, 0, *NO_COMMS))  # of this point alone: the device lives
        elif raw is not MISSING:
            into.rows.append((point, 0, *read(raw)))
    if len(into.rows) == before and type(message) is Plain:
        into.problems.append("not_json")
        return
    device.told(into, before, retained=retained)


def _word_of(raw: object) -> str:
    return str(raw).strip().casefold() if isinstance(raw, str | int) else ""


def _available(device: _Known, topic: str, message: object, *, retained: bool, into: Decoded) -> None:
    find, online, offline = device.availability[topic]
    said = _word_of(find(message))
    if said not in (online, offline):
        into.problems.append("unknown_availability")
        return
    device.there[topic] = said == online
    if device.gone(topic):
        device.left(into)
    else:
        device.came(into, retained=retained)
