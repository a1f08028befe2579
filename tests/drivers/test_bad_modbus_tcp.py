"""Gateways and serial servers that mix up, hold back and carry over answers: none is taken for another's."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from drivers._modbus_framed import FramedPort
from drivers._modbus_master import Port
from drivers._modbus_polling import Line, Polling
from drivers._modbus_setup import SerialOptions, TcpOptions, read_setup
from drivers.modbus_tcp import create
from drivers.simulated.wire import Wire, WireEnd
from gateway.driven_clock import FakeClock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.batch import Batch
from gateway.model.point import Device
from gateway.protocols.modbus_framing import Mbap
from gateway.protocols.modbus_line import seal
from tests.drivers.modbus_bench import LEVEL, Report, device, driver_setup, readings, state

Answer = tuple[int, int, bytes]  # transaction, unit, PDU
Says = Callable[[int, int], list[Answer]]
HEADER = struct.Struct(">HHHB")
GOOD = bytes.fromhex("03 02 00 64")  # 1.00
EVIL = bytes.fromhex("03 02 03 E7")  # 9.99
UNHEARD = bytes.fromhex("83 0B")


class Gateway:
    """The far end of Modbus TCP connections on the driven clock; asks its bus one question after the other.

    `says(transaction, unit)` are the answers to a question. A unit in `silent` is waited for, `patience` s, before
    the gateway says that it did not hear it and turns to the next question.
    """

    def __init__(self, says: Says, *, silent: frozenset[int] = frozenset(), patience: float = 1.0) -> None:
        self.clock = FakeClock()
        self.says = says
        self.silent = silent
        self.patience = patience
        self.asked: list[tuple[int, int]] = []  # unit, transaction
        self.function = 0  # of the newest question
        self.wire = Wire()
        self.report = Report()
        self.batches: list[Batch] = []
        self._newest: Mbap | None = None

    async def open(self) -> Port:
        """Be called."""
        self._newest = Mbap(asks=True, after=self._newest)
        return FramedPort(self.wire.open(), self._newest, self.report.count)

    async def serve(self) -> None:
        """Answer until cancelled, over any number of connections."""
        while True:
            port: WireEnd = self.wire.port
            try:
                await self._answer(port, await port.read())
            except LinkDown:
                await self.clock.sleep(0.01)

    async def _answer(self, port: WireEnd, data: bytes) -> None:
        while data:
            number, _, length, unit = HEADER.unpack_from(data)
            self.function = data[HEADER.size]
            data = data[HEADER.size - 1 + length :]
            self.asked.append((unit, number))
            await self.clock.sleep(self.patience if unit in self.silent else 0.02)
            for answer in [(number, unit, UNHEARD)] if unit in self.silent else self.says(number, unit):
                self.say(port, *answer)

    def say(self, port: WireEnd, number: int, unit: int, pdu: bytes) -> None:
        """Say anything."""
        port.write(HEADER.pack(number, 0, len(pdu) + 1, unit) + pdu)

    def play(self, devices: list[Device], scene: Callable[[Polling], Awaitable[None]]) -> None:
        """Run gateway and driver beside a scene."""

        async def main() -> None:
            setup = driver_setup(devices, self.clock, self.report, host="gateway", port=502)
            _, units = read_setup(setup, TcpOptions, slack=lambda options: options.delay)
            driver = Polling(setup, units, Line(name="gateway", open=self.open, baudrate=9600, queues=True))
            tasks = [asyncio.create_task(self.serve()), asyncio.create_task(self._kept(driver))]
            await scene(driver)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(main())

    async def _kept(self, driver: Polling) -> None:
        while True:
            try:
                await driver.run(self.batches.append)
            except LinkDown:
                await self.clock.sleep(0.05)

    def told(self, point: int) -> list[tuple[float, str]]:
        """Return what was told of a point."""
        return readings(self.batches, point)


def plain(number: int, unit: int) -> list[Answer]:
    return [(number, unit, GOOD)]


WRONG: dict[str, Callable[[int, int], Answer]] = {
    "another unit": lambda number, unit: (number, unit + 1, EVIL),
    "unit 0": lambda number, _: (number, 0, EVIL),
    "the next transaction": lambda number, unit: (number + 1, unit, EVIL),
    "the question before": lambda number, unit: (number - 1 & 0xFFFF, unit, EVIL),
    "the question before the last": lambda number, unit: (number - 2 & 0xFFFF, unit, EVIL),
    "no transaction": lambda _, unit: (0, unit, EVIL),
    "another function": lambda number, unit: (number, unit, b"\x04" + EVIL[1:]),
    "refused another function": lambda number, unit: (number, unit, bytes.fromhex("84 02")),
    "a register more": lambda number, unit: (number, unit, bytes.fromhex("03 04 03 E7 03 E7")),
    "half a register": lambda number, unit: (number, unit, bytes.fromhex("03 01 03")),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("also", ["alone", "before", "behind"])
def test_what_does_not_answer_the_question_is_not_taken(case: str, also: str) -> None:
    def says(number: int, unit: int) -> list[Answer]:
        wrong, right = WRONG[case](number, unit), (number, unit, GOOD)
        return {"alone": [wrong], "before": [wrong, right], "behind": [right, wrong]}[also]

    gateway = Gateway(says)

    async def scene(_: Polling) -> None:
        await gateway.clock.advance(20 if also == "alone" else 5)

    gateway.play([device("probe", 1, [LEVEL], poll=0.25)], scene)
    told = gateway.told(1)
    if also == "alone":
        assert [quality for _, quality in told] == ["BAD:no_comms"], "silent, and told once"
    else:
        assert set(told) == {(1.0, "GOOD")}
        assert len(told) >= 19, "no poll is lost by it"


def test_a_late_answer_of_the_former_connection_is_told_apart_on_the_next_one() -> None:
    gateway = Gateway(plain)

    async def scene(_: Polling) -> None:
        await gateway.clock.advance(1)
        gateway.says = lambda *_: []
        asked = len(gateway.asked)
        while len(gateway.asked) == asked:
            await gateway.clock.advance(0.01)
        owed = gateway.asked[-1]
        gateway.wire.unplug()
        gateway.wire.plug()
        gateway.says = lambda number, unit: [(owed[1], owed[0], EVIL), *plain(number, unit)]
        before = len(gateway.told(1))
        await gateway.clock.advance(3)
        assert len(gateway.told(1)) > before + 5
        assert gateway.report.counts["alive"] >= 2, "it was called again"

    gateway.play([device("probe", 1, [LEVEL], poll=0.25)], scene)
    assert set(gateway.told(1)) == {(1.0, "GOOD")}


@pytest.mark.parametrize("patience", [0.1, 1.0, 1.3])
def test_a_silent_device_behind_a_gateway_costs_its_neighbour_no_poll(patience: float) -> None:
    gateway = Gateway(plain, silent=frozenset({2}), patience=patience)
    devices = [device("good", 1, [LEVEL], poll=1.0), device("dead", 2, [LEVEL], poll=1.0)]

    async def scene(_: Polling) -> None:
        await gateway.clock.advance(60)

    gateway.play(devices, scene)
    assert set(gateway.told(1)) == {(1.0, "GOOD")}
    assert len(gateway.told(1)) >= 60
    assert [quality for _, quality in gateway.told(2)] == ["BAD:no_comms"]


@pytest.mark.parametrize("code", [0x0A, 0x0B])
def test_what_a_gateway_says_in_place_of_a_device_is_no_sign_of_its_life(code: int) -> None:
    def unheard(number: int, unit: int) -> list[Answer]:
        return [(number, unit, bytes((gateway.function | 0x80, code)))]

    gateway = Gateway(unheard)

    async def scene(driver: Polling) -> None:
        await gateway.clock.advance(20)
        assert [quality for _, quality in gateway.told(1)] == ["BAD:no_comms"]
        assert not any(batch.heard for batch in gateway.batches)
        assert gateway.report.counts[f"exception_{code}"] >= 3
        setting = asyncio.create_task(driver.write("probe", "siren", 1.0))
        await gateway.clock.advance(10)
        with pytest.raises(DeliveryError, match="no answer") as caught:
            await setting
        assert caught.value.retryable
        gateway.says = plain
        await gateway.clock.advance(30)
        assert gateway.told(1)[-1] == (1.0, "GOOD")

    points = [LEVEL, state("siren", {"fc": 3, "address": 5, "write": 5})]
    gateway.play([device("probe", 1, points, poll=0.25)], scene)


class Server(asyncio.Protocol):
    """A serial server; it hangs up on its first caller."""

    def __init__(self, calls: list[Server]) -> None:
        self._calls = calls
        self._transport: asyncio.Transport | None = None
        self.answers = not calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be called."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._calls.append(self)

    def data_received(self, data: bytes) -> None:
        """Answer, or not."""
        del data
        if self.answers:
            self.say(GOOD)
        if self is self._calls[0]:
            self.hang_up()

    def say(self, pdu: bytes) -> None:
        """Pass on what the bus says."""
        assert self._transport is not None
        self._transport.write(seal(b"\x01" + pdu))

    def hang_up(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


def test_what_a_serial_server_kept_for_the_former_caller_is_not_taken() -> None:
    async def main() -> None:
        clock, report, batches, calls = FakeClock(), Report(), list[Batch](), list[Server]()
        server = await asyncio.get_running_loop().create_server(lambda: Server(calls), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        options = {"host": "127.0.0.1", "port": port, "framing": "rtu"}
        driver = create(driver_setup([device("probe", 1, [LEVEL], poll=1.0)], clock, report, **options))

        async def pass_until(condition: Callable[[], object], step: float = 0.01) -> None:
            """Let driven time pass, never faster than the loop of both ends."""
            while not condition():
                await clock.advance(step)
                await asyncio.sleep(0.001)

        first = asyncio.create_task(driver.run(batches.append))
        await pass_until(first.done)
        with pytest.raises(LinkDown):
            await first
        again = asyncio.create_task(driver.run(batches.append))
        await pass_until(lambda: len(calls) > 1, 0)
        for _ in range(4):
            await clock.advance(0.02)
            await asyncio.sleep(0.001)
        calls[1].say(EVIL)
        calls[1].answers = True
        await asyncio.sleep(0.01)
        await pass_until(lambda: len(batches) >= 3)
        assert set(readings(batches, 1)) == {(1.0, "GOOD")}
        assert report.counts["late"] or report.counts["stray"]
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)
        for one in calls:
            one.hang_up()
        server.close()
        await server.wait_closed()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_an_answer_that_the_former_port_owed_is_waited_out_on_the_next_one() -> None:
    clock, wire, report, batches = FakeClock(), Wire(), Report(), list[Batch]()

    async def main() -> None:
        setup = driver_setup([device("probe", 1, [LEVEL], poll=0.25, timeout=1.0)], clock, report, port="x")
        _, units = read_setup(setup, SerialOptions)

        async def opened() -> Port:
            return wire.open()

        driver = Polling(setup, units, Line(name="x", open=opened, baudrate=9600))
        first = asyncio.create_task(driver.run(batches.append))
        await clock.advance(0.1)
        assert wire.port.read_waiting(), "it was asked"
        wire.unplug()
        with pytest.raises(LinkDown):
            await first
        wire.plug()
        again = asyncio.create_task(driver.run(batches.append))
        await clock.advance(0.3)
        assert not wire.port.read_waiting(), "nothing is asked while the answer may still come"
        wire.port.write(seal(b"\x01" + EVIL))
        await clock.advance(0.1)
        assert wire.port.read_waiting()
        wire.port.write(seal(b"\x01" + GOOD))
        await clock.advance(0.1)
        assert readings(batches, 1) == [(1.0, "GOOD")]
        assert report.counts["late"] == 1
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

    asyncio.run(main())
