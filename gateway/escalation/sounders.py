"""Sounders: sirens and buzzers, one for everybody, on as long as any alarm that wants them is unanswered.

Flow: chains say which alarm sounds where and when one stops. "Off" is said only when the last alarm has stopped; an
"off" that waits is given up when another alarm sounds. House section 6; issue "relay: set again after a restart".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from gateway.escalation.agenda import Agenda
from gateway.escalation.notices import Notices
from gateway.escalation.rows import WAITING, FindAlarm, Turn
from gateway.model.alarm import Alarm
from gateway.model.delta import Table
from gateway.model.notification import DeliveryState, Notification, NotifyReason

Compose = Callable[[Alarm, str, NotifyReason, int], Notification]
"""(alarm, channel, reason, at) → a notice to plan."""


class Sounders:
    """Which alarm sounds on which channel (durable table `sounding`: `channel|alarm` → rank)."""

    def __init__(self, channels: Iterable[str], notices: Notices, find: FindAlarm, compose: Compose) -> None:
        self.table: Table[int] = Table("sounding")
        self.silenced: Table[int] = Table("silenced")  # channel → the last notice that said "off"
        self._wanted = {channel: Agenda(f"sounding_{channel}") for channel in channels}
        self._notices = notices
        self._find = find
        self._compose = compose

    def load(self, rows: Mapping[str, int], silenced: Mapping[str, int]) -> None:
        """Take these rows in place of all."""
        self.table.rows = dict(rows)
        self.silenced.rows = dict(silenced)
        for channel, wanted in self._wanted.items():
            split = ((key.rpartition("|"), rank) for key, rank in rows.items())
            wanted.load((number, (rank, int(number))) for (name, _, number), rank in split if name == channel)

    def sounds(self, channel: str, alarm: int) -> bool:
        """Say whether an alarm has a channel sound."""
        return str(alarm) in self._wanted[channel]

    def want(self, channel: str, alarm: Alarm, turn: Turn) -> None:
        """Note that an alarm wants a channel on, and give up an "off" that waits."""
        self._wanted[channel].put(turn.delta, str(alarm.id), (alarm.alarm_class, alarm.id))
        self.table.put(turn.delta, f"{channel}|{alarm.id}", alarm.alarm_class)
        silence = self._notices.get(self.silenced.get(channel) or 0)
        if silence is not None and silence.state in WAITING:
            self._notices.supersede([silence], turn)

    def stop(self, alarm: Alarm, turn: Turn) -> None:
        """Take an alarm off every channel; the last one turns the channel off."""
        for channel, wanted in self._wanted.items():
            if str(alarm.id) not in wanted:
                continue
            wanted.drop(turn.delta, str(alarm.id))
            self.table.drop(turn.delta, f"{channel}|{alarm.id}")
            if wanted.first() is None:
                silence = self._compose(alarm, channel, NotifyReason.SILENCE, turn.at)
                self.silenced.put(turn.delta, channel, self._notices.plan(silence, turn))

    def again(self, channel: str, turn: Turn) -> None:
        """Set a channel once more to what it should be: after a restart, or when its link has come back."""
        if channel not in self._wanted:
            return
        first = self._wanted[channel].first()
        alarm = None if first is None else self._find(int(first[1]))
        if alarm is not None:
            open_now = self._notices.open_of(alarm.id)
            if not any(n.channel == channel and n.reason is NotifyReason.SOUND for n in open_now):
                self._notices.plan(self._compose(alarm, channel, NotifyReason.SOUND, turn.at), turn)
            return
        silence = self._notices.get(self.silenced.get(channel) or 0)
        if silence is not None and silence.state is DeliveryState.FAILED_FOR_GOOD:
            fresh = replace(silence, state=DeliveryState.PLANNED, planned_at=turn.at, attempts=0, failure="", done_at=0)
            self.silenced.put(turn.delta, channel, self._notices.plan(fresh, turn))

    def again_everywhere(self, turn: Turn) -> None:
        """Set every sounder once more to what it should be."""
        for channel in self._wanted:
            self.again(channel, turn)
