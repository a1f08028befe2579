"""Telling: the notices of a policy step, and the sounders when nobody can be reached.

Flow: chains say which step of which alarm is due; what is planned here waits in the queues of `notices`.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.escalation.notices import Notices
from gateway.escalation.plan import Method, Planner
from gateway.escalation.rows import ASKING, WAITING, Chain, FindAlarm, Turn
from gateway.escalation.sounders import Sounders
from gateway.escalation.wording import Wording, marked
from gateway.model.alarm import Alarm, AlarmEvent, Transition
from gateway.model.contact import Step
from gateway.model.notification import DeliveryState, Notification, NotifyReason


class Teller:
    """Plans what asks for an answer: RAISED, ESCALATED, REPEATED, and SOUND for sounders."""

    def __init__(self, planner: Planner, notices: Notices, wording: Wording, find: FindAlarm) -> None:
        self._planner = planner
        self._notices = notices
        self._wording = wording
        self.sounders = Sounders(planner.sounders, notices, find, self._place_notice)

    def step(self, alarm: Alarm, chain: Chain, step: Step, reason: NotifyReason, turn: Turn) -> tuple[int, ...]:
        """Plan the notices of a step; return those that count for "has every method failed".

        Persons count where the step has a channel to persons, else places. A method whose last notice still waits is
        not given a second one: a slow channel must not pile them up.
        """
        asking = (n for n in self._notices.open_of(alarm.id) if n.reason in ASKING and n.state in WAITING)
        waiting = {(n.contact, n.channel): n.id for n in asking}
        persons: list[int] = []
        places: list[int] = []
        for method in (*self._planner.methods(step, alarm.cell), *self._planner.places_of(step)):
            number = waiting.get((method.contact, method.channel))
            if number is None:
                notice = self._notice(alarm, method, reason, turn.at)
                number = self._plan(alarm, replace(notice, step=chain.step, round=chain.round), turn)
            (persons if method.contact else places).append(number)
        return tuple(persons if self._planner.asks_persons(step) else places)

    def give_up(self, alarm: Alarm, turn: Turn) -> None:
        """Supersede what still waits to ask for an answer or to sound."""
        asking = (n for n in self._notices.open_of(alarm.id) if n.reason in ASKING or n.reason is NotifyReason.SOUND)
        self._notices.supersede(asking, turn)

    def hopeless(self, chain: Chain) -> bool:
        """Say whether no method of the step that ran last can reach anybody now: failed for good, or channel down."""
        return all(self._hopeless(number) for number in chain.notices)

    def sound_all(self, alarm: Alarm, turn: Turn) -> None:
        """Have every sounder sound that this alarm does not sound already."""
        for channel in self._planner.sounders:
            if not self.sounders.sounds(channel, alarm.id):
                self._plan(alarm, self._place_notice(alarm, channel, NotifyReason.SOUND, turn.at), turn)

    def try_out(self, alarm: Alarm, transition: Transition, turn: Turn) -> None:
        """Have an alarm of a walk test with sirens sound where its policy would, as long as it is open and true."""
        if transition.event is not AlarmEvent.RAISE:
            self.give_up(alarm, turn)
            self.sounders.stop(alarm, turn)
        elif alarm.test_siren:
            by = {channel for step in self._planner.policy(alarm).steps for channel in step.by}
            for channel in self._planner.sounders:
                if channel in by and not self.sounders.sounds(channel, alarm.id):
                    self._plan(alarm, self._place_notice(alarm, channel, NotifyReason.SOUND, turn.at), turn)

    def once_more(self, notice: Notification) -> Notification:
        """Make the repeat of a notice that may have arrived, as one that a crash cut off may: planned, marked 重发."""
        text = marked(notice.text, "repeat", self._planner.language_of(notice.contact))
        return replace(notice, state=DeliveryState.PLANNED, repeat=True, text=text)

    def unrecorded(self, notice: Notification) -> Notification:
        """Make the form of a notice that leaves before its transition is committed, marked 未存档."""
        text = marked(notice.text, "unrecorded", self._planner.language_of(notice.contact))
        return replace(notice, recorded=False, text=text)

    def _hopeless(self, number: int) -> bool:
        notice = self._notices.get(number)
        if notice is None or notice.state is DeliveryState.FAILED_FOR_GOOD:
            return notice is not None
        return notice.state in WAITING and notice.channel in self._notices.down

    def _notice(self, alarm: Alarm, method: Method, reason: NotifyReason, at: int) -> Notification:
        if method.channel in self._planner.sounders and reason in ASKING:
            reason = NotifyReason.SOUND
        return Notification(
            id=0,
            alarm=alarm.id,
            alarm_class=alarm.alarm_class,
            contact=method.contact,
            channel=method.channel,
            address=method.address,
            reason=reason,
            text=self._wording.text(alarm, reason, method.language),
            planned_at=at,
        )

    def _place_notice(self, alarm: Alarm, channel: str, reason: NotifyReason, at: int) -> Notification:
        return self._notice(alarm, self._planner.place(channel), reason, at)

    def _plan(self, alarm: Alarm, notice: Notification, turn: Turn) -> int:
        if notice.reason is NotifyReason.SOUND:
            self.sounders.want(notice.channel, alarm, turn)
        return self._notices.plan(notice, turn)
