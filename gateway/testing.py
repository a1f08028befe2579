"""Shipped fakes for tests (house rule 9): the driven clock, and the scenario runner, a whole station without waiting.

A scenario is the real step over a real store, with channels that answer as they are told and time that passes only as
the script says: "at 10 s the value is 33; by 70 s the captain is told". It can be killed and started again anywhere.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway.alarms.book import AlarmBook
from gateway.clock import SECOND
from gateway.driven_clock import FakeClock
from gateway.escalation.chains import Escalation
from gateway.model.alarm import Alarm, OperatorAct, Transition, Verb
from gateway.model.batch import Event, EventCode, make_batch
from gateway.model.inventory import OWN, events_of, names_of, points_of
from gateway.model.moment import Epoch, Input
from gateway.model.notification import DeliveryState, Notification, NotifyReason, Receipt, Reply
from gateway.model.station import Station
from gateway.model.verdict import NEVER
from gateway.pipeline import recovery
from gateway.pipeline.latest import Latest
from gateway.pipeline.step import Effects, State, rows_of, step
from gateway.store.database import Group, Store
from rules.compile import compile_rules

__all__ = ["BOOTED", "WALL", "Answer", "FakeClock", "Life", "Scenario", "Seen", "never_answers", "sends_at_once"]

BOOTED = 1_000 * SECOND  # monotonic time at which a scenario's first second begins
WALL = 1_790_000_000 * SECOND  # its wall time
Answer = Callable[[Notification], Sequence[tuple[float, DeliveryState]]]


def sends_at_once(notice: Notification) -> Sequence[tuple[float, DeliveryState]]:
    """Answer as a good channel does: (seconds after the hand-over, state)."""
    del notice
    return ((0.1, DeliveryState.SENT),)


def never_answers(notice: Notification) -> Sequence[tuple[float, DeliveryState]]:
    """Answer as a channel that hangs does."""
    del notice
    return ()


@dataclass(slots=True)
class Life:
    """One life of the daemon: its boot, and where the scenario's second 0 stands on its clocks (ns)."""

    boot: str = "boot-1"
    base: int = BOOTED
    wall: int = WALL
    trusted: bool = True


@dataclass(slots=True)
class Seen:
    """What left the step, in order; `sent` with the scenario's second of the hand-over."""

    transitions: list[Transition] = field(default_factory=list)
    sent: list[tuple[float, Notification]] = field(default_factory=list)
    effects: list[Effects] = field(default_factory=list)


class Scenario:
    """A station driven by hand. Times are seconds since the scenario began, true time, whatever its clocks say.

    Every step is committed at once. `answer` says what a channel makes of a notice.
    """

    def __init__(
        self, station: Station, *, store: Store | None = None, answer: Answer = sends_at_once, life: Life | None = None
    ) -> None:
        self.station = station
        self.store = store or Store.open(":memory:")
        self.answer = answer
        self.life = replace(life or Life())
        self.seen = Seen()
        self.now = 0.0
        self.remarks: list[str] = []
        self.steps: list[tuple[int, list[Input]]] = []
        self.ids = self.store.point_ids(names_of(station))
        self._receipts: list[tuple[int, int, Receipt]] = []
        self._order = itertools.count()
        self._configuration = "1"
        self.state = self._state()

    def _state(self) -> State:
        engine, _ = compile_rules(self.station, points_of(self.station, self.ids))
        book = AlarmBook()
        return State(
            engine=engine,
            book=book,
            escalation=Escalation(self.station, alarm=book.by_id, wall=self.wall_text),
            latest=Latest(1 + max(engine.points)),
            gateway_events=self.ids[events_of(OWN)],
        )

    # -- time

    def ns(self, at: float) -> int:
        """Return a scenario second on this life's monotonic clock."""
        return self.life.base + round(at * SECOND)

    def seconds(self, mono: int) -> float:
        """Return a moment of this life's monotonic clock as a scenario second."""
        return (mono - self.life.base) / SECOND

    def wall_text(self, mono: int) -> str:
        """Return a moment as messages show it; empty while wall time is not trusted."""
        axis = self.state.axis
        if not axis.trusted:
            return ""
        return datetime.fromtimestamp((mono + axis.offset) / SECOND, tz=UTC).strftime("%m-%d %H:%M:%S")

    def clock(self, at: float) -> FakeClock:
        """Return this life's clock as it stands at a second."""
        clock = FakeClock(mono=self.ns(at), wall=self.life.wall + round(at * SECOND), boot=self.life.boot)
        clock.trust(synchronised=self.life.trusted)
        return clock

    def epoch(self, at: float, *, wall: int | None = None, trusted: bool = True) -> None:
        """Let wall time step (`wall`: ns since 1970 at second 0), or gain or lose its trust."""
        self.life.wall = self.life.wall if wall is None else wall
        self.life.trusted = trusted
        self.give(at, self._epoch(at))

    def _epoch(self, at: float) -> Epoch:
        life, source = self.life, "ntp" if self.life.trusted else "none"
        offset = life.wall - life.base
        return Epoch(boot=life.boot, mono_from=self.ns(at), wall_offset=offset, source=source, trusted=life.trusted)

    # -- living

    def start(self, at: float = 0.0) -> Scenario:
        """Begin a life on what the store holds."""
        self.now = at
        self.remarks += recovery.load(self.state, self.store, self._configuration)
        epoch, clock = self._epoch(at), self.clock(at)
        last = self.store.last()
        shift = recovery.shift_of(last, recovery.axis_of(self.store, last.boot), clock, epoch)
        self._step([epoch, recovery.start_of(clock, self._configuration, shift)], self.ns(at))
        return self

    def restarted(self, at: float, life: Life | None = None, *, station: Station | None = None) -> Scenario:
        """Kill the daemon now; return its next life, which begins at a second. What was on its way is lost."""
        other = Scenario(station or self.station, store=self.store, answer=self.answer, life=life or self.life)
        other.seen = self.seen
        return other.start(at)

    def snapshot(self) -> None:
        """Keep a snapshot as of the last commit."""
        blobs = recovery.blobs_of(self.state)
        self.store.save_snapshot(self.store.last().seq, recovery.CODE_VERSION, self._configuration, blobs)

    def due(self) -> int:
        """Return the next moment at which something happens by itself (ns)."""
        first = self._receipts[0][0] if self._receipts else NEVER
        return min(first, self.state.engine.due(), self.state.book.due(), self.state.escalation.due())

    def until(self, at: float) -> Scenario:
        """Let time pass, waking for every timer and answer."""
        end = self.ns(at)
        while (due := max(self.due(), self.ns(self.now))) <= end:
            inputs: list[Input] = []
            while self._receipts and self._receipts[0][0] <= due:
                inputs.append(heapq.heappop(self._receipts)[2])
            self._step(inputs, due)
        self.now = at
        return self

    def give(self, at: float, *inputs: Input) -> Effects:
        """Let time pass until just before `at`, then step with these inputs."""
        self.until(max(self.now, at - 1 / SECOND))
        self.now = at
        return self._step(list(inputs), self.ns(at))

    def _step(self, inputs: list[Input], now: int) -> Effects:
        delta, effects = step(self.state, inputs, now)
        self.steps.append((now, inputs))
        self.store.commit(
            Group(
                boot=self.life.boot,
                mono=now,
                wall=now - self.life.base + self.life.wall,
                steps=[(now, inputs)],
                records=effects.records,
                rows=list(rows_of(delta)),
            )
        )
        self.seen.transitions += effects.transitions
        self.seen.effects.append(effects)
        for notice in effects.sending:
            self.seen.sent.append((self.seconds(now), notice))
            for after, state in self.answer(notice):
                due = now + round(after * SECOND)
                heapq.heappush(self._receipts, (due, next(self._order), Receipt(notice=notice.id, state=state, at=due)))
        return effects

    # -- what comes in

    def read(self, at: float, point: str, value: float, *, quality: int = 0, time: int = 0) -> Effects:
        """Let one reading arrive; `time`: ns since 1970 by the source."""
        return self.give(at, make_batch("script", self.ns(at), [(self.ids[point], time, value, quality)]))

    def event(self, at: float, device: str, code: EventCode, key: str = "", text: str = "") -> Effects:
        """Let a device say something."""
        event = Event(self.ids[events_of(device)], key, code, text)
        return self.give(at, make_batch("script", self.ns(at), events=[event]))

    def act(
        self, at: float, verb: Verb, alarms: Iterable[int], *, until: float = 0.0, reason: str = "", who: str = "li"
    ) -> Effects:
        """Let a person act."""
        end = self.ns(until) if until else 0
        act = OperatorAct(
            verb=verb, alarms=tuple(alarms), who=who, via="cli", at=self.ns(at), until=end, reason=reason, request="r"
        )
        return self.give(at, act)

    def reply(self, at: float, number: str, text: str, channel: str = "sms") -> Effects:
        """Let a message come back."""
        return self.give(at, Reply(channel=channel, number=number, text=text, at=self.ns(at)))

    # -- what came of it

    def alarms(self) -> list[Alarm]:
        """Return the alarms in the book."""
        return self.state.book.open_alarms()

    def told(self, *reasons: NotifyReason, contact: str | None = None) -> list[tuple[float, str, str]]:
        """Return (second, contact, text) of what was handed to channels."""
        return [
            (round(at, 3), notice.contact, notice.text)
            for at, notice in self.seen.sent
            if (not reasons or notice.reason in reasons) and contact in (None, notice.contact)
        ]
