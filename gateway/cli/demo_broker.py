"""The processes of `firegrid demo`: a broker (Mosquitto if installed, else the simulated one) and the daemon itself.

Both live in the demo's own folder and end with it, also when it is killed: context managers that leave nothing behind.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.simulated.broker import SimulatedBroker
from gateway.clock import Clock
from gateway.errors import GatewayError, LinkDown
from gateway.transport.listener import listen
from gateway.transport.mqtt import connect
from gateway.transport.mqtt_options import MqttOptions

START_WITHIN = 20.0  # s for the daemon to arm, on a slow board with a cold disk
BROKER_WITHIN = 5.0
_END_WITHIN = 5.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOG_TAIL = 20  # lines that are shown of a daemon that did not start

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 100000
max_inflight_messages 65535
queue_qos0_messages true
set_tcp_nodelay true
persistence false
user root
"""


@asynccontextmanager
async def broker(folder: Path, clock: Clock) -> AsyncIterator[tuple[str, int]]:
    """Run a broker on a free loopback port; yields its name and port."""
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if binary is not None:
        port = await free_port()
        config = folder / "mosquitto.conf"
        config.write_text(_MOSQUITTO.format(port=port), encoding="utf-8")
        async with _process([binary, "-c", str(config)], folder / "mosquitto.log", clock):
            if await _answers(port, clock):
                yield "Mosquitto", port
                return
    async with SimulatedBroker(clock) as simulated:
        yield "simulated broker", simulated.port


@asynccontextmanager
async def daemon(config: Path, clock: Clock) -> AsyncIterator[Process]:
    """Run `firegrid run` until it is armed; yields its process. GatewayError with its last words when it does not."""
    log = config.with_name("daemon.log")
    command = [sys.executable, "-m", "gateway", "run", "-c", str(config)]
    async with _process(command, log, clock, stdout=PIPE) as process:
        said = b""
        try:
            async with clock.timeout(START_WITHIN):
                if process.stdout is not None:
                    said = await process.stdout.readline()
        except TimeoutError:
            pass
        if b"armed" not in said:
            tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL:]
            raise GatewayError("\n".join(["the daemon did not start:", *tail]))
        yield process


@asynccontextmanager
async def _process(command: Sequence[str], log: Path, clock: Clock, stdout: int = DEVNULL) -> AsyncIterator[Process]:
    """Run a child in a session of its own, so that Ctrl-C in the terminal reaches only the demo; end it afterwards."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    parent = os.getpid()

    def die_with_parent() -> None:  # in the child, before its program: a demo that is killed cannot end it
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=stdout,
            stderr=file,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with clock.timeout(_END_WITHIN):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def free_port(wanted: int = 0) -> int:
    """Return the wanted loopback port if nobody has it, else one that is free now."""
    try:
        server, port = await listen(asyncio.Protocol, port=wanted)
    except LinkDown:
        server, port = await listen(asyncio.Protocol)
    server.close()
    await server.wait_closed()
    return port


async def _answers(port: int, clock: Clock) -> bool:
    """Say whether a broker answers there within its time."""
    options = MqttOptions(host="127.0.0.1", port=port, client_id="demo-probe", session_expiry=0)
    try:
        async with clock.timeout(BROKER_WITHIN):
            while True:
                try:
                    session = await connect(options, clock, lambda *_: None)
                except LinkDown:
                    await clock.sleep(0.05)
                else:
                    await session.close()
                    return True
    except TimeoutError:
        return False
