"""Whole years leave the record when the station asks for it, and nothing else does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import DAY, SECOND
from gateway.errors import StoreCorrupt
from gateway.model.moment import Epoch
from gateway.model.station import StoreSpec
from gateway.store import backup, chain
from gateway.store.database import Store
from tests.gateway.record_years import (
    BEGUN,
    FIRST,
    PER_YEAR,
    commit,
    few,
    finish,
    finish_some,
    kept,
    live,
    path,
    removals,
    removed,
    spec,
)
from tests.store_groups import BOOT, alarm

__all__ = ["few", "path", "removed"]  # fixtures


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


@pytest.mark.usefixtures("few")
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


@pytest.mark.usefixtures("few")
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


@pytest.mark.usefixtures("few")
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


@pytest.mark.usefixtures("few")
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
