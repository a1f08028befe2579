"""Hundreds of devices that call one TCP port: what `firegrid run` spends on them, and how long they wait for an answer.

Transmitters of GB/T 26875.3, a frame a second each with two analog values, answered after the commit. The store is a
real one with `synchronous=FULL`; answers are timed at the devices.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from benchmarks import rig
from drivers.simulated.gb26875 import Transmitter
from gateway.protocols.gb26875_objects import Analog
from tests.ports import free_port
from tests.station_toml import station, table

DEVICES = 500
SETTLE = 3.0  # s until the daemon is at rest, and again until every device has called
ANSWER_WITHIN = 10.0  # s: the standard's


def measure(folder: Path, seconds: float, *, devices: int = DEVICES) -> dict[str, Any]:
    """Return memory on top, share of a core, times to the answer, and whether all that was confirmed is stored."""
    own, _ = rig.cores()
    port = free_port()
    with rig.elsewhere(), rig.daemon(rig.station(folder, _station(folder, port, devices)), own) as (daemon, _):
        time.sleep(SETTLE)
        before = daemon.rss()
        crowd = _Crowd(port, devices)
        used = asyncio.run(crowd.live(daemon.pid, seconds))
        grown = daemon.rss() - before
        stored = rig.wait_rows(folder / "station.db", 2 * crowd.confirmed, 20.0)
    waits = sorted(crowd.waits)
    return {
        "devices": devices,
        "cpu_percent": round(100 * used, 1),
        "memory_mb": round(grown / 1e6, 1),
        "answers_per_second": round(len(waits) / seconds),
        "median_ms": round(1e3 * waits[len(waits) // 2]),
        "p99_ms": round(1e3 * waits[len(waits) * 99 // 100]),
        "worst_ms": round(1e3 * waits[-1]),
        "complete": stored >= 2 * crowd.confirmed and not crowd.unanswered,
    }


def _station(folder: Path, port: int, devices: int) -> str:
    text = station(folder, interval="1s") + table(
        "source", id="centre", driver="gb26875", wire="tcp_server", port=port, peers=2 * devices
    )
    for number in range(devices):
        text += table(
            "device", id=f"d{number}", source="centre", profile="gb26875-water", address=1000 + number, cell="a",
            silence="5m",
        )  # fmt: skip
    return text


class _Crowd:
    """All devices, in one loop."""

    def __init__(self, port: int, devices: int) -> None:
        self.waits: list[float] = []
        self.confirmed = self.unanswered = 0
        self._port = port
        self._devices = devices

    async def live(self, pid: int, seconds: float) -> float:
        """Let everybody call and talk; return the daemon's share of a core over the last `seconds`."""
        living = [asyncio.create_task(self._live(number)) for number in range(self._devices)]
        await asyncio.sleep(2 * SETTLE)
        self.waits.clear()
        before, begun = rig.cpu_seconds(pid), time.monotonic()
        await asyncio.sleep(seconds)
        used = (rig.cpu_seconds(pid) - before) / (time.monotonic() - begun)
        self.waits, waits = [], self.waits
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        self.waits = waits
        return used

    async def _live(self, number: int) -> None:
        await asyncio.sleep(number / self._devices)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        device = Transmitter(1000 + number)
        try:
            for turn in range(1_000_000):
                begun, wall = time.monotonic(), time.time_ns()
                tag = device.tag(wall)
                values = [Analog(1, 1, 0, 3, kind, turn % 100, tag) for kind in (2, 5)]
                writer.write(device.report(3, values, wall))
                await self._answered(device, reader, writer)
                self.waits.append(time.monotonic() - begun)
                await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - begun)))
        finally:
            writer.close()

    async def _answered(self, device: Transmitter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                while device.unanswered:
                    writer.write(device.hear(await reader.read(4096), time.time_ns()))
            self.confirmed += 1
        except TimeoutError:
            self.unanswered += 1
            device.unanswered.clear()
