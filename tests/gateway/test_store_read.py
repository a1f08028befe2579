"""Reading beside the daemon: times made wall times on the way out, never on the way in; tail and chunks as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.clock import HOUR, SECOND
from gateway.errors import StoreError
from gateway.model.alarm import Alarm, AlarmEvent
from gateway.model.batch import Batch
from gateway.model.moment import Epoch
from gateway.model.notification import DeliveryState, Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.store.database import Store
from gateway.store.epochs import Epochs
from gateway.store.read import FOREVER, UNKNOWN, Reader
from tests.store_groups import BOOT, EPOCH, WALL, group


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path / "station.db")) as opened:
        yield opened


def values(reader: Reader, point: int, t0: int = 0, t1: int = FOREVER) -> list[float]:
    return list(reader.readings(point, t0, t1).value.tolist())


def test_a_reader_sees_what_is_committed_while_the_writer_goes_on(store: Store) -> None:
    with Reader(store.path) as reader:
        assert values(reader, 1) == []
        for n in range(1, 4):
            store.commit(group(n, [(1, 0, float(n), 0), (2, 0, -1.0, 0)]))
            assert values(reader, 1) == [float(m) for m in range(1, n + 1)]


def test_a_store_is_read_when_no_daemon_runs(store: Store) -> None:
    store.commit(group(1, more=[EPOCH]))
    store.close()
    with Reader(store.path) as reader:
        assert values(reader, 1) == [21.5]


def test_there_must_be_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store yet"):
        Reader(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compacted", [False, True])
def test_a_window_is_kept_over_boots_chunks_and_tail(store: Store, *, compacted: bool) -> None:
    store.commit(group(0, [], more=[EPOCH]))
    for n in range(10):
        store.commit(group(0, [(1, 0, float(n), 0)], mono=n * HOUR))
    later = Epoch(boot="boot-2", mono_from=5, wall_offset=WALL + 20 * HOUR)
    store.commit(group(0, [(1, 0, 10.0, 0)], boot="boot-2", mono=HOUR, more=[later]))
    store.commit(group(0, [(1, 0, 11.0, 0)], boot="boot-3", mono=HOUR))  # never knew the time
    while compacted and store.compact(10):
        pass
    with Reader(store.path) as reader:
        assert values(reader, 1) == [float(n) for n in range(12)]
        assert reader.readings(1).time.tolist()[-2:] == [WALL + 21 * HOUR, UNKNOWN]
        assert values(reader, 1, WALL + 3 * HOUR, WALL + 5 * HOUR) == [3.0, 4.0, 5.0]
        assert values(reader, 1, WALL + 9 * HOUR, WALL + 21 * HOUR) == [9.0, 10.0]
        assert values(reader, 1, WALL + 22 * HOUR) == []
        assert values(reader, 7) == []


@pytest.mark.parametrize("compacted", [False, True])
def test_source_times_count_where_they_are_plausible(store: Store, *, compacted: bool) -> None:
    at = 30 * HOUR
    sources = [0, WALL + 29 * HOUR, WALL + at + HOUR, WALL + at - 25 * HOUR, 5]
    store.commit(group(0, [(1, source, float(n), 0) for n, source in enumerate(sources)], mono=at, more=[EPOCH]))
    store.commit(group(0, [], mono=at + 2 * HOUR))
    while compacted and store.compact(10):
        pass
    with Reader(store.path) as reader:
        series = reader.readings(1)
        assert series.time.tolist() == [WALL + at, WALL + 29 * HOUR, WALL + at, WALL + at, WALL + at]
        assert set(series.arrival.tolist()) == {WALL + at}
        assert values(reader, 1, WALL + 28 * HOUR, WALL + 29 * HOUR) == [1.0], "found by the source's time"


def test_a_boot_that_learns_the_time_late_dates_what_stood_before_and_changes_nothing(store: Store) -> None:
    store.commit(group(1))
    store.commit(group(2, [], more=[Epoch(boot=BOOT, mono_from=0, wall_offset=-1, source="rtc", trusted=False)]))
    with Reader(store.path) as reader:
        before = store.connection.execute("SELECT seq, mono, wall, body FROM journal WHERE seq = 1").fetchall()
        assert reader.readings(1).time.tolist() == [UNKNOWN]
        assert next(reader.events()).time is None
        store.commit(group(3, [], more=[structs.replace(EPOCH, mono_from=3 * SECOND)]))
        assert reader.readings(1).time.tolist() == [WALL + SECOND]
        assert next(reader.events()).time == WALL + SECOND
        assert store.connection.execute("SELECT seq, mono, wall, body FROM journal WHERE seq = 1").fetchall() == before


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-9, 9), st.booleans())), st.lists(st.integers(0, 60)))
def test_epochs_date_as_a_plain_loop_does(epochs: list[tuple[int, int, bool]], moments: list[int]) -> None:
    told = {
        start: Epoch(boot="b", mono_from=start, wall_offset=offset, trusted=trust) for start, offset, trust in epochs
    }
    clock = Epochs(told.values())
    trusted = sorted((e.mono_from, e.wall_offset) for e in told.values() if e.trusted)
    loop = []
    for mono in moments:
        offset = None
        for start, candidate in trusted:
            if offset is None or start <= mono:
                offset = candidate
        loop.append(None if offset is None else mono + offset)
    assert [clock.wall("b", mono) for mono in moments] == loop
    column = clock.walls("b", np.array(moments, dtype=np.int64))
    assert loop == ([None] * len(moments) if column is None else column.tolist())
    for mono, wall in zip(moments, loop, strict=True):
        if wall is not None:
            assert (window := clock.window("b", wall, wall)) is not None
            assert window[0] <= mono <= window[1]


def test_events_alarms_and_notices_are_read_with_their_evidence(store: Store) -> None:
    planned = Notification(
        id=1,
        alarm=1,
        alarm_class=AlarmClass.FIRE,
        contact="li-wei",
        channel="sms",
        address="13800000000",
        reason=NotifyReason.RAISED,
        text="火警",
    )
    sent = structs.replace(planned, state=DeliveryState.SENT)
    first = group(1, more=[EPOCH])
    store.commit(replace(first, records=[*first.records, ("notice", planned)]))
    store.commit(replace(group(2), records=[("notice", sent)]))
    with Reader(store.path) as reader:
        (event,) = reader.events()
        assert (event.body.key, event.body.raw, event.time, event.seq) == ("3/1", b"\x40\x401", WALL + SECOND, 1)
        assert [entry.body.id for entry in reader.alarms()] == [1, 2]
        assert reader.wall(reader.alarms()[0].boot, reader.alarms()[0].body.since) == WALL + SECOND
        (move,) = reader.transitions()
        assert (move.body.event, move.body.evidence.frame) == (AlarmEvent.RAISE, b"\x03\x02\x00\x01")
        assert [entry.body.state for entry in reader.notifications()] == [DeliveryState.SENT]
        assert list(reader.events(after=event.n)) == []
        assert reader.state("alarm", Alarm)[0].boot == BOOT


def test_a_reader_holds_no_snapshot_between_questions(store: Store) -> None:
    store.commit(group(1))
    with Reader(store.path) as reader:
        values(reader, 1)
        events = reader.events()
        next(events)
        (busy, _, _) = store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0


def test_a_reader_cannot_write(store: Store) -> None:
    with Reader(store.path) as reader, pytest.raises(StoreError):
        reader._all("DELETE FROM journal")  # noqa: SLF001 - the connection is what is tested


def test_batches_of_other_points_cost_no_reading(store: Store) -> None:
    store.commit(group(1, [(point, 0, 0.5, 0) for point in range(200)]))
    (row,) = store.tail(0)
    batch = row.steps[0][1][0]
    assert isinstance(batch, Batch)
    with Reader(store.path) as reader:
        assert len(reader.readings(17)) == 1
        assert len(reader.readings(500)) == 0
