"""Refusals: what an operator may not do now, and why, in words for that person (house rule 7).

Checked before the machine is asked, so that an illegal move in the machine is always a bug of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.model.alarm import Alarm, AlarmState, OperatorAct, Suppression, Verb

_LISTED: Final = 8  # open alarms named to somebody whose number is none


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An act that was not done: the alarm (0 if there is none), the reason in Chinese and English, and its place."""

    alarm: int
    zh: str
    en: str
    place: str = ""


def unknown(numbers: Sequence[int], standing: Sequence[Alarm]) -> list[Refusal]:
    """Refuse ids that name no open alarm: a reply code taken for one is said, else which alarms are open (`standing`).

    The list comes once, with the last: nobody reads it after each of a hundred numbers.
    """
    by_code = {alarm.code: alarm for alarm in standing}
    listed = [f"{alarm.id} ({alarm.code}) {place_of(alarm)}" for alarm in standing[:_LISTED]]
    more = [f"… +{len(standing) - _LISTED}"] if len(standing) > _LISTED else []
    zh = "；未结束的（括号内为回复码）：" + "；".join([*listed, *more]) if listed else "；现在没有未结束的报警"
    en = "; open (reply code in brackets): " + "; ".join([*listed, *more]) if listed else "; no alarm is open now"
    refusals = []
    for place, number in enumerate(numbers, start=1):
        meant = by_code.get(str(number))
        last = place == len(numbers)
        own_zh = f"；{number} 是报警 {meant.id} 的回复码" if meant else zh if last else ""
        own_en = f"; {number} is the reply code of alarm {meant.id}" if meant else en if last else ""
        refusals.append(
            Refusal(alarm=number, zh=f"没有此编号的未结束报警{own_zh}", en=f"no open alarm has this id{own_en}")
        )
    return refusals


def unrecordable(act: OperatorAct) -> list[Refusal]:
    """Refuse an act that cannot be decided or written down, alarm by alarm; one without alarms once (alarm 0)."""
    zh, en = "操作无法执行，已作为故障记录", "the act could not be carried out; it is recorded as a fault"
    return [Refusal(alarm=number, zh=zh, en=en) for number in act.alarms or (0,)]


def place_of(alarm: Alarm) -> str:
    """Return `device.point`, and the key of a panel's address after it."""
    return " ".join(filter(None, (f"{alarm.device}.{alarm.point_name}", alarm.key)))


def refuse(alarm: Alarm, act: OperatorAct) -> Refusal | None:
    """Return why `act` cannot be done to `alarm`, or None when it can."""
    words = _CHECKS[act.verb](alarm, act)
    return None if words is None else Refusal(alarm=alarm.id, zh=words[0], en=words[1], place=place_of(alarm))


_Words = tuple[str, str] | None


def _ack(alarm: Alarm, _act: OperatorAct) -> _Words:
    if alarm.state.unacknowledged:
        return None
    if not alarm.acknowledged_by:
        return "无需确认", "nothing to acknowledge"
    return f"已由 {alarm.acknowledged_by} 确认", f"already acknowledged by {alarm.acknowledged_by}"


_RESET: dict[AlarmState, tuple[str, str]] = {
    AlarmState.NORMAL: ("没有锁定，无需复位", "not latched, nothing to reset"),
    AlarmState.UNACK: ("报警条件仍然存在，且尚未确认", "still in alarm, and not acknowledged"),
    AlarmState.ACKED: ("报警条件仍然存在，不能复位", "still in alarm, cannot be reset"),
    AlarmState.RTN_UNACK: ("没有锁定，确认即结束", "not latched: acknowledging ends it"),
    AlarmState.LATCHED_UNACK: ("请先确认，再复位", "acknowledge it first, then reset"),
}


def _reset(alarm: Alarm, _act: OperatorAct) -> _Words:
    return _RESET.get(alarm.state)


def _shelve(alarm: Alarm, act: OperatorAct) -> _Words:
    if alarm.suppression is Suppression.OUT_OF_SERVICE:
        return "已停用，不能搁置", "out of service, cannot be shelved"
    if not act.reason.strip():
        return "搁置必须说明原因", "shelving needs a reason"
    if act.until <= act.at:
        return "搁置必须有将来的结束时间", "shelving needs an end in the future"
    return None


def _unshelve(alarm: Alarm, _act: OperatorAct) -> _Words:
    return None if alarm.suppression is Suppression.SHELVED else ("没有搁置", "not shelved")


def _disable(alarm: Alarm, act: OperatorAct) -> _Words:
    if alarm.suppression is Suppression.OUT_OF_SERVICE:
        return "已经停用", "already out of service"
    return None if act.reason.strip() else ("停用必须说明原因", "taking out of service needs a reason")


def _enable(alarm: Alarm, _act: OperatorAct) -> _Words:
    return None if alarm.suppression is Suppression.OUT_OF_SERVICE else ("没有停用", "not out of service")


# By verb; walk tests concern no alarm and are refused in `gateway.alarms.walktest`.
_CHECKS = {
    Verb.ACK: _ack,
    Verb.RESET: _reset,
    Verb.SHELVE: _shelve,
    Verb.UNSHELVE: _unshelve,
    Verb.DISABLE: _disable,
    Verb.ENABLE: _enable,
}
