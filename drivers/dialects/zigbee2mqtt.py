"""The `zigbee2mqtt` dialect: state messages, availability and the bridge's state of Zigbee2MQTT → readings and events.

Between the `mqtt` driver and the intake; pure (house rule 2). Follows the MQTT topics of Zigbee2MQTT 1.x and 2.x:
`<base>/<friendly name>` with all known fields as JSON, `…/availability`, `<base>/bridge/state`, and with
`output: attribute` one topic per field. A friendly name may contain slashes: the longest known name wins.

Keys of a `[[device]]`: `topic` (`<base>/<friendly name>`), `base` (if it is not the topic's first level), `attributes`
(true when the bridge sends one topic per field). `decode` of a point: `field` (default: its name), `words` (the
sender's words → raw numbers), `scale`, `offset`.

`test: true` is a TEST event and never an alarm: the states that can alarm beside it, in the same live message, are not
passed on. No message mutes a later one, and a retained `test` mutes nothing: a detector is never deaf for what it said
before. With `output: attribute` a self-test therefore alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

import msgspec

from drivers._installing import install, options_of
from drivers._json_path import MISSING
from drivers._mqtt_thing import can_alarm, specs_of
from drivers._payload import Unreadable, message_of
from drivers._times import source_time
from drivers._values import OFFLINE, Reading, Spelling, as_retained
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Kind
from gateway.model.ports import Decoded, DialectSetup

_STATE = "bridge/state"
_COMMANDS = ("set", "get")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a zigbee2mqtt device, see above."""

    topic: str
    base: str = ""
    attributes: bool = False


OPTIONS = Options


class _Decode(Spelling, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point."""

    field: str = ""


@dataclass(slots=True)
class _Installed:
    """One device: fields → point id, reader, whether the point is a state that can alarm."""

    topic: str
    base: str
    attributes: bool
    point: int  # any, for a sign of life
    events: int
    fields: dict[str, tuple[int, Callable[[object], Reading], bool]] = field(default_factory=dict)
    test_told: bool = False  # mutes nothing: only the telling of a test is remembered


def create(setup: DialectSetup) -> Zigbee2mqtt:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Zigbee2mqtt(setup)


class Zigbee2mqtt:
    """All Zigbee devices of one source (port `Dialect`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._devices = install(setup, _install)
        self._topics: dict[str, list[_Installed]] = {}
        self._bridges: dict[str, list[_Installed]] = {}
        for known in self._devices.values():
            self._topics.setdefault(known.topic, []).append(known)
            self._bridges.setdefault(f"{known.base}/{_STATE}", []).append(known)

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filters of a device; `bridge/state` is shared by all of a bridge."""
        known = self._devices[device.id]
        beside = f"{known.topic}/+" if known.attributes else f"{known.topic}/availability"
        return (known.topic, beside, f"{known.base}/{_STATE}")

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:
        """Return the question for the present state of what can alarm. A sleeping device answers when it wakes."""
        known = self._devices[device.id]
        wanted = {name: "" for name, (_, _, alarming) in known.fields.items() if alarming}
        return ((f"{known.topic}/get", msgspec.json.encode(wanted)),) if wanted else ()

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        known = self._topics.get(topic)
        if known is not None:
            for device in known:
                _state(device, message_of(payload), payload, retained=retained, into=into)
            return True
        under = self._bridges.get(topic)
        if under is not None:
            for device in under:
                _availability(device, message_of(payload), retained=None, into=into)
            return True
        return self._beside(topic, payload, retained=retained, into=into)

    def _beside(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """A topic below a device's: availability, one attribute, or a command of somebody, which says nothing."""
        name, _, last = topic.rpartition("/")
        while name:
            for device in self._topics.get(name, ()):
                _below(device, last, payload, retained=retained, into=into)
            if name in self._topics:
                return True
            name, _, above = name.rpartition("/")
            last = f"{above}/{last}"
        return False


def _install(device: Device, ids: Mapping[str, int]) -> _Installed:
    options = options_of(device, Options)
    base = options.base or options.topic.partition("/")[0]
    name = options.topic.removeprefix(f"{base}/")
    if not name or name == options.topic or name.startswith("bridge/") or set("+#\0") & set(options.topic):
        raise ValueError(f'topic "{options.topic}": write <base>/<friendly name>, as in zigbee2mqtt/kitchen-gas')
    specs = specs_of(device, ids)
    texts = [point for point, spec in specs.items() if spec.kind is Kind.TEXT]
    known = _Installed(options.topic, base, options.attributes, min(specs), min(texts, default=min(specs)))
    for point, spec in specs.items():
        if spec.kind is not Kind.TEXT:
            decode = msgspec.convert(spec.decode, _Decode, strict=False)
            read = decode.reader(spec)
            alarming = can_alarm(spec)
            known.fields[decode.field or spec.name] = (point, read, alarming)
    return known


def _below(device: _Installed, last: str, payload: bytes, *, retained: bool, into: Decoded) -> None:
    if last == "availability":
        _availability(device, message_of(payload), retained=retained, into=into)
    elif last.partition("/")[0] in _COMMANDS:
        into.problems.append("command")
    elif last in device.fields or last == "test":
        message = message_of(payload)
        if isinstance(message, Unreadable):
            into.problems.append(message.value)
            return
        _fields(device, {last: message}, 0, retained=retained, into=into)
        if last == "test":
            _test(device, message, 0, payload, retained=retained, into=into)
    else:
        into.problems.append("unknown_field")


def _state(device: _Installed, message: object, payload: bytes, *, retained: bool, into: Decoded) -> None:
    if not isinstance(message, dict):
        into.problems.append(message.value if isinstance(message, Unreadable) else "not_json")
        return
    time = 0
    seen = message.get("last_seen")
    if seen is not None:
        found = source_time(seen, UTC)
        time = found or 0
        if found is None:
            into.problems.append("bad_time")
    _test(device, message.get("test"), time, payload, retained=retained, into=into)
    _fields(device, message, time, retained=retained, into=into)


def _fields(device: _Installed, message: Mapping[str, object], time: int, *, retained: bool, into: Decoded) -> None:
    """Append the readings of a message, a sign of life if there is none.

    The bridge writes null for what it does not know (yet): that is BAD like everywhere, not normal.
    """
    before = len(into.rows)
    tested = not retained and _on(message.get("test"))
    for name, (point, read, alarming) in device.fields.items():
        raw = message.get(name, MISSING)
        if raw is MISSING or (alarming and tested):
            continue
        value, told = read(raw)
        into.rows.append((point, time, value, as_retained(told) if retained else told))
    if len(into.rows) == before and not retained:
        into.heard.append(device.point)


def _test(device: _Installed, raw: object, time: int, payload: bytes, *, retained: bool, into: Decoded) -> None:
    """Tell the beginning of a test once; the bridge repeats the field in every message."""
    if raw is None or retained:
        return
    on = _on(raw)
    if on and not device.test_told:
        into.events.append(Event(device.events, "", EventCode.TEST, "self-test", time, payload))
    if on:
        into.problems.append("test_active")
    device.test_told = on


def _on(test: object) -> bool:
    return test is True or test == 1


def _availability(device: _Installed, message: object, *, retained: bool | None, into: Decoded) -> None:
    """`online` or `offline`, as JSON or plain; offline makes every point BAD. `retained` None: the bridge's own.

    The bridge empties the topic of a device that it removes or gives another name: nothing will come here any more.
    """
    said = message.get("state") if isinstance(message, dict) else message
    emptied = said is Unreadable.EMPTY and retained is False
    if emptied:
        into.problems.append("renamed_or_removed")
    if said == "offline" or emptied:
        into.rows.extend((point, 0, *OFFLINE) for point, _, _ in device.fields.values())
    elif said != "online":
        into.problems.append("unknown_availability")
    elif retained is False:
        into.heard.append(device.point)
