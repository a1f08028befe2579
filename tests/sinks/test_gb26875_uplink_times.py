"""When a thing happened, as the sink `gb26875_uplink` tells it: by the device's own clock where that is right."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from gateway.model.alarm import Alarm, AlarmEvent, Evidence
from gateway.model.portion import Note
from gateway.model.time import SECOND
from gateway.model.verdict import Cause
from gateway.protocols.gb26875_objects import ComponentStatus
from gateway.protocols.gb26875_units import time_ns
from gateway.sinks._gb26875_options import Options
from gateway.sinks._gb26875_places import Places
from gateway.sinks._gb26875_telling import Step, Telling
from gateway.sinks._gb26875_words import Words
from tests.drivers.gb26875_centre import WALL
from tests.sinks.gb26875_station import PANEL, POINTS, alarm, facts, move

ZONE = 8 * 3600
KEY = "1/1/2/10"


def telling(standing: Sequence[tuple[Alarm, int]] | None = None) -> Telling:
    keys = msgspec.convert({"host": "h", "port": 1}, Options)
    places = Places(keys, POINTS, {})
    words = Words(places, facts, None if standing is None else lambda: standing, sink="far", offset=ZONE, running=False)
    return Telling(words, places, {}, sink="far")


def fire(n: int, second: float, own: float | None, cause: Cause = Cause.EVENT) -> Note:
    return move(n, point=PANEL, key=KEY, second=second, own=own, cause=cause)


def over(n: int, second: float, own: float | None) -> Note:
    return move(n, AlarmEvent.CLEAR, point=PANEL, key=KEY, second=second, own=own, cause=Cause.EVENT_RESET)


def told(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """Return (word, s) of status steps."""
    bodies = [step.body for step in steps if isinstance(step.body, ComponentStatus)]
    return [(body.status, (time_ns(body.time, ZONE) - WALL) // SECOND) for body in bodies]


@pytest.mark.parametrize(
    ("second", "own", "cause", "expected"),
    [
        (100, 80, Cause.EVENT, 80),
        (100, 40, Cause.UNREGISTERED, 40),
        (100, 80, Cause.ESCALATED, 80),
        (100, 39, Cause.EVENT, 100),  # a clock that is behind by more than a minute
        (100, 101, Cause.EVENT, 100),  # one that runs ahead
        (100, None, Cause.EVENT, 100),
        (100, 80, Cause.CONDITION, 100),  # a reading that began a delay: it was raised when that was over
    ],
)
def test_the_devices_own_time_is_told_where_it_is_right(
    second: float, own: float | None, cause: Cause, expected: int
) -> None:
    [step] = telling().plan([fire(1, second, own, cause)], WALL + 9999 * SECOND)
    assert told([step]) == [(0b10, expected)]
    assert step.time == WALL + second * SECOND  # what is in order stays in order


def test_no_word_is_dated_before_the_word_that_it_follows() -> None:
    one = telling()
    notes = [fire(1, 100, 80), over(2, 110, 85), fire(3, 120, 119), over(4, 130, 125)]
    assert told(one.plan(notes, WALL + 9999 * SECOND)) == [(0b10, 80), (1, 110), (0b10, 119), (1, 125)]
    for step in one.plan(notes, WALL + 9999 * SECOND):
        one.confirmed(step)
    assert told(one.plan([fire(5, 140, 126)], WALL + 9999 * SECOND)) == [(0b10, 140)]  # told in another portion


def test_what_comes_after_newer_news_has_its_own_time_all_the_same() -> None:
    """So that a process that begins anew tells it with the same time."""
    one = telling()
    for step in one.plan([over(9, 500, None)], WALL + 9999 * SECOND):
        one.confirmed(step)
    late, again = one.plan([fire(1, 100, 80)], WALL + 600 * SECOND)
    assert told([late, again]) == [(0b10, 80), (1, 600)]
    assert told(telling().plan([fire(1, 100, 80)], WALL + 600 * SECOND)) == [(0b10, 80)]


def test_what_stands_is_told_anew_with_the_time_it_was_told_with() -> None:
    standing = alarm(1, point=PANEL, key=KEY, cause=Cause.EVENT, evidence=Evidence(time=WALL + 80 * SECOND))
    assert told(telling([(standing, WALL + 100 * SECOND)]).present(WALL + 200 * SECOND)) == [(0b10, 80)]
    assert told(telling([(standing, 0)]).present(WALL + 200 * SECOND)) == [(0b10, 200)]  # nobody knows when
