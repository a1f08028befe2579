"""Devices that were heard, as TOML to paste: behind a broker, or calling a port. For `firegrid discover`.

Pure; messages and bytes in, `[[device]]` tables out, each with the profile that reads most of what it said. Nothing is
invented: what no profile reads is told as a comment. Keeps house section 13: one TOML a person can read.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from drivers._conversation import Conversation
from drivers._decode_broker import read_by
from drivers._decode_device import SOURCE, conversation, required_keys, shipped, speaks_on_wires
from drivers._decode_fits import fits
from drivers._decode_topics import Place, recognise
from drivers._payload import message_of
from drivers.dialects import homeassistant
from gateway import registry
from gateway.errors import ConfigError
from gateway.model.time import MILLISECOND
from gateway.protocols import sparkplug
from gateway.registry import Group

MOST = 2000  # devices, topics and peers
_KEPT = 4096  # bytes of a peer
_NOTE = 120
_MAKER = "firegrid"
_OWN = (_MAKER, f"{_MAKER}-ha")  # first level of the topics of our sinks, unless their `prefix` says another
_TRIES = 50  # messages of a device by which its profile is looked for


def table(kind: str, values: Mapping[str, Any]) -> str:
    """Return a TOML table of an array: `[[device]]` with its keys."""
    lines = [f"[[{kind}]]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def comment(text: str) -> str:
    """Return a line that TOML passes over; nothing in it can end it."""
    return "# " + "".join(char if char.isprintable() else " " for char in text)[:_NOTE] + "\n"


def _aside(tables: str) -> str:
    """Return tables that TOML passes over."""
    return "".join(f"# {line}\n" for line in tables.removesuffix("\n").split("\n"))


def slug(text: str) -> str:
    """Return a text as an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "device"


@dataclass(slots=True)
class _Thing:
    place: Place
    profiles: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)  # topics
    tried: int = 0


class OnBroker:
    """What the messages of a broker tell of devices."""

    def __init__(self) -> None:
        self.messages = 0
        self._things: dict[tuple[str, str], _Thing] = {}
        self._learnt: list[homeassistant.LearnedDevice] = []
        self._others: dict[str, None] = {}
        self._gateways: dict[str, None] = {}  # roots of their topics, or single topics
        self._theirs: dict[str, None] = {}  # topics
        self._dialects = [name for name in registry.names(Group.DIALECT) if name != "homeassistant"]

    def hear(self, topic: str, payload: bytes) -> None:
        """Take a message, retained or not. Never raises."""
        self.messages += 1
        gateway = _gateway(topic, payload)
        if gateway:
            if len(self._theirs) < MOST:
                self._gateways[gateway] = self._theirs[topic] = None
            return
        learnt = homeassistant.learn(topic, payload)
        if learnt:
            self._learnt += learnt[: max(0, MOST - len(self._learnt))]
            return
        known = False
        for dialect in self._dialects:
            for place in recognise(dialect, topic, payload):
                known = known or place.sure
                if place.sure:
                    self._take(dialect, place, payload)
        if not known and len(self._others) < MOST:
            self._others[topic] = None

    def toml(self, source: str) -> str:
        """Return a `[[device]]` for each device, and comments for what none was made of."""
        parts: list[str] = []
        ids: Counter[str] = Counter()
        for (dialect, _), thing in self._things.items():
            if all(map(self._of_gateway, thing.seen)):
                continue
            parts.append(_device(dialect, thing, source, ids))
        heard = {topic for thing in self._things.values() if thing.profiles for topic in thing.seen}
        for device in homeassistant.merge(self._learnt):
            topics = {str(keys["decode"].get("topic", "")) for keys in device.points.values() if "decode" in keys}
            if topics and topics <= heard:
                parts.append(comment(f"{device.title or device.key}: announced too; it stands above"))
            else:
                parts.append(homeassistant.to_toml(device, source))
        told = {topic for thing in self._things.values() for topic in thing.seen}
        told |= {
            keys["decode"]["topic"] for one in self._learnt for keys in one.points.values() if "topic" in keys["decode"]
        }
        parts += [
            comment(f'topic "{topic}": of no known dialect; json-generic reads JSON and plain text')
            for topic in self._others
            if topic not in told and not self._of_gateway(topic)
        ]
        return "\n".join(parts)

    def left_out(self) -> tuple[int, list[str]]:
        """Return how many topics are no device's but a gateway's, and the roots of these topics."""
        heard = {*self._others, *(topic for thing in self._things.values() for topic in thing.seen)}
        return len(self._theirs.keys() | set(filter(self._of_gateway, heard))), list(self._gateways)

    def _of_gateway(self, topic: str) -> bool:
        """Whether a gateway publishes there. What tells its root may come after what it publishes."""
        levels = topic.split("/")
        return any("/".join(levels[:length]) in self._gateways for length in range(1, len(levels) + 1))

    def _take(self, dialect: str, place: Place, payload: bytes) -> None:
        thing = self._things.get((dialect, place.key))
        if thing is None:
            if len(self._things) >= MOST:
                return
            thing = self._things[dialect, place.key] = _Thing(place)
        if thing.tried < _TRIES and (place.topic not in thing.seen or not thing.profiles):
            thing.tried += 1
            fitting = read_by(dialect, place, payload)
            thing.profiles.update({one.id: len(fitting) - rank for rank, one in enumerate(fitting)})
        if len(thing.seen) < MOST:
            thing.seen.add(place.topic)


def _gateway(topic: str, payload: bytes) -> str:
    """Return the gateway that publishes this of itself: of a sink, or as a host of Sparkplug; "" for a device's.

    A sink with a `prefix` or `discovery` of its own is known by its status, `gateway.sinks._mqtt_speaker`, and by its
    name in what it announces.
    """
    levels = topic.split("/")
    if levels[0] in _OWN and len(levels) > 1:
        return "/".join(levels[:2])
    if levels[0] == "STATE" or levels[:2] == [sparkplug.NAMESPACE, "STATE"]:
        return topic
    said = message_of(payload) if levels[-1] in ("status", "config") else None
    if not isinstance(said, dict):
        return ""
    if said.keys() == {"online", "instance"}:
        return "/".join(levels[:-1])
    origin = said.get("o")
    return topic if isinstance(origin, dict) and origin.get("name") == _MAKER else ""


def _device(dialect: str, thing: _Thing, source: str, ids: Counter[str]) -> str:
    place = thing.place
    wanted = slug(place.name or place.topic)
    ids[wanted] += 1
    name = wanted if ids[wanted] == 1 else f"{wanted}-{ids[wanted]}"
    best = [profile for profile, _ in thing.profiles.most_common(3)]
    if not best:
        generic = [one.id for one in shipped() if one.driver == dialect and not one.points]
        generic = [place.profile] if place.profile else generic
        fix = f": {generic[0]} with [device.points] of its own" if generic else ""
        keys = ", ".join(f"{key} = {_toml(value)}" for key, value in place.options.items())
        return comment(f"{dialect} {place.name}: nothing that a profile reads{fix}") + comment(keys)
    also = comment(f"{place.why}; or: {', '.join(best[1:])}") if best[1:] else comment(place.why)
    template = next(one for one in shipped() if one.id == best[0])
    warn = "" if template.confirmed else comment(f"{best[0]} is a template: compare it with the device's manual")
    return also + warn + table("device", {"id": name, "source": source, "profile": best[0], **place.options})


class Calling:
    """Devices that call a TCP or UDP port and say who they are: of every driver that needs no device to listen."""

    def __init__(self, *, datagrams: bool) -> None:
        self._datagrams = datagrams
        self._drivers = [name for name in registry.names(Group.DRIVER) if _listens(name)]
        self._peers: dict[str, dict[str, Conversation]] = {}
        self._data: dict[str, bytes] = {}
        self._now = MILLISECOND
        self.found: dict[tuple[str, str], str] = {}  # driver, address → peer

    def hear(self, peer: str, data: bytes) -> None:
        """Take bytes of a caller. Never raises."""
        self._now += MILLISECOND
        talks = self._peers.get(peer)
        if talks is None:
            if len(self._peers) >= MOST:
                self._peers.pop(next(iter(self._peers)))
            talks = self._peers[peer] = {name: _nobody(name, datagrams=self._datagrams) for name in self._drivers}
        self._data[peer] = (self._data.get(peer, b"") + data)[:_KEPT]
        for driver, talk in talks.items():
            for said in talk.hear(data, self._now, 0):
                if said.device and len(self.found) < MOST:
                    self.found.setdefault((driver, said.device), peer)

    def toml(self, source: str, wire: Mapping[str, Any]) -> str:
        """Return a source for the protocol that most devices spoke, with them; others as comments: a port takes one."""
        parts: list[str] = []
        for driver, _ in Counter(driver for driver, _ in self.found).most_common():
            own = not parts  # the first
            name = source if own else f"{source}-{driver}"
            keys = wire if own else {key: value for key, value in wire.items() if key != "port"}
            tables = [table("source", {"id": name, "driver": driver, **keys})]
            for (of, address), peer in self.found.items():
                if of == driver:
                    tables.append(
                        comment(f"called from {peer}") + self._device(driver, address, name, self._data[peer])
                    )
            if not own:
                parts.append(
                    comment(
                        f"{driver} was spoken too. A port takes one protocol: have these call another and write it here"
                    )
                )
                tables = [_aside(part) for part in tables]
            parts += tables
        silent = [peer for peer in self._data if peer not in self.found.values()]
        for peer in silent:
            could = ", ".join(fit.protocol for fit in fits(self._data[peer])) or "nothing known"
            parts.append(comment(f"{peer} said {len(self._data[peer])} bytes: {could}"))
        return "\n".join(parts)

    def _device(self, driver: str, address: str, source: str, data: bytes) -> str:
        fit = next((fit for fit in fits(data) if fit.protocol == driver), None)
        own = [one for one in shipped() if one.driver == driver]
        profile = next(iter(fit.profiles if fit else ()), own[0].id)
        made = next(one for one in own if one.id == profile)
        key = next(iter(required_keys(made)), "address")
        values = {"id": slug(f"{driver}-{address}"), "source": source, "profile": profile, key: address}
        warn = "" if made.confirmed else comment(f"{profile} is a template: compare it with the device's manual")
        return warn + table("device", values)


def _listens(driver: str) -> bool:
    if not speaks_on_wires(driver):
        return False
    try:
        _nobody(driver, datagrams=False)
    except ConfigError:
        return False  # it must know its device first
    return any(one.driver == driver for one in shipped())


def _nobody(driver: str, *, datagrams: bool) -> Conversation:
    return conversation(driver, [], {f"@{SOURCE}.events": 0}, datagrams=datagrams)


def _toml(value: object) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return msgspec.json.encode(value).decode()
