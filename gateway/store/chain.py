"""The whole check of the record's chain: by the daemon of its own store, and beside it: `verify`, `restore`, `doctor`.

Blocking; reads in slices, each a short look of its own (house section 4). A removal of whole years may go on meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from gateway.errors import StoreCorrupt
from gateway.store import tables
from gateway.store.connection import check_header, connect_readonly, translated
from gateway.store.epochs import Epochs
from gateway.store.migrate import check_version
from gateway.store.opened import OpenStore
from gateway.store.record import Begin, Removal, Walk
from gateway.store.shapes import Verification
from gateway.store.years import year_in

SLICE = 2_000  # rows


class Checked(NamedTuple):
    """What a look over the whole record found.

    `rows`: so many hold; `head`: hash of the newest of them (hex), `last`: its number; `broken`: number of the first
    that does not hold (None: all do); `known`: whether the hash that was asked for is one of theirs, or the one that
    removed years have left: cutting the end off is found only by who kept a head; `begin`, `removal`: which years are
    gone (None: none are).
    """

    rows: int
    head: str
    broken: int | None
    known: bool = False
    last: int = 0
    begin: Begin = Begin()
    removal: Removal | None = None


def check(
    path: str | Path, progress: Callable[[int, int], None] = lambda _rows, _of: None, *, known: str = ""
) -> Checked:
    """Check every row of a store's record; `progress` hears (row so far, of so many). Raises StoreError."""
    check_header(path)
    with closing(connect_readonly(path)) as connection, translated(str(path)):
        check_version(connection)
        while (checked := _look(connection, progress, known)) is None:
            pass
    return checked


def _look(connection: sqlite3.Connection, progress: Callable[[int, int], None], known: str) -> Checked | None:
    """Look once; None when a removal of years began meanwhile."""
    begin, fault = tables.begin(connection), None
    (most,) = connection.execute("SELECT coalesce(max(n), 0) FROM record").fetchone()
    walk = Walk(begin, year_in(Epochs(tables.epochs(connection))))
    met = begin.hash.hex() == known
    while fault is None:
        rows = tables.record(connection, walk.n, SLICE)
        now = tables.begin(connection)  # after the rows: what was deleted before them is known
        if now != begin and walk.overtaken(now):
            return None
        begin = now
        if not rows:
            fault = walk.end(max(most, walk.n))  # fewer: rows of a boot that is not known any more
            break
        fault = walk.take([row for row in rows if row.n > walk.n])
        met = met or any(row.hash.hex() == known for row in rows)
        progress(walk.n, max(most, walk.n))
    return Checked(walk.n - begin.n, walk.hash.hex(), fault, met, walk.n, begin, walk.removal)


def look_on(store: OpenStore, limit: int) -> Verification:
    """Check the next `limit` rows of an open store; each call goes on where the last one stopped.

    A page that cannot be read breaks the chain as well: `broken` is then the first row of the slice.
    """
    walk = store.walk
    try:
        with translated(store.path):
            begin = tables.begin(store.connection)
            if walk is None or walk.overtaken(begin):
                walk = Walk(begin, year_in(store.clock))
            rows = tables.record(store.connection, walk.n, limit)
    except StoreCorrupt:
        store.walk = None
        return Verification(0, done=True, broken=walk.n + 1 if walk else 1)
    done = len(rows) < limit
    fault = walk.take(rows)
    if fault is None and done:
        fault = walk.end(store.recorded())
    store.walk = None if done or fault is not None else walk
    return Verification(len(rows), done, fault)
