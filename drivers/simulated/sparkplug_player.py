"""A Sparkplug edge node with all the devices that a configuration gives it.

Pure, beside `drivers.simulated.mqtt_players`; the node itself is `drivers.simulated.sparkplug_node.EdgeNode`. Keeps
house rule 9 (fakes ship).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.simulated.mqtt_devices import Message
from drivers.simulated.mqtt_shown import Shown
from drivers.simulated.sparkplug_node import EdgeNode
from gateway.model.point import Device, Kind
from gateway.protocols.sparkplug import DataType

_PERIOD = 30.0  # s between two reports


@dataclass(slots=True)
class SparkplugPlayer:
    """An edge node with all its configured devices: births when it connects or is asked, then data."""

    node: EdgeNode
    begins: float
    _next: float = -1.0

    @property
    def filter(self) -> str:
        """Where it is asked for its births."""
        return self.node.filter

    def at(self, t: float) -> list[Message]:
        """Return what it publishes after t seconds."""
        if t < self._next:
            return []
        first, self._next = self._next < 0, t + _PERIOD
        if first:
            self.node.connect()
            return self.node.births(self._ms(t))
        return [message for place in self.node.metrics for message in self._data(place, t)]

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Return births to who asks for them."""
        return self.node.hear(topic, payload, self._ms(t))

    def _data(self, place: str, t: float) -> list[Message]:
        values = {name: self.node.values[place, name] for name in self.node.metrics[place]}
        return self.node.report(place, values, self._ms(t)) if values else []

    def _ms(self, t: float) -> int:
        return round(1000 * (self.begins + t))


def sparkplug(
    device: Device, points: Sequence[Shown], nodes: dict[tuple[str, str], SparkplugPlayer], begins: float
) -> SparkplugPlayer | None:
    """Return the player of a device's node, the device added to it; None: it has no points."""
    options = {**device.profile.options, **device.options}
    place = str(options.get("device", ""))
    metrics = {
        str(point.spec.decode.get("metric") or point.spec.name): (
            (DataType.BOOLEAN, bool(point.raw)) if point.spec.kind is Kind.STATE else (DataType.DOUBLE, point.raw)
        )
        for point in points
    }
    if not metrics:
        return None
    known = nodes.get((group := str(options["group"]), name := str(options["node"])))
    before = dict(known.node.metrics) if known else {}
    before[place] = {**before.get(place, {}), **{metric: kind for metric, (kind, _) in metrics.items()}}
    values = {**(known.node.values if known else {}), **{(place, metric): v for metric, (_, v) in metrics.items()}}
    node = EdgeNode(group, name, before, values=values)
    if known is None:
        known = nodes[group, name] = SparkplugPlayer(node, begins)
    known.node = node
    return known
