"""A simulated device that announces itself by Home Assistant's MQTT discovery, as Zigbee2MQTT does for its own.

Pure, beside `mqtt_firmware.py`; the opposite direction of the `homeassistant` dialect. Keeps house rule 9 (fakes ship).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drivers.simulated.mqtt_devices import Message
from drivers.simulated.mqtt_firmware import Firmware, Values, as_json


class AnnouncedDevice(Firmware):
    """A device that announces itself by Home Assistant's discovery; `names` are `platform device_class unit`."""

    @property
    def filters(self) -> Sequence[str]:
        """Its commands."""
        return (f"{self.topic}/+/set",)

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
        return as_json(f"homeassistant/device/{self.topic}/config", told, retain=True)

    def whole(self, values: Values, t: float) -> list[Message]:
        """One JSON object."""
        del t
        return [as_json(self.topic, values)]

    def change(self, turned: Values, t: float) -> list[Message]:
        """The same with what turned."""
        return self.whole(turned, t)

    def answer(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """A switch."""
        relay = topic.removeprefix(f"{self.topic}/").removesuffix("/set")
        return self.change({relay: self.switch(relay, payload)}, t) if relay in self.physics.relays else []
