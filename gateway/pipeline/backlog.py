"""What the disk has not taken yet: groups in order, packed, with the newest value of every durable row.

Beside the ledger, while the house lives without its disk (house section 7). Readings are bounded in bytes and go first,
oldest first; records (events, transitions, acts) are always kept, of a notice at least its newest state. Rows are kept
once each with their newest value and written with the first group that reaches the disk: a kill between two groups then
leaves an alarm book that is ahead of its journal, never behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gateway.errors import StoreError
from gateway.model.batch import Batch, Mark
from gateway.model.moment import Epoch, Input
from gateway.model.notification import Notification
from gateway.store import journal
from gateway.store.database import Store
from gateway.store.shapes import Group

log = logging.getLogger(__name__)
BACKLOG_BYTES = 16 << 20  # packed readings kept in RAM while the disk is dead
ENTRY_BYTES = 600  # what a group costs beside its body
NOTICE_BYTES = 8 << 20  # records of notices, packed, at which those that a later state supersedes go
_pack = msgspec.msgpack.Encoder().encode

Row = tuple[str, str, Any]
Steps = Sequence[tuple[int, Sequence[Input]]]


@dataclass(slots=True)
class Late:
    """One group, its steps packed.

    `marks`: of messages that are not acknowledged yet; `offered`: those that may stand on the disk with it.
    """

    group: Group
    readings: int
    size: int
    marks: set[Mark]
    thin: bool = False  # its readings are gone
    empty: bool = False  # nothing else was in it
    offered: tuple[Mark, ...] = ()


class Backlog:
    """Groups the disk lacks. Their place tells their sequence number, so only those never offered may vanish."""

    def __init__(self, limit: int = BACKLOG_BYTES) -> None:
        self._limit = limit
        self._entries: list[Late] = []
        self._rows: dict[tuple[str, str], Any] = {}
        self._offered = 0  # so many from the first on may stand on the disk already
        self._forget: list[Mark] = []  # marks on the disk that are to go, with the rows
        self._forgetting = 0  # so many of them with the attempt that is under way
        self._writing: dict[tuple[str, str], Any] = {}  # rows of the attempt that is under way
        self._notices = 0  # bytes of records of notices since the last thinning
        self._cut = False  # groups have vanished, their rows have not
        self._alone = False  # rows of the disk that are not among these are of another life, and go
        self.size = 0
        self.dropped = 0  # readings that could not be kept

    def __bool__(self) -> bool:
        return bool(self._entries or self._rows)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, group: Group, readings: int, *, offered: bool = False) -> Late:
        """Keep a group. `offered`: a commit of it was begun and may yet succeed."""
        self._forget += group.marks[1]
        self._rows.update({(table, key): value for table, key, value in group.rows if _fits(value)})
        steps, body = _encode(group.steps)
        records = [(kind, record) for kind, record in group.records if _fits(record)]
        late = Late(
            group=replace(group, body=body, steps=_epochs(steps), records=records, rows=(), marks=((), ()), late=True),
            readings=readings,
            size=len(body) + ENTRY_BYTES,
            marks=set(group.marks[0]),
            offered=tuple(group.marks[0]) if offered else (),
        )
        self._entries.append(late)
        self._offered += offered
        self.size += late.size
        if self.size > self._limit:
            self._thin()
        self._notices += sum(len(_pack(record)) for kind, record in records if kind == "notice")
        if self._notices > NOTICE_BYTES:
            self._supersede()
        return late

    def _supersede(self) -> None:
        """Of every notice keep the newest state: what it went through on its way is the least of what is recorded."""
        newest: set[int] = set()
        for late in reversed(self._entries):
            kept = []
            for kind, record in reversed(late.group.records):
                if not isinstance(record, Notification) or record.id not in newest:
                    kept.append((kind, record))
                if isinstance(record, Notification):
                    newest.add(record.id)
            late.group = replace(late.group, records=kept[::-1])
        self._notices = 0  # the next look when as much again has come

    def _thin(self) -> None:
        """Let readings go, oldest first, until what is kept is half of what is allowed: so this is done rarely."""
        kept: list[Late] = []
        for place, late in enumerate(self._entries):
            if not late.thin and self.size > self._limit // 2:
                self._strip(late)
            if place < self._offered or not late.empty:
                kept.append(late)
            else:
                self.size -= late.size
                self._cut = True
        self._entries = kept

    def _strip(self, late: Late) -> None:
        """Keep of a group what people did and what was proved; readings and plain steps go."""
        steps = [(now, [item for item in inputs if not isinstance(item, Batch) or item.events])
                 for now, inputs in journal.decode(late.group.body or journal.encode(()))]  # fmt: skip
        steps = [(now, inputs) for now, inputs in steps if inputs]
        body = journal.encode(steps)
        late.group = replace(late.group, body=body)
        self.dropped += late.readings
        self.size += len(body) + ENTRY_BYTES - late.size
        late.size, late.readings = len(body) + ENTRY_BYTES, 0
        late.thin, late.empty = True, not (steps or late.group.records)
        late.marks.clear()

    # -- back to the disk

    def found(self, number: int) -> None:
        """Take note that the first `number` groups stand on the disk; their marks of what is acknowledged are to go."""
        if number:  # what is of another life went with the first of them; the marks that came with it are to stay
            self._alone = False
        for late in self._entries[:number]:
            self.size -= late.size
            self._forget += [mark for mark in late.offered if mark not in late.marks]
        del self._entries[:number]
        self._offered = max(0, self._offered - number)
        if number and not self._entries and not self._cut:
            self._rows.clear()  # each came with its group

    def begin_anew(self, rows: Iterable[Row]) -> None:
        """Take note that the disk has nothing of this life: every durable row is to be written, in place of others."""
        self._rows = {(table, key): value for table, key, value in rows if _fits(value)}
        self._offered = 0
        self._alone = True

    @property
    def offered(self) -> int:
        """Return how many groups, from the first on, may stand on the disk."""
        return self._offered

    @property
    def alone(self) -> bool:
        """Whether the rows of the next attempt are all there are: others on the disk go with its first group."""
        return self._alone

    def offer(self) -> tuple[list[Group], list[Row]]:
        """Return what an attempt is to write: groups in order, and rows for the first of them."""
        self._writing, self._rows = self._rows, {}
        self._offered = len(self._entries)
        for late in self._entries:
            late.offered = tuple(late.marks)
        groups = [replace(late.group, marks=(late.offered, ())) for late in self._entries]
        if groups:
            groups[0].marks = (groups[0].marks[0], tuple(self._forget))
        self._forgetting = len(self._forget) if groups else 0
        return groups, [(table, key, value) for (table, key), value in self._writing.items()]

    def settle(self, written: int, *, whole: bool) -> None:
        """Take note of how an attempt ended: so many groups are written; the one after them may be if it failed."""
        if written:
            del self._forget[: self._forgetting]
        self.found(written)
        if not whole:
            self._offered = min(len(self._entries), 1)
            self._rows = {**self._writing, **self._rows}
            for late in self._entries[1:]:
                late.offered = ()
        self._writing = {}

    def forgettable(self) -> list[Mark]:
        """Return the marks that are to go and that no group has taken along; they are the caller's from then on."""
        marks, self._forget = self._forget, []
        return marks


def _fits(value: object) -> bool:
    """Tell whether the store can pack it: one value that it cannot must not keep everything else from the disk."""
    try:
        _pack(value)
    except Exception:
        log.exception("it cannot be recorded: %.200r", value)
        return False
    return True


def _encode(steps: Steps) -> tuple[Steps, bytes]:
    """Return the steps that can be packed, and packed; one that cannot is left out."""
    try:
        return steps, journal.encode(steps)
    except Exception:  # noqa: BLE001 - looked for step by step
        good = [one for one in steps if _packs(one)]
        return good, journal.encode(good)


def _packs(step: tuple[int, Sequence[Input]]) -> bool:
    try:
        journal.encode([step])
    except Exception:
        log.exception("a step cannot be journalled and is left out")
        return False
    return True


def _epochs(steps: Sequence[tuple[int, Sequence[Any]]]) -> list[tuple[int, list[Epoch]]]:
    """Return what the store looks for in the steps beside their packed form."""
    found = ((now, [item for item in inputs if isinstance(item, Epoch)]) for now, inputs in steps)
    return [(now, epochs) for now, epochs in found if epochs]


def append(
    store: Store, groups: Sequence[Group], rows: Sequence[Row], boot: tuple[str, int, int], *, alone: bool = False
) -> tuple[int, StoreError | None]:
    """Append groups in order, rows with the first; blocking. Returns how many are written and what went wrong, if any.

    `boot`: (boot, mono, wall) for rows that no group waits to carry. `alone`: the store's other rows and its marks go
    with the first group as well.
    """
    if not groups:
        groups = [Group(boot=boot[0], mono=boot[1], wall=boot[2], steps=(), late=True)]
    if alone:
        try:
            rows = [*store.others(rows), *rows]
        except StoreError as error:
            return 0, error
        keep, forget = groups[0].marks
        groups = [replace(groups[0], marks=(keep, (*forget, *store.all_marks()))), *groups[1:]]
    for number, group in enumerate(groups):
        try:
            store.commit(group if number else replace(group, rows=rows))
        except StoreError as error:
            return number, error
    return len(groups), None
