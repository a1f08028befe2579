"""Compaction: every reading is found once, before and after it moves; rollups equal a plain loop; old data goes."""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import DAY, HOUR, MINUTE, SECOND
from gateway.errors import StoreError
from gateway.model.alarm import Alarm
from gateway.model.moment import Epoch
from gateway.model.quality import GOOD, Doubt, Level, quality
from gateway.model.station import StoreSpec
from gateway.store.chunks import FEW_COMMITS, FEW_READINGS, PASS_READINGS
from gateway.store.connection import Lock
from gateway.store.database import Store
from gateway.store.read import Reader
from gateway.store.rollup import WIDTHS
from tests.store_groups import EPOCH, WALL, Row, group

BAD = quality(Level.BAD, Doubt.NO_COMMS)
READING = st.tuples(
    st.integers(1, 3),
    st.just(0) | st.integers(0, 7200).map(lambda s: WALL + s * SECOND),
    st.integers(-500, 500).map(lambda n: n / 10)
    | st.floats(-1e9, 1e9)
    | st.sampled_from([math.nan, math.inf, -math.inf]),
    st.sampled_from([GOOD, BAD, quality(Level.UNCERTAIN)]),
)
FULL = "CREATE TEMP TRIGGER full BEFORE UPDATE ON progress BEGIN SELECT raise(ABORT, 'full'); END"
COMMITS = st.lists(st.tuples(st.integers(1, 400), st.lists(READING, max_size=6)), min_size=1, max_size=12)


def fill(store: Store, commits: Sequence[tuple[int, Sequence[Row]]]) -> list[tuple[int, Row]]:
    """Commit readings `after` seconds after each other; return (arrival, reading) in order."""
    at, told = 0, []
    for number, (after, rows) in enumerate(commits):
        at += after * SECOND
        store.commit(group(number, rows, mono=at, more=[EPOCH] if number == 0 else []))
        told += [(at, row) for row in rows]
    return told


def finish(store: Store, limit_ms: int = 30) -> int:
    """Compact until nothing is left to do; return the number of slices."""
    for slices in range(1, 5_000):
        if not store.compact(limit_ms):
            return slices
    raise AssertionError("compaction does not end")


def seen(reader: Reader, point: int) -> list[tuple[str, int, int]]:
    series = reader.readings(point)
    values = [repr(value) for value in series.value.tolist()]
    return list(zip(values, series.quality.tolist(), series.arrival.tolist(), strict=True))


def expected(told: Iterable[tuple[int, Row]], point: int) -> list[tuple[str, int, int]]:
    return [(repr(v), q, WALL + at) for at, (p, _, v, q) in told if p == point]


@settings(max_examples=40, deadline=None)
@given(COMMITS, st.integers(0, 12))
def test_every_reading_is_found_once_whatever_has_moved(commits: list[tuple[int, list[Row]]], snapshot: int) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Store.open(Path(folder) / "a.db")) as store:
        told = fill(store, commits)
        with Reader(store.path) as reader:
            for _ in range(100):
                for point in (1, 2, 3):
                    assert seen(reader, point) == expected(told, point)
                store.save_snapshot(min(snapshot, store.last().seq), "1", "h", {"x": b""})
                if not store.compact(1):
                    break
            else:
                raise AssertionError("compaction does not end")
            seqs = [row.seq for row in store.tail(0)]
            assert seqs == list(range(seqs[0], store.last().seq + 1))
            assert seqs[0] <= max(1, snapshot + 1), "rows after the snapshot are needed for replay"


@settings(max_examples=40, deadline=None)
@given(COMMITS)
def test_rollups_equal_a_plain_loop(commits: list[tuple[int, list[Row]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Store.open(Path(folder) / "a.db")) as store:
        told = fill(store, commits)
        done = len(told)
        store.commit(group(99, (), mono=sum(after for after, _ in commits) * SECOND + HOUR))
        finish(store, 1)
        with Reader(store.path) as reader:
            for table, width in WIDTHS.items():
                for point in (1, 2, 3):
                    loop = plain_rollup(told[:done], point, width)
                    found = reader.rollup(table, point)
                    columns = found.n, found.bad, found.low, found.high, found.total, found.last
                    rows = zip(*(column.tolist() for column in columns), strict=True)
                    got = dict(zip(found.time.tolist(), rows, strict=True))
                    assert got.keys() == {WALL + t * width for t in loop}
                    for t, values in loop.items():
                        check(got[WALL + t * width], values)


def plain_rollup(told: Sequence[tuple[int, Row]], point: int, width: int) -> dict[int, list[float | None]]:
    buckets: dict[int, list[float | None]] = defaultdict(list)
    for arrival, (of, source, value, marks) in told:
        if of == point:
            mono = source - WALL
            slot = mono if source and arrival - DAY <= mono <= arrival else arrival
            counted = marks != BAD and math.isfinite(value)
            buckets[slot // width].append(value if counted else None)
    return buckets


def check(bucket: tuple[float, ...], values: list[float | None]) -> None:
    good = [value for value in values if value is not None]
    n, bad, low, high, total, last = bucket
    assert (n, bad) == (len(good), len(values) - len(good))
    if good:
        assert (low, high, last) == (min(good), max(good), good[-1])
        assert total == pytest.approx(math.fsum(good), rel=1e-9, abs=1e-6)
    else:
        assert all(map(math.isnan, (low, high, total, last)))


def test_few_readings_wait_an_hour_many_ten_minutes_and_no_more_than_a_slice_holds() -> None:
    with closing(Store.open(":memory:")) as store:
        held = "SELECT coalesce(sum(n), 0) FROM chunk"
        store.commit(group(1))
        store.commit(group(1 + 59 * 60))
        assert not store.compact(30)
        store.commit(group(1 + 60 * 60))
        finish(store)
        assert store.connection.execute(held).fetchone() == (2,), "a chunk of few spans an hour"
        many = [(1, 0, float(n), 0) for n in range(FEW_READINGS)]
        store.commit(group(2 + 60 * 60, many))
        store.commit(group(70 * 60))
        assert not store.compact(30)
        store.commit(group(1 + 70 * 60))
        finish(store)
        assert store.connection.execute(held).fetchone() == (4 + FEW_READINGS,), "of many ten minutes"
        store.commit(group(2 + 70 * 60, [(1, 0, float(n), 0) for n in range(PASS_READINGS)]))
        assert finish(store, 1) > 10, "a pass is spread over slices"
        assert store.connection.execute(held).fetchone() == (5 + FEW_READINGS + PASS_READINGS,)


def test_many_commits_of_few_readings_wait_ten_minutes() -> None:
    with closing(Store.open(":memory:")) as store:
        for number in range(FEW_COMMITS):
            store.commit(group(number))
        assert not store.compact(30), "the tenth minute is not over"
        store.commit(group(10 * 60))
        assert store.compact(30)


def test_an_earlier_boot_is_compacted_at_once() -> None:
    with closing(Store.open(":memory:")) as store:
        store.commit(group(1))
        store.commit(group(2, boot="boot-2"))
        assert store.compact(30)
        assert store.connection.execute("SELECT boot, n FROM chunk").fetchall() == [(1, 1)]


def test_a_failed_slice_moves_nothing() -> None:
    with closing(Store.open(":memory:")) as store:
        store.commit(group(1))
        store.commit(group(3700))
        store.connection.execute(FULL)
        with pytest.raises(StoreError):
            store.compact(30)
        assert store.connection.execute("SELECT count(*) FROM chunk").fetchone() == (0,)
        store.connection.execute("DROP TRIGGER full")
        assert store.compact(30)
        assert store.connection.execute("SELECT count(*) FROM chunk").fetchone() == (1,)


def test_journal_rows_stay_for_a_reader_that_is_behind() -> None:
    with closing(Store.open(":memory:")) as store:
        for number in range(1, 6):
            store.commit(replace(group(number * 3600), cursors={"influx": 2}))
        store.save_snapshot(5, "1", "h", {"x": b""})
        finish(store)
        assert [row.seq for row in store.tail(0)] == [3, 4, 5]
        store.commit(replace(group(6 * 3600), cursors={"influx": 6}))
        store.save_snapshot(6, "1", "h", {"x": b""})
        finish(store)
        assert [row.seq for row in store.tail(0)] == [6], "the newest row stays: it carries seq and clock on"


def test_the_newest_journal_row_stays_also_when_everything_is_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(Store.open(path)) as store:
        for number in (1, 2):
            store.commit(group(number, [(1, 0, 1.0, 0)] * PASS_READINGS))
            store.save_snapshot(number, "1", "h", {"x": b""})
            finish(store)
    with closing(Store.open(path)) as store:
        assert store.last().seq == 2
        assert store.commit(group(3)) == 3


def test_a_reading_that_moves_while_it_is_asked_for_is_found_once(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path / "a.db")) as store:
        for number in range(5):
            store.commit(group(0, [(1, 0, float(number), 0)], mono=number * HOUR))
        store.save_snapshot(5, "1", "h", {"x": b""})

        def move(sql: str) -> None:
            if "FROM journal" in sql:
                finish(store)

        with Reader(store.path) as reader:
            reader._connection.set_trace_callback(move)  # noqa: SLF001 - between its two halves
            assert reader.readings(1).value.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
            assert [row.seq for row in store.tail(0)] == [5], "it did move"


def test_a_damaged_journal_row_does_not_stop_compaction() -> None:
    with closing(Store.open(":memory:")) as store:
        for number in range(1, 4):
            store.commit(group(number * 3600))
        store.connection.execute("UPDATE journal SET body = x'02ff' WHERE seq = 2")
        finish(store)
        assert store.unreadable == 1
        assert store.connection.execute("SELECT sum(n) FROM chunk").fetchone() == (2,)


def test_old_readings_go_and_alarms_with_their_evidence_stay() -> None:
    days = DAY / SECOND
    keep = StoreSpec(path=":memory:", retain_raw=2 * days, retain_minute=4 * days, retain_hour=6 * days)
    with closing(Store.open(":memory:", spec=keep)) as store:
        store.point_ids([f"device.{n}" for n in range(45)])
        for day in range(10):
            more = [] if day else [EPOCH]
            store.commit(group(day, [(point, 0, 1.0, 0) for point in (1, 44)], mono=day * DAY, more=more))
        finish(store)
        oldest = {}
        for table, column, unit in (("chunk", "t1", DAY), ("minute", "t", DAY // MINUTE), ("hour", "t", DAY // HOUR)):
            sql = f"SELECT min({column}) / {unit} FROM {table}"  # noqa: S608 - constants
            (oldest[table],) = store.connection.execute(sql).fetchone()
        assert oldest == {"chunk": 7, "minute": 7, "hour": 3}
        sql = "SELECT min(block), count(DISTINCT point) FROM packed WHERE width = 'minute'"
        assert store.connection.execute(sql).fetchone() == (5, 2)
        assert len(store.rows("alarm", Alarm)) == 10
        assert store.verify(100).broken is None
        assert store.connection.execute("SELECT count(*) FROM record").fetchone() == (20,)


def test_a_station_that_never_knew_the_time_deletes_nothing() -> None:
    keep = StoreSpec(path=":memory:", retain_raw=1.0, retain_minute=1.0, retain_hour=1.0)
    with closing(Store.open(":memory:", spec=keep)) as store:
        for day in range(5):
            store.commit(group(day, mono=day * DAY))
        finish(store)
        assert store.connection.execute("SELECT count(*) FROM chunk").fetchone() == (4,)
        epoch = Epoch(boot="boot-2", mono_from=0, wall_offset=WALL)
        store.commit(group(9, boot="boot-2", mono=1 * SECOND, more=[epoch]))
        store.commit(group(10, boot="boot-2", mono=1 * DAY))
        finish(store)
        assert store.connection.execute("SELECT count(*) FROM chunk WHERE boot = 1").fetchone() == (0,), (
            "what lies before a dated boot is older than it"
        )


def test_a_pass_that_hung_while_another_connection_moved_the_readings_moves_nothing(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "station.db")
    with (
        closing(Store.open(tmp_path / "station.db", lock=lock)) as stale,
        closing(Store.open(tmp_path / "station.db", lock=lock)) as fresh,
    ):
        told = fill(stale, [(1, [(1, 0, 1.0, GOOD)])] * 3 + [(3600, [(1, 0, 2.0, GOOD)])])
        stale.compact(0)
        assert stale.copying is not None
        next(stale.copying)  # begun: it holds readings in RAM
        fresh.reload()
        finish(fresh)
        with pytest.raises(StoreError, match="another connection"):
            finish(stale)
        with Reader(tmp_path / "station.db") as reader:
            assert len(reader.readings(1)) == len(told)
