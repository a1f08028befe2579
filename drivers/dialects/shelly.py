"""The `shelly` dialect: notifications, component status and answers of Shelly devices of the second generation and on.

Between the `mqtt` driver and the intake; pure (house rule 2). Follows the Gen2+ API (Notifications, Mqtt, Smoke, Flood,
Switch): `<prefix>/online`, `<prefix>/events/rpc` with NotifyStatus, NotifyFullStatus and NotifyEvent,
`<prefix>/status/<component>:<id>` (if "generic status update" is on), and answers to our requests.

A NotifyStatus is a *partial overlay*: what it leaves out has not changed. A point keeps what it has, so nothing is
merged here; but after an absence, and before anything else is known, what was left out is unknown: the full status is
then asked for.

Keys of a `[[device]]`: `topic` (the prefix, by default the device's id `shelly<model>-<mac>`), `sleeps` (a battery
device that wakes to speak: `online` false says nothing), `answers` (a topic for answers to our requests).

`decode` of a point: `component` (`smoke:0`), `field` inside it (`battery.percent`; default: the point's name), `words`,
`scale`, `offset`, `write` (true: the output of a switch, set by Switch.Set).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

import msgspec

from drivers._installing import install, options_of
from drivers._json_path import MISSING, Find, finder
from drivers._mqtt_thing import Read, Thing, fit_topic, frame_of, raw_state, specs_of, word_of
from drivers._payload import Unreadable, message_of
from drivers._times import source_time
from drivers._values import Spelling
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.ports import Decoded, DialectSetup, Publication

_STATUS = ("NotifyStatus", "NotifyFullStatus")
# What a component says happened → the state it means, for components that have one (Smoke and Flood, status `alarm`).
_ALARM = {"alarm": True, "alarm_off": False}
_CODES = {("smoke", "alarm"): EventCode.FIRE, ("flood", "alarm"): EventCode.FLOOD}
_ENDS = {"alarm_off": EventCode.RESTORE, "alarm_test": EventCode.TEST, "cable_unplugged": EventCode.FAULT}


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a shelly device, see above."""

    topic: str
    sleeps: bool = False
    open: bool = False


OPTIONS = Options


class _Decode(Spelling, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point."""

    component: str
    field: str = ""
    write: bool = False


@dataclass(slots=True)
class _Shelly(Thing):
    """One device. `whole`: every point has been told since it came, so that partial updates complete nothing else."""

    prefix: str = ""
    answers: str = ""
    whole: bool = False
    components: dict[str, list[tuple[int, Find, Read, str]]] = field(default_factory=dict)
    outputs: dict[str, tuple[int, PointSpec]] = field(default_factory=dict)

    def question(self) -> Publication:
        """Return the request for the full status."""
        return self.request("Shelly.GetStatus", {})

    def request(self, method: str, params: Mapping[str, object]) -> Publication:
        """Return a request; its answer goes to `<answers>/rpc`."""
        frame = {"id": 1, "src": self.answers, "method": method, "params": params}
        return Publication(f"{self.prefix}/rpc", msgspec.json.encode(frame))


def create(setup: DialectSetup) -> Shelly:
    """Build the dialect. Raises ConfigError that names every device and key that is wrong."""
    return Shelly(setup)


class Shelly:
    """All Shelly devices of one source (ports `Dialect`, `Polling` and `Commanding`)."""

    def __init__(self, setup: DialectSetup) -> None:
        self._devices = install(setup, _install)
        self._topics: dict[str, list[_Shelly]] = {}  # of events and answers
        self._online: dict[str, list[_Shelly]] = {}
        self._status: dict[str, list[_Shelly]] = {}
        for known in self._devices.values():
            for topic in (f"{known.prefix}/events/rpc", f"{known.answers}/rpc"):
                self._topics.setdefault(topic, []).append(known)
            self._online.setdefault(f"{known.prefix}/online", []).append(known)
            self._status.setdefault(f"{known.prefix}/status", []).append(known)

    def filters(self, device: Device) -> Sequence[str]:
        """Return the topics of a device."""
        known = self._devices[device.id]
        under = (f"{known.prefix}/{name}" for name in ("online", "events/rpc", "status/+"))
        return (*under, f"{known.answers}/rpc")

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:
        """Return the request for the full status; a device that sleeps tells it when it wakes."""
        known = self._devices[device.id]
        return () if known.sleeps else (known.question()[:2],)

    def poll(self, device: Device) -> Sequence[Publication]:
        """Return the same: inputs and relays tell changes only."""
        return [Publication(*question) for question in self.ask(device)]

    def command(self, device: Device, point: str, value: float) -> Sequence[Publication]:
        """Return what sets a switch and asks for its state: a device notifies changes only."""
        known = self._devices[device.id]
        if point not in known.outputs:
            return ()
        number, spec = known.outputs[point]
        change = known.request("Switch.Set", {"id": number, "on": raw_state(spec, value)})
        return (change, known.question())

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's."""
        online = self._online.get(topic, ())
        for device in online:
            _online(device, payload, retained=retained, into=into)
        for device in self._topics.get(topic, ()):
            _frame(device, payload, retained=retained, into=into)
        head, _, component = topic.rpartition("/")
        under = self._status.get(head, ())
        for device in under:
            _component(device, component, payload, retained=retained, into=into)
        return bool(online or under or topic in self._topics)


def _install(device: Device, ids: Mapping[str, int]) -> _Shelly:
    options = options_of(device, Options)
    prefix = fit_topic(options.topic)
    specs = specs_of(device, ids)
    known = _Shelly(*frame_of(specs), options.sleeps, prefix=prefix, answers=f"firegrid/{prefix}")
    for point, spec in specs.items():
        if spec.kind is Kind.TEXT:
            continue
        decode = msgspec.convert(spec.decode, _Decode, strict=False)
        name = decode.field or spec.name
        read = decode.reader(spec)
        known.components.setdefault(decode.component, []).append((point, finder(name), read, name))
        if decode.write:
            kind, _, number = decode.component.partition(":")
            if kind != "switch" or not number.isdecimal():
                raise ValueError(f'point {spec.name}: only a switch is an output, not "{decode.component}"')
            known.outputs[spec.name] = (int(number), spec)
    return known


def _online(device: _Shelly, payload: bytes, *, retained: bool, into: Decoded) -> None:
    said = payload.strip().lower()
    if said == b"false":
        device.whole = False
        device.left(into)
    elif said == b"true":
        device.came(into, retained=retained)
        if not retained and not device.sleeps:
            into.replies.append(device.question())
    else:
        into.problems.append("unknown_availability")


def _object(payload: bytes, into: Decoded) -> Mapping[str, object] | None:
    message = message_of(payload)
    if isinstance(message, dict):
        return message
    into.problems.append(message.value if isinstance(message, Unreadable) else "not_json")
    return None


def _frame(device: _Shelly, payload: bytes, *, retained: bool, into: Decoded) -> None:
    """Read a notification, or the answer to a request."""
    message = _object(payload, into)
    if message is None:
        return
    method, params = message.get("method"), message.get("params")
    if method is None and "id" in message:
        _answer(device, message, retained=retained, into=into)
    elif not isinstance(params, dict):
        into.problems.append("no_params")
    elif method in _STATUS:
        full = method == "NotifyFullStatus"
        _status(device, params, _time(params, into.problems), full=full, retained=retained, into=into)
    elif method == "NotifyEvent":
        _events(device, params, payload, retained=retained, into=into)
    else:
        into.problems.append("unknown_method")


def _answer(device: _Shelly, message: Mapping[str, object], *, retained: bool, into: Decoded) -> None:
    result = message.get("result")
    if isinstance(result, dict):
        full = any(component in result for component in device.components)
        _status(device, result, 0, full=full, retained=retained, into=into)
    else:
        into.problems.append("refused_command")


def _status(
    device: _Shelly, params: Mapping[str, object], time: int, *, full: bool, retained: bool, into: Decoded
) -> None:
    before = len(into.rows)
    for component in device.components:
        if component in params:
            _fields(device, component, params[component], time, into)
    if not retained:
        device.whole = device.whole or full
        if not device.whole and not device.sleeps:
            into.replies.append(device.question())
    device.told(into, before, retained=retained)


def _fields(device: _Shelly, component: str, status: object, time: int, into: Decoded) -> None:
    """Append what a component says. One that is null is gone: its points are unknown, not as they were."""
    for point, find, read, _ in device.components[component]:
        raw = find(status) if isinstance(status, dict) else None
        if raw is not MISSING:
            into.rows.append((point, time, *read(raw)))


def _component(device: _Shelly, component: str, payload: bytes, *, retained: bool, into: Decoded) -> None:
    message = _object(payload, into)
    if message is None:
        return
    before = len(into.rows)
    if component in device.components:
        _fields(device, component, message, 0, into)
    device.told(into, before, retained=retained)


def _events(device: _Shelly, params: Mapping[str, object], payload: bytes, *, retained: bool, into: Decoded) -> None:
    before = len(into.rows)
    events = params.get("events")
    if not isinstance(events, list):
        into.problems.append("no_params")
        return
    for entry in events:
        if not isinstance(entry, dict):
            into.problems.append("bad_event")
            continue
        component, name = (word_of(entry.get(key)) for key in ("component", "event"))
        time = _time(entry, into.problems) or _time(params, [])
        alarm = [read for read in device.components.get(component, ()) if read[3] == "alarm"]
        if name in _ALARM and alarm and not retained:  # the state has a point: one alarm, not two
            into.rows.extend((point, time, *read(_ALARM[name])) for point, _, read, _ in alarm)
            continue
        kind = component.partition(":")[0]
        code = _CODES.get((kind, name)) or _ENDS.get(name, EventCode.INFO)
        told = Event(device.events, component, code, name, time, payload)
        device.event(into, told, retained=retained)
    device.told(into, before, retained=retained)


def _time(params: Mapping[str, object], problems: list[str]) -> int:
    """Return the time of a message, ns. Before a device has the time its `ts` is a small number: judged behind."""
    raw = params.get("ts")
    found = None if raw is None else source_time(raw, UTC, "s")
    if raw is not None and found is None:
        problems.append("bad_time")
    return (((found or 0) + 500) // 1000) * 1000  # a float of seconds has no nanoseconds
