"""The shipped fake of the clock (house rule 9): time that moves only as a test drives it.

Reached as `gateway.testing.FakeClock`; beside `gateway.clock`, whose port it fills.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools

from gateway.clock import SECOND

SETTLE_TURNS = 50  # turns of the loop that let woken tasks run until they wait again


class FakeClock:
    """A clock that moves only when `advance` drives it; sleepers wake in the order of their due times."""

    def __init__(self, *, mono: int = 1_000 * SECOND, wall: int = 1_790_000_000 * SECOND, boot: str = "boot-1") -> None:
        self._mono = mono
        self._offset = wall - mono
        self._boot = boot
        self._synchronised = True
        self._chip: int | None = None
        self._order = itertools.count()
        self._due: list[tuple[int, int, asyncio.Future[None] | asyncio.Timeout]] = []

    def boot(self) -> str:
        """Return the name given at the start."""
        return self._boot

    def mono(self) -> int:
        """Return driven nanoseconds since boot."""
        return self._mono

    def wall(self) -> int:
        """Return driven wall time."""
        return self._mono + self._offset

    def synchronised(self) -> bool:
        """Return what `trust` said last."""
        return self._synchronised

    def trust(self, *, synchronised: bool) -> None:
        """Say whether wall time is to be believed."""
        self._synchronised = synchronised

    def error(self) -> int:
        """Return nothing: driven time is exact."""
        return 0

    def chip(self) -> int | None:
        """Return what the clock chip shows, if `fit` has put one in."""
        return None if self._chip is None else (self._mono + self._chip) // SECOND * SECOND

    def fit(self, wall: int | None) -> None:
        """Put in a clock chip that shows `wall` (ns since 1970) now; None takes it out."""
        self._chip = None if wall is None else wall - self._mono

    def step_wall(self, seconds: float) -> None:
        """Move wall time alone, as an NTP step does."""
        self._offset += round(seconds * SECOND)

    def jump(self, ns: int) -> None:
        """Let time pass while nobody wakes, as when the machine sleeps."""
        self._mono += ns

    def _after(self, seconds: float) -> int:
        return self._mono + max(0, round(seconds * SECOND))

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been driven that far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._due, (self._after(seconds), next(self._order), waiter))
        await waiter

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """Expire when the clock has been driven that far."""
        context = asyncio.timeout(None)
        if seconds is not None:
            heapq.heappush(self._due, (self._after(seconds), next(self._order), context))
        return context

    async def advance(self, seconds: float) -> None:
        """Drive the clock; whoever is due wakes at exactly its own time and runs before the next one."""
        await self.settle()
        end = self._mono + round(seconds * SECOND)
        while self._due and self._due[0][0] <= end:
            due, _, waiter = heapq.heappop(self._due)
            self._mono = max(self._mono, due)
            if isinstance(waiter, asyncio.Timeout):
                _expire(waiter)
            elif not waiter.done():
                waiter.set_result(None)
            await self.settle()
        self._mono = end
        await self.settle()

    async def settle(self) -> None:
        """Let woken tasks run until they wait again. Overridden where driven time must wait for something real too."""
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)


def _expire(context: asyncio.Timeout) -> None:
    try:
        context.reschedule(asyncio.get_running_loop().time())
    except RuntimeError:  # it was left in time
        return
