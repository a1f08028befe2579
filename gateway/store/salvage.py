"""What can still be read of a damaged store: so that an unacknowledged alarm goes on after the file is set aside.

Used at start when a store does not open (house section 7). Reads each table on its own, from both ends, and keeps what
comes; never writes to the damaged file. `adopt` puts it into the new store, or the volatile one, that takes its place.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.config.kept import sync_folder
from gateway.errors import StoreError
from gateway.store import tables
from gateway.store.connection import Lock, connect_readonly, keep_private
from gateway.store.database import Store

T = TypeVar("T")

_TABLES = {
    "point": ("name, id", "id"),
    "boot": ("id, name, mono", "id"),
    "clock_epoch": ("boot, mono_from, wall_offset, error, source, trusted", "boot, mono_from"),
    "state": ("name, key, boot, body", "name, key"),
}


@dataclass(slots=True)
class Salvaged:
    """What was read, as stored.

    `points`: name → durable id; `boots`: number → (name, first moment, ns); `epochs`: rows of clock_epoch; `rows`:
    (table, key, boot number, bytes) of the durable tables; `configuration`: (hash, bytes) of the one taken over last;
    `seq`: number of the newest commit, 0 if not known; `lost`: what could not be read, in words.
    """

    points: dict[str, int] = field(default_factory=dict)
    boots: dict[int, tuple[str, int]] = field(default_factory=dict)
    epochs: list[tuple[Any, ...]] = field(default_factory=list)
    rows: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    configuration: tuple[str, bytes] | None = None
    seq: int = 0
    lost: list[str] = field(default_factory=list)

    def table(self, name: str, kind: type[T]) -> dict[str, tuple[str, T]]:
        """Return key → (boot, value) of a durable table; rows that cannot be decoded are left out."""
        decoder, found = msgspec.msgpack.Decoder(kind), {}
        for table, key, boot, body in self.rows:
            if table == name:
                with suppress(ValueError):
                    found[key] = (self.boots.get(boot, ("", 0))[0], decoder.decode(body))
        return found


def salvage(path: str | Path) -> Salvaged:
    """Read what can be read; never raises for a damaged file, `lost` says what is missing."""
    ways = []
    for immutable in (False, True):  # the second way needs no working WAL, no lock and no writable folder
        found = Salvaged()
        with suppress(StoreError), closing(connect_readonly(path, immutable=immutable)) as connection:
            _read(connection, found)
            if immutable and _wal_bytes(path):
                found.lost.append("what was written last could not be read")
            if not found.lost:
                return found
            ways.append(found)
    some = (found for found in ways if found.points or found.rows)
    return min(some, key=lambda found: len(found.lost), default=Salvaged(lost=["nothing could be read"]))


def _wal_bytes(path: str | Path) -> int:
    try:
        return Path(f"{path}-wal").stat().st_size
    except OSError:  # there is none
        return 0


def adopt(store: Store, salvaged: Salvaged) -> None:
    """Put what was read into an empty store, ids and boots as they were."""
    with store.transaction() as connection:
        connection.executemany("INSERT INTO point (name, id) VALUES (?, ?)", list(salvaged.points.items()))
        boots = [(number, name, mono) for number, (name, mono) in salvaged.boots.items()]
        known = salvaged.boots.keys()
        connection.executemany("INSERT INTO boot VALUES (?, ?, ?)", boots)
        connection.executemany("INSERT INTO clock_epoch VALUES (?, ?, ?, ?, ?, ?)", salvaged.epochs)
        rows = [row for row in salvaged.rows if row[2] in known]
        connection.executemany("INSERT INTO state VALUES (?, ?, ?, ?)", rows)
    store.reload()
    store.resume_after(salvaged.seq)
    if salvaged.configuration is not None:
        store.save_configuration(*salvaged.configuration)


def begin_anew(path: Path, salvaged: Salvaged, lock: Lock | None) -> Path:
    """Set a store aside and put one in its place that has what was salvaged; returns where the old one is.

    A power cut leaves the old one or the new one, or, between two renames, the new one for `take_up`. Raises
    StoreError, OSError: nothing has changed then, or `take_up` ends it.
    """
    fresh = _begun(path)
    _remove(fresh)
    with closing(Store.open(fresh, lock=lock)) as store:
        adopt(store, salvaged)
    aside = set_aside(path)
    put_in_place(fresh, path)
    return aside


def take_up(path: Path) -> None:
    """End a beginning anew that was cut off, before the store is opened. Raises OSError."""
    fresh = _begun(path)
    if not fresh.exists():
        return
    if path.exists():  # the old one was not set aside yet
        _remove(fresh)
    else:
        put_in_place(fresh, path)


def put_in_place(file: Path, path: Path) -> None:
    """Let a closed file be the store, where none is. Raises OSError.

    A WAL that a cut has left behind is set aside: SQLite would take it for that of the file.
    """
    if parts(path):
        set_aside(path)
    file.rename(path)
    sync_folder(path.parent)


def set_aside(path: Path) -> Path:
    """Rename a store and what SQLite keeps beside it, or what is left of that; returns the new name. Raises OSError."""
    number = 1
    while parts(aside := path.with_name(f"{path.name}.aside-{number}")):
        number += 1
    for suffix, part in parts(path).items():
        part.rename(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    keep_private(aside)
    return aside


def parts(path: Path) -> dict[str, Path]:
    """Return what there is of a store: suffix → file."""
    files = {suffix: path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")}
    return {suffix: file for suffix, file in files.items() if file.exists()}


def _begun(path: Path) -> Path:
    return path.with_name(f"{path.name}.begun")


def _remove(path: Path) -> None:
    for part in parts(path).values():
        part.unlink()


def _read(connection: sqlite3.Connection, found: Salvaged) -> None:
    found.points = dict(_both_ends(connection, "point", found.lost))
    found.boots = {number: (name, mono) for number, name, mono in _both_ends(connection, "boot", found.lost)}
    found.epochs = [row for row in _both_ends(connection, "clock_epoch", found.lost) if row[0] in found.boots]
    found.rows = _both_ends(connection, "state", found.lost)
    orphans = {row[2] for row in found.rows} - found.boots.keys()
    found.boots.update({number: (f"lost-{number}", 0) for number in orphans})  # an unknown boot: times not known
    try:
        found.seq = tables.head(connection).last.seq
    except (sqlite3.Error, StoreError, KeyError) as error:
        found.lost.append(f"journal: {error}")
    try:
        found.configuration = tables.configuration(connection, None)
    except (sqlite3.Error, StoreError, zlib.error) as error:
        found.lost.append(f"configuration: {error}")


def _both_ends(connection: sqlite3.Connection, table: str, lost: list[str]) -> list[Any]:
    """Read a table forwards up to the damage and backwards up to it."""
    columns, key = _TABLES[table]
    rows: dict[tuple[Any, ...], None] = {}
    for direction in ("", " DESC"):
        order = ", ".join(f"{part}{direction}" for part in key.split(", "))
        try:
            for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {order}"):  # noqa: S608 - constants
                rows[row] = None
        except sqlite3.Error as error:
            lost.append(f"{table}: {error}")
        else:
            break
    return list(rows)
