"""The store: one file, one writer, one transaction per group of steps; the end of the line through the house.

Blocking; called from the pipeline's writer thread alone. Readers have connections of their own (`gateway.store.read`).
Keeps house rule 4 and section 4: a commit is whole or absent, and what RAM knows of the file (head of the chain, last
seq) only moves after COMMIT has returned.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.model.batch import Batch, Mark
from gateway.model.moment import Epoch
from gateway.model.station import StoreSpec
from gateway.store import chain, chunks, detour, eviction, journal, shapes, tables
from gateway.store.connection import MEMORY, Lock, check_header, connect, translated
from gateway.store.opened import OpenStore
from gateway.store.points import assign
from gateway.store.shapes import LATE, LIVE, Group, JournalRow, Last, Snapshot, Verification

__all__ = ["FAIL_POINTS", "Group", "JournalRow", "Last", "Snapshot", "Store", "Verification"]

T = TypeVar("T")

FAIL_POINTS = ("before_begin", "after_journal", "before_commit", "after_commit")

_encode = msgspec.msgpack.Encoder().encode


class Store(OpenStore):
    """An open store that takes commits. Every method raises StoreError or a subclass."""

    def __init__(
        self, connection: sqlite3.Connection, *, lock: Lock | None, spec: StoreSpec, faults: Callable[[str], None]
    ) -> None:
        super().__init__(connection, lock=lock, spec=spec)
        self.uncompacted = chunks.estimate(connection)
        self._faults = faults

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

    def others(self, rows: Iterable[tuple[str, str, Any]]) -> list[tuple[str, str, None]]:
        """Return (table, key, None) of every durable row that is not among `rows`: what is left of another life.

        The detours of sinks are of no life and are not among them.
        """
        ours = {(table, key) for table, key, _ in rows}
        with translated(self.path):
            sql = "SELECT name, key FROM state WHERE name != ?"
            there = self.connection.execute(sql, (detour.TABLE,)).fetchall()
        return [(table, key, None) for table, key in there if (table, key) not in ours]

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

    def rows(self, table: str, kind: type[T], lost: list[str] | None = None) -> dict[str, T]:
        """Return a durable table, by key; rows that cannot be read are told in `lost`."""
        return {key: value for key, (_, value) in self.rows_with_boot(table, kind, lost).items()}

    def memory(self, key: str) -> str | None:
        """Return a plug-in's remembered text; it is put as a row of table `memory` of a group."""
        return self.rows(shapes.MEMORY, str).get(key)

    def marks(self, session: str) -> list[Mark]:
        """Return the committed but unacknowledged messages of a session."""
        return [Mark(session, packet, digest) for packet, digest in self._marks.get(session, {}).items()]

    def all_marks(self) -> list[Mark]:
        """Return the marks of every session."""
        return [mark for session in self._marks for mark in self.marks(session)]

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
