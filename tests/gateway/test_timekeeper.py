"""Trust in wall time: gained, kept, lost."""

from __future__ import annotations

import asyncio

from gateway.clock import DAY, HOUR, SECOND
from gateway.model.moment import Epoch, Input
from gateway.pipeline.timekeeper import Timekeeper
from gateway.testing import FakeClock


def epochs_of(inputs: list[Input]) -> list[tuple[bool, int]]:
    return [(item.trusted, item.wall_offset) for item in inputs if isinstance(item, Epoch)]


def test_a_box_without_clock_chip_wakes_in_1970_and_is_stepped() -> None:
    clock = FakeClock(mono=5 * SECOND, wall=60 * SECOND)
    clock.trust(synchronised=False)
    seen: list[Input] = []
    keeper = Timekeeper(clock, seen.append)
    assert not keeper.epoch.trusted
    keeper.look()
    assert seen == []
    clock.step_wall(1_790_000_000)
    clock.trust(synchronised=True)
    keeper.look()
    assert epochs_of(seen) == [(True, (1_790_000_000 + 55) * SECOND)]


def test_losing_the_time_server_for_a_week_keeps_trust_and_writes_nothing() -> None:
    async def week() -> list[Input]:
        clock = FakeClock()
        seen: list[Input] = []
        keeper = Timekeeper(clock, seen.append)
        assert keeper.epoch.trusted
        clock.trust(synchronised=False)
        task = asyncio.create_task(keeper.run())
        for _ in range(7 * 4):
            await clock.advance(DAY // (4 * SECOND) / 60)  # a driven week, an hour's look in each quarter of a day
        task.cancel()
        return seen

    assert asyncio.run(week()) == []


def test_a_step_of_an_hour_is_an_epoch_and_without_a_server_loses_trust() -> None:
    clock = FakeClock()
    seen: list[Input] = []
    keeper = Timekeeper(clock, seen.append)
    before = keeper.epoch.wall_offset
    clock.step_wall(3600)
    keeper.look()
    clock.trust(synchronised=False)
    clock.step_wall(-3600)
    keeper.look()
    assert epochs_of(seen) == [(True, before + HOUR), (False, before)]
