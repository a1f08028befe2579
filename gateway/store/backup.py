"""A copy of the store while the daemon goes on writing: in slices, each a short look of its own, joined at a seam.

Blocking, in a process of its own (house section 4: heavy work beside the daemon, and no reader holds a snapshot longer
than a second, because a held one lets the WAL grow). SQLite's own backup begins anew whenever the writer commits, and
`VACUUM INTO` holds one snapshot to its end. Here the large tables are copied first, row by row as stored; they only
grow at their ends, and rollups change only where chunks came, or where they were packed. The seam is one short snapshot
that finds no new chunk: it takes the small tables and what was appended last. The copy is the store as it stood at one
commit, chain and all.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gateway.clock import DAY
from gateway.errors import StoreError
from gateway.store.connection import connect_readonly, translated
from gateway.store.migrate import check_version
from gateway.store.packed import BLOCKS
from gateway.store.rollup import WIDTHS
from gateway.store.tables import begin, head

SLICE = 1 << 20  # bytes read in one look: milliseconds, on a slow card some ten
TRIES = 20  # seams that may fail because compaction was quicker
_PRIVATE = 0o600
_ENDS = {"chunk": "id", "packed": "id", "record": "n", "journal": "seq"}  # grow at their end, and by which column
_TELEMETRY = frozenset({"chunk", "packed"})
_WHOLE = "SELECT * FROM {table} WHERE (point, boot, t) > (?1, ?2, ?3) ORDER BY point, boot, t"
_PLACE = "SELECT * FROM {table} WHERE point = ?1 AND boot = ?2 AND t > ?3 ORDER BY t"
_END = "SELECT * FROM {table} WHERE {column} > ?1 ORDER BY {column}"

Progress = Callable[[int], None]  # bytes copied since the last call
Row = tuple[Any, ...]
Filter = Callable[[str, Row], Row | None]  # of a small table's row: as it is to stand in the copy, None: not at all


class Copied(NamedTuple):
    """What the copy holds: schema, newest commit, number and hash of the newest record row."""

    schema: int
    seq: int
    record: int
    hash: str


def backup(
    source: str | Path,
    target: Path,
    progress: Progress = lambda _: None,
    *,
    telemetry: bool = True,
    keep: Filter = lambda _, row: row,
) -> Copied:
    """Copy a store to a file that is not there yet, also beside a running daemon.

    Without `telemetry` chunks and rollups stay empty: what a trial needs, in a moment. What `keep` holds back is never
    written: deleted afterwards it could still be found in the bytes of the file. Raises StoreError and its kinds
    (StoreFull: no room at the target); no half copy is left behind.
    """
    with closing(connect_readonly(source)) as reading:
        with translated(str(source)):
            version = check_version(reading)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))
        try:
            with translated(str(target)), closing(sqlite3.connect(target, isolation_level=None)) as writing:
                copied = _Copy(reading, writing, progress, keep, telemetry=telemetry).whole(version)
            with target.open("rb") as file:
                os.fsync(file.fileno())
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    return copied


@dataclass(slots=True)
class _Copy:
    """One run. `reading` never holds a transaction longer than a slice, but for the seam."""

    reading: sqlite3.Connection
    writing: sqlite3.Connection
    progress: Progress
    keep: Filter
    telemetry: bool
    ends: dict[str, str] = field(default_factory=dict)  # of `_ENDS` those that are copied: schema 1 has nothing packed

    def whole(self, version: int) -> Copied:
        pragmas = "journal_mode = OFF", "synchronous = OFF", "page_size = 4096", "secure_delete = ON"
        for pragma in pragmas:  # without a journal: a half copy is thrown away
            self.writing.execute(f"PRAGMA {pragma}")
        tables, later = self._schema()
        self.ends = {t: c for t, c in _ENDS.items() if t in tables and (self.telemetry or t not in _TELEMETRY)}
        begun, packed = self._newest(), self._end("packed")
        for table in WIDTHS if self.telemetry else ():
            self._copy(table, _WHOLE.format(table=table), (-1, -1, -1))
        for table in self.ends:
            self._append(table)
        for _ in range(TRIES):
            begun = self._catch_up(begun)
            copied = self._seam(tables, begun, packed, version)
            if copied is not None:
                break
        else:
            raise StoreError("the store changes too fast to be copied: try again when it is quieter")
        for sql in later:
            self.writing.execute(sql)
        self.writing.execute(f"PRAGMA application_id = {self._pragma('application_id')}")
        self.writing.execute(f"PRAGMA user_version = {version}")
        self.writing.execute("PRAGMA journal_mode = WAL")
        return copied

    def _pragma(self, name: str) -> int:
        return int(self.reading.execute(f"PRAGMA {name}").fetchone()[0])

    def _schema(self) -> tuple[list[str], list[str]]:
        """Make the tables; returns their names, and the statements of what comes last (indexes)."""
        sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
        rows = self.reading.execute(sql).fetchall()
        for kind, _, statement in rows:
            if kind == "table":
                self.writing.execute(statement)
        return [name for kind, name, _ in rows if kind == "table"], [text for kind, _, text in rows if kind != "table"]

    def _newest(self) -> int:
        return self._end("chunk")

    def _end(self, table: str) -> int:
        """Return where a table ends, 0 for one that is not copied."""
        if table not in self.ends:
            return 0
        sql = f"SELECT coalesce(max({self.ends[table]}), 0) FROM {table}"  # noqa: S608 - ours
        return int(self.reading.execute(sql).fetchone()[0])

    def _catch_up(self, begun: int) -> int:
        """Copy what came since chunk `begun`: the chunks, and the rollups that they changed; returns the newest."""
        newest = self._newest()
        places = "SELECT point, boot, min(t0), max(s0) FROM chunk WHERE id > ? AND id <= ? GROUP BY point, boot"
        for point, boot, first, dated in self.reading.execute(places, (begun, newest)).fetchall():
            earliest = first - (DAY if dated else 0)  # a source's own time is believed up to a day back
            for table, width in WIDTHS.items():
                self._copy(table, _PLACE.format(table=table), (point, boot, earliest // width - 1))
        for table in self.ends:
            self._append(table)
        return newest

    def _append(self, table: str) -> None:
        column = self.ends[table]
        (last,) = self.writing.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchone()  # noqa: S608 - ours
        self._copy(table, _END.format(table=table, column=column), (last,))

    def _copy(self, table: str, sql: str, after: tuple[int, ...]) -> None:
        """Copy what follows a key, about `SLICE` bytes at a time, each a look of its own; the key leads each row."""
        size = SLICE
        while size >= SLICE:
            rows, size = [], 0
            with closing(self.reading.execute(sql, after)) as cursor:
                for row in cursor:
                    rows.append(row)
                    size += _weight(row)
                    if size >= SLICE:
                        break
            self._write(table, rows)
            after = rows[-1][: len(after)] if rows else after

    def _write(self, table: str, rows: list[Any]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self.writing.execute("BEGIN")
            self.writing.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608 - as above
            self.writing.execute("COMMIT")
            self.progress(sum(map(_weight, rows)))

    def _seam(self, tables: list[str], newest: int, packed: int, version: int) -> Copied | None:
        """Take the rest as of one moment; None when chunks came meanwhile."""
        self.reading.execute("BEGIN")
        try:
            if self._newest() != newest:
                return None
            for table in self.ends:
                self._append(table)
            self._unpack(packed)
            for table in tables:
                if table not in _ENDS and table not in WIDTHS:
                    self.writing.execute(f"DELETE FROM {table}")  # noqa: S608 - as above
                    rows = self.reading.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                    self._write(table, [kept for row in rows if (kept := self.keep(table, row)) is not None])
            (first,) = self.reading.execute("SELECT coalesce(min(seq), 0) FROM journal").fetchone()
            self.writing.execute("DELETE FROM journal WHERE seq < ?", (first,))
            self.writing.execute("DELETE FROM record WHERE n <= ?", (begin(self.reading).n,))  # years went meanwhile
            end = head(self.reading)
        finally:
            self.reading.execute("ROLLBACK")
        return Copied(version, end.last.seq, end.record, end.hash.hex())

    def _unpack(self, after: int) -> None:
        """Take the rows of blocks that were packed since block `after` as they stand now: none but late ones."""
        if "packed" not in self.ends:
            return
        sql = "SELECT DISTINCT width, point, boot, block FROM packed WHERE id > ?"
        for table, point, boot, block in self.reading.execute(sql, (after,)).fetchall():
            place = point, boot, block * BLOCKS[table], (block + 1) * BLOCKS[table] - 1
            within = f"FROM {table} WHERE point = ? AND boot = ? AND t BETWEEN ? AND ?"
            self.writing.execute(f"DELETE {within}", place)
            self._write(table, self.reading.execute(f"SELECT * {within}", place).fetchall())


def _weight(row: tuple[Any, ...]) -> int:
    return 8 * len(row) + sum(len(value) for value in row if isinstance(value, bytes | str))
