"""The store: one file, one writer, one transaction per group of steps; the end of the line through the house.

Blocking; called from the pipeline's writer thread alone. Readers have connections of their own (`gateway.store.read`).
Keeps house rule 4 and section 4: a commit is whole or absent, and what RAM knows of the file (head of the chain, last
seq) only moves after COMMIT has returned.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.errors import StoreError
from gateway.model.batch import Batch, Mark
from gateway.model.moment import Epoch
from gateway.model.station import StoreSpec
from gateway.store import chain, chunks, detour, eviction, journal, shapes, tables
from gateway.store.connection import MEMORY, Lock, check_header, connect, translated
from gateway.store.epochs import Epochs
from gateway.store.points import assign
from gateway.store.record import RecordRow, Walk, link
from gateway.store.retention import Round
from gateway.store.shapes import LATE, LIVE, Group, Head, JournalRow, Last, Snapshot, Verification

__all__ = ["FAIL_POINTS", "Group", "JournalRow", "Last", "Snapshot", "Store", "Verification"]

T = TypeVar("T")

FAIL_POINTS = ("before_begin", "after_journal", "before_commit", "after_commit")

_encode = msgspec.msgpack.Encoder().encode


class Store:
    """An open store. Every method raises StoreError or a subclass."""

    def __init__(
        self, connection: sqlite3.Connection, *, lock: Lock | None, spec: StoreSpec, faults: Callable[[str], None]
    ) -> None:
        self.connection = connection
        self.path = spec.path
        self.spec = spec
        self.round = Round()
        self.room = eviction.Room()  # as compaction saw it last
        self.uncompacted = chunks.estimate(connection)
        self.copying: Generator[int] | None = None  # compaction between two of its slices
        self.unreadable = 0  # journal rows that compaction could not read
        self._lock = lock
        self._faults = faults
        self._retired = False
        self.walk: Walk | None = None  # over the record
        self.reload()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        lock: Lock | None = None,
        spec: StoreSpec | None = None,
        faults: Callable[[str], None] = lambda _: None,
    ) -> Store:
        """Open or make a store; `":memory:"` for a volatile one. Milliseconds, whatever its size.

        Without `lock` the store takes and releases its own; a fresh connection beside one that hangs is given the lock
        of the first. `spec` says how long telemetry is kept. `faults` is called with the name of each `FAIL_POINTS`.
        """
        with ExitStack() as undo:
            own = None
            if lock is None and str(path) != MEMORY:
                own = lock = Lock(path)
                undo.callback(own.release)
            if lock is not None and lock.first_use():
                check_header(path)
            eviction.let_go(path)
            connection = connect(path)
            undo.callback(connection.close)
            with translated(str(path)):
                store = cls(connection, lock=own, spec=spec or StoreSpec(path=str(path)), faults=faults)
            undo.pop_all()
            return store

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

    # -- writing

    def commit(self, group: Group) -> int:
        """Write a group in one transaction and return its seq; after an exception nothing of it is there.

        The exception's exception: a disk that answers too late may have stored it; a fresh `last()` tells.
        """
        body = journal.encode(group.steps) if group.body is None else group.body
        seq = self._head.last.seq + 1
        boots, marks = dict(self.boots), shapes.changed_marks(self._marks, group.marks)
        self._faults("before_begin")
        with self.transaction() as connection:
            boot = self._boot(boots, group.boot, group.mono)
            kind = LATE if group.late else LIVE
            row = (seq, boot, group.mono, group.wall, kind, body)
            connection.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", row)
            self._faults("after_journal")
            head = self._append_records(row[:3], group.boot, group.records)
            self._write_rows(boot, group)
            connection.executemany(
                "INSERT OR REPLACE INTO mark VALUES (?, ?)", [(s, _encode(kept)) for s, kept in marks.items()]
            )
            epochs = [item for _, inputs in group.steps for item in inputs if isinstance(item, Epoch)]
            self._write_epochs(boots, epochs)
            self._faults("before_commit")
        self._head = head._replace(last=Last(seq, group.boot, group.mono, group.wall))
        self.boots = boots
        self._marks.update(marks)
        self.uncompacted += sum(len(item) for _, inputs in group.steps for item in inputs if isinstance(item, Batch))
        for epoch in epochs:
            self.clock.add(epoch)
        self._faults("after_commit")
        return seq

    def _boot(self, boots: dict[str, int], name: str, mono: int) -> int:
        if name not in boots:
            boots[name] = len(boots) + 1
            self.connection.execute("INSERT INTO boot VALUES (?, ?, ?)", (boots[name], name, mono))
        return boots[name]

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

    def _write_rows(self, boot: int, group: Group) -> None:
        kept = [(name, key, boot, _encode(value)) for name, key, value in _durable(group.rows) if value is not None]
        gone = [(name, key) for name, key, value in _durable(group.rows) if value is None]
        self.connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", kept)
        self.connection.executemany("DELETE FROM state WHERE name = ? AND key = ?", gone)
        detour.advance(self.connection, group.cursors)

    def _write_epochs(self, boots: dict[str, int], epochs: Sequence[Epoch]) -> None:
        self.connection.executemany(
            "INSERT OR IGNORE INTO clock_epoch VALUES (?, ?, ?, ?, ?, ?)",
            [
                (self._boot(boots, e.boot, e.mono_from), e.mono_from, e.wall_offset, e.error, e.source, e.trusted)
                for e in epochs
            ],
        )

    # -- what is kept beside the commits

    def point_ids(self, names: Sequence[str], renames: Mapping[str, str] | None = None) -> dict[str, int]:
        """Return the durable id of every name, making new ones; ids count from 1 and are never reused.

        `renames`: new name → old name (`was`). One that was done before, or whose new name is taken, changes nothing.
        """
        with self.transaction() as connection:
            known = dict(connection.execute("SELECT name, id FROM point").fetchall())
            ids, changed = assign(known, names, renames or {})
            connection.executemany("UPDATE point SET name = '#' || id WHERE id = ?", [(i,) for i, _ in changed])
            connection.executemany(
                "INSERT INTO point VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name", changed
            )
        return {name: ids[name] for name in names}

    def points(self) -> dict[str, int]:
        """Return name → id of every point it knows."""
        with translated(self.path):
            return dict(self.connection.execute("SELECT name, id FROM point").fetchall())

    def save_snapshot(self, seq: int, code_version: str, config_hash: str, blobs: Mapping[str, bytes]) -> None:
        """Keep the state as of commit `seq` in place of the snapshot before."""
        rows = [(name, seq, code_version, config_hash, zlib.compress(body, 1)) for name, body in blobs.items()]
        with self.transaction() as connection:
            connection.execute("DELETE FROM snapshot")
            connection.executemany("INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)", rows)

    def save_configuration(self, config_hash: str, blob: bytes) -> None:
        """Keep a whole configuration as the last good one."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO configuration VALUES (?, (SELECT coalesce(max(used), 0) + 1 FROM configuration), ?)"
                " ON CONFLICT (hash) DO UPDATE SET used = excluded.used, body = excluded.body",
                (config_hash, zlib.compress(blob)),
            )

    def compact(self, limit_ms: int, spared: Container[int] = frozenset()) -> bool:
        """Do a slice of housekeeping; return whether more is to do. `spared`: points whose readings go last."""
        with translated(self.path):
            return chunks.compact(self, limit_ms, spared)

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log beside the file; it grows while a reader holds an old snapshot."""
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except OSError:  # in RAM, or not there yet
            return 0

    # -- reading back at start

    def last(self) -> Last:
        """Return the newest commit."""
        return self._head.last

    def recorded(self) -> int:
        """Return the number of the newest row of the record."""
        return self._head.record

    def rows(self, table: str, kind: type[T], lost: list[str] | None = None) -> dict[str, T]:
        """Return a durable table, by key; rows that cannot be read are told in `lost`."""
        return {key: value for key, (_, value) in self.rows_with_boot(table, kind, lost).items()}

    def rows_with_boot(self, table: str, kind: type[T], lost: list[str] | None = None) -> dict[str, tuple[str, T]]:
        """Return a durable table with the boot on whose clock each row was written, by key; `lost` takes bad rows."""
        lost = [] if lost is None else lost
        with translated(self.path):
            found = tables.state(self.connection, table, kind, lost)
            return {key: (boot, value) for key, boot, value in found}

    def memory(self, key: str) -> str | None:
        """Return a plug-in's remembered text; it is put as a row of table `memory` of a group."""
        return self.rows(shapes.MEMORY, str).get(key)

    def marks(self, session: str) -> list[Mark]:
        """Return the committed but unacknowledged messages of a session."""
        return [Mark(session, packet, digest) for packet, digest in self._marks.get(session, {}).items()]

    def all_marks(self) -> list[Mark]:
        """Return the marks of every session."""
        return [mark for session in self._marks for mark in self.marks(session)]

    def epochs(self) -> list[Epoch]:
        """Return every clock epoch, in order of boots and moments."""
        with translated(self.path):
            return tables.epochs(self.connection)

    def wall_of(self, boot: str, mono: int) -> int | None:
        """Return a stored moment as ns since 1970; None when its boot never knew the time."""
        return self.clock.wall(boot, mono)

    def last_snapshot(self) -> Snapshot | None:
        """Return the newest snapshot."""
        with translated(self.path):
            return tables.snapshot(self.connection)

    def tail(self, after_seq: int) -> Iterator[JournalRow]:
        """Yield the commits after `after_seq`, decoded, in order."""
        with translated(self.path):
            yield from tables.tail(self.connection, after_seq)

    def configuration(self, config_hash: str) -> bytes | None:
        """Return a configuration kept before."""
        with translated(self.path):
            found = tables.configuration(self.connection, config_hash)
        return found[1] if found else None

    def last_good_configuration(self) -> tuple[str, bytes] | None:
        """Return hash and bytes of the configuration taken over last."""
        with translated(self.path):
            return tables.configuration(self.connection, None)

    def verify(self, limit: int) -> Verification:
        """Check the next `limit` rows of the record's chain, see `chain.look_on`."""
        return chain.look_on(self, limit)


def _durable(rows: Sequence[tuple[str, str, Any]]) -> Iterable[tuple[str, str, Any]]:
    return (row for row in rows if not row[0].startswith("_"))
