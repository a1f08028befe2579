"""The sink `gb26875_uplink` behind a backlog told newest first: every word arrives, and the last one is true."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.driven_clock import FakeClock
from gateway.model.alarm import AlarmEvent
from gateway.model.portion import Note
from gateway.model.time import SECOND
from gateway.protocols.gb26875_units import decode_unit, time_ns
from gateway.sinks import gb26875_uplink
from tests.drivers.gb26875_centre import WALL
from tests.sinks.gb26875_far import FATES, delivered, scene, scripted
from tests.sinks.gb26875_station import HEAT, SMOKE, TANK, alarm, move, setup

ZONE = 8 * 3600


@settings(max_examples=25, deadline=None)
@given(
    flips=st.lists(st.sampled_from((SMOKE, HEAT, TANK)), min_size=1, max_size=14),
    size=st.integers(1, 6),
    fates=st.lists(st.sampled_from(("ok", *FATES)), max_size=12),
    restarts=st.sets(st.integers(0, 5), max_size=2),
)
def test_a_backlog_newest_first_ends_with_what_is_true(
    flips: list[int], size: int, fates: list[str], restarts: set[int]
) -> None:
    """Portions as the drain cuts them, any losses, a new process now and then: all words arrive, the last is true."""
    notes, words = story(flips)
    last = {place: word for place, word, _ in words}
    standing = [(alarm(one, point=one), time) for one, word, time in words if word != 1 and last[one] == word]
    now = {entry[0].point: entry for entry in standing}

    async def main() -> None:
        given_: dict[str, Any] = {"alarms": lambda: [entry for point, entry in now.items() if last[point] != 1]}
        async with scripted(given=given_) as (first, centre, clock, air):
            sink = first
            air.down = iter(fates)
            backlog, turn = list(reversed(notes)), 0
            while backlog:
                await delivered(sink, clock, *backlog[:size], rounds=60)
                backlog, turn = backlog[size:], turn + 1
                if turn in restarts:
                    await sink.close()
                    await clock.advance(0)
                    sink = gb26875_uplink.create(replace(setup(clock), **given_), wire=air)
            await sink.close()
            told = [unit.objects[0] for unit in map(decode_unit, centre.units) if unit and unit.type == 2]
            heard = [(one.place, one.status, time_ns(one.time, ZONE)) for one in told]  # type: ignore[union-attr]
            assert set(words) <= set(heard)
            assert {place: word for place, word, _ in heard} == last

    asyncio.run(main())


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("burns", [False, True])
def test_our_own_centre_ends_with_what_is_true_behind_a_backlog(*, burns: bool, restarted: bool) -> None:
    newest = [move(8, second=40)] if burns else [move(8, second=40), move(9, AlarmEvent.CLEAR, second=50)]
    backlog = [move(1), move(2, AlarmEvent.CLEAR, second=5), *([] if burns else [move(3, second=20)])]
    standing = [(alarm(77), newest[0].time)] if burns else []

    async def main() -> None:
        given_: dict[str, Any] = {"alarms": lambda: standing}
        async with scene(clock=FakeClock(wall=WALL + 55 * SECOND), given=given_) as (sink, centre, air):
            await delivered(sink, air.clock, *newest)
            if restarted:
                await sink.close()
                sink = gb26875_uplink.create(replace(setup(air.clock), **given_), wire=air)  # noqa: PLW2901 - another life
            await delivered(sink, air.clock, *backlog)
            await sink.close()
            assert centre.told()[-1][0] == ("FIRE" if burns else "RESTORE")  # the newest word is no repeat to it
            assert len(centre.told()) == len(newest) + len(backlog) + 1

    asyncio.run(main())


def story(flips: list[int]) -> tuple[list[Note], list[tuple[int, int, int]]]:
    """Return moves of alarms that flip one after the other, and the (place, word, ns) that tell them."""
    up: set[int] = set()
    notes, words = [], []
    for second, point in enumerate(flips):
        event = AlarmEvent.CLEAR if point in up else AlarmEvent.RAISE
        up ^= {point}
        notes.append(move(second + 1, event, point=point, second=second))
        words.append((point, (16 if point == TANK else 2) if point in up else 1, notes[-1].time))
    return notes, words
