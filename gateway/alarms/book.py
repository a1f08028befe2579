"""The alarm book: every alarm that has not ended, moved by changes of rules, by acts of persons and by shelf ends.

Flow: step → book → machine; what it returns goes to the record and to escalation. Keyed rule|point|key; ids are never
reused; an alarm that has ended leaves the book (house sections 2, 6, 9). Pure: times come with what happens, in ns on
the station axis, and every write goes through the step's delta.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from gateway.alarms.machine import Standing, move
from gateway.alarms.outcome import EVENT_OF, Move, Outcome
from gateway.alarms.pages import Pages, key_of
from gateway.alarms.refusal import Refusal, refuse, unknown
from gateway.alarms.states import LIFTING
from gateway.alarms.walktest import closing, real, untested
from gateway.model.alarm import (
    Alarm,
    AlarmEvent,
    AlarmFacts,
    AlarmState,
    Evidence,
    OperatorAct,
    Suppression,
    Transition,
    Verb,
)
from gateway.model.delta import Delta
from gateway.model.moment import shifted
from gateway.model.quality import Doubt, doubt_of
from gateway.model.verdict import NEVER, Cause, Change
from gateway.model.walktest import WalkEnd, Walktest

ROW_TYPES: Final[Mapping[str, Any]] = {
    "alarm": Alarm,
    "alarm_counter": int,
    "alarm_closed": bytes,
    "walktest": Walktest,
}

_COPIED: Final = tuple(name for name in AlarmFacts.__struct_fields__ if name != "title")
_TIMES: Final = ("since", "raised", "acknowledged_at", "shelved_until", "returned_at")


class AlarmBook(Pages):
    """The open alarms of one station and what moves them."""

    def apply(self, change: Change, facts: AlarmFacts, evidence: Evidence, delta: Delta) -> Move | None:
        """Take one flip of a condition; None when it is no news to the book."""
        key = key_of(change.rule, change.point, change.key)
        alarm = self.alarms.get(key)
        if not change.up:
            return None if alarm is None or not alarm.condition else self._clear(key, alarm, change, evidence, delta)
        cause = change.cause
        if alarm is not None and alarm.condition:
            if facts.severity > alarm.severity:
                cause = Cause.ESCALATED
            elif cause is not Cause.ESCALATED:
                return None
        retained = doubt_of(change.quality) is Doubt.RETAINED
        if retained and evidence.frame and self.closed.get(key) == evidence.frame:
            return None
        self.closed.drop(delta, key)
        fresh = self.walktests.admit(alarm or self._new(change, facts, delta), facts, change, delta)
        raised = replace(
            fresh,
            **{name: getattr(facts, name) for name in _COPIED},
            condition=True,
            since=change.since,
            raised=change.at,
            cause=cause,
            value=change.value,
            text=evidence.text or facts.title,
            occurrence=fresh.occurrence + (alarm is not None),
            from_before_start=retained,
            acknowledged_by="",
            acknowledged_at=0,
            returned_at=0,
            lifted=None,
            evidence=evidence,
        )
        return self._move(key, raised, AlarmEvent.RAISE, delta, cause=cause, at=change.at, evidence=evidence)

    def take(self, alarms: Iterable[Alarm], at: int, delta: Delta) -> list[Move]:
        """Raise alarms of another book, under numbers and codes of this one; what stands here already stays."""
        moves: list[Move] = []
        for alarm in alarms:
            key = key_of(alarm.rule, alarm.point, alarm.key)
            if key in self.alarms:
                continue
            number = self._number(delta)
            fresh = replace(real(alarm), id=number, code=self.codes.take(number, delta))
            moves.append(self._move(key, fresh, AlarmEvent.RAISE, delta, cause=alarm.cause, at=at))
            if not alarm.condition:
                moves.append(self._move(key, moves[-1].alarm, AlarmEvent.CLEAR, delta, cause=alarm.cause, at=at))
        return moves

    def remove(self, rule: str, point: int, key: str, at: int, delta: Delta) -> Move | None:
        """Take a rule or point out of the configuration: ends an acknowledged alarm, an unacknowledged one stays."""
        place = key_of(rule, point, key)
        alarm = self.alarms.get(place)
        if alarm is None or alarm.cause is Cause.CONFIGURATION:
            return None
        # What suppresses it belonged to the rule as well; without lifting it the row could never leave.
        gone = replace(
            alarm,
            condition=False,
            suppression=Suppression.NONE,
            cause=Cause.CONFIGURATION,
            returned_at=alarm.returned_at or at,
        )
        return self._move(place, gone, AlarmEvent.REMOVE, delta, cause=Cause.CONFIGURATION, at=at)

    def act(self, act: OperatorAct, delta: Delta) -> Outcome:
        """Do what a person asks, alarm by alarm; what cannot be done is refused with its reason and changes nothing."""
        if act.verb in (Verb.WALKTEST, Verb.END_WALKTEST):
            return self._walk(act, delta)
        moves: list[Move] = []
        refusals: list[Refusal] = []
        missing: list[int] = []
        wanted: Iterable[int] = dict.fromkeys(act.alarms)
        if act.verb is Verb.ACK and not act.alarms:
            wanted = [alarm.id for alarm in self.open_alarms() if alarm.state.unacknowledged]
        for number in wanted:
            alarm = self.by_id(number)
            if alarm is None:
                missing.append(number)
            elif (refusal := refuse(alarm, act)) is not None:
                refusals.append(refusal)
            else:
                moves.append(self._act(alarm, act, delta))
        if missing:
            refusals += unknown(missing, self.open_alarms())
        return Outcome(tuple(moves), tuple(refusals))

    def due(self) -> int:
        """Return when the next shelf or a walk test ends, NEVER if none."""
        return min(self.walktests.due(), min(self.shelf.rows.values(), default=NEVER))

    def fire(self, until: int, delta: Delta) -> list[Move]:
        """End every shelf due at or before `until`, stamped with its own end, in order of ends; then a walk test."""
        ended = sorted((end, key) for key, end in self.shelf.rows.items() if end <= until)
        moves = [
            self._move(key, self.alarms[key], AlarmEvent.UNSHELVE, delta, cause=Cause.SHELF_ENDED, at=end)
            for end, key in ended
        ]
        if (due := self.walktests.due()) <= until:
            self.walktests.finish(WalkEnd.TIME_OUT, due, delta)
            moves += self._conclude(due, delta)
        return moves

    def rebase(self, shift: int | None, at: int, delta: Delta) -> list[Move]:
        """Bring every time to this boot's axis; where time spent down is unknown (None) shelves and tests end.

        An unknown past moment becomes `at`: never later than it was found, never taken for a deadline.
        """
        moves: list[Move] = []
        for key, alarm in list(self.alarms.rows.items()) if shift != 0 else ():
            times = {name: shifted(getattr(alarm, name), shift, at) for name in _TIMES}
            self.write(key, replace(alarm, **times), delta)
            if shift is None and alarm.suppression is Suppression.SHELVED:
                row = self.alarms[key]
                moves.append(self._move(key, row, AlarmEvent.UNSHELVE, delta, cause=Cause.SHELF_ENDED, at=at))
        if shift != 0:
            self.walktests.rebase(shift, at, delta)
        # Also what was salvaged without its test calls people now.
        return moves + (self._conclude(at, delta) if self.walktests.running is None else [])

    def _walk(self, act: OperatorAct, delta: Delta) -> Outcome:
        if act.verb is Verb.WALKTEST:
            refusal = self.walktests.begin(act, delta)
            return Outcome((), (refusal,) if refusal else ())
        refusal = self.walktests.finish(WalkEnd.ACT, act.at, delta, act.who)
        return Outcome((), (refusal,)) if refusal else Outcome(tuple(self._conclude(act.at, delta)), ())

    def _conclude(self, at: int, delta: Delta) -> list[Move]:
        """After a walk test: what is still true calls people now, what has returned is closed in the tester's name."""
        test = self.walktests.latest
        who = test.who if test is not None else ""
        moves: list[Move] = []

        def go(event: AlarmEvent, alarm: Alarm) -> Alarm:
            key = key_of(alarm.rule, alarm.point, alarm.key)
            moves.append(self._move(key, alarm, event, delta, cause=Cause.WALKTEST, at=at, who=who))
            return moves[-1].alarm

        for alarm in [alarm for alarm in self.open_alarms() if alarm.test]:
            if alarm.suppression is not Suppression.BY_DESIGN:  # a person has decided meanwhile: only the mark goes
                self.write(key_of(alarm.rule, alarm.point, alarm.key), untested(alarm), delta)
                continue
            last = alarm
            for event in closing(alarm):
                answered = {"acknowledged_by": who, "acknowledged_at": at} if event is AlarmEvent.ACK else {}
                last = go(event, replace(last, **answered))
            go(AlarmEvent.UNSUPPRESS, untested(last))
        return moves

    def _new(self, change: Change, facts: AlarmFacts, delta: Delta) -> Alarm:
        number = self._number(delta)
        return Alarm(
            id=number,
            rule=change.rule,
            point=change.point,
            key=change.key,
            state=AlarmState.NORMAL,
            code=self.codes.take(number, delta),
            **{name: getattr(facts, name) for name in _COPIED},
        )

    def _number(self, delta: Delta) -> int:
        number = (self.counters.get("alarm") or 0) + 1
        self.counters.put(delta, "alarm", number)
        return number

    def _clear(self, key: str, alarm: Alarm, change: Change, evidence: Evidence, delta: Delta) -> Move:
        cleared = replace(alarm, condition=False, returned_at=change.at)
        at, cause, value = change.at, change.cause, change.value
        return self._move(key, cleared, AlarmEvent.CLEAR, delta, cause=cause, at=at, evidence=evidence, value=value)

    def _act(self, alarm: Alarm, act: OperatorAct, delta: Delta) -> Move:
        event, cause = EVENT_OF[act.verb]
        if event is AlarmEvent.ACK:
            alarm = replace(alarm, acknowledged_by=act.who, acknowledged_at=act.at)
        elif event is AlarmEvent.SHELVE:
            alarm = replace(alarm, shelved_by=act.who, shelved_until=act.until)
        key = key_of(alarm.rule, alarm.point, alarm.key)
        return self._move(key, alarm, event, delta, cause=cause, at=act.at, who=act.who, reason=act.reason)

    def _move(
        self,
        key: str,
        alarm: Alarm,
        event: AlarmEvent,
        delta: Delta,
        *,
        cause: Cause,
        at: int,
        who: str = "",
        reason: str = "",
        evidence: Evidence | None = None,
        value: float | None = None,
    ) -> Move:
        """Ask the machine, write the alarm as it is then, and say what happened."""
        before = alarm.state
        standing = move(Standing(alarm.state, alarm.suppression), event, latch=alarm.latch)
        changes: dict[str, Any] = {"state": standing.state, "suppression": standing.suppression}
        if standing.suppression is not Suppression.SHELVED:
            changes |= {"shelved_until": 0, "shelved_by": ""}
        if event in LIFTING:
            changes["lifted"] = cause
        if before is AlarmState.ACKED and standing.state is AlarmState.UNACK:
            changes |= {"acknowledged_by": "", "acknowledged_at": 0}
        alarm = replace(alarm, **changes)
        self.write(key, alarm, delta)
        transition = Transition(
            alarm=alarm.id,
            rule=alarm.rule,
            point=alarm.point,
            key=alarm.key,
            event=event,
            before=before,
            after=alarm.state,
            suppression=alarm.suppression,
            cause=cause,
            at=at,
            who=who,
            value=alarm.value if value is None else value,
            reason=reason,
            evidence=evidence or Evidence(),
        )
        return Move(transition, alarm)
