"""Wording: the text of every notice, Chinese and English, made so that the first part says class, place and code.

A part of a concatenated UCS2 message holds 67 characters (3GPP TS 23.040, 9.2.3.24.1): marks, class word, code and
place come first and are cut to fit. Pure: the wall time of a moment is a function passed in, "" while the clock is
not trusted (house section 10: 时间未校准).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.escalation.phrases import spoken
from gateway.escalation.rows import SECOND, WallText
from gateway.escalation.targets import Grid
from gateway.model.alarm import Alarm
from gateway.model.notification import NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.station import Station
from gateway.model.verdict import Cause

FIRST_PART: Final = 67
_FOR_MARKS: Final = {"zh": len("【演练】【未存档】【重发】"), "en": len("DRILL UNSAVED AGAIN ")}
_SHORT_PLACE: Final = 12
_LISTED: Final = 8  # alarms in an answer that lists the open codes

CLASS_WORDS: Final = {
    "zh": dict(zip(AlarmClass, ("火警", "燃气", "水位", "监管", "故障", "维护"), strict=True)),
    "en": {kind: kind.name for kind in AlarmClass},
}
_MARKS: Final = {
    "zh": {"repeat": "【重发】", "unrecorded": "【未存档】"},
    "en": {"repeat": "AGAIN ", "unrecorded": "UNSAVED "},
}
_UNITS: Final = {"Cel": "℃", "m3": "m³"}


def marked(text: str, mark: str, language: str) -> str:
    """Put a mark before a text, once: `repeat` (重发) or `unrecorded` (未存档)."""
    sign = _MARKS["zh" if language == "zh" else "en"][mark]
    return text if sign in text else sign + text


class Wording:
    """Texts of one configuration."""

    def __init__(self, station: Station, grid: Grid, wall: WallText) -> None:
        self._station = station.name
        self._devices = {device.id: device.name or device.id for device in station.devices}
        self._grid = grid
        self._wall = wall

    def place(self, alarm: Alarm, room: int) -> str:
        """Return path of cells, device and key in at most `room` characters; too long a path loses its upper end."""
        names = [self._grid.name(cell) for cell in reversed(self._grid.ancestors(alarm.cell))] if alarm.cell else []
        path = "·".join(names)
        rest = " ".join(filter(None, (self._devices.get(alarm.device, alarm.device), alarm.key)))
        whole = f"{path} {rest}".strip()
        return whole if len(whole) <= room else "…" + whole[1 - room :]

    def text(
        self, alarm: Alarm, reason: NotifyReason, language: str, *, who: str = "", note: str = "", at: int = 0
    ) -> str:
        """Return what a notice says. `who` acted, `note` are that person's words, `at` when (ns, station axis)."""
        chinese = language == "zh"
        word = CLASS_WORDS["zh" if chinese else "en"][alarm.alarm_class]
        head = f"【{word}】码{alarm.code} " if chinese else f"[{word}] code {alarm.code} "
        head += self.place(alarm, FIRST_PART - len(head) - _FOR_MARKS["zh" if chinese else "en"])
        if alarm.test:
            head = ("【测试】" if chinese else "TEST ") + head
        if reason in _FOLLOW:
            zh, en = _FOLLOW[reason]
            until = self._until(alarm, at, chinese=chinese) if reason is NotifyReason.SHELVED else ""
            end = (zh if chinese else en).format(who=who or ("值班人员" if chinese else "the station"), until=until)
            if reason in (NotifyReason.SHELVED, NotifyReason.OUT_OF_SERVICE):
                said = f"，原因：{note}" if chinese else f", reason: {note}"
            else:
                said = f"（{note}）" if chinese else f" ({note})"
            return head + ("：" if chinese else ": ") + end + (said if note else "")
        return head + (self._asking_zh(alarm, reason) if chinese else self._asking_en(alarm, reason))

    def _until(self, alarm: Alarm, at: int, *, chinese: bool) -> str:
        """Return how long a shelf lasts: its end, or its length while nobody knows what time it is."""
        end = self._wall(alarm.shelved_until)
        minutes = -(-(alarm.shelved_until - at) // (60 * SECOND))
        if chinese:
            return f"到 {end}" if end else f" {minutes} 分钟"
        return f"until {end}" if end else f"for {minutes} min"

    def codes(self, alarms: Sequence[Alarm], language: str) -> str:
        """Return the answer to a reply that named no or a wrong code."""
        chinese = language == "zh"
        words = CLASS_WORDS["zh" if chinese else "en"]
        listed = [f"{a.code} {words[a.alarm_class]} {self.place(a, _SHORT_PLACE)}" for a in alarms[:_LISTED]]
        more = len(alarms) - len(listed)
        if chinese:
            return "未确认任何报警。请回复编号：" + "；".join(listed) + (f"；另有{more}条" if more else "")
        return "Nothing acknowledged. Reply with a code: " + "; ".join(listed) + (f"; {more} more" if more else "")

    def _asking_zh(self, alarm: Alarm, reason: NotifyReason) -> str:
        parts = [spoken(alarm.text, chinese=True), _value(alarm), self._wall(alarm.raised) or "时间未校准"]
        if alarm.cause in CAUSES:
            parts.insert(0, CAUSES[alarm.cause][0])
        if alarm.from_before_start:
            parts.append("启动前状态")
        if alarm.cause is Cause.CONFIGURATION:
            parts.append("已从配置中移除")
        elif not alarm.condition:
            parts.append(f"已恢复正常{self._wall(alarm.returned_at)}")
        if alarm.lifted is not None:
            parts.append(_LIFTED[alarm.lifted][0])
        if reason in (NotifyReason.ESCALATED, NotifyReason.REPEATED):
            parts.append("尚无人确认")
        return "，" + "，".join(filter(None, parts)) + f"。{self._station}。回复{alarm.code}确认"

    def _asking_en(self, alarm: Alarm, reason: NotifyReason) -> str:
        parts = [spoken(alarm.text, chinese=False), _value(alarm), self._wall(alarm.raised) or "clock not set"]
        if alarm.cause in CAUSES:
            parts.insert(0, CAUSES[alarm.cause][1])
        if alarm.from_before_start:
            parts.append("state from before start")
        if alarm.cause is Cause.CONFIGURATION:
            parts.append("removed from the configuration")
        elif not alarm.condition:
            parts.append(f"returned to normal {self._wall(alarm.returned_at)}".strip())
        if alarm.lifted is not None:
            parts.append(_LIFTED[alarm.lifted][1])
        if reason in (NotifyReason.ESCALATED, NotifyReason.REPEATED):
            parts.append("nobody has answered")
        return ", " + ", ".join(filter(None, parts)) + f". {self._station}. Reply {alarm.code} to acknowledge"


_FOLLOW: Final = {
    NotifyReason.TAKEN_OVER: ("{who} 已接管", "taken over by {who}"),
    NotifyReason.SHELVED: ("已由 {who} 搁置{until}", "shelved by {who} {until}"),
    NotifyReason.OUT_OF_SERVICE: ("已由 {who} 停用", "taken out of service by {who}"),
    NotifyReason.ALL_CLEAR: ("已恢复正常，无需处置", "all clear"),
    NotifyReason.FALSE_ALARM: ("误报，{who} 已核实", "false alarm, checked by {who}"),
    NotifyReason.CONFIRMED: ("已确认，由您接管", "acknowledged, it is yours"),
    NotifyReason.SOUND: ("声光报警", "sound"),
    NotifyReason.SILENCE: ("消音", "silence"),
}

CAUSES: Final = {  # why it was raised, where what the device says or the rule's title does not tell
    Cause.SILENCE: ("设备失联", "not heard from"),
    Cause.UNMEASURED: ("测不到数值", "gives no usable value"),
    Cause.LOST_WHILE_PENDING: ("延时期间失联", "lost while its delay ran"),
    Cause.LATE_READING: ("迟到的数据", "a late reading"),
    Cause.UNREGISTERED: ("未登记的地址", "not registered"),
}

_LIFTED: Final = {
    Cause.SHELF_ENDED: ("搁置已到期", "its shelf has ended"),
    Cause.UNSHELVED: ("搁置已取消", "its shelf was ended"),
    Cause.IN_SERVICE: ("已重新投用", "back in service"),
    Cause.WALKTEST: ("测试已结束，条件仍在", "the test has ended, still in alarm"),
    Cause.BY_DESIGN: ("屏蔽已解除", "no longer suppressed"),
}


def _value(alarm: Alarm) -> str:
    """Return the value with its unit; states have no unit and say their text instead."""
    return f"{alarm.value:g}{_UNITS.get(alarm.unit, alarm.unit)}" if alarm.unit else ""
