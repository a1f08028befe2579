"""The chart of a point: what was read, nothing where nothing was heard, and when it was in alarm."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import HOUR, MINUTE, SECOND
from gateway.model.batch import make_batch
from gateway.model.quality import Doubt, Level, quality
from gateway.web.history import MOST_ROWS, Asked, chart, thinned, with_gaps
from tests.page_house import Lived, live
from tests.patience import until

BAD = quality(Level.BAD, Doubt.NO_COMMS)


def test_a_chart_has_readings_gaps_and_bands(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        house, number = lived.house, lived.house.ids["oven.temperature"]
        now = house.clock.wall()

        def ago(seconds: int, value: float, mark: int = 0) -> tuple[int, int, float, int]:
            return number, now - seconds * SECOND, value, mark

        rows = [ago(900 - n, 20.0 + n / 10) for n in range(0, 300, 10)]  # then silence: longer than the limit
        rows += [ago(300, 80.0), ago(250, 90.0), ago(200, 0.0, BAD), ago(150, 30.0), ago(100, 31.0)]
        house.intake.put(make_batch("broker", house.clock.mono(), rows))
        await until(lambda: any(not alarm.condition for alarm in house.state.book.open_alarms()))
        answer = json.loads((await lived.caller.get("/history/oven.temperature?span=hour")).body)
        while 31.0 not in answer["mean"] or not answer["bands"]:  # until it is committed
            answer = json.loads((await lived.caller.get("/history/oven.temperature?span=hour")).body)
        hot = answer["mean"].index(80.0)
        assert answer["mean"][hot - 3 : hot - 1] == [48.0, 49.0]
        assert answer["mean"][hot - 1] is None, "a silence is a gap"
        assert answer["mean"][hot + 1 : hot + 5] == [90.0, None, 30.0, 31.0]
        ((begin, end),) = answer["bands"]
        assert math.isclose(begin, now / SECOND - 300, abs_tol=0.01)
        assert math.isclose(end, now / SECOND - 150, abs_tol=0.01)

    live(tmp_path, body)


def test_what_is_in_alarm_now_is_a_band_up_to_now(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        for span in ("hour", "day", "week", "month", "year"):
            answer = json.loads((await lived.caller.get(f"/history/oven.temperature?span={span}")).body)
            ((_, end),) = answer["bands"]
            assert end == answer["to"]

    live(tmp_path, body)


def test_a_store_that_cannot_be_read_gives_an_empty_chart(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        store = tmp_path / "station.db"
        store.rename(tmp_path / "away")
        answer = await lived.caller.get("/history/oven.temperature")
        assert answer.status == 200
        assert json.loads(answer.body)["t"] == []
        (tmp_path / "away").rename(store)

    live(tmp_path, body)


def test_long_spans_come_from_the_rollups_and_the_last_minutes(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        house, number = lived.house, lived.house.ids["oven.temperature"]
        now = house.clock.wall()
        rows = [(number, now - minute * MINUTE, float(minute), 0) for minute in range(300, 0, -1)]
        house.intake.put(make_batch("broker", house.clock.mono(), rows))
        await until(lambda: len(_day(lived, number, now)) >= 299)
        means = _day(lived, number, now)
        assert max(means) >= 299
        assert min(means) <= 2

    live(tmp_path, body)


def _day(lived: Lived, number: int, now: int) -> list[float]:
    asked = Asked(lived.house.station.store.path, number, "day", now, HOUR / SECOND, ())
    found = chart(asked)["mean"]
    assert isinstance(found, list)
    return [value for value in found if value is not None]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5_000))
def test_thinning_keeps_extremes_and_order(values: list[float]) -> None:
    rows = np.array([(float(n), value, value, value) for n, value in enumerate(values)])
    kept = thinned(rows, 0.0, float(len(values)))
    assert len(kept) <= MOST_ROWS
    assert kept[:, 2].min() == min(values)
    assert kept[:, 3].max() == max(values)
    assert kept[:, 0].tolist() == sorted(kept[:, 0].tolist())


def test_thinned_parts_without_a_value_stay_gaps_and_others_are_means_of_what_is_there() -> None:
    nan = math.nan
    rows = np.array([(n, *[nan if n < 6 or n % 2 else float(n)] * 3) for n in range(3 * MOST_ROWS)])
    kept = thinned(rows, 0.0, 3.0 * MOST_ROWS)
    assert kept[:2, 1:].tolist() == [[pytest.approx(nan, nan_ok=True)] * 3] * 2
    assert kept[2].tolist() == [6.0, 7.0, 6.0, 8.0]


@given(st.lists(st.floats(0.1, 500), max_size=50))
def test_every_silence_becomes_a_gap_and_nothing_else_does(steps: list[float]) -> None:
    at, rows = 0.0, [(0.0, 1.0, 1.0, 1.0)]
    for step in steps:
        at += step
        rows.append((at, 1.0, 1.0, 1.0))
    shown = with_gaps(np.array(rows), 100.0)
    empty = np.isnan(shown[:, 1])
    assert empty.sum() == sum(b[0] - a[0] > 100.0 for a, b in itertools.pairwise(rows))
    assert shown[~empty].tolist() == [list(row) for row in rows]
    assert np.all(np.diff(shown[:, 0]) > 0)
