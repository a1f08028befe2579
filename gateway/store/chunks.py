"""Compaction: readings leave the journal for chunks of one point each, and journal rows nobody needs any more go.

Called in slices by the pipeline between commits, in the writer's thread. A pass takes several slices and ends with one
transaction: chunks, rollups, the new mark of progress and the deletion of journal rows appear together, so that at
every moment each reading stands in chunks or in the tail (`seq` past the progress), never in both. House section 4.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Container, Generator, Iterator

import msgspec
import numpy as np

from gateway.clock import DAY, HOUR, MINUTE
from gateway.errors import StoreCorrupt, StoreError
from gateway.model.batch import Ints
from gateway.store import detour, eviction, retention, rollup
from gateway.store.columns import pack_bytes, pack_floats, pack_ints, unpack_bytes, unpack_floats, unpack_ints
from gateway.store.journal import DAMAGE, Readings, decode_readings
from gateway.store.opened import OpenStore

CHUNK_SPAN = 10 * MINUTE  # readings wait this long in the journal; as long as few do, up to `CHUNK_SPAN_FEW`
CHUNK_SPAN_FEW = HOUR  # a chunk costs 150 bytes beside its readings: of points that speak rarely it is to hold many
FEW_READINGS = 5_000  # of all points; so many are the rows of minutes that a pass writes at once
FEW_COMMITS = 600  # whoever asks for readings unpacks them all
CHUNK_READINGS = 4_096  # the longest chunk
LONGEST = (
    DAY  # between first and last arrival of a chunk: so far back a reader looks for one that reaches into a window
)
PASS_READINGS = 60_000  # what one pass holds in RAM
_COST = 150  # µs that a chunk or a journal row costs whatever its length (measured)
_ROWS_DELETED = 2_000  # journal rows that one slice deletes at most
_FORMAT = b"\x01"  # first byte of a chunk: zlib over MessagePack of the columns time, arrival, value, quality

_unpack = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes, bytes])


def compact(store: OpenStore, limit_ms: int, spared: Container[int]) -> bool:
    """Do one slice of about `limit_ms`; return whether more is to do. `spared`: points whose readings go last."""
    if store.copying is None and eviction.make_room(store, spared):  # first: on a full disk nothing else could be done
        return True
    if store.copying is None and _due(store):
        store.copying = _copy(store)
    if store.copying is not None:
        _go_on(store, store.copying, limit_ms * 1_000)
        return True
    if _lead_around(store):
        return True
    if _forgettable(store) is not None:
        with store.transaction() as connection:
            _forget_journal(store, connection)
        return True
    return retention.trim(store)


def _go_on(store: OpenStore, copying: Generator[int], limit: int) -> None:
    """Let a pass go on for about `limit` microseconds; one that failed begins anew with the next slice."""
    spent = 0
    try:
        while spent < limit:
            spent += next(copying)
    except StopIteration:
        store.copying = None
    except BaseException:
        store.copying = None
        raise


def encode(readings: Readings) -> bytes:
    """Return the body of a chunk; its point stands in the row."""
    columns = (
        pack_ints(readings.time),
        pack_ints(readings.arrival),
        pack_floats(readings.value),
        pack_bytes(readings.quality),
    )
    return _FORMAT + zlib.compress(msgspec.msgpack.encode(columns), 1)


def decode(point: int, n: int, body: bytes) -> Readings:
    """Return the `n` readings of a chunk; StoreCorrupt when the bytes are not what `encode` wrote."""
    if body[:1] != _FORMAT:
        raise StoreCorrupt(f"a chunk of point {point} has the unknown format {body[:1]!r}")
    try:
        time, arrival, value, marks = _unpack.decode(zlib.decompress(body[1:]))
        return Readings(
            point=np.full(n, point, dtype=np.int32),
            time=unpack_ints(time, n),
            arrival=unpack_ints(arrival, n),
            value=unpack_floats(value, n),
            quality=unpack_bytes(marks, n),
        )
    except DAMAGE as error:
        raise StoreCorrupt(f"a chunk of point {point} cannot be read: {error}") from error


def progress(connection: sqlite3.Connection) -> int:
    """Return the seq up to which readings stand in chunks."""
    row = connection.execute("SELECT seq FROM progress WHERE name = 'chunks'").fetchone()
    if row is None:
        raise StoreCorrupt("it is not known up to where the journal is in chunks")
    return int(row[0])


def estimate(connection: sqlite3.Connection) -> int:
    """Return about how many readings wait in the journal (at start: afterwards commits count them)."""
    sql = "SELECT coalesce(sum(length(body)), 0) / 8 FROM journal WHERE seq > ?"
    return int(connection.execute(sql, (progress(connection),)).fetchone()[0])


def _due(store: OpenStore) -> bool:
    """Tell whether enough waits: a pass full of readings, ten minutes of many, an hour, or any of an earlier boot."""
    last, done = store.last(), progress(store.connection)
    if store.uncompacted >= PASS_READINGS:
        return True
    few = store.uncompacted < FEW_READINGS and last.seq - done < FEW_COMMITS
    sql = "SELECT boot, mono FROM journal WHERE seq > ? ORDER BY seq LIMIT 1"
    first = store.connection.execute(sql, (done,)).fetchone()
    span = CHUNK_SPAN_FEW if few else CHUNK_SPAN
    return first is not None and (first[0] != store.boots[last.boot] or last.mono - first[1] >= span)


def _copy(store: OpenStore) -> Generator[int]:
    """Copy the next rows of one boot into chunks and rollups; yields about how many microseconds each part took.

    Packing is spread over slices, so that an urgent commit never waits for long; only its end writes.
    """
    begun = progress(store.connection)
    seq, boot, parts = yield from _gather(store)
    readings = joined(parts)
    rows: list[tuple[int | bytes, ...]] = []
    buckets: dict[str, list[rollup.Row]] = {}
    if len(readings):
        ordered = taken(readings, np.argsort(readings.point, kind="stable"))
        for part in _cut(ordered):
            rows.append(_row(boot, part))
            yield _COST + len(part) // 5
        names = {number: name for name, number in store.boots.items()}
        buckets = rollup.aggregates(boot, ordered, rollup.slots(ordered, names[boot], store.clock))
        yield _COST + len(readings)
    with store.transaction() as connection:
        connection.executemany(
            "INSERT INTO chunk (point, boot, t0, t1, s0, s1, n, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
        )
        rollup.merge(connection, buckets)
        moved = connection.execute("UPDATE progress SET seq = ? WHERE name = 'chunks' AND seq = ?", (seq, begun))
        if moved.rowcount != 1:  # a disk that hung let another connection go first: these readings are in chunks
            raise StoreError("another connection has moved these readings meanwhile")
        _forget_journal(store, connection)
    store.uncompacted = max(0, store.uncompacted - len(readings))


def _gather(store: OpenStore) -> Generator[int, None, tuple[int, int, list[Readings]]]:
    """Read the journal's next rows of one boot; returns (last seq, boot, readings)."""
    parts: list[Readings] = []
    known = frozenset(store.boots.values())
    boot, begin, seq, total = -1, 0, progress(store.connection), 0
    sql = "SELECT seq, boot, mono, body FROM journal WHERE seq > ? ORDER BY seq LIMIT 1"
    while (row := store.connection.execute(sql, (seq,)).fetchone()) is not None:
        number, of_boot, mono, body = row
        span = CHUNK_SPAN_FEW if total < FEW_READINGS else CHUNK_SPAN
        if parts and (of_boot != boot or total >= PASS_READINGS or mono >= begin + span):
            break
        seq = number
        if of_boot not in known:  # nobody could ever date them
            store.unreadable += 1
            continue
        try:
            parts.append(decode_readings(body))
        except StoreCorrupt:  # a damaged row must not stop compaction for ever; its readings are lost, and counted
            store.unreadable += 1
            continue
        boot, total, begin = of_boot, total + len(parts[-1]), begin if len(parts) > 1 else mono
        yield _COST + len(parts[-1]) // 5
    return seq, boot, parts


def joined(parts: list[Readings]) -> Readings:
    """Return readings one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Readings(
        point=np.concatenate([np.empty(0, dtype=np.int32), *(part.point for part in parts)]),
        time=np.concatenate([np.empty(0, dtype=np.int64), *(part.time for part in parts)]),
        arrival=np.concatenate([np.empty(0, dtype=np.int64), *(part.arrival for part in parts)]),
        value=np.concatenate([np.empty(0, dtype=np.float64), *(part.value for part in parts)]),
        quality=np.concatenate([np.empty(0, dtype=np.uint8), *(part.quality for part in parts)]),
    )


def taken(readings: Readings, rows: Ints | slice) -> Readings:
    """Return some of the readings."""
    return Readings(
        readings.point[rows],
        readings.time[rows],
        readings.arrival[rows],
        readings.value[rows],
        readings.quality[rows],
    )


def _cut(ordered: Readings) -> Iterator[Readings]:
    """Yield runs of one point, none longer than a chunk, and none over a time in which nothing came."""
    edges = np.flatnonzero((np.diff(ordered.point) != 0) | (np.abs(np.diff(ordered.arrival)) > HOUR)) + 1
    starts = [0, *edges.tolist()]
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        for begin in range(start, end, CHUNK_READINGS):
            yield taken(ordered, slice(begin, min(end, begin + CHUNK_READINGS)))


def _row(boot: int, part: Readings) -> tuple[int | bytes, ...]:
    source = part.time[part.time > 0]
    s0, s1 = (int(source.min()), int(source.max())) if len(source) else (0, 0)
    span = int(part.arrival.min()), int(part.arrival.max())
    return (int(part.point[0]), boot, *span, s0, s1, len(part), encode(part))


def _forgettable(store: OpenStore) -> int | None:
    """Return the seq up to which rows are in chunks, in a later snapshot and behind every cursor, or None."""
    connection = store.connection
    (cursor,) = connection.execute("SELECT coalesce(min(seq), 1 << 62) FROM cursor").fetchone()
    (first,) = connection.execute("SELECT coalesce(min(seq), 0) FROM journal").fetchone()
    limit = min(_settled(store), cursor)
    return min(limit, first + _ROWS_DELETED) if first <= limit else None


def _settled(store: OpenStore) -> int:
    """Return the seq up to which nobody but a cursor needs the journal: in chunks, and in a later snapshot.

    The newest row always stays: it carries seq and clock on.
    """
    (snapshot,) = store.connection.execute("SELECT coalesce(min(seq), 0) FROM snapshot").fetchone()
    return min(progress(store.connection), int(snapshot), store.last().seq - 1)


def _lead_around(store: OpenStore) -> bool:
    """Lead cursors that hold more of the journal than its byte budget through chunks; return whether any was."""
    limit = _settled(store)
    held = detour.needed(store.connection, limit, store.spec.journal_budget)
    if held:
        with store.transaction() as connection:
            for name, seq in held:
                detour.make(connection, name, seq, limit)
    return bool(held)


def _forget_journal(store: OpenStore, connection: sqlite3.Connection) -> None:
    if (limit := _forgettable(store)) is not None:
        connection.execute("DELETE FROM journal WHERE seq <= ?", (limit,))
