"""The copy of a store that is written meanwhile: whole as of one commit, each reading once, and no half file left."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from gateway.clock import SECOND
from gateway.errors import StoreError, StoreFull, StoreTooNew
from gateway.model.batch import make_batch
from gateway.model.moment import Input
from gateway.store import backup, chain
from gateway.store.database import Store
from gateway.store.read import Reader
from gateway.store.shapes import Group
from tests.small_disk import fill, small_disk
from tests.store_groups import BOOT, EPOCH, WALL, group

__all__ = ["small_disk"]  # a fixture

POINTS = 5


class Writer:
    """Writes a store: every commit brings each point one reading, its value the number of the commit."""

    def __init__(self, path: Path) -> None:
        self.store = Store.open(path)
        self.store.point_ids([f"p{n}" for n in range(POINTS)])
        self.number = 0

    def commit(self, times: int = 1) -> None:
        """Commit; a snapshot now and then lets the journal be forgotten."""
        for _ in range(times):
            self.number += 1
            at = self.number * 20 * SECOND
            batch = make_batch("bus", at, [(n + 1, 0, float(self.number), 0) for n in range(POINTS)])
            records = [("epoch", EPOCH)] if self.number == 1 else []
            inputs: list[Input] = [EPOCH, batch] if self.number == 1 else [batch]
            steps = [(at, inputs)]
            self.store.commit(Group(boot=BOOT, mono=at, wall=WALL + at, steps=steps, records=[*records]))
            if self.number % 50 == 0:
                self.store.save_snapshot(self.store.last().seq, "1", "x", {"engine": b"-"})

    def compact(self) -> None:
        """Move readings into chunks."""
        for _ in range(20):
            self.store.compact(30)


def check_whole(path: Path, least: int, most: int) -> None:
    """Every point has the readings 1 … n, each once, in chunks or journal; rollups are those of the chunks."""
    assert chain.check(path).broken is None
    with closing(Store.open(path)) as store:
        seq = store.last().seq
    assert least <= seq <= most
    with Reader(path) as reader, closing(sqlite3.connect(path)) as connection:
        for n in range(POINTS):
            point = reader.points()[f"p{n}"]
            series = reader.readings(point)
            assert series.value.tolist() == np.arange(1, seq + 1, dtype=float).tolist()
            (packed,) = connection.execute("SELECT sum(n) FROM chunk WHERE point = ?", (point,)).fetchone()
            for table in ("minute", "hour"):
                sql = f"SELECT sum(n) FROM {table} WHERE point = ?"  # noqa: S608 - a name above
                assert connection.execute(sql, (point,)).fetchone()[0] == packed
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_of_a_store_that_is_written_all_the_while_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    writer, dice = Writer(tmp_path / "station.db"), random.Random(seed)  # noqa: S311 - a test's dice
    writer.commit(600)
    writer.compact()
    begun = writer.store.last().seq
    monkeypatch.setattr(backup, "SLICE", 4_000)
    looks = []

    def between(size: int) -> None:
        assert size
        looks.append(size)
        if len(looks) < 60:
            writer.commit(dice.randint(0, 40))
            if dice.random() < 0.7:
                writer.compact()

    copied = backup.backup(tmp_path / "station.db", tmp_path / "copy.db", between)
    assert len(looks) > 20
    assert copied.seq > begun
    check_whole(tmp_path / "copy.db", begun, writer.store.last().seq)
    assert chain.check(tmp_path / "copy.db").head == copied.hash
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    writer.store.close()


def test_no_look_holds_a_snapshot_so_that_the_wal_is_folded_back_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(tmp_path / "station.db")
    writer.commit(1_000)
    monkeypatch.setattr(backup, "SLICE", 4_000)
    held = []

    def between(_: int) -> None:
        writer.commit()
        busy, log, folded = writer.store.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        held.append(busy or log != folded)

    backup.backup(tmp_path / "station.db", tmp_path / "copy.db", between)
    assert held.count(True) <= 20, "at the seam alone"  # one progress call a small table
    assert len(held) > 25
    writer.store.close()


def test_a_store_that_changes_too_fast_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "station.db")
    writer.commit(100)
    monkeypatch.setattr(backup, "TRIES", 3)

    def between(_: int) -> None:
        writer.commit(40)
        writer.compact()

    with pytest.raises(StoreError, match="too fast"):
        backup.backup(tmp_path / "station.db", tmp_path / "copy.db", between)
    assert not (tmp_path / "copy.db").exists()
    writer.store.close()


def test_a_target_that_fills_up_leaves_nothing_behind(tmp_path: Path, small_disk: Path) -> None:
    writer = Writer(tmp_path / "station.db")
    writer.commit(100)
    writer.store.close()
    fill(small_disk)
    with pytest.raises(StoreFull):
        backup.backup(tmp_path / "station.db", small_disk / "copy.db")
    assert {path.name for path in small_disk.iterdir()} == {"ballast"}


def test_what_is_there_is_not_overwritten_and_what_is_not_there_not_copied(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "station.db")
    writer.commit()
    (tmp_path / "copy.db").touch()
    with pytest.raises(FileExistsError):
        backup.backup(tmp_path / "station.db", tmp_path / "copy.db")
    assert (tmp_path / "copy.db").exists()
    with pytest.raises(StoreError, match="no store"):
        backup.backup(tmp_path / "none.db", tmp_path / "new.db")
    writer.store.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew):
        backup.backup(tmp_path / "station.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
    writer.store.close()


def test_a_chain_is_checked_with_progress_and_a_changed_row_is_named(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "station.db")
    for number in range(1, 31):
        store.commit(group(number))
    seen: list[tuple[int, int]] = []
    good = chain.check(tmp_path / "station.db", lambda rows, most: seen.append((rows, most)))
    assert (good.rows, good.broken) == (60, None)
    assert seen[-1] == (60, 60)
    store.connection.execute("UPDATE record SET body = x'00' WHERE n = 17")
    assert chain.check(tmp_path / "station.db").broken == 17
    store.connection.execute("DELETE FROM boot")
    assert chain.check(tmp_path / "station.db").broken == 1
    store.close()
