"""Our master and driver on real pseudo-terminals: against a pymodbus server, and an adapter pulled and put back."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers._modbus_master import Manners, Master, Outcome
from drivers.modbus_rtu import create
from drivers.simulated.modbus_bus import ModbusBus, SimulatedSlave
from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.model.batch import Batch
from gateway.protocols.modbus import (
    COIL_ON,
    READ_COILS,
    READ_HOLDING,
    READ_INPUTS,
    READ_REGISTERS,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTER,
    WRITE_REGISTERS,
    Request,
)
from gateway.transport.serial import SerialPort, open_pty
from tests.drivers.modbus_bench import LEVEL, Report, device, driver_setup, measure, readings, state
from tests.foreign_slave import BAUDRATE, foreign_bus
from tests.patience import until

MANNERS = Manners(worst=2.0)  # pymodbus on a busy machine; nothing here is about speed


def two_devices() -> list[SimDevice]:
    """Return slaves 1 and 17 with some bits and words."""
    bits = [SimData(0, values=[True, False, True] + [False] * 13, datatype=DataType.BITS)]
    words = [SimData(0, values=[10, 20, 0xFFF6, 40, 1234], datatype=DataType.REGISTERS)]
    return [SimDevice(id=address, simdata=(bits, bits, words, words)) for address in (1, 17)]


def test_every_function_is_understood_by_a_foreign_slave() -> None:
    async def main() -> None:
        async with foreign_bus(two_devices()) as (bus, _):
            port = SerialPort.open(bus.path, baudrate=BAUDRATE)
            master = Master(port, SystemClock(), baudrate=BAUDRATE, count=lambda *_: None)

            async def values(request: Request) -> tuple[int, ...]:
                answer = await master.ask(request, MANNERS)
                assert answer.outcome is Outcome.ANSWERED, request
                assert answer.reply is not None
                return answer.reply.values

            assert await values(Request(1, READ_HOLDING, 0, 5)) == (10, 20, 0xFFF6, 40, 1234)
            assert await values(Request(17, READ_REGISTERS, 2, 1)) == (0xFFF6,)
            assert await values(Request(1, READ_INPUTS, 0, 3)) == (1, 0, 1)
            await values(Request(1, WRITE_COIL, 1, 1, (COIL_ON,)))
            await values(Request(1, WRITE_COILS, 4, 3, (1, 0, 1)))
            assert await values(Request(1, READ_COILS, 0, 8)) == (1, 1, 1, 0, 1, 0, 1, 0)
            await values(Request(17, WRITE_REGISTER, 0, 1, (99,)))
            await values(Request(17, WRITE_REGISTERS, 3, 2, (7, 8)))
            assert await values(Request(17, READ_HOLDING, 0, 5)) == (99, 20, 0xFFF6, 7, 8)
            refused = await master.ask(Request(1, READ_HOLDING, 100, 1), MANNERS)
            assert refused.outcome is Outcome.REFUSED
            assert refused.reply is not None
            assert refused.reply.exception == 2
            port.close()

    asyncio.run(main())


def test_the_driver_reads_and_sets_a_foreign_slave() -> None:
    points = [
        measure("level", {"fc": 3, "address": 2, "type": "s16", "scale": 0.1}),
        state("smoke", {"fc": 2, "address": 2}),
        state("siren", {"fc": 1, "address": 5, "write": 5}),
    ]

    async def main() -> None:
        async with foreign_bus(two_devices()) as (bus, _):
            devices = [device("probe", 1, points, poll=0.05, timeout=2.0), device("far", 17, points, poll=0.05)]
            setup = driver_setup(devices, SystemClock(), Report(), port=str(bus.path), baudrate=BAUDRATE)
            driver = create(setup)
            batches: list[Batch] = []
            running = asyncio.create_task(driver.run(batches.append))
            await until(lambda: all(readings(batches, point) for point in setup.point_ids.values() if point))
            await driver.write("far", "siren", 1.0)
            assert readings(batches, setup.point_ids["probe.level"])[-1] == (-1.0, "GOOD")
            assert readings(batches, setup.point_ids["probe.smoke"])[-1] == (1.0, "GOOD")
            assert readings(batches, setup.point_ids["far.siren"])[-1] == (1.0, "GOOD")
            assert readings(batches, setup.point_ids["probe.siren"])[-1] == (0.0, "GOOD")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_an_adapter_pulled_and_put_back_on_a_real_pseudo_terminal(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        pair = open_pty(tmp_path / "bus")
        bus = ModbusBus(pair, clock, [SimulatedSlave(address=1, holding={4: 222})], baudrate=BAUDRATE)
        serving = asyncio.create_task(bus.run())
        devices = [device("probe", 1, [LEVEL], poll=0.02)]
        driver = create(driver_setup(devices, clock, Report(), port=str(pair.path), baudrate=BAUDRATE))
        for _ in range(5):
            batches: list[Batch] = []
            running = asyncio.create_task(driver.run(batches.append))
            await until(partial(_grown, batches))
            assert readings(batches, 1)[-1] == (2.22, "GOOD")
            bus.unplug()
            with pytest.raises(LinkDown):
                await running
            with pytest.raises(LinkDown):
                await driver.run(batches.append)
            bus.plug()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        pair.close()

    asyncio.run(main())


def _grown(batches: list[Batch]) -> bool:
    return len(batches) > 3
