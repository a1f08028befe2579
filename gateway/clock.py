"""The only clock: everything that reads time or sleeps does it through here.

Durations run on the boot-time monotonic clock, which goes on while the box sleeps and never steps; wall time is read
only to describe a moment to people and far ends (house rule 2 and section 10). Pure code never sees a clock: it gets
`now` as an argument. The shipped fake is `gateway.testing.FakeClock`.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import struct
import time
from pathlib import Path

from gateway.model.time import DAY, HOUR, MILLISECOND, MINUTE, NANOSECOND, SECOND, Clock

__all__ = ["DAY", "HOUR", "MILLISECOND", "MINUTE", "NANOSECOND", "SECOND", "Clock", "SystemClock"]

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_RTC_VL_READ = 0x80047013  # rtc(4): _IOR('p', 0x13, unsigned int)
_RTC_UNSURE = 0b111  # data invalid, backup battery low, backup battery empty


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), padded to the kernel's size; only three fields are read."""

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
    """The machine's own clock. `root`: where its /dev and /sys stand."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

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
        state, timex = _adjtimex()
        return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC

    def error(self) -> int:
        """Return the kernel's maximum error: it grows by 0.5 ms a second until the next answer of a time server."""
        return int(_adjtimex()[1].maxerror) * 1_000

    def chip(self) -> int | None:
        """Read the first clock chip; None without one, or while its battery is low or it says itself that it stood.

        Drivers refuse to be read after their oscillator has stopped; those that know of their battery say so.
        """
        try:
            seconds = int((self._root / "sys/class/rtc/rtc0/since_epoch").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return None if _unsure(self._root / "dev/rtc0") else seconds * SECOND

    async def sleep(self, seconds: float) -> None:
        """Sleep on the loop."""
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float | None) -> asyncio.Timeout:
        """Bound what runs inside by `seconds`."""
        return asyncio.timeout(seconds)


def _adjtimex() -> tuple[int, _Timex]:
    """Ask adjtimex(2) without changing anything; -1 where it cannot be asked."""
    timex = _Timex()
    try:
        return int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))), timex
    except (OSError, AttributeError):
        return -1, timex


def _unsure(device: Path) -> bool:
    """Whether a clock chip warns of its own time; many cannot, and some may not be asked."""
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        answer = fcntl.ioctl(descriptor, _RTC_VL_READ, struct.pack("I", 0))
        return bool(struct.unpack("I", answer)[0] & _RTC_UNSURE)
    except OSError:
        return False
    finally:
        os.close(descriptor)
