"""A batch: everything one source brought since the last turn, as equal-length arrays plus sparse events.

The unit of the whole flow: drivers make it, the intake queues it, the step judges it, the journal keeps it. Its
acknowledgement is called after the commit and never before (house rule 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Points = NDArray[np.int32]
Bytes = NDArray[np.uint8]

NO_FRAME = -1


class EventCode(IntEnum):
    """What a device said happened. Stored: numbers are never reused."""

    FIRE = 1
    PRE_ALARM = 2
    FAULT = 3
    SUPERVISORY = 4
    DISABLED = 5
    FEEDBACK = 6
    TEST = 7
    RESTORE = 8  # this key is normal again
    RESET = 9  # the whole device (key empty) was reset, or this key and what lies below it (`1/1` of `1/1/3/17`)
    MANUAL = 10
    GAS = 11
    FLOOD = 12
    INFO = 13
    ENABLED = 14


class Event(msgspec.Struct, frozen=True):
    """One thing a device said. `point` is the device's event point; `key` the place inside it, e.g. `3/17`."""

    point: int
    key: str
    code: EventCode
    text: str = ""
    time: int = 0  # ns since 1970 by the device, 0 if none
    raw: bytes = b""
    registered: bool = True  # False: no configuration knows this address
    ends: EventCode | None = None  # what alone a RESTORE ends; of a MANUAL: it is a press, which ends the one before


class EventSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event as the record keeps it. `at`: when it was handled, ns on the station axis."""

    point: int
    key: str
    code: EventCode
    text: str
    time: int
    at: int
    source: str
    raw: bytes
    registered: bool = True  # what is as by default is not written: rows of former versions read the same
    ends: EventCode | None = None


class Mark(msgspec.Struct, frozen=True, gc=False):
    """What recognises a redelivery: an unacknowledged packet of a session and the hash of its payload."""

    session: str
    packet: int
    digest: bytes


def _no_ack() -> None:
    return


def _settled() -> bool:
    return True


@dataclass(slots=True, kw_only=True)
class Batch:
    """Arrays of equal length n; one row a reading, in the order the device meant them (oldest first).

    Attributes:
        source: id of the source that brought it.
        point: int32 durable point ids.
        time: int64 ns since 1970 by the source, 0 if it gave none.
        arrival: int64 ns on the boot-time monotonic clock, non-decreasing.
        value: float64 in the profile's unit.
        quality: uint8, see `quality`.
        frames: raw frames; `frame[i]` is the index of reading i's frame or `NO_FRAME`.
        events: what devices said, all arrived at the last `arrival` (or `event_arrival` without readings).
        heard: point ids (any of the device) whose device gave a sign of life without a reading.
        marks: redelivery marks to keep with the commit.
        ack: called once after the commit, in the loop's thread.
        stale: marks of earlier lives that nothing can come again for.
        settled: whether, after `ack`, the source is known never to send it again: only then its marks may go.
        waiting: the source holds its breath for the acknowledgement: commit at once.
    """

    source: str
    point: Points
    time: Ints
    arrival: Ints
    value: Floats
    quality: Bytes
    frames: Sequence[bytes] = ()
    frame: Points | None = None
    events: tuple[Event, ...] = ()
    event_arrival: int = 0
    heard: tuple[int, ...] = ()
    marks: tuple[Mark, ...] = ()
    ack: Callable[[], None] = field(default=_no_ack)
    settled: Callable[[], bool] = field(default=_settled)
    stale: tuple[Mark, ...] = ()
    waiting: bool = False

    def __len__(self) -> int:
        return len(self.point)

    def arrived(self) -> int:
        """Return the arrival of its newest part, ns."""
        return max(int(self.arrival[-1]) if len(self.arrival) else 0, self.event_arrival)

    def frame_of(self, row: int) -> bytes:
        """Return the raw frame of a row, or nothing."""
        if self.frame is None or row < 0:
            return b""
        place = int(self.frame[row])
        return b"" if place == NO_FRAME else self.frames[place]


_POINT, _TIME, _VALUE, _QUALITY = (itemgetter(place) for place in range(4))  # of a row


def make_batch(
    source: str,
    arrival: int,
    rows: Sequence[tuple[int, int, float, int]] = (),
    *,
    frames: Sequence[bytes] = (),
    frame: Sequence[int] | None = None,
    events: Sequence[Event] = (),
    heard: Sequence[int] = (),
    marks: Sequence[Mark] = (),
    ack: Callable[[], None] = _no_ack,
    settled: Callable[[], bool] = _settled,
    stale: Sequence[Mark] = (),
    waiting: bool = False,
) -> Batch:
    """Build a batch of one arrival from rows (point, time, value, quality)."""
    n = len(rows)
    return Batch(
        source=source,
        point=np.fromiter(map(_POINT, rows), np.int32, n),
        time=np.fromiter(map(_TIME, rows), np.int64, n),
        arrival=np.full(n, arrival, dtype=np.int64),
        value=np.fromiter(map(_VALUE, rows), np.float64, n),
        quality=np.fromiter(map(_QUALITY, rows), np.uint8, n),
        frames=frames,
        frame=None if frame is None else np.array(frame, dtype=np.int32),
        events=tuple(events),
        event_arrival=arrival,
        heard=tuple(heard),
        marks=tuple(marks),
        ack=ack,
        settled=settled,
        stale=tuple(stale),
        waiting=waiting,
    )
