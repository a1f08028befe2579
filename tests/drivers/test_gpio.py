"""Pins: a short press is not lost, levels are told again, outputs read back, and the fake is what gpiod is."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gpiod
import pytest
from gpiod.line import Bias

from drivers.gpio import Gpio, create
from drivers.simulated.gpio import SimulatedRequest, request_lines
from gateway.clock import SystemClock
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.batch import Batch
from gateway.model.point import Device, Kind, PointSpec, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.transport.gpio import Request
from tests.channel_rigs import Notes
from tests.patience import until

LABELS = {"normal": 0.0, "alarm": 1.0}


def point(name: str, **decode: Any) -> PointSpec:  # noqa: ANN401 - keys of `decode`
    return PointSpec(name=name, kind=Kind.STATE, labels=LABELS, decode=decode)


def setup(chip: str, *points: PointSpec, poll: float = 60.0) -> DriverSetup:
    profile = Profile(id="pins-type", title="", points=points, driver="gpio")
    return DriverSetup(
        source=SourceSpec(id="pins", driver="gpio", options={"chip": chip}),
        devices=[Device(id="hall", source="pins", profile=profile, poll=poll)],
        point_ids={"@pins.events": 0, **{f"hall.{spec.name}": n for n, spec in enumerate(points, 1)}},
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=Notes(),
        report=Notes(),
    )


class Board:
    """A simulated chip with somebody at its pins."""

    def __init__(self, folder: Path) -> None:
        self.pipe = folder / "chip"
        os.mkfifo(self.pipe)
        self.chip = f"simulated:{self.pipe}"
        self.batches: list[Batch] = []

    def say(self, *words: str) -> None:
        """Change levels, all before anybody looks."""
        end = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)
        os.write(end, "".join(f"{word}\n" for word in words).encode())
        os.close(end)

    def told(self, point_id: int) -> list[float]:
        """Return what was told of a point."""
        return [
            float(batch.value[row])
            for batch in self.batches
            for row in range(len(batch))
            if batch.point[row] == point_id
        ]

    def run(self, given: DriverSetup, scene: Callable[[Gpio], Awaitable[None]]) -> None:
        """Run the driver around a scene."""

        async def main() -> None:
            driver = create(given)
            running = asyncio.create_task(driver.run(self.batches.append))
            await until(lambda: bool(self.batches))
            await scene(driver)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(asyncio.wait_for(main(), 30))


def test_a_press_shorter_than_any_look_is_told(tmp_path: Path) -> None:
    board = Board(tmp_path)

    async def scene(_: Gpio) -> None:
        board.say("17=1", "17=0", "17=1", "17=0")
        await until(lambda: len(board.told(1)) >= 5)
        assert board.told(1) == [0.0, 1.0, 0.0, 1.0, 0.0], "every edge, in its order"

    board.run(setup(board.chip, point("press", line=17)), scene)


def test_a_contact_to_ground_is_active_when_closed_and_a_name_is_as_good_as_a_number(tmp_path: Path) -> None:
    board = Board(tmp_path)

    async def scene(_: Gpio) -> None:
        assert board.told(1) == [0.0], "pulled up and open: normal"
        board.say("GPIO17=0")
        await until(lambda: board.told(1)[-1] == 1.0)

    board.run(setup(board.chip, point("smoke", line="GPIO17", bias="pull_up", active_low=True)), scene)


def test_levels_are_told_again_so_that_the_device_is_known_to_live(tmp_path: Path) -> None:
    board = Board(tmp_path)

    async def scene(_: Gpio) -> None:
        await until(lambda: len(board.told(1)) >= 4)
        assert set(board.told(1)) == {0.0}

    board.run(setup(board.chip, point("smoke", line=4), poll=0.05), scene)


def test_a_relay_is_set_and_read_back(tmp_path: Path) -> None:
    board = Board(tmp_path)
    given = setup(board.chip, point("siren", line=5, output=True), point("smoke", line=6))

    async def scene(driver: Gpio) -> None:
        await driver.write("hall", "siren", 1.0)
        assert board.told(1)[-1] == 1.0
        assert "5=1" in (tmp_path / "chip.levels").read_text(encoding="utf-8")
        for name in ("smoke", "nothing"):
            with pytest.raises(DeliveryError, match="not an output") as caught:
                await driver.write("hall", name, 1.0)
            assert not caught.value.retryable

    board.run(given, scene)
    with pytest.raises(LinkDown):
        asyncio.run(create(given).write("hall", "siren", 1.0))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([point("a", line=1), point("b", line=1)], "line 1 is taken by hall"),
        ([PointSpec(name="a", unit="V", decode={"line": 1})], "a line is a state"),
        ([point("a")], "line"),
        ([point("a", line=-1)], "line"),
        ([point("a", line=1, bias="up")], "bias"),
        ([point("a", line=1, pull="up")], "pull"),
    ],
)
def test_what_cannot_be_is_said_with_device_and_point(points: list[PointSpec], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        create(setup("/dev/gpiochip0", *points))
    assert "device hall" in str(caught.value)


def test_a_chip_that_is_not_there_is_a_lost_link_with_a_hint() -> None:
    with pytest.raises(LinkDown, match="gpiodetect"):
        asyncio.run(create(setup("/dev/no-such-chip", point("a", line=1))).run(lambda _: None))


@pytest.mark.parametrize("name", ["get_values", "set_value", "read_edge_events", "release"])
def test_the_fake_is_called_as_gpiod_is(name: str) -> None:
    real = inspect.signature(getattr(gpiod.LineRequest, name)).parameters
    for ours in (SimulatedRequest, Request):
        assert list(inspect.signature(getattr(ours, name)).parameters) == list(real)


def test_the_fake_gives_lines_as_gpiod_does() -> None:
    real = inspect.signature(gpiod.request_lines).parameters
    assert set(inspect.signature(request_lines).parameters) <= set(real)
    for name in ("fd", "offsets", "lines"):
        assert isinstance(inspect.getattr_static(gpiod.LineRequest, name), property)
    assert {bias.name for bias in Bias} >= {"AS_IS", "DISABLED", "PULL_UP", "PULL_DOWN"}
