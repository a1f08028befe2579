"""The heartbeat: every half minute others are told that the gateway lives, as long as its probe goes round.

Beside the flow, one task for each way (house section 7). Fed by the probe alone: a gateway whose intake, step or commit
hangs is silent on every way, and the broker is made to send its last will. A way that fails is a link that is down,
and a fault alarm within 100 s: beats at most 30 s apart, 5 s for each, 60 s until a link that stays down is a fault.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from gateway import registry
from gateway.clock import SECOND, Clock
from gateway.errors import LinkDown
from gateway.transport.http import post

FRESH = 30.0  # s: a probe goes round every 10 s at most
WITHIN = 5.0  # s for one beat
REFUSED = 0x80  # MQTT reason codes from here on


class Way(Protocol):
    """One way to be heard."""

    async def beat(self) -> None:
        """Say once that the gateway lives. Raises LinkDown or another GatewayError: nobody can have heard it."""

    async def fall_silent(self) -> None:
        """Say nothing any more; make it known where that can be done."""

    async def stop(self) -> None:
        """Leave in order: a stop that was meant is no death."""


class Heartbeat:
    """Beats on one way. `last_probe`: when a probe last came back (ns, monotonic, 0: never)."""

    def __init__(self, way: Way, *, every: float, clock: Clock, last_probe: Callable[[], int]) -> None:
        self._way = way
        self._every = every
        self._clock = clock
        self._last_probe = last_probe
        self.beats = 0

    def lives(self) -> bool:
        """Whether a probe has gone round lately."""
        last = self._last_probe()
        return last > 0 and self._clock.mono() - last <= FRESH * SECOND

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Beat until cancelled. Raises what the way raises."""
        try:
            while True:
                if self.lives():
                    await self._beat()
                    alive()
                    await self._clock.sleep(self._every)
                else:
                    await self._way.fall_silent()
                    await self._clock.sleep(1.0)
        except asyncio.CancelledError:
            await (self._way.stop() if self.lives() else self._way.fall_silent())
            raise

    async def _beat(self) -> None:
        try:
            async with self._clock.timeout(WITHIN):
                await self._way.beat()
        except TimeoutError:
            await self._way.fall_silent()
            raise LinkDown(f"no answer within {WITHIN:g} s") from None
        self.beats += 1


class Webhook:
    """POSTs a signed document. The receiver alarms when none came for some beats."""

    def __init__(
        self,
        url: str,
        secret_file: Path,
        ca_file: str | None,
        *,
        facts: Callable[[str], dict[str, object]],
        clock: Clock,
    ) -> None:
        self._url = url
        self._secret_file = secret_file
        self._ca_file = ca_file
        self._facts = facts
        self._clock = clock

    async def beat(self) -> None:
        """Send one. Raises LinkDown: no answer, or one that is no 2xx."""
        await self._say("alive")

    async def fall_silent(self) -> None:
        """Just say nothing."""

    async def stop(self) -> None:
        """Tell that the stop was meant, if that can be told."""
        with contextlib.suppress(Exception):
            async with self._clock.timeout(WITHIN):
                await self._say("stopped")

    async def _say(self, state: str) -> None:
        channel = registry.channel("webhook")
        body, stamp = msgspec.json.encode(self._facts(state)), str(self._clock.wall() // SECOND)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "firegrid",
            "X-Firegrid-Timestamp": stamp,
            "X-Firegrid-Signature": channel.sign(channel.read_secret(self._secret_file), stamp, body),
        }
        answer = await post(self._url, body, headers, clock=self._clock, deadline=WITHIN, cafile=self._ca_file)
        if not 200 <= answer.status < 300:
            raise LinkDown(f"{self._url} answered HTTP {answer.status}")


class Relay:
    """Writes an output at each beat: 1 again for a timer that lets it fall by itself, or 1 and 0 in turn."""

    def __init__(self, write: Callable[[float], Awaitable[None]], *, toggle: bool) -> None:
        self._write = write
        self._toggle = toggle
        self._on = False

    async def beat(self) -> None:
        """Write once. Raises DeliveryError or LinkDown."""
        self._on = not self._on or not self._toggle
        await self._write(float(self._on))

    async def fall_silent(self) -> None:
        """Write no more: the hardware falls by itself."""

    async def stop(self) -> None:
        """Write no more: a station without its gateway is not watched, meant or not."""
