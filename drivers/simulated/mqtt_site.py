"""What a configured MQTT device shows just now, and one that tells all of it every so often.

Pure, between `mqtt_shown.py` and the players of each dialect: a scene shows points otherwise than at rest, a command
sets outputs, and every message says what is so then. Keeps house rules 9 (fakes ship, faults on demand) and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from drivers.simulated import mqtt_devices
from drivers.simulated.mqtt_devices import Message, MqttFault, spoilt
from drivers.simulated.mqtt_shown import Shown
from drivers.simulated.payloads import payload
from gateway.model.point import Device, Kind

_PERIOD = 30.0  # s between two reports of what is not wired


@dataclass(slots=True)
class Site:
    """A configured device. `rest`: its points while nothing happens; `begins`: s since 1970 of second 0."""

    device: Device
    options: Mapping[str, Any]
    rest: Sequence[Shown]
    random: Random
    begins: float
    _scene: dict[str, Shown] = field(default_factory=dict)
    _outputs: dict[str, Shown] = field(default_factory=dict)

    @property
    def points(self) -> list[Shown]:
        """Every point as it is now; those of a scene first, where several stand in one place they are told."""
        scene = [self._outputs.get(name, one) for name, one in self._scene.items()]
        return scene + [self._outputs.get(one.spec.name, one) for one in self.rest if one.spec.name not in self._scene]

    def show(self, points: Sequence[Shown]) -> None:
        """Let these points be so from now on, all others as at rest; an output stays as it was set."""
        self._scene = {one.spec.name: one for one in points}

    def put(self, point: Shown) -> None:
        """Set an output."""
        self._outputs[point.spec.name] = point

    def text(self, key: str) -> str:
        """Return an option as text; nothing: it is not there."""
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
            [
                (one.spec.decode["bytes"], one.value)
                for one in self.points
                if not one.way and "bytes" in one.spec.decode
            ],
            self.options.get("raw", {}),
        )

    def outputs(self) -> list[Shown]:
        """Return the points that a command sets."""
        return [one for one in self.points if one.spec.kind is Kind.STATE and one.spec.decode.get("write")]


class Presence(Protocol):
    """What is published when a device comes or goes, by itself or by who stands between."""

    def __call__(self, t: float, *, there: bool) -> list[Message]:
        """Return it."""


def _unseen(t: float, *, there: bool) -> list[Message]:
    """Nothing says whether it is there."""
    del t, there
    return []


def _deaf(topic: str, payload: bytes) -> bool:
    """It takes no commands."""
    del topic, payload
    return False


@dataclass(slots=True)
class Reporting:
    """A device that tells all it has every so often, and at once when something is other than it was.

    Attributes:
        say: seconds → what is published then.
        presence: what says that it came or went.
        obey: a message of somebody → whether it changed an output.
        fault: change it at any time.
    """

    site: Site
    say: Callable[[float], list[Message]]
    presence: Presence = _unseen
    filters: Sequence[str] = ()
    obey: Callable[[str, bytes], bool] = _deaf
    fault: MqttFault = field(default_factory=MqttFault)
    _last: list[Message] = field(default_factory=list)
    _next: float = 0.0
    _there: bool = False

    def connect(self) -> None:
        """Say anew that it is there; it has no will of its own."""
        self._there, self._next = False, 0.0

    def at(self, t: float) -> list[Message]:
        """Return what it publishes after t seconds."""
        found = []
        if self._there is self.fault.gone:
            self._there = not self.fault.gone
            found, self._next = self.presence(t, there=self._there), 0.0
        if self.fault.gone or self.fault.silent or t < self._next:
            return found
        self._next = t + _PERIOD
        if not (self.fault.stuck and self._last):
            self._last = self.say(t)
        if not self.fault.garbage:
            return found + self._last
        return found + [one._replace(payload=spoilt(one.payload, self.site.random)) for one in self._last]

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Obey a command; the answer is the new state."""
        if self.fault.gone or self.fault.silent or not self.obey(topic, payload):
            return []
        return self.say(t)

    def show(self, points: Sequence[Shown], device: str = "") -> None:
        """Let these points be so from now on."""
        del device
        self.site.show(points)
        self._next = 0.0
