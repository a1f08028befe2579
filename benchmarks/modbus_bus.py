"""Polls a saturated Modbus bus carries, of those the wire allows: 8 simulated devices at 9 600 baud on a real pty.

The devices live in a process of their own, paced at the line's speed. Asked for three times what the line can carry,
the master's own delays are all that is missing. The best of three windows counts: on a shared machine the others
measure what else ran; all three are told.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from drivers.modbus_rtu import create
from drivers.simulated.modbus_bus import BITS_PER_CHARACTER, ModbusBus, SimulatedSlave
from gateway.clock import SECOND, SystemClock
from gateway.protocols.modbus import READ_HOLDING, Request
from gateway.transport.serial import open_pty
from tests.drivers.modbus_bench import Report, device, driver_setup
from tests.drivers.modbus_bench import measure as measured

DEVICES = 8
BAUDRATE = 9_600
DELAY = 0.01  # s a device takes to answer
OVERLOAD = 3.0  # polls asked for, of those the line carries
WINDOWS = 3
SILENCE = 3.5  # characters between two frames, "MODBUS over Serial Line V1.02" section 2.5.1.1


def measure(folder: Path, seconds: float) -> dict[str, Any]:
    """Return polls a second in the best window, what the wire allows, and the share of each window."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    far = context.Process(target=_far_end, args=(theirs, folder / "bus"), daemon=True)
    far.start()
    try:
        ours.recv()
        counts, lost = asyncio.run(_poll(folder / "bus", seconds / WINDOWS))
    finally:
        ours.send("stop")
        far.join(10)
    allowed = 1 / transaction()
    return {
        "polls_per_second": round(max(counts), 2),
        "wire_allows": round(allowed, 2),
        "percent": round(100 * max(counts) / allowed, 1),
        "windows_percent": [round(100 * count / allowed, 1) for count in counts],
        "unanswered": lost,
    }


def transaction() -> float:
    """Return the seconds that one poll takes at least: both frames, the silence, and the device."""
    request = Request(address=1, function=READ_HOLDING, start=4, count=2)
    characters = request.request_size() + request.reply_size() + SILENCE
    return characters * BITS_PER_CHARACTER / BAUDRATE + DELAY


async def _poll(path: Path, window: float) -> tuple[list[float], int]:
    """Return good polls a second in each window, and how many were not answered."""
    clock, report = SystemClock(), Report()
    points = [measured("a", {"fc": 3, "address": 4}), measured("b", {"fc": 3, "address": 5})]
    poll = DEVICES * transaction() / OVERLOAD
    devices = [device(f"d{n}", n, points, poll=poll, block=2) for n in range(1, DEVICES + 1)]
    driver = create(driver_setup(devices, clock, report, port=str(path), baudrate=BAUDRATE))
    polling = asyncio.create_task(driver.run(lambda _: None))
    await clock.sleep(0.5)
    counts = []
    for _ in range(WINDOWS):
        before, begun = report.counts["answered"], clock.mono()
        await clock.sleep(window)
        counts.append((report.counts["answered"] - before) * SECOND / (clock.mono() - begun))
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    return counts, report.counts["silent"] + report.counts["broken"]


def _far_end(pipe: Connection, path: Path) -> None:
    asyncio.run(_serve(pipe, path))


async def _serve(pipe: Connection, path: Path) -> None:
    slaves = [SimulatedSlave(address=n, holding={4: n, 5: n}, delay=DELAY) for n in range(1, DEVICES + 1)]
    line, stop = open_pty(path), asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
    serving = asyncio.create_task(ModbusBus(line, SystemClock(), slaves, baudrate=BAUDRATE).run())
    pipe.send("ready")
    await stop.wait()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    line.close()
