"""Ports: the few Protocols by which the packages meet without importing each other; `gateway.app` plugs them together.

Four methods each at most. A plug-in is one file; its factory is a function of the name given here:

| plug-in | file | factory |
|---|---|---|
| driver | `drivers/<driver>.py` | `create(setup: DriverSetup) -> Driver` |
| dialect | `drivers/dialects/<dialect>.py` | `create(setup: DialectSetup) -> Dialect` (pure) |
| rule kind | `rules/kinds/<kind>.py` | `create(setup: rules.compiled.KindSetup) -> rules.compiled.Kind` (pure) |
| channel | `gateway/channels/<kind>.py` | `create(setup: ChannelSetup) -> Channel` |
| sink | `gateway/sinks/<kind>.py` | `create(setup: SinkSetup) -> Sink` |

Each plug-in file also has `OPTIONS`, a msgspec Struct class that says which keys of its TOML table it knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gateway.model.alarm import Alarm, AlarmFacts
from gateway.model.batch import Batch, Event, EventCode, Mark
from gateway.model.contact import ChannelSpec
from gateway.model.delta import Delta
from gateway.model.moment import Input, Moment
from gateway.model.notification import Notification, Receipt
from gateway.model.point import Device, Point
from gateway.model.portion import Aside, Portion
from gateway.model.station import Limits, SinkSpec, SourceSpec
from gateway.model.time import Clock
from gateway.model.verdict import Change

Emit = Callable[[Batch], None]


class Memory(Protocol):
    """A small durable map of text for plug-ins (subscriptions of a session, last message reference)."""

    def get(self, key: str) -> str | None:
        """Return what was put, also before a restart."""

    def put(self, key: str, value: str) -> None:
        """Keep it with the next commit."""


class LinkReport(Protocol):
    """How a driver tells its health besides raising: counted, shown by `doctor`, never free-running logs."""

    def count(self, what: str, number: int = 1) -> None:
        """Add to a named counter of this source (`crc`, `unknown_topic`, `refused` …)."""

    def finding(self, key: str, text: str) -> None:
        """Keep a standing remark for `doctor` (a life-safety device at QoS 0 …); "": it is so no longer."""

    def alive(self) -> None:
        """Say that the link stands, though nothing was read yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSetup:
    """What a driver is given. `point_ids` maps `device.point` to durable ids; `@<source>.events` among them."""

    source: SourceSpec
    devices: Sequence[Device]
    point_ids: Mapping[str, int]
    life_safety: frozenset[str]  # device ids of lane 1
    clock: Clock
    memory: Memory
    report: LinkReport
    limits: Limits = field(default_factory=Limits)
    station: str = ""
    marks: Sequence[Mark] = ()  # of this source: committed before the restart, maybe never acknowledged
    wall: Callable[[], int] | None = None  # ns since 1970 UTC, 0 while not trusted; None: as the kernel says


class Driver(Protocol):
    """A link to devices. `run` is one supervised task; leaving it by cancellation closes everything."""

    async def run(self, emit: Emit) -> None:
        """Bring batches until cancelled; raise LinkDown, DriverFatal. Never waits in `emit`."""

    async def write(self, device: str, point: str, value: float) -> None:
        """Set an output and read it back; DeliveryError or LinkDown when it did not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectSetup:
    """What a dialect is given: the devices that speak it on one source."""

    devices: Sequence[Device]
    point_ids: Mapping[str, int]
    source_events: int  # point id for events of unknown devices


class Publication(NamedTuple):
    """A message that a dialect wants at its broker."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 1


@dataclass(slots=True)
class Decoded:
    """What one message says. Rows are (point, source time ns or 0, value, quality); `heard` are point ids.

    `replies` leave at once, for what accepts nothing (a question, a request to be born again); an equal one only every
    few seconds, so that a dialect may ask with each message that it cannot read.
    """

    rows: list[tuple[int, int, float, int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # closed reasons to count
    replies: list[Publication] = field(default_factory=list)


class Dialect(Protocol):
    """(topic, payload, profile) → rows and events. Pure; one bad message never costs the good ones beside it."""

    def filters(self, device: Device) -> Sequence[str]:
        """Return the MQTT filters that carry this device."""

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Append what the message says; False when the topic is nobody's. Never raises on foreign bytes."""

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:
        """Return messages that make the device tell its present state, e.g. `…/get`."""


@runtime_checkable
class Announcing(Protocol):
    """What a dialect may have beside `Dialect`: it tells the far ends that we are here and that we are gone."""

    def will(self, wall: int) -> Publication | None:
        """Return what the broker is to say when we are gone. `wall`: ns since 1970, the same as for `births`."""

    def births(self, wall: int) -> Sequence[Publication]:
        """Return what to publish at each connection, once everything is subscribed."""


@runtime_checkable
class Polling(Protocol):
    """What a dialect may have beside `Dialect`: devices that would say nothing while nothing changes can be asked."""

    def poll(self, device: Device) -> Sequence[Publication]:
        """Return what makes an awake device tell its present state; asked every half minute."""


@runtime_checkable
class Commanding(Protocol):
    """What a dialect may have beside `Dialect`: devices with outputs."""

    def command(self, device: Device, point: str, value: float) -> Sequence[Publication]:
        """Return what sets a point to a value in its unit and makes the device tell it; nothing: it is no output."""


class RuleKind(Protocol):
    """All rules of one kind, as slots in arrays (house section 3). Pure."""

    def judge(self, moment: Moment, delta: Delta) -> list[Change]:
        """Apply the readings of one moment; changes in the order of positions."""

    def fire(self, until: int, delta: Delta) -> list[Change]:
        """Fire every timer due at or before `until`, stamped with its own due time, in order of due times."""

    def due(self) -> int:
        """Return a lower bound of the earliest due moment, NEVER if none."""

    def snapshot(self) -> Mapping[str, Any]:
        """Return columns by name, for `restore` of the kind's state (see `rules.engine`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSetup:
    """What a channel is given. `write` sets an output of a device (for relays)."""

    spec: ChannelSpec
    clock: Clock
    memory: Memory
    report: LinkReport
    write: Callable[[str, str, float], Awaitable[None]]
    limits: Limits = field(default_factory=Limits)
    station: str = ""


class Channel(Protocol):
    """One way to reach people."""

    async def run(self, tell: Callable[[Input], None]) -> None:
        """Keep the link up until cancelled; `tell` ChannelState, Reply and late Receipts. Raises LinkDown."""

    async def send(self, notice: Notification) -> Receipt:
        """Hand one notice over; returns SENT (or DELIVERED); raises DeliveryError. Higher classes first."""

    def accepted(self, token: str) -> None:
        """A reply of this token is committed: it may be deleted at the far end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSetup:
    """What a sink is given.

    Attributes:
        spec: its table of the configuration.
        station: id of the station.
        instance: stays the same for one store: two of them under one station id are two gateways.
        points: durable id → point, those that left the configuration among them (as far as their name tells).
        facts: what the configuration says of an alarm's place (rule, point, key).
        clock: counts time-outs.
        names: device id → what people call it.
        alarms: returns the alarms that are open now, each with the wall time (ns, 0 unknown) since when it stands, or
            since when it does not while it still waits for a person. Raises StoreError. None: nobody can tell.
        tell: (key, code, text) → an event of the gateway itself, with the key `<key> <sink's id>`.
    """

    spec: SinkSpec
    station: str
    instance: str
    points: Mapping[int, Point]
    facts: Callable[[str, int, str], AlarmFacts]
    clock: Clock
    names: Mapping[str, str] = field(default_factory=dict)
    alarms: Callable[[], Sequence[tuple[Alarm, int]]] | None = None
    tell: Callable[[str, EventCode, str], None] = lambda _key, _code, _text: None


class Sink(Protocol):
    """One far end. Lives in a process of its own, so it may block its loop for some tenths of a second."""

    async def send(self, portion: Portion) -> Sequence[Aside]:
        """Return when the far end has everything but what it refuses for good (returned).

        Sending something twice leaves it there once. Raises LinkDown (try again soon) and DeliveryError (a person has
        to mend something: try again slowly); nothing is passed over then.
        """

    async def close(self) -> None:
        """Close the link."""
