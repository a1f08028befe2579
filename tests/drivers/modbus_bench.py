"""A bench for the `modbus_rtu` driver: a simulated bus on the driven clock, and what the driver emitted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivers.modbus_rtu import create
from drivers.simulated.modbus_bus import ModbusBus, SimulatedSlave
from drivers.simulated.wire import Wire
from gateway.errors import LinkDown
from gateway.model.batch import Batch
from gateway.model.point import Device, Kind, PointSpec, Profile
from gateway.model.ports import DriverSetup
from gateway.model.quality import describe
from gateway.model.station import SourceSpec
from gateway.model.time import Clock
from gateway.testing import FakeClock


@dataclass
class Report:
    """Counts what the driver reports, and is its memory."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def count(self, what: str, number: int = 1) -> None:
        """Add to a counter."""
        self.counts[what] += number

    def finding(self, key: str, text: str) -> None:
        """Keep a remark."""
        self.findings[key] = text

    def alive(self) -> None:
        """Count it."""
        self.counts["alive"] += 1

    def get(self, key: str) -> str | None:
        """Return what was put."""
        return self.kept.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self.kept[key] = value


def measure(name: str, decode: Mapping[str, Any], **more: Any) -> PointSpec:  # noqa: ANN401 - fields of PointSpec
    return PointSpec(name=name, unit="1", decode=dict(decode), **more)


def state(name: str, decode: Mapping[str, Any], **more: Any) -> PointSpec:  # noqa: ANN401 - as above
    labels = {"normal": 0.0, "alarm": 1.0}
    return PointSpec(name=name, kind=Kind.STATE, labels=labels, decode=dict(decode), **more)


def device(
    name: str,
    address: int,
    points: Sequence[PointSpec],
    *,
    poll: float = 1.0,
    preheat: float = 0.0,
    **options: Any,  # noqa: ANN401 - as above
) -> Device:
    profile = Profile(id=f"{name}-type", title="", points=tuple(points), driver="modbus_rtu", preheat=preheat)
    return Device(id=name, source="bus1", profile=profile, poll=poll, options={"address": address, **options})


LEVEL = measure("level", {"fc": 3, "address": 4, "type": "s16", "scale": 0.01})


def driver_setup(
    devices: Sequence[Device],
    clock: Clock,
    report: Report,
    *,
    life_safety: frozenset[str] = frozenset(),
    **options: Any,  # noqa: ANN401 - as above
) -> DriverSetup:
    """Return the setup of a source `bus1` with these devices; point ids count from 1."""
    names = [f"{one.id}.{spec.name}" for one in devices for spec in one.profile.points]
    return DriverSetup(
        source=SourceSpec(id="bus1", driver="modbus_rtu", options={"port": "wire", **options}),
        devices=devices,
        point_ids={"@bus1.events": 0, **{name: number for number, name in enumerate(names, 1)}},
        life_safety=life_safety,
        clock=clock,
        memory=report,
        report=report,
    )


def readings(batches: Sequence[Batch], point: int) -> list[tuple[float, str]]:
    """Return (value to 9 decimals, quality) of every reading of a point."""
    return [
        (round(float(batch.value[row]), 9), describe(int(batch.quality[row])))
        for batch in batches
        for row in range(len(batch))
        if int(batch.point[row]) == point
    ]


class Bench:
    """A driver on a simulated bus: what it emitted, newest reading by point name."""

    def __init__(
        self,
        devices: Sequence[Device],
        slaves: Sequence[SimulatedSlave],
        *,
        life_safety: frozenset[str] = frozenset(),
        report: Report | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.wire = Wire()
        self.bus = ModbusBus(self.wire, self.clock, slaves)
        self.report = report or Report()
        self.setup = driver_setup(devices, self.clock, self.report, life_safety=life_safety)
        self.ids = self.setup.point_ids
        self.driver = create(self.setup, open_port=lambda _: self.wire.open())
        self.batches: list[Batch] = []
        self.downs: list[str] = []

    async def play(self, test: Callable[[Bench], Awaitable[None]]) -> None:
        """Run bus and driver beside the test."""
        tasks = [asyncio.create_task(self.bus.run()), asyncio.create_task(self._supervised())]
        try:
            await test(self)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _supervised(self) -> None:
        """Run the driver, again when it has lost its link."""
        while True:
            try:
                await self.driver.run(self.batches.append)
            except LinkDown as down:
                self.downs.append(str(down))
                await self.clock.sleep(1)

    def all_of(self, name: str) -> list[tuple[float, str]]:
        """Return (value to 9 decimals, quality) of every reading of a point."""
        return readings(self.batches, self.ids[name])

    def last(self, name: str) -> tuple[float, str]:
        """Return the newest reading of a point."""
        return self.all_of(name)[-1]


def play(bench: Bench, test: Callable[[Bench], Awaitable[None]]) -> None:
    asyncio.run(bench.play(test))
