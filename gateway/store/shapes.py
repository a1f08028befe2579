"""What goes into the store and what comes out of it: plain values, for writer, readers, background work, pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from gateway.model.batch import Mark
from gateway.model.moment import Input

LIVE, LATE = "live", "late"  # kinds of journal rows
MEMORY = "memory"  # the durable table of plug-ins' texts


@dataclass(slots=True)
class Group:
    """What one commit holds; built by the pipeline.

    `steps`: (now, inputs in order); `records`: (kind, body); `rows`: (table, key, value or None = gone), names that
    begin with "_" are skipped; `marks`: to keep, to forget; `cursors`: how far readers of the journal have come,
    negative for one that is no more;
    `late`: appended after the disk came back; `body`: the steps already packed, of which `steps` then has the epochs
    alone. Times: ns.
    """

    boot: str
    mono: int
    wall: int
    steps: Sequence[tuple[int, Sequence[Input]]]
    records: Sequence[tuple[str, msgspec.Struct]] = ()
    rows: Sequence[tuple[str, str, Any]] = ()
    marks: tuple[Sequence[Mark], Sequence[Mark]] = ((), ())
    cursors: Mapping[str, int] = field(default_factory=dict)
    late: bool = False
    body: bytes | None = None


class Last(NamedTuple):
    """The newest commit; seq 0 and no boot when there is none. `wall` is what the clock said, believed or not."""

    seq: int
    boot: str
    mono: int
    wall: int


class JournalRow(NamedTuple):
    """One commit read back."""

    seq: int
    boot: str
    mono: int
    wall: int
    late: bool
    steps: list[tuple[int, list[Input]]]


class Snapshot(NamedTuple):
    """State as of `seq`, one blob per rule kind or part."""

    seq: int
    code_version: str
    config_hash: str
    blobs: dict[str, bytes]


class Verification(NamedTuple):
    """A slice of the chain check: rows looked at, whether the end was reached, first row that does not fit."""

    checked: int
    done: bool
    broken: int | None


class Head(NamedTuple):
    """The end of the file as the writer keeps it in RAM: newest commit, number and hash of the newest record row."""

    last: Last
    record: int
    hash: bytes


class Room(NamedTuple):
    """How much of its room a store has used.

    `used`: bytes of its pages in use; `most`: its budget, 0 without one; `evicted`: readings that went before their
    time, ever; `days`: how far back every point has its readings, None where the time between is not known; `thinning`:
    whether any went in the last 24 h, as far as this start knows.
    """

    used: int = 0
    most: int = 0
    evicted: int = 0
    days: float | None = None
    thinning: bool = False


@dataclass(slots=True)
class Round:
    """Where the present round of trimming stands; kept in RAM, begun anew after a restart."""

    next_at: int = 0  # ns, monotonic
    boot: str = ""
    point: int = 0
    sealed: int | None = 0  # rollups of points up to this one are packed, None: of all
    years: Iterator[bool] | None = None  # of the record, looked at when all else is done
    running: bool = False
    thinning_until: int = 0  # ns, monotonic: a day after readings last went before their time


def changed_marks(
    kept: Mapping[str, dict[int, bytes]], marks: tuple[Sequence[Mark], Sequence[Mark]]
) -> dict[str, dict[int, bytes]]:
    """Return the sessions that change, whole; what RAM holds stays as it is until the commit has returned."""
    keep, forget = marks
    changed = {session: dict(kept.get(session, {})) for session in {mark.session for mark in (*keep, *forget)}}
    for mark in forget:
        if changed[mark.session].get(mark.packet) == mark.digest:
            del changed[mark.session][mark.packet]
    for mark in keep:
        changed[mark.session][mark.packet] = mark.digest
    return changed
