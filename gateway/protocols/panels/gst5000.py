"""海湾 GST5000, the broadcast line: frames that begin with AA, each sent three times; listened to. 2400 8N1.

From captures: `AA event code(3, BCD) type sum 00 xx location(14) sum`, 24 bytes, both sums modulo 256 of all bytes
before; short frames of 7 bytes with the sum at their end. Location: seven characters of two bytes, 00 and an ASCII
character, or row and cell of GB 2312 in BCD.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, Meaning, Reading, Refusal, Settings, bcd, decimal, event_of, total

SETTINGS: Final = Settings(title="海湾 GST5000", baudrate=2400)
BEGIN: Final = re.compile(rb"\xaa(?!\xaa{6})")  # whose sum would not be AA
LONGEST: Final = 24

FIRE, FEEDBACK, FAULT, FAULT_CLEARED, RESTORED, RESET, IDLE = 0x15, 0x22, 0x21, 0x20, 0x11, 0x04, 0x08
EVENTS: Final[dict[int, Meaning]] = {
    FIRE: (EventCode.FIRE, "火警", None),
    FEEDBACK: (EventCode.FEEDBACK, "动作反馈", None),
    FAULT: (EventCode.FAULT, "故障", None),
    FAULT_CLEARED: (EventCode.RESTORE, "故障恢复", EventCode.FAULT),
    RESTORED: (EventCode.RESTORE, "恢复", None),
    0x02: (EventCode.FEEDBACK, "启动", None),
    0x03: (EventCode.INFO, "停动", None),
    0x23: (EventCode.INFO, "延时", None),
    0x24: (EventCode.INFO, "延时结束", None),
    0xDE: (EventCode.DISABLED, "隔离", None),
    0xDF: (EventCode.ENABLED, "释放", None),
    RESET: (EventCode.RESET, "复位", None),
    0x61: (EventCode.INFO, "消音", None),
    0x31: (EventCode.INFO, "控制器", None),
}
# Types of devices whose fire is another thing, by the type's own nature.
MANUAL_CALL_POINT, COMBUSTIBLE_GAS = 11, 69
_NATURES = {MANUAL_CALL_POINT: EventCode.MANUAL, COMBUSTIBLE_GAS: EventCode.GAS}
_SHORT = (0x01, RESET, IDLE)
_SHORT_SIZE = 7
_CELLS = 94  # of a row of GB 2312, and rows
_RESET = b"\x55" * 4


def read(data: bytes, at: int) -> Reading:
    """Judge what begins at an AA."""
    if len(data) < at + _SHORT_SIZE:
        return None
    if sum(data[at : at + 6]) & 0xFF != data[at + 6]:
        return Refusal.CHECKSUM
    if data[at + 1] in _SHORT:
        return _short(data[at : at + _SHORT_SIZE])
    frame = data[at : at + LONGEST]
    if len(frame) < LONGEST:
        return None
    if total(frame[:23]) != frame[23]:
        return Refusal.CHECKSUM
    event = event_of(EVENTS, frame[1], frame[2:5].hex(), text=_location(frame[9:23]), kind=frame[5])
    if event.code is EventCode.FIRE and event.kind in _NATURES:
        event = event_of(
            {FIRE: (_NATURES[event.kind], "火警" if event.kind == MANUAL_CALL_POINT else "燃气报警", None)},
            FIRE,
            event.key,
            text=_location(frame[9:23]),
            kind=event.kind,
            by_type=True,
        )
    return Heard(frame=frame, events=(event,), unknown=frame[1] not in EVENTS)


def encode(event: int, code: str = "000000", kind: int = 0, location: str = "") -> bytes:
    """Return a frame as the panel sends it. `code`: six digits; a reset or idle frame is a short one."""
    if event in _SHORT:
        body = bytes((0xAA, event)) + (_RESET if event == RESET else bytes(4))
        return body + bytes((total(body),))
    head = bytes((0xAA, event)) + bytes.fromhex(code) + bytes((kind,))
    place = b"".join(_character(one) for one in location[:7]).ljust(14, b"\x00")
    body = head + bytes((total(head), 0, 1)) + place
    return body + bytes((total(body),))


def _short(frame: bytes) -> Heard:
    if frame[1] == IDLE:
        return Heard(frame=frame)
    if frame[1] == RESET and frame[2:6] == _RESET:
        return Heard(frame=frame, events=(event_of(EVENTS, RESET, ""),))
    return Heard(frame=frame, events=(event_of({}, frame[1], "", text=frame.hex(" ")),), unknown=True)


def _location(data: bytes) -> str:
    text = ""
    for high, low in zip(data[::2], data[1::2], strict=True):
        if not high:
            text += chr(low) if 0x20 <= low < 0x7F else ""
        elif 1 <= decimal(high) <= _CELLS and 1 <= decimal(low) <= _CELLS:
            text += bytes((0xA0 + decimal(high), 0xA0 + decimal(low))).decode("gb2312", "replace")
    return text.strip()


def _character(one: str) -> bytes:
    if one.isascii():
        return bytes((0, ord(one)))
    row, cell = one.encode("gb2312")
    return bytes((bcd(row - 0xA0), bcd(cell - 0xA0)))
