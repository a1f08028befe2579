"""Long SL 651-2014 reports that come in packets (mode M3, SYN frames): collected until all are there or time is up.

Pure, between `gateway.protocols.sl651_frames` and `sl651_body`; `now` is an argument (house rule 2). Follows SL
651-2014 section 6.6.3: packets are numbered from 1, only the first carries serial number and time, one that was sent
again ends with ETX and may come in any order. A whole report is kept for a while: what comes of it once more asks for
its confirmation, not for the other packets. Memory is bounded over all stations of a link: when there is too much, the
oldest report is given up, and what had come of it is handed on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from gateway.model.verdict import NEVER
from gateway.protocols.sl651 import ETX, Frame

LARGEST = 1 << 20  # bytes that wait on one link
MOST = 64  # reports that wait on one link
REMEMBERED = 4  # times the patience: how long a whole report is kept

Key = tuple[str, int, int]


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A report put together.

    Attributes:
        frame: its last packet to come, with the body of all of them up to the first gap; not a SYN frame any more.
        missing: numbers of the packets that did not come.
        apart: what came behind the first gap, joined.
        total: how many packets it has.
    """

    frame: Frame
    total: int
    missing: tuple[int, ...] = ()
    apart: bytes = b""


@dataclass(slots=True)
class _Collected:
    """The packets of one report so far. `due` in ns; `asked`: how often the missing ones were asked for.

    `whole`: all have come, and it has been handed on.
    """

    last: Frame
    due: int
    asked: int = 0
    whole: bool = False
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(len, self.parts.values()))

    def report(self) -> Report:
        missing = tuple(number for number in range(1, self.last.total + 1) if number not in self.parts)
        gap = missing[0] if missing else self.last.total + 1
        body = b"".join(self.parts[number] for number in range(1, gap))
        apart = b"".join(self.parts[number] for number in sorted(self.parts) if number > gap)
        frame = msgspec.structs.replace(self.last, body=body, total=0, sequence=0)
        return Report(frame=frame, total=self.last.total, missing=missing, apart=apart)


class Packets:
    """Reports in packets of one link. `patience`: ns without a packet until a report is given up or asked for again."""

    def __init__(self, patience: int, *, largest: int = LARGEST) -> None:
        self._patience = patience
        self._largest = largest
        self._size = 0
        self._waiting: dict[Key, _Collected] = {}

    @property
    def due(self) -> int:
        """When `over` has something to say or to forget (ns), NEVER if nothing waits."""
        return min((each.due for each in self._waiting.values()), default=NEVER)

    def add(self, packet: Frame, now: int) -> list[Report]:
        """Take a SYN frame; return the report that it completes or asks about, after those that had to make room."""
        key = (packet.station, packet.function, packet.total)
        done: list[Report] = []
        known = self._waiting.get(key)
        if known is not None and known.whole and known.parts[packet.sequence] == packet.body:
            return [known.report()] if packet.end == ETX or packet.sequence == packet.total else []
        if known is not None and (
            known.whole or (packet.sequence == 1 and known.parts.get(1, packet.body) != packet.body)
        ):
            done += self._end(key)  # another report begins
            known = None
        if known is None:
            known = self._waiting[key] = _Collected(packet, now)
        self._size += len(packet.body) - len(known.parts.get(packet.sequence, b""))
        known.parts[packet.sequence] = packet.body
        known.last, known.due = packet, now + self._patience
        if len(known.parts) == packet.total:
            known.whole, known.due = True, now + REMEMBERED * self._patience
            done.append(known.report())
        while self._size > self._largest or len(self._waiting) > MOST:
            done += self._end(min(self._waiting, key=self._place))
        return done

    def lacking(self, now: int, tries: int) -> list[Report]:
        """Return reports whose time is up, and which wait on because missing packets may be asked for (again)."""
        found = []
        for each in self._waiting.values():
            if each.due <= now and each.asked < tries and not each.whole:
                each.asked += 1
                each.due = now + self._patience
                found.append(each.report())
        return found

    def over(self, now: int) -> list[Report]:
        """Return what had come of the reports whose time is up."""
        over = [key for key, each in self._waiting.items() if each.due <= now]
        return [report for key in over for report in self._end(key)]

    def _place(self, key: Key) -> tuple[bool, int]:
        """Return which has to make room first: what has been handed on, then what waited longest."""
        each = self._waiting[key]
        return not each.whole, each.due

    def _end(self, key: Key) -> list[Report]:
        """Forget a report; return what had come of it unless it was handed on."""
        each = self._waiting.pop(key)
        self._size -= each.size
        return [] if each.whole else [each.report()]
