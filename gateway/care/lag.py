"""How late the loop is: something that blocks it delays every alarm, long before the watchdog has enough of it.

Beside the flow, one task that sleeps a little and looks how much too late it woke. House section 7: loop lag is
measured and alarmed, as a fault of the gateway itself.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.clock import SECOND, Clock
from gateway.model.batch import Batch, Event, EventCode, make_batch

EVERY = 0.5  # s
LIMIT = 2.0  # s: an alarm has 3 s until it is handed over
CALM = 60.0  # s without a lag after which the fault returns to normal
KEY = "lag"


class LoopLag:
    """Measures. `now` and `worst` (since the start), seconds; `events`: point of the gateway's own faults."""

    def __init__(self, put: Callable[[Batch], None], *, clock: Clock, events: int) -> None:
        self._put = put
        self._clock = clock
        self._events = events
        self.now = 0.0
        self.worst = 0.0
        self._peak = 0.0

    def peak(self) -> float:
        """Return the worst since this was last asked, seconds."""
        peak, self._peak = self._peak, 0.0
        return peak

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Look until cancelled."""
        alive()
        faulted, calm_since = False, self._clock.mono()
        settled = False  # a fault of an earlier life may still stand
        while True:
            before = self._clock.mono()
            await self._clock.sleep(EVERY)
            after = self._clock.mono()
            self.now = max(0.0, (after - before) / SECOND - EVERY)
            self.worst, self._peak = max(self.worst, self.now), max(self._peak, self.now)
            if self.now > LIMIT:
                calm_since = after
                if not faulted:
                    faulted = settled = True
                    self._say(EventCode.FAULT, f"主循环停顿 {self.now:.1f} s the loop stood still")
            elif (faulted or not settled) and after - calm_since >= CALM * SECOND:
                faulted, settled = False, True
                self._say(EventCode.RESTORE, "主循环正常 the loop keeps up")

    def _say(self, code: EventCode, text: str) -> None:
        self._put(make_batch("gateway", self._clock.mono(), events=[Event(self._events, KEY, code, text)]))
