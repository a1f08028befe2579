"""Split HJ 212 messages: which parts of a message have come, and what time the ones without a time belong to.

Pure, beside `gateway.protocols.hj212_packet`. Every part is a whole packet whose CP ends between two items, so its
values are read as it comes and nothing waits for the last part (house section 2: a condition is judged when it is
heard). What is kept of a message is a few numbers, of `MOST` messages at most.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.model.time import MINUTE
from gateway.protocols.hj212_packet import Packet

MOST = 32  # messages that wait for parts
PATIENCE = 2 * MINUTE  # ns for the next part


@dataclass(slots=True)
class _Message:
    """A message some of whose parts have come: bits of PNO, and when the latest came."""

    seen: int
    heard: int


class Parts:
    """The split messages of one peer, joined by (MN, CN, PNUM, DataTime). Of whole ones parts may come once more."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, str, int, str], _Message] = OrderedDict()
        self._whole: OrderedDict[tuple[str, str, int, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, packet: Packet, time: str, now: int) -> tuple[str, int]:
        """Enter a part; return its DataTime (of the parts before it if it has none) and the messages given up."""
        time = time or self._time_of(packet)
        key = (packet.mn, packet.cn, packet.parts, time)
        if key in self._whole:
            return time, self.expire(now)
        message = self._open.pop(key, None) or _Message(0, now)
        message.seen |= 1 << packet.part - 1
        message.heard = now
        if message.seen != (1 << packet.parts) - 1:
            self._open[key] = message
        elif time:  # without one nothing tells it from the next
            self._whole[key] = None
            if len(self._whole) > MOST:
                self._whole.popitem(last=False)
        lost = self.expire(now)
        while len(self._open) > MOST:
            self._open.popitem(last=False)
            lost += 1
        return time, lost

    def expire(self, now: int) -> int:
        """Give up messages whose next part does not come; return how many."""
        lost = 0
        while self._open and next(iter(self._open.values())).heard + PATIENCE <= now:
            self._open.popitem(last=False)
            lost += 1
        return lost

    def due(self, never: int) -> int:
        """Return when `expire` has something to do, ns."""
        return next(iter(self._open.values())).heard + PATIENCE if self._open else never

    def _time_of(self, packet: Packet) -> str:
        sought = (packet.mn, packet.cn, packet.parts)
        return next((key[3] for key in reversed(self._open) if key[:3] == sought), "")
