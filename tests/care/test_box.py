"""The box as a part of the house: it speaks every half minute, costs next to nothing, tells of starts and modems."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.care.box import Box, Starts
from gateway.care.machine import Machine
from gateway.care.modems import Modems
from gateway.care.own import LOOK_EVERY, furnished
from gateway.clock import DAY, HOUR, SECOND
from gateway.model.batch import Batch
from gateway.model.inventory import BOX, numbered
from gateway.model.modem import ModemStatus, NetworkTime
from gateway.testing import FakeClock
from tests.care.boxes import FIGURES, STATION, half_full, machine


class Kept(dict[str, str]):
    """A memory of plug-ins."""

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self[key] = value


async def arrived(batches: list[Batch], wanted: int) -> None:
    """Wait for a batch that a thread brings about."""
    for _ in range(60_000):
        if len(batches) >= wanted:
            return
        await asyncio.sleep(0.001)
    raise AssertionError


def test_the_box_speaks_every_half_minute_and_costs_less_than_a_thousandth_of_a_core(tmp_path: Path) -> None:
    batches: list[Batch] = []
    clock = FakeClock()
    ids = numbered(furnished(STATION))
    box = Box(batches.append, machine=machine(tmp_path), ids=ids, clock=clock, inside=lambda: {"loop_lag": 0.1})

    async def main() -> float:
        task = asyncio.create_task(box.run())
        for wanted in (1, 2, 3):
            await arrived(batches, wanted)
            await clock.advance(LOOK_EVERY)
        before = time.process_time()
        for _ in range(20):
            await box.look()
        task.cancel()
        return (time.process_time() - before) / 20

    cost = asyncio.run(main())
    assert cost / LOOK_EVERY < 0.001
    assert len(batches[0]) == len(FIGURES) + 1
    assert batches[0].source == BOX
    names = {number: name for name, number in ids.items()}
    assert dict(zip((names[each] for each in batches[1].point.tolist()), batches[1].value.tolist(), strict=True))[
        f"{BOX}.loop_lag"
    ] == pytest.approx(0.1)


def test_no_number_and_no_point_of_ours_say_nothing(tmp_path: Path) -> None:
    batches: list[Batch] = []
    box = Box(
        batches.append,
        machine=Machine(tmp_path / "x", root=tmp_path, volume=half_full),
        ids=numbered(furnished(STATION)),
        clock=FakeClock(),
        inside=lambda: {"clock_error": float("inf"), "unheard": 1.0},
    )
    asyncio.run(box.look())
    assert len(batches[0]) == 3


def test_starts_are_counted_over_lives_for_a_day() -> None:
    memory, now = Kept(), 1_790_000_000 * SECOND
    assert Starts(memory).count(None) is None
    for life in range(1, 8):
        starts = Starts(memory)
        assert starts.count(now) == starts.count(now) == life
        now += HOUR
    now += DAY - 3 * HOUR
    assert Starts(memory).count(now) == 4  # those of the hours 4, 5 and 6, and this one
    memory["starts"] = "{"
    assert Starts(memory).count(now) == 1


class Channel:
    """A channel over a modem, as far as supervision sees it."""

    def __init__(self, status: ModemStatus, time: NetworkTime | None = None) -> None:
        self.status, self.time = status, time

    def modem(self) -> ModemStatus:
        """Return it."""
        return self.status

    def network_time(self) -> NetworkTime | None:
        """Return it."""
        return self.time


def test_the_worst_of_the_modems_counts() -> None:
    well = ModemStatus(model="EC200", sim="READY", registration="home", signal=-67)
    ill = ModemStatus(model="SIM800", sim="SIM PUK", registration="denied", signal=-111)
    gone = ModemStatus(model="A7670", sim="+CME 10: no SIM", registration="unknown")

    def figures(*statuses: ModemStatus) -> dict[str, float]:
        channels = [Channel(status) for status in statuses]
        return Modems(channels, lambda *_: None, FakeClock()).figures()

    assert figures(well) == {"modem_registered": 1, "sim": 1, "modem_signal": -67}
    assert figures(well, ill) == {"modem_registered": 0, "sim": 2, "modem_signal": -111}
    assert figures(gone) == {"modem_registered": 0, "sim": 0}
    assert figures(ModemStatus()) == {}


def test_each_word_of_a_modems_clock_is_passed_on_once() -> None:
    heard: list[tuple[int, int, int]] = []
    silent, told = Channel(ModemStatus()), Channel(ModemStatus(), NetworkTime(5 * SECOND, 9, 2))
    clock = FakeClock()

    async def main() -> None:
        modems = Modems([silent, told], lambda *word: heard.append(word), clock)
        task = asyncio.create_task(modems.run())
        await clock.advance(60)
        assert heard == [(5 * SECOND, 9, 2)]
        told.time = NetworkTime(35 * SECOND, 39, 2)
        await clock.advance(60)
        task.cancel()

    asyncio.run(main())
    assert heard == [(5 * SECOND, 9, 2), (35 * SECOND, 39, 2)]
