"""Wall time that is wrong, steps, or is lost for a week: no timer early or missed, no stored time rewritten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.clock import DAY, HOUR, SECOND
from gateway.model.alarm import Verb
from gateway.model.batch import EventCode
from gateway.model.moment import Epoch, Input
from gateway.model.notification import NotifyReason
from gateway.pipeline.timekeeper import Timekeeper
from gateway.store.database import Store
from gateway.store.read import Reader
from gateway.testing import WALL, FakeClock, Life, Scenario
from tests.step_station import STATION

R = NotifyReason
IN_1970 = Life(wall=60 * SECOND, trusted=False)
Steps = tuple[tuple[float, int, bool], ...]  # second, wall time at second 0, trusted


def lived(life: Life, steps: Steps) -> Scenario:
    """Let every timer of a station run while its wall clock does what `steps` say."""
    house = Scenario(STATION, life=life).start()
    todo = list(steps)

    def until(at: float) -> None:
        while todo and todo[0][0] < at:
            second, wall, trusted = todo.pop(0)
            house.epoch(second, wall=wall, trusted=trusted)

    for at, point, value in ((10.0, "gas.ch4", 33.0), (30.0, "gas.ch4", 1.0), (40.0, "temp.t", 60.0)):
        until(at)
        house.read(at, point, value)
    house.event(41.0, "panel", EventCode.FAULT, "1/1")
    fault = house.alarms()[-1].id
    house.act(42.0, Verb.SHELVE, [fault], until=150.0, reason="检修")
    until(1_000.0)
    return house.until(1_000.0)


def moments(house: Scenario) -> list[tuple[object, ...]]:
    """Return when what happened, by true time."""
    moved = [(t.alarm, t.event, t.cause, house.seconds(t.at)) for t in house.seen.transitions]
    return [*moved, *((round(at, 3), n.contact, n.reason) for at, n in house.seen.sent)]


@pytest.mark.parametrize(
    ("life", "steps"),
    [
        (IN_1970, ()),
        (IN_1970, ((11.0, WALL, True),)),
        (IN_1970, ((50.0, WALL, True), (60.0, WALL + HOUR, True))),
        (Life(), ((12.0, WALL + HOUR, True), (71.0, WALL, True))),
        (Life(), ((12.0, WALL - HOUR, True), (35.0, WALL - HOUR, False), (72.9, WALL, True))),
    ],
)
def test_no_step_of_wall_time_moves_a_timer(life: Life, steps: Steps) -> None:
    assert moments(lived(life, steps)) == moments(lived(Life(), ()))


def test_messages_say_that_the_time_is_not_known_until_it_is() -> None:
    house = lived(IN_1970, ((50.0, WALL, True),))
    assert "时间未校准" in house.told(R.RAISED, contact="li")[0][2]
    assert "时间未校准" not in house.told(R.ESCALATED, contact="chen")[0][2]


def test_exported_times_are_right_and_stored_times_are_never_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    house = Scenario(STATION, store=Store.open(path), life=IN_1970).start()
    house.read(5.0, "temp.t", 1.0)
    house.read(15.0, "temp.t", 2.0)
    point = house.ids["temp.t"]
    stored = house.store.connection.execute("SELECT * FROM journal ORDER BY seq").fetchall()
    with Reader(path) as reader:
        assert reader.readings(point).time.tolist() == [0, 0]  # nobody knows yet
    house.epoch(20.0, wall=WALL)
    house.read(25.0, "temp.t", 3.0)
    house.epoch(30.0, wall=WALL + HOUR)
    house.read(35.0, "temp.t", 4.0)
    house.epoch(40.0, wall=WALL)
    house.read(45.0, "temp.t", 5.0, time=WALL + 44 * SECOND)
    after = house.store.connection.execute("SELECT * FROM journal ORDER BY seq").fetchall()
    assert after[: len(stored)] == stored
    with Reader(path) as reader:
        seconds = [(time - WALL) // SECOND for time in reader.readings(point).time.tolist()]
    house.store.close()
    assert seconds == [5, 15, 25, 35 + 3600, 44]


def test_a_source_that_names_its_own_time_is_believed_only_while_ours_is_trusted() -> None:
    house = Scenario(STATION, life=IN_1970).start()
    house.read(10.0, "gas.ch4", 60.0, time=WALL + 4 * SECOND)
    house.epoch(20.0, wall=WALL)
    house.read(29.0, "gas.ch4", 1.0, time=WALL + 28 * SECOND)
    house.read(30.0, "gas.ch4", 60.0, time=WALL + 29 * SECOND)
    raised = [house.seconds(t.at) for t in house.seen.transitions if t.rule == "now"]
    assert raised == [10.0, 28.0, 29.0]


def test_a_week_without_a_time_server_is_no_epoch_and_no_loss_of_trust() -> None:
    async def week() -> tuple[list[Input], Timekeeper]:
        clock = FakeClock()
        seen: list[Input] = []
        keeper = Timekeeper(clock, seen.append)
        clock.trust(synchronised=False)
        task = asyncio.create_task(keeper.run())
        looks = 7 * DAY // HOUR
        for _ in range(looks):  # an hour each; the looks inside it see the same clocks
            clock.jump(HOUR - 6 * SECOND)
            await clock.advance(6)
        task.cancel()
        return seen, keeper

    seen, keeper = asyncio.run(week())
    assert seen == []
    assert keeper.epoch.trusted


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_step_found_by_the_timekeeper_is_one_epoch_with_the_new_offset(step: int) -> None:
    clock = FakeClock()
    seen: list[Input] = []
    keeper = Timekeeper(clock, seen.append)
    before = keeper.epoch.wall_offset
    clock.step_wall(step)
    keeper.look()
    keeper.look()
    (epoch,) = seen
    assert isinstance(epoch, Epoch)
    assert epoch.wall_offset - before == step * SECOND
