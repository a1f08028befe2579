"""The supervisor on the driven clock: back-off, restart, the fault alarm, and no exception that ends the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain, pairwise, repeat

import pytest

from gateway.clock import SECOND
from gateway.errors import DriverFatal, LinkDown, ProtocolViolation
from gateway.model.batch import Batch, EventCode, make_batch
from gateway.model.moment import Input
from gateway.model.quality import describe
from gateway.pipeline.supervisor import BACK_OFF, FATAL_BACK_OFF, STEADY, Supervisor
from gateway.testing import FakeClock

EVENTS, POINTS = 1, (2, 3)
FAULT_AFTER = 50.0  # between two tries
LOST = LinkDown("/dev/ttyUSB0: hung up")


class Bench:
    """One supervised plug-in. Each of its runs does what the next of `runs` says: None lives until cancelled."""

    def __init__(self, runs: Iterator[BaseException | None], *, ups: bool = False) -> None:
        self.clock = FakeClock()
        self.put: list[Input] = []
        self.begun: list[float] = []
        self.ended = 0
        self.stays = False
        self.ups = ups
        self._runs = runs
        self._start = self.clock.mono()
        self.link = Supervisor(
            "bus", clock=self.clock, put=self.put.append, events=EVENTS, points=POINTS, fault_after=FAULT_AFTER
        )

    async def work(self) -> None:
        """Be the plug-in."""
        self.begun.append(self.seconds())
        try:
            if self.ups:
                self.link.alive()
            end = None if self.stays else next(self._runs)
            if end is None:
                await self.clock.sleep(1e9)
            else:
                raise end
        finally:
            self.ended += 1

    def seconds(self) -> float:
        """Return driven seconds since the start."""
        return (self.clock.mono() - self._start) / SECOND

    def said(self) -> list[tuple[EventCode, float]]:
        """Return the link's events so far, and when each was put."""
        return [(e.code, (b.event_arrival - self._start) / SECOND) for b in self._batches() for e in b.events]

    def lost(self) -> list[tuple[list[int], str]]:
        """Return what became of the points: (ids, quality) of each batch of readings."""
        return [(b.point.tolist(), describe(int(b.quality[0]))) for b in self._batches() if len(b)]

    def _batches(self) -> list[Batch]:
        return [batch for batch in self.put if isinstance(batch, Batch)]


def play(bench: Bench, test: Callable[[Bench], Awaitable[None]]) -> None:
    """Run the test beside the supervised plug-in; afterwards nothing of it may be left."""

    async def main() -> None:
        running = asyncio.create_task(bench.link.run(bench.work))
        await test(bench)
        assert not running.done(), "no plug-in ends its supervisor"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()
        assert bench.ended == len(bench.begun), "no run is left behind"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_it_backs_off_further_each_time_and_stays_at_the_longest_pause() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(150)
        pauses = [later - earlier for earlier, later in pairwise(bench.begun)]
        assert pauses == [*BACK_OFF, *[BACK_OFF[-1]] * (len(pauses) - len(BACK_OFF))]
        assert len(pauses) > len(BACK_OFF)
        assert bench.link.health.tries == len(bench.begun)
        assert bench.link.health.reason == str(LOST)

    play(Bench(repeat(LOST)), test)


def test_a_link_that_was_up_is_tried_again_soon() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(2.5)
        assert bench.begun == [0, 1, 2]

    play(Bench(repeat(LOST), ups=True), test)


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        ProtocolViolation("what was that"),
        OSError(5, "Input/output error"),
        ZeroDivisionError("a bug"),
        KeyError(),
    ],
)
def test_whatever_a_plug_in_raises_it_is_started_again(error: Exception) -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(1)
        assert bench.begun == [0, 1]
        assert bench.link.health.reason

    play(Bench(chain([error], repeat(None))), test)


def test_a_plug_in_that_just_ends_is_started_again() -> None:
    async def main() -> None:
        bench = Bench(repeat(None))
        begun = 0

        async def work() -> None:
            nonlocal begun
            begun += 1

        running = asyncio.create_task(bench.link.run(work))
        await bench.clock.advance(3.5)
        assert begun == 3
        assert bench.link.health.reason == "ended by itself"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_its_points_turn_bad_once_when_the_link_is_lost() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(20)
        assert bench.lost() == [(list(POINTS), "BAD:no_comms")]

    play(Bench(repeat(LOST)), test)


def test_the_fault_alarm_comes_once_and_when_it_is_due_not_when_it_is_next_tried() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(FAULT_AFTER - 0.001)
        assert bench.said() == []
        await bench.clock.advance(0.002)
        assert bench.said() == [(EventCode.FAULT, FAULT_AFTER)]
        assert FAULT_AFTER not in bench.begun
        await bench.clock.advance(600)
        assert len(bench.said()) == 1

    play(Bench(repeat(LOST)), test)


def test_the_fault_returns_to_normal_with_the_first_sign_of_life() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(FAULT_AFTER + 1)
        bench.link.emit(make_batch("bus", bench.clock.mono(), heard=[2]))
        bench.link.emit(make_batch("bus", bench.clock.mono(), heard=[2]))
        assert bench.said() == [(EventCode.FAULT, FAULT_AFTER), (EventCode.RESTORE, FAULT_AFTER + 1)]
        assert bench.link.health.up
        assert bench.link.health.tries == 0

    play(Bench(repeat(LOST)), test)


def test_a_link_that_comes_and_goes_is_one_fault_until_it_stays() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(300)
        first, fault = bench.said()
        assert first == (EventCode.RESTORE, 0)  # of an earlier life
        assert fault[0] is EventCode.FAULT
        assert FAULT_AFTER <= fault[1] <= FAULT_AFTER + BACK_OFF[0]
        bench.stays = True
        await bench.clock.advance(5)
        assert len(bench.said()) == 2
        await bench.clock.advance(STEADY * FAULT_AFTER)  # nothing more is heard: quiet devices
        assert [code for code, _ in bench.said()[2:]] == [EventCode.RESTORE]

    play(Bench(repeat(LOST), ups=True), test)


def test_a_link_lost_once_more_soon_after_a_long_outage_is_told_when_it_is_back() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(FAULT_AFTER + 1)
        bench.link.alive()
        bench.ups = bench.stays = True
        await bench.clock.advance(3_600)
        assert bench.link.health.up
        assert [code for code, _ in bench.said()] == [EventCode.FAULT, EventCode.RESTORE]

    play(Bench(repeat(LOST)), test)


def test_a_fault_of_an_earlier_life_is_taken_back_when_the_link_comes_up() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(1)
        assert bench.said() == [(EventCode.RESTORE, 0)]

    play(Bench(repeat(None), ups=True), test)


def test_a_driver_that_gives_itself_up_is_a_fault_at_once_and_tried_again_much_later() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(FATAL_BACK_OFF - 1)
        assert bench.begun == [0]
        assert bench.said() == [(EventCode.FAULT, 0)]
        await bench.clock.advance(1)
        assert bench.begun == [0, FATAL_BACK_OFF]

    play(Bench(repeat(DriverFatal("no such adapter"))), test)


def test_whoever_waits_for_the_first_try_is_woken_by_success_and_by_failure() -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(0)
        assert bench.link.tried.is_set()

    play(Bench(repeat(None), ups=True), test)
    play(Bench(repeat(LOST)), test)


@pytest.mark.parametrize("after", [0.0, 0.5, FAULT_AFTER - 1, FAULT_AFTER + 1])
def test_cancelled_at_any_time_it_leaves_nothing(after: float) -> None:
    async def test(bench: Bench) -> None:
        await bench.clock.advance(after)

    play(Bench(chain([LOST, LOST], repeat(None))), test)
    play(Bench(repeat(LOST)), test)
