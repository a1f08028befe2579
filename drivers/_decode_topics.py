"""Whose message is this? A topic and a payload → the `[[device]]` keys under which a dialect would read it.

Pure; `firegrid decode`, `listen` and `discover` ask it about devices that no configuration knows. A dialect of its own
file may bring `recognise(topic, payload) -> list[Place]` along and is then found by it (house rule 8); those of the
house stand here. What is recognised by its topic is surer than what only looks alike: `sure`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers._payload import Plain, Unreadable, message_of
from gateway import registry
from gateway.protocols import sparkplug

_LEVELS = re.compile(r"[^+#\0]+")
_TASMOTA = re.compile(r"(SENSOR|STATE|LWT|RESULT|INFO\d|UPTIME|POWER\d*|SWITCH\d*|STATUS\d*)")
_ESPHOME = re.compile(r"(.+)/(?:sensor|binary_sensor|text_sensor|switch|light|fan|number|climate|cover)/[^/]+/state")
_SHELLY = re.compile(r"(.+)/(?:events/rpc|online|status/[a-z_0-9]+:\d+)")
_CHIRPSTACK = re.compile(r"(?:(.+)/)?application/([^/]+)/device/([0-9a-fA-F]{16})/event/\w+")
_TTN = re.compile(r"v3/([^/]+)/devices/([^/]+)/.+")
_ONENET = re.compile(r"\$sys/([^/]+)/([^/]+)/thing/(?:property|event)/post")
_IOTDA = re.compile(r"\$oc/devices/([^/]+)/sys/properties/report")
_BRIDGES = ("ZbReceived", "LwReceived")
_NODE = re.compile(r"0x[0-9A-Fa-f]{4}")
_SPARKPLUG_TIMES = (978_307_200_000, 4_102_444_800_000)  # ms: from 2001 to 2100
_CTWING = frozenset(("dataReport", "eventReport", "deviceOnlineOfflineReport", "commandResponse"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One device that a message speaks of.

    Attributes:
        options: keys of its `[[device]]`.
        topic: of the message; made up where none was given, so that the dialect reads it.
        why: what it was recognised by, for people.
        sure: by its topic, or by what no other sender says.
        name: what could be its id.
        profile: with points of its own the right one, where the dialect has several of no points.
    """

    options: Mapping[str, Any]
    topic: str
    why: str
    sure: bool = True
    name: str = ""
    profile: str = ""

    @property
    def key(self) -> str:
        """Tells places apart."""
        return repr(sorted(self.options.items()))


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: bytes
    table: dict[str, Any] = field(default_factory=dict)  # of a JSON object, else empty


def recognise(dialect: str, topic: str, payload: bytes) -> list[Place]:
    """Return the devices that a message would be of, if it were of this dialect. Raises ConfigError: no dialect."""
    own = getattr(registry.dialect(dialect), "recognise", None)
    if own is not None:
        return list(own(topic, payload))
    known = _KNOWN.get(dialect)
    if known is None or (topic and not _LEVELS.fullmatch(topic)):
        return []
    message = message_of(payload)
    return known(_Message(topic, payload, message if type(message) is dict else {}))


def placed(dialect: str, topic: str, payload: bytes) -> list[Place]:
    """Return the same for a message that is said to be of this dialect: without a topic it came by the usual one."""
    found = recognise(dialect, topic, payload)
    if found or topic or dialect not in _USUAL:
        return found
    keys, usual = _USUAL[dialect]
    return [Place(options=keys, topic=usual, why="as told", sure=False)]


def _zigbee2mqtt(message: _Message) -> list[Place]:
    base, _, name = message.topic.partition("/")
    if name.startswith("bridge/") or base == "homeassistant":
        return []
    device = message.topic.removesuffix("/availability").removesuffix("/set").removesuffix("/get")
    options = {"topic": device or "zigbee2mqtt/device"}
    topic = message.topic or "zigbee2mqtt/device"
    if base == "zigbee2mqtt" and name:
        return [Place(options=options, topic=topic, why=f"topic {base}/…", name=name)]
    if "linkquality" in message.table and (name or not message.topic):
        return [Place(options=options, topic=topic, why="field linkquality", name=name)]
    return []


def _tasmota(message: _Message) -> list[Place]:
    levels = message.topic.split("/")
    keys: dict[str, Any] = {}
    own = len(levels) == 4 and levels[3] == "SENSOR"  # a node has a topic of its own under that of its bridge
    if len(levels) >= 3 and levels[0] in ("tele", "stat") and (own or _TASMOTA.fullmatch(levels[2])):
        keys = {"topic": levels[1]}
    elif len(levels) >= 3 and levels[-2] in ("tele", "stat") and _TASMOTA.fullmatch(levels[-1]):
        keys = {"topic": "/".join(levels[:-2]), "full_topic": "%topic%/%prefix%/"}
    elif not message.topic and {*_BRIDGES, "StatusSNS", "StatusSTS"} & message.table.keys():
        keys, levels = {"topic": "device"}, ["tele", "device", "SENSOR"]
    if not keys:
        return []
    sender, topic = str(keys["topic"]), "/".join(levels)
    bridged = [message.table[name] for name in _BRIDGES if isinstance(message.table.get(name), dict)]
    named = [
        node
        for nodes in bridged
        for node, said in nodes.items()
        if _NODE.fullmatch(node) or (isinstance(said, dict) and "Device" in said)
    ]
    if named:
        return [
            Place(options={**keys, "unit": node}, topic=topic, why="node of a bridge", name=f"{sender}-{node}")
            for node in named
        ]
    return [Place(options=keys, topic=topic, why=f"topic {levels[0]}/…/{levels[-1]}", name=sender)]


def _esphome(message: _Message) -> list[Place]:
    found = _ESPHOME.fullmatch(message.topic)
    if found and not message.topic.startswith("homeassistant/"):
        return [Place(options={"topic": found[1]}, topic=message.topic, why="topic …/state", name=found[1])]
    prefix, slash, last = message.topic.rpartition("/")
    if slash and last == "status" and message.payload in (b"online", b"offline") and prefix != "homeassistant":
        return [Place(options={"topic": prefix}, topic=message.topic, why="topic …/status", sure=False, name=prefix)]
    return []


def _shelly(message: _Message) -> list[Place]:
    found = _SHELLY.fullmatch(message.topic)
    method, source = message.table.get("method"), message.table.get("src")
    notifies = isinstance(method, str) and method.startswith("Notify")
    if found and (notifies or "/events/rpc" not in message.topic):
        words = message.payload in (b"true", b"false") or message.table
        sure = bool(notifies or (words and found[1].rpartition("/")[2].startswith("shelly")))
        return [
            Place(options={"topic": found[1]}, topic=message.topic, why="topic of a Shelly", sure=sure, name=found[1])
        ]
    if notifies and not message.topic and isinstance(source, str) and _LEVELS.fullmatch(source):
        return [Place(options={"topic": source}, topic=f"{source}/events/rpc", why=f"method {method}", name=source)]
    return []


def _chirpstack(message: _Message) -> list[Place]:
    found = _CHIRPSTACK.fullmatch(message.topic)
    if found:
        keys = {"dev_eui": found[3], "application": found[2], **({"base": found[1]} if found[1] else {})}
        return [Place(options=keys, topic=message.topic, why="topic application/…/device/…", name=found[3])]
    info = message.table.get("deviceInfo")
    eui = info.get("devEui") if isinstance(info, dict) else None
    if message.topic or not isinstance(eui, str) or not re.fullmatch(r"[0-9a-fA-F]{16}", eui):
        return []
    event = "up" if {"fCnt", "fPort", "data", "object"} & message.table.keys() else "status"
    return [
        Place(options={"dev_eui": eui}, topic=f"application/1/device/{eui}/event/{event}", why="deviceInfo", name=eui)
    ]


def _ttn(message: _Message) -> list[Place]:
    found = _TTN.fullmatch(message.topic)
    if found:
        keys = {"application": found[1], "device": found[2]}
        return [Place(options=keys, topic=message.topic, why="topic v3/…/devices/…", name=found[2])]
    ids = message.table.get("end_device_ids")
    device = ids.get("device_id") if isinstance(ids, dict) else None
    if message.topic or not isinstance(device, str) or not _fit(device):
        return []
    event = "up" if "uplink_message" in message.table else "join"
    return [
        Place(
            options={"application": "app", "device": device},
            topic=f"v3/app/devices/{device}/{event}",
            why="end_device_ids",
            name=device,
        )
    ]


def _sparkplug(message: _Message) -> list[Place]:
    address = sparkplug.address_of(message.topic)
    said = sparkplug.decode(message.payload)
    if not isinstance(said, sparkplug.Payload):
        return []
    if not message.topic and _looks_like_metrics(said):  # read as a birth, which says what its metrics are
        keys = {"group": "group", "node": "node"}
        topic = sparkplug.Address("group", "NBIRTH", "node", "").topic()
        return [Place(options=keys, topic=topic, why="metrics with a time, in protobuf", sure=False)]
    if address is None:
        return []
    keys = {"group": address.group, "node": address.node, **({"device": address.device} if address.device else {})}
    name = address.device or address.node
    return [Place(options=keys, topic=message.topic, why=f"topic {sparkplug.NAMESPACE}/…", name=name)]


def _looks_like_metrics(said: sparkplug.Payload) -> bool:
    """Whether a payload says so much that other bytes would hardly say it by chance."""
    named = [one.name.isprintable() if one.name else one.alias is not None for one in said.metrics]
    return (
        said.time is not None and _SPARKPLUG_TIMES[0] <= said.time < _SPARKPLUG_TIMES[1] and bool(named) and all(named)
    )


def _ctwing(message: _Message) -> list[Place]:
    several = message_of(message.payload)
    if isinstance(several, list):  # a push of several messages
        found = [_ctwing(_Message(message.topic, b"", one)) for one in several if isinstance(one, dict)]
        return list({place.key: place for places in found for place in places}.values())
    table = message.table
    if table.get("messageType") not in _CTWING:
        return []
    for key, option in (("deviceId", "device_id"), ("IMEI", "imei")):
        number = table.get(key)
        if isinstance(number, str | int) and str(number):
            topic = message.topic or "ctwing"
            keys = {"topic": topic, option: str(number)}
            return [Place(options=keys, topic=topic, why=f"messageType and {key}", name=str(number))]
    return []


def _onenet(message: _Message) -> list[Place]:
    found = _ONENET.fullmatch(message.topic)
    if found:
        keys = {"product": found[1], "device": found[2]}
        return [Place(options=keys, topic=message.topic, why="topic $sys/…/thing/…", name=found[2])]
    params = message.table.get("params")
    if message.topic or "version" not in message.table or not isinstance(params, dict):
        return []
    keys = {"product": "product", "device": "device"}
    return [Place(options=keys, topic="$sys/product/device/thing/property/post", why="fields version, params")]


def _json(message: _Message) -> list[Place]:
    found = message_of(message.payload)
    if isinstance(found, Unreadable) or (isinstance(found, Plain) and not (message.topic and found.isprintable())):
        return []
    topic = message.topic or "device"
    iotda = _IOTDA.fullmatch(topic)
    if iotda and "services" in message.table:
        why = "topic $oc/devices/…/properties/report"
        return [Place(options={"topic": topic}, topic=topic, why=why, name=iotda[1], profile="nb-iotda-generic")]
    why = "plain text" if isinstance(found, Plain) else "JSON"
    return [Place(options={"topic": topic}, topic=topic, why=why, sure=False, name=topic)]


def _fit(name: str) -> bool:
    return bool(name) and not set("/+#\0") & set(name)


# Keys and topic of a device that a message without its topic is read as.
_USUAL: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "zigbee2mqtt": ({"topic": "zigbee2mqtt/device"}, "zigbee2mqtt/device"),
    "tasmota": ({"topic": "device"}, "tele/device/SENSOR"),
    "shelly": ({"topic": "device"}, "device/events/rpc"),
    "chirpstack": ({"dev_eui": "0" * 16}, f"application/1/device/{'0' * 16}/event/up"),
    "ttn": ({"application": "app", "device": "device"}, "v3/app/devices/device/up"),
    "onenet": ({"product": "product", "device": "device"}, "$sys/product/device/thing/property/post"),
    "json": ({"topic": "device"}, "device"),
}
_KNOWN: Mapping[str, Callable[[_Message], list[Place]]] = {
    "zigbee2mqtt": _zigbee2mqtt,
    "tasmota": _tasmota,
    "esphome": _esphome,
    "shelly": _shelly,
    "chirpstack": _chirpstack,
    "ttn": _ttn,
    "sparkplug": _sparkplug,
    "ctwing": _ctwing,
    "onenet": _onenet,
    "json": _json,
}
