"""A store that is damaged, full, read-only, taken or too new: a clear error with the fix, quickly, and nothing lost."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreCorrupt, StoreError, StoreFull, StoreLocked, StoreReadOnly, StoreTooNew
from gateway.model.alarm import Alarm
from gateway.store.connection import Lock, connect_readonly
from gateway.store.database import Store
from gateway.store.migrate import scripts
from gateway.store.read import Reader
from gateway.store.salvage import adopt, salvage
from tests.patience import PATIENCE
from tests.small_disk import MB, fill, mount_again, mounted
from tests.store_groups import BOOT, EPOCH, WALL, alarm, group

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of twenty commits, closed."""
    file = tmp_path / "station.db"
    with closing(Store.open(file)) as store:
        store.point_ids(["hall.smoke", "kitchen.gas"])
        store.save_configuration("hash-a", b"the whole configuration")
        for n in range(1, 21):
            store.commit(group(n, [(1, 0, n / 7, 0)] * 300, more=[EPOCH] if n == 1 else []))
    return file


# -- damage


@pytest.mark.parametrize("content", [b"no database at all" * 1000, b"x", b"SQLite format 3\0", bytes(8192)])
def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "station.db"
    file.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="set the file aside"):
        Store.open(file)
    assert file.read_bytes() == content
    assert salvage(file).lost


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "station.db"
    with closing(sqlite3.connect(file)) as foreign:
        foreign.execute("CREATE TABLE journal (x)")
    before = file.read_bytes(), file.stat().st_mode
    with pytest.raises(StoreError, match="another program") as refused:
        Store.open(file)
    assert not isinstance(refused.value, StoreCorrupt)  # which would set the file aside
    assert (file.read_bytes(), file.stat().st_mode) == before


@pytest.mark.parametrize("part", [0.9, 0.5, 0.1])
def test_a_file_cut_short_is_found_before_anything_is_read(path: Path, part: float) -> None:
    os.truncate(path, int(path.stat().st_size * part))
    with pytest.raises(StoreCorrupt, match="cut short"):
        Store.open(path)


def test_after_a_failed_opening_the_lock_is_free(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(StoreCorrupt):
        Store.open(path)
    path.write_bytes(whole)
    Store.open(path).close()


def test_a_store_under_a_shared_lock_is_checked_at_its_first_opening(path: Path) -> None:
    path.write_bytes(b"garbage" * 100)
    lock = Lock(path)
    with pytest.raises(StoreCorrupt):
        Store.open(path, lock=lock)
    lock.release()


@pytest.mark.parametrize("seed", range(12))
def test_pages_of_garbage_cost_an_error_of_ours_or_nothing(path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test's choice of pages
    content = bytearray(path.read_bytes())
    for page in rng.sample(range(1, len(content) // 4096), 3):
        content[page * 4096 : (page + 1) * 4096] = rng.randbytes(4096)
    path.write_bytes(content)
    try:
        with closing(Store.open(path)) as store:
            for _ in store.tail(0):
                pass
            store.rows("alarm", Alarm)
            while store.compact(1):
                pass
    except StoreError:
        pass
    with Reader(path) as reader:
        try:
            reader.readings(1)
            list(reader.events())
        except StoreError:
            pass
    for name, (_, value) in salvage(path).table("alarm", Alarm).items():
        assert value == alarm(int(name), int(name) * 10**9), "what is salvaged is as it was"


# -- salvage


def test_what_is_salvaged_of_a_whole_store_begins_a_new_one(path: Path, tmp_path: Path) -> None:
    found = salvage(path)
    assert found.lost == []
    with closing(Store.open(tmp_path / "new.db")) as fresh:
        adopt(fresh, found)
        assert fresh.rows("alarm", Alarm) == {str(n): alarm(n, n * 10**9) for n in range(1, 21)}
        assert fresh.rows_with_boot("alarm", Alarm)["7"][0] == BOOT
        assert fresh.wall_of(BOOT, 1) == WALL + 1
        assert fresh.point_ids(["new", "kitchen.gas"]) == {"new": 3, "kitchen.gas": 2}
        assert fresh.last_good_configuration() == ("hash-a", b"the whole configuration")
        assert fresh.commit(group(30)) == 21, "numbers go on"
    with closing(Store.open(tmp_path / "new.db")) as fresh:
        assert len(fresh.rows("alarm", Alarm)) == 21


def test_alarms_are_salvaged_where_a_journal_page_is_gone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'").fetchone()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        Store.open(path)
    found = salvage(path)
    assert len(found.table("alarm", Alarm)) == 20
    assert found.points == {"hall.smoke": 1, "kitchen.gas": 2}


def test_rows_before_and_after_a_broken_page_are_salvaged(path: Path) -> None:
    with closing(Store.open(path)) as store:
        for n in range(21, 200):
            store.commit(group(n))
    content = path.read_bytes()
    where = content.rindex(b"alarm109")  # name and key stand side by side in the row
    page = where // 4096
    path.write_bytes(content[: page * 4096] + b"\xff" * 4096 + content[(page + 1) * 4096 :])
    found = salvage(path)
    kept = found.table("alarm", Alarm)
    assert found.lost
    assert {"1", "99"} <= kept.keys()
    assert 199 > len(kept) > 150


def test_salvage_reads_what_stands_only_in_the_wal(path: Path, tmp_path: Path) -> None:
    with closing(Store.open(path)) as store:
        store.commit(group(77))
        for suffix in ("", "-wal"):  # as a power cut leaves it
            (tmp_path / f"cut.db{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    assert "77" in salvage(tmp_path / "cut.db").table("alarm", Alarm)


def test_damage_elsewhere_does_not_cost_what_stands_only_in_the_wal(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE configuration SET body = x'00'")
    with closing(Store.open(path)) as store:
        store.commit(group(77))
        for suffix in ("", "-wal"):
            (tmp_path / f"cut.db{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    found = salvage(tmp_path / "cut.db")
    assert "77" in found.table("alarm", Alarm)
    assert len(found.lost) == 1


def test_what_is_read_without_the_wal_is_not_taken_for_all_there_is(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(path: Path, *, immutable: bool) -> sqlite3.Connection:
        if not immutable:
            raise StoreError("the database is locked")
        return connect_readonly(path, immutable=True)

    monkeypatch.setattr("gateway.store.salvage.connect_readonly", busy)
    assert salvage(path).lost == [], "nothing stands in a WAL"
    with closing(Store.open(path)) as store:
        store.commit(group(77))
        for suffix in ("", "-wal"):
            (tmp_path / f"cut.db{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    found = salvage(tmp_path / "cut.db")
    assert len(found.table("alarm", Alarm)) == 20
    assert found.lost


# -- taken, too new


def test_a_second_daemon_is_told_who_has_the_store(path: Path) -> None:
    script = (
        "import sys; from gateway.store.database import Store; from gateway.errors import StoreLocked\n"
        "try: Store.open(sys.argv[1])\n"
        "except StoreLocked as error: print(error); sys.exit(7)\n"
    )
    with closing(Store.open(path)):
        other = subprocess.run(
            [sys.executable, "-c", script, str(path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=ROOT,
            check=False,
        )
        assert other.returncode == 7
        assert f"process {os.getpid()}" in other.stdout
        with pytest.raises(StoreLocked):
            Store.open(path)
    Store.open(path).close()


def test_a_fresh_connection_under_the_same_lock_sees_the_last_commit(path: Path) -> None:
    lock = Lock(path)
    hanging = Store.open(path, lock=lock)
    hanging.commit(group(21))
    fresh = Store.open(path, lock=lock)
    assert fresh.last().seq == 21
    fresh.close()
    hanging.close()
    with pytest.raises(StoreLocked):
        Store.open(path)
    lock.release()
    Store.open(path).close()


def test_while_another_connection_hangs_in_a_commit_a_fresh_one_says_so(path: Path) -> None:
    lock = Lock(path)
    hanging = Store.open(path, lock=lock)
    fresh = Store.open(path, lock=lock)
    fresh.connection.execute("PRAGMA busy_timeout = 10")
    hanging.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        fresh.commit(group(21))
    hanging.connection.execute("ROLLBACK")
    assert fresh.commit(group(21)) == 21
    fresh.close()
    hanging.close()
    lock.release()


def test_a_store_of_a_newer_firegrid_is_left_as_it_is(path: Path) -> None:
    newer = len(scripts()) + 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="install the firegrid that wrote it"):
        Store.open(path)
    with pytest.raises(StoreTooNew):
        Reader(path)
    assert path.read_bytes() == before


# -- full, read-only


def commit_on(store: Store, start: int) -> int:
    """Commit until the disk is full; return the number of the last group that was taken."""
    for n in range(start, 1000):
        try:
            store.commit(group(n))
        except StoreFull as error:
            assert "make room" in str(error)  # noqa: PT017 - which commit fails is not known beforehand
            return n - 1
    raise AssertionError("the disk never was full")


def test_a_full_store_takes_no_half_commit_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path / "station.db")) as store:
        (pages,) = store.connection.execute("PRAGMA page_count").fetchone()
        store.connection.execute(f"PRAGMA max_page_count = {pages + 30}")
        done = commit_on(store, 1)
        assert store.last().seq == done
        assert store.verify(10_000).broken is None
        store.connection.execute("PRAGMA max_page_count = 100000")
        assert store.commit(group(done + 1)) == done + 1
        assert len(store.rows("alarm", Alarm)) == done + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB in RAM."""
    with mounted(tmp_path / "disk", MB) as disk:
        yield disk


def test_a_disk_without_space_is_full_and_recovers(small_disk: Path) -> None:
    with closing(Store.open(small_disk / "station.db")) as store:
        ballast = small_disk / "ballast"
        store.commit(group(1))
        ballast.write_bytes(bytes(500_000))
        done = commit_on(store, 2)
        ballast.unlink()
        assert store.commit(group(done + 1)) == done + 1
    with closing(Store.open(small_disk / "station.db")) as store:
        assert store.last().seq == done + 1
        assert store.verify(10_000) == (2 * done + 2, True, None)


def test_a_store_on_a_full_disk_is_salvaged(small_disk: Path) -> None:
    file = small_disk / "station.db"
    with closing(Store.open(file)) as store:
        for n in range(1, 20):
            store.commit(group(n))
    fill(small_disk)
    with pytest.raises(StoreFull, match="make room"):
        Store.open(file)
    assert len(salvage(file).table("alarm", Alarm)) == 19


def test_a_disk_mounted_read_only_says_so_and_is_read(small_disk: Path) -> None:
    file = small_disk / "station.db"
    with closing(Store.open(file)) as store:
        store.commit(group(1))
    mount_again(small_disk, "ro")
    with pytest.raises(StoreReadOnly, match="mounted read-only"):
        Store.open(file)
    assert "1" in salvage(file).table("alarm", Alarm)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_rights_says_so(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StoreReadOnly, match="owner"):
            Store.open(path)
    finally:
        path.parent.chmod(0o700)


def test_a_folder_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        Store.open(tmp_path / "none" / "station.db")
