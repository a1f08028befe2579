"""Devices that publish by themselves, as their firmware has it: what all have, ESPHome and Shelly.

Pure, for demo, `simulate` and tests: the opposite direction of those dialects. Keeps house rules 9 (fakes ship, faults
on demand) and 2 (seconds and a seeded random source are arguments). `at` says what is published when, `hear` what the
device answers to a command or question. What is measured is the same for all; a firmware only says it in its own way.
Tasmota stands in `mqtt_tasmota.py`, what announces itself to Home Assistant in `mqtt_announced.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from drivers.simulated.mqtt_devices import Flag, Message, MqttFault, Quantity, nested, spoilt
from drivers.simulated.mqtt_shown import Shown
from gateway.model.point import Kind

Values = Mapping[str, float | bool]
_EPOCH = 1_790_000_000  # what the devices take for the beginning
_WORDS = {b"ON": True, b"1": True, b"TRUE": True, b"OFF": False, b"0": False, b"FALSE": False}
_TURN = (b"TOGGLE", b"2")  # what turns a relay round
_BAD_REQUEST, _NO_HANDLER = -103, 404  # error codes of a Shelly


class Physical(Protocol):
    """What happens at a device."""

    @property
    def relays(self) -> dict[str, bool]:
        """Outputs and how they stand; a command changes them."""

    @property
    def random(self) -> Random:
        """The source of noise."""

    def look(self, t: float) -> Values:
        """Return what is so after t seconds, by name: yes and no as booleans."""

    def show(self, points: Sequence[Shown]) -> None:
        """Let these points be so from now on; all others are as at rest."""


@dataclass(slots=True)
class Physics:
    """What happens at a device: numbers, and flags that follow them; `relays` are set by commands."""

    quantities: Mapping[str, Quantity]
    flags: Mapping[str, Flag] = field(default_factory=dict)
    relays: dict[str, bool] = field(default_factory=dict)
    random: Random = field(default_factory=lambda: Random(1))
    state: dict[str, bool] = field(default_factory=dict)
    told: Values = field(default_factory=dict)

    def look(self, t: float) -> Values:
        """Return every quantity, flag and relay after t seconds."""
        values = {name: quantity.at(t, self.random) for name, quantity in self.quantities.items()}
        for name, flag in self.flags.items():
            self.state[name] = values[flag.quantity] >= (flag.off if self.state.get(name) else flag.on)
        return {**values, **self.state, **self.told, **self.relays}

    def show(self, points: Sequence[Shown]) -> None:
        """Let these points be so, whatever the rest does."""
        self.told = {one.spec.name: bool(one.raw) if one.spec.kind is Kind.STATE else one.raw for one in points}


@dataclass(slots=True)
class Firmware:
    """A device: every `period` s it tells everything, and a flag or relay that turns at once.

    Attributes:
        topic: as its dialect's device has it.
        names: what is measured → where its firmware puts it; what is not named there is not told.
        fault: change it at any time; `gone` is told by the broker as its last will.
        begins: s since 1970 of second 0, by its own clock.
    """

    topic: str
    physics: Physical
    names: Mapping[str, str]
    period: float = 30.0
    fault: MqttFault = field(default_factory=MqttFault)
    begins: float = _EPOCH
    _last: dict[str, float | bool] = field(default_factory=dict)
    _next: float = 0.0
    _there: bool = False

    @property
    def filters(self) -> Sequence[str]:
        """What it subscribes to."""
        raise NotImplementedError

    @property
    def stays(self) -> bool:
        """Whether it keeps its connection."""
        return not self.fault.gone

    def connect(self) -> Message | None:
        """Begin a connection; return the last will, if it has one. Birth and everything are said next."""
        self._there, self._next = False, 0.0
        said = self.presence(there=False)
        return said[-1] if said else None

    def show(self, points: Sequence[Shown], device: str = "") -> None:
        """Let these points be so from now on: what turns is told, then everything."""
        del device
        self.physics.show(points)
        self._next = 0.0

    def at(self, t: float) -> list[Message]:
        """Return what is published after t seconds; called with growing t."""
        found = self._presence()
        if self.fault.gone or self.fault.silent:
            return found
        values = self._last if self.fault.stuck and self._last else self._seen(t)
        turned = {
            name: value for name, value in values.items() if type(value) is bool and value != self._last.get(name)
        }
        born, before, self._last = bool(found), self._last, dict(values)
        if turned and before and not born:
            found += self._spoilt(self.change(turned, t))
        if born or t >= self._next:
            self._next = t + self.period
            found += self._spoilt(self.whole(values, t))
        return found

    def hear(self, topic: str, payload: bytes, t: float = 0.0) -> list[Message]:
        """Return what it answers to a message of somebody; nothing while it is not there."""
        return [] if self.fault.gone or self.fault.silent else self.answer(topic, payload, t)

    def _seen(self, t: float) -> Values:
        return {name: value for name, value in self.physics.look(t).items() if name in self.names}

    def _presence(self) -> list[Message]:
        if self._there is not self.fault.gone:
            return []
        self._there = not self.fault.gone
        return self.presence(there=self._there)

    def _spoilt(self, messages: list[Message]) -> list[Message]:
        if not self.fault.garbage:
            return messages
        return [message._replace(payload=spoilt(message.payload, self.physics.random)) for message in messages]

    def relay(self, place: str) -> str:
        """Return the name of the output at a place of the firmware; nothing: there is none."""
        return next((name for name in self.physics.relays if self.names.get(name) == place), "")

    def switch(self, relay: str, payload: bytes) -> bool:
        """Obey a command; return how the output stands. What is no command of the firmware changes nothing."""
        word, before = payload.strip().upper(), self.physics.relays[relay]
        now = not before if word in _TURN else _WORDS.get(word, before)
        self.physics.relays[relay] = self._last[relay] = now
        return now

    def presence(self, *, there: bool) -> list[Message]:
        """Return birth or last will."""
        raise NotImplementedError

    def whole(self, values: Values, t: float) -> list[Message]:
        """Return messages with everything."""
        raise NotImplementedError

    def change(self, turned: Values, t: float) -> list[Message]:
        """Return messages with what turned."""
        raise NotImplementedError

    def answer(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Return the answer to a command or question."""
        raise NotImplementedError


@dataclass(slots=True)
class EsphomeNode(Firmware):
    """An ESPHome node; `names` are entities: `sensor/temperature`, `binary_sensor/smoke`, `switch/relay`.

    Attributes:
        status: topic of birth and will, where it is another than usual.
    """

    status: str = ""

    @property
    def filters(self) -> Sequence[str]:
        """Its commands."""
        return (f"{self.topic}/+/+/command",)

    def presence(self, *, there: bool) -> list[Message]:
        """Birth and last will, retained."""
        where = self.status or f"{self.topic}/status"
        return [Message(where, b"online" if there else b"offline", retain=True)]

    def whole(self, values: Values, t: float) -> list[Message]:
        """Every entity, retained."""
        del t
        return [self._state(name, value) for name, value in values.items()]

    def change(self, turned: Values, t: float) -> list[Message]:
        """The entities that turned."""
        return self.whole(turned, t)

    def answer(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """A switch tells a change only."""
        del t
        relay = self.relay(topic.removeprefix(f"{self.topic}/").removesuffix("/command"))
        if not relay:
            return []
        before, now = self.physics.relays[relay], self.switch(relay, payload)
        return [] if now is before else [self._state(relay, now)]

    def _state(self, name: str, value: float | bool) -> Message:  # noqa: FBT001 - a value, no switch
        word = on_off(value) if isinstance(value, bool) else repr(value)
        return Message(f"{self.topic}/{self.names[name]}/state", word.encode(), retain=True)


class ShellyDevice(Firmware):
    """A Shelly Gen2; `names` are `component field`: `smoke:0 alarm`, `devicepower:0 battery.percent`."""

    @property
    def filters(self) -> Sequence[str]:
        """Requests."""
        return (f"{self.topic}/rpc",)

    def presence(self, *, there: bool) -> list[Message]:
        """`online`, retained."""
        return [Message(f"{self.topic}/online", b"true" if there else b"false", retain=True)]

    def whole(self, values: Values, t: float) -> list[Message]:
        """NotifyFullStatus."""
        return [self._notify("NotifyFullStatus", values, t)]

    def change(self, turned: Values, t: float) -> list[Message]:
        """NotifyStatus with nothing else."""
        return [self._notify("NotifyStatus", turned, t)]

    def answer(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Shelly.GetStatus and Switch.Set; a change is notified too. What names no `src` gets no answer."""
        del topic
        asked = _object(payload)
        src = asked.get("src")
        if not isinstance(src, str) or not src.isprintable() or set("+#") & set(src):
            return []
        params = found if isinstance(found := asked.get("params"), dict) else {}
        told: dict[str, object] = {}
        notified: list[Message] = []
        match asked.get("method"):
            case "Shelly.GetStatus":
                told["result"] = self._status(self._seen(t))
            case "Switch.Set" if not isinstance(params.get("on"), bool):
                told["error"] = {"code": _BAD_REQUEST, "message": "Missing required argument 'on'!"}
            case "Switch.Set" if relay := self.relay(f"switch:{params.get('id')} output"):
                before = self.physics.relays[relay]
                now = self.switch(relay, b"ON" if params["on"] else b"OFF")
                told["result"] = {"was_on": before}
                notified = [] if now is before else self.change({relay: now}, t)
            case method:
                told["error"] = {"code": _NO_HANDLER, "message": f"No handler for {method}"}
        frame = {"id": asked.get("id"), "src": self.topic, "dst": src, **told}
        return [as_json(f"{src}/rpc", frame), *notified]

    def _notify(self, method: str, values: Values, t: float) -> Message:
        params = {"ts": round(self.begins + t, 2), **self._status(values)}
        frame = {"src": self.topic, "dst": f"{self.topic}/events", "method": method, "params": params}
        return as_json(f"{self.topic}/events/rpc", frame)

    def _status(self, values: Values) -> dict[str, Any]:
        found: dict[str, dict[str, object]] = {}
        for name, value in values.items():
            component, _, place = self.names[name].partition(" ")
            found.setdefault(component, {"id": int(component.partition(":")[2])})[place] = value
        return {component: nested(fields) for component, fields in found.items()}


def on_off(value: object) -> str:
    """Return how firmwares spell yes and no."""
    return "ON" if value else "OFF"


def as_json(topic: str, told: object, *, retain: bool = False) -> Message:
    """Return a message of JSON."""
    return Message(topic, json.dumps(told, ensure_ascii=False).encode(errors="replace"), retain)


def _object(payload: bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one for what is none."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
