"""A station for `doctor` with real wires: a simulated bus and modem in a thread, and one fault at a time sown in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from drivers.simulated.modbus_bus import Fault, ModbusBus, SimulatedSlave
from drivers.simulated.modem import SimulatedModem
from gateway.clock import SystemClock
from gateway.transport import unix
from gateway.transport.serial import open_pty
from tests.patience import PATIENCE

HEAD = """
[station]
id = "t1"
clock = "trusted"
[store]
path = "station.db"
[[cell]]
id = "a"
[[contact]]
id = "li"
phone = "13800138000"
cell = "a"
role = "squad"
[[channel]]
id = "screen"
kind = "console"
"""
BUS = """
[[source]]
id = "bus"
driver = "modbus_rtu"
port = "{port}"
"""
SENSOR = """
[[device]]
id = "{name}"
source = "bus"
profile = "xy-md02"
address = {address}
cell = "a"
"""
BROKER = """
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}
{more}
"""
MODEM = """
[[channel]]
id = "sms"
kind = "sms_modem"
port = "{port}"
"""


@contextmanager
def running(serve: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Let something serve in a loop of its own thread: `doctor` blocks, as it does for people."""
    loop = asyncio.new_event_loop()

    async def main() -> None:
        await serve()

    task = loop.create_task(main())

    def live() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(PATIENCE)


@contextmanager
def daemon(path: Path, status: dict[str, Any]) -> Iterator[None]:
    """Answer at a control socket as the daemon does."""
    up = threading.Event()

    async def serve() -> None:
        async def answer(_: dict[str, Any], __: str) -> dict[str, Any]:
            return status

        async with unix.serve(path, answer):
            up.set()
            await asyncio.Event().wait()

    with running(serve):
        assert up.wait(PATIENCE)
        yield


@contextmanager
def web_server(status: int) -> Iterator[str]:
    """Answer every request with a status; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)


@dataclass
class Field:
    """Where a fault is sown: a folder, and whatever has to be taken away again."""

    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def write(self, *tables: str) -> Path:
        """Write the station; returns its file."""
        path = self.folder / "station.toml"
        path.write_text(HEAD + "".join(tables), encoding="utf-8")
        return path

    def bus(self, **faults: Fault) -> list[str]:
        """Let a bus live with one sensor per name; returns the tables of the configuration."""
        slaves = [
            SimulatedSlave(address=address, registers={1: 215.0, 2: 400.0}, fault=fault)
            for address, fault in enumerate(faults.values(), start=1)
        ]
        line = self.stack.enter_context(closing(open_pty()))
        self.stack.enter_context(running(ModbusBus(line, SystemClock(), slaves).run))
        sensors = [SENSOR.format(name=name, address=address) for address, name in enumerate(faults, start=1)]
        return [BUS.format(port=line.path), *sensors]

    def modem(self, **faults: object) -> list[str]:
        """Let a modem live; returns the tables of the configuration."""
        modem = SimulatedModem(SystemClock())
        for name, value in faults.items():
            setattr(modem.faults, name, value)
        self.stack.enter_context(running(modem.run))
        return [BROKER.format(port=self.broker, more=""), MODEM.format(port=modem.path)]

    broker: int = 1
