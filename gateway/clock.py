"""The only clock: everything that reads time or sleeps does it through here.

Durations run on the boot-time monotonic clock, which goes on while the box sleeps and never steps; wall time is read
only to describe a moment to people and far ends (house rule 2 and section 10). Pure code never sees a clock: it gets
`now` as an argument. The shipped fake is `gateway.testing.FakeClock`.
"""

from __future__ import annotations

import asyncio
import ctypes
import time
from pathlib import Path

from gateway.model.time import DAY, HOUR, MILLISECOND, MINUTE, NANOSECOND, SECOND, Clock

__all__ = ["DAY", "HOUR", "MILLISECOND", "MINUTE", "NANOSECOND", "SECOND", "Clock", "SystemClock"]

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), padded to the kernel's size; only `status` is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


class SystemClock:
    """The machine's own clock."""

    def boot(self) -> str:
        """Return the kernel's boot id."""
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def mono(self) -> int:
        """Return CLOCK_BOOTTIME in nanoseconds."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall(self) -> int:
        """Return CLOCK_REALTIME in nanoseconds."""
        return time.time_ns()

    def synchronised(self) -> bool:
        """Ask adjtimex(2); an answer that cannot be had is a no."""
        timex = _Timex()
        try:
            state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
        except (OSError, AttributeError):
            return False
        return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC

    async def sleep(self, seconds: float) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """Bound what runs inside by `seconds`."""
        return asyncio.timeout(seconds)
