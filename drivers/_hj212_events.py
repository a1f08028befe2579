"""Events in HJ 212 packets: alarm events of the edition of 2005, states that mean alarm, and what nobody knows. Pure.

Beside `drivers._hj212_device`; keeps house section 6: an alarm of an unknown device is an alarm "not registered", and
nothing that a device says is dropped silently. The edition of 2017 has no alarm command: there the station's own rules
judge the values (HJ 212-2017 appendix C).
"""

from __future__ import annotations

import math
import re
from typing import Final

from drivers._conversation_repeats import shortened
from drivers._hj212_device import Installed, Told
from drivers._values import number_of
from gateway.model.batch import Event, EventCode
from gateway.model.time import MINUTE, SECOND
from gateway.protocols import hj212_codes
from gateway.protocols.hj212_packet import Data, Packet, groups_of, time_of

ALARM: Final = "2072"
CHINA = 8 * 3600  # s: a stranger's zone
_LONGEST_TEXT, _LONGEST_KEY = 400, 64
_RIGHT = MINUTE  # ns that a device's clock may be off (as `rules.panel` has it)
_MOST_TOLD = 256  # states of one device that are remembered,
_MOST_PACKETS = 64  # and packets that told some
_PASSWORD = re.compile(r"(?<=NewPW=)[^;,]*")
# States: code → value of Info → what it means. One that stands in no table ends nothing.
_STATES = {
    "i12001": {
        **dict.fromkeys(("0", "1", "3", "5", "7", "8", "9", "10"), EventCode.RESTORE),
        **dict.fromkeys(("2", "6"), EventCode.FAULT),
    },
    "i12003": {"0": EventCode.RESTORE, **{str(number): EventCode.SUPERVISORY for number in range(1, 100)}},
}
_PLANT = {**dict.fromkeys("01235", EventCode.RESTORE), "4": EventCode.SUPERVISORY}  # SBn-RS


def alarms(packet: Packet, data: Data, device: Installed | None, point: int, raw: bytes) -> list[Event]:
    """Return the events of an alarm event (2072); every factor of it is one."""
    offset = CHINA if device is None else device.offset
    time = time_of(data.fields.get("AlarmTime") or data.fields.get("DataTime", ""), offset) or 0
    alarm = EventCode.GAS if device is None else EventCode[device.options.alarm_code.upper()]
    ended = set() if device is None else _ended(packet.cp, device.options.alarm_ends)
    prefix = f"{packet.mn}/" if device is None else device.prefix
    found = [
        Event(
            point,
            _printable(prefix + factor.code)[:_LONGEST_KEY],
            EventCode.RESTORE if factor.code in ended else alarm,
            _printable(f"{_named(factor.code)} {factor.values.get('Ala', '')}".strip())[:_LONGEST_TEXT],
            time,
            raw,
            registered=device is not None,
        )
        for factor in data.factors
    ]
    if found:
        return found
    code = EventCode.RESTORE if "" in ended else alarm
    text = _printable(packet.cp or " ".join(hj212_codes.COMMANDS[ALARM]))[:_LONGEST_TEXT]
    return [Event(point, _printable(prefix or "-")[:_LONGEST_KEY], code, text, time, raw, device is not None)]


def _ended(cp: str, ends: str) -> set[str]:
    """Return the factors whose alarm ends; "" among them when nothing but that is said.

    AlarmType stands in the comma group of its factor; a single one that stands alone is for all.
    """
    if not ends:
        return set()
    groups = groups_of(cp)
    kinds = {group.fields["AlarmType"] for group in groups if "AlarmType" in group.fields}
    common = next(iter(kinds)) if len(kinds) == 1 else ""
    said = [(one.code, group.fields.get("AlarmType", common)) for group in groups for one in group.factors]
    said += [("", common)]
    return {code for code, kind in said if kind == ends} - {code for code, kind in said if kind != ends}


def tells_states(cp: str) -> bool:
    """Whether `states` may find something: most packets tell values alone."""
    return "-RS=" in cp or "-Info=" in cp


def told_before(device: Installed, digest: bytes, now: int, within: float) -> bool:
    """Note a packet that tells states; return whether it is a repeat, of which nothing is stored. `within`: s."""
    short = shortened(digest)
    if not digest or device.stated.get(short, -1) >= now:
        return bool(digest)
    device.stated.pop(short, None)
    device.stated[short] = now + round(within * SECOND)
    if len(device.stated) > _MOST_PACKETS:
        del device.stated[next(iter(device.stated))]
    return False


def states(cp: str, device: Installed, time: int, raw: bytes, wall: int) -> list[Event]:
    """Return what plant and instruments say of themselves, unless a point of the profile watches it.

    It is told when it is new: at first (an alarm of before a start may still stand), and when it changes. What is older
    than what was told before is told as well, and once more when it is said with a time of now: late never clears.
    `wall`: ns since 1970, 0 while that is not to be trusted.
    """
    found = []
    instrument = ""
    for group in groups_of(cp):
        instrument = group.fields.get("PolId", instrument)
        for factor in group.factors:
            plant = factor.code[:2] == "SB" and factor.code[2:].isdigit()
            meanings = _PLANT if plant else _STATES.get(factor.code)
            kind = "RS" if plant else "Info"
            value = factor.values.get(kind)
            if not meanings or value is None:
                continue
            if any(one.kind == kind for one in device.by_code.get(factor.code, ())):
                continue
            key = f"{factor.code}/{instrument}" if instrument and not plant else factor.code
            word = _word(value)
            if _is_new(device, key, word, time, wall):
                what = "设施状态 plant state " if plant else f"{instrument} ".lstrip()
                text = _printable(f"{what}{_named(factor.code)} {kind}={value}")[:_LONGEST_TEXT]
                code = meanings.get(word, EventCode.INFO)
                key = _printable(device.prefix + key)[:_LONGEST_KEY]
                found.append(Event(device.events, key, code, text, time, raw))
    return found


def _is_new(device: Installed, key: str, word: str, time: int, wall: int) -> bool:
    """Note what a state is; return whether it has to be told.

    Only a time about now says what is older: others may be of a wrong clock. What was known before a start is not known
    here, so at first all that is older than now may be late.
    """
    before = device.told.pop(key, Told())
    newest = before.newest if before.newest <= wall + _RIGHT else 0  # else it was our clock that was wrong
    late = 0 < time < (newest or wall - _RIGHT)
    if abs(wall - time) <= _RIGHT:
        newest = max(time, newest)
    device.told[key] = Told(word, newest, late and (before.late or before.word != word))
    if len(device.told) > _MOST_TOLD:
        del device.told[next(iter(device.told))]
    return before.word != word or (before.late and not late)


def _word(value: str) -> str:
    """Return a value as the tables have it: `04` is 4."""
    number = number_of(value)
    return f"{number:g}" if math.isfinite(number) else value[:_LONGEST_KEY]


def unread(packet: Packet, device: Installed, time: int, raw: bytes) -> Event:
    """Return a packet that is nothing we know, as it was sent; a password, as in an echo of ours, is not told."""
    name = " ".join(hj212_codes.COMMANDS.get(packet.cn, ()))
    text = _printable(f"CN={packet.cn} {name} {_PASSWORD.sub('***', packet.cp)}")[:_LONGEST_TEXT]
    return Event(device.events, device.prefix + f"CN{packet.cn}"[:_LONGEST_KEY], EventCode.INFO, text, time, raw)


def _printable(text: str) -> str:
    """Return a text as it may go into messages: what devices write may hold control characters."""
    return text if text.isprintable() else "".join(mark if mark.isprintable() else " " for mark in text)


def _named(code: str) -> str:
    known = hj212_codes.factor(code)
    return code if known is None else f"{code} {known.title} {known.title_en}"
