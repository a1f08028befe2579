"""A small station whose alarm book and escalation are driven by hand, as the step drives them: for their tests.

Times here are seconds; the station axis begins at `T0`. Every move is one delta, kept so that it can be undone.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.alarms.book import AlarmBook
from gateway.alarms.outcome import Move
from gateway.escalation.chains import Escalation
from gateway.escalation.rows import Answered, Out
from gateway.model.alarm import AlarmFacts, Evidence, OperatorAct, Verb
from gateway.model.contact import Cell, ChannelSpec, Contact, Policy, PolicyChoice, Step
from gateway.model.delta import Delta
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason, Receipt, Reply
from gateway.model.point import AlarmClass, Severity
from gateway.model.station import Station, StoreSpec
from gateway.model.verdict import Cause, Change

SECOND = 1_000_000_000
T0 = 1_000_000 * SECOND
WALL = 1_790_000_000 * SECOND  # wall time less station axis

STATION = Station(
    id="jc-07",
    name="江城社区微型消防站",
    store=StoreSpec(path=":memory:"),
    channels=(
        ChannelSpec(id="sms", kind="sms_modem"),
        ChannelSpec(id="console", kind="console"),
        ChannelSpec(id="siren", kind="relay"),
    ),
    cells=(
        Cell(id="jc", name="江城社区"),
        Cell(id="jc/3", name="3号楼", parent="jc"),
        Cell(id="jc/3/12", name="12层", parent="jc/3"),
    ),
    contacts=(
        Contact(id="li", name="李伟", phone="138 0013 8000", roles=(("jc/3", "squad"),)),
        Contact(id="wang", name="王芳", phone="+86 139-0000-0001", roles=(("jc/3", "squad"),)),
        Contact(id="chen", name="Chen", phone="13700000002", roles=(("jc", "captain"),), language="en"),
        Contact(id="mute", name="无电话", roles=(("jc", "captain"),)),
    ),
    policies=(
        Policy(
            id="turn-out",
            steps=(
                Step(after=0.0, notify=("role:squad@cell",), by=("sms", "siren")),
                Step(after=60.0, notify=("role:captain@community",), by=("sms",)),
            ),
        ),
        Policy(id="office", steps=(Step(after=0.0, notify=("role:captain@cell",), by=("sms",)),)),
    ),
    choices=(
        PolicyChoice(alarm_class=AlarmClass.FIRE, policy="turn-out"),
        PolicyChoice(alarm_class=AlarmClass.FAULT, policy="office", cell="jc"),
    ),
)

LI, WANG, CHEN = "13800138000", "+86 13900000001", "0086 137 0000 0002"


def ns(at: float) -> int:
    """Return seconds since the world began as a moment of the station axis."""
    return T0 + round(at * SECOND)


def facts(alarm_class: AlarmClass = AlarmClass.FIRE, *, cell: str = "jc/3/12", latch: bool | None = None) -> AlarmFacts:
    """Return what the configuration says of a place."""
    return AlarmFacts(
        device="smoke",
        point_name="alarm",
        cell=cell,
        alarm_class=alarm_class,
        severity=Severity.CRITICAL,
        latch=alarm_class.life_safety if latch is None else latch,
        title="烟雾报警",
    )


def change(place: int, at: float, *, up: bool, cause: Cause = Cause.CONDITION, quality: int = 0) -> Change:
    """Return a flip of place `place` (its point id)."""
    return Change(0, 0, "r", place, "", up, ns(at), ns(at), cause, 1.0, quality)


class World:
    """Book, escalation and the record of what they said."""

    def __init__(self, station: Station = STATION, *, wall: Callable[[int], str] = lambda _: "14:03") -> None:
        self.station = station
        self.book = AlarmBook()
        self.escalation = Escalation(station, alarm=self.book.by_id, wall=wall)
        self.out: Out = []
        self.moves: list[Move] = []
        self.deltas: list[Delta] = []

    # -- driving

    def turn(self, now: float) -> Delta:
        """Begin a step: timers before `now` fire first."""
        delta = Delta()
        self.deltas.append(delta)
        self.fire(ns(now), delta)
        return delta

    def fire(self, until: int, delta: Delta) -> None:
        """Fire shelves and chains in the order of their due times."""
        while (due := min(self.book.due(), self.escalation.due())) <= until:
            for move in self.book.fire(due, delta):
                self._moved(move, delta)
            self.escalation.fire(due, delta, self.out)

    def end(self, now: float, delta: Delta) -> None:
        """End a step: timers due now, then what may leave."""
        self.fire(ns(now), delta)
        self.escalation.dispatch(ns(now), delta, self.out)

    def _moved(self, move: Move, delta: Delta) -> None:
        self.moves.append(move)
        self.escalation.on_transition(move.transition, move.alarm, delta, self.out)

    def flip(
        self, place: int, at: float, *, up: bool, what: AlarmFacts | None = None, cause: Cause = Cause.CONDITION
    ) -> None:
        """Let a condition become true or false."""
        delta = self.turn(at)
        move = self.book.apply(change(place, at, up=up, cause=cause), what or facts(), Evidence(), delta)
        if move is not None:
            self._moved(move, delta)
        self.end(at, delta)

    def do(self, act: OperatorAct, at: float) -> None:
        """Let a person act."""
        delta = self.turn(at)
        self._do(act, delta)
        self.end(at, delta)

    def _do(self, act: OperatorAct, delta: Delta) -> None:
        for move in self.book.act(act, delta).moves:
            self._moved(move, delta)

    def ack(self, number: int, at: float, *, who: str = "li", reason: str = "") -> None:
        """Acknowledge one alarm by the command line."""
        self.do(OperatorAct(verb=Verb.ACK, alarms=(number,), who=who, via="cli", at=ns(at), reason=reason), at)

    def reply(
        self, number: str, text: str, at: float, *, written: float | None = None, place: str = "", trusted: bool = False
    ) -> bool:
        """Let a message come in, `written` by the network's clock; say whether it acknowledged."""
        delta = self.turn(at)
        sent = 0 if written is None else ns(written) + WALL
        reply = Reply(channel="sms", number=number, text=text, at=ns(at), sent=sent, token=place)
        act = self.escalation.on_reply(reply, delta, self.out, WALL if trusted else None)
        if act is not None:
            self._do(act, delta)
        self.end(at, delta)
        return act is not None

    def receipt(
        self, notice: int, state: DeliveryState, at: float, failure: str = "", *, uncertain: bool = False
    ) -> None:
        """Let a channel say what became of a notice."""
        delta = self.turn(at)
        receipt = Receipt(notice=notice, state=state, at=ns(at), failure=failure, uncertain=uncertain)
        self.escalation.on_receipt(receipt, delta, self.out)
        self.end(at, delta)

    def channel(self, channel: str, at: float, *, up: bool) -> None:
        """Let a channel go down or come up."""
        delta = self.turn(at)
        self.escalation.on_channel_state(ChannelState(channel=channel, up=up, at=ns(at)), delta, self.out)
        self.end(at, delta)

    def pass_time(self, until: float) -> None:
        """Let time go by, waking at every timer."""
        delta = self.turn(until)
        self.end(until, delta)

    def send_all(self, at: float) -> None:
        """Let every channel hand over everything at once."""
        while busy := [n for n in self.notices() if n.state is DeliveryState.SENDING]:
            for notice in busy:
                self.receipt(notice.id, DeliveryState.SENT, at)

    def undo(self) -> None:
        """Undo the newest step."""
        self.deltas.pop().undo()

    def restarted(self, shift: int | None, at: float) -> World:
        """Return a world that has loaded what this one stored, encoded and decoded as the store does."""
        other = World(self.station)
        rows = self.rows()
        other.book.load(rows)
        other.escalation.load(rows)
        delta = Delta()
        shelves = other.book.rebase(shift, ns(at), delta)
        other.escalation.restart(shift, ns(at), delta, other.out)
        for move in shelves:
            other._moved(move, delta)
        other.end(at, delta)
        return other

    # -- looking

    def rows(self) -> dict[str, dict[str, object]]:
        """Return a copy of every durable row."""
        tables = (*self.book.tables(), *self.escalation.tables())
        return {table.name: dict(table.rows) for table in tables}

    def notices(self) -> list[Notification]:
        """Return every notice that is kept, in order of ids."""
        return sorted(self.escalation.notices.rows, key=lambda notice: notice.id)

    def said(self, reason: NotifyReason) -> list[tuple[str, str]]:
        """Return (contact, channel) of every notice of a reason ever planned."""
        firsts = {n.id: n for kind, n in reversed(self.out) if kind == "notice" and isinstance(n, Notification)}
        return [(n.contact, n.channel) for _, n in sorted(firsts.items()) if n.reason is reason]

    def sent(self) -> list[Notification]:
        """Return what was handed to channels, in order."""
        notices = [n for kind, n in self.out if kind == "notice" and isinstance(n, Notification)]
        return [n for n in notices if n.state is DeliveryState.SENDING]

    def answers(self) -> list[str]:
        """Return what became of replies."""
        return [a.verdict for _, a in self.out if isinstance(a, Answered)]

    def audit(self, now: float) -> list[int]:
        """Return unanswered alarms without a next step."""
        return self.escalation.audit(self.book.open_alarms(), ns(now))


def encoded(rows: dict[str, dict[str, object]]) -> bytes:
    """Return rows as bytes, for comparing."""
    return msgspec.json.encode(rows, order="deterministic")


def asked(world: World) -> list[tuple[str, float]]:
    """Return (contact, second) of every notice that asks a person, as planned."""
    asking = (NotifyReason.RAISED, NotifyReason.ESCALATED, NotifyReason.REPEATED)
    kept = [n for n in world.notices() if n.reason in asking and n.contact]
    return [(n.contact, (n.planned_at - T0) / SECOND) for n in kept]
