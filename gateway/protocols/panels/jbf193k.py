"""青鸟 JBF-193K card of JBF-11S(F) panels: 26 printable bytes a frame, polled or listened to. RS-232/485, 9600 8N1.

From the maker's protocol v1.8 and v2.3: 82, twelve values as two half-bytes of 30 to 3F, 83. Values: event, panel,
loop, point, type, year, month, day, hour, minute, second, sum. The text sums values 1 to 11, the maker's own example
1 to 5: either is taken, so date and time may be unprotected. v1.8 and v2.3 exchange isolate and release (97, 98):
both are taken for isolated until `codes` says which is which.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, Meaning, PanelEvent, Reading, Refusal, Settings, event_of

LONGEST: Final = 26
HEAD, TAIL = 0x82, 0x83
POLL: Final = bytes((HEAD, *[0x30] * 24, TAIL))
SETTINGS: Final = Settings(title="青鸟 JBF-193K", baudrate=9600, poll=POLL, period=1.0)
BEGIN: Final = re.compile(rb"\x82(?=[\x30-\x3f]|\Z)")

HEARTBEAT, NORMAL, RESET, FIRE, FAULT, FAULT_CLEARED = 0x00, 0x09, 0x01, 0x80, 0x81, 0x82
MAINS, BACKUP = 0x71, 0x72
_POWER_FAULT, _POWER_GOOD = 0x80, 0x90
EVENTS: Final[dict[int, Meaning]] = {
    RESET: (EventCode.RESET, "复位", None),
    0x0B: (EventCode.INFO, "消音", None),
    FIRE: (EventCode.FIRE, "火警", None),
    0x0A: (EventCode.FIRE, "火警", None),
    FAULT: (EventCode.FAULT, "故障", None),
    FAULT_CLEARED: (EventCode.RESTORE, "故障恢复", EventCode.FAULT),
    0x83: (EventCode.FEEDBACK, "自动启动", None),
    0x84: (EventCode.INFO, "自动停止", None),
    0x90: (EventCode.FEEDBACK, "手动启动", None),
    0x91: (EventCode.INFO, "手动停止", None),
    0x85: (EventCode.FEEDBACK, "反馈", None),
    0x86: (EventCode.INFO, "反馈撤消", None),
    0x87: (EventCode.FAULT, "回路故障", None),
    0x88: (EventCode.RESTORE, "回路故障恢复", EventCode.FAULT),
    0x8B: (EventCode.TEST, "模拟火警", None),
    0x8C: (EventCode.SUPERVISORY, "监管", None),
    0x8D: (EventCode.RESTORE, "监管恢复", EventCode.SUPERVISORY),
    0x97: (EventCode.DISABLED, "屏蔽或释放", None),
    0x98: (EventCode.DISABLED, "屏蔽或释放", None),
    0xFA: (EventCode.SUPERVISORY, "气体灭火", None),
    0xEF: (EventCode.FAULT, "控制器故障", None),
    0xFB: (EventCode.SUPERVISORY, "防火门", None),
    0xFC: (EventCode.SUPERVISORY, "电气火灾", None),
}
_PARTS = {0x70: ("board", "板卡"), MAINS: ("mains", "主电"), BACKUP: ("backup", "备电")}
_HALVES = re.compile(rb"\x82[\x30-\x3f]{24}\x83")
_HALVES_BEGUN = re.compile(rb"\x82[\x30-\x3f]{0,24}")


def read(data: bytes, at: int) -> Reading:
    """Judge what begins at an 82."""
    if not _HALVES.match(data, at):
        begun = _HALVES_BEGUN.fullmatch(data, at)
        return Refusal.LENGTH if begun is None else None
    frame = data[at : at + LONGEST]
    values = bytes((high & 0xF) << 4 | low & 0xF for high, low in zip(frame[1:25:2], frame[2:25:2], strict=True))
    if values[11] not in (sum(values[:11]) & 0xFF, sum(values[:5]) & 0xFF):
        return Refusal.CHECKSUM
    if values[0] in (HEARTBEAT, NORMAL):
        return Heard(frame=frame)
    event, unknown = _event(values)
    return Heard(frame=frame, events=(event,), panel=values[1], unknown=unknown)


def encode(
    event: int, key: str = "1/1/1", kind: int = 0, date: tuple[int, ...] = (0,) * 6, *, short: bool = False
) -> bytes:
    """Return a frame. `key`: panel/loop/point; `date`: year of the century to second; `short`: sum of values 1 to 5."""
    values = bytes((event, *map(int, key.split("/")), kind, *date))
    values += bytes((sum(values[:5] if short else values) & 0xFF,))
    halves = b"".join(bytes((0x30 | value >> 4, 0x30 | value & 0xF)) for value in values)
    return bytes((HEAD,)) + halves + bytes((TAIL,))


def _event(values: bytes) -> tuple[PanelEvent, bool]:
    number, panel, loop, point, kind = values[:5]
    date = (2000 + values[5], *values[6:11]) if values[6] else ()
    if number in _PARTS:
        name, word = _PARTS[number]
        meanings: dict[int, Meaning] = {
            _POWER_FAULT: (EventCode.FAULT, f"{word}故障", None),
            _POWER_GOOD: (EventCode.RESTORE, f"{word}恢复", EventCode.FAULT),
        }
        meaning = meanings.get(loop, (EventCode.FAULT, f"{word} {loop:02X}", None))
        return event_of({number: meaning}, number, f"{panel}/{name}", date=date, kind=kind), False
    if 0x51 <= number <= 0x5A:
        table: dict[int, Meaning] = {number: (EventCode.INFO, f"多线盘{number:02X}", None)}
        return event_of(table, number, f"{panel}/{loop}/{point}", date=date, kind=kind), False
    event = event_of(EVENTS, number, f"{panel}/{loop}/{point}", date=date, kind=kind)
    return event, number not in EVENTS
