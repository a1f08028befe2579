"""What a port still owes when it is lost: a serial server hands it to the next caller, and nobody takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from drivers._modbus_master import Port
from drivers._modbus_polling import Line, Polling
from drivers._modbus_setup import SerialOptions, read_setup
from drivers.modbus_tcp import create
from drivers.simulated.wire import Wire
from gateway.driven_clock import FakeClock
from gateway.errors import LinkDown
from gateway.model.batch import Batch
from gateway.protocols.modbus_line import seal
from tests.drivers.modbus_bench import LEVEL, Report, device, driver_setup, readings

GOOD = bytes.fromhex("03 02 00 64")  # 1.00
EVIL = bytes.fromhex("03 02 03 E7")  # 9.99


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
