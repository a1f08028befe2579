"""Numbers of a life that could not read its store: the same ids of points, and none of an alarm given twice."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gateway.store.database import Store
from gateway.store.numbers import keep_points, kept_points, number_from

POINTS = {"hall.smoke": 1, "kitchen.gas": 7}


def test_the_ids_of_points_stand_beside_the_store(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    assert kept_points(path) == {}
    keep_points(path, POINTS)
    assert kept_points(path) == POINTS
    file = tmp_path / "station.db.points"
    assert file.stat().st_mode & 0o077 == 0
    before = file.stat().st_mtime_ns, file.stat().st_ino
    keep_points(path, dict(POINTS))
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before, "a card is not written for nothing"
    keep_points(path, {"hall.smoke": 1})
    assert kept_points(path) == {"hall.smoke": 1}


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": 1', b'{"a": 1, "b": 1}', b'{"a": 0}', b'{"a": "x"}', b"\xff"])
def test_a_file_that_is_none_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "station.db.points").write_bytes(content)
    assert kept_points(tmp_path / "station.db") == {}


@pytest.mark.parametrize(
    ("wall", "before", "after"),
    [
        (1_790_000_000, 0, 1_790_000_000),
        (1_790_000_000, 1_790_000_500, 1_790_000_500),  # never back
        (30, 41, 1_700_000_000),  # a clock that woke in 1970
    ],
)
def test_numbers_are_beyond_all_that_were_given(wall: int, before: int, after: int) -> None:
    with closing(Store.open(":memory:")) as store:
        number_from(store, before)
        with store.transaction() as connection:
            connection.execute("UPDATE state SET body = ?", (msgspec.msgpack.encode(before),))
        number_from(store, wall)
        assert store.rows("alarm_counter", int) == {"alarm": after}
        assert store.rows("notice_counter", int) == {"notice": after}
