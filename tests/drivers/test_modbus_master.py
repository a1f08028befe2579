"""The strict master against simulated slaves on the driven clock: right answers only, and a line that survives all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from drivers._modbus_master import Answer, Manners, Master, Outcome, wire_seconds
from drivers.simulated.modbus_bus import Fault, ModbusBus, SimulatedSlave
from drivers.simulated.wire import Wire
from gateway.clock import SECOND
from gateway.errors import LinkDown
from gateway.protocols.modbus import COIL_ON, READ_HOLDING, READ_INPUTS, READ_REGISTERS, WRITE_COIL, Request
from gateway.testing import FakeClock

T = TypeVar("T")
LEVEL = Request(1, READ_HOLDING, 4, 1)
OTHER = Request(1, READ_HOLDING, 7, 1)
NEIGHBOUR = Request(2, READ_HOLDING, 4, 1)


class Bench:
    """A master and a bus on one wire, and the clock that drives them."""

    def __init__(self, *, echo: bool = False, adapter_echo: bool = False) -> None:
        self.clock = FakeClock()
        self.wire = Wire()
        self.slaves = {
            1: SimulatedSlave(address=1, holding={4: 111, 5: -1, 7: 777}, inputs={0: 1, 1: 0}, coils={0: 0}),
            2: SimulatedSlave(address=2, holding={4: 222}),
        }
        self.bus = ModbusBus(self.wire, self.clock, self.slaves.values(), echo=adapter_echo)
        self.counts: Counter[str] = Counter()
        self.port = self.wire.open()
        self.master = Master(self.port, self.clock, baudrate=9600, echo=echo, count=self._count)

    def _count(self, what: str, number: int) -> None:
        self.counts[what] += number

    async def ask(self, request: Request, manners: Manners | None = None) -> Answer:
        """Ask while time goes on."""
        return await self.drive(self.master.ask(request, manners or Manners()))

    async def drive(self, work: Coroutine[object, object, T]) -> T:
        """Let time go on, 1 ms at a time, until the work is done."""
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        while not task.done():
            await self.clock.advance(0.001)
        return await task


@asynccontextmanager
async def bench(*, echo: bool = False, adapter_echo: bool = False) -> AsyncIterator[Bench]:
    made = Bench(echo=echo, adapter_echo=adapter_echo)
    running = asyncio.create_task(made.bus.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def run(test: Callable[[Bench], Awaitable[None]], *, echo: bool = False, adapter_echo: bool = False) -> None:
    async def main() -> None:
        async with bench(echo=echo, adapter_echo=adapter_echo) as made:
            await test(made)

    asyncio.run(main())


def _values(answer: Answer) -> tuple[int, ...]:
    assert answer.reply is not None, answer
    return answer.reply.values


def test_reads_writes_and_refusals() -> None:
    async def test(made: Bench) -> None:
        assert _values(await made.ask(Request(1, READ_HOLDING, 4, 2))) == (111, 0xFFFF)
        assert _values(await made.ask(Request(1, READ_INPUTS, 0, 2))) == (1, 0)
        assert (await made.ask(Request(1, WRITE_COIL, 0, 1, (COIL_ON,)))).outcome is Outcome.ANSWERED
        assert made.slaves[1].coils[0] == 1
        refused = await made.ask(Request(1, READ_REGISTERS, 0, 1))
        assert refused.outcome is Outcome.REFUSED
        assert refused.reply is not None
        assert refused.reply.exception == 2
        assert made.counts == {"answered": 3, "refused": 1}

    run(test)


def test_the_delay_of_the_device_is_measured_without_the_wire() -> None:
    async def test(made: Bench) -> None:
        made.slaves[1].delay = 0.05
        assert (await made.ask(LEVEL)).delay == pytest.approx(0.05, abs=0.01)

    run(test)


def test_a_silent_device_costs_its_deadline_and_no_more() -> None:
    async def test(made: Bench) -> None:
        made.slaves[1].fault = Fault(silent=True)
        start = made.clock.mono()
        answer = await made.drive(made.master.ask(LEVEL, Manners(worst=0.3), deadline=0.1))
        assert answer.outcome is Outcome.SILENT
        assert (made.clock.mono() - start) / SECOND < 0.1 + wire_seconds(LEVEL, 9600) + 0.005
        assert _values(await made.ask(NEIGHBOUR)) == (222,)

    run(test)


@pytest.mark.parametrize("late", [0.11, 0.2, 0.29])
def test_a_late_answer_is_never_taken_for_the_next_one(late: float) -> None:
    async def test(made: Bench) -> None:
        made.slaves[1].fault = Fault(late=late)
        manners = Manners(worst=0.3)
        assert (await made.drive(made.master.ask(LEVEL, manners, deadline=0.1))).outcome is Outcome.SILENT
        made.slaves[1].fault = Fault()
        assert _values(await made.ask(OTHER, manners)) == (777,)
        assert made.counts["late"] == 1

    run(test)


def test_a_late_answer_does_not_hold_up_or_confuse_the_neighbour() -> None:
    async def test(made: Bench) -> None:
        made.slaves[1].fault = Fault(late=0.105)
        await made.drive(made.master.ask(LEVEL, Manners(worst=0.3), deadline=0.1))
        made.slaves[1].fault = Fault()
        start = made.clock.mono()
        assert _values(await made.ask(NEIGHBOUR)) == (222,)
        assert made.clock.mono() - start < 0.1 * SECOND
        assert made.counts["late"] == 1

    run(test)


def test_an_answer_later_than_the_worst_is_thrown_away_as_noise() -> None:
    async def test(made: Bench) -> None:
        made.slaves[1].fault = Fault(late=1.0)
        await made.ask(LEVEL, Manners(worst=0.3))
        made.slaves[1].fault = Fault()
        await made.clock.advance(2)
        assert _values(await made.ask(OTHER, Manners(worst=0.3))) == (777,)

    run(test)


@pytest.mark.parametrize(
    "noise", [b"\x00", b"\xff\xff", b"\x01\x03\x02", b"\x01\x83", LEVEL.encode(), bytes(range(32))]
)
def test_garbage_around_the_answer_is_hunted_over(noise: bytes) -> None:
    async def test(made: Bench) -> None:
        made.slaves[1].fault = Fault(before=noise, after=noise)
        for _ in range(3):
            assert _values(await made.ask(LEVEL)) == (111,)
        assert made.counts["garbage"] == 3 * len(noise)

    run(test)


def test_a_wrong_checksum_is_no_answer() -> None:
    async def test(made: Bench) -> None:
        made.slaves[1].fault = Fault(wrong_crc=True)
        assert (await made.ask(LEVEL)).outcome is Outcome.BROKEN
        assert made.counts == {"broken": 1}

    run(test)


def test_the_echo_of_an_adapter_is_eaten_and_never_taken_for_the_answer() -> None:
    write = Request(1, WRITE_COIL, 0, 1, (COIL_ON,))  # its answer looks like its echo

    async def test(made: Bench) -> None:
        assert _values(await made.ask(LEVEL)) == (111,)
        assert (await made.ask(write)).outcome is Outcome.ANSWERED
        made.slaves[1].fault = Fault(silent=True)
        assert (await made.ask(write)).outcome is Outcome.SILENT
        assert made.counts["echo_missing"] == 0

    run(test, echo=True, adapter_echo=True)


def test_an_echo_that_does_not_come_is_counted() -> None:
    async def test(made: Bench) -> None:
        assert (await made.ask(LEVEL)).outcome is Outcome.BROKEN
        assert made.counts["echo_missing"] == 1

    run(test, echo=True)


def test_stray_bytes_before_a_request_are_drained_and_silence_is_kept() -> None:
    async def test(made: Bench) -> None:
        made.wire.port.write(b"\x01\x03\x02\x00")
        start = made.clock.mono()
        assert _values(await made.ask(LEVEL, Manners(silence=0.02))) == (111,)
        assert made.counts["stray"] == 4
        assert made.clock.mono() - start > 0.02 * SECOND

    run(test)


def test_a_line_that_is_never_silent_is_used_all_the_same() -> None:
    async def test(made: Bench) -> None:
        async def jabber() -> None:
            while True:
                made.wire.port.write(b"\xaa")
                await made.clock.sleep(0.002)

        noise = asyncio.create_task(jabber())
        assert _values(await made.ask(LEVEL)) == (111,)
        assert made.counts["jabber"] == 1
        noise.cancel()
        await asyncio.gather(noise, return_exceptions=True)

    run(test)


def test_wake_up_bytes_go_first_and_their_pause_is_kept() -> None:
    async def main() -> None:
        clock, wire = FakeClock(), Wire()
        master = Master(wire.open(), clock, baudrate=9600, count=lambda *_: None)
        asking = asyncio.create_task(master.ask(LEVEL, Manners(wake=b"\x8f", wake_delay=0.03)))
        await clock.advance(0.01)
        assert await wire.port.read() == b"\x8f"
        await clock.advance(0.02)
        assert wire.port.read_waiting() == b""
        await clock.advance(0.02)
        assert wire.port.read_waiting() == LEVEL.encode()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(main())


def test_a_pulled_adapter_is_a_lost_link() -> None:
    async def test(made: Bench) -> None:
        asking = asyncio.create_task(made.master.ask(LEVEL, Manners()))
        await made.clock.advance(0.01)
        made.bus.unplug()
        with pytest.raises(LinkDown):
            await asking
        made.bus.plug()
        again = Master(made.wire.open(), made.clock, baudrate=9600, count=made._count)  # noqa: SLF001 - same counters
        assert _values(await made.drive(again.ask(LEVEL, Manners()))) == (111,)

    run(test)
