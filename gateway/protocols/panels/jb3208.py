"""松江 JB-3208 CRT: the panel polls and tells, we answer within 500 ms. RS-232, 8N1, 2400 to 19200.

From notes and three sample frames: `FE panel code length(2, low byte first) body CRC(2) FF`, CRC-16/MODBUS over panel
to body. The document says high byte first, the samples have the low byte first: either is taken, and answered alike.
An event's body is a count and 32 bytes per point. Dates are BCD in the samples; a date that is no BCD is binary.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.model.batch import EventCode
from gateway.protocols.modbus_line import crc16
from gateway.protocols.panel_words import (
    Heard,
    Meaning,
    PanelEvent,
    Reading,
    Refusal,
    Settings,
    Stretch,
    bcd,
    decimal,
    event_of,
)

SETTINGS: Final = Settings(  # it polls again in half a second: no rest of a frame with a wrong length
    title="松江 JB-3208", baudrate=9600, limit=0.5, quiet=0.25
)
BEGIN: Final = re.compile(rb"\xfe(?!..\xfe\xfe)", re.DOTALL)  # no length is FEFE
MOST_POINTS: Final = 255  # more than a loop has: all of them have a fault when it breaks
LONGEST: Final = 8 + 2 + 32 * MOST_POINTS
HEAD, TAIL = 0xFE, 0xFF

RESET, POLL, LOOPS, POINT = 0, 100, 103, 104
FIRE, FAULT, START, FEEDBACK, SUPERVISORY, ISOLATED = 110, 111, 112, 113, 114, 115
EVENTS: Final[dict[int, Meaning]] = {
    RESET: (EventCode.RESET, "复位", None),
    FIRE: (EventCode.FIRE, "火警", None),
    FAULT: (EventCode.FAULT, "故障", None),
    START: (EventCode.FEEDBACK, "启动", None),
    FEEDBACK: (EventCode.FEEDBACK, "反馈", None),
    SUPERVISORY: (EventCode.SUPERVISORY, "监管", None),
    ISOLATED: (EventCode.DISABLED, "屏蔽", None),
}
_OF_POINTS = frozenset((FIRE, FAULT, START, FEEDBACK, SUPERVISORY, ISOLATED))
_QUIET = frozenset((POLL, LOOPS, POINT))
_KNOWN = _OF_POINTS | _QUIET
_MOST_UNEXPLAINED = 256  # bytes of a body that no document explains
# States of a point, and the codes that would tell them.
_STATES = {1: FIRE, 2: SUPERVISORY, 3: ISOLATED, 7: START, 8: FAULT}
_ALARMS = (FIRE, FAULT, SUPERVISORY)
_LOOPS = {
    0: "多线盘",
    73: "重复显示器",
    74: "主电",
    76: "备电",
    77: "串口",
    78: "短路",
    79: "开路",
    80: "通信故障",
    82: "通信故障",
    83: "通信故障",
    84: "通信故障",
    85: "外接电源",
}
_ITEM: Final = struct.Struct("<BBBHBB5s20s")
_FRONT: Final = 5
_PLACE = 3  # bytes of an item, at least: panel, loop, point
_CELLS = 94  # of a row of GB 2312, and rows


class Item(msgspec.Struct, frozen=True):
    """One point of an event's body. `text`: 20 bytes as sent; `date`: five bytes, year of the century to minute."""

    panel: int
    loop: int
    point: int
    zone: int = 0
    type: int = 0
    state: int = 0
    date: bytes = b"\xff" * 5
    text: bytes = b"\xff" * 20


def read(data: Stretch, at: int) -> Reading:
    """Judge what begins at an FE."""
    if len(data) < at + _FRONT:
        return None
    code, size = data[at + 2], data[at + 3] | data[at + 4] << 8
    end = at + _FRONT + size
    if size > LONGEST - 8 or (code not in _KNOWN and size > _MOST_UNEXPLAINED and not _counted(data, at, size)):
        return Refusal.LENGTH
    if len(data) < end + 3:
        return None
    if data[end + 2] != TAIL:
        return Refusal.LENGTH
    right = data.sums.crc16(at + 1, end)
    low_first, high_first = data[end] | data[end + 1] << 8, data[end] << 8 | data[end + 1]
    if right not in (low_first, high_first):
        return Refusal.CHECKSUM
    return _heard(data[at : end + 3], data[at + _FRONT : end], high_first=right != low_first)


def encode(panel: int, code: int, items: Sequence[Item] = (), *, high_first: bool = False) -> bytes:
    """Return a frame of the panel, or of ours: `encode(panel, POLL)` acknowledges."""
    body = len(items).to_bytes(2, "little") if items else b""
    for item in items:
        body += _ITEM.pack(item.panel, item.loop, item.point, item.zone, item.type, item.state, item.date, item.text)
    covered = bytes((panel, code)) + len(body).to_bytes(2, "little") + body
    return bytes((HEAD,)) + covered + crc16(covered).to_bytes(2, "big" if high_first else "little") + bytes((TAIL,))


def date_of(date: Sequence[int]) -> bytes:
    """Return the five bytes of a date (year, month, day, hour, minute) as the samples have it."""
    return bytes(bcd(part % 100) for part in date[:5])


def _counted(data: bytes, at: int, size: int) -> bool:
    """Whether the length is that of the points counted, as far as they have come."""
    if size <= 2 or size % 32 != 2:
        return False
    return len(data) < at + _FRONT + 2 or size // 32 == data[at + 5] | data[at + 6] << 8


def _heard(frame: bytes, body: bytes, *, high_first: bool) -> Heard:
    panel, code = frame[1], frame[2]
    answer = encode(panel, POLL, high_first=high_first)
    if code in _QUIET:
        return Heard(frame=frame, answer=answer, panel=panel)
    if code in _OF_POINTS or _counted(frame, 0, len(body)):
        odd = len(body) % 32 != 2 or len(body) // 32 != int.from_bytes(body[:2], "little")
        told = range(2, len(body) - _PLACE + 1, 32)  # a fire is one, however much is told of its place
        items = [Item(*_ITEM.unpack(body[at : at + 32].ljust(32, b"\xff"))) for at in told]
        events = tuple(_event(code, item) for item in items) or (event_of(EVENTS, code, str(panel)),)
        return Heard(frame=frame, events=events, answer=answer, panel=panel, unknown=odd or code not in EVENTS)
    event = event_of(EVENTS, code, str(panel), text=body.hex(" "))
    return Heard(frame=frame, events=(event,), answer=answer, panel=panel, unknown=code not in EVENTS)


def _event(code: int, item: Item) -> PanelEvent:
    """Return the event of a point; where code and state of it differ, the graver one."""
    state = _STATES.get(item.state, code)
    number = state if state == FIRE or (code not in _ALARMS and state in _ALARMS) or code not in EVENTS else code
    text = f"{_LOOPS.get(item.loop, '')} {_text(item.text)}".strip()
    key = f"{item.panel}/{item.loop}/{item.point}"
    return event_of(EVENTS, number, key, text=text, date=_date(item.date), kind=item.type)


def _date(data: bytes) -> tuple[int, ...]:
    if data[1] in (0x00, 0xFF):  # no month: nothing is told
        return ()
    parts = [decimal(byte) for byte in data]
    if -1 in parts:
        parts = list(data)
    return (2000 + parts[0], *parts[1:], 0)


def _text(data: bytes) -> str:
    """Row and cell of GB 2312, also in BCD where they are no such numbers, or GB 18030 itself; FF is nothing."""
    told = data.rstrip(b"\xff")
    numbers = list(told) if max(told, default=0) <= _CELLS else [decimal(byte) for byte in told]
    if all(0 <= number <= _CELLS for number in numbers):
        pairs = zip(numbers[::2], numbers[1::2], strict=False)
        told = bytes(number + 0xA0 for pair in pairs if all(pair) for number in pair)
    return told.rstrip(b"\x00").decode("gb18030", "replace").strip()
