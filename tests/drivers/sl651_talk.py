"""What the tests of the `sl651` driver share: one installed station, a conversation with it, what it says in words."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from drivers._conversation import Said
from drivers._profiles import profile, tailor
from drivers._sl651_device import Installed, install
from drivers._sl651_talk import Talk
from drivers.simulated.sl651 import Station
from gateway.model.point import Device, Profile
from gateway.model.quality import describe
from gateway.model.time import MINUTE, SECOND
from gateway.protocols import sl651
from gateway.protocols.sl651 import ETX, Coding, Frame
from gateway.protocols.sl651_body import read
from gateway.protocols.sl651_frames import Frames, Garbage
from gateway.protocols.sl651_message import Body, Element
from gateway.protocols.sl651_times import digits_of
from gateway.protocols.sl651_writing import head

ADDRESS, OTHER, STRANGER = "0012345678", "00123456A9", 1
WALL = 1_790_000_000 * SECOND
EIGHT = 8 * 3600 * SECOND
FLAT = 1_700_000_000 * SECOND // MINUTE * MINUTE

_PROFILES: dict[str, Profile] = {}  # read once for all examples of a property


def device(name: str = "it", address: str = ADDRESS, kind: str = "sl651-river", **options: Any) -> Device:  # noqa: ANN401 - keys of any type
    """Return a configured station."""
    points = options.pop("points", {})
    kept = _PROFILES[kind] if kind in _PROFILES else _PROFILES.setdefault(kind, profile(kind))
    keys = {"address": address, **options}
    return Device(id=name, source="src", profile=tailor(kept, points), options=keys)


class Far:
    """A conversation with configured stations, and the simulated one at its other end."""

    def __init__(self, *devices: Device, coding: Coding = Coding.HEX, datagrams: bool = False, **options: Any) -> None:  # noqa: ANN401 - likewise
        """Install the devices, or one with these options."""
        devices = devices or (device(**options),)
        names = [f"{one.id}.{spec.name}" for one in devices for spec in one.profile.points]
        self.ids = {name: number for number, name in enumerate(names, 10)}
        self.names = {number: name.removeprefix("it.") for name, number in self.ids.items()} | {STRANGER: "strangers"}
        made: list[Installed] = [install(one, self.ids, STRANGER) for one in devices]
        self.installed = {each.address: each for each in made}
        self.talk = Talk(self.installed, STRANGER, datagrams=datagrams)
        self.station = Station(ADDRESS, coding=coding)
        self.now = 0

    def hear(self, data: bytes, wall: int = WALL) -> list[Said]:
        """Let the driver hear bytes."""
        return self.talk.hear(data, self.now, wall)

    def rows(self, *things: Said) -> list[tuple[str, int, float, str]]:
        """Return (point, time, value, quality)."""
        return [
            (self.names[point], time, value, describe(packed))
            for said in things
            for point, time, value, packed in said.decoded.rows
        ]

    def values(self, *things: Said) -> dict[str, float]:
        """Return the last value of each point."""
        return {point: value for point, _, value, _ in self.rows(*things)}


def uplink(function: int, rest: str = "", **fields: Any) -> bytes:  # noqa: ANN401 - likewise
    """Return a report as bytes: serial number 7, sent at WALL, then `rest` in hexadecimal."""
    body = head(Coding.HEX, 7, WALL + EIGHT) + bytes.fromhex(rest)
    return sl651.encode(Frame(**{"function": function, "body": body, "end": ETX, "station": ADDRESS, **fields}))


def heard(data: bytes) -> list[tuple[Frame, Body]]:
    """Return the downlinks that the bytes are."""
    found = []
    for each in Frames().feed(data):
        assert not isinstance(each, Garbage)
        assert each.down
        found.append((each, read(each)))
    return found


def nanoseconds(moment: datetime) -> int:
    """Return a time of the case files as the codec has it."""
    return round(moment.replace(tzinfo=UTC).timestamp()) * SECOND


def whole(data: bytes, coding: Coding | None = None) -> list[Frame | Garbage]:
    """Return all that a closed stream brings."""
    frames = Frames(coding)
    found = frames.feed(data)
    while frames.pending:
        found += frames.drop()
    return found


def only(data: bytes) -> Frame:
    """Return the one frame that the bytes are."""
    (found,) = whole(data)
    assert isinstance(found, Frame)
    return found


def shown(element: Element) -> list[object]:
    """Return an element in the words of the case files."""
    values = ["missing" if math.isnan(value) else value for value in element.values]
    value: object = element.flaw.value if element.flaw else values[0] if len(values) == 1 else values
    clock = [digits_of(element.observed, seconds=False)[6:]] if element.observed else []
    return [f"{element.code:02X}", value, *[f"{text[:2]}:{text[2:]}" for text in clock]]
