"""Watches wall time and says so when it becomes trusted or steps: epochs are inputs like any other (house section 10).

Trust is gained by what the kernel says of its synchronisation (or by configuration, on a box whose clock somebody else
keeps) and stays for this boot while wall time does not step: quartz that ran right does not go wrong by losing its
server. A step without synchronisation loses it.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.clock import MILLISECOND, Clock
from gateway.model.moment import Epoch, Input

LOOK_EVERY = 5.0  # s
STEP = 500 * MILLISECOND  # a difference that counts as a step


class Timekeeper:
    """Compares wall time with the monotonic clock and puts an `Epoch` whenever their relation changed."""

    def __init__(self, clock: Clock, put: Callable[[Input], None], *, trusted_by_configuration: bool = False) -> None:
        self._clock = clock
        self._put = put
        self._given = trusted_by_configuration
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
        if stepped or epoch.trusted != self.epoch.trusted:
            self.epoch = epoch
            self._put(epoch)

    def _look(self, before: Epoch | None) -> Epoch:
        mono = self._clock.mono()
        offset = self._clock.wall() - mono
        synchronised = self._clock.synchronised()
        kept = before is not None and before.trusted and abs(offset - before.wall_offset) <= STEP
        source = "ntp" if synchronised else "configuration" if self._given else "kept" if kept else "none"
        return Epoch(
            boot=self._clock.boot(),
            mono_from=mono,
            wall_offset=offset,
            source=source,
            trusted=source != "none",
        )
