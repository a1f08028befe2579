"""Whole years leave the record when the station asks for it, and nothing else ever does without being found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli.main import FAILED, GOOD, run
from gateway.clock import DAY, SECOND
from gateway.errors import StoreCorrupt
from gateway.model.alarm import Alarm
from gateway.model.moment import Epoch, Input
from gateway.model.station import StoreSpec
from gateway.store import backup, chain
from gateway.store.database import Store
from gateway.store.read import Reader
from gateway.store.record import REMOVAL, RecordRow, Removal, link
from gateway.store.shapes import Group
from tests.store_groups import BOOT, alarm, transition

FIRST = 2026
BEGUN = int(datetime(FIRST, 1, 1, tzinfo=UTC).timestamp()) * SECOND
YEAR_OF_DAYS = 366  # so that no year is missed
EPOCH = Epoch(boot=BOOT, mono_from=0, wall_offset=BEGUN, source="ntp")
PER_YEAR = 6  # rows


def commit(
    store: Store, mono: int, *, boot: str = BOOT, more: tuple[Input, ...] = (), opened: Alarm | None = None
) -> None:
    """Commit one transition."""
    number = store.last().seq + 1
    rows = [("alarm", str(opened.id), opened)] if opened else []
    records = [("transition", transition(number, mono))]
    store.commit(Group(boot=boot, mono=mono, wall=0, steps=[(mono, list(more))], records=records, rows=rows))


def live(store: Store, years: int) -> None:
    """Let a station live on for some calendar years, from where it stands to the first rows of the next year."""
    last = store.last().mono if store.last().seq else 0
    for _ in range(years * PER_YEAR):
        commit(store, last, more=() if store.last().seq else (EPOCH,))
        last += 365 * DAY // PER_YEAR + DAY // 5


def kept(store: Store) -> list[int]:
    """Return the years that have rows."""
    found = {
        datetime.fromtimestamp((BEGUN + mono) // SECOND, tz=UTC).year
        for (mono,) in store.connection.execute("SELECT mono FROM record WHERE kind != 'removal'")
    }
    return sorted(found)


def finish(store: Store) -> None:
    """Do all housekeeping that is due, as if an hour had passed."""
    store.round.next_at = 0
    while store.compact(30):
        pass


def finish_some(store: Store) -> None:
    """Do one slice of it."""
    store.compact(30)


def spec(path: Path, years: int) -> StoreSpec:
    return StoreSpec(path=str(path), retain_record=years)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "station.db"


@pytest.fixture
def removed(path: Path) -> Iterator[Store]:
    """A store that lived ten years and keeps three beside the present one."""
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        finish(store)
        yield store


def removals(store: Store) -> int:
    (count,) = store.connection.execute("SELECT count(*) FROM record WHERE kind = 'removal'").fetchone()
    return int(count)


def test_nothing_is_removed_unless_the_station_asks_for_it(path: Path) -> None:
    with closing(Store.open(path, spec=StoreSpec(path=str(path)))) as store:
        live(store, 12)
        finish(store)
        assert kept(store) == list(range(FIRST, FIRST + 12))


def test_whole_years_go_and_the_rest_proves_itself(removed: Store, path: Path) -> None:
    assert kept(removed) == [FIRST + n for n in (6, 7, 8, 9)]
    assert removed.verify(1_000).broken is None
    found = chain.check(path)
    assert found.broken is None
    assert found.removal is not None
    assert (found.begin.n, found.removal.through, found.rows) == (6 * PER_YEAR, FIRST + 5, 4 * PER_YEAR + 1)
    assert found.begin.hash == found.removal.hash
    live(removed, 2)
    finish(removed)
    assert kept(removed) == [FIRST + n for n in (8, 9, 10, 11)]
    assert removals(removed) == 2
    assert chain.check(path).broken is None
    finish(removed)
    assert removals(removed) == 2, "once for each year"


def test_it_lives_on_after_a_restart(removed: Store, path: Path) -> None:
    removed.close()
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 1)
        assert store.verify(1_000).broken is None
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        store.connection.execute("DELETE FROM record WHERE n < (SELECT max(n) FROM record)")
    with pytest.raises(StoreCorrupt):  # one row is left, and the one before it is gone without a word
        Store.open(path)


@pytest.mark.usefixtures("mp")
@pytest.mark.parametrize("slices", [0, 1, 2, 3])
def test_a_removal_that_is_cut_off_is_whole_at_every_moment_and_goes_on(path: Path, slices: int) -> None:
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        while not removals(store):
            store.compact(30)
        for _ in range(slices):
            store.compact(30)
        assert store.verify(1_000).broken is None
        assert chain.check(path).broken is None
        assert kept(store)[0] < FIRST + 6
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        assert store.verify(1_000).broken is None
        finish(store)
        assert kept(store) == [FIRST + n for n in (6, 7, 8, 9)]
        assert removals(store) == 1
        assert chain.check(path).broken is None


@pytest.fixture
def mp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of few rows."""
    monkeypatch.setattr("gateway.store.years._DELETED", 7)
    monkeypatch.setattr("gateway.store.years._LOOKED_AT", 5)


@pytest.mark.usefixtures("mp")
@pytest.mark.parametrize("said", [False, True], ids=["begins meanwhile", "goes on meanwhile"])
def test_a_look_that_a_removal_overtakes_finds_nothing_wrong(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, said: bool
) -> None:
    monkeypatch.setattr(chain, "SLICE", 4)
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        while not (removals(store) if said else store.round.years):
            store.compact(30)
        found = chain.check(path, lambda _rows, _of: finish_some(store))
        assert found.broken is None
        assert found.begin.n == 6 * PER_YEAR


@pytest.mark.usefixtures("mp")
def test_a_backup_that_a_removal_overtakes_is_the_store_at_one_commit(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "SLICE", 64)
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        while not removals(store):
            store.compact(30)
        copied = backup.backup(path, tmp_path / "copy.db", lambda _: finish_some(store))
    found = chain.check(tmp_path / "copy.db")
    assert (found.broken, found.head, found.last) == (None, copied.hash, copied.record)
    assert found.begin.n > 0
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT min(n) FROM record").fetchone() == (found.begin.n + 1,)


@pytest.mark.usefixtures("mp")
def test_the_look_of_the_daemon_goes_on_beside_a_removal(path: Path) -> None:
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        while not removals(store) or store.round.running:
            assert store.verify(3).broken is None
            store.compact(30)
        assert removals(store) == 1


def test_an_open_alarm_keeps_its_year_and_all_later_ones(path: Path) -> None:
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 2)
        commit(store, store.last().mono + DAY, opened=alarm(77, store.last().mono + DAY))
        live(store, 8)
        finish(store)
        assert kept(store)[0] == FIRST + 1
        assert chain.check(path).broken is None
        with store.transaction() as connection:
            connection.execute("DELETE FROM state")
        finish(store)
        assert kept(store)[0] == FIRST + 6


def test_without_trusted_time_nothing_is_removed(path: Path) -> None:
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 10)
        doubt = Epoch(boot=BOOT, mono_from=store.last().mono, wall_offset=BEGUN, source="ntp", trusted=False)
        commit(store, store.last().mono + DAY, more=(doubt,))
        finish(store)
        assert kept(store)[0] == FIRST
        commit(store, store.last().mono + DAY, boot="boot-2")
        finish(store)
        assert kept(store)[0] == FIRST


def test_a_clock_that_jumps_decades_ahead_removes_nothing(path: Path) -> None:
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 3)
        last = store.last().mono
        wrong = Epoch(boot=BOOT, mono_from=last + DAY, wall_offset=BEGUN + 50 * 366 * DAY, source="ntp")
        commit(store, last + 2 * DAY, more=(wrong,))
        finish(store)
        assert removals(store) == 0
        assert kept(store)[0] == FIRST


def test_rows_without_a_date_go_with_what_lies_around_them(path: Path) -> None:
    with closing(Store.open(path, spec=spec(path, 3))) as store:
        live(store, 2)
        commit(store, 5 * SECOND, boot="lost")
        at = store.last().seq
        again = Epoch(boot="third", mono_from=0, wall_offset=BEGUN + 700 * DAY, source="ntp")
        commit(store, DAY, boot="third", more=(again,))
        for n in range(1, 60):
            commit(store, DAY + n * 60 * DAY, boot="third")
        finish(store)
        (first,) = store.connection.execute("SELECT min(n) FROM record").fetchone()
        assert first > at
        assert chain.check(path).broken is None


@pytest.mark.usefixtures("removed")
def test_a_kept_head_is_known_also_when_its_row_was_the_last_that_went(path: Path) -> None:
    found = chain.check(path)
    assert chain.check(path, known=found.begin.hash.hex()).known
    assert chain.check(path, known=found.head).known
    assert not chain.check(path, known="ab" * 32).known


# -- tampering


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


# -- what people see


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
