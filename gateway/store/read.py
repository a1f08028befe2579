"""Reading the store beside the daemon or without it: what `readings`, `events`, `alarms` and the screens ask.

Connections of its own, read-only, each question one short snapshot (house section 4: never longer than a second); what
needs decoding is decoded after the snapshot has ended. Wall times are computed here, from clock epochs (section 10).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar

import msgspec
import numpy as np

from gateway.model.alarm import Alarm, Transition
from gateway.model.batch import Bytes, Event, Floats, Ints
from gateway.model.notification import Notification
from gateway.store import chunks, eviction, packed, tables
from gateway.store.connection import connect_readonly, translated
from gateway.store.epochs import Epochs
from gateway.store.journal import Readings, decode_readings
from gateway.store.migrate import check_version
from gateway.store.record import Removal
from gateway.store.rollup import PLAUSIBLE_AGE, WIDTHS, slots

T = TypeVar("T")

UNKNOWN = 0  # wall time of a reading whose boot never knew the time
FOREVER = 1 << 62  # ns; end of an open window
_SLICE = 500  # record rows fetched at once


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one point, in the order in which they came, as arrays of equal length.

    `time`: ns since 1970, by the source where plausible, else of the arrival, `UNKNOWN` where nobody knew; `arrival`:
    likewise of the arrival; `value`: float64 in the profile's unit; `quality`: uint8.
    """

    time: Ints
    arrival: Ints
    value: Floats
    quality: Bytes

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Rollup:
    """Aggregates of minutes or hours, oldest first, as arrays of equal length.

    `time`: wall ns of their begin; `n`: readings that are not BAD, `bad`: the others; `low`, `high`, `total`, `last`:
    float64, NaN where every reading was BAD.
    """

    time: Ints
    n: Ints
    bad: Ints
    low: Floats
    high: Floats
    total: Floats
    last: Floats

    def __len__(self) -> int:
        return len(self.time)


class Entry(NamedTuple, Generic[T]):
    """A row of the record or of a durable table. `boot` dates the times inside `body` (`Reader.wall`).

    `n`, `seq`: number in the record and of the commit, 0 for a row of a table; `time`: wall ns of the commit or None.
    """

    n: int
    seq: int
    boot: str
    time: int | None
    kind: str
    body: T


class Reader:
    """Questions to a store; a context manager."""

    def __init__(self, path: str | Path) -> None:
        """Open it; StoreError when there is none, StoreTooNew when a newer firegrid wrote it."""
        self._path = str(path)
        self._dated = -1, Epochs()  # as of which version of the file
        self._connection = connect_readonly(path)
        with translated(self._path):
            check_version(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def points(self) -> dict[str, int]:
        """Return name → durable id."""
        return dict(self._all("SELECT name, id FROM point ORDER BY name"))

    def clock(self) -> Epochs:
        """Return what is known of wall time now; read again only when somebody has written since."""
        with translated(self._path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version != self._dated[0]:
                self._dated = version, Epochs(tables.epochs(self._connection))
        return self._dated[1]

    def wall(self, boot: str, mono: int) -> int | None:
        """Return a stored moment as ns since 1970; None when its boot never knew the time."""
        return self.clock().wall(boot, mono)

    def configuration(self) -> tuple[str, bytes] | None:
        """Return hash and bytes of the configuration taken over last."""
        with translated(self._path):
            return tables.configuration(self._connection, None)

    def readings(self, point: int, t0: int = 0, t1: int = FOREVER) -> Series:
        """Return a point's readings with time in [t0, t1]; undated ones only when the window is open at both ends."""
        with translated(self._path), _snapshot(self._connection):  # compaction moves nothing between the two halves
            clock = Epochs(tables.epochs(self._connection))
            packed = _chunks(self._connection, clock, point, t0, t1)
            tail = self._connection.execute(
                "SELECT boot.name, body FROM journal JOIN boot ON boot.id = journal.boot WHERE seq > ? ORDER BY seq",
                (chunks.progress(self._connection),),
            ).fetchall()
        parts = [_dated(boot, chunks.decode(point, n, body), clock) for boot, n, body in packed]
        for boot, body in tail:
            readings = decode_readings(body)
            mine = np.flatnonzero(readings.point == point)
            if len(mine):
                parts.append(_dated(boot, chunks.taken(readings, mine), clock))
        return _joined(parts, t0, t1)

    def spoken(self) -> set[int]:
        """Return the ids of all points of which any reading or event is kept. Reads every event: not for often."""
        with translated(self._path), _snapshot(self._connection):
            found = {point for (point,) in self._connection.execute("SELECT DISTINCT point FROM chunk")}
            sql = "SELECT body FROM journal WHERE seq > ?"
            for (body,) in self._connection.execute(sql, (chunks.progress(self._connection),)):
                found |= set(decode_readings(body).point.tolist())
        return found | {entry.body.point for entry in self.events()}

    def rollup(self, table: str, point: int, t0: int = 0, t1: int = FOREVER) -> Rollup:
        """Return the dated buckets of `minute` or `hour` that begin in [t0, t1], oldest first; tail not included."""
        width = WIDTHS[table]
        clock, times, parts = self.clock(), [], []
        with translated(self._path), _snapshot(self._connection):  # packing moves nothing between two looks
            for boot, number in tables.boots(self._connection).items():
                window = clock.window(boot, t0, t1)
                if window is None:
                    continue
                place = point, number
                found = packed.read(self._connection, table, place, window[0] // width, window[1] // width)
                walls = clock.walls(boot, found.t * width)
                if walls is not None:
                    times.append(walls)
                    parts.append(found)
        time = np.concatenate([np.empty(0, dtype=np.int64), *times])
        order = np.argsort(time, kind="stable")
        order = order[(time[order] >= t0) & (time[order] <= t1)]
        columns = zip(*(packed.of_rows([]), *parts), strict=True)
        return Rollup(time[order], *(np.concatenate(column)[order] for column in list(columns)[1:]))

    def evicted(self) -> int:
        """Return how many readings had to go before their time, for want of room, since the store was begun."""
        with translated(self._path):
            return eviction.evicted(self._connection)

    def record(self, kinds: Iterable[str], kind: type[T], *, after: int = 0) -> Iterator[Entry[T]]:
        """Yield the record's rows of some kinds after number `after`, oldest first."""
        wanted, decoder, clock = frozenset(kinds), msgspec.msgpack.Decoder(kind), self.clock()
        while True:
            with translated(self._path):
                rows = tables.record(self._connection, after, _SLICE)
            for row in rows:
                if row.kind in wanted:
                    body = decoder.decode(row.body)
                    yield Entry(row.n, row.seq, row.boot, clock.wall(row.boot, row.mono), row.kind, body)
            if len(rows) < _SLICE:
                return
            after = rows[-1].n

    def begin(self) -> tuple[int, Removal] | None:
        """Return number of the first row of the record, and what was removed before it; None when nothing was."""
        with translated(self._path):
            begin = tables.begin(self._connection)
            told = tables.record(self._connection, begin.said - 1, 1) if begin.n else []
        return (begin.n + 1, msgspec.msgpack.decode(told[0].body, type=Removal)) if told else None

    def events(self, *, after: int = 0) -> Iterator[Entry[Event]]:
        """Yield what devices said, oldest first, with raw bytes."""
        return self.record(("event",), Event, after=after)

    def state(self, table: str, kind: type[T]) -> list[Entry[T]]:
        """Return the rows of a durable table (`alarm`, `notice`, `chain` …) as of now."""
        with translated(self._path):
            rows = list(tables.state(self._connection, table, kind, []))
        return [Entry(0, 0, boot, None, table, body) for _, boot, body in rows]

    def alarms(self) -> list[Entry[Alarm]]:
        """Return the alarms that are open now; their history is in `transitions`."""
        return self.state("alarm", Alarm)

    def transitions(self, *, after: int = 0) -> Iterator[Entry[Transition]]:
        """Yield every move of every alarm, oldest first, with evidence."""
        return self.record(("transition",), Transition, after=after)

    def transitions_of(self, point: int, *, after: int = 0) -> Iterator[Entry[Transition]]:
        """Yield the moves of a point's alarms, oldest first, each with the wall time of the move itself."""
        decode, clock = msgspec.msgpack.Decoder(Transition).decode, self.clock()
        sql = (
            "SELECT n, seq, boot.name, body FROM record JOIN boot ON boot.id = record.boot"
            " WHERE n > ? AND kind = 'transition' ORDER BY n LIMIT ?"
        )
        while rows := self._all(sql, (after, _SLICE)):
            for n, seq, boot, body in rows:
                move = decode(body)
                if move.point == point:
                    yield Entry(n, seq, boot, clock.wall(boot, move.at), "transition", move)
            after = rows[-1][0]

    def notifications(self) -> list[Entry[Notification]]:
        """Return each notice ever planned, as it stands now, in the order of ids."""
        newest = {entry.body.id: entry for entry in self.record(("notice",), Notification)}
        return [newest[number] for number in sorted(newest)]

    # -- inside

    def _all(self, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
        with translated(self._path):
            return self._connection.execute(sql, values).fetchall()


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read everything inside as of one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _chunks(
    connection: sqlite3.Connection, clock: Epochs, point: int, t0: int, t1: int
) -> list[tuple[str, int, bytes]]:
    """Return (boot, n, body) of every chunk that may hold a reading of the window, in order."""
    found: list[tuple[int, str, int, bytes]] = []
    for boot, number in tables.boots(connection).items():
        span = (-FOREVER, FOREVER) if _open(t0, t1) else clock.window(boot, t0, t1)
        if span is not None:
            sql = (
                "SELECT id, n, body FROM chunk WHERE point = ? AND boot = ? AND t0 BETWEEN ? AND ?"
                " AND ((t1 >= ? AND t0 <= ?) OR (s1 >= ? AND s0 <= ?)) ORDER BY id"
            )
            near = span[0] - chunks.LONGEST, span[1] + PLAUSIBLE_AGE
            rows = connection.execute(sql, (point, number, *near, *span, max(t0, 1), t1)).fetchall()
            found.extend((place, boot, n, body) for place, n, body in rows)
    return [(boot, n, body) for _, boot, n, body in sorted(found)]


def _open(t0: int, t1: int) -> bool:
    return t0 <= 0 and t1 >= FOREVER


def _dated(boot: str, readings: Readings, clock: Epochs) -> Series:
    arrival = clock.walls(boot, readings.arrival)
    if arrival is None:
        nowhere = np.full(len(readings), UNKNOWN, dtype=np.int64)
        return Series(nowhere, nowhere, readings.value, readings.quality)
    slot = slots(readings, boot, clock)
    return Series(arrival - (readings.arrival - slot), arrival, readings.value, readings.quality)


def _joined(parts: list[Series], t0: int, t1: int) -> Series:
    time = np.concatenate([np.empty(0, dtype=np.int64), *(part.time for part in parts)])
    inside = np.full(len(time), fill_value=True) if _open(t0, t1) else (time >= max(t0, 1)) & (time <= t1)
    return Series(
        time[inside],
        np.concatenate([np.empty(0, dtype=np.int64), *(part.arrival for part in parts)])[inside],
        np.concatenate([np.empty(0, dtype=np.float64), *(part.value for part in parts)])[inside],
        np.concatenate([np.empty(0, dtype=np.uint8), *(part.quality for part in parts)])[inside],
    )
