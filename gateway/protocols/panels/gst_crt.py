"""海湾 GST200/GST500 CRT500 and DH9000: what the panel sends to its graphic display. 2400, ninth bit as address mark.

From notes and captures. `0D DD code(4, BCD, the last is the type) state sum BB` alarm or action, `0E EE …` fault; the
first byte is FD or FE when it is sent again. The sum is that of code and state. The panel speaks when it is polled: the
host sends its address with the ninth bit set (mark), the panel echoes it, the host sends 0F (space), the panel answers
one frame, and the host sends 1F; a frame that is not answered so is told again.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.model.batch import EventCode
from gateway.protocols.panel_words import (
    Heard,
    Meaning,
    PanelEvent,
    Reading,
    Refusal,
    Settings,
    bcd,
    decimal,
    event_of,
    total,
)

SETTINGS: Final = Settings(
    title="海湾 GST200/GST500 CRT", baudrate=2400, parity="S", poll=b"\x0f", taken=b"\x1f", period=0.5
)
BEGIN: Final = re.compile(  # the first two bytes, whole what is always the same, and no run of CB
    rb"[\x0d\xfd](?=\xdd|\Z)|[\x0e\xfe](?=\xee|\Z)|\x09(?=\x99|\Z)|\x0a(?=\xaa(?:\xbb|\Z)|\Z)"
    rb"|\xfa(?=[\xaa\xab](?:\xbb|\Z)|\Z)|\xf0(?=\xf0(?:\xbb|\Z)|\Z)|\xcb(?=\xcb(?!\xcb\xcb\xcb)|\Z)|\xfb(?=\xcb|\Z)"
)
LONGEST: Final = 9
END: Final = 0xBB
NOTHING: Final = b"\xf0\xf0\xbb"  # is new
LAST_DETECTOR: Final = 11  # types above are modules: what they tell in DD is an action, not a fire

# Numbers of our own: what the first byte says, then the state.
FIRE, ACTION, NORMAL, START, STOP = 0xDD01, 0xDDA1, 0xDD00, 0xDD02, 0xDD03
FAULT, ISOLATED, RELEASED = 0xEE00, 0xEE01, 0xEE10
RESET, SILENCE, PANEL, LEAKAGE = 0xAA00, 0xAB00, 0xCB00, 0x0999
EVENTS: Final[dict[int, Meaning]] = {
    FIRE: (EventCode.FIRE, "火警", None),
    ACTION: (EventCode.FEEDBACK, "动作", None),
    NORMAL: (EventCode.RESTORE, "恢复", None),
    START: (EventCode.FEEDBACK, "启动命令", None),
    STOP: (EventCode.INFO, "停动命令", None),
    FAULT: (EventCode.FAULT, "故障", None),
    ISOLATED: (EventCode.DISABLED, "隔离", None),
    RELEASED: (EventCode.ENABLED, "释放", None),
    RESET: (EventCode.RESET, "复位", None),
    SILENCE: (EventCode.INFO, "消音", None),
    PANEL: (EventCode.INFO, "控制器状态", None),
    LEAKAGE: (EventCode.FAULT, "漏电", None),
}
_PAIRS: Final = {0xDD: (0x0D, 0xFD), 0xEE: (0x0E, 0xFE), 0xCB: (0xCB, 0xFB), 0xAA: (0x0A, 0xFA), 0xAB: (0xFA, 0xFA)}
_SIZES: Final = {0xDD: LONGEST, 0xEE: LONGEST, 0xCB: 5, 0xAA: 3, 0xAB: 3, 0xF0: 3, 0x99: 2}  # by the second byte
# Types whose alarm is another thing than a fire, or an action though the rule says so.
_NATURES: Final[dict[int, Meaning]] = {
    11: (EventCode.MANUAL, "手动报警", None),
    69: (EventCode.GAS, "燃气报警", None),
}


def read(data: bytes, at: int) -> Reading:
    """Judge what begins here."""
    if len(data) < at + 2:
        return None
    size = _SIZES[data[at + 1]]
    end = at + size
    if len(data) < end:
        return None
    if size > 2 and data[end - 1] != END:
        return Refusal.LENGTH
    frame = data[at:end]
    if size > 3 and total(frame[2:-2]) != frame[-2]:
        return Refusal.CHECKSUM
    return _heard(frame)


def again(frame: bytes) -> bytes:
    """Return a frame as it is told when it is told again."""
    return bytes((_PAIRS.get(frame[1], frame[:1])[-1],)) + frame[1:]


def encode(event: int, code: str = "000000", kind: int = 0, *, again: bool = False) -> bytes:
    """Return a frame. `event`: one of the numbers above; `code`: six digits; `again`: a repeat."""
    if event == LEAKAGE:
        return b"\x09\x99"
    second = event >> 8
    first = _PAIRS[second][again]
    if second in (0xAA, 0xAB):
        return bytes((first, second, END))
    if second == 0xCB:
        return bytes((first, second, 0, 0, END))
    body = bytes.fromhex(code) + bytes((bcd(kind), 1 if event == ACTION else event & 0xFF))
    return bytes((first, second)) + body + bytes((total(body), END))


@lru_cache(maxsize=1024)  # nothing but what the frame says, and a panel tells the same again and again
def _heard(frame: bytes) -> Heard:
    events = _events(frame)
    unknown = any(event.number not in EVENTS for event in events)
    return Heard(frame=frame, events=events, same=frame[1:], unknown=unknown)


def _events(frame: bytes) -> tuple[PanelEvent, ...]:
    if frame[1] == 0xF0:  # nothing new
        return ()
    if frame[1] == 0x99:
        return (event_of(EVENTS, LEAKAGE, "leakage"),)
    if len(frame) < LONGEST:
        return (event_of(EVENTS, frame[1] << 8, "", text=frame[2:-2].hex()),)
    kind, number, key = decimal(frame[5]), frame[1] << 8 | frame[6], frame[2:5].hex()
    if number == FIRE and kind in _NATURES:
        return (event_of({FIRE: _NATURES[kind]}, FIRE, key, kind=kind, by_type=True),)
    if number == FIRE and kind > LAST_DETECTOR:
        number = ACTION
    text = f"类型{frame[5]:02X}"
    return (event_of(EVENTS, number, key, text=text, kind=max(kind, 0), by_type=number == ACTION),)
