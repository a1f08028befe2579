"""From batch to moments: which readings may be judged, and when each one stands."""

from __future__ import annotations

import numpy as np

from gateway.model.batch import Batch, make_batch
from gateway.model.delta import Delta
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import DAY, SECOND
from gateway.pipeline.latest import Latest
from gateway.pipeline.validate import NOT_A_NUMBER, PLAUSIBLE_AGE, REFUSED, SLACK, Axis, moments, slot_times

OFFSET = 1_790_000_000 * SECOND
TRUSTED = Axis(OFFSET, trusted=True)
AT = 5 * DAY


def slot(source: int, axis: Axis = TRUSTED) -> int:
    """Return the slot time of one reading that arrived at `AT`, relative to its arrival."""
    return int(slot_times(np.array([source], dtype=np.int64), AT, axis)[0]) - AT


def test_a_plausible_source_time_counts_and_no_reading_is_younger_than_its_arrival() -> None:
    wall = AT + OFFSET
    assert slot(wall - 7 * SECOND) == -7 * SECOND
    assert slot(wall - PLAUSIBLE_AGE) == -PLAUSIBLE_AGE
    assert slot(wall + SLACK) == 0


def test_a_source_time_that_cannot_be_is_replaced_by_the_arrival() -> None:
    wall = AT + OFFSET
    for source in (0, 1, -5, wall - PLAUSIBLE_AGE - 1, wall + SLACK + 1, 4_070_908_800 * SECOND, 86_400 * SECOND):
        assert slot(source) == 0
    assert slot(wall - 7 * SECOND, Axis(OFFSET, trusted=False)) == 0


def test_one_moment_for_each_arrival_in_order() -> None:
    batch = make_batch("s", 0, [(1, 0, float(n), 0) for n in range(5)], heard=(3,))
    batch.arrival = np.array([10, 10, 11, 13, 13], dtype=np.int64)
    cut = list(moments(batch, Axis(), 9))
    assert [(offset, moment.at, moment.value.tolist()) for offset, moment in cut] == [
        (0, 10, [0.0, 1.0]),
        (2, 11, [2.0]),
        (3, 13, [3.0, 4.0]),
    ]
    assert [moment.heard for _, moment in cut] == [(3,), (), ()]


def test_a_sign_of_life_alone_is_a_moment_and_nothing_is_none() -> None:
    (found,) = moments(make_batch("s", 42, heard=(3,)), Axis(), 9)
    assert (found[1].at, len(found[1]), found[1].heard) == (42, 0, (3,))
    assert list(moments(make_batch("s", 42), Axis(), 9)) == []


def judged(batch: Batch, points: int = 9) -> tuple[list[int], list[float], list[int]]:
    """Return points, values and qualities as rules see them."""
    ((_, moment),) = moments(batch, Axis(), points)
    return moment.point.tolist(), moment.value.tolist(), moment.quality.tolist()


def test_what_is_no_number_is_bad_and_what_is_bad_already_keeps_its_reason() -> None:
    silent = quality(Level.BAD, Doubt.NO_COMMS)
    rows = [(1, 0, float("nan"), 0), (2, 0, float("inf"), 0), (3, 0, float("nan"), silent), (4, 0, 1.5, 0)]
    assert judged(make_batch("s", 1, rows)) == ([1, 2, 3, 4], [0.0, 0.0, 0.0, 1.5], [NOT_A_NUMBER] * 2 + [silent, 0])


def test_points_nobody_knows_and_refused_readings_are_judged_by_no_rule() -> None:
    rows = [(-1, 0, 1.0, 0), (9, 0, 1.0, 0), (2**31 - 1, 0, 1.0, 0), (3, 0, 1.0, REFUSED), (8, 0, 1.0, 0)]
    assert judged(make_batch("s", 1, rows))[0] == [0, 0, 0, 0, 8]


def test_the_newest_reading_stands_whatever_the_order() -> None:
    latest = Latest(3)
    batch = make_batch("s", AT, [(1, AT + OFFSET - n * SECOND, float(n), 0) for n in (3, 1, 2)])
    delta = Delta()
    for _, moment in moments(batch, TRUSTED, 3):
        latest.take(moment, delta)
    assert (latest.value[1], latest.time[1] - AT) == (1.0, -SECOND)
    delta.undo()
    assert not latest.moment(AT).point.size


def test_after_a_reboot_of_unknown_length_new_readings_count_at_once() -> None:
    latest = Latest(3)
    for _, moment in moments(make_batch("s", AT, [(1, 0, 7.0, 0)]), TRUSTED, 3):
        latest.take(moment, Delta())
    latest.shift(None, 20 * SECOND, Delta())
    assert (latest.value[1], latest.time[1]) == (7.0, 20 * SECOND)
    for _, moment in moments(make_batch("s", 21 * SECOND, [(1, 0, 8.0, 0)]), TRUSTED, 3):
        latest.take(moment, Delta())
    assert latest.value[1] == 8.0
