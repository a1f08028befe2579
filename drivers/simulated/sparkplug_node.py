"""A Sparkplug B edge node with devices: births, aliases, sequence numbers, deaths, and what goes wrong on demand.

Pure, for `simulate` and tests: methods return what is published, whoever has a broker publishes it. Keeps house rule 9
(fakes ship). Follows the Sparkplug specification 3.0, chapters 5 and 6. Times are ms since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.simulated.mqtt_devices import Message
from gateway.protocols.sparkplug import (
    BD_SEQ,
    REBIRTH,
    SEQUENCE,
    Address,
    DataType,
    Metric,
    Payload,
    Value,
    address_of,
    decode,
    encode,
    placed,
    value_of,
)

NODE = ""  # the place of the node's own metrics


@dataclass(slots=True)
class NodeFault:
    """What is wrong with a node just now.

    Attributes:
        losing: so many of the next messages get lost on their way: their seq is used up.
        renumbered: its next data have aliases that no birth explained; its next births do, and that ends it.
        deaf: hears no request for births.
        garbage: payloads are cut in the middle.
    """

    losing: int = 0
    renumbered: bool = False
    deaf: bool = False
    garbage: bool = False


@dataclass(slots=True)
class EdgeNode:
    """One node. `metrics`: place (device id, `NODE` for its own) → metric → type; values begin as null.

    `outputs`: places and metrics that a command sets.
    """

    group: str
    name: str
    metrics: Mapping[str, Mapping[str, DataType]]
    fault: NodeFault = field(default_factory=NodeFault)
    values: dict[tuple[str, str], Value] = field(default_factory=dict)
    outputs: frozenset[tuple[str, str]] = frozenset()
    _seq: int = SEQUENCE - 1
    _bd: int = SEQUENCE - 1
    _alias: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give every metric its alias, unique over the node (6.4.18)."""
        self._number(1)

    @property
    def filter(self) -> str:
        """Where it is asked for its births, and its own outputs are set."""
        return Address(self.group, "NCMD", self.name, "").topic()

    @property
    def filters(self) -> tuple[str, str]:
        """What it subscribes to: commands to it and to its devices."""
        return self.filter, Address(self.group, "DCMD", self.name, "+").topic()

    def connect(self) -> Message:
        """Begin a connection: the last will to hand to the broker (6.4.20)."""
        self._bd = (self._bd + 1) % SEQUENCE
        return self._message("NDEATH", NODE, Payload(metrics=(self._bd_seq(),)))

    def births(self, time: int) -> list[Message]:
        """Return NBIRTH and a DBIRTH per device, each with name, alias, type and value of every metric."""
        if self.fault.renumbered:
            self._number(1 + len(self._alias) + min(self._alias.values(), default=0))
            self.fault.renumbered = False
        own = (self._bd_seq(), Metric(name=REBIRTH, datatype=DataType.BOOLEAN, value=False, time=time))
        found = self._sent("NBIRTH", NODE, (*own, *self._born(NODE, time)), time)
        for place in self.metrics:
            if place != NODE:
                found += self._sent("DBIRTH", place, self._born(place, time), time)
        return found

    def report(self, place: str, values: Mapping[str, Value], time: int, *, historical: bool = False) -> list[Message]:
        """Return the DATA that says what changed, by alias alone."""
        if not historical:
            self.values |= {(place, name): value for name, value in values.items()}
        metrics = tuple(self._metric(place, name, value, time, historical=historical) for name, value in values.items())
        return self._sent("NDATA" if place == NODE else "DDATA", place, metrics, time)

    def send(self, place: str, metrics: tuple[Metric, ...], time: int) -> list[Message]:
        """Return a DATA of these metrics, whatever they are."""
        return self._sent("NDATA" if place == NODE else "DDATA", place, metrics, time)

    def device_death(self, place: str, time: int) -> list[Message]:
        """Return the DDEATH of a device."""
        return self._sent("DDEATH", place, (), time)

    def hear(self, topic: str, payload: bytes, time: int) -> list[Message]:
        """Return the answer to a command: births when it asks for them, the new state of outputs that it sets."""
        found, address = decode(payload), address_of(topic)
        if not isinstance(found, Payload) or address is None or self.fault.deaf:
            return []
        if topic == self.filter and any(one.name == REBIRTH and one.value is True for one in found.metrics):
            return self.births(time)
        place = address.device
        wanted = {one.name: one for one in found.metrics if one.name and (place, one.name) in self.outputs}
        meant = {name: value_of(one, self.metrics[place][name]) for name, one in wanted.items()}
        taken = {name: value for name, value in meant.items() if isinstance(value, int | float)}
        return self.report(place, taken, time) if taken else []

    def _born(self, place: str, time: int) -> tuple[Metric, ...]:
        metrics = self.metrics.get(place, {})
        return tuple(
            Metric(
                name=name,
                alias=self._alias[place, name],
                datatype=datatype,
                value=self.values.get((place, name)),
                time=time,
            )
            for name, datatype in metrics.items()
        )

    def _number(self, first: int) -> None:
        names = [(place, name) for place, metrics in self.metrics.items() for name in metrics]
        self._alias = {which: number for number, which in enumerate(names, first)}

    def _metric(self, place: str, name: str, value: Value, time: int, *, historical: bool) -> Metric:
        """Return a metric as data has it: the type is known from the birth, the value goes into that type's field."""
        kind, wire = ("", None) if value is None else placed(self.metrics[place][name], value)
        strange = len(self._alias) + 1 if self.fault.renumbered else 0
        return Metric(alias=self._alias[place, name] + strange, time=time, value=wire, kind=kind, historical=historical)

    def _bd_seq(self) -> Metric:
        return Metric(name=BD_SEQ, datatype=DataType.INT64, value=self._bd)

    def _sent(self, kind: str, place: str, metrics: tuple[Metric, ...], time: int) -> list[Message]:
        self._seq = (self._seq + 1) % SEQUENCE
        if self.fault.losing:
            self.fault.losing -= 1
            return []
        return [self._message(kind, place, Payload(time=time, seq=self._seq, metrics=metrics))]

    def _message(self, kind: str, place: str, payload: Payload) -> Message:
        data = encode(payload)
        if self.fault.garbage and len(data) > 1:
            data = data[: len(data) // 2]
        return Message(Address(self.group, kind, self.name, place).topic(), data)
