"""What stands in the tables, read back as values: shared by the writer at start, by readers and by salvage.

Functions over an open connection; nothing here writes. Callers translate SQLite's errors (`connection.translated`).
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

import msgspec

from gateway.errors import StoreCorrupt
from gateway.model.moment import Epoch
from gateway.store import journal
from gateway.store.record import Begin, RecordRow, broken
from gateway.store.shapes import LATE, Head, JournalRow, Last, Snapshot

T = TypeVar("T")
_TAIL_SLICE = 64  # journal rows fetched at once, so that no snapshot is held for long


def epochs(connection: sqlite3.Connection) -> list[Epoch]:
    """Return every clock epoch, in order of boots and moments."""
    sql = (
        "SELECT boot.name, mono_from, wall_offset, error, source, trusted FROM clock_epoch"
        " JOIN boot ON boot.id = clock_epoch.boot ORDER BY boot.id, mono_from"
    )
    return [
        Epoch(boot=boot, mono_from=start, wall_offset=offset, error=error, source=source, trusted=bool(trusted))
        for boot, start, offset, error, source, trusted in connection.execute(sql)
    ]


def boots(connection: sqlite3.Connection) -> dict[str, int]:
    """Return boot name → number; numbers grow in the order in which boots were first written."""
    return dict(connection.execute("SELECT name, id FROM boot ORDER BY id").fetchall())


def record(connection: sqlite3.Connection, after: int, limit: int) -> list[RecordRow]:
    """Return up to `limit` rows of the record after number `after`."""
    sql = (
        "SELECT n, seq, boot.name, record.mono, kind, body, hash FROM record JOIN boot ON boot.id = record.boot"
        " WHERE n > ? ORDER BY n LIMIT ?"
    )
    return [RecordRow(*row) for row in connection.execute(sql, (after, limit))]


def begin(connection: sqlite3.Connection) -> Begin:
    """Return where the record begins; at its first row in a store of schema 1 or 2."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'record_begin'").fetchone():
        return Begin()
    row = connection.execute("SELECT n, hash, upto, said FROM record_begin").fetchone()
    return Begin(*row) if row else Begin()


def state(connection: sqlite3.Connection, table: str, kind: type[T], lost: list[str]) -> Iterator[tuple[str, str, T]]:
    """Yield (key, boot on whose clock it was written, value) of a durable table; a row that is damaged goes to `lost`.

    The others go on: one bad row must cost neither the alarms beside it nor the start.
    """
    decoder = msgspec.msgpack.Decoder(kind)
    sql = (
        "SELECT key, coalesce(boot.name, 'lost-' || state.boot), body"  # as `salvage` names a boot that is not known
        " FROM state LEFT JOIN boot ON boot.id = state.boot WHERE state.name = ?"
    )
    for key, boot, body in connection.execute(sql, (table,)).fetchall():
        try:
            value = decoder.decode(body)
        except ValueError as error:
            lost.append(f"row {key!r} of table {table!r} cannot be read: {error}")
        else:
            yield key, boot, value


def marks(connection: sqlite3.Connection) -> dict[str, dict[int, bytes]]:
    """Return packet id → digest of what is unacknowledged, by session.

    Of a damaged row nothing: what is sent again is then handled twice, which is better than not at all.
    """
    found = {}
    for session, body in connection.execute("SELECT session, body FROM mark").fetchall():
        with suppress(ValueError):
            found[session] = msgspec.msgpack.decode(body, type=dict[int, bytes])
    return found


def tail(connection: sqlite3.Connection, after: int) -> Iterator[JournalRow]:
    """Yield the commits after `after`, decoded, in order."""
    sql = (
        "SELECT seq, boot.name, journal.mono, wall, kind, body FROM journal JOIN boot ON boot.id = journal.boot"
        " WHERE seq > ? ORDER BY seq LIMIT ?"
    )
    while rows := connection.execute(sql, (after, _TAIL_SLICE)).fetchall():
        for seq, boot, mono, wall, kind, body in rows:
            yield JournalRow(seq, boot, mono, wall, kind == LATE, journal.decode(body))
        after = rows[-1][0]


def snapshot(connection: sqlite3.Connection) -> Snapshot | None:
    """Return the newest snapshot."""
    rows = connection.execute("SELECT seq, code, configuration, name, body FROM snapshot").fetchall()
    if not rows:
        return None
    seq, code, configuration = rows[0][:3]
    return Snapshot(seq, code, configuration, {row[3]: _inflated(row[4]) for row in rows})


def configuration(connection: sqlite3.Connection, config_hash: str | None) -> tuple[str, bytes] | None:
    """Return (hash, bytes) of a configuration, or of the one taken over last."""
    sql = "SELECT hash, body FROM configuration WHERE ?1 IS NULL OR hash = ?1 ORDER BY used DESC LIMIT 1"
    row = connection.execute(sql, (config_hash,)).fetchone()
    return (row[0], _inflated(row[1])) if row else None


def head(connection: sqlite3.Connection) -> Head:
    """Read the ends of journal and record; StoreCorrupt when one is not what was written."""
    names = {number: name for name, number in boots(connection).items()}
    row = connection.execute("SELECT seq, boot, mono, wall, body FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    if row and row[1] not in names:
        raise StoreCorrupt("the newest commit is of a boot that is not known")
    last = Last(row[0], names[row[1]], row[2], row[3]) if row else _before_any(connection)
    (n,) = connection.execute("SELECT coalesce(max(n), 0) FROM record").fetchone()
    ends = record(connection, max(0, n - 2), 2)
    gone = begin(connection)
    before = ends[0].hash if len(ends) > 1 else gone.hash
    if ends and broken(before, ends[-1:], n) is not None:
        raise StoreCorrupt("the end of the record does not follow from what stands before it")
    return Head(last, max(n, gone.n), ends[-1].hash if ends else gone.hash)


def _before_any(connection: sqlite3.Connection) -> Last:
    """Return what stands for the newest commit of a store without one: of a salvaged store the newest boot is known."""
    row = connection.execute("SELECT name, mono FROM boot ORDER BY id DESC LIMIT 1").fetchone()
    return Last(0, row[0], row[1], 0) if row else Last(0, "", 0, 0)


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error as error:
        raise StoreCorrupt(f"a stored blob cannot be read: {error}") from error
