"""What a sink's process reads: the journal, the record and chunks from a place on, in slices, dated.

Beside `read`, with a connection of its own: a slice is one short snapshot, bounded by its `limit`, far below the second
that a reader may take (house section 4). Rows that nothing can date yet are told apart from those that nothing ever
will: an epoch still to come dates the boot that lives, never one that is over (section 10).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from gateway.errors import StoreCorrupt
from gateway.model.alarm import Transition
from gateway.model.batch import Bytes, EventSeen, Floats, Ints, Points
from gateway.model.portion import Note
from gateway.store import chunks, detour, tables
from gateway.store.connection import connect_readonly, translated
from gateway.store.epochs import Epochs
from gateway.store.journal import Readings, decode_readings
from gateway.store.migrate import check_version
from gateway.store.rollup import slots

ROWS = 200  # journal rows of a slice at most
BODIES: dict[str, type[EventSeen | Transition]] = {"event": EventSeen, "transition": Transition}
_PLAUSIBLE_AGE = 86_400 * 1_000_000_000  # ns; as in `rollup.slots`: an older time of a device is a wrong clock


class Dating(Enum):
    """Whether rows of a boot have wall times."""

    KNOWN = "known"
    LATER = "later"  # the boot lives: its time may still become trusted
    NEVER = "never"  # the boot is over


class Dated(NamedTuple):
    """Readings with wall times, as arrays of equal length (see `gateway.model.portion`)."""

    point: Points
    time: Ints
    value: Floats
    quality: Bytes


class Slice(NamedTuple):
    """Readings of consecutive rows that share a `dating`.

    `upto`: seq (of chunks: id) of the last row looked at, where the next slice goes on. `readings`: how many there are,
    dated or not. `absent`: chunks that retention had taken; `unreadable`: rows that are damaged.
    """

    upto: int
    dating: Dating
    parts: Sequence[Dated]
    readings: int
    absent: int = 0
    unreadable: int = 0


class Feed:
    """Slices of one store for one process. Raises StoreError."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._connection = connect_readonly(path)
        self._file = _identity(self._path)
        with translated(self._path):
            check_version(self._connection)
        self.refresh()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def replaced(self) -> bool:
        """Tell whether another file stands in the place of the one that is read: it was set aside."""
        return _identity(self._path) != self._file

    def refresh(self) -> None:
        """Look again at what is known of wall time."""
        with translated(self._path):
            self._boots = list(tables.boots(self._connection))
            self._clock = Epochs(tables.epochs(self._connection))

    def dating(self, boot: str) -> Dating:
        """Tell whether a boot's rows can be dated."""
        if self._clock.wall(boot, 0) is not None:
            return Dating.KNOWN
        return Dating.LATER if self._boots and boot == self._boots[-1] else Dating.NEVER

    # -- places

    def last(self) -> int:
        """Return the seq of the newest commit, 0 without one."""
        return self._number("SELECT coalesce(max(seq), 0) FROM journal")

    def first(self) -> int:
        """Return the seq of the oldest commit that is still in the journal, 0 without one."""
        return self._number("SELECT coalesce(min(seq), 0) FROM journal")

    def last_chunk(self) -> int:
        """Return the id of the newest chunk, 0 without one."""
        return self._number("SELECT coalesce(max(id), 0) FROM chunk")

    def since(self, wall: int) -> tuple[int, int]:
        """Return (id of the first chunk, number before the first row of the record) that may reach past a wall time."""
        chunk, note = self.last_chunk() + 1, self.last_note()
        for boot, number in self._numbers().items():
            window = self._clock.window(boot, wall, wall)
            if window is not None:
                sql = "SELECT min(id) FROM chunk WHERE boot = ? AND (t1 >= ? OR s1 >= ?)"
                chunk = min(chunk, self._least(sql, (number, window[0], wall), chunk))
                sql = "SELECT min(n) - 1 FROM record WHERE boot = ? AND mono >= ?"
                note = min(note, self._least(sql, (number, window[0]), note))
        return chunk, note

    def last_note(self) -> int:
        """Return the number of the newest row of the record, 0 without one."""
        return self._number("SELECT coalesce(max(n), 0) FROM record")

    def detours(self, cursor: str) -> list[detour.Detour]:
        """Return what retention has led around the journal for this cursor, oldest first."""
        with translated(self._path):
            return detour.read(self._connection, cursor)

    def age(self, seq: int) -> int | None:
        """Return the wall time of the first commit after `seq`; None when there is none or it has no date."""
        sql = (
            "SELECT boot.name, journal.mono FROM journal JOIN boot ON boot.id = journal.boot"
            " WHERE seq > ? ORDER BY seq LIMIT 1"
        )
        return self._wall(sql, seq)

    def age_of_chunk(self, number: int) -> int | None:
        """Return the wall time at which a chunk begins, see `age`."""
        sql = "SELECT boot.name, t0 FROM chunk JOIN boot ON boot.id = chunk.boot WHERE chunk.id >= ? ORDER BY chunk.id"
        return self._wall(sql + " LIMIT 1", number)

    # -- slices

    def journal(self, after: int, upto: int, limit: int) -> Slice:
        """Return the readings of commits in (after, upto], about `limit` of them, of one dating."""
        sql = (
            "SELECT seq, boot.name, body FROM journal JOIN boot ON boot.id = journal.boot"
            " WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        )
        parts: list[Dated] = []
        dating, total, bad, seq = None, 0, 0, after
        with self._streamed(sql, (after, upto, ROWS)) as rows:
            for number, boot, body in rows:
                of_row = self._dating(boot)
                if total >= limit or of_row is not (dating or of_row):
                    break
                seq, dating = number, of_row
                try:
                    readings = decode_readings(body)
                except StoreCorrupt:  # compaction meets it too; the readings are lost, and counted
                    bad += 1
                    continue
                total += len(readings)
                if of_row is Dating.KNOWN and len(readings):
                    parts.append(self._dated(boot, readings))
            else:
                seq = upto if dating is None else seq
        return Slice(seq, dating or Dating.KNOWN, parts, total, unreadable=bad)

    def chunks(self, begin: int, upto: int, limit: int) -> Slice:
        """Return the readings of chunks with ids in [begin, upto], about `limit` of them, of one dating."""
        sql = (
            "SELECT chunk.id, boot.name, point, n, body FROM chunk JOIN boot ON boot.id = chunk.boot"
            " WHERE chunk.id >= ? AND chunk.id <= ? ORDER BY chunk.id LIMIT ?"
        )
        parts: list[Dated] = []
        dating, total, bad, absent, place = None, 0, 0, 0, begin - 1
        with self._streamed(sql, (begin, upto, ROWS)) as rows:
            for number, boot, point, n, body in rows:
                of_row = self._dating(boot)
                if total >= limit or of_row is not (dating or of_row):
                    break
                absent += number - place - 1
                place, dating, total = number, of_row, total + n
                try:
                    if of_row is Dating.KNOWN:
                        parts.append(self._dated(boot, chunks.decode(point, n, body)))
                except StoreCorrupt:
                    bad += 1
            else:
                if dating is None:
                    absent, place = upto - place, upto
        return Slice(place, dating or Dating.KNOWN, parts, total, absent, bad)

    def notes(self, after: int, upto: int, limit: int) -> tuple[list[Note], int, int, int]:
        """Return the newest `limit` rows of the record in (after, upto], newest first.

        Returns: notes; the number after which rows were looked at; the lowest number above which nothing can be dated
        yet (`upto` when all can be); how many are never dated.
        """
        sql = (
            "SELECT n, boot.name, kind, body FROM record JOIN boot ON boot.id = record.boot"
            " WHERE n > ? AND n <= ? AND kind IN ('event', 'transition') ORDER BY n DESC LIMIT ?"
        )
        with translated(self._path):
            rows = self._connection.execute(sql, (after, upto, limit)).fetchall()
        notes: list[Note] = []
        held, lost = upto, 0
        for number, boot, kind, body in rows:
            dating = self._dating(boot)
            if dating is Dating.LATER:
                held = number - 1
            elif dating is Dating.NEVER or (note := self._note(number, boot, kind, body)) is None:
                lost += 1
            else:
                notes.append(note)
        return notes, rows[-1][0] - 1 if len(rows) == limit else after, held, lost

    # -- inside

    def _number(self, sql: str) -> int:
        with translated(self._path):
            return int(self._connection.execute(sql).fetchone()[0])

    def _numbers(self) -> dict[str, int]:
        with translated(self._path):
            return tables.boots(self._connection)

    def _least(self, sql: str, values: tuple[int, ...], otherwise: int) -> int:
        with translated(self._path):
            (found,) = self._connection.execute(sql, values).fetchone()
        return otherwise if found is None else int(found)

    def _wall(self, sql: str, place: int) -> int | None:
        with translated(self._path):
            row = self._connection.execute(sql, (place,)).fetchone()
        return self._clock.wall(row[0], row[1]) if row else None

    @contextmanager
    def _streamed(self, sql: str, values: tuple[int, ...]) -> Iterator[sqlite3.Cursor]:
        """Give rows one by one: bodies beyond the limit are never read."""
        with translated(self._path):
            cursor = self._connection.execute(sql, values)
            try:
                yield cursor
            finally:
                cursor.close()

    def _dating(self, boot: str) -> Dating:
        """Tell as `dating`; of a boot that was not known yet only after another look."""
        if boot not in self._boots:
            self.refresh()
        return self.dating(boot)

    def _dated(self, boot: str, readings: Readings) -> Dated:
        arrival = self._clock.walls(boot, readings.arrival)
        if arrival is None:
            raise AssertionError("only what can be dated is dated")
        time = arrival - (readings.arrival - slots(readings, boot, self._clock))
        return Dated(readings.point, spread(readings, time), readings.value, readings.quality)

    def _note(self, number: int, boot: str, kind: str, body: bytes) -> Note | None:
        try:
            told = msgspec.msgpack.decode(body, type=BODIES[kind])
        except ValueError:
            return None
        at = self._clock.wall(boot, told.at)
        if at is None or at <= 0:
            return None
        source = told.time if isinstance(told, EventSeen) else 0
        return Note(number, source if 0 < source <= at <= source + _PLAUSIBLE_AGE else at, told)


def spread(readings: Readings, time: Ints) -> Ints:
    """Return times in which readings of one point and arrival, without a time of their own, follow ns by ns.

    A far end keeps one value of a series at a time. What a device says twice of one time of its own is one value.
    """
    order = np.lexsort((time, readings.point))  # stable: of equal ones the first stays first
    point, ordered = readings.point[order], time[order]
    again = np.zeros(len(order), dtype=np.bool_)
    again[1:] = (np.diff(point) == 0) & (np.diff(ordered) == 0) & (readings.time[order][1:] == 0)
    if not again.any():
        return time
    place = np.arange(len(order))
    first = np.maximum.accumulate(np.where(again, 0, place))
    spaced = np.empty_like(time)
    spaced[order] = ordered + (place - first)
    return spaced


def _identity(path: str) -> tuple[int, int]:
    """Return what tells one file from another; zeros when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - the path is text here
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
