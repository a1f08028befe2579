"""Which session and which dialects a topic belongs to. Pure; beside `mqtt.py`.

A topic belongs to exactly one session: lane 1 if any filter of a life-safety device covers it, else lane 2. The other
session, where a wildcard brings it too, acknowledges and drops it (house section 2: two lanes). When an edited
configuration moved a topic to the other lane, what waits for us in the session that held it before is taken too.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.model.point import Device
from gateway.model.ports import Dialect
from gateway.protocols.mqtt_topics import covers

ALARM = 1
TELEMETRY = 2
LANES = (ALARM, TELEMETRY)

_REMEMBERED = 20_000  # topics; a sender that invents topics must not fill the memory


class Route(NamedTuple):
    """Where a topic goes: the lanes that take it (nobody's: none) and the dialects that may read it."""

    lanes: tuple[int, ...]
    dialects: tuple[Dialect, ...]


class Routes:
    """Filters of every device, asked per topic once and remembered.

    `held` are the filters that each lane's session had before this start, as far as the store knows.
    """

    def __init__(
        self, devices: Sequence[tuple[Device, int, Dialect]], held: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        self._held = {lane: frozenset((held or {}).get(lane, ())) for lane in LANES}
        self._held_wild = {lane: _wild(self._held[lane]) for lane in LANES}
        self._owners: list[tuple[str, str]] = []  # filter, device
        self._filters: dict[int, dict[str, list[Dialect]]] = {lane: {} for lane in LANES}
        for device, lane, dialect in devices:
            for pattern in dialect.filters(device):
                self._owners.append((pattern, device.id))
                dialects = self._filters[lane].setdefault(pattern, [])
                if dialect not in dialects:
                    dialects.append(dialect)
        self._wild = {lane: _wild(self._filters[lane]) for lane in LANES}
        self._remembered: dict[str, Route] = {}

    def filters(self, lane: int) -> tuple[str, ...]:
        """Return what a lane's session subscribes to, sorted."""
        return tuple(sorted(self._filters[lane]))

    def owner(self, topic: str) -> str:
        """Return the device that a topic is of, the first of several; the topic itself when it is nobody's."""
        return next((device for pattern, device in self._owners if covers(pattern, topic)), topic)

    def of(self, topic: str) -> Route:
        """Return where a topic goes."""
        route = self._remembered.get(topic)
        if route is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            route = self._remembered[topic] = self._find(topic)
        return route

    def _find(self, topic: str) -> Route:
        owners: list[int] = []
        dialects: list[Dialect] = []
        for lane in LANES:
            filters = self._filters[lane]
            for pattern in _covering(topic, filters, self._wild[lane]):
                owners.append(lane)
                dialects += [reader for reader in filters[pattern] if reader not in dialects]
        if not owners:
            return Route((), ())
        owner = owners[0]
        held = [lane for lane in LANES if _covering(topic, self._held[lane], self._held_wild[lane])]
        moved = () if owner in held else tuple(lane for lane in held if lane != owner)
        return Route((owner, *moved), tuple(dialects))


def _wild(patterns: Iterable[str]) -> list[str]:
    return [pattern for pattern in patterns if "+" in pattern or "#" in pattern]


def _covering(topic: str, exact: Container[str], wild: Sequence[str]) -> list[str]:
    """Return the filters that cover a topic. Only those with wildcards are tried one by one: topics are many."""
    return [*([topic] if topic in exact else []), *(pattern for pattern in wild if covers(pattern, topic))]
