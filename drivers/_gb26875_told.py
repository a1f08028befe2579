"""What one GB/T 26875.3 frame said, while it is read. Pure.

Filled by `_gb26875_events.py` and `_gb26875_status.py`, made into an answer by `_gb26875_talk.py`. Keeps house section
6: an impossible time costs the time and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from drivers._gb26875_device import OWN, Speaker
from drivers._gb26875_words import RIGHT
from gateway.model.batch import Event, EventCode
from gateway.model.ports import Decoded
from gateway.protocols import gb26875_tables as tables
from gateway.protocols.gb26875_objects import NO_TIME
from gateway.protocols.gb26875_tables import Name
from gateway.protocols.gb26875_units import text_of, time_ns

OWN_NAME = "用户信息传输装置 transmission device"
DUTY = f"{OWN}/duty"
_LONGEST = 400  # characters of a text
_REPLACED = "�"  # one at the end is a character that the field was too short for; more are a maker's own data
_SYSTEMS = 256  # that one device may have


@dataclass(slots=True)
class Told:
    """What one frame said. `stamps`: what tells it from a frame of equal content; `untimed`: some of it has no time.

    `asked`: it answers a request, so what it says of states is of now and what it says of operations is of long ago.
    `right`: all its times were those of our own trusted clock when it came; None: there are none. `reset`: places that
    were reset, whose present state has to be asked for.
    """

    speaker: Speaker
    frame: bytes
    now: int
    wall: int
    asked: bool = False
    decoded: Decoded = field(default_factory=Decoded)
    stamps: list[int] = field(default_factory=list)
    untimed: bool = False
    right: bool | None = None
    reset: list[str] = field(default_factory=list)

    def say(
        self,
        key: str,
        code: EventCode,
        text: str,
        time: int = 0,
        *,
        known: bool = True,
        ends: EventCode | None = None,
    ) -> None:
        """Add an event. `known`: False when its address is not to be trusted. `ends`: what alone a RESTORE ends."""
        speaker = self.speaker
        registered = (
            known and speaker.registered and (speaker.known is None or key in speaker.known or not _is_component(key))
        )
        event = Event(speaker.events, speaker.prefix + key, code, text[:_LONGEST], time, self.frame, registered, ends)
        self.decoded.events.append(event)

    def time(self, tag: bytes) -> int:
        """Return the ns of a time tag, 0 (counted) when it is none."""
        found = time_ns(tag, self.speaker.offset)
        if not found:
            self.decoded.problems.append("bad_time" if tag else "no_time")
            self.untimed |= tag in (b"", NO_TIME)
        near = found > 0 and self.wall > 0 and abs(found - self.wall) <= RIGHT
        self.right = near and self.right is not False
        return found

    def meet(self, system: int, address: int) -> str:
        """Note that the device has this system; return its key."""
        systems = self.speaker.systems
        if (system, address) not in systems and len(systems) < _SYSTEMS:
            systems[system, address] = None
        return f"{system}/{address}"

    def note(self, key: str, tag: bytes, word: int, time: int = 0) -> int | None:
        """Remember a word; return the one before where that is known. `time`: of a status word, what its tag says."""
        wall = self.wall if time else 0
        stamp, before = self.speaker.words.note(
            key, tag, word, self.now, stands=self.speaker.stands, asked=self.asked, time=time, wall=wall
        )
        if stamp:
            self.stamps.append(stamp)
        return before


@lru_cache(maxsize=512)
def component_name(code: int) -> str:
    """Return what a component type is called."""
    return str(tables.COMPONENTS.get(code, Name(f"部件类型{code}", f"component type {code}")))


@lru_cache(maxsize=512)
def system_name(code: int) -> str:
    """Return what a system type is called."""
    return str(tables.SYSTEMS.get(code, Name(f"系统类型{code}", f"system type {code}")))


@lru_cache(maxsize=1024)
def readable(raw: bytes) -> str:
    """Return a text of the wire as a message may carry it: no control characters; nothing where it is no text."""
    filled = raw.partition(b"\0")[0].rstrip(b"\xff")  # a byte of no character: it would make the text look like none
    text = "".join(letter for letter in text_of(filled) if letter.isprintable())
    return "" if text.count(_REPLACED) > 1 else text.replace(_REPLACED, "").strip()


def _is_component(key: str) -> bool:
    return key.count("/") > 1 and key[0].isdecimal() and key[-1].isdecimal()
