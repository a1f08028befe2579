"""Who was told of which open alarm: what follow-ups and replies go by.

Flow: `notices` marks a method here when its first byte may leave; chains read it when somebody answers, replies when
somebody writes back. Rows live until a person has answered the alarm. House section 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from gateway.escalation.rows import ASKING, SUCCESS, Told, Turn, put_or_drop, shifted
from gateway.model.delta import Delta, Table
from gateway.model.notification import DeliveryState, Notification

NO_RECEIPT: Final = "no receipt"
"""Failure of a notice whose channel never said what became of it: it may have arrived."""


def _key(alarm: int, contact: str, channel: str) -> str:
    return f"{alarm}|{contact}|{channel}"


class ToldList:
    """Rows by `alarm|contact|channel`, found by alarm and by contact."""

    def __init__(self) -> None:
        self.rows: Table[Told] = Table("told")
        self._of: Table[tuple[str, ...]] = Table("_told_of")
        self._to: Table[tuple[str, ...]] = Table("_told_to")

    def load(self, rows: Mapping[str, Told]) -> None:
        """Take these rows in place of all."""
        for table in (self.rows, self._of, self._to):
            table.rows.clear()
        scratch = Delta()
        for _, told in sorted(rows.items(), key=lambda item: (item[1].at, item[0])):
            self._put(told, scratch)

    def of(self, alarm: int) -> list[Told]:
        """Return everybody told of an alarm, in order of telling."""
        return [self.rows[key] for key in self._of.get(str(alarm)) or ()]

    def to(self, contact: str, until: int) -> list[Told]:
        """Return what a person had been told of at `until`, in order of telling."""
        rows = [self.rows[key] for key in self._to.get(contact) or ()]
        return [told for told in rows if told.at <= until]

    def follow(self, told: Told, delta: Delta) -> None:
        """Note that the follow-up is planned."""
        self._put(replace(told, followed=True), delta)

    def forget(self, alarm: int, delta: Delta) -> None:
        """Strike off who was told of an alarm that a person has answered."""
        for told in self.of(alarm):
            key = _key(alarm, told.contact, told.channel)
            self.rows.drop(delta, key)
            left = tuple(other for other in self._to.get(told.contact) or () if other != key)
            put_or_drop(self._to, told.contact, left, delta)
        self._of.drop(delta, str(alarm))

    def rebase(self, shift: int | None, turn: Turn) -> None:
        """Bring times to this boot's axis."""
        if shift != 0:
            for told in self.rows:
                self._put(replace(told, at=shifted(told.at, shift, turn.at)), turn.delta)

    def mark(self, old: Notification | None, notice: Notification, delta: Delta) -> None:
        """Keep this true to what became of a message; a lost receipt counts as told."""
        if notice.reason not in ASKING or old is None or old.state is notice.state:
            return
        told = self.rows.get(_key(notice.alarm, notice.contact, notice.channel))
        if notice.state is DeliveryState.SENDING:
            fresh = Told(
                alarm=notice.alarm,
                contact=notice.contact,
                channel=notice.channel,
                address=notice.address,
                at=notice.sending_at,
            )
            self._put(fresh if told is None else replace(told, reached=True, followed=False), delta)
        elif told is None:
            return
        elif notice.state in SUCCESS or (old.state is DeliveryState.SENDING and _uncertain(notice)):
            self._put(replace(told, reached=True, confirmed=True), delta)
        elif old.state is DeliveryState.SENDING and not told.confirmed:
            self._put(replace(told, reached=False), delta)

    def _put(self, told: Told, delta: Delta) -> None:
        key = _key(told.alarm, told.contact, told.channel)
        if key not in self.rows:
            self._of.put(delta, str(told.alarm), (*(self._of.get(str(told.alarm)) or ()), key))
            if told.contact:  # nobody asks what a place was told of, and a console is told of everything
                self._to.put(delta, told.contact, (*(self._to.get(told.contact) or ()), key))
        self.rows.put(delta, key, told)


def _uncertain(notice: Notification) -> bool:
    """Say whether a message that left `sending` may have arrived: cut off by a crash, or the channel cannot say."""
    return notice.state is DeliveryState.PLANNED or notice.uncertain
