"""A store while it is open: its connection, transactions, the end of its record, and where background work stands.

Under `gateway.store.database`, whose `Store` adds commits; what works on a store between two of them (`chunks`,
`eviction`, `retention`, `packed`, `years`, `chain`) needs no more than this. Keeps house rule 4: what RAM knows of the
file only moves after COMMIT has returned.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from gateway.errors import StoreError
from gateway.model.moment import Epoch
from gateway.model.station import StoreSpec
from gateway.store import tables
from gateway.store.connection import Lock, translated
from gateway.store.epochs import Epochs
from gateway.store.record import RecordRow, Walk, link
from gateway.store.shapes import Head, Last, Room, Round

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode


class OpenStore:
    """An open store. Every method raises StoreError or a subclass.

    Attributes:
        boots, clock: name of a boot → its number, and what the clocks of boots told.
        round, room: retention and the room left, as they were seen last.
        uncompacted, unreadable: readings that wait for compaction, and journal rows that it could not read.
        copying: compaction between two of its slices.
        walk: the check of the record between two of its slices.
    """

    def __init__(self, connection: sqlite3.Connection, *, lock: Lock | None, spec: StoreSpec) -> None:
        self.connection = connection
        self.path = spec.path
        self.spec = spec
        self.round = Round()
        self.room = Room()
        self.uncompacted = 0
        self.unreadable = 0
        self.copying: Generator[int] | None = None
        self.walk: Walk | None = None
        self._lock = lock
        self._retired = False
        self.reload()

    def reload(self) -> None:
        """Take from the file what RAM knows of it."""
        with translated(self.path):
            self.boots = tables.boots(self.connection)
            self.clock = Epochs(tables.epochs(self.connection))
            self._marks = tables.marks(self.connection)
            self._head = tables.head(self.connection)

    def resume_after(self, seq: int) -> None:
        """Number commits on from `seq`: of a store that is begun with what was salvaged of another."""
        self._head = self._head._replace(last=self._head.last._replace(seq=seq))

    def close(self) -> None:
        """Close the connection and give the lock up; a second call does nothing."""
        self.connection.close()
        if self._lock is not None:
            self._lock.release()

    def retire(self) -> None:
        """Let nothing be written through it any more: another connection takes over. Never blocks, from any thread.

        What hangs before its transaction fails when it wakes; what hangs inside one holds the write lock, so nobody
        takes over before it has ended.
        """
        self._retired = True

    def _check_in_charge(self) -> None:
        if self._retired:
            raise StoreError(f"{self.path}: this connection was given up, another has taken over")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; the body may raise anything."""
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_in_charge()
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def last(self) -> Last:
        """Return the newest commit."""
        return self._head.last

    def recorded(self) -> int:
        """Return the number of the newest row of the record."""
        return self._head.record

    def rows_with_boot(self, table: str, kind: type[T], lost: list[str] | None = None) -> dict[str, tuple[str, T]]:
        """Return a durable table with the boot on whose clock each row was written, by key; `lost` takes bad rows."""
        lost = [] if lost is None else lost
        with translated(self.path):
            found = tables.state(self.connection, table, kind, lost)
            return {key: (boot, value) for key, boot, value in found}

    def epochs(self) -> list[Epoch]:
        """Return every clock epoch, in order of boots and moments."""
        with translated(self.path):
            return tables.epochs(self.connection)

    def wall_of(self, boot: str, mono: int) -> int | None:
        """Return a stored moment as ns since 1970; None when its boot never knew the time."""
        return self.clock.wall(boot, mono)

    def note(self, kind: str, body: msgspec.Struct, beside: Callable[[sqlite3.Connection, int], None]) -> None:
        """Append a row of the store's own to the record, of the newest commit; `beside` is given its number."""
        last = self._head.last
        with self.transaction() as connection:
            head = self._append_records((last.seq, self.boots[last.boot], last.mono), last.boot, [(kind, body)])
            beside(connection, head.record)
        self._head = head

    def _append_records(
        self, place: tuple[int, int, int], boot: str, records: Iterable[tuple[str, msgspec.Struct]]
    ) -> Head:
        """Link rows to the chain; `place`: seq, number of the boot, moment."""
        n, before = self._head.record, self._head.hash
        rows = []
        for n, (kind, body) in enumerate(records, start=n + 1):  # noqa: B020 - n goes on from the head
            stored = _encode(body)
            before = link(before, RecordRow(n, place[0], boot, place[2], kind, stored))
            rows.append((n, *place, kind, stored, before))
        self.connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        return self._head._replace(record=n, hash=before)
