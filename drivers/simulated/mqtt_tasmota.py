"""Tasmota as a simulated firmware: a device with inputs and relays, and the Zigbee nodes behind a bridge.

Pure, beside `mqtt_firmware.py`; the opposite direction of the `tasmota` dialect. Keeps house rule 9 (fakes ship).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.simulated.mqtt_devices import Message, nested
from drivers.simulated.mqtt_firmware import Firmware, Values, as_json, on_off


@dataclass(slots=True)
class TasmotaDevice(Firmware):
    """Tasmota; `names` are paths: `DS18B20.Temperature`, `Switch1`, `POWER1`. A relay that is alone is `POWER`.

    Attributes:
        full_topic: as its setting FullTopic has it; `prefixes`: cmnd, stat, tele, where they were renamed.
    """

    full_topic: str = "%prefix%/%topic%/"
    prefixes: Mapping[str, str] = field(default_factory=dict)

    @property
    def filters(self) -> Sequence[str]:
        """Its commands."""
        return (self.under("cmnd", "+"),)

    def under(self, prefix: str, last: str) -> str:
        """Return a topic of it."""
        pattern = self.full_topic.replace("%topic%", self.topic).rstrip("/")
        return f"{pattern.replace('%prefix%', self.prefixes.get(prefix, prefix))}/{last}"

    def lwt(self, *, there: bool) -> Message:
        """Return birth or last will of the device, or of the bridge that it stands behind."""
        return Message(self.under("tele", "LWT"), b"Online" if there else b"Offline", retain=True)

    def presence(self, *, there: bool) -> list[Message]:
        """LWT, retained."""
        return [self.lwt(there=there)]

    def whole(self, values: Values, t: float) -> list[Message]:
        """STATE and SENSOR."""
        state, sensor = self._split(values, t)
        return [as_json(self.under("tele", "STATE"), state), as_json(self.under("tele", "SENSOR"), sensor)]

    def change(self, turned: Values, t: float) -> list[Message]:
        """A RESULT for each input, what a relay tells for each relay."""
        del t
        found = []
        for name, value in turned.items():
            place, word = self.names[name], on_off(value)
            if place.startswith("POWER"):
                found += self._told(self._place(name), word)
            else:
                found.append(as_json(self.under("stat", "RESULT"), {place: {"Action": word}}))
        return found

    def answer(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """`STATUS 10`, `STATUS 11`, `POWERn`: each, also one that changes nothing, is answered with the state."""
        command = topic.rpartition("/")[2].upper()
        state, sensor = self._split(self._seen(t), t)
        if command == "STATUS" and payload in (b"10", b"11"):
            told = {"StatusSNS": sensor} if payload == b"10" else {"StatusSTS": state}
            return [as_json(self.under("stat", f"STATUS{payload.decode()}"), told)]
        relay = self.relay("POWER1" if command == "POWER" else command) or self.relay(command)
        if not relay:
            return [as_json(self.under("stat", "RESULT"), {"Command": "Unknown"})]
        return self._told(self._place(relay), on_off(self.switch(relay, payload)))

    def _told(self, place: str, word: str) -> list[Message]:
        """Return what a relay tells: JSON, and the plain word."""
        return [as_json(self.under("stat", "RESULT"), {place: word}), Message(self.under("stat", place), word.encode())]

    def _place(self, name: str) -> str:
        place = self.names[name]
        alone = sum(place.startswith("POWER") for place in self.names.values()) == 1
        return "POWER" if alone and place == "POWER1" else place

    def _split(self, values: Values, t: float) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what STATE and what SENSOR have: relays and the radio in the one, the rest in the other."""
        places = {self._place(name): value for name, value in values.items()}
        of_state = {place for place in places if place.startswith(("POWER", "Wifi"))}
        head = {"Epoch": round(self.begins + t)}
        state = {place: value for place, value in places.items() if place in of_state}
        sensor = {place: value for place, value in places.items() if place not in of_state}
        return {**head, **_nested(state)}, {**head, **_nested(sensor), "TempUnit": "C"}


class TasmotaNode(TasmotaDevice):
    """A node of a Tasmota bridge; `names` are paths in what it says, with the node: `ZbReceived.0x2916.Fire`."""

    @property
    def filters(self) -> Sequence[str]:
        """Nothing: it takes no commands."""
        return ()

    def presence(self, *, there: bool) -> list[Message]:
        """Nothing: only the bridge has one."""
        del there
        return []

    def whole(self, values: Values, t: float) -> list[Message]:
        """SENSOR with what the bridge received; yes and no are numbers there."""
        told = {self.names[name]: value if type(value) is float else int(value) for name, value in values.items()}
        return [as_json(self.under("tele", "SENSOR"), {"Epoch": round(self.begins + t), **_nested(told)})]

    def change(self, turned: Values, t: float) -> list[Message]:
        """The same: what turned stands in more than one place."""
        del turned
        return self.whole(self._seen(t), t)


def _nested(places: Mapping[str, object]) -> dict[str, Any]:
    return nested({place: on_off(value) if isinstance(value, bool) else value for place, value in places.items()})
