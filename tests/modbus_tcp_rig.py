"""The rig of `modbus_tcp`: one slave of a simulated bus behind a TCP port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial

from drivers.simulated.modbus_bus import ModbusBus, SimulatedSlave
from drivers.simulated.modbus_tcp import TcpLine
from gateway.clock import SystemClock
from gateway.protocols.modbus_framing import Ascii, Framing, Mbap

FRAMINGS: dict[str, Callable[[], Framing] | None] = {"tcp": partial(Mbap, asks=False), "ascii": Ascii, "rtu": None}


@contextlib.asynccontextmanager
async def tcp_bus(slave: SimulatedSlave, framing: str = "tcp") -> AsyncIterator[tuple[ModbusBus, int]]:
    """Run a bus with one slave; yield it and its port."""
    line = TcpLine(FRAMINGS[framing])
    await line.open()
    bus = ModbusBus(line, SystemClock(), [slave], baudrate=None)
    running = asyncio.create_task(bus.run())
    try:
        yield bus, line.number
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await line.close()
