"""Commits: whole or absent, read back as they were written, chained, with durable ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreCorrupt, StoreError
from gateway.model.alarm import Alarm
from gateway.model.batch import Batch, Mark
from gateway.store.database import FAIL_POINTS, Store
from gateway.store.points import assign
from tests.store_groups import BOOT, EPOCH, WALL, alarm, group


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(":memory:")
    yield opened
    opened.close()


def picture(store: Store) -> list[object]:
    """Everything in the tables that commits write."""
    tables = ("journal", "record", "state", "mark", "clock_epoch", "cursor", "boot")
    return [store.connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables]  # noqa: S608 - constants


def test_a_commit_is_read_back_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path)) as store:
        assert store.last().seq == 0
        assert [store.commit(group(n, more=[EPOCH] if n == 1 else [])) for n in (1, 2, 3)] == [1, 2, 3]
    with closing(Store.open(path)) as store:
        assert store.last() == (3, BOOT, 3_000_000_000, WALL + 3_000_000_000)
        assert store.rows("alarm", Alarm) == {str(n): alarm(n, n * 10**9) for n in (1, 2, 3)}
        assert store.rows_with_boot("alarm", Alarm)["2"][0] == BOOT
        assert store.rows("_alarm_id", Alarm) == {}
        tail = list(store.tail(1))
        assert [row.seq for row in tail] == [2, 3]
        assert isinstance(batch := tail[0].steps[0][1][0], Batch)
        assert batch.value.tolist() == [21.5]
        assert store.epochs() == [EPOCH]
        assert store.wall_of(BOOT, 5) == WALL + 5
        assert store.wall_of("another boot", 5) is None
        assert store.verify(100) == (6, True, None)


def test_a_row_that_is_gone_is_gone_and_text_is_remembered(store: Store) -> None:
    store.commit(group(1))
    last = replace(group(2), rows=[("alarm", "1", None), ("memory", "session", "a/b\nc/d")])
    store.commit(last)
    assert store.rows("alarm", Alarm) == {}
    assert store.memory("session") == "a/b\nc/d"
    assert store.memory("other") is None


@pytest.mark.parametrize("point", FAIL_POINTS[:-1])
def test_a_failed_commit_leaves_nothing_and_can_be_repeated(point: str) -> None:
    failing = {point}

    def fail(name: str) -> None:
        if name in failing:
            raise StoreError(name)

    with closing(Store.open(":memory:", faults=fail)) as store:
        failing.clear()
        store.commit(group(1, more=[EPOCH], marks=([Mark("s", 1, b"a")], ())))
        failing.add(point)
        before, last = picture(store), store.last()
        second = group(2, boot="boot-2", marks=([Mark("s", 2, b"b"), Mark("t", 1, b"c")], [Mark("s", 1, b"a")]))
        with pytest.raises(StoreError):
            store.commit(second)
        assert picture(store) == before
        assert store.last() == last
        assert store.marks("s") == [Mark("s", 1, b"a")]
        failing.clear()
        assert store.commit(second) == 2
        assert store.marks("s") == [Mark("s", 2, b"b")]
        assert store.verify(100) == (4, True, None)


def test_a_commit_that_answers_too_late_is_found_by_its_seq(tmp_path: Path) -> None:
    def fail(name: str) -> None:
        if name == "after_commit":
            raise StoreError(name)

    with closing(Store.open(tmp_path / "a.db", faults=fail)) as store:
        with pytest.raises(StoreError):
            store.commit(group(1))
        assert store.last().seq == 1


def test_marks_of_a_session_follow_what_is_acknowledged(store: Store) -> None:
    first = [Mark("alarms", packet, b"digest-%d" % packet) for packet in range(1, 4)]
    store.commit(group(1, marks=(first, ())))
    used_again = Mark("alarms", 2, b"another message")
    store.commit(group(2, marks=([used_again], [first[0], first[1]])))
    assert sorted(store.marks("alarms"), key=lambda mark: mark.packet) == [used_again, first[2]]
    store.commit(group(3, marks=((), [first[1], first[2], used_again])))
    assert store.marks("alarms") == []


def test_point_ids_are_never_reused_and_follow_renames(store: Store) -> None:
    assert store.point_ids(["a.t", "b.t"]) == {"a.t": 1, "b.t": 2}
    assert store.point_ids(["c.t", "b.t"], {"c.t": "a.t"}) == {"c.t": 1, "b.t": 2}
    assert store.point_ids(["c.t", "a.t"], {"c.t": "a.t"}) == {"c.t": 1, "a.t": 3}, "`was` stays in the configuration"
    assert store.point_ids(["b.t", "d.t"]) == {"b.t": 2, "d.t": 4}


def test_renames_in_a_chain_are_followed() -> None:
    ids, changed = assign({"a": 1, "b": 2}, ["b", "c"], {"b": "a", "c": "b"})
    assert ids == {"b": 1, "c": 2}
    assert sorted(changed) == [(1, "b"), (2, "c")]


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcdef")), st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef"))
        )
    )
)
def test_an_id_names_one_point_whatever_is_renamed(starts: list[tuple[list[str], dict[str, str]]]) -> None:
    known: dict[str, int] = {}
    ever = 0
    for names, renames in starts:
        ids, _ = assign(known, names, renames)
        assert len(set(ids.values())) == len(ids)
        assert set(names) <= ids.keys()
        assert set(known.values()) <= set(ids.values()), "an id never goes away"
        assert all(ids[name] > ever for name in ids if ids[name] not in known.values()), "a new id is a new number"
        ever, known = max(ids.values(), default=0), ids


def test_snapshot_and_configurations_are_kept(store: Store) -> None:
    assert store.last_snapshot() is None
    assert store.last_good_configuration() is None
    store.save_snapshot(4, "code-1", "hash-a", {"engine": b"x" * 5000, "latest": b""})
    store.save_snapshot(9, "code-1", "hash-a", {"engine": b"y"})
    assert store.last_snapshot() == (9, "code-1", "hash-a", {"engine": b"y"})
    for name in ("hash-a", "hash-b", "hash-a"):
        store.save_configuration(name, f"content of {name}".encode())
    assert store.last_good_configuration() == ("hash-a", b"content of hash-a")
    assert store.configuration("hash-b") == b"content of hash-b"
    assert store.configuration("hash-c") is None


TAMPERINGS = {
    "body changed": "UPDATE record SET body = x'80' WHERE n = 5",
    "kind changed": "UPDATE record SET kind = 'act' WHERE n = 5",
    "time changed": "UPDATE record SET mono = mono + 1 WHERE n = 5",
    "boot changed": "UPDATE record SET boot = 2 WHERE n = 5",
    "removed": "DELETE FROM record WHERE n = 5",
    "first removed": "DELETE FROM record WHERE n = 1",
    "last removed": "DELETE FROM record WHERE n = 20",
    "hash changed": "UPDATE record SET hash = zeroblob(32) WHERE n = 5",
}


@pytest.mark.parametrize("how", TAMPERINGS)
@pytest.mark.parametrize("slices", [1, 3, 1000])
def test_a_changed_record_is_found(store: Store, how: str, slices: int) -> None:
    for n in range(1, 10):
        store.commit(group(n))
    store.commit(group(10, boot="boot-2"))
    store.connection.execute(TAMPERINGS[how])
    results = [store.verify(slices)]
    while not results[-1].done and results[-1].broken is None:
        results.append(store.verify(slices))
    broken = {"first removed": 1, "last removed": 20}.get(how, 5)
    assert results[-1].broken == broken


def test_a_record_whose_end_was_changed_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path)) as store:
        store.commit(group(1))
        store.commit(group(2))
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute("UPDATE record SET body = x'80' WHERE n = 4")
    with pytest.raises(StoreCorrupt, match="end of the record"):
        Store.open(path)


def test_a_row_that_new_code_cannot_read_is_named(store: Store) -> None:
    store.commit(group(1))
    store.connection.execute("UPDATE state SET body = x'80'")
    lost: list[str] = []
    assert store.rows("alarm", Alarm, lost) == {}
    assert "row '1' of table 'alarm'" in lost[0]
