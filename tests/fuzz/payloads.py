"""MQTT dialects, found by the registry: whatever comes on whatever topic is told, counted or nobody's.

An input is up to `_MOST` messages parted by `SEPARATOR`, each one byte (topic, and bit 7: retained) and the payload; a
byte beyond the known topics means that the payload begins with a topic of its own and a line feed. Devices: those of
the golden cases, and one of each shipped profile. What stands behind a dialect is here too: discovery messages, raw
payloads laid out by a profile.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_args

from drivers import _byte_layout as layouts
from drivers import _ha_discovery as discovery
from drivers._ha_toml import to_toml
from drivers._json_path import MISSING
from drivers._profiles import profile, tailor
from drivers.simulated.sparkplug_node import NODE, EdgeNode
from gateway import registry
from gateway.model.point import Device
from gateway.model.ports import Decoded, Dialect, DialectSetup
from gateway.protocols.sparkplug import DataType
from tests.fuzz.feeding import CASES, SEPARATOR, Decoder, fits
from tests.fuzz.talks import PROFILES

_MOST = 6
_WALL = 1_790_000_000_000_000_000
_KINDS = ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH")

# Keys that a device of each dialect must have, where they are more than a topic; the golden cases have the rest.
OPTIONS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "chirpstack": lambda number: {"dev_eui": f"{number:016x}"},
    "ctwing": lambda number: {"topic": "aep/push", "device_id": f"d{number}"},
    "homeassistant": lambda _: {},
    "onenet": lambda number: {"product": "p", "device": f"d{number}"},
    "sparkplug": lambda number: {"group": "g", "node": f"n{number % 2}", "device": f"d{number}" if number % 3 else ""},
    "ttn": lambda number: {"application": "app@ttn", "device": f"d{number}"},
    "zigbee2mqtt": lambda number: {"topic": f"zigbee2mqtt/z{number}"},
}


def options_of(name: str, number: int) -> dict[str, Any]:
    """Return the keys of device `number`."""
    return OPTIONS[name](number) if name in OPTIONS else {"topic": f"{name}/{number}"}


def installed(name: str) -> list[Device]:
    """Return the devices that speak a dialect."""
    devices = {}
    for path in sorted(CASES.glob(f"{name}/*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["device"]:
            kind = tailor(profile(entry["profile"]), entry.get("points", {}))
            id_ = f"{path.stem}-{entry['id']}"
            devices[id_] = Device(id=id_, source="s", profile=kind, options=entry.get("options", {}))
    for number, kind in enumerate((one for one in PROFILES if one.driver == name), 1):
        points: dict[str, dict[str, Any]] = {} if kind.points else {"it": {"unit": "1"}}
        if name == "homeassistant":  # its profiles cannot know the topics
            names = [*points, *(spec.name for spec in kind.points)]
            points = {one: points.get(one, {}) | {"decode": {"topic": f"ha/{number}/{one}"}} for one in names}
        devices[kind.id] = Device(
            id=kind.id, source="s", profile=tailor(kind, points), options=options_of(name, number)
        )
    return list(devices.values())


@dataclass(slots=True)
class Payloads:
    """One dialect with its devices."""

    name: str
    dialect: Dialect | None = None
    topics: list[str] = field(default_factory=list)

    def renew(self) -> None:
        """Forget what was heard."""
        devices = installed(self.name)
        points = [f"{device.id}.{spec.name}" for device in devices for spec in device.profile.points]
        ids = {point: number for number, point in enumerate(points, 1)}
        setup = DialectSetup(devices=devices, point_ids=ids, source_events=0)
        self.dialect = made = registry.dialect(self.name).create(setup)
        self.topics = self.topics or topics_of(self.name, made, devices)

    def feed(self, data: bytes) -> None:
        """Hear an input."""
        if self.dialect is None:
            self.renew()
        assert self.dialect is not None
        into = Decoded()
        for message in data.split(SEPARATOR)[:_MOST]:
            head, payload = message[:1] or b"\0", message[1:]
            retained, number = bool(head[0] & 0x80), head[0] & 0x7F
            if number < min(len(self.topics), 0x7F):
                topic = self.topics[number]
            else:
                line, _, payload = payload.partition(b"\n")
                topic = line.decode(errors="replace")
            told = len(into.rows), len(into.events)
            ours = self.dialect.decode(topic, payload, retained=retained, into=into)
            assert ours or told == (len(into.rows), len(into.events))
        fits(into)


def topics_of(name: str, dialect: Dialect, devices: Sequence[Device]) -> list[str]:
    """Return topics that are somebody's, those of the golden cases first."""
    told = [case["topic"] for case in golden(name) if "topic" in case]
    if name == "sparkplug":
        told += [f"spBv1.0/g/{kind}/n" + ("/d1" if kind.startswith("D") else "") for kind in _KINDS]
    for device in devices:
        told += [pattern.replace("+", "x").replace("#", "y/z") for pattern in dialect.filters(device)]
    return list(dict.fromkeys(told))


@cache
def golden(name: str) -> list[dict[str, Any]]:
    """Return the golden cases of a dialect."""
    return [
        case
        for path in sorted(CASES.glob(f"{name}/*.toml"))
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    ]


def seeds(name: str, payloads: Payloads) -> list[bytes]:
    """Return golden messages, and one input that has some of them."""
    payloads.renew()
    found = []
    for case in golden(name):
        for message in [*case.get("messages", []), case]:
            if "hex" in message or "payload" in message:
                data = bytes.fromhex(message["hex"]) if "hex" in message else message["payload"].encode()
                at = payloads.topics.index(message["topic"]) if "topic" in message else 1
                found.append(bytes((at,)) + data if at < 0x7F else b"\x7f" + message["topic"].encode() + b"\n" + data)
    if name == "sparkplug":
        found += _born(payloads.topics)
    return [*found, SEPARATOR.join(found[:4]), b"\0"]


def _born(topics: list[str]) -> list[bytes]:
    """Return a life of the golden cases' node: births, then data of node and device, and their deaths."""
    metrics = {
        NODE: {"Inputs/Level": DataType.FLOAT},
        "d1": {"Inputs/Smoke": DataType.BOOLEAN, "Inputs/Temperature": DataType.INT16, "Firmware": DataType.STRING},
    }
    node = EdgeNode("g", "n", metrics)
    will = node.connect()
    told = node.births(1000)
    told += node.report(NODE, {"Inputs/Level": 1.5}, 2000)
    told += node.report("d1", {"Inputs/Smoke": True, "Inputs/Temperature": -3, "Firmware": "1"}, 3000)
    told += [*node.device_death("d1", 4000), will]
    parts = [bytes((topics.index(topic),)) + payload for topic, payload, *_ in told]
    return [*parts, SEPARATOR.join(parts[:_MOST])]


def _dialect(name: str) -> Decoder:
    payloads = Payloads(name)
    return Decoder(payloads.feed, seeds(name, payloads), renew=payloads.renew, covers=[name])


# -- Home Assistant's discovery


def learn(data: bytes) -> None:
    """Devices, removals or nothing; what is learnt can be written as TOML."""
    found = []
    for message in data.split(SEPARATOR)[:_MOST]:
        head, payload = message[:1] or b"\0", message[1:]
        topic = DISCOVERED[head[0] % len(DISCOVERED)]
        found += discovery.learn(topic, payload)
    for device in discovery.merge(found):
        tomllib.loads(to_toml(device, "broker"))


def _discovery() -> Decoder:
    told = [case for case in golden("ha_discovery") if "payload" in case]
    parts = [bytes((DISCOVERED.index(case["topic"]),)) + case["payload"].encode() for case in told]
    return Decoder(learn, [*parts, SEPARATOR.join(parts[:3])], covers=["homeassistant"])


DISCOVERED = list(
    dict.fromkeys(
        [
            *(case["topic"] for case in golden("ha_discovery") if "topic" in case),
            "homeassistant/device/d/config",
            "homeassistant/sensor/n/o/config",
        ]
    )
)


# -- raw payloads


def _raws() -> list[layouts.Raw]:
    counted = layouts.Records(at=2, size=5, count_at=1, newest_first=True, every="10m")
    timed = layouts.Records(at=0, size=9, time=layouts.Bytes(type="u32"))
    return [
        *(layouts.Raw(check=check) for check in ("", "zero", "sum", "xor", "crc16")),
        layouts.Raw(channels={"0175": 1, "0367": 2, "0468": 1, "f000": 40}),
        layouts.Raw(records=counted),
        layouts.Raw(records=timed),
    ]


def _layouts() -> list[layouts.Bytes]:
    types = get_args(layouts._Type)  # noqa: SLF001 - every type that a profile may name
    return [
        *(layouts.Bytes(at=at, type=one) for one in types for at in (0, -3)),
        *(layouts.Bytes(type=one, order="little", channel="0367") for one in types),
        *(layouts.Bytes(type=one, at=1, record=True) for one in types),
        layouts.Bytes(type="s16", mask=0x0FF0),
        layouts.Bytes(head="ff01", length=9, port=85),
    ]


RAWS, LAYOUTS = _raws(), [layouts.layout(one) for one in _layouts()]


def byte_layout(data: bytes) -> None:
    """Numbers, MISSING or a counted problem."""
    raw, payload = RAWS[data[0] % len(RAWS) if data else 0], data[1:]
    problems: list[str] = []
    view = layouts.viewed(raw, payload, data[0] if data else 0, problems)
    for record in [*view.records[:1], b""]:
        for find in LAYOUTS:
            found = find(view, record)
            assert found is MISSING or isinstance(found, int | float) or str(found).startswith("bcd ")
    if raw.records is not None:
        times = layouts.record_times(raw.records, view.records, _WALL)
        assert len(times) == len(view.records)
        assert all(0 <= time < 1 << 63 for time in times)
    assert all(reason.isascii() for reason in problems)


DECODERS: dict[str, Decoder] = {
    **{f"{name} payload": _dialect(name) for name in registry.names(registry.Group.DIALECT)},
    "homeassistant learn": _discovery(),
    "byte layout": Decoder(
        byte_layout,
        [b"\5" + bytes.fromhex("01756403671001 046873"), b"\6\1\2" + bytes(10), b"\7" + bytes(range(27)), b"\0" * 12],
        covers=[],
    ),
}
