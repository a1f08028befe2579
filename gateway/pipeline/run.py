"""One line through the house: intake → step → ledger → dispatch, on one screen (house rule 3).

The runner owns nothing but the turn: it takes what waits, lets the step decide, gives the outcome to the ledger, and
sleeps until there is something to do again. An input that makes the step fail is found by halving and set aside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import numpy as np

from gateway.alarms.refusal import Refusal
from gateway.clock import SECOND, Clock
from gateway.model.batch import Batch, Event, EventCode, make_batch
from gateway.model.delta import Delta
from gateway.model.moment import Input
from gateway.model.quality import Doubt, Level, quality
from gateway.model.verdict import NEVER
from gateway.pipeline.commit import Work
from gateway.pipeline.dispatch import Dispatcher
from gateway.pipeline.intake import Intake
from gateway.pipeline.ledger import Ledger
from gateway.pipeline.recovery import blobs_of
from gateway.pipeline.step import Effects, State, step

log = logging.getLogger(__name__)
REFUSED = quality(Level.BAD, Doubt.REFUSED)
LONGEST_SLEEP = 10.0  # s: a turn happens at least this often, so that a probe can see one


class Runner:
    """The one task that steps. `ledger` and `dispatcher` are plugged in by the composition root."""

    ledger: Ledger
    dispatcher: Dispatcher

    def __init__(self, state: State, intake: Intake, clock: Clock, wake: asyncio.Event) -> None:
        self.state = state
        self.intake = intake
        self._clock = clock
        self._wake = wake
        self._askers: dict[str, asyncio.Future[tuple[Refusal, ...]]] = {}
        self.turns = 0
        self.refused = 0

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            self.turn()
            if not self.intake:
                await self._sleep()
            else:
                await asyncio.sleep(0)  # let sockets be read between two turns

    def turn(self) -> None:
        """Take, step, add, poll: one turn."""
        self.turns += 1
        taken = self.intake.take()
        now = min(self._clock.mono(), self.intake.oldest() - 1)
        if taken or self._timer() <= now:
            self._step(taken, now)
        self.ledger.poll(self._clock.mono())

    def _timer(self) -> int:
        state = self.state
        return min(state.engine.due(), state.book.due(), state.escalation.due())

    async def _sleep(self) -> None:
        due = min(self._timer(), self.ledger.due())
        seconds = LONGEST_SLEEP if due == NEVER else min(LONGEST_SLEEP, (due - self._clock.mono()) / SECOND)
        if seconds > 0:
            try:
                async with self._clock.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                pass
        else:
            await asyncio.sleep(0)
        self._wake.clear()

    def _step(self, inputs: list[Input], now: int) -> None:
        try:
            delta, effects = step(self.state, inputs, now)
        except Exception:
            log.exception("a step failed; looking for the input that made it fail")
            self._halve(inputs, now)
            return
        self.ledger.add(now, inputs, delta, effects)

    def _halve(self, inputs: list[Input], now: int) -> None:
        """Find what makes the step fail: everything else is handled, the offender is kept raw and acknowledged."""
        if len(inputs) > 1:
            middle = len(inputs) // 2
            self._try(inputs[:middle], self.state.logical)
            self._try(inputs[middle:], now)
            return
        item = inputs[0] if inputs else None
        if isinstance(item, Batch) and len(item) > 1:
            first, second = split(item)
            self._try([first], self.state.logical)
            self._try([second], now)
            return
        self.refused += 1
        fault = Event(self.state.gateway_events, "refused", EventCode.FAULT, f"an input was refused: {item!r}"[:500])
        kept: list[Input] = [make_batch("gateway", self._clock.mono(), events=[fault])]
        if isinstance(item, Batch):
            item.quality = np.full(len(item), REFUSED, dtype=np.uint8)
            self.ledger.add(now, [item], Delta(), Effects())
        delta, effects = step(self.state, kept, now)
        self.ledger.add(now, kept, delta, effects)

    def _try(self, inputs: list[Input], now: int) -> None:
        try:
            delta, effects = step(self.state, inputs, now)
        except Exception:  # noqa: BLE001 - halved further until the offender stands alone
            self._halve(inputs, now)
            return
        self.ledger.add(now, inputs, delta, effects)

    # -- the house as the ledger sees it

    def hand_over(self, work: Work, *, recorded: bool) -> None:
        """Let a group's notices and answers leave."""
        for notice in work.sending:
            self.dispatcher.send(notice, recorded=recorded)
        for reply in work.accepted:
            self.dispatcher.accepted(reply)
        for request, refusals in work.answers.items():
            asker = self._askers.pop(request, None)
            if asker is not None and not asker.done():
                asker.set_result(refusals)

    def store_fault(self, reason: str | None) -> None:
        """Raise the store fault through every channel, or let it return to normal."""
        code = EventCode.RESTORE if reason is None else EventCode.FAULT
        text = f"存储故障 store fault: {reason}" if reason else "存储恢复 store is back"
        self.intake.put(
            make_batch("gateway", self._clock.mono(), events=[Event(self.state.gateway_events, "store", code, text)])
        )

    def snapshot(self) -> Mapping[str, bytes]:
        """Return the blobs of everything that can be rebuilt but is dear."""
        return blobs_of(self.state)

    def ask(self, request: str) -> asyncio.Future[tuple[Refusal, ...]]:
        """Return a future for the refusals of the act that carries `request`; set when the act is durable."""
        future: asyncio.Future[tuple[Refusal, ...]] = asyncio.get_running_loop().create_future()
        self._askers[request] = future
        return future


def split(batch: Batch) -> tuple[Batch, Batch]:
    """Cut a batch in two; events, marks and the acknowledgement go with the second half."""
    middle = len(batch) // 2
    frame = batch.frame
    first = Batch(
        source=batch.source,
        point=batch.point[:middle],
        time=batch.time[:middle],
        arrival=batch.arrival[:middle],
        value=batch.value[:middle],
        quality=batch.quality[:middle],
        frames=batch.frames,
        frame=None if frame is None else frame[:middle],
        heard=batch.heard,
    )
    second = Batch(
        source=batch.source,
        point=batch.point[middle:],
        time=batch.time[middle:],
        arrival=batch.arrival[middle:],
        value=batch.value[middle:],
        quality=batch.quality[middle:],
        frames=batch.frames,
        frame=None if frame is None else frame[middle:],
        events=batch.events,
        event_arrival=batch.event_arrival,
        marks=batch.marks,
        ack=batch.ack,
        waiting=batch.waiting,
    )
    return first, second
