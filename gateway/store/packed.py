"""Sealed rollups: buckets that nothing changes any more, a day of minutes or 30 days of hours in one row.

Compaction writes a row a bucket (`rollup`), which is quick to merge into and costs 45 bytes; of a point that speaks
once a minute that is far more than its readings. Here they are packed, in slices between commits, when all that may
still come has come: readings of a source's own time reach back a day. What comes later still stays a row of its own and
is packed beside the block, so a bucket may stand in several places and `merged` adds them up. House section 4.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from typing import Any, NamedTuple

import msgspec
import numpy as np

from gateway.clock import DAY, HOUR
from gateway.errors import StoreCorrupt
from gateway.model.batch import Floats, Ints
from gateway.store.columns import pack_floats, pack_ints, unpack_floats, unpack_ints
from gateway.store.journal import DAMAGE
from gateway.store.opened import OpenStore
from gateway.store.rollup import WIDTHS

BLOCKS = {"minute": 1_440, "hour": 720}  # buckets of a block
BUCKETS = "SELECT t, n, bad, low, high, total, last FROM {table} WHERE point = ? AND boot = ? AND t BETWEEN ? AND ?"
_STILL = DAY + HOUR  # after its end a block is packed: see `rollup.slots`
_SLICE = 5  # blocks packed in one slice: some 20 ms
_LEVEL = 9  # packed once, read for years
_PLAIN, _DECIMAL = b"\x01", b"\x02"  # first byte: how the values stand there
_THOUSANDTHS = 1000.0
_SAME = 1e-9  # share by which a sum of decimals in doubles may be off
_LARGEST = float(1 << 60)

_unpack = msgspec.msgpack.Decoder(tuple[int, list[bytes]])
_pack = msgspec.msgpack.Encoder().encode


class Buckets(NamedTuple):
    """Aggregates as arrays of equal length; `t` counts buckets of the boot's clock, `n` readings that are not BAD.

    `low`, `high`, `total`, `last` are NaN where `n` is 0.
    """

    t: Ints
    n: Ints
    bad: Ints
    low: Floats
    high: Floats
    total: Floats
    last: Floats


def of_rows(rows: list[Any]) -> Buckets:
    """Return (t, n, bad, low, high, total, last) rows as arrays."""
    columns = list(zip(*rows, strict=True)) or [()] * 7
    kinds = [np.int64] * 3 + [np.float64] * 4
    return Buckets._make(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True))


def merged(parts: list[Buckets]) -> Buckets:
    """Return one bucket for each `t`, in order; the last of a bucket is that of the part that came last."""
    whole = Buckets._make(np.concatenate(column) for column in zip(*(of_rows([]), *parts), strict=True))
    order = np.argsort(whole.t, kind="stable")
    whole = Buckets._make(column[order] for column in whole)
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(order)), dtype=np.int64), np.diff(whole.t)]))
    if len(starts) == len(order):
        return whole
    some = whole.n > 0
    newest = np.maximum.reduceat(np.where(some, np.arange(len(order)), 0), starts)
    n = np.add.reduceat(whole.n, starts)
    with np.errstate(all="ignore"):  # of doubles near their end
        total = np.add.reduceat(np.where(some, whole.total, 0.0), starts)
    return Buckets(
        t=whole.t[starts],
        n=n,
        bad=np.add.reduceat(whole.bad, starts),
        low=np.fmin.reduceat(whole.low, starts),
        high=np.fmax.reduceat(whole.high, starts),
        total=np.where(n > 0, total, np.nan),
        last=np.where(n > 0, whole.last[newest], np.nan),
    )


# -- bytes


def encode(buckets: Buckets) -> bytes:
    """Return the body of a block. Values of three decimals at most come back exactly, but for sums: to 1e-9."""
    some = buckets.n > 0
    values = [column[some] for column in buckets[3:]]
    decimal = _decimals(values, buckets.n[some])
    columns = [pack_ints(column) for column in (buckets.t, buckets.n, buckets.bad)]
    columns += decimal or [pack_floats(column) for column in values]
    return (_PLAIN if decimal is None else _DECIMAL) + zlib.compress(_pack((len(buckets.t), columns)), _LEVEL)


def decode(body: bytes) -> Buckets:
    """Return what `encode` was given; StoreCorrupt when the bytes are not what it wrote."""
    try:
        size, columns = _unpack.decode(zlib.decompress(body[1:]))
        t, n, bad = (unpack_ints(column, size) for column in columns[:3])
        some = n > 0
        count = int(np.count_nonzero(some))
        if body[:1] == _DECIMAL:
            values = _of_decimals(columns[3:], n[some])
        elif body[:1] == _PLAIN:
            values = [unpack_floats(column, count) for column in columns[3:]] if count else [np.empty(0)] * 4
        else:
            raise StoreCorrupt(f"a block of aggregates has the unknown format {body[:1]!r}")
        spread = [np.full(size, np.nan) for _ in range(4)]
        for whole, column in zip(spread, values, strict=True):
            whole[some] = column
        return Buckets(t, n, bad, *spread)
    except (*DAMAGE, struct.error) as error:
        raise StoreCorrupt(f"a block of aggregates cannot be read: {error}") from error


def _decimals(values: list[Floats], n: Ints) -> list[bytes] | None:
    """Return low and what the others differ from it by, in the largest unit that fits; None where none does."""
    if not len(n):
        return None
    with np.errstate(all="ignore"):
        scaled = [np.rint(column * _THOUSANDTHS) + 0.0 for column in values]
        largest = max(float(np.abs(column).max()) for column in scaled) * max(1.0, 2.0 * float(n.max()))
        low, high, total, last = (column / _THOUSANDTHS for column in scaled)
        exact = all(
            np.array_equal(back.view(np.int64), given.view(np.int64))
            for back, given in ((low, values[0]), (high, values[1]), (last, values[3]))
        )
        near = bool((np.abs(total - values[2]) <= _SAME * n * np.maximum(np.abs(low), np.abs(high))).all())
    if not (exact and near and largest < _LARGEST):
        return None
    low_int, high_int, total_int, last_int = (column.astype(np.int64) for column in scaled)
    unit = max(1, int(np.gcd.reduce(np.concatenate([low_int, high_int, total_int, last_int]))))
    low_int, high_int, total_int, last_int = (column // unit for column in (low_int, high_int, total_int, last_int))
    middle = (low_int + high_int) * n // 2
    columns = (low_int, high_int - low_int, total_int - middle, last_int - low_int)
    return [_pack(unit), *(pack_ints(column) for column in columns)]


def _of_decimals(columns: list[bytes], n: Ints) -> list[Floats]:
    unit = msgspec.msgpack.decode(columns[0], type=int)
    low, high, total, last = (unpack_ints(column, len(n)) for column in columns[1:])
    high += low
    total += (low + high) * n // 2
    last += low
    return [column * unit / _THOUSANDTHS for column in (low, high, total, last)]


# -- tables


def read(connection: sqlite3.Connection, table: str, place: tuple[int, int], first: int, last: int) -> Buckets:
    """Return the buckets of (point, boot) with t in [first, last], as of the caller's snapshot. Raises StoreCorrupt."""
    size = BLOCKS[table]
    sql = "SELECT body FROM packed WHERE width = ? AND point = ? AND boot = ? AND block BETWEEN ? AND ? ORDER BY id"
    bodies = connection.execute(sql, (table, *place, first // size, last // size)).fetchall()
    rows = connection.execute(BUCKETS.format(table=table), (*place, first, last)).fetchall()
    whole = merged([*(decode(body) for (body,) in bodies), of_rows(rows)])
    inside = (whole.t >= first) & (whole.t <= last)
    return Buckets._make(column[inside] for column in whole)


def seal(store: OpenStore, after: int) -> int | None:
    """Pack a few blocks of the points behind `after`; return behind which to go on, None when all are done."""
    points = store.connection.execute("SELECT id FROM point WHERE id > ? ORDER BY id", (after,)).fetchall()
    done = 0
    with store.transaction() as connection:
        for (point,) in points:
            for table in WIDTHS:
                while (place := _ripe(store, connection, table, point)) is not None:
                    if done == _SLICE:
                        return int(point) - 1
                    _pack_block(connection, table, point, *place)
                    done += 1
    return None


def _ripe(store: OpenStore, connection: sqlite3.Connection, table: str, point: int) -> tuple[int, int] | None:
    """Return (boot, block) of a point's oldest row, if that block is to be packed."""
    sql = f"SELECT boot, t FROM {table} WHERE point = ? ORDER BY boot, t LIMIT 1"  # noqa: S608 - a key of WIDTHS
    row = connection.execute(sql, (point,)).fetchone()
    if row is None:
        return None
    boot, block = row[0], row[1] // BLOCKS[table]
    last = store.last()
    end = (block + 1) * BLOCKS[table] * WIDTHS[table]
    return (boot, block) if boot != store.boots[last.boot] or end + _STILL <= last.mono else None


def _pack_block(connection: sqlite3.Connection, table: str, point: int, boot: int, block: int) -> None:
    """Put the rows of a block into one."""
    place = point, boot, block * BLOCKS[table], (block + 1) * BLOCKS[table] - 1
    rows = connection.execute(BUCKETS.format(table=table) + " ORDER BY t", place).fetchall()
    connection.execute(
        "INSERT INTO packed (width, point, boot, block, body) VALUES (?, ?, ?, ?, ?)",
        (table, point, boot, block, encode(of_rows(rows))),
    )
    sql = f"DELETE FROM {table} WHERE point = ? AND boot = ? AND t BETWEEN ? AND ?"  # noqa: S608 - a key of WIDTHS
    connection.execute(sql, place)


def trim(connection: sqlite3.Connection, table: str, point: int, boot: int, t: int) -> None:
    """Remove the blocks of a point that end before bucket `t` of a boot; inside the caller's transaction."""
    place = table, point, boot
    connection.execute("DELETE FROM packed WHERE width = ? AND point = ? AND boot < ?", place)
    sql = "DELETE FROM packed WHERE width = ? AND point = ? AND boot = ? AND block < ?"
    connection.execute(sql, (*place, t // BLOCKS[table]))
