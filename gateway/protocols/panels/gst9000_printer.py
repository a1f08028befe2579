"""海湾 GST9000 and older panels: the text that goes to the printer, GB 2312 with ESC codes; listened to. No checksum.

From a data collection note: `ESC 6 "MM/DD  hh:mm" LF, two blanks, "LLL-PPP" LF, ESC 9, event LF, location LF, device
LF LF`. The event is told by its words; those of place and device count only where they raise, and only if its own say
nothing. The year is not printed, so events have no time of their own.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.model.batch import EventCode
from gateway.protocols.panel_words import Heard, Meaning, Reading, Refusal, Settings, event_of

SETTINGS: Final = Settings(title="海湾 GST9000 打印口", baudrate=9600)
BEGIN: Final = re.compile(rb"\x1b(?=6(?!\x1b6)|\Z)")  # two heads are one
LONGEST: Final = 400
_HEAD: Final = b"\x1b6"
_END: Final = re.compile(rb"\n\r?\n|(?=\x1b6)")
_DATE: Final = re.compile(rb"\d\d/\d\d +\d\d:\d\d")
_PLACE: Final = re.compile(r"(\d{1,3})-(\d{1,3})")

# Words in the order in which they are looked for; the number is their place.
_WORDS: Final[tuple[tuple[str, Meaning], ...]] = (
    ("故障恢复", (EventCode.RESTORE, "", EventCode.FAULT)),
    ("火警", (EventCode.FIRE, "", None)),
    ("监管", (EventCode.SUPERVISORY, "", None)),
    ("故障", (EventCode.FAULT, "", None)),
    ("复位", (EventCode.RESET, "", None)),
    ("释放", (EventCode.ENABLED, "", None)),
    ("屏蔽", (EventCode.DISABLED, "", None)),
    ("隔离", (EventCode.DISABLED, "", None)),
    ("反馈", (EventCode.FEEDBACK, "", None)),
    ("启动", (EventCode.FEEDBACK, "", None)),
)
_OTHER = len(_WORDS)
_RAISES: Final = (EventCode.FIRE, EventCode.SUPERVISORY, EventCode.FAULT)
EVENTS: Final[dict[int, Meaning]] = {
    **{number: meaning for number, (_, meaning) in enumerate(_WORDS)},
    _OTHER: (EventCode.INFO, "", None),
}
FAULT_CLEARED, FIRE, FAULT, RESET = 0, 1, 3, 4


def read(data: bytes, at: int) -> Reading:
    """Judge what begins at an ESC."""
    end = _END.search(data, at + 2, at + LONGEST)
    if end is None:
        return None if len(data) < at + LONGEST else Refusal.LENGTH
    date = _DATE.search(data, at + 2, end.start())
    if date is None or b"\n" in data[at + 2 : date.start()].lstrip():  # it stands in the first line
        return Refusal.LENGTH
    frame = data[at : end.end()]
    lines = frame.replace(_HEAD, b"").replace(b"\x1b9", b"").decode("gb18030", "replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    place = _PLACE.fullmatch(lines[1]) if len(lines) > 1 else None
    said = lines[2:] if place else lines[1:]
    key = f"{int(place[1])}/{int(place[2])}" if place else ""
    number = _number("".join(said[:1]))
    if number == _OTHER:  # the form may differ; but a place called after a reset resets nothing
        number = _number(" ".join(said[1:]))
        number = number if EVENTS[number][0] in _RAISES else _OTHER
    event = event_of(EVENTS, number, key, text=" ".join(said))
    return Heard(frame=frame, events=(event,), unknown=number == _OTHER)


def _number(text: str) -> int:
    return next((number for number, (word, _) in enumerate(_WORDS) if word in text), _OTHER)


def encode(event: str, key: str, date: str = "08/12  17:24", location: str = "", device: str = "") -> bytes:
    """Return what is printed. `key`: loop/point; `event`: its words, such as 首次火警."""
    loop, point = map(int, key.split("/"))
    lines = [f"\x1b6{date}", f"  {loop:03}-{point:03}", f"\x1b9{event}", location, device]
    return ("\n".join(line for line in lines if line) + "\n\n").encode("gb18030")
