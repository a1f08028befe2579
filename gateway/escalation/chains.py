"""Escalation: the chain of every unanswered alarm, from the first notice to the follow-up that says who has it.

Flow: step → here, after alarms; what is planned here leaves at `dispatch`. One rule decides whether a chain runs
(`plan.calls_people`), asked after every transition: a chain exists exactly as long as its alarm calls people, so
nothing but a person ends the chain of a fire, and an unanswered alarm always has a next step (`audit`). House
sections 2, 6 and 10. Pure: moments in ns on the station axis, writes through the step's delta, what happened in `out`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from gateway.escalation.agenda import Agenda
from gateway.escalation.follow import Followers
from gateway.escalation.inbox import Inbox
from gateway.escalation.notices import Notices
from gateway.escalation.plan import Planner, calls_people
from gateway.escalation.rows import Chain, FindAlarm, Out, Turn, WallText, seconds
from gateway.escalation.teller import Teller
from gateway.escalation.wording import Wording
from gateway.model.alarm import Alarm, AlarmEvent, OperatorAct, Transition
from gateway.model.contact import ChannelKind
from gateway.model.delta import Delta, Table
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason, Receipt, Reply
from gateway.model.station import Station
from gateway.model.verdict import NEVER, Cause


class Escalation:
    """Chains and notices of one station.

    `alarm` finds an open alarm by id (the book's `by_id`); `wall` writes a moment as wall time, "" while the clock is
    not trusted; `kinds` says of channel kinds whether they reach persons or places.
    """

    def __init__(
        self,
        station: Station,
        *,
        alarm: FindAlarm,
        wall: WallText,
        kinds: Mapping[str, ChannelKind] | None = None,
    ) -> None:
        self.planner = Planner(station, kinds)
        self.chains: Table[Chain] = Table("chain")
        self._timers = Agenda("escalation_timers")
        self.notices = Notices(
            channels=self.planner.channels,
            serial=self.planner.sounders,
            limits=station.limits,
            chains=self.chains,
            timers=self._timers,
        )
        self._alarm = alarm
        wording = Wording(station, self.planner.grid, wall)
        self._teller = Teller(self.planner, self.notices, wording, alarm)
        self._sounders = self._teller.sounders
        self._followers = Followers(self.planner, self.notices, wording)
        self._inbox = Inbox(self.planner, self.notices, wording, alarm)

    # -- the store

    def tables(self) -> tuple[Table[Any], ...]:
        """Return the tables that the store keeps."""
        return (
            self.chains,
            *self.notices.tables(),
            self._sounders.table,
            self._sounders.silenced,
            self._inbox.seen.table,
        )

    def load(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Take rows of the store (table name → key → row) in place of everything here, and rebuild the indexes."""
        self.chains.rows = dict(rows.get("chain", {}))
        self._timers.load((f"c{c.alarm}", (c.due, 1, c.alarm)) for c in self.chains.rows.values())
        self.notices.load(rows)
        self._sounders.load(rows.get("sounding", {}), rows.get("silenced", {}))
        self._inbox.seen.table.rows = dict(rows.get("reply_seen", {}))

    def restart(self, shift: int | None, at: int, delta: Delta, out: Out) -> None:
        """Go on after a start: times on the new axis, what was overdue or of unknown time due at once.

        Called between the book's `rebase` and the moves that it returned. Notices found in `sending` go once more,
        marked 重发; sounders are set again; channels count as up until they say otherwise.
        """
        for channel in list(self.notices.down.rows):
            self.notices.down.drop(delta, channel)
        turn = Turn(at, delta, out)
        self.notices.rebase(shift, self._teller.once_more, turn)
        for chain in sorted(self.chains, key=lambda chain: chain.alarm):
            moved = 0 if shift is None else shift
            due = at if shift is None else max(at, chain.due + moved)
            # Unknown time spent down: the later steps of the round keep their distance from this one.
            started = chain.started + (at - chain.due if shift is None else moved)
            self._keep(replace(chain, due=due, started=started), delta)
        self._sounders.again_everywhere(turn)

    def adopt(self, alarms: Iterable[Alarm], at: int, delta: Delta, out: Out) -> None:
        """Give every alarm that calls people a chain, and take chains from those that do not.

        For books that were salvaged or whose configuration has changed; a no-op where all is well.
        """
        for alarm in alarms:
            running = str(alarm.id) in self.chains
            if calls_people(alarm) and not running:
                self._start(alarm, Turn(at, delta, out))
            elif running and not calls_people(alarm):
                self._stop(alarm, NotifyReason.ALL_CLEAR, None, Turn(at, delta, out))

    # -- alarms

    def on_transition(self, transition: Transition, alarm: Alarm, delta: Delta, out: Out) -> None:
        """Start, go on with or stop the chain of an alarm that has just moved; `alarm` is as it is now."""
        turn = Turn(transition.at, delta, out)
        running = str(alarm.id) in self.chains
        if alarm.test or transition.cause is Cause.WALKTEST:
            self._teller.try_out(alarm, transition, turn)
        answered = transition.event is AlarmEvent.ACK
        if calls_people(alarm):
            if not running:
                self._start(alarm, turn)
            elif transition.event is AlarmEvent.RAISE and transition.cause is Cause.ESCALATED:
                self._tell_anew(alarm, turn)
        elif running:
            self._stop(alarm, _follow_up(transition), transition, turn)
        elif answered:
            self._followers.confirm(alarm, transition.who, turn)
        if not alarm.state.unacknowledged:
            self.notices.told.forget(alarm.id, delta)

    def _start(self, alarm: Alarm, turn: Turn) -> None:
        first = seconds(self.planner.policy(alarm).steps[0].after)
        chain = Chain(alarm=alarm.id, started=turn.at, due=turn.at + first)
        self._keep(chain, turn.delta)
        if not first:
            self._advance(chain, turn)

    def _stop(self, alarm: Alarm, reason: NotifyReason, transition: Transition | None, turn: Turn) -> None:
        """End the chain: what waits is given up, sounders go off, everybody told hears how it went, once."""
        self._drop(alarm.id, turn.delta)
        self._teller.give_up(alarm, turn)
        self._sounders.stop(alarm, turn)
        self._followers.tell(alarm, reason, transition, turn)

    def _tell_anew(self, alarm: Alarm, turn: Turn) -> None:
        """Tell all steps reached so far of a new address or a higher severity, without putting the next step off."""
        chain = self.chains[str(alarm.id)]
        steps = self.planner.policy(alarm).steps
        self._teller.give_up(alarm, turn)
        counted: dict[int, None] = {}
        for index, step in enumerate(steps if chain.round else steps[: chain.step]):
            counted |= dict.fromkeys(
                self._teller.step(alarm, replace(chain, step=index), step, NotifyReason.RAISED, turn)
            )
        self._keep(replace(chain, notices=tuple(counted) or chain.notices), turn.delta)

    # -- time

    def due(self) -> int:
        """Return when the next timer here is due, NEVER if none."""
        first = self._timers.first()
        return NEVER if first is None else first[0][0]

    def fire(self, until: int, delta: Delta, out: Out) -> None:
        """Fire every timer due at or before `until`, in order, each stamped with its own due time."""
        while (first := self._timers.first()) is not None and first[0][0] <= until:
            (due, _, _), key = first
            turn = Turn(due, delta, out)
            if key.startswith("c"):
                self._advance(self.chains[key[1:]], turn)
            else:
                self._if_failed(self.notices.expire(key[1:], self._teller.once_more, turn).alarm, turn)

    def audit(self, alarms: Iterable[Alarm], now: int) -> list[int]:
        """Return ids of alarms that call people and have no next step in the future: must be empty after `fire`."""
        chains = ((alarm, self.chains.get(str(alarm.id))) for alarm in alarms if calls_people(alarm))
        return [alarm.id for alarm, chain in chains if chain is None or not now < chain.due < NEVER]

    def _advance(self, chain: Chain, turn: Turn) -> None:
        """Run the step that is due and say when the next one is."""
        alarm = self._alarm(chain.alarm)
        if alarm is None:  # a book and a chain that do not fit (salvaged): nobody can be told of what is not known
            self._drop(chain.alarm, turn.delta)
            return
        steps = self.planner.policy(alarm).steps
        index = min(chain.step, len(steps) - 1)  # the policy may have become shorter
        reason = NotifyReason.REPEATED if chain.round else NotifyReason.ESCALATED if index else NotifyReason.RAISED
        notices = self._teller.step(alarm, chain, steps[index], reason, turn)
        if index + 1 < len(steps):
            due = max(turn.at, chain.started + seconds(steps[index + 1].after))
            chain = replace(chain, notices=notices, step=index + 1, due=due)
        else:
            started = turn.at + self.planner.repeat(alarm)
            due = started + seconds(steps[0].after)
            chain = replace(chain, notices=notices, step=0, round=chain.round + 1, started=started, due=due)
        self._keep(chain, turn.delta)
        self._if_failed(chain.alarm, turn)

    def _if_failed(self, number: int, turn: Turn) -> None:
        """When no method of the last step can reach anybody: every sounder sounds, and the next step is due now.

        After the last step the round is not shortened: it would turn in circles while everything is down.
        """
        chain = self.chains.get(str(number))
        alarm = self._alarm(number)
        if chain is None or alarm is None or not (chain.step or chain.round) or not self._teller.hopeless(chain):
            return
        self._teller.sound_all(alarm, turn)
        if chain.step and chain.due > turn.at:
            self._keep(replace(chain, due=turn.at), turn.delta)

    def _drop(self, number: int, delta: Delta) -> None:
        self.chains.drop(delta, str(number))
        self._timers.drop(delta, f"c{number}")

    def _keep(self, chain: Chain, delta: Delta) -> None:
        self.chains.put(delta, str(chain.alarm), chain)
        self._timers.put(delta, f"c{chain.alarm}", (chain.due, 1, chain.alarm))

    # -- channels and people

    def dispatch(self, now: int, delta: Delta, out: Out) -> None:
        """Let leave what may leave now: notices so written as `sending` are handed over after the commit."""
        self.notices.dispatch(Turn(now, delta, out))

    def unrecorded(self, notice: Notification) -> Notification:
        """Return a notice as it leaves when its transition could not be committed (house section 7); writes nothing."""
        return self._teller.unrecorded(notice)

    def on_receipt(self, receipt: Receipt, delta: Delta, out: Out) -> None:
        """Take what a channel says of a notice."""
        turn = Turn(receipt.at, delta, out)
        notice = self.notices.receive(receipt, turn)
        if notice is not None and notice.state is DeliveryState.FAILED_FOR_GOOD:
            self._if_failed(notice.alarm, turn)

    def on_channel_state(self, state: ChannelState, delta: Delta, out: Out) -> None:
        """Note that a channel works or is down; steps left without a way go on at once."""
        turn = Turn(state.at, delta, out)
        if not state.up:
            self.notices.down.put(delta, state.channel, state.reason)
            for chain in sorted(self.chains, key=lambda chain: chain.alarm):
                self._if_failed(chain.alarm, turn)
        elif state.channel in self.notices.down:
            self.notices.down.drop(delta, state.channel)
            self._sounders.again(state.channel, turn)

    def on_reply(self, reply: Reply, delta: Delta, out: Out, offset: int | None = None) -> OperatorAct | None:
        """Take what a person wrote back; returns the acknowledgement it is, to be put through the alarm book.

        `offset`: wall time less station axis in ns, None while the clock is not trusted.
        """
        written = None if offset is None or not reply.sent else reply.sent - offset
        return self._inbox.take(reply, written, Turn(reply.at, delta, out))


def _follow_up(transition: Transition) -> NotifyReason:
    """Say which follow-up a transition that ends a chain asks for."""
    if transition.event is AlarmEvent.SHELVE:
        return NotifyReason.SHELVED
    if transition.event is AlarmEvent.DISABLE:
        return NotifyReason.OUT_OF_SERVICE
    if transition.event is not AlarmEvent.ACK:
        return NotifyReason.ALL_CLEAR
    said = transition.reason.lower()
    return NotifyReason.FALSE_ALARM if "误报" in said or "false" in said else NotifyReason.TAKEN_OVER
