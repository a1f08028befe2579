"""Units of time and the port of the clock. All times of the house are integer nanoseconds."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

NANOSECOND = 1
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """What the shell may ask of time; pure code gets `now` as an argument instead."""

    def boot(self) -> str:
        """Name of this boot: monotonic times of two boots cannot be compared."""

    def mono(self) -> int:
        """Nanoseconds since boot, sleep included; never steps."""

    def wall(self) -> int:
        """Nanoseconds since 1970 UTC; may be wrong and may step."""

    def synchronised(self) -> bool:
        """Whether the kernel says that wall time follows a reference."""

    def error(self) -> int:
        """Nanoseconds by which a synchronised wall time may be wrong at most."""

    def chip(self) -> int | None:
        """Nanoseconds since 1970 UTC by a clock chip that ran on while the box was off, to a second; None without."""

    async def sleep(self, seconds: float) -> None:
        """Wait; returns late rather than early."""

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[Any]:
        """A context like `asyncio.timeout`; `TimeoutError` when the time is over."""
