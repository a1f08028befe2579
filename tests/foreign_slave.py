"""A Modbus RTU bus with slaves that are not our code: a pymodbus server behind two pseudo-terminals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import SimDevice

from gateway.transport.serial import PtyPair, SerialPort, open_pty

BAUDRATE = 115200


@asynccontextmanager
async def foreign_bus(
    devices: SimDevice | list[SimDevice], link: Path | None = None
) -> AsyncIterator[tuple[PtyPair, ModbusSerialServer]]:
    """Run the server; yields the pseudo-terminal where a master may open its port (at `link`, too), and the server."""
    ours, theirs = open_pty(link), open_pty()
    server = ModbusSerialServer(devices, port=str(theirs.path), baudrate=BAUDRATE, ignore_missing_devices=True)
    tasks = [
        asyncio.create_task(server.serve_forever()),
        asyncio.create_task(_pump(ours.port, theirs.port)),
        asyncio.create_task(_pump(theirs.port, ours.port)),
    ]
    try:
        yield ours, server
    finally:
        await _shut_down(server)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ours.close()
        theirs.close()


async def _shut_down(server: Any) -> None:  # noqa: ANN401 - pymodbus left it untyped
    await server.shutdown()


async def _pump(source: SerialPort, sink: SerialPort) -> None:
    while True:
        sink.write(await source.read())
