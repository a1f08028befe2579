"""Follow-ups: everybody who was told of an alarm hears once how it went (house section 6, issue "exactly one").

Flow: chains call here when a chain ends. A person told by several channels gets one message, by the first that is not
known to be down; the one who answered by message gets a confirmation in its place.
"""

from __future__ import annotations

from gateway.escalation.notices import Notices
from gateway.escalation.plan import Planner
from gateway.escalation.rows import Told, Turn
from gateway.escalation.wording import Wording
from gateway.model.alarm import Alarm, Transition
from gateway.model.notification import Notification, NotifyReason


class Followers:
    """Plans follow-ups and confirmations."""

    def __init__(self, planner: Planner, notices: Notices, wording: Wording) -> None:
        self._planner = planner
        self._notices = notices
        self._wording = wording

    def tell(self, alarm: Alarm, reason: NotifyReason, transition: Transition | None, turn: Turn) -> None:
        """Plan one follow-up per person and per place told; `transition` says who answered and in which words."""
        who = transition.who if transition is not None else ""
        note = transition.reason if transition is not None else ""
        answered = self._answer(alarm, who)
        chosen: dict[tuple[str, str], Told] = {}
        for told in self._notices.told.of(alarm.id):
            if told.followed or not told.reached:
                continue
            self._notices.told.follow(told, turn.delta)
            key = (told.contact, "" if told.contact else told.channel)
            if key not in chosen or (self._down(chosen[key]) and not self._down(told)):
                chosen[key] = told
        for told in chosen.values():
            if answered is None or answered.contact != told.contact:
                self._plan(alarm, told, reason, turn, who=who, note=note)
        self.confirm(alarm, who, turn)

    def confirm(self, alarm: Alarm, who: str, turn: Turn) -> None:
        """Confirm to the person whose reply this was, by the channel of the reply."""
        answered = self._answer(alarm, who)
        if answered is not None:
            self._plan(alarm, answered, NotifyReason.CONFIRMED, turn)
        self._notices.answers.drop(turn.delta, str(alarm.id))

    def _answer(self, alarm: Alarm, who: str) -> Told | None:
        """Return where the reply came from if this acknowledgement is one."""
        answered = self._notices.answers.get(str(alarm.id))
        return answered if answered is not None and answered.contact == who else None

    def _down(self, told: Told) -> bool:
        return told.channel in self._notices.down

    def _plan(
        self, alarm: Alarm, told: Told, reason: NotifyReason, turn: Turn, *, who: str = "", note: str = ""
    ) -> None:
        language = self._planner.language_of(told.contact)
        notice = Notification(
            id=0,
            alarm=alarm.id,
            alarm_class=alarm.alarm_class,
            contact=told.contact,
            channel=told.channel,
            address=told.address,
            reason=reason,
            text=self._wording.text(
                alarm, reason, language, who=self._planner.name_of(who, language), note=note, at=turn.at
            ),
            planned_at=turn.at,
        )
        self._notices.plan(notice, turn)
