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
from dataclasses import dataclass, field
from functools import partial
from random import Random

from drivers._json_path import steps
from drivers.simulated import mqtt_devices, mqtt_firmware
from drivers.simulated.lora_devices import LoraDevice
from drivers.simulated.mqtt_devices import Message
from drivers.simulated.mqtt_shown import Shown, showing, shown
from drivers.simulated.mqtt_site import Reporting, Site
from drivers.simulated.mqtt_tasmota import TasmotaDevice, TasmotaNode
from drivers.simulated.nb_devices import CtwingDevice, OnenetDevice
from drivers.simulated.sparkplug_player import SparkplugPlayer, sparkplug
from gateway.model.point import Device, Kind

EPOCH = 1_790_000_000.0  # s since 1970: second 0 where nobody says when that is
_NOBODY = "undefined"  # what CTWing writes for an id that it does not know


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
    return build(Site(device, options, points, Random(seed), begins)) if points else None


def _plain(site: Site) -> mqtt_devices.Device | None:
    """JSON on a topic of its own."""
    where: Mapping[str, object] = site.options.get("where", {})
    topic, samples = _told_at(site.text("topic"), where), site.text("samples")
    if not topic or not site.fields():
        return None

    def say(t: float) -> list[Message]:
        del t
        fields = site.fields()
        if samples:
            fields = mqtt_devices.nested({".".join(map(str, steps(samples))): [fields]})
        return [Message(topic, json.dumps(fields).encode())]

    def presence(t: float, *, there: bool) -> list[Message]:
        """Say it where the configuration expects it: a last will, told by the device or for it."""
        del t
        entry = site.options.get("availability")
        if not entry:
            return []
        words = {"online": "online", "offline": next(iter(entry.get("offline", ())), "offline")}
        return [_there({**entry, **words, "topic": entry["topic"].replace("~", topic)}, there=there)]

    return Reporting(site, say, presence)


def _zigbee(site: Site) -> mqtt_devices.Device | None:
    """What Zigbee2MQTT says of a device: yes and no as JSON has them, and whether it is there."""
    topic = site.text("topic")

    def say(t: float) -> list[Message]:
        del t
        ways = {one.way: one for one in reversed(site.points) if one.way}  # the first of a place counts
        said = {
            way: bool(one.raw) if one.spec.kind is Kind.STATE and one.spelt is None else one.word
            for way, one in ways.items()
        }
        return [Message(topic, json.dumps(mqtt_devices.nested(said)).encode())]

    def presence(t: float, *, there: bool) -> list[Message]:
        del t
        said = json.dumps({"state": "online" if there else "offline"}).encode()
        return [Message(f"{topic}/availability", said, retain=True)]

    return Reporting(site, say, presence) if topic and site.fields() else None


def _told_at(pattern: str, where: Mapping[str, object] = {}) -> str:
    """Return a topic that fits a pattern with wildcards."""
    levels = pattern.split("/")
    named = [str(where.get(level[1:-1], "0")) if level.startswith("{") else level for level in levels]
    return "/".join("0" if level in ("+", "#") else level for level in named)


@dataclass(slots=True)
class _Physics:
    """The points that have a name in a firmware: states as yes or no, the rest as numbers (port `Physical`)."""

    site: Site
    names: Mapping[str, str]
    relays: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with outputs as they are at rest."""
        self.relays = {one.spec.name: bool(one.raw) for one in self.site.outputs() if one.spec.name in self.names}

    @property
    def random(self) -> Random:
        """The source of noise."""
        return self.site.random

    def look(self, t: float) -> mqtt_firmware.Values:
        """Return what is so now; the bits of a word are told by the word."""
        del t
        mine = [point for point in self.site.points if point.spec.name in self.names]
        words = Counter[str]()
        for point in mine:
            words[point.way] += round(point.raw) << point.spec.decode.get("bit", 0)
        values: dict[str, float | bool] = {}
        for point in mine:
            if "bit" in point.spec.decode:
                values[point.spec.name] = words[point.way]
            else:
                values[point.spec.name] = bool(point.raw) if point.spec.kind is Kind.STATE else point.raw
        return values | self.relays

    def show(self, points: Sequence[Shown]) -> None:
        """Let these points be so from now on."""
        self.site.show(points)


def _firmware(
    make: Callable[..., mqtt_firmware.Firmware], name: Callable[[Shown, Site], str]
) -> Callable[[Site], mqtt_devices.Device | None]:
    def build(site: Site) -> mqtt_devices.Device | None:
        names = {point.spec.name: found for point in site.points if (found := name(point, site))}
        if not names or not site.text("topic"):
            return None
        own = {key: site.options[key] for key in ("full_topic", "prefixes", "status") if site.options.get(key)}
        kind = TasmotaNode if site.text("unit") else make
        return kind(site.text("topic"), _Physics(site, names), names, begins=site.begins, **own)

    return build


def _tasmota_name(point: Shown, site: Site) -> str:
    unit = site.text("unit")
    return f"ZbReceived.{unit}.{point.way}" if unit else point.way


def _esphome_name(point: Shown, site: Site) -> str:
    del site
    decode, kind = point.spec.decode, "binary_sensor" if point.spec.kind is Kind.STATE else "sensor"
    return "" if decode.get("topic") else str(decode.get("entity") or f"{kind}/{point.spec.name}")


def _shelly_name(point: Shown, site: Site) -> str:
    del site
    component = str(point.spec.decode.get("component", ""))
    return f"{component} {point.way}" if component.partition(":")[2].isdigit() else ""


def _announced(site: Site) -> mqtt_devices.Device | None:
    """What was learnt from discovery: every point has its topic, and a path there; an output where it is told."""
    listening = [str(one.spec.decode["write"]) for one in site.outputs()]
    entries: Sequence[Mapping[str, str]] = site.options.get("availability", ())

    def say(t: float) -> list[Message]:
        del t
        topics: dict[str, list[Shown]] = {}
        for point in site.points:
            if point.spec.decode.get("topic"):
                topics.setdefault(str(point.spec.decode["topic"]), []).append(point)
        return [_announced_state(topic, points) for topic, points in topics.items()]

    def presence(t: float, *, there: bool) -> list[Message]:
        del t
        return [_there(entry, there=there) for entry in entries]

    return Reporting(site, say, presence, listening, partial(_obeyed, site)) if say(0.0) else None


def _announced_state(topic: str, points: Sequence[Shown]) -> Message:
    if str(points[0].spec.decode.get("path", "$")) == "$":
        return Message(topic, str(points[0].word).encode())
    fields: dict[str, object] = {}
    for point in points:
        fields.setdefault(point.way, point.word)
    return Message(topic, json.dumps(mqtt_devices.nested(fields), ensure_ascii=False).encode())


def _obeyed(site: Site, topic: str, said: bytes) -> bool:
    """Set the outputs that a command means; say whether there are any."""
    meant = [one.spec for one in site.outputs() if one.spec.decode["write"] == topic]
    for spec in meant:
        words = {str(spec.decode.get(key, key.upper())).encode(): raw for key, raw in (("on", 1.0), ("off", 0.0))}
        if said in words:
            site.put(showing(spec, float(words[said] != spec.invert)))
    return bool(meant)


def _there(entry: Mapping[str, str], *, there: bool) -> Message:
    key = "online" if there else "offline"
    way, word = steps(entry.get("path", "$")), entry.get(key, key)
    said = json.dumps(mqtt_devices.nested({".".join(map(str, way)): word})) if way else word
    return Message(entry["topic"], said.encode(), retain=True)


def _lora(site: Site) -> mqtt_devices.Device | None:
    """What a LoRaWAN server says of a device; that it is gone, nobody says."""
    chirpstack = site.device.profile.driver == "chirpstack"
    application = site.text("application").replace("+", "") or "1"
    name = site.text("dev_eui").lower() if chirpstack else site.text("device")
    base = site.text("base").strip("/")
    if not (site.fields() or site.data()) or not name:
        return None
    device = LoraDevice("chirpstack" if chirpstack else "ttn", application, name, site.random)

    def say(t: float) -> list[Message]:
        said = device.up(site.data(), site.fields(), site.begins + t)
        return [one._replace(topic=f"{base}/{one.topic}") for one in said] if base else said

    return Reporting(site, say)


def _encoded(site: Site, usual: str = "") -> dict[str, object]:
    """Return fields, the raw payload among them as the platform has it. `usual`: where it stands in base64."""
    fields, data = site.fields(), site.data()
    if data and site.text("hex"):
        fields |= mqtt_devices.nested({site.text("hex"): data.hex()})
    elif data and (way := site.text("base64") or usual):
        fields |= mqtt_devices.nested({way: b64encode(data).decode()})
    return fields


def _ctwing(site: Site) -> mqtt_devices.Device | None:
    device = CtwingDevice(
        site.random,
        topic=_told_at(site.text("topic")),
        device_id=site.text("device_id") or _NOBODY,
        imei=site.text("imei") or _NOBODY,
        product=site.text("product"),
    )

    def say(t: float) -> list[Message]:
        return device.report(_encoded(site, "APPdata"), _ms(site, t))

    def presence(t: float, *, there: bool) -> list[Message]:
        return device.presence(_ms(site, t), online=there)

    return Reporting(site, say, presence) if _encoded(site, "APPdata") else None


def _onenet(site: Site) -> mqtt_devices.Device | None:
    device = OnenetDevice(site.random, product=site.text("product"), name=site.text("device"))
    return Reporting(site, lambda t: device.post(_encoded(site), _ms(site, t))) if _encoded(site) else None


def _ms(site: Site, t: float) -> int:
    return round(1000 * (site.begins + t))


_DIALECTS: Mapping[str, Callable[[Site], mqtt_devices.Device | None]] = {
    "tasmota": _firmware(TasmotaDevice, _tasmota_name),
    "esphome": _firmware(mqtt_firmware.EsphomeNode, _esphome_name),
    "shelly": _firmware(mqtt_firmware.ShellyDevice, _shelly_name),
    "homeassistant": _announced,
    "zigbee2mqtt": _zigbee,
    "chirpstack": _lora,
    "ttn": _lora,
    "ctwing": _ctwing,
    "onenet": _onenet,
}
