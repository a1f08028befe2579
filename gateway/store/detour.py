"""Detours: when a sink is further behind than the journal may grow, the rest of its way leads through chunks.

Of compaction (`gateway.store.chunks`): the cursor is moved on and a row of table `detour` says which chunks hold what
it was moved past, in one transaction; the journal's rows may then go (house section 4). The range begins a little
early: a reading may have waited in the intake longer than another, and sending one twice leaves it there once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec

from gateway.clock import MINUTE

TABLE = "detour"
KEPT = 50  # detours remembered: a sink that runs takes each up within a second
EARLY = 10 * MINUTE
_SAMPLE = 50  # rows at either end whose sizes stand for all


class Detour(msgspec.Struct, frozen=True, array_like=True):
    """The `number`th of its cursor: readings of commits up to `seq` stand in the chunks `begin` … `end`."""

    number: int
    seq: int
    begin: int
    end: int


_rows = msgspec.msgpack.Decoder(list[Detour])
_pack = msgspec.msgpack.Encoder().encode


def advance(connection: sqlite3.Connection, cursors: Mapping[str, int]) -> None:
    """Write cursors; never back: a detour may have led one on, and the rows before it are gone. Negative: no more."""
    connection.executemany(
        "INSERT INTO cursor VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = max(seq, excluded.seq)",
        [(name, seq) for name, seq in cursors.items() if seq >= 0],
    )
    connection.executemany("DELETE FROM cursor WHERE name = ?", [(name,) for name, seq in cursors.items() if seq < 0])


def read(connection: sqlite3.Connection, cursor: str) -> list[Detour]:
    """Return the detours of a cursor, oldest first."""
    row = connection.execute("SELECT body FROM state WHERE name = ? AND key = ?", (TABLE, cursor)).fetchone()
    return _rows.decode(row[0]) if row else []


def needed(connection: sqlite3.Connection, limit: int, budget: int) -> list[tuple[str, int]]:
    """Return (cursor, seq) of those that hold more than `budget` bytes of the journal that could go up to `limit`."""
    behind = connection.execute("SELECT name, seq FROM cursor WHERE seq < ?", (limit,)).fetchall()
    return behind if behind and _weight(connection, min(seq for _, seq in behind), limit) > budget else []


def _weight(connection: sqlite3.Connection, after: int, upto: int) -> int:
    """Return about how many bytes the journal's rows in (after, upto] take; rows at both ends stand for the rest."""
    sql = (
        "SELECT coalesce(min(seq), 0), coalesce(max(seq), -1), coalesce(avg(length(body)), 0) FROM ("
        "SELECT seq, body FROM (SELECT seq, body FROM journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3)"
        " UNION SELECT seq, body FROM"
        " (SELECT seq, body FROM journal WHERE seq > ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3))"
    )
    first, last, mean = connection.execute(sql, (after, upto, _SAMPLE)).fetchone()
    return round(float((last - first + 1) * mean))


def make(connection: sqlite3.Connection, cursor: str, seq: int, upto: int) -> None:
    """Lead a cursor that stands at `seq` past `upto`, all of which is in chunks; inside the caller's transaction."""
    sql = "SELECT boot, mono FROM journal WHERE seq > ? ORDER BY seq LIMIT 1"
    boot, mono = connection.execute(sql, (seq,)).fetchone() or (0, 0)
    sql = "SELECT coalesce(min(id), 1 << 62), coalesce(max(id), 0) FROM chunk"
    begin, _ = connection.execute(
        f"{sql} WHERE (boot = ? AND t1 >= ?) OR boot > ?", (boot, mono - EARLY, boot)
    ).fetchone()
    _, end = connection.execute(sql).fetchone()
    before = read(connection, cursor)
    number = before[-1].number + 1 if before else 1
    body = _pack([*before, Detour(number, upto, min(begin, end + 1), end)][-KEPT:])
    newest = connection.execute("SELECT coalesce(max(id), 1) FROM boot").fetchone()[0]
    connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", (TABLE, cursor, newest, body))
    connection.execute("UPDATE cursor SET seq = ? WHERE name = ?", (upto, cursor))
