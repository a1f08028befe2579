"""The chain over the record: each row's hash covers the row before it and everything that the row says.

Pure. SHA-256 over length-prefixed fields, as stored; wall time is computed, so it is not covered (house section 10).
Changing, removing, inserting or reordering a row is found by `broken`; cutting the end off is found only by who has
kept a later head. Whole years may be gone from the beginning: `Walk` then starts from the hash that they left, and asks
that a later row of the chain says so.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

GENESIS = bytes(32)  # stands before the first row
REMOVAL = "removal"  # kind of the row that says which years go
_FIXED = struct.Struct("<qqqI")


class RecordRow(NamedTuple):
    """One row of the record as stored; `boot` by name. `mono`: ns, of the commit."""

    n: int
    seq: int
    boot: str
    mono: int
    kind: str
    body: bytes
    hash: bytes = b""


class Begin(NamedTuple):
    """Where the record begins: number and hash of the last row that is gone, up to which row they go, who says so."""

    n: int = 0
    hash: bytes = GENESIS
    upto: int = 0
    said: int = 0


class Removal(msgspec.Struct, frozen=True):
    """A row of the record: the years up to `through` (UTC) go, that is to row `last` with `hash`, and why."""

    through: int
    last: int
    hash: bytes
    why: str


def link(before: bytes, row: RecordRow) -> bytes:
    """Return the 32 byte hash of a row that follows one with hash `before`; the row's own hash is not looked at."""
    names = f"{row.boot}\0{row.kind}".encode()
    return hashlib.sha256(before + _FIXED.pack(row.n, row.seq, row.mono, len(names)) + names + row.body).digest()


def broken(before: bytes, rows: Iterable[RecordRow], first: int) -> int | None:
    """Return n of the first row that does not follow from the one before it; rows start at `first`, after `before`."""
    for expected, row in enumerate(rows, start=first):
        if row.n != expected:
            return expected
        if link(before, row) != row.hash:
            return row.n
        before = row.hash
    return None


class Walk:
    """A look over the whole record, some rows at a time.

    `n`, `hash`: of the newest row that holds; `removal`: the newest that was met. `year_of` takes boot and moment (ns)
    of a row and returns its year, None where nobody knew it.
    """

    def __init__(self, begin: Begin, year_of: Callable[[str, int], int | None]) -> None:
        self.n, self.hash = begin.n, begin.hash
        self.removal: Removal | None = None
        self._begin = begin
        self._year_of = year_of
        self._end = begin.hash if begin.n == begin.upto else b""  # hash of the last row that goes
        self._said = 0
        self._year: int | None = None  # of the first row that stays, and can be dated

    def overtaken(self, begin: Begin) -> bool:
        """Take how far a removal has come meanwhile; True: another one began, so the look has to begin anew."""
        if (begin.upto, begin.said) != (self._begin.upto, self._begin.said):
            return True
        self._begin = begin
        if begin.n > self.n:
            self.n, self.hash = begin.n, begin.hash
        if begin.n == begin.upto:
            self._end = begin.hash
        return False

    def take(self, rows: Sequence[RecordRow]) -> int | None:
        """Look at the next rows; returns n of the first that does not hold."""
        fault = broken(self.hash, rows, self.n + 1)
        for row in rows:
            if fault is not None and row.n >= fault:
                break
            self.n, self.hash = row.n, row.hash
            if row.n == self._begin.upto:
                self._end = row.hash
            elif row.n > self._begin.upto and self._year is None:
                self._year = self._year_of(row.boot, row.mono)
            if row.kind == REMOVAL:
                self._said = row.n
                try:
                    self.removal = msgspec.msgpack.decode(row.body, type=Removal)
                except ValueError:
                    return row.n
        return fault

    def end(self, last: int) -> int | None:
        """Say after all rows, of which `last` is the newest: what is gone must have been whole years, and said."""
        begin, told = self._begin, self.removal
        if self.n != last:
            return self.n + 1
        if told is None:
            return None if begin == Begin() else begin.n + 1
        if not begin.n <= begin.upto == told.last < begin.said == self._said or self._end != told.hash:
            return begin.n + 1
        if self._year is not None and self._year <= told.through:
            return begin.upto + 1
        return None
