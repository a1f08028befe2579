"""A Sparkplug edge node with all the devices that a configuration gives it.

Pure, beside `drivers.simulated.mqtt_players`; the node itself is `drivers.simulated.sparkplug_node.EdgeNode`. Keeps
house rule 9 (fakes ship).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from drivers.simulated.mqtt_devices import Message, MqttFault
from drivers.simulated.mqtt_shown import Shown
from drivers.simulated.sparkplug_node import EdgeNode
from gateway.model.point import Device, Kind
from gateway.protocols.sparkplug import DataType, Value, is_offline, state_topic

_PERIOD = 30.0  # s between two reports
_Where = tuple[str, str]  # place, metric


@dataclass(slots=True)
class SparkplugPlayer:
    """An edge node with all its configured devices: births when it connects or is asked, then data, commands obeyed.

    Attributes:
        fault: of its connection: gone, the broker tells its death. What it says goes wrong by `node.fault`.
        host: id of its primary host: it says nothing until that is there, and begins anew when it was away (5.3).
    """

    node: EdgeNode
    begins: float
    host: str = ""
    fault: MqttFault = field(default_factory=MqttFault)
    _places: dict[str, str] = field(default_factory=dict)  # by configured device
    _rest: dict[_Where, Value] = field(default_factory=dict)
    _told: dict[str, dict[_Where, Value]] = field(default_factory=dict)  # by configured device: beside its rest
    _next: float = 0.0
    _born: bool = False
    _heard: bool = False  # that its host is there
    _left: bool = False  # because its host went

    @property
    def filters(self) -> Sequence[str]:
        """Where it is asked for its births, where its outputs are set, and where its host says that it is there."""
        return (*self.node.filters, *([state_topic(self.host)] if self.host else []))

    @property
    def stays(self) -> bool:
        """Whether it keeps its connection."""
        return not (self.fault.gone or self._left)

    def add(self, device: str, place: str, points: Sequence[Shown]) -> None:
        """Give the node what a device has, before its first birth."""
        before, self._places[device] = self.node, place
        known = {**before.metrics.get(place, {}), **{_metric(one): _type(one) for one in points}}
        outputs = frozenset((place, _metric(one)) for one in points if one.spec.decode.get("write"))
        self._rest |= _values(place, points)
        self.node = EdgeNode(
            before.group,
            before.name,
            {**before.metrics, place: known},
            values=dict(self._rest),
            outputs=before.outputs | outputs,
        )

    def connect(self) -> Message:
        """Begin a connection; return its death, which is the will (6.4.20). Births are said next."""
        self._next, self._born, self._heard, self._left = 0.0, False, False, False
        return self.node.connect()

    def at(self, t: float) -> list[Message]:
        """Return what it publishes after t seconds."""
        if self.fault.gone or self.fault.silent or t < self._next or (self.host and not self._heard):
            return []
        self._next, self.node.fault.garbage = t + _PERIOD, self.fault.garbage
        if not self.fault.stuck:
            self._turn()
        born, self._born = self._born, True
        if not born:
            return self.node.births(self._ms(t))
        return [message for place in self.node.metrics for message in self._data(place, t)]

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Return births to who asks for them, and what an output is after a command; nothing to who is not its host."""
        if self.host and topic == state_topic(self.host):
            self._heard, before = not is_offline(payload), self._heard
            self._left = before and not self._heard
            return []
        if self.host and not self._heard:
            return []
        return [] if self.fault.gone or self.fault.silent else self.node.hear(topic, payload, self._ms(t))

    def show(self, points: Sequence[Shown], device: str) -> None:
        """Let these points of a device be so from now on."""
        self._told[device] = _values(self._places[device], points)
        self._next = 0.0

    def _turn(self) -> None:
        """Take over what is so now; an output stays as a command set it."""
        now = self._rest | {where: value for told in self._told.values() for where, value in told.items()}
        self.node.values |= {where: value for where, value in now.items() if where not in self.node.outputs}

    def _data(self, place: str, t: float) -> list[Message]:
        values = {name: self.node.values[place, name] for name in self.node.metrics[place]}
        return self.node.report(place, values, self._ms(t))

    def _ms(self, t: float) -> int:
        return round(1000 * (self.begins + t))


def sparkplug(
    device: Device, points: Sequence[Shown], nodes: dict[tuple[str, str], SparkplugPlayer], begins: float
) -> SparkplugPlayer | None:
    """Return the player of a device's node, the device added to it; None: it has no points."""
    if not points:
        return None
    options = {**device.profile.options, **device.options}
    group, name = str(options["group"]), str(options["node"])
    known = nodes.setdefault((group, name), SparkplugPlayer(EdgeNode(group, name, {}), begins))
    known.host = str(options.get("host") or known.host)
    known.add(device.id, str(options.get("device", "")), points)
    return known


def _metric(point: Shown) -> str:
    return str(point.spec.decode.get("metric") or point.spec.name)


def _type(point: Shown) -> DataType:
    return DataType.BOOLEAN if point.spec.kind is Kind.STATE else DataType.DOUBLE


def _values(place: str, points: Sequence[Shown]) -> dict[_Where, Value]:
    """Return what metrics are where their points are so."""
    return {(place, _metric(one)): bool(one.raw) if _type(one) is DataType.BOOLEAN else one.raw for one in points}
