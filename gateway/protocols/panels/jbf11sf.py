"""青鸟 JBF-11SF, its direct RS-232 output: frames of 30 bytes, listened to. 2400 8N1.

From captures: `FF FF FF event … panel(10) loop(11) point(12) type(13) year month day hour minute second(14…19) …
sum(28, 29)`. Numbers are binary, the sum is of bytes 3 to 27, high byte first. A reset has 12 bytes. Panel and type are
unconfirmed: the panel's number stands in the key as it is sent.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, Meaning, Reading, Refusal, Settings, event_of

SETTINGS: Final = Settings(title="青鸟 JBF-11SF", baudrate=2400)
BEGIN: Final = re.compile(rb"\xff(?=\xff\xff(?:[\x01-\xfe]|\Z)|\xff?\Z)")  # no event is 00: its sum would fit zeros
LONGEST: Final = 30
SHORT: Final = 12
HEAD: Final = b"\xff\xff\xff"

FIRE, FAULT, RESET, QUERY = 0x0A, 0x0B, 0x0D, 0x09
EVENTS: Final[dict[int, Meaning]] = {
    FIRE: (EventCode.FIRE, "火警", None),
    FAULT: (EventCode.FAULT, "故障", None),
    RESET: (EventCode.RESET, "复位", None),
}
_SIZES: Final = {FIRE: (LONGEST,), FAULT: (LONGEST,), RESET: (SHORT,)}


def read(data: bytes, at: int) -> Reading:
    """Judge what begins at three FF."""
    if len(data) < at + 4:
        return None
    for size in _SIZES.get(data[at + 3], (SHORT, LONGEST)):
        frame = data[at : at + size]
        if len(frame) < size:
            return None
        if _right(frame):
            return _heard(frame)
    return Refusal.CHECKSUM


def encode(event: int, key: str = "0/0/0", kind: int = 0, date: tuple[int, ...] = (0,) * 6) -> bytes:
    """Return a frame. `key`: panel/loop/point; `date`: year of the century to second."""
    panel, loop, point = map(int, key.split("/"))
    if event == RESET:
        return _sealed(HEAD + bytes((event,)) + bytes(6))
    return _sealed(HEAD + bytes((event, 1, 1, 0x6E, 0, 0x13, 0, panel, loop, point, kind, *date)) + bytes(8))


def _heard(frame: bytes) -> Heard:
    if frame[3] == QUERY:
        return Heard(frame=frame)
    if len(frame) == SHORT:
        return Heard(frame=frame, events=(event_of(EVENTS, frame[3], ""),), unknown=frame[3] not in EVENTS)
    panel, loop, point, kind = frame[10:14]
    date = (2000 + frame[14], *frame[15:20]) if frame[15] else ()
    event = event_of(EVENTS, frame[3], f"{panel}/{loop}/{point}", date=date, kind=kind)
    return Heard(frame=frame, events=(event,), panel=panel, unknown=frame[3] not in EVENTS)


def _right(frame: bytes) -> bool:
    return sum(frame[3:-2]) == int.from_bytes(frame[-2:], "big")


def _sealed(body: bytes) -> bytes:
    return body + sum(body[3:]).to_bytes(2, "big")
