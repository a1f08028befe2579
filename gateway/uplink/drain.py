"""What leaves next: newest alarms, then live readings, then the backlog oldest first, so that live never waits.

Runs in the sink's process, between the store's feed and one sink. A turn sends at most one slice of each, and the slice
of the backlog is kept so short that the turn fits well into a second. Nothing is passed over before the far end has
taken it: a turn that raises leaves the position as it was (house rule 4, seen from the other side).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gateway.clock import MILLISECOND, Clock
from gateway.model.portion import Aside, Note, Portion
from gateway.model.ports import Sink
from gateway.store.detour import Detour
from gateway.store.feed import Dating, Slice
from gateway.uplink.position import FOREVER, Position

LIVE_ROWS = 50  # commits behind which what is live is left to the backlog, and a new beginning made
LIVE_SLICES = 3
NOTES = 500  # of one turn
LEAST, MOST = 500, 40_000  # readings of a slice of the backlog
LONG, SHORT = 300 * MILLISECOND, 100 * MILLISECOND  # a slice that took longer or shorter changes its length


class Source(Protocol):
    """What is read: `gateway.store.feed.Feed`."""

    def refresh(self) -> None:
        """Look again at what is known of wall time."""

    def first(self) -> int:
        """Return the oldest seq in the journal."""

    def last(self) -> int:
        """Return the newest seq."""

    def last_note(self) -> int:
        """Return the newest number of the record."""

    def last_chunk(self) -> int:
        """Return the newest chunk."""

    def since(self, wall: int) -> tuple[int, int]:
        """Return the first chunk and the note before the first that may reach past a wall time."""

    def detours(self, cursor: str) -> list[Detour]:
        """Return detours of a cursor."""

    def journal(self, after: int, upto: int, limit: int) -> Slice:
        """Return readings of commits."""

    def chunks(self, begin: int, upto: int, limit: int) -> Slice:
        """Return readings of chunks."""

    def notes(self, after: int, upto: int, limit: int) -> tuple[list[Note], int, int, int]:
        """Return notes, newest first."""

    def age(self, seq: int) -> int | None:
        """Return the wall time of the first commit after `seq`."""

    def age_of_chunk(self, number: int) -> int | None:
        """Return the wall time at which a chunk begins."""


class Drain:
    """Moves one position on."""

    def __init__(self, feed: Source, sink: Sink, position: Position, *, cursor: str, clock: Clock) -> None:
        self._feed = feed
        self._sink = sink
        self._cursor = cursor
        self._clock = clock
        self._limit = LEAST
        self.position = position
        if position.live == position.record == 0 and not position.gaps:  # a new sink: what the journal still has
            position.live = max(0, feed.first() - 1)
        position.fit(feed.last(), feed.last_note())
        self.interrupt()

    def interrupt(self) -> None:
        """Leave what is not sent yet to the backlog: what comes next is live, and must not wait for it."""
        self.position.leave(self._feed.last())

    def rewind(self, since: int) -> None:
        """Send everything from a wall time (ns) on once more; of the journal all that it still has."""
        self._feed.refresh()
        self.interrupt()
        self.position.rewind(*self._feed.since(since), max(0, self._feed.first() - 1))

    async def turn(self) -> bool:
        """Send a slice of everything; return whether more can be sent at once. Raises as the sink, and StoreError."""
        self._feed.refresh()
        for taken in self._feed.detours(self._cursor):
            if taken.number > self.position.detour:
                self.position.lead_around(taken.number, taken.seq, (taken.begin, taken.end))
        self.position.heard(self._feed.last_note())
        more = await self._notes()
        await self._live()
        return await self._backlog() or more

    def oldest(self) -> int | None:
        """Return the wall time (ns) of the oldest reading that is not sent yet; None when there is none or no date."""
        position = self.position
        if position.chunks:
            return self._feed.age_of_chunk(position.chunks[0][0])
        return self._feed.age(position.cursor())

    def waits(self) -> bool:
        """Tell whether anything is not sent yet."""
        position = self.position
        return bool(position.gaps or position.chunks or position.notes) or position.live < self._feed.last()

    async def _notes(self) -> bool:
        """Send the newest notes that have a time; return whether more of them wait."""
        ranges = self.position.notes
        for place in reversed(range(len(ranges))):
            after, upto = ranges[place]
            notes, reached, held, lost = self._feed.notes(after, upto, NOTES)
            if notes or lost or reached == after < held:
                await self._send(Portion(notes=notes))
                self.position.undated += lost
                left = [(after, min(reached, held)), (held, upto)]
                ranges[place : place + 1] = [one for one in left if one[0] < one[1]]
                return bool(ranges)
            if reached > after:  # a whole slice that nothing can date yet: the older ones may have times
                ranges[place : place + 1] = [(after, reached), (reached, upto)]
                return True
        return False

    async def _live(self) -> None:
        position, last = self.position, self._feed.last()
        if last - position.live > LIVE_ROWS:
            self.interrupt()
        for _ in range(LIVE_SLICES):
            if position.live >= last:
                return
            found = self._feed.journal(position.live, last, MOST)
            if found.dating is Dating.LATER:
                position.leave(found.upto)
            else:
                await self._send(_joined(found))
                self._count(found)
                position.live = found.upto
        self.interrupt()

    async def _backlog(self) -> bool:
        """Send the oldest slice that has times; return whether another may follow."""
        position, began = self.position, self._clock.mono()
        ways = [self._from_chunks, self._from_journal]
        if position.chunks and position.chunks[0][1] == FOREVER:  # first what may leave the journal for a chunk
            ways.reverse()
        sent = await ways[0]() or await ways[1]()
        if sent:
            took = self._clock.mono() - began
            if took > LONG:
                self._limit = max(LEAST, self._limit // 2)
            elif took < SHORT:
                self._limit = min(MOST, self._limit * 2)
        return sent and bool(position.chunks or position.gaps)

    async def _from_chunks(self) -> bool:
        """Send a slice of chunks; return whether there was one."""
        position = self.position
        if not position.chunks:
            return False
        begin, end = position.chunks[0]
        upto = min(end, self._feed.last_chunk())
        found = self._feed.chunks(begin, upto, self._limit)
        if found.dating is Dating.LATER:
            return False
        await self._send(_joined(found))
        self._count(found)
        position.chunks[:1] = [] if found.upto >= upto else [(found.upto + 1, end)]
        return True

    async def _from_journal(self) -> bool:
        """Send a slice of the oldest gap; return whether there was one."""
        position = self.position
        if not position.gaps:
            return False
        after, upto = position.gaps[0]
        found = self._feed.journal(after, upto, self._limit)
        if found.dating is Dating.LATER:  # nothing behind it can be dated either: this boot is the last
            return False
        await self._send(_joined(found))
        self._count(found)
        position.gaps[:1] = [] if found.upto >= upto else [(found.upto, upto)]
        return True

    async def _send(self, portion: Portion) -> None:
        if len(portion):
            asides: list[Aside] = list(await self._sink.send(portion))
            self.position.sent += len(portion)
            self.position.refuse(asides)

    def _count(self, found: Slice) -> None:
        position = self.position
        position.expired += found.absent
        position.unreadable += found.unreadable
        if found.dating is Dating.NEVER:
            position.undated += found.readings


def _joined(found: Slice) -> Portion:
    """Return a slice as one portion."""
    if not found.parts:
        return Portion()
    if len(found.parts) == 1:
        return Portion(*found.parts[0])
    point, time, value, quality = zip(*found.parts, strict=True)
    return Portion(np.concatenate(point), np.concatenate(time), np.concatenate(value), np.concatenate(quality))
