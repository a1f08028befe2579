"""A sink's process inside the test: `gateway.uplink.child` on the driven clock, at the far end of the part's pipes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
import pytest

from gateway.clock import Clock
from gateway.uplink import child, part
from gateway.uplink.messages import Order, Report

WAKE_EVERY = 60.0  # s of driven time, instead of a quarter: 24 h of quarters cost the test minutes


class ProcessWithin:
    """What `asyncio.create_subprocess_exec` returns, as far as `Uplink` uses it."""

    def __init__(self, clock: Clock) -> None:
        self.stdout = asyncio.StreamReader(limit=1 << 20)
        self.stdin = self
        self._clock = clock
        self._child: child.Child | None = None
        self._working: asyncio.Task[None] | None = None

    def write(self, lines: bytes) -> None:
        """Take lines on stdin: first the order, then wakes."""
        for line in lines.splitlines(keepends=True):
            if self._child is None:
                self._child = child.Child(msgspec.json.decode(line, type=Order), self._clock)
                self._working = asyncio.create_task(self._child.run())
            else:
                self._child.wake(line)

    def close(self) -> None:
        """Nothing is buffered."""

    def kill(self) -> None:
        """End it."""
        if self._working is not None:
            self._working.cancel()

    async def wait(self) -> int:
        """Return when it has ended."""
        if self._working is not None:
            with suppress(asyncio.CancelledError):
                await self._working
        return -9


def within(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Let the processes of sinks run inside the test, one at a time."""
    started: list[ProcessWithin] = []

    async def start(*_command: str, **_pipes: int) -> ProcessWithin:
        started.append(ProcessWithin(clock))
        return started[-1]

    def say(report: Report) -> None:
        started[-1].stdout.feed_data(msgspec.json.encode(report) + b"\n")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(child, "_say", say)
    monkeypatch.setattr(part, "WAKE_EVERY", WAKE_EVERY)
