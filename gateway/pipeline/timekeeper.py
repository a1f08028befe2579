"""Watches wall time and says so when it becomes trusted or steps: epochs are inputs like any other (house section 10).

Sources in order: what the kernel says of its synchronisation (or configuration, on a box whose clock somebody else
keeps), a clock chip, a modem whose network tells the time, and the last stored time as a floor that is not trusted.
Trust by the kernel's word stays for this boot while wall time does not step: quartz that ran right does not go wrong by
losing its server. A step without synchronisation loses it. What a chip or a modem said is kept as a difference from the
monotonic clock, so that no step of the system's clock touches it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import DAY, MILLISECOND, MINUTE, SECOND, Clock
from gateway.model.moment import Epoch, Input

LOOK_EVERY = 5.0  # s
CHIP_EVERY = MINUTE  # a chip on a slow bus is not read at every look
STEP = 500 * MILLISECOND  # a difference that counts as a step
AGREE = 3 * SECOND  # witnesses that count in seconds, and cannot be told apart below
BUILT = 1_767_225_600 * SECOND  # 2026-01-01: this program cannot run earlier
LATEST = BUILT + 40 * 365 * DAY  # a chip or modem that was never set says 1970, 1980 (read as 2080), 2000 or 2004
DRIFT = 20e-6  # of quartz nobody corrects
WITNESSES = ("rtc", "modem")  # sources that know the time although the system's clock may not


@dataclass(frozen=True, slots=True)
class _Word:
    """What a witness says: wall time as an offset from the monotonic clock, ns, and how far it may be wrong."""

    offset: int
    error: int


class Timekeeper:
    """Finds the best source and puts an `Epoch` when wall time changed by it. `floor`: last stored time, ns or 0."""

    def __init__(
        self,
        clock: Clock,
        put: Callable[[Input], None],
        *,
        trusted_by_configuration: bool = False,
        floor: int = 0,
    ) -> None:
        self._clock = clock
        self._put = put
        self._given = trusted_by_configuration
        self._floor = floor
        self._words: dict[str, _Word] = {}
        self._unproven: _Word | None = None  # a modem's first word
        self._chip_due = 0
        self.epoch = self._look(before=None)

    async def run(self) -> None:
        """Look every few seconds until cancelled."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        """Look once; put an epoch when something changed."""
        epoch = self._look(before=self.epoch)
        stepped = abs(epoch.wall_offset - self.epoch.wall_offset) > STEP
        other = epoch.source not in (self.epoch.source, "kept")
        if stepped or other or epoch.trusted != self.epoch.trusted:
            self.epoch = epoch
            self._put(epoch)

    def hear(self, mono: int, wall: int, error: int) -> None:
        """Take what a modem said at `mono` (ns); believed when a second word agrees: a clock that stands is none."""
        word = _Word(wall - mono, error)
        before, self._unproven = self._unproven, word if self._sane(wall) else None
        if self._unproven is None or (before is not None and abs(before.offset - word.offset) > AGREE):
            self._words.pop("modem", None)
        elif before is not None:
            self._words["modem"] = word

    def wall(self) -> int:
        """Return the wall time that the station goes by, ns since 1970 UTC; 0 while it is not trusted."""
        if not self.epoch.trusted:
            return 0
        system, told = self._clock.wall(), self._clock.mono() + self.epoch.wall_offset
        return system if abs(system - told) <= STEP else told

    def error(self) -> float:
        """Return by how many seconds wall time may be wrong now; inf while it is not trusted."""
        if not self.epoch.trusted:
            return float("inf")
        if self._clock.synchronised():
            return self._clock.error() / SECOND
        return (self.epoch.error + DRIFT * (self._clock.mono() - self.epoch.mono_from)) / SECOND

    def _look(self, before: Epoch | None) -> Epoch:
        mono = self._clock.mono()
        offset, source, error = self._best(mono, self._clock.wall() - mono, before)
        return Epoch(
            boot=self._clock.boot(),
            mono_from=mono,
            wall_offset=offset,
            error=error,
            source=source,
            trusted=source not in ("none", "floor"),
        )

    def _best(self, mono: int, system: int, before: Epoch | None) -> tuple[int, str, int]:
        """Return offset, source and error of the best source. `system`: offset of the system's clock."""
        trusted = before if before is not None and before.trusted else None
        if self._clock.synchronised():
            return system, "ntp", self._clock.error()
        if self._given:
            return system, "configuration", 0
        if trusted and trusted.source not in WITNESSES and abs(system - trusted.wall_offset) <= STEP:
            return system, "kept", trusted.error
        witness = self._witness(mono, system, trusted)
        if witness is not None:
            return witness
        least = before.wall_offset if before is not None and before.source == "floor" else self._floor - mono
        return (system, "none", 0) if system >= least else (least, "floor", 0)

    def _witness(self, mono: int, system: int, trusted: Epoch | None) -> tuple[int, str, int] | None:
        """Return what the first witness says, held steady where its seconds allow; also one gone silent."""
        self._read_chip(mono)
        for source in WITNESSES:
            word = self._words.get(source)
            if word is not None:
                near = [system]
                if trusted and trusted.source == source:
                    near.append(trusted.wall_offset)
                steady = next((offset for offset in near if abs(offset - word.offset) <= AGREE), word.offset)
                return steady, source, word.error
        if trusted and trusted.source in WITNESSES:
            return trusted.wall_offset, "kept", trusted.error
        return None

    def _read_chip(self, mono: int) -> None:
        if mono < self._chip_due:
            return
        self._chip_due = mono + CHIP_EVERY
        wall = self._clock.chip()
        if wall is None or not self._sane(wall):
            self._words.pop("rtc", None)
            return
        # It was right when the last stored time was; how long it ran alone since is how far it may have gone.
        alone = wall - max(self._floor, BUILT)
        self._words["rtc"] = _Word(wall + SECOND // 2 - mono, SECOND + round(DRIFT * alone))

    def _sane(self, wall: int) -> bool:
        return max(BUILT, self._floor) <= wall <= LATEST
