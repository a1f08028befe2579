"""What is left of a record proves itself: any change, and any removal that was not said, is found."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.main import FAILED, GOOD, run
from gateway.store import chain
from gateway.store.database import Store
from gateway.store.read import Reader
from gateway.store.record import REMOVAL, RecordRow, Removal, link
from tests.gateway.record_years import FIRST, PER_YEAR, live, path, removed, spec

__all__ = ["path", "removed"]  # fixtures


@pytest.mark.usefixtures("removed")
def test_a_kept_head_is_known_also_when_its_row_was_the_last_that_went(path: Path) -> None:
    found = chain.check(path)
    assert chain.check(path, known=found.begin.hash.hex()).known
    assert chain.check(path, known=found.head).known
    assert not chain.check(path, known="ab" * 32).known


def _changed(draw: st.DataObject, connection: sqlite3.Connection) -> str:
    """Change a kept row, remove some, or move the head."""
    rows = [n for (n,) in connection.execute("SELECT n FROM record ORDER BY n")]
    n = draw.draw(st.sampled_from(rows))
    hashed = connection.execute("SELECT hash FROM record WHERE n = ?", (n,)).fetchone()[0]
    how = draw.draw(
        st.sampled_from(("body", "kind", "mono", "hash", "one", "begin", "begin said", "head n", "head hash", "head"))
    )
    if how in ("body", "kind", "mono", "hash"):
        new = {"body": b"\xc0", "kind": "note", "mono": 1, "hash": bytes(32)}[how]
        connection.execute(f"UPDATE record SET {how} = ? WHERE n = ?", (new, n))  # noqa: S608 - ours
    elif how == "one":
        connection.execute("DELETE FROM record WHERE n = ?", (n,))
    elif how.startswith("begin"):  # as if it had been a removal of whole years
        connection.execute("DELETE FROM record WHERE n <= ?", (n,))
        moved = "UPDATE record_begin SET n = ?, hash = ?, upto = ?" if how == "begin" else None
        connection.execute(moved or "UPDATE record_begin SET n = ?, hash = ?, upto = ?, said = 9999", (n, hashed, n))
    elif how == "head n":
        connection.execute("UPDATE record_begin SET n = n + ?", (draw.draw(st.sampled_from((-1, 1, 5))),))
    elif how == "head hash":
        connection.execute("UPDATE record_begin SET hash = ?", (hashed,))
    else:
        connection.execute("DELETE FROM record_begin")
    return f"{how} {n}"


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_change_and_any_other_removal_is_found(removed: Store, tmp_path: Path, data: st.DataObject) -> None:
    removed.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = tmp_path / "copy.db"
    copy.unlink(missing_ok=True)
    copy.write_bytes(Path(removed.path).read_bytes())
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        how = _changed(data, connection)
    assert chain.check(copy).broken is not None, how


def test_a_removal_of_less_than_a_year_is_found_whatever_the_record_says(path: Path) -> None:
    """Somebody who links a row of his own to the chain: what is left of the year gives him away."""
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        n = 4 * PER_YEAR + 2
        (hashed,) = store.connection.execute("SELECT hash FROM record WHERE n = ?", (n,)).fetchone()

        def place(connection: sqlite3.Connection, said: int) -> None:
            connection.execute("UPDATE record_begin SET n = ?, hash = ?, upto = ?, said = ?", (n, hashed, n, said))
            connection.execute("DELETE FROM record WHERE n <= ?", (n,))

        store.note(REMOVAL, Removal(FIRST + 4, n, hashed, "-"), place)
        assert store.verify(1_000).broken == n + 1
        assert chain.check(path).broken == n + 1


def test_the_row_that_says_so_is_a_link_of_the_chain(removed: Store) -> None:
    sql = "SELECT n, seq, boot.name, record.mono, kind, body, hash FROM record JOIN boot ON boot.id = boot"
    rows = {row[0]: RecordRow(*row) for row in removed.connection.execute(sql)}
    said = next(row for row in rows.values() if row.kind == REMOVAL)
    assert link(rows[said.n - 1].hash, said) == said.hash


@pytest.mark.usefixtures("removed")
def test_commands_say_where_the_record_begins(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = path.with_name("none.toml")
    assert run(["verify", "-c", str(config), "--store", str(path)]) == GOOD
    said = f"the years up to {FIRST + 5} were removed from the record; it begins at row {6 * PER_YEAR + 1}"
    assert said in capsys.readouterr().out
    assert run(["verify", "-c", str(config), "--store", str(path), "--json"]) == GOOD
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["first"], told["removed_through"]) == (6 * PER_YEAR + 1, FIRST + 5)
    assert run(["verify", "-c", str(config), "--store", str(path), "--head", "ab"]) == FAILED
    assert "of a year that was removed" in capsys.readouterr().out
    with Reader(path) as reader:
        begun = reader.begin()
        assert begun is not None
        assert (begun[0], begun[1].through) == (6 * PER_YEAR + 1, FIRST + 5)
        assert next(reader.transitions()).n == 6 * PER_YEAR + 1
