"""Players of configured MQTT devices: each speaks its own dialect, with the topics and envelopes that this has.

Between `drivers.simulated.station` and the encoders of firmwares, LoRaWAN servers, NB-IoT platforms and Sparkplug
nodes. Pure: seconds are an argument. Keeps house rules 9 (fakes ship) and 2. What cannot be said in a dialect has no
player, and who asked is told so.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, cast

from drivers._json_path import steps
from drivers.simulated import mqtt_devices, mqtt_firmware
from drivers.simulated.behaviour import constant
from drivers.simulated.lora_devices import LoraDevice
from drivers.simulated.mqtt_devices import Message, Quantity
from drivers.simulated.mqtt_shown import Shown, shown
from drivers.simulated.nb_devices import CtwingDevice, OnenetDevice
from drivers.simulated.payloads import payload
from drivers.simulated.sparkplug_player import SparkplugPlayer, sparkplug
from gateway.model.point import Device, Kind

EPOCH = 1_790_000_000.0  # s since 1970: second 0 where nobody says when that is
_PERIOD = 30.0  # s between two reports of what is not wired
_NOBODY = "undefined"  # what CTWing writes for an id that it does not know


class Hearing(Protocol):
    """What a player may have beside `Device`: it answers."""

    @property
    def filter(self) -> str:
        """What it subscribes to."""

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Return the answer to a message."""


@dataclass(slots=True)
class Reporting:
    """Whatever tells all it has every so often. `say`: seconds → what is published then."""

    say: Callable[[float], list[Message]]
    _next: float = 0.0

    def at(self, t: float) -> list[Message]:
        """Return what it publishes after t seconds."""
        if t < self._next:
            return []
        self._next = t + _PERIOD
        return self.say(t)


def players(
    devices: Sequence[Device], calm: Mapping[str, float], begins: float = EPOCH
) -> Iterator[tuple[Device, mqtt_devices.Device | None]]:
    """Yield each device of a source with its player, None where none can be made.

    Devices of one Sparkplug node share theirs. `begins`: s since 1970 of second 0.
    """
    nodes: dict[tuple[str, str], SparkplugPlayer] = {}
    for seed, device in enumerate(devices):
        if device.profile.driver == "sparkplug":
            yield device, sparkplug(device, shown(device, calm), nodes, begins)
        else:
            yield device, player(device, seed, calm, begins)


def player(device: Device, seed: int, calm: Mapping[str, float], begins: float = EPOCH) -> mqtt_devices.Device | None:
    """Return the player of one device in the dialect of its profile, None where none can be made."""
    points = shown(device, calm)
    options = {**device.profile.options, **device.options}
    build = _DIALECTS.get(device.profile.driver, _plain)
    return build(_Site(device, options, points, Random(seed), begins)) if points else None


@dataclass(frozen=True, slots=True)
class _Site:
    device: Device
    options: Mapping[str, Any]
    points: list[Shown]
    random: Random
    begins: float

    def text(self, key: str) -> str:
        return str(self.options.get(key, ""))

    def fields(self) -> dict[str, object]:
        """Return the message that says all; a place that several points read says what the first wants."""
        found: dict[str, object] = {}
        for point in self.points:
            if point.way and point.way not in found:
                found[point.way] = point.word
        return mqtt_devices.nested(found)

    def data(self) -> bytes:
        """Return the raw payload of those that stand in no field."""
        return payload(
            [(point.spec.decode["bytes"], point.value) for point in self.points if not point.way and _raw(point)],
            self.options.get("raw", {}),
        )


def _raw(point: Shown) -> bool:
    return "bytes" in point.spec.decode


def _plain(site: _Site) -> mqtt_devices.Device | None:
    """JSON on a topic of its own."""
    where: Mapping[str, object] = site.options.get("where", {})
    topic = _told_at(site.text("topic"), where)
    fields = {point.way: point for point in site.points if point.way}
    if not topic or not fields:
        return None
    samples = site.text("samples")
    if samples:
        said = json.dumps(mqtt_devices.nested({".".join(map(str, steps(samples))): [site.fields()]})).encode()
        return Reporting(lambda _: [Message(topic, said)])
    quantities = {way: Quantity(constant(point.raw), digits=6, low=point.raw) for way, point in fields.items()}
    return mqtt_devices.MqttDevice(topic, quantities, site.random)


def _told_at(pattern: str, where: Mapping[str, object] = {}) -> str:
    """Return a topic that fits a pattern with wildcards."""
    levels = pattern.split("/")
    named = [str(where.get(level[1:-1], "0")) if level.startswith("{") else level for level in levels]
    return "/".join("0" if level in ("+", "#") else level for level in named)


def _physics(site: _Site, names: Mapping[str, str]) -> mqtt_firmware.Physics:
    """Return the points that have a name in a firmware: states as yes or no, the rest as numbers."""
    mine = [point for point in site.points if point.spec.name in names]
    states, numbers, words = {}, {}, Counter[str]()
    for point in mine:  # the bits of a word are told by the word
        words[point.way] += round(point.raw) << point.spec.decode.get("bit", 0)
    for point in mine:
        if point.spec.kind is Kind.STATE and "bit" not in point.spec.decode:
            states[point.spec.name] = bool(point.raw)
        else:
            raw = float(words[point.way]) if "bit" in point.spec.decode else point.raw
            numbers[point.spec.name] = Quantity(constant(raw), digits=6, low=raw)
    return mqtt_firmware.Physics(numbers, relays=states, random=site.random)


def _firmware(
    make: type[mqtt_firmware.Firmware], name: Callable[[Shown, _Site], str]
) -> Callable[[_Site], mqtt_devices.Device | None]:
    def build(site: _Site) -> mqtt_devices.Device | None:
        names = {point.spec.name: found for point in site.points if (found := name(point, site))}
        own = {key for key in ("full_topic", "prefixes", "status") if site.options.get(key)}
        if own or not names or not site.text("topic"):  # topics that these firmwares have only when they are told
            return None
        return make(site.text("topic"), _physics(site, names), names, begins=site.begins)

    return build


def _tasmota_name(point: Shown, site: _Site) -> str:
    unit = site.text("unit")
    return f"ZbReceived.{unit}.{point.way}" if unit else point.way


def _esphome_name(point: Shown, site: _Site) -> str:
    del site
    decode, kind = point.spec.decode, "binary_sensor" if point.spec.kind is Kind.STATE else "sensor"
    return "" if decode.get("topic") else str(decode.get("entity") or f"{kind}/{point.spec.name}")


def _shelly_name(point: Shown, site: _Site) -> str:
    del site
    component = str(point.spec.decode.get("component", ""))
    return f"{component} {point.way}" if component.partition(":")[2].isdigit() else ""


def _announced(site: _Site) -> mqtt_devices.Device | None:
    """What was learnt from discovery: every point has its topic, and a path there."""
    topics: dict[str, list[Shown]] = {}
    for point in site.points:
        if point.spec.decode.get("topic"):
            topics.setdefault(str(point.spec.decode["topic"]), []).append(point)
    found = [_there(entry) for entry in site.options.get("availability", ())]
    for topic, points in topics.items():
        alone = str(points[0].spec.decode.get("path", "$")) == "$"
        fields: dict[str, object] = {}
        for point in points:
            fields.setdefault(point.way, point.word)
        said = str(points[0].word) if alone else json.dumps(mqtt_devices.nested(fields), ensure_ascii=False)
        found.append(Message(topic, said.encode()))
    return Reporting(lambda _: found) if topics else None


def _there(entry: Mapping[str, str]) -> Message:
    way, word = steps(entry.get("path", "$")), entry.get("online", "online")
    said = json.dumps(mqtt_devices.nested({".".join(map(str, way)): word})) if way else word
    return Message(entry["topic"], said.encode(), retain=True)


def _lora(site: _Site) -> mqtt_devices.Device | None:
    chirpstack = site.device.profile.driver == "chirpstack"
    application = site.text("application").replace("+", "") or "1"
    name = site.text("dev_eui").lower() if chirpstack else site.text("device")
    fields, data, base = site.fields(), site.data(), site.text("base").strip("/")
    if not (fields or data) or not name:
        return None
    device = LoraDevice("chirpstack" if chirpstack else "ttn", application, name, site.random)

    def say(t: float) -> list[Message]:
        said = device.up(data, fields, site.begins + t)
        return [one._replace(topic=f"{base}/{one.topic}") for one in said] if base else said

    return Reporting(say)


def _ctwing(site: _Site) -> mqtt_devices.Device | None:
    fields, data = site.fields(), site.data()
    if data:
        fields |= mqtt_devices.nested({site.text("base64") or "APPdata": b64encode(data).decode()})
    device = CtwingDevice(
        site.random,
        topic=_told_at(site.text("topic")),
        device_id=site.text("device_id") or _NOBODY,
        imei=site.text("imei") or _NOBODY,
        product=site.text("product"),
    )
    return Reporting(lambda t: device.report(fields, round(1000 * (site.begins + t)))) if fields else None


def _onenet(site: _Site) -> mqtt_devices.Device | None:
    fields, data = site.fields(), site.data()
    if data and site.text("hex"):
        fields |= mqtt_devices.nested({site.text("hex"): data.hex()})
    elif data and site.text("base64"):
        fields |= mqtt_devices.nested({site.text("base64"): b64encode(data).decode()})
    device = OnenetDevice(site.random, product=site.text("product"), name=site.text("device"))
    return Reporting(lambda t: device.post(fields, round(1000 * (site.begins + t)))) if fields else None


_DIALECTS: Mapping[str, Callable[[_Site], mqtt_devices.Device | None]] = {
    "tasmota": _firmware(mqtt_firmware.TasmotaDevice, _tasmota_name),
    "esphome": _firmware(mqtt_firmware.EsphomeNode, _esphome_name),
    "shelly": _firmware(mqtt_firmware.ShellyDevice, _shelly_name),
    "homeassistant": _announced,
    "chirpstack": _lora,
    "ttn": _lora,
    "ctwing": _ctwing,
    "onenet": _onenet,
}


def answers(player: mqtt_devices.Device) -> Hearing | None:
    """Return what of a player answers, None: it only speaks."""
    return cast("Hearing", player) if isinstance(player, SparkplugPlayer) else None
