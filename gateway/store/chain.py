"""The whole check of the record's chain, beside the daemon or without it: `verify`, `restore`, `doctor`.

Blocking; reads in slices, each a short look of its own (house section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from gateway.store import tables
from gateway.store.connection import check_header, connect_readonly, translated
from gateway.store.migrate import check_version
from gateway.store.record import GENESIS, broken

SLICE = 2_000  # rows


class Checked(NamedTuple):
    """Rows that hold, hash of the last one (hex), and the number of the first that does not (None: all hold).

    `known`: whether the hash that was asked for is one of theirs: cutting the end off is found only by who kept a head.
    """

    rows: int
    head: str
    broken: int | None
    known: bool = False


def check(
    path: str | Path, progress: Callable[[int, int], None] = lambda _rows, _of: None, *, known: str = ""
) -> Checked:
    """Check every row of a store's record; `progress` hears (rows so far, of so many). Raises StoreError."""
    check_header(path)
    with closing(connect_readonly(path)) as connection, translated(str(path)):
        check_version(connection)
        (most,) = connection.execute("SELECT coalesce(max(n), 0) FROM record").fetchone()
        seen, before, met = 0, GENESIS, False
        while rows := tables.record(connection, seen, SLICE):
            fault = broken(before, rows, seen + 1)
            if fault is not None:
                return Checked(fault - 1, before.hex(), fault)
            seen, before = rows[-1].n, rows[-1].hash
            met = met or any(row.hash.hex() == known for row in rows)
            progress(seen, max(most, seen))
        if seen < most:  # rows of a boot that is not known any more
            return Checked(seen, before.hex(), seen + 1)
    return Checked(seen, before.hex(), None, met)
