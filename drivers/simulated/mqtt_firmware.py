"""Devices that publish by themselves as Tasmota, ESPHome, Shelly and Home Assistant's discovery would have them.

Pure, for demo, `simulate` and tests: the opposite direction of those dialects. Keeps house rules 9 (fakes ship, faults
on demand) and 2 (seconds and a seeded random source are arguments). `at` says what is published when, `hear` what the
device answers to a command or question. What is measured is the same for all; a firmware only says it in its own way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from drivers.simulated.mqtt_devices import Flag, Message, MqttFault, Quantity, spoilt

Values = Mapping[str, float | bool]
_ZONE = "ZoneStatus"
_EPOCH = 1_790_000_000  # what the devices take for the beginning


@dataclass(slots=True)
class Physics:
    """What happens at a device: numbers, and flags that follow them; `relays` are set by commands."""

    quantities: Mapping[str, Quantity]
    flags: Mapping[str, Flag] = field(default_factory=dict)
    relays: dict[str, bool] = field(default_factory=dict)
    random: Random = field(default_factory=lambda: Random(1))
    state: dict[str, bool] = field(default_factory=dict)

    def look(self, t: float) -> Values:
        """Return every quantity, flag and relay after t seconds."""
        values = {name: quantity.at(t, self.random) for name, quantity in self.quantities.items()}
        for name, flag in self.flags.items():
            self.state[name] = values[flag.quantity] >= (flag.off if self.state.get(name) else flag.on)
        return {**values, **self.state, **self.relays}


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
    physics: Physics
    names: Mapping[str, str]
    period: float = 30.0
    fault: MqttFault = field(default_factory=MqttFault)
    begins: float = _EPOCH
    _last: dict[str, float | bool] = field(default_factory=dict)
    _next: float = 0.0
    _there: bool = False

    def at(self, t: float) -> list[Message]:
        """Return what is published after t seconds; called with growing t."""
        found = self._presence()
        if self.fault.gone or self.fault.silent:
            return found
        values = self._last if self.fault.stuck and self._last else self._seen(t)
        turned = {
            name: value for name, value in values.items() if type(value) is bool and value != self._last.get(name)
        }
        self._last = dict(values)
        if found or t >= self._next:
            self._next = t + self.period
            found += self._spoilt(self.whole(values, t))
        elif turned:
            found += self._spoilt(self.change(turned, t))
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

    def _relay(self, place: str) -> str:
        return next((name for name in self.physics.relays if self.names.get(name) == place), "")

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


class TasmotaDevice(Firmware):
    """Tasmota; `names` are paths: `DS18B20.Temperature`, `Switch1`, `POWER1`."""

    def presence(self, *, there: bool) -> list[Message]:
        """LWT, retained."""
        return [Message(f"tele/{self.topic}/LWT", b"Online" if there else b"Offline", retain=True)]

    def whole(self, values: Values, t: float) -> list[Message]:
        """STATE and SENSOR."""
        state, sensor = self._split(values, t)
        return [_json(f"tele/{self.topic}/STATE", state), _json(f"tele/{self.topic}/SENSOR", sensor)]

    def change(self, turned: Values, t: float) -> list[Message]:
        """A RESULT for each input and relay."""
        del t
        found = []
        for name, value in turned.items():
            place, word = self.names[name], _on(value)
            told: object = word if place.startswith("POWER") else {"Action": word}
            found.append(_json(f"stat/{self.topic}/RESULT", {place: told}))
        return found

    def answer(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """`STATUS 10`, `STATUS 11`, `POWERn`."""
        command = topic.removeprefix(f"cmnd/{self.topic}/")
        state, sensor = self._split(self._seen(t), t)
        if command == "STATUS" and payload in (b"10", b"11"):
            told = {"StatusSNS": sensor} if payload == b"10" else {"StatusSTS": state}
            return [_json(f"stat/{self.topic}/STATUS{payload.decode()}", told)]
        relay = self._relay(command)
        if not relay:
            return [_json(f"stat/{self.topic}/RESULT", {"Command": "Unknown"})]
        self.physics.relays[relay] = self._last[relay] = payload == b"ON"
        return [
            _json(f"stat/{self.topic}/RESULT", {command: payload.decode()}),
            Message(f"stat/{self.topic}/{command}", payload),
        ]

    def _split(self, values: Values, t: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what STATE and what SENSOR have: relays and the radio in the one, the rest in the other."""
        places = {self.names[name]: value for name, value in values.items()}
        places |= {place: int(value) for place, value in places.items() if place.endswith(_ZONE)}  # bits
        of_state = {place for place in places if place.startswith(("POWER", "Wifi"))}
        head = {"Epoch": round(self.begins + t)}
        state = {place: value for place, value in places.items() if place in of_state}
        sensor = {place: value for place, value in places.items() if place not in of_state}
        return {**head, **_nested(state)}, {**head, **_nested(sensor), "TempUnit": "C"}


class EsphomeNode(Firmware):
    """An ESPHome node; `names` are entities: `sensor/temperature`, `binary_sensor/smoke`, `switch/relay`."""

    def presence(self, *, there: bool) -> list[Message]:
        """Birth and last will, retained."""
        return [Message(f"{self.topic}/status", b"online" if there else b"offline", retain=True)]

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
        relay = self._relay(topic.removeprefix(f"{self.topic}/").removesuffix("/command"))
        wanted = payload == b"ON"
        if not relay or self.physics.relays[relay] is wanted:
            return []
        self.physics.relays[relay] = self._last[relay] = wanted
        return [self._state(relay, wanted)]

    def _state(self, name: str, value: float | bool) -> Message:  # noqa: FBT001 - a value, no switch
        word = _on(value) if isinstance(value, bool) else repr(value)
        return Message(f"{self.topic}/{self.names[name]}/state", word.encode(), retain=True)


class ShellyDevice(Firmware):
    """A Shelly Gen2; `names` are `component field`: `smoke:0 alarm`, `devicepower:0 battery.percent`."""

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
        """Shelly.GetStatus and Switch.Set; a change is notified too."""
        if topic != f"{self.topic}/rpc":
            return []
        asked = json.loads(payload)
        to, params = f"{asked['src']}/rpc", asked["params"]
        frame = {"id": asked["id"], "src": self.topic, "dst": asked["src"]}
        if asked["method"] == "Shelly.GetStatus":
            return [_json(to, {**frame, "result": self._status(self._seen(t))})]
        relay = self._relay(f"switch:{params['id']} output") if asked["method"] == "Switch.Set" else ""
        if not relay:
            return [_json(to, {**frame, "error": {"code": 404, "message": f"No handler for {asked['method']}"}})]
        before, wanted = self.physics.relays[relay], bool(params["on"])
        self.physics.relays[relay] = self._last[relay] = wanted
        told = [] if before is wanted else self.change({relay: wanted}, t)
        return [_json(to, {**frame, "result": {"was_on": before}}), *told]

    def _notify(self, method: str, values: Values, t: float) -> Message:
        params = {"ts": round(self.begins + t, 2), **self._status(values)}
        frame = {"src": self.topic, "dst": f"{self.topic}/events", "method": method, "params": params}
        return _json(f"{self.topic}/events/rpc", frame)

    def _status(self, values: Values) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in values.items():
            component, _, place = self.names[name].partition(" ")
            found.setdefault(component, {"id": int(component.partition(":")[2])})
            _put(found[component], place, value)
        return found


class AnnouncedDevice(Firmware):
    """A device that announces itself by Home Assistant's discovery; `names` are `platform device_class unit`."""

    def presence(self, *, there: bool) -> list[Message]:
        """Availability, retained, and with it the announcement."""
        said = Message(f"{self.topic}/availability", b"online" if there else b"offline", retain=True)
        return [self.announcement(), said] if there else [said]

    def announcement(self) -> Message:
        """Return discovery in the device form, with abbreviations."""
        components = {}
        for name, place in self.names.items():
            platform, kind, unit = (*place.split(" "), "", "")[:3]
            entry: dict[str, Any] = {
                "p": platform,
                "uniq_id": f"{self.topic}_{name}",
                "val_tpl": f"{{{{ value_json.{name} }}}}",
            }
            entry |= {"dev_cla": kind} if kind else {}
            entry |= {"unit_of_meas": unit} if unit else {}
            if platform != "sensor":
                entry |= {"pl_on": True, "pl_off": False}  # as Zigbee2MQTT says it
            if platform == "switch":
                entry["cmd_t"] = f"~/{name}/set"
            components[name] = entry
        told: dict[str, Any] = {
            "~": self.topic,
            "dev": {"ids": [self.topic]},
            "o": {"name": "simulated"},
            "stat_t": "~",
        }
        told |= {"avty": [{"t": "~/availability"}], "cmps": components}
        return _json(f"homeassistant/device/{self.topic}/config", told, retain=True)

    def whole(self, values: Values, t: float) -> list[Message]:
        """One JSON object."""
        del t
        return [_json(self.topic, values)]

    def change(self, turned: Values, t: float) -> list[Message]:
        """The same with what turned."""
        return self.whole(turned, t)

    def answer(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """A switch."""
        relay = topic.removeprefix(f"{self.topic}/").removesuffix("/set")
        if relay not in self.physics.relays:
            return []
        self.physics.relays[relay] = self._last[relay] = payload == b"true"
        return self.change({relay: self.physics.relays[relay]}, t)


def _on(value: object) -> str:
    return "ON" if value else "OFF"


def _json(topic: str, told: object, *, retain: bool = False) -> Message:
    return Message(topic, json.dumps(told, ensure_ascii=False).encode(), retain)


def _nested(places: Mapping[str, object]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place, value in places.items():
        _put(found, place, _on(value) if isinstance(value, bool) else value)
    return found


def _put(table: dict[str, Any], place: str, value: object) -> None:
    *above, last = place.split(".")
    for key in above:
        table = table.setdefault(key, {})
    table[last] = value
