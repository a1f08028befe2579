"""Replies: who wrote, which alarm is meant, and whether it counts as an acknowledgement.

Flow: step → chains → here; an `OperatorAct` goes back to the step, which puts it through the alarm book like any act.
A reply covers exactly the alarms this person had been told of when it was received, and, where wall time is trusted,
when it was written; read a second time it covers none. Nobody unknown is answered, and a
person with no open alarm neither: two machines must not talk to each other for ever.
"""

from __future__ import annotations

from typing import Final

from gateway.escalation.notices import Notices
from gateway.escalation.plan import Planner
from gateway.escalation.reply import parse
from gateway.escalation.rows import SECOND, Answered, FindAlarm, Told, Turn, Verdict
from gateway.escalation.seen import Seen
from gateway.escalation.wording import Wording
from gateway.model.alarm import Alarm, OperatorAct, Verb
from gateway.model.notification import Notification, NotifyReason, Reply

CLOCKS_APART: Final = 120 * SECOND  # between the network's clock and ours


class Inbox:
    """Turns replies into acts or answers."""

    def __init__(self, planner: Planner, notices: Notices, wording: Wording, find: FindAlarm) -> None:
        self._planner = planner
        self._notices = notices
        self._wording = wording
        self._find = find
        self.seen = Seen()

    def take(self, reply: Reply, written: int | None, turn: Turn) -> OperatorAct | None:
        """Judge a reply; a wrong one is answered with the open codes and acknowledges nothing.

        `written`: its time of the network on the station axis, None when that or our own clock is not known.
        """
        contacts = self._planner.grid.by_phone(reply.number)
        told = [(row, alarm) for contact in contacts for row, alarm in self._open_for(contact.id, reply.at)]
        repeated = bool(contacts) and self.seen.repeated(reply, turn.delta)
        until = reply.at if written is None else written + CLOCKS_APART
        chosen = None if repeated else self._chosen(reply.text, [each for each in told if each[0].at <= until])
        verdict = Verdict.ACKNOWLEDGES
        if not contacts:
            verdict = Verdict.UNKNOWN_NUMBER
        elif repeated:
            verdict = Verdict.READ_AGAIN
        elif not told:
            verdict = Verdict.NOTHING_OPEN
        elif chosen is None:
            verdict = Verdict.OPEN_CODES
            self._answer(reply, told, turn)
        answered = Answered(
            channel=reply.channel,
            number=reply.number,
            text=reply.text,
            at=reply.at,
            verdict=verdict,
            contact=chosen[0].contact if chosen else contacts[0].id if contacts else "",
            alarm=chosen[1].id if chosen else 0,
            token=reply.token,
        )
        turn.out.append(("reply", answered))
        if chosen is None:
            return None
        row, alarm = chosen
        self._notices.answers.put(turn.delta, str(alarm.id), self._addressed(row, reply))
        return OperatorAct(
            verb=Verb.ACK, alarms=(alarm.id,), who=row.contact, via=reply.channel, at=reply.at, request=reply.token
        )

    def _open_for(self, contact: str, until: int) -> list[tuple[Told, Alarm]]:
        """Return what a person was told of and nobody has answered yet, each alarm once."""
        found: dict[int, tuple[Told, Alarm]] = {}
        for row in self._notices.told.to(contact, until):
            alarm = self._find(row.alarm)
            if alarm is not None:
                found.setdefault(alarm.id, (row, alarm))
        return list(found.values())

    @staticmethod
    def _chosen(text: str, told: list[tuple[Told, Alarm]]) -> tuple[Told, Alarm] | None:
        parsed = parse(text)
        if parsed.bare and len({alarm.id for _, alarm in told}) == 1:
            return told[0]
        by_code = {alarm.code: (row, alarm) for row, alarm in reversed(told)}
        return next((by_code[code] for code in parsed.codes if code in by_code), None)

    def _answer(self, reply: Reply, told: list[tuple[Told, Alarm]], turn: Turn) -> None:
        """Send the open codes, unless the same answer is still on its way to this person."""
        alarms = sorted({alarm.id: alarm for _, alarm in told}.values(), key=lambda a: (a.alarm_class, a.id))
        to = self._addressed(told[0][0], reply)
        waiting = (notice for alarm in alarms for notice in self._notices.open_of(alarm.id))
        if any(n.reason is NotifyReason.OPEN_CODES and n.contact == to.contact for n in waiting):
            return
        notice = Notification(
            id=0,
            alarm=alarms[0].id,
            alarm_class=alarms[0].alarm_class,
            contact=to.contact,
            channel=to.channel,
            address=to.address,
            reason=NotifyReason.OPEN_CODES,
            text=self._wording.codes(alarms, self._planner.language_of(to.contact)),
            planned_at=reply.at,
        )
        self._notices.plan(notice, turn)

    @staticmethod
    def _addressed(row: Told, reply: Reply) -> Told:
        """Return where to answer: by the channel of the reply, at the address that was told."""
        return Told(alarm=row.alarm, contact=row.contact, channel=reply.channel, address=row.address, at=row.at)
