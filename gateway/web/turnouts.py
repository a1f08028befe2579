"""Who was told of each alarm, by which way and how far that got; who has answered; what is next and when.

Beside `gateway.web.views`, from the state in RAM to plain values for the templates. Only persons entitled to them see
whole phone numbers (mission S8).
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.alarm import Alarm
from gateway.model.notification import DeliveryState, Notification, NotifyReason
from gateway.web import words
from gateway.web.facts import Facts
from gateway.web.views import Values, Views, precedence

SHOWN = 12  # alarms
_ASKING = (NotifyReason.RAISED, NotifyReason.ESCALATED, NotifyReason.REPEATED, NotifyReason.SOUND)


def masked(number: str) -> str:
    """Return a phone number of which only the last four digits can be read."""
    return "•" * max(0, len(number) - 4) + number[-4:]


class TurnOuts:
    """The turn-outs of one station in the language of its views; `entitled` persons see whole numbers."""

    def __init__(self, facts: Facts, views: Views, *, entitled: bool) -> None:
        self._facts = facts
        self._views = views
        self._entitled = entitled

    def all(self, alarms: Iterable[Alarm] | None = None) -> list[Values]:
        """Return who was told of each alarm, who answered, and what is next; the most important first."""
        book = self._facts.state.book.alarms.rows.values()
        chosen = sorted(book if alarms is None else alarms, key=precedence)[:SHOWN]
        wanted = {alarm.id for alarm in chosen}
        notices: dict[int, list[Notification]] = {}
        for notice in self._facts.state.escalation.notices.rows:
            if notice.alarm in wanted and notice.state is not DeliveryState.SUPERSEDED:
                notices.setdefault(notice.alarm, []).append(notice)
        return [self._turnout(alarm, notices.get(alarm.id, [])) for alarm in chosen]

    def _turnout(self, alarm: Alarm, notices: list[Notification]) -> Values:
        ways: dict[tuple[str, str], Values] = {}
        for notice in sorted(notices, key=lambda notice: notice.id):
            if notice.reason in _ASKING:
                way = ways.setdefault((notice.contact, notice.channel), {"times": 0})
                way.update(self._way(notice))
                way["times"] += 1
        answered = "" if alarm.state.unacknowledged else self._facts.person(alarm.acknowledged_by)
        return {
            "alarm": self._views.alarm(alarm),
            "told": list(ways.values()),
            "answered": answered,
            "answered_at": self._facts.moment(alarm.acknowledged_at) if answered else "",
            "next": self._next(alarm),
        }

    def _way(self, notice: Notification) -> Values:
        good = notice.state in (DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ)
        bad = notice.state in (DeliveryState.FAILED_FOR_GOOD, DeliveryState.FAILED_FOR_NOW)
        at = notice.sent_at or notice.sending_at or notice.planned_at
        return {
            "name": self._facts.person(notice.contact) or self._views.text["place_channel"],
            "number": self._number(notice.address),
            "channel": notice.channel,
            "state": words.DELIVERIES[self._views.language][notice.state],
            "tone": "good" if good else "bad" if bad else "open",
            "at": self._facts.moment(at),
            "since": self._views.ms(at),
            "failure": notice.failure,
            "recorded": notice.recorded,
        }

    def _number(self, address: str) -> str:
        return address if self._entitled else masked(address)

    def _next(self, alarm: Alarm) -> Values | None:
        escalation = self._facts.state.escalation
        chain = escalation.chains.get(str(alarm.id))
        if chain is None:
            return None
        steps = escalation.planner.policy(alarm).steps
        step = steps[min(chain.step, len(steps) - 1)]
        methods = [*escalation.planner.methods(step, alarm.cell), *escalation.planner.places_of(step)]
        people = dict.fromkeys(self._facts.person(way.contact) for way in methods if way.contact)
        return {
            "due": self._views.ms(chain.due),
            "at": self._facts.moment(chain.due),
            "people": list(people),
            "channels": list(dict.fromkeys(way.channel for way in methods)),
        }
