"""Minute and hour aggregates of everything that stands in chunks; for charts and long retention.

Written by compaction in the same transaction as the chunks, merged with what an earlier slice wrote of the same minute:
at every moment the aggregates are exactly those of all readings in chunks, late ones included. Buckets count minutes
and hours of the boot's own clock; wall time is computed on reading (house section 10).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np

from gateway.clock import DAY, HOUR, MINUTE
from gateway.model.batch import Ints
from gateway.model.quality import LEVEL_SHIFT, Level
from gateway.store.epochs import Epochs
from gateway.store.journal import Readings

Row = tuple[int | float | None, ...]

WIDTHS = {"minute": MINUTE, "hour": HOUR}
PLAUSIBLE_AGE = DAY  # as in gateway.pipeline.validate: an older source time is a wrong clock
_MERGE = (
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (point, boot, t) DO UPDATE SET"
    " n = n + excluded.n, bad = bad + excluded.bad,"
    " low = min(coalesce(low, excluded.low), coalesce(excluded.low, low)),"
    " high = max(coalesce(high, excluded.high), coalesce(excluded.high, high)),"
    " total = coalesce(total + excluded.total, total, excluded.total),"
    " last = coalesce(excluded.last, last)"
)
_STATEMENTS = {"minute": "INSERT INTO minute" + _MERGE, "hour": "INSERT INTO hour" + _MERGE}


def slots(readings: Readings, boot: str, clock: Epochs) -> Ints:
    """Return each reading's own time on its boot's clock: the source's where plausible and dated, else arrival."""
    if not readings.time.any():
        return readings.arrival
    walls = clock.walls(boot, readings.arrival)
    if walls is None:
        return readings.arrival
    age = walls - readings.time
    plausible = (readings.time > 0) & (age >= 0) & (age <= PLAUSIBLE_AGE)
    return np.where(plausible, readings.arrival - age, readings.arrival)


def aggregates(boot: int, readings: Readings, slot: Ints) -> dict[str, list[Row]]:
    """Return the rows of both tables for readings ordered by point."""
    return {table: aggregate(boot, readings, slot // width) for table, width in WIDTHS.items()}


def merge(connection: sqlite3.Connection, buckets: Mapping[str, Sequence[Row]]) -> None:
    """Merge rows into the tables, inside the caller's transaction."""
    for table, rows in buckets.items():
        connection.executemany(_STATEMENTS[table], rows)


def aggregate(boot: int, readings: Readings, bucket: Ints) -> list[Row]:
    """Return (point, boot, t, n, bad, low, high, total, last) of each point and bucket; BAD readings only count."""
    order = np.lexsort((bucket, readings.point))  # stable: within a bucket readings stay in order
    point, bucket, value = readings.point[order], bucket[order], readings.value[order]
    edges = np.flatnonzero((np.diff(point) != 0) | (np.diff(bucket) != 0)) + 1
    starts = np.concatenate([np.zeros(1, dtype=np.int64), edges])
    good = (readings.quality[order] >> LEVEL_SHIFT < Level.BAD) & np.isfinite(value)
    with np.errstate(over="ignore"):
        totals = np.add.reduceat(np.where(good, value, 0.0), starts)
    counts = np.add.reduceat(good.astype(np.int64), starts)
    sizes = np.diff(np.concatenate([starts, np.array([len(point)])]))
    lows = np.minimum.reduceat(np.where(good, value, np.inf), starts)
    highs = np.maximum.reduceat(np.where(good, value, -np.inf), starts)
    newest = np.maximum.reduceat(np.where(good, np.arange(len(point)), 0), starts)
    columns = (
        point[starts], bucket[starts], counts, sizes - counts, lows, highs, totals, value[newest],
    )  # fmt: skip
    return [
        (p, boot, t, n, bad, *((low, high, total, last) if n else (None,) * 4))
        for p, t, n, bad, low, high, total, last in zip(*(column.tolist() for column in columns), strict=True)
    ]
