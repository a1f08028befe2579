"""How far a sink has come: one live place, ranges that are still to be sent, and counts; durable as a row of text.

Pure. The cursor in the store is the least of it, which holds the journal back; this is the whole (house section 4).
"""

from __future__ import annotations

import msgspec

from gateway.model.portion import Aside

FOREVER = 1 << 62  # end of a range of chunks that goes on as long as there are any
ASIDES_SHOWN = 20  # the newest points set aside, with their reasons; all are counted
RANGES = 100  # ranges beyond are joined: what lies between two is then sent twice
_SHOWN = 300  # characters of a point set aside

Range = tuple[int, int]  # (after, upto]


class Position(msgspec.Struct, kw_only=True):
    """Where a sink stands.

    Attributes:
        instance: random name of this store, for two gateways that use one station id.
        live: seq up to which readings were sent, or noted in `gaps`.
        gaps: seqs whose readings are to be sent, oldest first.
        record: number up to which notes were sent, or noted in `notes`.
        notes: numbers whose notes are to be sent, oldest first.
        chunks: chunks (first, last) whose readings are to be sent, before any gap.
        detour: number of the newest detour taken over.
        sent: readings and notes that the far end has taken, those sent twice included.
        set_aside: how many it refused for good; `asides` are the newest.
        undated: rows of boots that never knew the time: they stay in the store alone.
        expired: chunks that retention took before they were sent.
        unreadable: damaged rows.
    """

    instance: str
    live: int = 0
    gaps: list[Range] = []
    record: int = 0
    notes: list[Range] = []
    chunks: list[Range] = []
    detour: int = 0
    sent: int = 0
    set_aside: int = 0
    asides: list[Aside] = []
    undated: int = 0
    expired: int = 0
    unreadable: int = 0

    def cursor(self) -> int:
        """Return the seq up to which this sink needs nothing of the journal."""
        return min(self.live, self.gaps[0][0]) if self.gaps else self.live

    def leave(self, upto: int) -> None:
        """Leave live readings up to `upto` for later."""
        add(self.gaps, self.live, upto)
        self.live = max(self.live, upto)

    def heard(self, last: int) -> None:
        """Take notice of notes up to number `last`."""
        add(self.notes, self.record, last)
        self.record = max(self.record, last)

    def lead_around(self, number: int, seq: int, chunks: Range) -> None:
        """Take over a detour: commits up to `seq` are sent out of chunks instead."""
        self.detour = number
        self.live = max(self.live, seq)
        self.gaps = [(max(after, seq), upto) for after, upto in self.gaps if upto > seq]
        if chunks[0] <= chunks[1]:
            self.chunks.append(chunks)

    def rewind(self, chunk: int, note: int, seq: int) -> None:
        """Have everything from a chunk, a note and a commit on sent again; chunks made meanwhile belong to it."""
        self.chunks = [(chunk, FOREVER)]
        self.gaps = [(seq, self.live)] if seq < self.live else []
        self.notes = [(note, self.record)] if note < self.record else []

    def refuse(self, asides: list[Aside]) -> None:
        """Count what was set aside and keep the newest."""
        self.set_aside += len(asides)
        shown = [Aside(one.what[:_SHOWN], one.why[:_SHOWN]) for one in asides[-ASIDES_SHOWN:]]
        self.asides = [*self.asides, *shown][-ASIDES_SHOWN:]

    def fit(self, last: int, last_note: int) -> None:
        """Come back to what the store has: it was begun anew, or restored from a backup."""
        self.live, self.record = min(self.live, last), min(self.record, last_note)
        self.gaps = [(after, min(upto, last)) for after, upto in self.gaps if after < last]
        self.notes = [(after, min(upto, last_note)) for after, upto in self.notes if after < last_note]


def add(ranges: list[Range], after: int, upto: int) -> None:
    """Append a range, joined to the last one where they meet; an empty one is nothing."""
    if upto <= after:
        return
    if ranges and ranges[-1][1] >= after:
        ranges[-1] = (ranges[-1][0], max(upto, ranges[-1][1]))
    else:
        ranges.append((after, upto))
    if len(ranges) > RANGES:
        ranges[:2] = [(ranges[0][0], ranges[1][1])]
