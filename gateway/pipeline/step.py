"""The step: the only place where anything is decided.

`step(state, inputs, now)` takes inputs in the order in which the intake handed them over and returns what changed and
what is to happen after the commit. Pure: the same inputs give the same transitions live, in replay and in backtest.

Time (house section 3): inputs come in moments, readings of one arrival. Before a moment every timer due earlier fires,
stamped with its own due time; at the end those due at or before `now` fire. The caller keeps `now` below the arrival
of anything it has not handed over yet, and no timer passes `now`, whatever else was taken first: so it does not matter
how the inputs are cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.alarms.book import AlarmBook
from gateway.alarms.outcome import Move
from gateway.alarms.refusal import Refusal
from gateway.escalation.chains import Escalation
from gateway.model.alarm import Evidence, OperatorAct, Transition
from gateway.model.batch import Batch, Event, EventCode, EventSeen
from gateway.model.delta import Delta
from gateway.model.moment import Epoch, Found, Input, Start
from gateway.model.notification import ChannelState, DeliveryState, Notification, Receipt, Reply
from gateway.model.time import SECOND
from gateway.model.verdict import Change
from gateway.pipeline.evidence import Begun, evidence_of
from gateway.pipeline.latest import Latest
from gateway.pipeline.validate import Axis, moments
from rules.compiled import name_of
from rules.engine import Engine

AUDIT_EVERY = 10 * SECOND
KIND_FAULT = "rule kind "  # key of the gateway's own fault, before the kind's name


@dataclass(slots=True)
class State:
    """All the station knows. Every change is known to the step's delta, but for `engine` and the last five."""

    engine: Engine
    book: AlarmBook
    escalation: Escalation
    latest: Latest
    gateway_events: int  # point id of the gateway's own faults
    successor: Engine | None = None  # of the configuration that the next start takes over
    axis: Axis = field(default_factory=Axis)
    logical: int = 0
    audited: int = 0
    kind_faults: frozenset[str] = frozenset()
    begun: Begun = field(default_factory=Begun)


@dataclass(slots=True)
class Effects:
    """What a step leaves to be done: `records` with the commit, the rest after it.

    `urgent` asks for a commit at once (life safety, acts), `hurried` for one within the token bucket.
    """

    records: list[tuple[str, msgspec.Struct]] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    sending: list[Notification] = field(default_factory=list)
    accepted: list[Reply] = field(default_factory=list)
    answers: dict[str, tuple[Refusal, ...]] = field(default_factory=dict)
    life_safety: bool = False
    urgent: bool = False
    hurried: bool = False


def step(state: State, inputs: Sequence[Input], now: int) -> tuple[Delta, Effects]:
    """Apply inputs in order, then fire what is due at `now` (ns, station axis).

    If anything raises, everything touched is put back before the exception leaves.
    """
    run = _Step(state, now)
    before = state.engine, state.successor, state.axis, state.logical, state.audited, state.kind_faults
    try:
        for item in inputs:
            run.take(item)
        if now >= state.logical:  # else the last moment is not over: more of it may still come
            run.advance(now)
            state.logical = now
        run.audit(state.logical)
        state.escalation.dispatch(state.logical, run.delta, run.effects.records)
    except BaseException:
        run.delta.undo()
        state.engine, state.successor, state.axis, state.logical, state.audited, state.kind_faults = before
        raise
    run.close()
    return run.delta, run.effects


class _Step:
    """One run of the step: its delta and effects grow while the inputs are taken."""

    def __init__(self, state: State, now: int) -> None:
        self.state = state
        self.now = now
        self.delta = Delta()
        self.effects = Effects()
        self.walked = state.book.walktests.latest

    def take(self, item: Input) -> None:
        """Apply one input."""
        match item:
            case Batch():
                self._batch(item)
            case OperatorAct():
                self._reach(item.at)
                self._act(item)
            case Receipt():
                self._reach(item.at)
                self.state.escalation.on_receipt(item, self.delta, self.effects.records)
                self.effects.hurried = True
            case Reply():
                self._reach(item.at)
                self._reply(item)
            case ChannelState():
                self._reach(item.at)
                self.state.escalation.on_channel_state(item, self.delta, self.effects.records)
                self.effects.hurried = True
            case Epoch():
                self.state.axis = Axis(offset=item.wall_offset, trusted=item.trusted)
                self.effects.records.append(("epoch", item))
                self.effects.hurried = True
            case Start():
                self._start(item)
            case Found():
                self._reach(item.at)
                self._found(item)

    def advance(self, until: int) -> None:
        """Fire every timer due at or before `until`, each stamped with its own due time."""
        state = self.state
        changes = state.engine.fire(until, self.delta) if state.engine.due() <= until else []
        for change in changes:
            self._timers(change.at)
            self._change(change, self.state.begun.of(change))
        self._timers(until)

    def _timers(self, until: int) -> None:
        """Fire shelf ends, then chains and notices, moment by moment."""
        book, escalation = self.state.book, self.state.escalation
        while (due := min(book.due(), escalation.due())) <= until:
            for move in book.fire(due, self.delta):
                self._moved(move)
            escalation.fire(due, self.delta, self.effects.records)
            self.effects.hurried = True

    def _reach(self, at: int) -> None:
        """Move logical time to an input's arrival: what was due before it fires first.

        Never past `now`: an older input of a lower class may still wait, and it may stop a timer.
        """
        if at > self.state.logical:
            self.advance(min(at - 1, self.now))
            self.state.logical = at

    def _batch(self, batch: Batch) -> None:
        state = self.state
        for offset, moment in moments(batch, state.axis, len(state.latest.value)):
            self._reach(moment.at)
            moment.at = state.logical
            state.latest.take(moment, self.delta)
            state.book.walktests.read(moment, self.delta)
            changes = state.engine.judge(moment, self.delta)
            if self.delta.led:
                state.begun.keep(self.delta.led, batch, offset)
                self.delta.led.clear()
            for change in changes:
                own = change.position >= 0 and not change.timed
                self._change(change, evidence_of(batch, offset + change.position) if own else state.begun.of(change))
        if batch.events:
            self._events(batch)
        self.effects.urgent |= batch.waiting

    def _events(self, batch: Batch) -> None:
        self._reach(batch.event_arrival)
        at = self.state.logical
        for event in batch.events:
            seen = EventSeen(
                point=event.point,
                key=event.key,
                code=event.code,
                text=event.text,
                time=event.time,
                at=at,
                source=batch.source,
                raw=event.raw,
                registered=event.registered,
                ends=event.ends,
            )
            self.effects.records.append(("event", seen))
        self.effects.hurried = True
        self.state.book.walktests.told(batch.events, at, self.delta)
        wall = self.state.axis.wall(batch.event_arrival)
        for change in self.state.engine.events(batch.events, at, self.delta, wall):
            self._change(change, _event_evidence(batch.events[change.position]))

    def _change(self, change: Change, evidence: Evidence) -> None:
        facts = self.state.engine.facts(change.rule, change.point, change.key)
        move = self.state.book.apply(change, facts, evidence, self.delta)
        if move is not None:
            self._moved(move)

    def _moved(self, move: Move) -> None:
        transition, alarm = move
        self.effects.records.append(("transition", transition))
        self.effects.transitions.append(transition)
        self.effects.life_safety |= alarm.alarm_class.life_safety
        self.effects.urgent |= alarm.alarm_class.life_safety
        self.effects.hurried = True
        self.state.escalation.on_transition(transition, alarm, self.delta, self.effects.records)

    def _act(self, act: OperatorAct) -> None:
        outcome = self.state.book.act(act, self.delta)
        self.effects.records.append(("act", act))
        for move in outcome.moves:
            self._moved(move)
        if act.request:
            self.effects.answers[act.request] = outcome.refusals
        self.effects.urgent = True

    def _reply(self, reply: Reply) -> None:
        self.effects.accepted.append(reply)
        axis = self.state.axis
        offset = axis.offset if axis.trusted else None
        act = self.state.escalation.on_reply(reply, self.delta, self.effects.records, offset)
        if act is not None:
            self._act(act)
        self.effects.urgent = True

    def _start(self, start: Start) -> None:
        state = self.state
        self.effects.records.append(("start", start))
        state.latest.shift(start.shift, start.at, self.delta)
        state.engine.rebase(start.shift, start.at, state.logical, self.delta)
        moves = state.book.rebase(start.shift, start.at, self.delta)
        state.logical = start.at
        state.escalation.restart(start.shift, start.at, self.delta, self.effects.records)
        for move in moves:
            self._moved(move)
        if state.successor is not None:
            self._take_over(state.successor, start.at)
        self._orphans(start.at)
        state.escalation.adopt(state.book.open_alarms(), start.at, self.delta, self.effects.records)
        self.effects.urgent = True

    def _found(self, found: Found) -> None:
        """Go on with alarms that nobody has answered: they hold until a reading says otherwise."""
        for move in self.state.book.take(found.alarms, found.at, self.delta):
            self._moved(move)
        true = frozenset((alarm.rule, alarm.point, alarm.key) for alarm in found.alarms if alarm.condition)
        self.state.engine.hold(true, self.delta)
        self.effects.urgent = True

    def _take_over(self, successor: Engine, at: int) -> None:
        """Go on with the rules of another configuration: changed ones are judged at once, others keep their state."""
        state = self.state
        adoption = successor.adopt(state.engine, state.latest.moment(at), self.delta)
        state.engine, state.successor = successor, None
        for change in adoption.changes:
            self._change(change, self.state.begun.of(change))
        for rule, point, key in adoption.removed:
            move = state.book.remove(rule, point, key, at, self.delta)
            if move is not None:
                self._moved(move)

    def _orphans(self, at: int) -> None:
        """End what no rule of this configuration watches any more, also when a crash cost the take-over itself."""
        active = self.state.engine.active()
        for rule, point, key in self.state.book.conditions():
            if (rule, point, key) not in active:
                move = self.state.book.remove(rule, point, key, at, self.delta)
                if move is not None:
                    self._moved(move)

    def audit(self, now: int) -> None:
        """Raise what the house finds wrong with itself: a rule kind that failed, an alarm without a next step."""
        faulty = frozenset(self.state.engine.tables.faults.rows)
        if faulty != self.state.kind_faults:
            for kind in sorted(faulty - self.state.kind_faults):
                fault = self.state.engine.tables.faults[kind]
                self._own(KIND_FAULT + kind, EventCode.FAULT, f"rule kind {kind} failed: {fault.error}", now)
            for kind in sorted(self.state.kind_faults - faulty):
                self._own(KIND_FAULT + kind, EventCode.RESTORE, f"rule kind {kind} works again", now)
            self.state.kind_faults = faulty
        if now - self.state.audited >= AUDIT_EVERY:
            self.state.audited = now
            lost = self.state.escalation.audit(self.state.book.open_alarms(), now)
            levels = self.state.engine.tables.levels
            if lost:
                text = "no next step for alarms " + ", ".join(str(alarm) for alarm in lost)
                self._own("escalation", EventCode.FAULT, text, now)
            elif name_of("event:fault", self.state.gateway_events, "escalation") in levels:
                self._own("escalation", EventCode.RESTORE, "every alarm has a next step again", now)

    def _own(self, key: str, code: EventCode, text: str, now: int) -> None:
        """Raise or end a fault of the gateway itself."""
        event = Event(self.state.gateway_events, key, code, text)
        for change in self.state.engine.events((event,), now, self.delta):
            self._change(change, _event_evidence(event))

    def close(self) -> None:
        """Keep what led to running delays; collect a walk test's report and the notices put into `sending`."""
        if (report := self.state.book.walktests.over(self.walked)) is not None:
            self.effects.records.append(("walktest", report))
        self.state.begun.settle((key, row) for table, key, row in self.delta.rows() if table == "delay")
        notices = {body.id: body for _, body in self.effects.records if isinstance(body, Notification)}
        self.effects.sending = [notice for notice in notices.values() if notice.state is DeliveryState.SENDING]


def _event_evidence(event: Event) -> Evidence:
    return Evidence(frame=event.raw, time=event.time, text=event.text)


def rows_of(delta: Delta) -> Iterator[tuple[str, str, msgspec.Struct | None]]:
    """Yield the durable rows a delta changed; tables with a leading underscore are rebuilt, not stored."""
    return ((table, key, value) for table, key, value in delta.rows() if not table.startswith("_"))
