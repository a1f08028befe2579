"""Keeps every plug-in's task alive: one named task each, back-off, restart, a fault alarm when it stays down.

A driver says the *kind* of failure by its exception; what is done about it is decided here (house section 11). No
exception of a plug-in ever ends the daemon.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.clock import SECOND, Clock
from gateway.errors import DriverFatal, GatewayError, LinkDown
from gateway.model.batch import Batch, Event, EventCode, make_batch
from gateway.model.moment import Input
from gateway.model.quality import Doubt, Level, quality

log = logging.getLogger(__name__)
BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # s between tries
FATAL_BACK_OFF = 600.0
STEADY = 0.25  # of `fault_after`: a link that is lost again sooner was never really back
NO_COMMS = quality(Level.BAD, Doubt.NO_COMMS)


@dataclass(slots=True, kw_only=True)
class Health:
    """What is known of one link; shown by `doctor`."""

    name: str
    up: bool = False
    since: int = 0
    tries: int = 0
    reason: str = ""
    counters: dict[str, int] = field(default_factory=dict)
    findings: dict[str, str] = field(default_factory=dict)


class Supervisor:
    """Runs one plug-in's task for ever and is its `LinkReport`.

    `points`: ids that turn BAD (no comms) when the link is lost. `key`: of its fault alarm at the point `events`, one
    of its own where several links share that point.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        put: Callable[[Input], None],
        events: int,
        key: str = "link",
        points: Sequence[int] = (),
        fault_after: float,
    ) -> None:
        self._name = name
        self._clock = clock
        self._put = put
        self._events = events
        self._key = key
        self._points = tuple(points)
        self._fault_after = round(fault_after * SECOND)
        self._down_since = 0
        self._up_since = -self._fault_after
        self._faulted = False
        self._unsteady = False  # it comes and goes: the fault alarm stands until it stays
        self._settling: asyncio.Task[None] | None = None
        self._fault_unknown = True  # a fault alarm from before the start may still stand
        self.tried = asyncio.Event()  # the link has come up or failed once
        self.health = Health(name=name, since=clock.mono())

    def emit(self, batch: Batch) -> None:
        """Take a batch from the driver: anything heard says that the link is up."""
        self.alive()
        self._put(batch)

    def count(self, what: str, number: int = 1) -> None:
        """Add to a named counter."""
        self.health.counters[what] = self.health.counters.get(what, 0) + number

    def finding(self, key: str, text: str) -> None:
        """Keep a standing remark, or drop it."""
        if text:
            self.health.findings[key] = text
        else:
            self.health.findings.pop(key, None)

    def alive(self) -> None:
        """Say that the link is up though nothing was read yet."""
        if not self.health.up:
            self._came_up()

    def failing(self, reason: str) -> None:
        """Say that the far end is down though the task goes on; said again for as long as that lasts."""
        if self.health.up or not self.health.tries:
            self._went_down(reason)
        self.health.reason = reason
        if self._clock.mono() - self._down_since >= self._fault_after:
            self._fault(reason)

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Call `work` again and again until cancelled."""
        try:
            await self._keep_up(work)
        finally:
            if self._settling is not None:
                self._settling.cancel()
                await asyncio.gather(self._settling, return_exceptions=True)

    async def _keep_up(self, work: Callable[[], Awaitable[None]]) -> None:
        self._down_since = self._clock.mono()
        while True:
            fatal = False
            try:
                await work()
                reason = "ended by itself"
            except DriverFatal as error:
                reason, fatal = str(error), True
            except (LinkDown, GatewayError, OSError) as error:
                reason = str(error) or type(error).__name__
            except Exception as error:
                log.exception("%s: a bug in a plug-in; it is started again", self._name)
                reason = f"{type(error).__name__}: {error}"
            self._went_down(reason)
            if fatal:
                self._fault(reason)
            await self._pause(FATAL_BACK_OFF if fatal else BACK_OFF[min(self.health.tries, len(BACK_OFF)) - 1])

    async def _pause(self, seconds: float) -> None:
        """Back off; the fault alarm falls due inside the pause as well as between two."""
        until = self._clock.mono() + round(seconds * SECOND)
        due = self._down_since + self._fault_after
        if not self._faulted and due <= until:
            await self._clock.sleep(max(0, due - self._clock.mono()) / SECOND)
            self._fault(self.health.reason)
        await self._clock.sleep(max(0, until - self._clock.mono()) / SECOND)

    def _went_down(self, reason: str) -> None:
        self.tried.set()
        now = self._clock.mono()
        if self.health.up or self.health.tries == 0:
            if self._settling is not None:
                self._settling.cancel()
            self._unsteady = self.health.up and self._down_since > 0 and not self._steady()
            if not self._unsteady:
                self._down_since = now
            if self._points:
                rows = [(point, 0, 0.0, NO_COMMS) for point in self._points]
                self._put(make_batch(self._name, now, rows))
            log.warning("%s: link down: %s", self._name, reason)
        self.health.up = False
        self.health.since = self._down_since
        self.health.reason = reason
        self.health.tries += 1

    def _came_up(self) -> None:
        self.tried.set()
        log.info("%s: link up", self._name)
        self.health.up, self.health.reason, self.health.tries = True, "", 0
        self.health.since = self._up_since = self._clock.mono()
        if self._unsteady:
            self._settling = asyncio.create_task(self._settle(), name=f"{self._name} settling")
        else:
            self._restore()

    def _steady(self) -> bool:
        return self._clock.mono() - self._up_since >= STEADY * self._fault_after

    async def _settle(self) -> None:
        """Take the fault back once the link has stayed, whether or not anything is said over it."""
        await self._clock.sleep(STEADY * self._fault_after / SECOND)
        self._unsteady = False
        self._restore()

    def _restore(self) -> None:
        if self._faulted or self._fault_unknown:
            self._faulted = self._fault_unknown = False
            self._say(EventCode.RESTORE, f"链路恢复 link up: {self._name}")

    def _fault(self, reason: str) -> None:
        if not self._faulted:
            self._faulted, self._fault_unknown = True, False
            self._say(EventCode.FAULT, f"链路中断 link down: {self._name}: {reason}")

    def _say(self, code: EventCode, text: str) -> None:
        event = Event(self._events, self._key, code, text)
        self._put(make_batch(self._name, self._clock.mono(), events=[event]))
