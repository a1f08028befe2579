"""A modem session and a simulated modem at the two ends of a pseudo-terminal, for the tests of both."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.modem import SimulatedModem
from gateway.clock import Clock, SystemClock
from gateway.errors import DeliveryError
from gateway.model.modem import ModemStatus
from gateway.protocols.smsparts import Received
from gateway.protocols.smspdu import StatusReport
from gateway.testing import FakeClock
from gateway.transport.modem import ModemSession, ModemSettings
from tests.patience import until

NUMBER = "+8613800138000"
ALERT = "1号楼3层烟感报警，回复1确认"
QUIET_LOOKS = 4
LOOK_SECONDS = 0.002
QUIET_SECONDS = 0.2  # at most, whatever the looks


class Recorder:
    """A listener that keeps what it hears and accepts replies when told to."""

    def __init__(self, *, accept: bool = True) -> None:
        self.accept = accept
        self.session: ModemSession | None = None
        self.replies: list[Received] = []
        self.tokens: list[str] = []
        self.reports: list[StatusReport] = []
        self.statuses: list[ModemStatus] = []
        self.counts: Counter[str] = Counter()

    def replied(self, message: Received, token: str) -> None:
        """Keep a reply."""
        self.replies.append(message)
        self.tokens.append(token)
        if self.accept and self.session is not None:
            self.session.accepted(token)

    def reported(self, report: StatusReport) -> None:
        """Keep a report."""
        self.reports.append(report)

    def changed(self, status: ModemStatus) -> None:
        """Keep a status."""
        self.statuses.append(status)

    def counted(self, what: str) -> None:
        """Count."""
        self.counts[what] += 1

    @property
    def texts(self) -> list[str]:
        """What people wrote."""
        return [message.text for message in self.replies]


class Bench:
    """Both ends; `run` tasks end with the bench."""

    def __init__(self, modem: SimulatedModem, clock: Clock, *, accept: bool = True, pin: str = "") -> None:
        self.modem = modem
        self.clock = clock
        self.heard = Recorder(accept=accept)
        self.session = ModemSession(ModemSettings(port=str(modem.path), pin=pin), clock, self.heard)
        self.heard.session = self.session
        self.running = asyncio.create_task(self.session.run())

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that real bytes bring about."""
        await until(condition, what=lambda: f"{self.modem.commands[-5:]}, {self.heard.statuses[-1:]}")

    async def up(self) -> None:
        """Wait for the top of the ladder."""
        await self.until(lambda: self.session.status.up)

    async def send(
        self, text: str = "test", *, number: str = NUMBER, priority: int = 0, reference: int = 1
    ) -> list[int]:
        """Send a text."""
        return await self.session.send(number, text, priority=priority, reference=reference)

    async def drive(self, condition: Callable[[], object], *, seconds: float = 300, step: float = 0.5) -> float:
        """Drive a fake clock, only while the line is quiet, until the condition holds; return the seconds it took."""
        assert isinstance(self.clock, FakeClock)
        passed = 0.0
        while not condition():
            assert passed < seconds, f"not after {passed} s: {self.modem.commands[-5:]}, {self.heard.statuses[-1:]}"
            await self._quiet()
            if condition():
                break
            await self.clock.advance(step)
            passed += step
        return passed

    async def _quiet(self) -> None:
        """Wait until nothing is said; on a machine that is so busy that looks come late, for longer."""
        quiet, seen, since = 0, -1, time.monotonic()
        while quiet < QUIET_LOOKS and time.monotonic() - since < QUIET_SECONDS:
            looked = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            if seen != len(self.modem.commands):
                quiet, seen, since = 0, len(self.modem.commands), looked
            else:
                quiet = quiet + 1 if time.monotonic() - looked < 4 * LOOK_SECONDS else 0

    async def stop(self) -> None:
        """End the session, as a killed process does."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    async def again(self, *, accept: bool = True) -> Bench:
        """Another process at the same modem."""
        await self.stop()
        return Bench(self.modem, self.clock, accept=accept)


async def refused(b: Bench) -> DeliveryError:
    """The refusal of a text, which must come by itself."""
    with pytest.raises(DeliveryError) as caught:
        await b.send(ALERT)
    return caught.value


def reason(b: Bench) -> str:
    """Why the modem is down, as last told."""
    return b.heard.statuses[-1].reason if b.heard.statuses else ""


@asynccontextmanager
async def bench(
    clock: Clock | None = None,
    *,
    accept: bool = True,
    pin: str = "",
    storage: int = 20,
    seconds_per_sms: float = 0.0,
    link: Path | None = None,
    prepare: Callable[[SimulatedModem], None] = lambda _: None,
) -> AsyncIterator[Bench]:
    """Start both ends; `prepare` sets faults before the session starts."""
    clock = clock or SystemClock()
    simulated = SimulatedModem(clock, storage=storage, seconds_per_sms=seconds_per_sms, link=link)
    prepare(simulated)
    serving = asyncio.create_task(simulated.run())
    made = Bench(simulated, clock, accept=accept, pin=pin)
    try:
        yield made
    finally:
        await made.stop()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene on a loop of its own."""
    asyncio.run(scene)
