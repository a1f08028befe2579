"""One line through the house: intake → step → ledger → dispatch, on one screen (house rule 3).

The runner owns nothing but the turn: it takes what waits, lets the step decide, gives the outcome to the ledger, and
sleeps until there is something to do again. An input that makes the step fail is found by halving and set aside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial

import msgspec
import numpy as np

from gateway.alarms.refusal import Refusal, unrecordable
from gateway.clock import SECOND, Clock
from gateway.model.alarm import OperatorAct
from gateway.model.batch import Batch, Event, EventCode, make_batch
from gateway.model.delta import Delta
from gateway.model.moment import Epoch, Input
from gateway.model.notification import DeliveryState, Notification, Reply
from gateway.pipeline.backlog import Row
from gateway.pipeline.commit import Work, guarded
from gateway.pipeline.dispatch import Dispatcher
from gateway.pipeline.intake import Intake, arrival_of
from gateway.pipeline.ledger import Ledger
from gateway.pipeline.recovery import blobs_of, tables_of
from gateway.pipeline.step import Effects, State, step
from gateway.pipeline.validate import REFUSED
from rules.compiled import name_of

log = logging.getLogger(__name__)
_pack = msgspec.msgpack.Encoder().encode
LONGEST_SLEEP = 10.0  # s: a turn happens at least this often, so that a probe can see one


class Runner:
    """The one task that steps. `ledger` and `dispatcher` are plugged in by the composition root."""

    ledger: Ledger
    dispatcher: Dispatcher
    memory: dict[str, str]  # what plug-ins remember

    def __init__(self, state: State, intake: Intake, clock: Clock, wake: asyncio.Event) -> None:
        self.state = state
        self.intake = intake
        self._clock = clock
        self._wake = wake
        self._askers: dict[str, asyncio.Future[tuple[Refusal, ...]]] = {}
        self.listeners: list[Callable[[Work], None]] = []  # hear of every group after its commit; must be quick
        self.turns = 0
        self.refused = 0
        self.dropped = 0  # readings and events that came faster than they could be judged
        self._overflowing = False
        self._alarm: asyncio.Task[None] | None = None  # wakes us at `_rings_at` (ns, monotonic; 0: it has rung)
        self._rings_at = 0

    async def run(self) -> None:
        """Turn until cancelled."""
        try:
            while True:
                self.turn()
                if not self.intake or (self.ledger.full and not self.intake.urgent()):
                    await self._sleep()
                else:
                    await asyncio.sleep(0)  # let sockets be read between two turns
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    def turn(self) -> None:
        """Take, step, add, poll: one turn."""
        self.turns += 1
        taken = self.intake.take(telemetry=not self.ledger.full)
        self._overflow()
        now = min(self._clock.mono(), self.intake.oldest() - 1)
        if taken or self._timer() <= now:
            self._step(taken, now)
        self.ledger.poll(self._clock.mono())

    def _overflow(self) -> None:
        """Tell of what the intake had to drop, and when it keeps up again."""
        losses = self.intake.losses()
        if losses:
            self.dropped += sum(losses.values())
            if not self._overflowing:
                text = "输入过多，已丢弃 more came in than can be judged, dropped: " + ", ".join(sorted(losses))
                self._own("overflow", EventCode.FAULT, text)
            self._overflowing = True
        elif self._overflowing and not self.intake:
            self._overflowing = False
            self._own("overflow", EventCode.RESTORE, f"输入恢复 keeping up again, dropped in all: {self.dropped}")

    def _own(self, key: str, code: EventCode, text: str) -> None:
        event = Event(self.state.gateway_events, key, code, text)
        self.intake.put(make_batch("gateway", self._clock.mono(), events=[event]))

    def _timer(self) -> int:
        state = self.state
        return min(state.engine.due(), state.book.due(), state.escalation.due())

    async def _sleep(self) -> None:
        now = self._clock.mono()
        due = min(self._timer(), self.ledger.due(), now + round(LONGEST_SLEEP * SECOND))
        if due > now:
            if not now < self._rings_at <= due:  # else it wakes us early enough: most messages need no timer of theirs
                self._set_alarm(due, now)
            await self._wake.wait()
        else:
            await asyncio.sleep(0)
        self._wake.clear()

    def _set_alarm(self, due: int, now: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._rings_at = due
        self._alarm = asyncio.create_task(self._ring((due - now) / SECOND), name="alarm")

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._rings_at = 0
        self._wake.set()

    def _step(self, inputs: list[Input], now: int) -> None:
        try:
            delta, effects = self._decide(inputs, now)
        except Exception:
            log.exception("a step failed; looking for the input that made it fail")
            self._halve(inputs, now)
            return
        self.ledger.add(now, inputs, delta, effects)

    def _decide(self, inputs: list[Input], now: int) -> tuple[Delta, Effects]:
        """Step, after a look whether the journal can keep the inputs: what it cannot keep makes no step either."""
        for item in inputs:
            if not isinstance(item, Batch):
                _pack(item)
            elif item.events:
                _pack(item.events)
        return step(self.state, inputs, now)

    def _halve(self, inputs: list[Input], now: int) -> None:
        """Find what makes the step fail: everything else is handled, the offender is kept raw and acknowledged."""
        if len(inputs) > 1:
            middle = len(inputs) // 2
            self._try(inputs[:middle], min(now, arrival_of(inputs[middle]) - 1))
            self._try(inputs[middle:], now)
            return
        item = inputs[0] if inputs else None
        if isinstance(item, Batch) and len(item) + len(item.events) > 1:
            first, second = split(item)
            self._try([first], min(now, arrival_of(second) - 1))
            self._try([second], now)
            return
        self.refused += 1
        fault = Event(self.state.gateway_events, "refused", EventCode.FAULT, f"an input was refused: {item!r}"[:500])
        kept: list[Input] = [make_batch("gateway", self._clock.mono(), events=[fault])]
        if isinstance(item, Batch):
            item.quality = np.full(len(item), REFUSED, dtype=np.uint8)
            item.events = ()  # the fault's text has it; a replay must not meet it
            self.ledger.add(now, [item], Delta(), Effects())
        delta, effects = step(self.state, kept, now)
        if isinstance(item, Reply):
            effects.accepted.append(item)  # the fault's text has it: its channel may forget it, or it comes for ever
        elif isinstance(item, OperatorAct) and item.request:
            effects.answers[item.request] = tuple(unrecordable(item))
        effects.urgent = True
        self.ledger.add(now, kept, delta, effects)

    def _try(self, inputs: list[Input], now: int) -> None:
        try:
            delta, effects = self._decide(inputs, now)
        except Exception:  # noqa: BLE001 - halved further until the offender stands alone
            self._halve(inputs, now)
            return
        self.ledger.add(now, inputs, delta, effects)

    # -- the house as the ledger sees it

    def hand_over(self, work: Work) -> None:
        """Let a group's notices and answers leave."""
        for notice in work.sending:
            self.dispatcher.send(notice)
        for reply in work.accepted:
            guarded(partial(self.dispatcher.accepted, reply))
        for request, refusals in work.answers.items():
            asker = self._askers.pop(request, None)
            if asker is not None and not asker.done():
                asker.set_result(refusals)
        for listener in self.listeners:
            guarded(partial(listener, work))

    def unrecorded(self, work: Work) -> None:
        """Mark notices that leave before they are recorded, for people and for the record itself."""
        marked = {notice.id: self.state.escalation.unrecorded(notice) for notice in work.sending}
        work.sending = list(marked.values())
        for place, (kind, body) in enumerate(work.records):
            if isinstance(body, Notification) and body.state is DeliveryState.SENDING:
                work.records[place] = (kind, marked[body.id])

    def store_begun_anew(self) -> None:
        """Say that what was before is in another file; wall time of this boot is told to the new one."""
        now, axis = self._clock.mono(), self.state.axis
        self.intake.put(
            Epoch(boot=self._clock.boot(), mono_from=now, wall_offset=axis.offset, source="kept", trusted=axis.trusted)
        )
        text = "存储已重建，旧文件另存 the store was begun anew, the one before is kept beside it"
        event = Event(self.state.gateway_events, "start", EventCode.FAULT, text)
        self.intake.put(make_batch("gateway", now, events=[event]))

    def rows(self) -> Iterator[Row]:
        """Yield every row of every durable table: what a store is begun anew with."""
        for table in tables_of(self.state):
            yield from ((table.name, key, value) for key, value in table.rows.items())
        yield from (("memory", key, value) for key, value in self.memory.items())

    def store_fault(self, reason: str | None) -> None:
        """Raise the store fault through every channel, or let it return to normal."""
        code = EventCode.RESTORE if reason is None else EventCode.FAULT
        text = f"存储故障 store fault: {reason}" if reason else "存储恢复 store is back"
        self._own("store", code, text)

    def record_broken(self, row: int | None) -> None:
        """Raise the fault that the record cannot prove what it says, or let it return to normal."""
        if row is not None:
            text = f"记录链在第 {row} 条断裂 the record's chain is broken at row {row}: what follows proves nothing"
            self._own("record", EventCode.FAULT, text)
        elif name_of("event:fault", self.state.gateway_events, "record") in self.state.engine.tables.levels:
            self._own("record", EventCode.RESTORE, "记录链完整 the record's chain holds")

    def life_points(self) -> Container[int]:
        """Return the points that a rule of class fire, gas or flood watches: their readings are kept longest."""
        return self.state.engine.life_points

    def snapshot(self) -> Mapping[str, bytes]:
        """Return the blobs of everything that can be rebuilt but is dear."""
        return blobs_of(self.state)

    def ask(self, request: str) -> asyncio.Future[tuple[Refusal, ...]]:
        """Return a future for the refusals of the act that carries `request`; set when the act is durable."""
        future: asyncio.Future[tuple[Refusal, ...]] = asyncio.get_running_loop().create_future()
        self._askers[request] = future
        return future


def split(batch: Batch) -> tuple[Batch, Batch]:
    """Cut a batch in two: its readings, or where it has one at most, its events.

    What comes with the whole (marks, acknowledgement) goes with the second half.
    """
    if len(batch) > 1:
        middle, told = len(batch) // 2, 0
    else:
        middle, told = len(batch), 0 if len(batch) else len(batch.events) // 2
    first, second = _rows(batch, slice(0, middle)), _rows(batch, slice(middle, None))
    first.heard, first.events, first.event_arrival = batch.heard, batch.events[:told], batch.event_arrival
    second.events, second.event_arrival = batch.events[told:], batch.event_arrival
    second.marks, second.stale, second.waiting = batch.marks, batch.stale, batch.waiting
    second.ack, second.settled = batch.ack, batch.settled
    return first, second


def _rows(batch: Batch, rows: slice) -> Batch:
    return Batch(
        source=batch.source,
        point=batch.point[rows],
        time=batch.time[rows],
        arrival=batch.arrival[rows],
        value=batch.value[rows],
        quality=batch.quality[rows],
        frames=batch.frames,
        frame=None if batch.frame is None else batch.frame[rows],
    )
