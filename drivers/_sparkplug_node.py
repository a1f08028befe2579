"""What the gateway knows of one Sparkplug edge node: who was born, what an alias means, whether a message was lost.

Pure, beside `drivers/dialects/sparkplug.py`; follows the Sparkplug specification 3.0, chapters 4 to 6. It has no clock:
how long a node lets us wait for its births is measured by the node's own time stamps. Memory: the metrics of the last
birth of each installed device, each birth no larger than one message may be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers._values import Reading
from gateway.model.point import PointSpec
from gateway.protocols.sparkplug import BD_SEQ, SEQUENCE, Metric, Payload

_FIRST_WAIT = 10_000  # ms until a node that was asked for its births is asked again; doubled each time
_LONGEST_WAIT = 600_000
_LEAST_WAIT = 1_000  # also when it was born in between: a node whose seq is always wrong must not be born for ever
STALE_AFTER = 60_000  # ms in doubt after which what it said last no longer counts


class Output(NamedTuple):
    """A point that can be set: its metric, and from its value to the raw one."""

    metric: str
    spec: PointSpec
    scale: float
    offset: float


@dataclass(slots=True)
class Installed:
    """One configured device, or the node's own metrics (`place` empty).

    Attributes:
        point: any of its points, for a sign of life.
        fields: metric name → point id and reader.
        outputs: name of the point → what sets it.
        events: point for what is kept raw, None without a text point.
        gone: its points were told to be BAD, and no sound birth has said what is since.
    """

    point: int
    place: str
    fields: dict[str, tuple[int, Callable[[object], Reading]]] = field(default_factory=dict)
    events: int | None = None
    outputs: dict[str, Output] = field(default_factory=dict)
    gone: bool = False


@dataclass(slots=True)
class Node:
    """One edge node.

    Attributes:
        devices: those configured, by their id in the topic.
        sound: born, and nothing lost since.
        born: configured places with a valid birth.
        stale: told that its values no longer count.
    """

    devices: dict[str, list[Installed]] = field(default_factory=dict)
    sound: bool = False
    alive: bool = False
    stale: bool = False
    born: set[str] = field(default_factory=set)
    _aliases: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)
    _types: dict[str, dict[str, int]] = field(default_factory=dict)
    _seq: int | None = None
    _bd: int | None = None
    _since: int = 0  # ms by the node's clock, when the doubt began; 0: none
    _ask_at: int = 0
    _asked: int = 0  # ms by the node's clock, last time
    _wait: int = _FIRST_WAIT

    def node_birth(self, payload: Payload) -> None:
        """Begin anew: everything said before is void, also that of its devices (6.4.19)."""
        self.born.clear()
        self._aliases.clear()
        self._types.clear()
        self._seq = payload.seq
        self._bd = _bd_of(payload)
        self.sound = self.alive = True
        self.stale = False
        self._since, self._ask_at, self._wait = 0, 0, _FIRST_WAIT
        self.birth("", payload)

    def birth(self, place: str, payload: Payload) -> None:
        """Learn the metrics of a device, or of the node itself."""
        if place in self.devices:
            self.born.add(place)
            named = [metric for metric in payload.metrics if metric.name]
            self._types[place] = {metric.name: metric.datatype for metric in named}
            self._aliases[place] = {
                metric.alias: (metric.name, metric.datatype) for metric in named if metric.alias is not None
            }

    def follows(self, payload: Payload) -> bool:
        """Whether nothing is missing between the last message and this (6.4.9); the next is judged against this."""
        before, self._seq = self._seq, payload.seq
        return before is None or payload.seq is None or payload.seq == (before + 1) % SEQUENCE

    def death(self, payload: Payload) -> bool:
        """Take the node's death; False when it is that of an earlier connection (its bdSeq is not the birth's)."""
        bd = _bd_of(payload)
        if self.alive and None not in (bd, self._bd) and bd != self._bd:
            return False
        self.sound = self.alive = False
        self.born.clear()
        self._aliases.clear()
        self._types.clear()
        self._seq = None
        return True

    def meant(self, place: str, metric: Metric) -> tuple[str, int] | None:
        """Return name and type of a metric; None when its alias was never explained."""
        if metric.name:
            return metric.name, metric.datatype or self.type_of(place, metric.name)
        if metric.alias is None:
            return None
        known = self._aliases.get(place, {}).get(metric.alias)
        return known and (known[0], metric.datatype or known[1])

    def type_of(self, place: str, name: str) -> int:
        """Return the type that the birth gave a metric, 0 if it did not."""
        return self._types.get(place, {}).get(name, 0)

    def doubt(self, payload: Payload) -> tuple[bool, bool]:
        """Note that something is missing. Returns whether to ask for births now and whether its values went stale."""
        self.sound = False
        now = payload.time or self._since
        if not self._since or now < self._since:  # a clock that was set back begins anew
            self._asked = min(self._asked, now)
            self._since, self._ask_at = now, self._asked + _LEAST_WAIT if self._asked else now
        ask = now >= self._ask_at
        if ask:
            self._asked, self._ask_at = now, now + self._wait
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
        stale = not self.stale and now - self._since >= STALE_AFTER
        self.stale |= stale
        return ask, stale


def _bd_of(payload: Payload) -> int | None:
    for metric in payload.metrics:
        if metric.name == BD_SEQ and isinstance(metric.value, int):
            return metric.value
    return None
