"""Schema versions: one SQL file each in `schema/`, applied in order inside one transaction.

Called once when the store opens. A file from a newer firegrid is refused and left as it is, never "downgraded".
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from gateway.errors import StoreError, StoreTooNew

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
    connection.execute("BEGIN IMMEDIATE")
    try:
        for script in known[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(known)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Cut a script into statements, because `executescript` would commit the transaction around them."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
