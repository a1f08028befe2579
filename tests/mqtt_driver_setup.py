"""An `mqtt` driver to test: a dialect in five lines, a store that commits when told, counters."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from drivers import mqtt
from gateway import registry
from gateway.clock import Clock, SystemClock
from gateway.errors import LinkDown
from gateway.model.batch import Batch, Event, EventCode, Mark
from gateway.model.point import Device, PointSpec, Profile
from gateway.model.ports import Decoded, DialectSetup, DriverSetup
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import Limits, SourceSpec

PROFILE = Profile(id="plain", title="plain", points=(PointSpec(name="value"),), driver="plain")


class PlainDialect:
    """`<device>/state` carries a number, `fire`, `boom` (a bug of ours) or rubbish."""

    def __init__(self, setup: DialectSetup) -> None:
        self._setup = setup

    def filters(self, device: Device) -> Sequence[str]:
        """Return the device's topic, or what its options say."""
        return (device.options.get("filter", f"{device.id}/state"),)

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Read one message."""
        point = self._setup.point_ids.get(f"{topic.partition('/')[0]}.value")
        if point is None:
            return False
        if payload == b"boom":
            raise RuntimeError("planted")
        if payload == b"fire":
            into.events.append(Event(point, "3/17", EventCode.FIRE, raw=payload))
            return True
        try:
            value = float(payload)
        except ValueError:
            into.problems.append("not_a_number")
            return True
        doubt = quality(Level.UNCERTAIN, Doubt.RETAINED) if retained else quality(Level.GOOD)
        into.rows.append((point, 0, value, doubt))
        return True

    def ask(self, device: Device) -> Sequence[tuple[str, bytes]]:
        """Ask every device."""
        return ((f"{device.id}/get", b"{}"),)


class Notebook:
    """`Memory` and `LinkReport` in one; survives a driver as the store does."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.findings: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """Return what was put."""
        return self.kept.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self.kept[key] = value

    def count(self, what: str, number: int = 1) -> None:
        """Count."""
        self.counts[what] += number

    def alive(self) -> None:
        """Count that a session stands."""
        self.counts["alive"] += 1

    def finding(self, key: str, text: str) -> None:
        """Keep a remark."""
        self.findings[key] = text


@dataclass
class Store:
    """Takes batches; `commit` makes everything handed over so far safe, then acknowledges."""

    instant: bool = True
    batches: list[Batch] = field(default_factory=list)
    safe: set[bytes] = field(default_factory=set)  # payloads
    marks: list[Mark] = field(default_factory=list)
    _open: list[Batch] = field(default_factory=list)

    def emit(self, batch: Batch) -> None:
        """Take a batch as the intake does."""
        self.batches.append(batch)
        self._open.append(batch)
        if self.instant:
            self.commit()

    def commit(self, *, acknowledge: bool = True) -> None:
        """Commit; without `acknowledge` as a daemon that dies right after it."""
        batches, self._open = self._open, []
        for batch in batches:
            self.safe.update(batch.frames)
            self.marks += batch.marks
            if acknowledge:
                batch.ack()

    @property
    def values(self) -> list[float]:
        """All readings in order."""
        return [float(value) for batch in self.batches for value in batch.value]

    @property
    def events(self) -> list[Event]:
        """All events in order."""
        return [event for batch in self.batches for event in batch.events]


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the registry know the dialect `plain`."""
    monkeypatch.setattr(registry, "dialect", lambda _name: SimpleNamespace(create=PlainDialect))


def device(name: str, **options: Any) -> Device:  # noqa: ANN401 - whatever a TOML table holds
    """Return a device of the plain profile."""
    return Device(id=name, source="broker", profile=PROFILE, options=options)


def driver(
    port: int,
    notebook: Notebook,
    *,
    devices: Sequence[Device] | None = None,
    alarm: Sequence[str] = ("smoke",),
    marks: Sequence[Mark] = (),
    clock: Clock | None = None,
    limits: Limits | None = None,
    **options: Any,  # noqa: ANN401 - whatever a TOML table holds
) -> mqtt.MqttDriver:
    """Build the driver for devices `smoke` (life safety) and `level`, unless told otherwise."""
    devices = [device("smoke"), device("level")] if devices is None else devices
    points = {f"{one.id}.value": number for number, one in enumerate(devices)}
    return mqtt.create(
        DriverSetup(
            source=SourceSpec(id="broker", driver="mqtt", options={"host": "127.0.0.1", "port": port, **options}),
            devices=devices,
            point_ids={**points, "@broker.events": 99},
            life_safety=frozenset(alarm),
            clock=clock or SystemClock(),
            memory=notebook,
            report=notebook,
            limits=limits or Limits(),
            station="jc-07",
            marks=marks,
        )
    )


@asynccontextmanager
async def up(one: mqtt.MqttDriver, store: Store) -> AsyncIterator[asyncio.Task[None]]:
    """Run a driver while the block runs, then cancel it as a daemon that stops."""
    task = asyncio.get_running_loop().create_task(one.run(store.emit))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LinkDown):
            await task


async def supervised(one: mqtt.MqttDriver, store: Store) -> None:
    """Run a driver again and again, as the supervisor does."""
    while True:
        with suppress(LinkDown):
            await one.run(store.emit)
        await asyncio.sleep(0.05)
