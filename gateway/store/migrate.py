"""Schema versions: one SQL file each in `schema/`, applied in order inside one transaction.

Called once when the store opens. A file from a newer firegrid is refused and left as it is, never "downgraded". Before
an older one is changed a copy of it is kept beside it; a migration that fails, or after which the store does not read
as it should, is rolled back whole. So both ways back are open: the old program finds its own schema, or its own copy.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from gateway.config.kept import sync_folder
from gateway.errors import StoreError, StoreTooNew
from gateway.store import tables

log = logging.getLogger(__name__)
TELEMETRY = frozenset({"chunk", "minute", "hour", "packed"})
APPLICATION_ID = 0x46475244  # "FGRD": `file` and we know the file as ours


def scripts() -> list[str]:
    """Return the SQL of version 1, 2, … in order."""
    folder = files("gateway.store").joinpath("schema")
    return [item.read_text("utf-8") for item in sorted(folder.iterdir(), key=lambda f: f.name) if item.is_file()]


def check_version(connection: sqlite3.Connection) -> int:
    """Return the schema version of a database, 0 for an empty one; StoreTooNew, StoreError if it is not ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    known = len(scripts())
    if owner == APPLICATION_ID and version > known:
        raise StoreTooNew(
            f"the store has schema {version}, this firegrid knows up to {known}: "
            "install the firegrid that wrote it, or restore a backup made before the upgrade"
        )
    if owner != APPLICATION_ID and (owner or connection.execute("SELECT 1 FROM sqlite_schema").fetchone()):
        raise StoreError(
            "this is a database of another program and is left as it is: name another file in [store] path"
        )
    return int(version)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an open database (autocommit mode) to the newest schema; StoreTooNew, StoreError if it is not ours."""
    known = scripts()
    version = check_version(connection)
    if version == len(known):
        return
    if version:
        keep_copy(connection, version)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for script in known[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(known)}")
        _self_test(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _self_test(connection: sqlite3.Connection) -> None:
    """Read what a start reads, while the migration can still be taken back. Raises StoreError."""
    try:
        tables.head(connection)
        tables.begin(connection)
        tables.epochs(connection)
        tables.marks(connection)
        tables.snapshot(connection)
        tables.configuration(connection, None)
    except StoreError as error:  # StoreCorrupt would set a store aside that is as good as it was
        raise StoreError(f"the migration failed its self-test and was taken back: {error}") from error


def copy_of(path: str | Path, version: int) -> Path:
    """Return where the copy of a store is kept that had an older schema."""
    return Path(f"{path}.schema-{version}")


def kept_copies(path: str | Path) -> dict[int, Path]:
    """Return schema → copy of every one that is kept."""
    found = {}
    for copy in Path(path).parent.glob(f"{Path(path).name}.schema-*"):
        version = copy.name.rpartition("-")[2]
        if version.isdigit():
            found[int(version)] = copy
    return found


def keep_copy(connection: sqlite3.Connection, version: int) -> None:
    """Copy a database before it is changed; older copies go. Raises sqlite3.Error, StoreError: it is not changed then.

    One snapshot to the end is right here: the store is not in use while it is opened. Where there is no room for its
    readings, the copy is without them: an upgrade must not leave a station whose disk is well used without its store.
    """
    path = next(file for _, name, file in connection.execute("PRAGMA database_list") if name == "main")
    if not path:
        return
    copy = copy_of(path, version)
    for old in {*kept_copies(path).values(), copy}:
        old.unlink(missing_ok=True)
    partial = Path(f"{copy}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(partial)) as target:
            if _fits(connection, partial):
                connection.backup(target)
            else:
                log.warning("%s: no room for a whole copy: readings are not in it", copy)
                _copy_without_telemetry(connection, target, version)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.rename(copy)
        sync_folder(copy.parent)
    except OSError as error:
        raise StoreError(f"{copy}: {error.strerror}; without a copy the store is not migrated") from error
    finally:
        partial.unlink(missing_ok=True)


def _fits(connection: sqlite3.Connection, target: Path) -> bool:
    """Tell whether a whole copy leaves half of what is free now. Raises OSError."""
    pages, page = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "page_size"))
    disk = os.statvfs(target)
    return 2 * pages * page <= disk.f_bavail * disk.f_frsize


def _copy_without_telemetry(connection: sqlite3.Connection, target: sqlite3.Connection, version: int) -> None:
    """Copy what must never be lost: a store may well fill most of its disk."""
    schema = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    for _, _, sql in schema:
        target.execute(sql)
    for table in (name for kind, name, _ in schema if kind == "table" and name not in TELEMETRY):
        rows = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - a name out of the schema
        marks = ", ".join("?" * len(rows.description))
        target.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - likewise
    target.commit()
    target.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    target.execute(f"PRAGMA user_version = {version}")


def _statements(script: str) -> list[str]:
    """Cut a script into statements, because `executescript` would commit the transaction around them."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
