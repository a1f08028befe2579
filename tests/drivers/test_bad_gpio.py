"""Lines that bounce a thousand times a second, and a kernel that has no room for their edges."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gpiod
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._gpio_bounce import EACH, Bounce, Edge
from drivers.gpio import create
from drivers.simulated.gpio import request_lines
from gateway.driven_clock import FakeClock
from gateway.model.batch import Batch
from gateway.model.point import Device, Kind, PointSpec, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import MILLISECOND, SECOND
from gateway.transport.gpio import EDGES, Lines, LineSpec
from tests.drivers.modbus_bench import Report

LABELS = {"normal": 0.0, "alarm": 1.0}
STORM, CALM = 17, 18  # lines; the points are 1 and 2


class Board:
    """A simulated chip on the driven clock, with two lines: one storms."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.notes = Report()
        self.batches: list[Batch] = []
        pipe = folder / "chip"
        os.mkfifo(pipe)
        self.chip = f"simulated:{pipe}"
        self._end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._level = 0

    def say(self, *words: str) -> None:
        """Change levels, all before anybody looks."""
        os.write(self._end, "".join(f"{word}\n" for word in words).encode())

    def flip(self, times: int) -> None:
        """Let the storm line change so many times before anybody looks."""
        words = []
        for _ in range(times):
            self._level = 1 - self._level
            words.append(f"{STORM}={self._level}")
        self.say(*words)

    def told(self, point: int) -> list[float]:
        """Return what was told of a point."""
        rows = [(batch, row) for batch in self.batches for row in range(len(batch))]
        return [float(batch.value[row]) for batch, row in rows if batch.point[row] == point]

    def run(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Run the driver beside a scene."""
        points = [
            PointSpec(name=name, kind=Kind.STATE, labels=LABELS, decode={"line": line})
            for name, line in (("storm", STORM), ("calm", CALM))
        ]
        profile = Profile(id="pins-type", title="", points=tuple(points), driver="gpio")
        setup = DriverSetup(
            source=SourceSpec(id="pins", driver="gpio", options={"chip": self.chip}),
            devices=[Device(id="hall", source="pins", profile=profile, poll=60.0)],
            point_ids={"@pins.events": 0, "hall.storm": 1, "hall.calm": 2},
            life_safety=frozenset({"hall"}),
            clock=self.clock,
            memory=self.notes,
            report=self.notes,
        )

        async def main() -> None:
            running = asyncio.create_task(create(setup).run(self.batches.append))
            await self.clock.advance(0.01)
            await scene()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(main())
        os.close(self._end)


def test_a_thousand_edges_a_second_are_some_dozens_of_readings_and_starve_nobody(tmp_path: Path) -> None:
    board = Board(tmp_path)

    async def scene() -> None:
        for tenth in range(30):
            for _ in range(10):
                board.flip(10)
                await board.clock.advance(0.01)
            if tenth % 10 == 5:
                before = len(board.told(2))
                board.say(f"{CALM}=1", f"{CALM}=0")
                await board.clock.advance(0)
                assert board.told(2)[before:] == [1.0, 0.0], "the neighbour is told at once"
        board.flip(1)
        await board.clock.advance(0.1)
        assert board.told(1)[-1] == 1.0, "where it stands at last"
        assert EACH * 3 <= len(board.told(1)) <= 3 * (EACH + 2 * 20 + 2)
        assert len(board.batches) < 200
        await board.clock.advance(60)
        assert board.notes.counts["edges_left_out"] >= 3001 - len(board.told(1))
        assert board.notes.counts["edges_lost"] == 0
        assert "bounces" in board.notes.findings["bounce hall.storm"]
        assert "bounce hall.calm" not in board.notes.findings
        before = len(board.told(1))
        board.flip(2)
        await board.clock.advance(0)
        assert board.told(1)[before:] == [0.0, 1.0], "calm again, it is told edge by edge"

    board.run(scene)


def test_what_the_kernel_had_no_room_for_is_counted_and_no_line_looks_other_than_it_is(tmp_path: Path) -> None:
    board = Board(tmp_path)

    async def scene() -> None:
        board.say(f"{CALM}=1")
        board.flip(EDGES + 100)
        board.say(f"{CALM}=0", f"{CALM}=1")
        await board.clock.advance(0.1)
        assert board.told(1)[-1] == 0.0
        assert board.told(2)[:4] == [0.0, 1.0, 0.0, 1.0], "its lost edge is told before the next one"
        assert board.notes.counts["edges_lost"] == 103, "of the storm's edges, and the first of the calm line"
        board.say(f"{CALM}=0")
        board.flip(EDGES)
        await board.clock.advance(0)
        assert board.told(2)[-1] == 0.0, "no edge of it is left, but the levels were looked at"

    board.run(scene)


@pytest.mark.parametrize(("seconds", "said"), [(0.02, 20_000), (0.0, 0)])
def test_the_kernel_is_asked_to_debounce_and_for_all_the_room_it_has(tmp_path: Path, seconds: float, said: int) -> None:
    asked: list[Any] = []

    def request(chip: str, **given: Any) -> Any:  # noqa: ANN401 - gpiod's
        asked.append(given)
        return request_lines(chip, **given)

    os.mkfifo(tmp_path / "chip")
    Lines(f"simulated:{tmp_path / 'chip'}", [LineSpec(line=1, debounce=seconds)], request).close()
    settings: gpiod.LineSettings = asked[0]["config"][1]
    assert settings.debounce_period.total_seconds() * 1_000_000 == said
    assert asked[0]["event_buffer_size"] == EDGES


def test_a_press_within_a_storm_is_told() -> None:
    bounce = Bounce()
    assert len(bounce.take([(1, True), (1, False)] * EACH, SECOND)) == EACH
    assert bounce.settled(bounce.due - 1) == []
    assert bounce.settled(bounce.due) == [(1, True), (1, False)]


@settings(max_examples=50)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 60), st.lists(st.tuples(st.sampled_from([1, 2]), st.booleans()), max_size=40)),
        max_size=20,
    )
)
def test_however_lines_bounce_what_is_told_is_bounded_hides_no_pulse_and_ends_where_they_stand(
    steps: list[tuple[int, list[Edge]]],
) -> None:
    bounce, now = Bounce(), SECOND
    told: list[Edge] = []
    came: list[Edge] = []
    for wait, edges in steps:
        now += wait * MILLISECOND
        told += bounce.settled(now) + bounce.take(edges, now)
        came += edges
    told += bounce.settled(bounce.due)
    assert bounce.left_out == len(came) - len(told)
    seconds = sum(wait for wait, _ in steps) // 1000 + 1
    for line, number in Counter(line for line, _ in came).items():
        levels = [active for one, active in told if one == line]
        assert levels[-1] == [active for one, active in came if one == line][-1]
        assert set(levels) == {active for one, active in came if one == line}, "no pulse is hidden"
        assert len(levels) <= min(number, seconds * (EACH + 2 * 20 + 2) + EACH)
