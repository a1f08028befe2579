"""A store with a configuration and a sink, whose process-to-be runs inside the test: for real servers and brokers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.clock import SECOND, SystemClock
from gateway.config.kept import dump
from gateway.model.batch import EventCode
from gateway.model.station import SinkSpec, Station, StoreSpec
from gateway.store.database import Store
from gateway.store.read import Reader
from gateway.testing import Life, Scenario
from gateway.uplink import child
from gateway.uplink.messages import Order, Report
from gateway.uplink.position import Position
from tests.step_station import STATION

START = 1_790_000_000
POINT = "gas.ch4"


class Living:
    """A scenario whose store is a file, and the reports of its sink."""

    def __init__(self, folder: Path, kind: str, **options: Any) -> None:  # noqa: ANN401
        self.path = folder / "station.db"
        spec = SinkSpec(id="far", kind=kind, options=options)
        self.station: Station = replace(STATION, store=StoreSpec(path=str(self.path)), sinks=(spec,))
        store = Store.open(self.path)
        store.connection.execute("PRAGMA synchronous = OFF")
        store.save_configuration("1", dump(self.station))
        self.scenario = Scenario(self.station, store=store, life=Life(wall=START * SECOND)).start()
        self.reports: list[Report] = []
        self.order = Order(str(self.path), "far", "sink far", Position(instance="i1"))
        self.second = 0

    def read(self, *values: float) -> None:
        """Commit readings of the gas sensor, a second apart, and an event beside the first."""
        for place, value in enumerate(values):
            self.second += 1
            self.scenario.read(self.second, POINT, value)
            if not place:
                self.scenario.event(self.second, "panel", EventCode.FIRE, f"1/{self.second}", "火警 <b>")

    def stored(self) -> dict[int, float]:
        """Return ns → value of the gas sensor."""
        with Reader(self.path) as reader:
            series = reader.readings(reader.points()[POINT])
        return dict(zip(series.time.tolist(), series.value.tolist(), strict=True))

    def count(self, kind: str) -> int:
        """Return how many events or transitions are stored."""
        with Reader(self.path) as reader:
            return sum(1 for _ in (reader.events() if kind == "event" else reader.transitions()))

    @property
    def error(self) -> str:
        """What the sink said last."""
        return self.reports[-1].error if self.reports else "not a word yet"

    @property
    def at_rest(self) -> bool:
        """Whether all that is stored has left."""
        return bool(self.reports) and not self.error and not self.reports[-1].waits

    @asynccontextmanager
    async def sending(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
        """Let the sink run, woken often, with short pauses between tries."""
        monkeypatch.setattr(child, "_say", self.reports.append)
        monkeypatch.setattr(child, "SOON", (0.1,))
        monkeypatch.setattr(child, "SLOWLY", 0.2)
        one = child.Child(self.order, SystemClock())

        async def wake() -> None:
            while True:
                one.wake(b"\n")
                await asyncio.sleep(0.02)

        tasks = [asyncio.create_task(one.run()), asyncio.create_task(wake())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await tasks[0]
