"""What an act did, in words for the person who did it: the other half of `refusal`.

Flow: control → here → whoever asked (command line, later the web). Pure; says what is so after the act, not what was
wished (house rule 7).
"""

from __future__ import annotations

from typing import Final

from gateway.model.alarm import AlarmState, Suppression, Verb

_VERBS: Final = {
    Verb.ACK: ("已由 {who} 确认", "acknowledged by {who}"),
    Verb.RESET: ("已由 {who} 复位", "reset by {who}"),
    Verb.SHELVE: ("已由 {who} 搁置到 {until}", "shelved by {who} until {until}"),
    Verb.UNSHELVE: ("{who} 已取消搁置", "its shelf was ended by {who}"),
    Verb.DISABLE: ("已由 {who} 停用", "taken out of service by {who}"),
    Verb.ENABLE: ("已由 {who} 重新投用", "put back into service by {who}"),
}
_STATES: Final = {
    AlarmState.UNACK: ("报警条件仍存在，尚未确认", "still in alarm, not acknowledged"),
    AlarmState.ACKED: ("报警条件仍存在", "still in alarm"),
    AlarmState.RTN_UNACK: ("已恢复正常，尚未确认", "returned to normal, not acknowledged"),
    AlarmState.LATCHED_UNACK: ("已恢复正常，尚未确认", "returned to normal, not acknowledged"),
    AlarmState.LATCHED_ACKED: ("已恢复正常，锁定中，待复位", "returned to normal, latched: reset it to end it"),
}


def done(
    verb: Verb, state: AlarmState, suppression: Suppression, *, who: str, until: str, told: int, chinese: bool
) -> str:
    """Return what is now so of one alarm. `until`: end of a shelf as people read it; `told`: how many hear of it."""
    column = 0 if chinese else 1
    said = _VERBS[verb][column].format(who=who, until=until)
    if state is not AlarmState.NORMAL:
        now = _STATES[state][column]
    elif suppression is Suppression.NONE:
        now = ("报警结束", "it has ended")[column]
    else:
        now = ("已恢复正常", "returned to normal")[column]
    parts = [said, now]
    if told:
        people = "1 person is" if told == 1 else f"{told} people are"
        parts.append(f"通知 {told} 人" if chinese else f"{people} told")
    return ("；" if chinese else "; ").join(parts)
