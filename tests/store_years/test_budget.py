"""No room: the oldest readings go, counted; their rollups, alarms and evidence stay, and alarms go on being stored."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from gateway.clock import DAY, HOUR, MINUTE, SECOND
from gateway.errors import StoreFull
from gateway.model.alarm import Alarm
from gateway.model.batch import Batch
from gateway.model.quality import GOOD
from gateway.model.station import StoreSpec
from gateway.store import chain
from gateway.store.database import Store
from gateway.store.eviction import RESERVE, reserve_of
from gateway.store.read import Reader
from gateway.store.shapes import Group
from tests.small_disk import MB, fill, mounted
from tests.store_groups import BOOT, EPOCH, WALL, group

PER_STEP = 1_200  # readings of ten minutes


def tick(store: Store, number: int) -> int:
    """Commit ten minutes of telemetry, some 8 bytes a reading, compact all of it and return the readings."""
    at = number * 10 * MINUTE
    noise = np.random.default_rng(number)
    batch = Batch(
        source="bus",
        point=np.full(PER_STEP, 1, dtype=np.int32),
        time=np.zeros(PER_STEP, dtype=np.int64),
        arrival=at + np.arange(PER_STEP) * SECOND // 2,
        value=noise.random(PER_STEP),
        quality=np.full(PER_STEP, GOOD, dtype=np.uint8),
    )
    seq = store.commit(Group(BOOT, at, WALL + at, [(at, [batch, *([] if number else [EPOCH])])]))
    store.save_snapshot(seq, "1", "h", {"rules": b"-"})
    for _ in range(1_000):
        if not store.compact(30):
            return PER_STEP
    raise AssertionError("compaction does not end")


def speak(store: Store, number: int, points: tuple[int, ...], spared: frozenset[int]) -> None:
    """Commit ten minutes of several points and compact all of it."""
    at = number * 10 * MINUTE
    each, total = 100, 100 * len(points)
    batch = Batch(
        source="bus",
        point=np.tile(np.array(points, dtype=np.int32), each),
        time=np.zeros(total, dtype=np.int64),
        arrival=at + np.repeat(np.arange(each), len(points)) * 6 * SECOND,
        value=np.random.default_rng(number).random(total),
        quality=np.full(total, GOOD, dtype=np.uint8),
    )
    seq = store.commit(Group(BOOT, at, WALL + at, [(at, [batch, *([] if number else [EPOCH])])]))
    store.save_snapshot(seq, "1", "h", {"rules": b"-"})
    while store.compact(30, spared):
        pass


def test_readings_that_no_life_safety_rule_watches_go_first_then_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path, spec=StoreSpec(path=str(path), budget=MB))) as store:
        store.connection.execute("PRAGMA synchronous = OFF")
        for number in range(250):
            speak(store, number, (1, 2, 3), frozenset({2}))
        assert used(store) <= MB
        assert store.room.thinning
        assert store.room.days is not None
        with Reader(path) as reader:
            kept = {point: reader.readings(point) for point in (1, 2, 3)}
            assert reader.evicted() == store.room.evicted == 250 * 300 - sum(map(len, kept.values()))
        assert len(kept[2]) == 250 * 100, "what a gas, flood or fire rule watches is whole"
        assert 0 < len(kept[1]) < 225 * 100
        assert abs(len(kept[1]) - len(kept[3])) <= 1_200, "the others thin together"
        for point in (1, 3):
            assert kept[point].time[0] >= WALL + 250 * 10 * MINUTE - store.room.days * DAY - HOUR
            assert np.all(np.diff(kept[point].time) < MINUTE), "the oldest went, without holes"
        for number in range(250, 700):
            speak(store, number, (2,), frozenset({2}))
        assert used(store) <= MB
    with Reader(path) as reader:
        assert (len(reader.readings(1)), len(reader.readings(3))) == (0, 0)
        rest = reader.readings(2)
        assert 0 < len(rest) < 700 * 100, "then what is watched goes too, and the newest stays"
        assert rest.time[-1] > WALL + 690 * 10 * MINUTE
        assert reader.rollup("hour", 1).n.sum() == 250 * 100, "minutes and hours outlive them"


def test_how_much_room_is_used_is_told_before_any_reading_goes(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    shares = []
    with closing(Store.open(path, spec=StoreSpec(path=str(path), budget=MB))) as store:
        store.connection.execute("PRAGMA synchronous = OFF")
        assert store.room.most == 0, "not looked at yet"
        for number in range(130):
            tick(store, number)
            assert store.room.most == MB
            if not store.room.evicted:
                assert not store.room.thinning
                shares.append(store.room.used / store.room.most)
                assert number < 8 or store.room.days == pytest.approx(number / 144, abs=8 / 144)
        assert store.room.thinning
    assert sum(0.9 < share <= 1 for share in shares) >= 2, "there is time for the alarm"


def used(store: Store) -> int:
    pages, free = (
        store.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")
    )
    return int(pages - free) * 4096


def test_days_in_a_byte_budget_stay_in_it_and_keep_rollups_and_alarms(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path, spec=StoreSpec(path=str(path), budget=2 * MB))) as store:
        store.connection.execute("PRAGMA synchronous = OFF")
        store.commit(group(0))
        told = sum(tick(store, number) for number in range(400))
        assert used(store) <= 2 * MB
        assert path.stat().st_size <= 2.5 * MB, "the pages they left are used again"
        assert len(store.rows("alarm", Alarm)) == 1
    with Reader(path) as reader:
        left = reader.readings(1)
        assert 0 < reader.evicted() == told + 1 - len(left)
        assert left.value[-1] == np.random.default_rng(399).random(PER_STEP)[-1], "the newest stay"
        hours = reader.rollup("hour", 1)
        assert hours.n.sum() >= told - PER_STEP, "rollups outlive readings"
    assert chain.check(path).broken is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING], "said once"


def test_a_store_of_alarms_alone_beyond_its_budget_loses_nothing() -> None:
    with closing(Store.open(":memory:", spec=StoreSpec(path=":memory:", budget=1))) as store:
        for number in range(50):
            store.commit(group(number, [], mono=number * HOUR))
        while store.compact(30):
            pass
        assert len(store.rows("alarm", Alarm)) == 50
        assert store.verify(1_000).broken is None


def test_a_volatile_store_leaves_the_disk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(_: str) -> os.statvfs_result:
        raise AssertionError("the disk may be hanging")

    monkeypatch.setattr(os, "statvfs", hangs)
    with closing(Store.open(":memory:", spec=StoreSpec(path=str(tmp_path / "station.db")))) as store:
        tick(store, 0)
    assert not list(tmp_path.iterdir())


def test_within_its_budget_nothing_goes(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path, spec=StoreSpec(path=str(path), budget=64 * MB))) as store:
        told = sum(tick(store, number) for number in range(20))
        assert store.last().mono < DAY
    with Reader(path) as reader:
        assert (len(reader.readings(1)), reader.evicted()) == (told, 0)


# -- a real disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB in RAM."""
    with mounted(tmp_path / "disk", 64 * MB) as disk:
        yield disk


def test_on_a_disk_that_others_fill_telemetry_thins_and_alarms_go_on_being_stored(small_disk: Path) -> None:
    path = small_disk / "station.db"
    with closing(Store.open(path)) as store:
        number = 0
        while used(store) < 14 * MB:
            tick(store, number)
            number += 1
        assert _evicted(path) == 0
        assert reserve_of(path).stat().st_blocks * 512 == RESERVE
        fill(small_disk)
        assert os.statvfs(small_disk).f_bavail == 0
        begun = number
        for number in range(begun, begun + 300):
            tick(store, number)
            store.commit(group(number, [], mono=number * 10 * MINUTE))
        assert len(store.rows("alarm", Alarm)) == 300
        assert not reserve_of(path).exists()
        assert _evicted(path) > 0
        (small_disk / "ballast").unlink()
        before = _evicted(path)
        for number in range(begun + 300, begun + 320):
            tick(store, number)
        assert _evicted(path) == before, "as soon as there is room nothing goes any more"
        assert reserve_of(path).exists()
    assert chain.check(path).broken is None


def test_without_any_reading_left_to_give_up_a_full_disk_is_said(small_disk: Path) -> None:
    path = small_disk / "station.db"
    with closing(Store.open(path)) as store:
        store.commit(group(0))
        fill(small_disk)
        with pytest.raises(StoreFull):
            commit_on(store)


def commit_on(store: Store) -> None:
    for number in range(1, 20_000):
        store.commit(group(number))


def _evicted(path: Path) -> int:
    with Reader(path) as reader:
        return reader.evicted()
