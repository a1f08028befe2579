"""Trust in wall time: gained, kept, lost."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway import fitting
from gateway.app import open_house
from gateway.clock import DAY, HOUR, SECOND, SystemClock
from gateway.model.moment import Epoch, Input
from gateway.model.ports import Driver, DriverSetup
from gateway.pipeline.timekeeper import Timekeeper
from gateway.testing import FakeClock
from tests import station_toml as toml

CASES = tomllib.loads((Path(__file__).parents[1] / "cases" / "time" / "sources.toml").read_text(encoding="utf-8"))[
    "case"
]


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


NOW = 1_790_000_000 * SECOND  # what true time is when a case begins


def driven(case: dict[str, Any]) -> list[list[Any]]:
    """Live through a case: return [second, source, trusted, seconds wrong] of each epoch, the first one included."""
    clock = FakeClock(mono=0, wall=NOW + round(case.get("system", 0) * SECOND))
    clock.trust(synchronised=case.get("ntp", False))
    if "chip" in case:
        clock.fit(NOW + round(case["chip"] * SECOND))
    seen: list[Input] = []
    floor = NOW + round(case["floor"] * SECOND) if "floor" in case else 0
    keeper = Timekeeper(clock, seen.append, trusted_by_configuration=case.get("configured", False), floor=floor)
    told = [keeper.epoch]
    for second, word, *facts in case.get("then", []):
        clock.jump(second * SECOND - clock.mono())
        match word:
            case "ntp":
                clock.trust(synchronised=facts[0])
            case "step":
                clock.step_wall(facts[0])
            case "chip":
                clock.fit(None)
            case "modem":
                keeper.hear(clock.mono(), NOW + clock.mono() + round(facts[0] * SECOND), 3 * SECOND)
        keeper.look()
    told += [item for item in seen if isinstance(item, Epoch)]
    return [
        [one.mono_from // SECOND, one.source, one.trusted, round((one.wall_offset - NOW) / SECOND, 1)] for one in told
    ]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_sources_of_time_in_their_order(case: dict[str, Any]) -> None:
    assert driven(case) == case["epochs"]


def test_an_error_grows_while_nobody_corrects_the_quartz() -> None:
    clock = FakeClock()
    keeper = Timekeeper(clock, lambda _: None)
    clock.trust(synchronised=False)
    clock.jump(DAY)
    keeper.look()
    assert keeper.epoch.trusted
    assert 1.0 < keeper.error() < 2.0
    clock.step_wall(3600)
    keeper.look()
    assert keeper.error() == float("inf")


def test_a_chip_that_ran_alone_for_200_days_says_how_far_it_may_be_wrong() -> None:
    clock = FakeClock(wall=60 * SECOND)
    clock.trust(synchronised=False)
    clock.fit(NOW)
    keeper = Timekeeper(clock, lambda _: None, floor=NOW - 200 * DAY)
    assert (keeper.epoch.source, keeper.epoch.trusted) == ("rtc", True)
    assert 340 < keeper.error() < 350


@pytest.mark.parametrize("ntp", [False, True])
@pytest.mark.parametrize("configured", [False, True])
def test_wall_time_is_told_while_it_is_trusted(ntp: bool, configured: bool) -> None:  # noqa: FBT001 - a case
    clock = FakeClock(wall=NOW)
    clock.trust(synchronised=ntp)
    keeper = Timekeeper(clock, lambda _: None, trusted_by_configuration=configured)
    assert keeper.wall() == (NOW if ntp or configured else 0)


def test_wall_time_is_that_of_the_chip_while_the_system_lives_in_1970() -> None:
    clock = FakeClock(wall=60 * SECOND)
    clock.trust(synchronised=False)
    clock.fit(NOW)
    keeper = Timekeeper(clock, lambda _: None, floor=NOW - DAY)
    clock.jump(5 * SECOND)
    assert abs(keeper.wall() - NOW - 5 * SECOND) <= SECOND


@pytest.mark.parametrize("configured", ["trusted", "ntp"])
def test_drivers_set_clocks_by_the_time_that_the_station_trusts(
    configured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, setups = tmp_path / "station.toml", list[DriverSetup]()
    text = toml.station(tmp_path).replace('clock = "trusted"', f'clock = "{configured}"')
    path.write_text(text + toml.broker(9) + toml.sensor("g") + toml.rule("high", "g.v", "value > 1"), encoding="utf-8")
    make = fitting.driver

    def made(setup: DriverSetup) -> Driver:
        setups.append(setup)
        return make(setup)

    monkeypatch.setattr(fitting, "driver", made)
    clock = FakeClock(wall=NOW)
    clock.trust(synchronised=False)  # as the kernel sees it

    async def main() -> None:
        house = await open_house(path, clock)
        await house.ledger.close()

    asyncio.run(main())
    assert [None if setup.wall is None else setup.wall() for setup in setups] == [NOW if configured == "trusted" else 0]


def test_the_systems_own_clock_reads_a_chip_where_there_is_one(tmp_path: Path) -> None:
    clock = SystemClock(tmp_path)
    assert clock.chip() is None
    chip = tmp_path / "sys/class/rtc/rtc0"
    chip.mkdir(parents=True)
    (chip / "since_epoch").write_text("1790000000\n")
    assert clock.chip() == NOW
    (chip / "since_epoch").write_text("\n")
    assert clock.chip() is None
    assert SystemClock().error() >= 0
