"""The sign of life: a probe that goes intake → step → commit, and what the service manager is told when it is back.

Beside the flow, one task. House section 7: alive means that a probe has gone round, and only that feeds the watchdog.
Without the disk it goes round through the volatile ledger, so that a dead disk is never cured by a restart; whatever
holds the loop, the step or the intake does not let it come back, and the manager kills and starts the daemon.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from gateway.clock import SECOND, Clock
from gateway.model.batch import Batch, make_batch
from gateway.transport.notify import Notifier

EVERY = 10.0  # s between probes where no manager asks for more: at rest each is a commit of its own
SOURCE = "probe"


class Watchdog:
    """Sends probes and feeds the manager. `last`: when a probe came back (ns, monotonic, 0: none yet); `took`: its s.

    `watched`: after how many seconds without a ping the manager kills. `interval`: the store's commit interval, s; a
    probe waits for a commit that is due anyway, unless that would be too late. `status`: one line for people.
    """

    def __init__(
        self,
        put: Callable[[Batch], None],
        *,
        clock: Clock,
        notifier: Notifier,
        watched: float | None,
        interval: float,
        status: Callable[[], str],
    ) -> None:
        self._put = put
        self._clock = clock
        self._notifier = notifier
        self._every = min(EVERY, watched / 3) if watched else EVERY
        self._waiting = interval > self._every
        self._status = status
        self.last = 0
        self.took = 0.0

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Let probes go round until cancelled; the manager hears of the first, of each, and of the stop."""
        self._notifier.tell("STATUS=starting")
        news: tuple[str, ...] = ("READY=1", f"MAINPID={os.getpid()}")
        try:
            while True:
                begun = self._clock.mono()
                await self._go_round()
                self.last = self._clock.mono()
                self.took = (self.last - begun) / SECOND
                alive()
                self._notifier.tell(*news, "WATCHDOG=1", f"STATUS={self._status()}")
                news = ()
                await self._clock.sleep(max(0.0, self._every - self.took))
        except asyncio.CancelledError:
            self._notifier.tell("STOPPING=1", "STATUS=stopping")
            raise
        finally:
            self._notifier.close()

    async def _go_round(self) -> None:
        back = asyncio.Event()
        self._put(make_batch(SOURCE, self._clock.mono(), ack=back.set, waiting=self._waiting))
        await back.wait()
