"""Gateways and serial servers that mix up, hold back and carry over answers: none is taken for another's."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from drivers._modbus_framed import FramedPort
from drivers._modbus_master import Port
from drivers._modbus_polling import Line, Polling
from drivers._modbus_setup import TcpOptions, read_setup
from drivers.simulated.wire import Wire, WireEnd
from gateway.driven_clock import FakeClock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.batch import Batch
from gateway.model.point import Device
from gateway.protocols.modbus_framing import Mbap
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
        self.pdu = b""  # of the newest question
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
            end = HEADER.size - 1 + length
            self.pdu, data = data[HEADER.size : end], data[end:]
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


@pytest.mark.parametrize("size", [1, 7, 8, 10])
def test_half_an_answer_costs_a_connection_and_never_makes_a_value(size: int) -> None:
    gateway = Gateway(plain)

    async def scene(_: Polling) -> None:
        await gateway.clock.advance(2)
        gateway.says = lambda *_: []
        asked = len(gateway.asked)
        while len(gateway.asked) == asked:
            await gateway.clock.advance(0.01)
        unit, number = gateway.asked[-1]
        gateway.wire.port.write((HEADER.pack(number, 0, len(EVIL) + 1, unit) + EVIL)[:size])
        gateway.says = plain
        before = len(gateway.told(1))
        await gateway.clock.advance(5)
        assert len(gateway.told(1)) >= before + 12
        assert gateway.report.counts["alive"] == 2, "what follows half a frame cannot be told apart: it is called anew"

    gateway.play([device("probe", 1, [LEVEL], poll=0.25)], scene)
    assert set(gateway.told(1)) == {(1.0, "GOOD")}


def test_answers_in_single_bytes_are_answers() -> None:
    gateway = Gateway(lambda *_: [])

    async def dribble() -> None:
        done = 0
        while True:
            for unit, number in gateway.asked[done:]:
                for byte in HEADER.pack(number, 0, len(GOOD) + 1, unit) + GOOD:
                    gateway.wire.port.write(bytes([byte]))
                    await gateway.clock.sleep(0.004)
                done += 1
            await gateway.clock.sleep(0.01)

    async def scene(_: Polling) -> None:
        dribbling = asyncio.create_task(dribble())
        await gateway.clock.advance(5)
        dribbling.cancel()
        await asyncio.gather(dribbling, return_exceptions=True)

    gateway.play([device("probe", 1, [LEVEL], poll=0.5)], scene)
    assert set(gateway.told(1)) == {(1.0, "GOOD")}
    assert len(gateway.told(1)) >= 10


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


def test_a_relay_behind_a_gateway_that_waits_for_another_device_is_set_at_the_first_try() -> None:
    def says(number: int, unit: int) -> list[Answer]:
        function = gateway.pdu[0]
        written.extend([function] if function == 5 else [])
        return [(number, unit, {1: b"\x01\x01\x01", 5: gateway.pdu}.get(function, GOOD))]

    written: list[int] = []
    gateway = Gateway(says, silent=frozenset({2}), patience=1.3)
    relay = state("siren", {"fc": 1, "address": 5, "write": 5})
    devices = [device("good", 1, [LEVEL, relay], poll=1.0), device("dead", 2, [LEVEL], poll=1.0)]

    async def scene(driver: Polling) -> None:
        while not gateway.asked or gateway.asked[-1][0] != 2:
            await gateway.clock.advance(0.01)
        setting = asyncio.create_task(driver.write("good", "siren", 1.0))
        await gateway.clock.advance(3)
        await setting
        assert len(written) == 1

    gateway.play(devices, scene)


@pytest.mark.parametrize("code", [0x0A, 0x0B])
def test_what_a_gateway_says_in_place_of_a_device_is_no_sign_of_its_life(code: int) -> None:
    def unheard(number: int, unit: int) -> list[Answer]:
        return [(number, unit, bytes((gateway.pdu[0] | 0x80, code)))]

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
