"""利达 LD128E CRT: the host sends 20 every 200 ms, the panel answers 7F or event, loop, address. RS-232/485, 9600 8N1.

From the maker's CRT protocol. There is no checksum: only events of the table with sane numbers are taken, and noise on
the line may raise a false alarm. Numbers differ between versions; those that only other versions have are told raw, or
as a fault where one of them means it, until `codes` says what they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, Meaning, PanelEvent, Reading, Settings, event_of

IDLE: Final = 0x7F
SETTINGS: Final = Settings(title="利达 LD128E", baudrate=9600, poll=b"\x20", period=0.2, silent=True)
BEGIN: Final = re.compile(  # 30, 50, 51 and power say nothing of a loop; other events have one, and an address
    rb"\x7f|[\x07\x08\x12\x13\x30\x50\x51](?=[\x00-\x7e](?:[\x00-\xfa]|\Z)|\Z)"
    rb"|[\x01-\x06\x09-\x0d\x40-\x45](?=[\x01-\x7e](?:[\x01-\xfa]|\Z)|\Z)"
)
LONGEST: Final = 3
MOST_LOOPS: Final = 0x7E  # the next number is the idle answer
MOST_POINTS: Final = 0xFA

FIRE, FAULT, FAULT_CLEARED, FEEDBACK, MAINS, BACKUP, RESET = 0x01, 0x02, 0x05, 0x09, 0x12, 0x13, 0x50
EVENTS: Final[dict[int, Meaning]] = {
    FIRE: (EventCode.FIRE, "火警", None),
    FAULT: (EventCode.FAULT, "故障", None),
    FAULT_CLEARED: (EventCode.RESTORE, "故障恢复", EventCode.FAULT),
    0x07: (EventCode.FAULT, "主电或重复显示器故障", None),
    0x08: (EventCode.FAULT, "备电故障", None),
    FEEDBACK: (EventCode.FEEDBACK, "反馈", None),
    0x0B: (EventCode.INFO, "反馈撤消", None),
    0x30: (EventCode.INFO, "消音", None),
    0x40: (EventCode.INFO, "联动请求", None),
    0x44: (EventCode.FEEDBACK, "联动启动", None),
    RESET: (EventCode.RESET, "复位", None),
}
_POWER = {MAINS: ("mains", "主电"), BACKUP: ("backup", "备电"), 0x07: ("mains", "主电"), 0x08: ("backup", "备电")}
_WHOLE = (0x30, RESET, 0x51)  # say nothing of a loop
_KNOWN = frozenset((*EVENTS, *_POWER))
_IDLE: Final = Heard(frame=bytes((IDLE,)))


def read(data: bytes, at: int) -> Reading:
    """Judge what begins here."""
    if data[at] == IDLE:
        return _IDLE
    frame = data[at : at + LONGEST]
    return _heard(frame) if len(frame) == LONGEST else None


def encode(event: int, key: str = "0/0") -> bytes:
    """Return an answer to a poll. `key`: loop/address; of mains and backup: state/state, 1 a fault."""
    return bytes((event, *map(int, key.split("/"))))


@lru_cache(maxsize=1024)  # nothing but what the frame says, and a panel tells the same again and again
def _heard(frame: bytes) -> Heard:
    number, loop, point = frame
    return Heard(frame=frame, events=(_event(number, loop, point),), unknown=number not in _KNOWN)


def _event(number: int, loop: int, point: int) -> PanelEvent:
    if number in _POWER and not (number in EVENTS and loop and point):  # 07, 08 with a place are of another version
        name, word = _POWER[number]
        meaning: Meaning = (EventCode.FAULT, f"{word}故障", None)
        if not (loop or point):
            meaning = (EventCode.RESTORE, f"{word}恢复", EventCode.FAULT)
        return event_of({number: meaning}, number, name)
    return event_of(EVENTS, number, "" if number in _WHOLE else f"{loop}/{point}")
