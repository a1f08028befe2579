"""赋安 FS5101W: the panel polls on RS-485 and wants an answer within 100 ms. 9600, 8 data bits, 2 stop bits.

From captures: `F0 address length command data CRC(2, high byte first)`, the length counts command and data, the CRC is
CRC-16/XMODEM over address to data. A2 is the poll, A1 a reset, A4 the time, A5 an event. How an event is confirmed is
not known: it is not answered, only polls are.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from typing import Final

from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, Meaning, PanelEvent, Reading, Refusal, Settings, event_of

SETTINGS: Final = Settings(title="赋安 FS5101W", baudrate=9600, stopbits=2, limit=0.1)
BEGIN: Final = re.compile(rb"\xf0(?!.\xf0)", re.DOTALL)  # no length is F0
HEAD: Final = 0xF0
MOST: Final = 64  # bytes of command and data
LONGEST: Final = 5 + MOST

RESET, POLL, TIME, EVENT = 0xA1, 0xA2, 0xA4, 0xA5
# States of an event; where a state says nothing, its function does. One of the function "fire" ends nothing.
EVENTS: Final[dict[int, Meaning]] = {
    0x05: (EventCode.FIRE, "火警", None),
    0x09: (EventCode.FAULT, "故障", None),
    0x0A: (EventCode.RESTORE, "故障恢复", EventCode.FAULT),
    0x14: (EventCode.FAULT, "通信故障", None),
    0x15: (EventCode.RESTORE, "通信恢复", EventCode.FAULT),
    0x22: (EventCode.RESET, "复位", None),
    0x28: (EventCode.DISABLED, "屏蔽", None),
    0x29: (EventCode.ENABLED, "屏蔽释放", None),
    0x41: (EventCode.PRE_ALARM, "预警", None),
}
START, FAULT, FIRE, ISOLATED, OTHER = 0xC1, 0xC2, 0xC3, 0xC5, 0xC6
_FUNCTIONS: Final[dict[int, Meaning]] = {
    START: (EventCode.FEEDBACK, "启动", None),
    FAULT: (EventCode.FAULT, "故障", None),
    FIRE: (EventCode.FIRE, "火警", None),
    ISOLATED: (EventCode.DISABLED, "屏蔽", None),
}
_COMMANDS = range(0xA0, 0xD0)  # those that are known, and their kind
_PARTS = {3: "loop", 4: "mains", 5: "backup", 6: "computer", 7: "repeater", 8: "multi-wire", 9: "panel"}
_SEVERAL = ("repeater", "multi-wire")  # a panel has more than one: what ends a fault of one ends no other's
_EVENT_SIZE, _PLACE_SIZE = 19, 20
_LEAST = 3  # bytes of an event: function, information type, state
_BELOW = range(0x71, 0x78)  # floors below ground
_FIRES = (EventCode.FIRE, EventCode.PRE_ALARM)


def crc(data: bytes) -> int:
    """Return CRC-16/XMODEM: polynomial 1021, start 0."""
    return binascii.crc_hqx(data, 0)


def read(data: bytes, at: int) -> Reading:
    """Judge what begins at an F0."""
    if len(data) < at + 4:
        return None
    size = data[at + 2]
    if not 1 <= size <= MOST or data[at + 3] not in _COMMANDS:
        return Refusal.LENGTH
    end = at + 3 + size
    if len(data) < end + 2:
        return None
    if crc(data[at + 1 : end]) != data[end] << 8 | data[end + 1]:
        return Refusal.CHECKSUM
    return _heard(data[at : end + 2], data[at + 1], data[at + 3], data[at + 4 : end])


def encode(address: int, command: int, data: bytes = b"") -> bytes:
    """Return a frame of the panel, or of ours."""
    covered = bytes((address, 1 + len(data), command)) + data
    return bytes((HEAD,)) + covered + crc(covered).to_bytes(2, "big")


def event_data(
    function: int,
    state: int,
    key: str,
    *,
    date: tuple[int, ...] = (0,) * 6,
    information: int = 1,
    floor: int = 0,
    kind: int = 0,
    place: bytes = b"",
) -> bytes:
    """Return the data of an event. `key`: network/panel/loop/address; `place`: at most 20 bytes of GB 18030."""
    network, panel, loop, point = map(int, key.split("/"))
    head = bytes((function, information, state, network, panel, *date, loop, point, 0, 0, floor, 0, 0, kind))
    return head + (place.ljust(_PLACE_SIZE, b"\x00") if place else b"")


def _heard(frame: bytes, address: int, command: int, data: bytes) -> Heard:
    if command == POLL:
        return Heard(frame=frame, answer=encode(address, POLL, b"\x00"), panel=address)
    if command == RESET:
        return Heard(frame=frame, events=(event_of(EVENTS, 0x22, ""),), panel=address)
    if command == EVENT and len(data) >= _LEAST:
        event = _event(data.ljust(_EVENT_SIZE, b"\x00"))  # a fire is one, however much is told of its place
        odd = len(data) not in (_EVENT_SIZE, _EVENT_SIZE + _PLACE_SIZE)
        return Heard(frame=frame, events=(event,), panel=address, unknown=odd or event.text.startswith("事件"))
    if command == TIME:
        return Heard(frame=frame, panel=address)
    return Heard(frame=frame, events=(event_of({}, command, "", text=data.hex(" ")),), panel=address, unknown=True)


def _event(data: bytes) -> PanelEvent:
    function, information, state, network, panel = data[:5]
    loop, point, building, zone, floor = data[11:16]
    date = (2000 + data[5], *data[6:11]) if data[6] else ()
    place = data[19:].rstrip(b"\x00\xff ").decode("gb18030", "replace")
    floor_text = f"地下{floor & 0xF}层" if floor in _BELOW else f"{floor}层"
    where = " ".join(
        [f"{building}栋" if building else "", f"{zone}区" if zone else "", floor_text if floor else "", place]
    )
    table: Mapping[int, Meaning] = EVENTS
    meaning = EVENTS.get(state)
    if function in _FUNCTIONS and (meaning is None or (function == FIRE and meaning[0] not in _FIRES)):
        meaning = _FUNCTIONS[function]
        table = {state: meaning}
    part = _PARTS.get(information, "")
    key = f"{network}/{panel}/{loop}/{point}"
    if part and part != "loop" and (meaning is None or meaning[0] not in _FIRES):
        key = f"{network}/{panel}/{part}" + (f"/{loop}/{point}" if part in _SEVERAL else "")
    return event_of(table, state, key, text=" ".join(where.split()), date=date, kind=data[18])
