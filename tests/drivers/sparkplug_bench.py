"""The Sparkplug dialect with two devices of one node, by hand."""

from __future__ import annotations

from typing import Any

from drivers._profiles import profile, tailor
from drivers.dialects import sparkplug as dialects
from drivers.simulated.mqtt_devices import Message
from drivers.simulated.sparkplug_node import NODE
from gateway.model.point import Device
from gateway.model.ports import Decoded, DialectSetup, Publication
from gateway.protocols import sparkplug
from gateway.protocols.sparkplug import DataType

REQUEST = Publication("spBv1.0/g/NCMD/n", sparkplug.rebirth(), qos=0)


def made(entries: list[dict[str, Any]]) -> tuple[dialects.Sparkplug, dict[str, int], list[Device]]:
    devices = [
        Device(
            id=entry["id"],
            source="b",
            profile=tailor(profile(entry["profile"]), entry.get("points", {})),
            options=entry["options"],
        )
        for entry in entries
    ]
    names = [f"{device.id}.{spec.name}" for device in devices for spec in device.profile.points]
    ids = {name: number for number, name in enumerate(names, 10)}
    return dialects.create(DialectSetup(devices=devices, point_ids=ids, source_events=1)), ids, devices


DEVICES: list[dict[str, Any]] = [
    {"id": "smoke", "profile": "sparkplug-smoke", "options": {"group": "g", "node": "n", "device": "d1"}},
    {"id": "tank", "profile": "sparkplug-level", "options": {"group": "g", "node": "n"}},
]
METRICS = {
    NODE: {"Inputs/Level": DataType.FLOAT},
    "d1": {"Inputs/Smoke": DataType.BOOLEAN, "Inputs/Temperature": DataType.INT16, "Inputs/Fault": DataType.UINT8},
}
POINTS = {"Inputs/Level": "tank.level", "Inputs/Smoke": "smoke.smoke", "Inputs/Temperature": "smoke.temperature"}


def heard(dialect: dialects.Sparkplug, messages: list[Message]) -> Decoded:
    into = Decoded()
    for message in messages:
        assert dialect.decode(message.topic, message.payload, retained=message.retain, into=into)
    return into
