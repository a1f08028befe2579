"""MQTT devices that behave physically: a fire grows, gas collects, a tank drains, a floor gets wet.

Pure: for demo, `simulate` and tests. Devices say what is published when; whoever has a broker and a clock publishes it.
Keeps house rule 9 (fakes ship) and rule 2 (no clock, no socket: seconds and a seeded random source are arguments).
Every device has faults that can be set at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, Protocol

from drivers.simulated.behaviour import Behaviour, constant, drain, fire, ramp, sine, switch
from drivers.simulated.mqtt_shown import Shown

TICK = 1.0  # s between two looks at a device

# Densities at which a detector's own alarm comes and goes, in %/m; EN 54-7 detectors answer at a few %/m.
SMOKE_ON, SMOKE_OFF = 3.0, 1.0
LEL_ON, LEL_OFF = 10.0, 5.0


class Message(NamedTuple):
    """One publication."""

    topic: str
    payload: bytes
    retain: bool = False


@dataclass(slots=True)
class MqttFault:
    """What is wrong with a device just now.

    Attributes:
        silent: sends nothing and says nothing about it.
        gone: left the network: `offline` is published, and `online` when it is back.
        stuck: goes on sending what it sent last.
        garbage: sends bytes that are not what they should be.
    """

    silent: bool = False
    gone: bool = False
    stuck: bool = False
    garbage: bool = False


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number: behaviour, standard deviation of its noise, digits after the point, and the stops of its scale."""

    behaviour: Behaviour
    noise: float = 0.0
    digits: int = 1
    low: float = 0.0
    high: float = float("inf")

    def at(self, t: float, random: Random) -> float:
        """Return what the sensor shows after t seconds."""
        return round(min(self.high, max(self.low, random.gauss(self.behaviour(t), self.noise))), self.digits)


@dataclass(frozen=True, slots=True)
class Flag:
    """A yes or no that follows a quantity with a dead band."""

    quantity: str
    on: float
    off: float


class Device(Protocol):
    """What whoever plays it needs of a device."""

    @property
    def fault(self) -> MqttFault:
        """What is wrong with it; change it at any time."""

    @property
    def filters(self) -> Sequence[str]:
        """What it subscribes to."""

    def connect(self) -> Message | None:
        """Begin a connection; return its last will, None: it has none. What it says at a birth is said next."""

    def at(self, t: float) -> list[Message]:
        """Return what it publishes after t seconds; called with growing t."""

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Return the answer to a message of what it subscribed to."""

    def show(self, points: Sequence[Shown], device: str) -> None:
        """Let these points of a configured device be so from now on and be told at once; all others are at rest."""


@dataclass(slots=True)
class MqttDevice:
    """A device that publishes its state as one JSON object: every `period` s, and at once when a flag turns.

    Attributes:
        topic: of its state.
        quantities: field, `a.b` for b inside a → number; those named in `hidden` are physics it does not tell.
        flags: field → yes or no made of a quantity.
        availability: topic for online and offline, if it has one.
        fault: change it at any time.
    """

    topic: str
    quantities: Mapping[str, Quantity]
    random: Random
    flags: Mapping[str, Flag] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    period: float = 10.0
    availability: str = ""
    fault: MqttFault = field(default_factory=MqttFault)
    filters: Sequence[str] = ()
    _state: dict[str, bool] = field(default_factory=dict)
    _told: dict[str, float] = field(default_factory=dict)
    _next: float = 0.0
    _last: bytes = b""
    _away: bool = False

    def connect(self) -> None:
        """Say that it is there, as its bridge does; the will is the bridge's."""
        self._away, self._next = True, 0.0

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Nothing: it takes no commands."""
        del topic, payload, t
        return []

    def show(self, points: Sequence[Shown], device: str = "") -> None:
        """Let fields be so from now on: a flag takes the quantity along of which it is made."""
        del device
        self._told = {point.way: point.raw for point in points}
        self._next = 0.0

    def at(self, t: float) -> list[Message]:
        """Return what it publishes after t seconds."""
        found = self._presence()
        values = {name: quantity.at(t, self.random) for name, quantity in self.quantities.items()}
        for name, flag in self.flags.items():
            if self._told.get(name):
                values[flag.quantity] = max(values[flag.quantity], flag.on)
        values |= {name: raw for name, raw in self._told.items() if name in values}
        turned = self._turn(values)
        if self.fault.gone or self.fault.silent or not (turned or found or t >= self._next):
            return found
        self._next = t + self.period
        if not (self.fault.stuck and self._last):
            shown = {name: value for name, value in values.items() if name not in self.hidden}
            self._last = json.dumps(nested({**self._state, **shown})).encode()
        return [*found, Message(self.topic, spoilt(self._last, self.random) if self.fault.garbage else self._last)]

    def _presence(self) -> list[Message]:
        if self.fault.gone == self._away:
            return []
        self._away = self.fault.gone
        said = json.dumps({"state": "offline" if self._away else "online"}).encode()
        return [Message(self.availability, said, retain=True)] if self.availability else []

    def _turn(self, values: Mapping[str, float]) -> bool:
        before = dict(self._state)
        for name, flag in self.flags.items():
            limit = flag.off if before.get(name) else flag.on
            self._state[name] = values[flag.quantity] >= limit
        return before != self._state


def spoilt(payload: bytes, random: Random) -> bytes:
    """Return a payload as a bad link or a bad sensor would have it."""
    way = random.randrange(4)
    if way == 0 or not payload:
        return random.randbytes(len(payload))
    if way == 1:
        return payload[: random.randrange(len(payload))]
    if way == 2:
        return payload.replace(b":", b":NaN", 1)
    place = random.randrange(len(payload))
    return payload[:place] + bytes((payload[place] ^ 1 << random.randrange(8),)) + payload[place + 1 :]


def nested(fields: Mapping[str, object]) -> dict[str, object]:
    """Return `a.b` as b inside a."""
    message: dict[str, object] = {}
    for name, value in fields.items():
        *above, last = name.split(".")
        inner: dict[str, object] = message
        for key in above:
            found = inner.setdefault(key, {})
            inner = found if isinstance(found, dict) else {}
        inner[last] = value
    return message


@dataclass(slots=True)
class Panel:
    """A fire panel's adapter: events at given seconds, a sign of life every `period` s. Events: see `json-panel`."""

    topic: str
    events: Sequence[tuple[float, Mapping[str, object]]]
    period: float = 30.0
    fault: MqttFault = field(default_factory=MqttFault)
    filters: Sequence[str] = ()
    _told: float = -1.0
    _next: float = 0.0
    _happened: list[Mapping[str, object]] = field(default_factory=list)

    def connect(self) -> None:
        """Nothing is said of that, and there is no will."""

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Nothing: it takes no commands."""
        del topic, payload, t
        return []

    def show(self, points: Sequence[Shown], device: str = "") -> None:
        """Nothing: a panel has events, and no points."""

    def tell(self, event: Mapping[str, object]) -> None:
        """Let something happen now."""
        self._happened.append(event)

    def at(self, t: float) -> list[Message]:
        """Return the events since the last look, or a sign of life when that is due."""
        due = [*self._happened, *(event for moment, event in self.events if self._told < moment <= t)]
        self._happened.clear()
        self._told = t
        if self.fault.silent or self.fault.gone:
            return []
        if t >= self._next:
            self._next = t + self.period
            due.append({"uptime": round(t)})
        return [Message(self.topic, json.dumps(event, ensure_ascii=False).encode()) for event in due]


def smoke_detector(topic: str, seed: int, *, fire_at: float = float("inf")) -> MqttDevice:
    """A Zigbee smoke detector with temperature; profile `zigbee2mqtt-smoke`."""
    return _zigbee(
        topic,
        seed,
        {
            "smoke_density": Quantity(fire(0.1, 40.0, begins=fire_at, doubling=4.0), noise=0.03, digits=2),
            "temperature": Quantity(fire(21.0, 400.0, begins=fire_at + 5.0, doubling=8.0), noise=0.1),
            "battery": Quantity(ramp(100.0, -1e-6), digits=0, high=100.0),
        },
        {"smoke": Flag("smoke_density", SMOKE_ON, SMOKE_OFF)},
    )


def gas_detector(topic: str, seed: int, *, leak_at: float = float("inf")) -> MqttDevice:
    """A Zigbee gas detector; gas fills the room towards 40 %LEL, half of the way every 30 s; `zigbee2mqtt-gas`."""
    gas = Quantity(drain(0.0, 40.0, begins=leak_at, half_life=30.0), noise=0.2, digits=1, high=100.0)
    return _zigbee(topic, seed, {"gas_value": gas}, {"gas": Flag("gas_value", LEL_ON, LEL_OFF)})


def leak_sensor(topic: str, seed: int, *, wet_at: float = float("inf")) -> MqttDevice:
    """A Zigbee water sensor; profile `zigbee2mqtt-leak`."""
    quantities = {
        "depth": Quantity(switch(0.0, 5.0, at=wet_at)),
        "battery": Quantity(constant(97.0), digits=0),
    }
    return _zigbee(topic, seed, quantities, {"water_leak": Flag("depth", 1.0, 0.5)}, frozenset({"depth"}))


def tank_gauge(topic: str, seed: int, *, drains_at: float = float("inf")) -> MqttDevice:
    """A JSON gauge in a fire-water tank of 2.5 m that runs empty, half of what is left every 60 s; in m and Cel."""
    quantities = {
        "level": Quantity(drain(2.5, 0.0, begins=drains_at, half_life=60.0), noise=0.002, digits=3),
        "temperature": Quantity(sine(12.0, 1.5, 86_400.0), noise=0.05, low=-40.0),
    }
    return MqttDevice(topic, quantities, Random(seed), period=5.0)


def _zigbee(
    topic: str,
    seed: int,
    quantities: dict[str, Quantity],
    flags: dict[str, Flag],
    hidden: frozenset[str] = frozenset(),
) -> MqttDevice:
    random = Random(seed)
    link = Quantity(sine(90.0, 20.0, 600.0), noise=5.0, digits=0, low=1.0, high=255.0)
    return MqttDevice(
        topic, {**quantities, "linkquality": link}, random, flags, hidden, availability=f"{topic}/availability"
    )
