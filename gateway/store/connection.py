"""Opening the file: one daemon per store, checked header, pragmas, and SQLite's errors in our words.

Under `gateway.store.database`. Every message says what to do (house section 7 decides what the daemon does about it).
Only the header is checked here: a store opens in milliseconds whatever its size (section 4).
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from gateway.errors import StoreCorrupt, StoreError, StoreFull, StoreLocked, StoreReadOnly
from gateway.store.migrate import check_version, migrate, scripts

log = logging.getLogger(__name__)
MEMORY = ":memory:"
_PRIVATE = 0o600
_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes; SQLite file format, section 1.3
_PAGE = 4096
_BUSY_TIMEOUT = 2.0  # s; only a connection of ours that hangs can hold the lock
_PRAGMAS = (
    f"PRAGMA page_size = {_PAGE}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA journal_size_limit = 16777216",  # the WAL file shrinks back after a flood
    "PRAGMA cache_size = -4096",  # KiB
    "PRAGMA temp_store = MEMORY",
    "PRAGMA foreign_keys = OFF",
)
_KINDS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_IOERR_SHMSIZE: StoreFull,  # no room for the index of the WAL, made at opening
    sqlite3.SQLITE_CORRUPT: StoreCorrupt,
    sqlite3.SQLITE_NOTADB: StoreCorrupt,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_PERM: StoreReadOnly,
}
_FIXES: dict[type[StoreError], str] = {
    StoreFull: "make room on the disk, or shorten [store] retention",
    StoreCorrupt: "set the file aside; what can be read of it is taken over at the next start",
    StoreReadOnly: "check the owner of the file and its folder, and whether the disk is mounted read-only",
    StoreError: "check the disk and the system log",
}


class Lock:
    """Holds a store for this daemon; several connections of one process may share it. Released with the process."""

    def __init__(self, path: str | Path) -> None:
        """Take it; StoreLocked when another process has it, StoreReadOnly when it cannot be made."""
        beside = Path(f"{path}.lock")
        try:
            self._descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreReadOnly(f"{beside}: {error.strerror}; {_FIXES[StoreReadOnly]}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreLocked(
                f"{path} is in use by another firegrid (process {holder}): stop that one, or name another [store] path"
            ) from error
        with suppress(OSError):  # a full disk: the lock holds, only its holder's number is missing
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        self._unused = True

    def first_use(self) -> bool:
        """Return whether no connection has been opened under it yet: only then may the header be looked at."""
        unused, self._unused = self._unused, False
        return unused

    def release(self) -> None:
        """Give it up; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def connect(path: str | Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode with the newest schema; any StoreError."""
    with translated(str(path)):
        with suppress(OSError):  # SQLite says why; a file that is there is not opened here, see `check_header`
            if str(path) != MEMORY and not Path(path).exists():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))
        connection = sqlite3.connect(str(path), timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            check_version(connection)  # first: the next lines change the file
            keep_private(path)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            migrate(connection)
            connection.execute("BEGIN IMMEDIATE")  # a file that cannot be written says so now
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
    return connection


def keep_private(path: str | Path) -> None:
    """Let nobody but the owner read a store and what stands beside it: it holds names, phone numbers and messages.

    SQLite gives the files beside it the mode of the store.
    """
    for file in (Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")):
        with suppress(OSError):  # not there, or not ours to change
            if str(path) != MEMORY and file.stat().st_mode & 0o077:
                file.chmod(_PRIVATE)
                log.warning("%s could be read by others; now only by its owner", file)


def connect_readonly(path: str | Path, *, immutable: bool = False) -> sqlite3.Connection:
    """Return a connection that cannot write; works beside a running daemon. `immutable`: without locks and WAL."""
    if not Path(path).exists():
        raise StoreError(f"{path}: there is no store yet; `firegrid run` makes one")
    option = "immutable=1" if immutable else "mode=ro"
    with translated(str(path)):
        uri = f"{Path(path).absolute().as_uri()}?{option}"
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
    return connection


def is_older(path: str | Path) -> bool:
    """Tell whether a store is upgraded when it opens, which may take long; False of what does not say."""
    with suppress(StoreError), translated(str(path)), closing(connect_readonly(path)) as connection:
        return 0 < check_version(connection) < len(scripts())
    return False


def check_header(path: str | Path) -> None:
    """Refuse a file that is not SQLite or shorter than it says; StoreCorrupt. Not while a connection is open.

    POSIX locks are dropped when *any* descriptor of the file is closed, hence the last sentence.
    """
    file = Path(path)
    if str(path) == MEMORY or not file.exists() or file.stat().st_size == 0:
        return
    try:
        with file.open("rb") as stream:
            header = stream.read(_HEADER)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; {_FIXES[StoreError]}") from error
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise StoreCorrupt(f"{path} is not a SQLite file; {_FIXES[StoreCorrupt]}")
    (page,) = struct.unpack_from(">H", header, 16)
    (pages,) = struct.unpack_from(">I", header, 28)
    wal = Path(f"{path}-wal")
    if not (wal.exists() and wal.stat().st_size) and file.stat().st_size < pages * (65536 if page == 1 else page):
        raise StoreCorrupt(f"{path} is cut short; {_FIXES[StoreCorrupt]}")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn SQLite's errors into ours, with the fix in the message."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        kind = StoreError if code is None else _KINDS.get(code) or _KINDS.get(code & 0xFF, StoreError)
        raise kind(f"{where}: {error}; {_FIXES[kind]}") from error
