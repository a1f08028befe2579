"""Whole years of the record go when the station asks for it; the hash before the first row that is left stays.

Called by retention at the end of a round, in slices between commits. Without `[store] retention = { record = "10y" }`
nothing is removed, ever. What goes is said first, in a row of the record of its own: last number, its hash, the years.
So the removal is in the chain, and `record.Walk` finds any other (house section 4). Years are those of UTC. Nothing
goes while the time is not trusted, or while the record has no rows of every year that must stay: a clock that jumps
decades ahead removes nothing. A year in which an alarm began that is still open stays, and every later one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from gateway.clock import SECOND
from gateway.store import tables
from gateway.store.epochs import Epochs
from gateway.store.opened import OpenStore
from gateway.store.record import REMOVAL, Begin, Removal

_LOOKED_AT = 2_000  # rows in one slice: some 5 ms
_DELETED = 200  # likewise, and at most `_BYTES` of frames
_BYTES = 1 << 20
_PLACE = "INSERT OR REPLACE INTO record_begin VALUES (1, ?, ?, ?, ?)"


class _Open(msgspec.Struct):
    """Of an alarm or notice that is not over: when it began, ns on the clock of its row's boot."""

    since: int = 0
    planned_at: int = 0


class _Cut(NamedTuple):
    """Rows up to `last` are of years that may go; `later`: years of those behind."""

    last: int
    later: frozenset[int]


def year_in(clock: Epochs) -> Callable[[str, int], int | None]:
    """Return what tells the year (UTC) of a moment of a boot; None where nobody knew the time."""

    def year_of(boot: str, mono: int) -> int | None:
        wall = clock.wall(boot, mono)
        return None if wall is None or wall < 0 else datetime.fromtimestamp(wall // SECOND, tz=UTC).year

    return year_of


def remove(store: OpenStore) -> Iterator[bool]:
    """Do one round, a slice each time it is asked; any StoreError."""
    year = _present(store)
    if not store.spec.retain_record or year is None:
        return
    yield from _delete(store)  # what a restart has left
    through = year - store.spec.retain_record - 1
    oldest = _oldest_open(store)
    if oldest is not None:
        through = min(through, oldest - 1)
    wanted = set(range(year - store.spec.retain_record, year + 1))
    cut = _Cut(0, frozenset())
    for cut in _looked(store, through):
        yield True
        if cut.later and (not cut.last or cut.later >= wanted):
            break
    if cut.last and cut.later >= wanted:
        _say(store, through, cut.last)
        yield from _delete(store)


def _present(store: OpenStore) -> int | None:
    """Return the year of the newest commit; None while the time is not trusted."""
    last = store.last()
    known = [e for e in store.epochs() if e.boot == last.boot and e.mono_from <= last.mono]
    return year_in(store.clock)(last.boot, last.mono) if known and known[-1].trusted else None


def _oldest_open(store: OpenStore) -> int | None:
    """Return the year in which the oldest of all open alarms and notices began, 0 of one that cannot be dated."""
    years, year_of = [], year_in(store.clock)
    for table in ("alarm", "notice"):
        for boot, row in store.rows_with_boot(table, _Open, []).values():
            years.append(year_of(boot, row.since or row.planned_at) or 0)
    return min(years, default=None)


def _looked(store: OpenStore, through: int) -> Iterator[_Cut]:
    """Look for the rows up to the year `through`: none is later, and what lies undated between them goes along."""
    year_of = year_in(store.clock)
    names = {number: name for name, number in store.boots.items()}
    at, last, later = tables.begin(store.connection).n, 0, set[int]()
    sql = "SELECT n, boot, mono FROM record WHERE n > ? ORDER BY n LIMIT ?"
    while rows := store.connection.execute(sql, (at, _LOOKED_AT)).fetchall():
        for n, boot, mono in rows:
            year = year_of(names.get(boot, ""), mono)
            if year is not None and year > through:
                later.add(year)
            elif year is not None and not later:
                last = n
        at = rows[-1][0]
        yield _Cut(last, frozenset(later))


def _say(store: OpenStore, through: int, last: int) -> None:
    """Put into the record what goes."""
    row = tables.record(store.connection, last - 1, 1)[0]
    removal = Removal(through, last, row.hash, f'retention = {{ record = "{store.spec.retain_record}y" }}')

    def place(connection: sqlite3.Connection, said: int) -> None:
        begin = tables.begin(connection)
        connection.execute(_PLACE, (begin.n, begin.hash, last, said))

    store.note(REMOVAL, removal, place)


def _delete(store: OpenStore) -> Iterator[bool]:
    """Delete what was said, the oldest first."""
    while (begin := tables.begin(store.connection)).n < begin.upto:
        _delete_some(store, begin)
        yield True


def _delete_some(store: OpenStore, begin: Begin) -> None:
    sql = "SELECT n, hash, length(body) FROM record WHERE n > ? AND n <= ? ORDER BY n LIMIT ?"
    rows = store.connection.execute(sql, (begin.n, begin.upto, _DELETED)).fetchall()
    size, count = 0, 0
    while count < len(rows) and size < _BYTES:
        size += rows[count][2]
        count += 1
    last, last_hash, _ = rows[count - 1]
    with store.transaction() as connection:
        connection.execute("DELETE FROM record WHERE n <= ?", (last,))
        connection.execute(_PLACE, (last, last_hash, begin.upto, begin.said))
