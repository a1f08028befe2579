"""For every kind of channel: a far end that works, one that does not, and options that are wrong.

The contract suite (`tests/contracts/test_channels.py`) runs every channel on its rig; a new channel adds one here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.simulated.modem import SimulatedModem
from gateway.clock import SystemClock
from gateway.errors import LinkDown
from tests.http_far_end import answer, far_end

Write = Callable[[str, str, float], Awaitable[None]]


class Notes:
    """Memory and report of the house, as far as a channel uses them."""

    def __init__(self, kept: dict[str, str] | None = None) -> None:
        self.kept: dict[str, str] = {} if kept is None else kept
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
        """Note a sign of life."""
        self.counts["alive"] += 1

    def finding(self, key: str, text: str) -> None:
        """Keep a remark."""
        self.findings[key] = text


async def no_output(_device: str, _point: str, _value: float) -> None:
    """Take every write."""


async def dead_output(_device: str, _point: str, _value: float) -> None:
    """Take no write."""
    raise LinkDown("the bus is gone")


@dataclass(frozen=True, kw_only=True)
class Rig:
    """Options of one channel and the outputs it may write to."""

    options: dict[str, Any]
    write: Write = no_output


RigMaker = Callable[[Path], contextlib.AbstractAsyncContextManager[Rig]]


@contextlib.asynccontextmanager
async def console(folder: Path) -> AsyncIterator[Rig]:
    """A file."""
    yield Rig(options={"file": str(folder / "notices.log")})


@contextlib.asynccontextmanager
async def no_console(folder: Path) -> AsyncIterator[Rig]:
    """A file in a folder that is not there."""
    yield Rig(options={"file": str(folder / "absent" / "notices.log")})


def _secret(folder: Path) -> str:
    path = folder / "secret"
    path.write_bytes(b"0123456789abcdef")
    path.chmod(0o600)
    return str(path)


@contextlib.asynccontextmanager
async def webhook(folder: Path) -> AsyncIterator[Rig]:
    """A server that takes everything."""
    with far_end(answer(200)) as end:
        yield Rig(options={"url": f"http://127.0.0.1:{end.port}/", "secret_file": _secret(folder)})


@contextlib.asynccontextmanager
async def no_webhook(folder: Path) -> AsyncIterator[Rig]:
    """A port where nobody listens any more."""
    with far_end(answer(200)) as end:
        pass
    yield Rig(options={"url": f"http://127.0.0.1:{end.port}/", "secret_file": _secret(folder)})


@contextlib.asynccontextmanager
async def relay(_folder: Path) -> AsyncIterator[Rig]:
    """An output that can be set."""
    yield Rig(options={"device": "hall-do", "point": "do1"})


@contextlib.asynccontextmanager
async def no_relay(_folder: Path) -> AsyncIterator[Rig]:
    """An output on a bus that is gone."""
    yield Rig(options={"device": "hall-do", "point": "do1"}, write=dead_output)


@contextlib.asynccontextmanager
async def sms_modem(_folder: Path) -> AsyncIterator[Rig]:
    """A simulated modem behind a pseudo-terminal."""
    modem = SimulatedModem(SystemClock())
    running = asyncio.create_task(modem.run())
    try:
        yield Rig(options={"port": str(modem.path)})
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@contextlib.asynccontextmanager
async def no_sms_modem(folder: Path) -> AsyncIterator[Rig]:
    """A port that is not there."""
    yield Rig(options={"port": str(folder / "ttyUSB9")})


WORKING: dict[str, RigMaker] = {"console": console, "webhook": webhook, "relay": relay, "sms_modem": sms_modem}
DEAD: dict[str, RigMaker] = {
    "console": no_console,
    "webhook": no_webhook,
    "relay": no_relay,
    "sms_modem": no_sms_modem,
}
