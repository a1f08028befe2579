"""The chain over the record: each row's hash covers the row before it and everything that the row says.

Pure. SHA-256 over length-prefixed fields, as stored; wall time is computed, so it is not covered (house section 10).
Changing, removing, inserting or reordering a row is found by `broken`; cutting the end off is found only by who has
kept a later head.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import NamedTuple

GENESIS = bytes(32)  # stands before the first row
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
