"""The bench of a year, short: what it builds is a store like any other, and charts of every width come from it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks import years
from gateway.clock import DAY, HOUR, SECOND
from gateway.store import chain
from gateway.store.database import Store
from gateway.store.read import Reader
from tests.store_groups import BOOT, EPOCH, WALL, group

FEW = years.Load(fast=1, slow=2, every=30 * SECOND)
DAYS = 8  # with a restart of the box


def test_what_the_bench_builds_reads_back_whole_and_its_charts_cover_every_span(tmp_path: Path) -> None:
    found = years.measure(tmp_path, DAYS * DAY, FEW)
    assert found["readings"] == DAYS * 86_400 * (1 + 2 / 30)
    with Reader(tmp_path / "years.db") as reader:
        series = reader.readings(1)
        assert len(series) == DAYS * 86_400
        assert np.all(np.abs(np.diff(series.time) - SECOND) < SECOND // 10), "no hole, the restart included"
        hours = [reader.rollup("hour", point) for point in (1, 2, 3)]
        assert sum(rows.n.sum() for rows in hours) == found["in_chunks"]
        assert [len(rows) for rows in hours] == [DAYS * DAY // HOUR - 1] * 3, "the newest stands in the journal"
    assert chain.check(tmp_path / "years.db").broken is None
    assert found["chart_rows"]["year"] >= DAYS * 24 - 1
    assert all(rows > 0 for rows in found["chart_rows"].values())
    assert found["bytes"] < 8 * found["readings"], "rollups and pages included"


def test_a_reader_that_stays_open_learns_of_the_time(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with closing(Store.open(path)) as store, Reader(path) as reader:
        store.commit(group(1))
        assert reader.wall(BOOT, SECOND) is None
        store.commit(group(2, more=[EPOCH]))
        assert reader.wall(BOOT, SECOND) == WALL + SECOND
