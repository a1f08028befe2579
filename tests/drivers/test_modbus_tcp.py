"""Modbus over TCP against servers that are not our code, in every framing, and ASCII lines on a pseudo-terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers import modbus_rtu, modbus_tcp
from drivers.simulated.modbus_bus import Fault, SimulatedSlave
from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.model.batch import Batch
from gateway.model.ports import Driver
from gateway.transport.serial import SerialPort, open_pty
from tests.drivers.modbus_bench import LEVEL, Report, device, driver_setup, measure, readings, state
from tests.modbus_tcp_rig import tcp_bus
from tests.patience import until
from tests.ports import free_port

POINTS = [
    measure("level", {"fc": 3, "address": 2, "type": "s16", "scale": 0.1}),
    state("smoke", {"fc": 2, "address": 2}),
    state("siren", {"fc": 1, "address": 5, "write": 5}),
]


def foreign_devices() -> list[SimDevice]:
    bits = [SimData(0, values=[True, False, True] + [False] * 13, datatype=DataType.BITS)]
    words = [SimData(0, values=[10, 20, 0xFFF6, 40, 1234], datatype=DataType.REGISTERS)]
    return [SimDevice(id=address, simdata=(bits, bits, words, words)) for address in (1, 17)]


@asynccontextmanager
async def serving(server: Any) -> AsyncIterator[None]:  # noqa: ANN401 - pymodbus left it untyped
    task = asyncio.create_task(server.serve_forever())
    try:
        await asyncio.sleep(0.05)
        yield
    finally:
        await server.shutdown()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def reads_and_sets(driver: Driver, ids: dict[str, int]) -> None:
    batches: list[Batch] = []
    running = asyncio.create_task(driver.run(batches.append))
    await until(lambda: all(readings(batches, point) for point in ids.values() if point))
    await driver.write("far", "siren", 1.0)
    assert readings(batches, ids["probe.level"])[-1] == (-1.0, "GOOD")
    assert readings(batches, ids["probe.smoke"])[-1] == (1.0, "GOOD")
    assert readings(batches, ids["far.siren"])[-1] == (1.0, "GOOD")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def devices() -> list[Any]:
    return [device(name, at, POINTS, poll=0.05, timeout=2.0) for name, at in (("probe", 1), ("far", 17))]


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_a_foreign_server_is_read_and_set(framing: str) -> None:
    async def main() -> None:
        port = free_port()
        framer = {"tcp": FramerType.SOCKET, "rtu": FramerType.RTU}[framing]
        async with serving(ModbusTcpServer(foreign_devices(), framer=framer, address=("127.0.0.1", port))):
            setup = driver_setup(devices(), SystemClock(), Report(), host="127.0.0.1", port=port, framing=framing)
            await reads_and_sets(modbus_tcp.create(setup), dict(setup.point_ids))

    asyncio.run(asyncio.wait_for(main(), 60))


async def pump(source: SerialPort, sink: SerialPort) -> None:
    while True:
        sink.write(await source.read())


def test_foreign_ascii_slaves_are_read_and_set() -> None:
    async def main() -> None:
        ours, theirs = open_pty(), open_pty()
        pumps = [asyncio.create_task(pump(*pair)) for pair in ((ours.port, theirs.port), (theirs.port, ours.port))]
        server = ModbusSerialServer(
            foreign_devices(), framer=FramerType.ASCII, port=str(theirs.path), baudrate=115200,
            ignore_missing_devices=True,
        )  # fmt: skip
        try:
            async with serving(server):
                setup = driver_setup(
                    devices(), SystemClock(), Report(), port=str(ours.path), baudrate=115200, framing="ascii"
                )
                await reads_and_sets(modbus_rtu.create(setup), dict(setup.point_ids))
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            ours.close()
            theirs.close()

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("framing", ["tcp", "rtu", "ascii"])
def test_a_late_answer_is_never_taken_for_the_next_one(framing: str) -> None:
    async def main() -> None:
        slave = SimulatedSlave(address=1, holding={4: 100}, delay=0.0)
        async with tcp_bus(slave, framing) as (_, port):
            setup = driver_setup(
                [device("probe", 1, [LEVEL], poll=0.02, timeout=0.05)], SystemClock(), Report(),
                host="127.0.0.1", port=port, framing=framing, delay=0,
            )  # fmt: skip
            batches: list[Batch] = []
            running = asyncio.create_task(modbus_tcp.create(setup).run(batches.append))
            await until(lambda: bool(readings(batches, 1)))
            asked = slave.asked
            slave.fault = Fault(late=0.25)  # what it says is 100, said after it was given up
            await until(lambda: slave.asked > asked)
            slave.holding[4], slave.fault = 200, Fault()
            seen = len(readings(batches, 1))
            await until(lambda: len(readings(batches, 1)) > seen + 3)
            good = [value for value, quality in readings(batches, 1) if quality == "GOOD"]
            assert good == sorted(good), "never an old one after a new one"
            assert set(good) == {1.0, 2.0}
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_what_is_no_modbus_server_is_a_lost_link_that_says_so() -> None:
    async def main() -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        setup = driver_setup([device("probe", 1, [LEVEL])], SystemClock(), Report(), host="127.0.0.1", port=port)
        with pytest.raises(LinkDown, match="no Modbus TCP header"):
            await modbus_tcp.create(setup).run(lambda _: None)
        server.close()
        await server.wait_closed()

    asyncio.run(asyncio.wait_for(main(), 60))
