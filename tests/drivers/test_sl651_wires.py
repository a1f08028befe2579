"""The `sl651` driver on real sockets: a station is confirmed after the commit, whatever wire it speaks over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from drivers.simulated.sl651 import Station
from drivers.sl651 import create
from gateway.clock import SystemClock
from gateway.model.batch import Batch
from gateway.model.ports import Driver, DriverSetup
from gateway.model.station import SourceSpec
from gateway.protocols.sl651 import Coding, Function
from tests.channel_rigs import Notes
from tests.drivers.sl651_talk import ADDRESS, WALL, device
from tests.ports import free_port

PATIENCE, LOOK = 20.0, 0.005  # s


class House:
    """A driver whose batches are committed when the test says so."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - TOML values
        """Make the driver with one station."""
        self.station = Station(ADDRESS)
        self.batches: list[Batch] = []
        self.notes = Notes()
        one = device()
        names = [f"it.{spec.name}" for spec in one.profile.points]
        self.ids = {name: number for number, name in enumerate(["@src.events", *names])}
        setup = DriverSetup(
            source=SourceSpec(id="src", driver="sl651", options=options),
            devices=[one],
            point_ids=self.ids,
            life_safety=frozenset({"it"}),
            clock=SystemClock(),
            memory=self.notes,
            report=self.notes,
        )
        self.driver: Driver = create(setup)

    def commit(self) -> None:
        """Let all that came be stored."""
        for batch in self.batches:
            batch.ack()

    def levels(self) -> list[float]:
        """Return the water levels of all batches."""
        level = self.ids["it.level"]
        return [
            float(value)
            for batch in self.batches
            for point, value in zip(batch.point, batch.value, strict=True)
            if point == level
        ]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the driver meanwhile."""
        task = asyncio.create_task(self.driver.run(self.batches.append))
        try:
            await until(lambda: self.notes.counts["alive"] > 0)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(done: Callable[[], object]) -> None:
    """Wait for it."""
    for _ in range(round(PATIENCE / LOOK)):
        if done():
            return
        await asyncio.sleep(LOOK)
    raise TimeoutError


class Datagrams(asyncio.DatagramProtocol):
    """A station's modem that speaks UDP."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.heard = b""

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the protocol names it
        """Keep it."""
        self.heard += data


async def spoken(house: House, send: Callable[[bytes], None], heard: Callable[[], bytes]) -> None:
    """Report, be confirmed after the commit and not before, repeat, answer a question."""
    station = house.station
    report = station.report(WALL, Function.EXTRA)
    send(report)
    await until(house.levels)
    await asyncio.sleep(0.05)
    assert heard() == b""
    house.commit()
    await until(heard)
    station.hear(heard(), WALL)
    assert not station.unanswered
    first = len(heard())
    send(report)  # its answer was lost on the way: it repeats
    await until(lambda: len(heard()) > first)
    assert heard()[first:] == heard()[:first] or len(heard()) == 2 * first  # the answers differ by our time alone
    assert house.levels() == [6.38]
    assert house.notes.counts["it repeat"] == 1
    asking = asyncio.create_task(house.driver.write("it", "report_now", 1.0))
    await until(lambda: len(heard()) > 2 * first)
    station.values["Z"] = 7.5
    send(station.hear(heard()[2 * first :], WALL))
    async with asyncio.timeout(PATIENCE):
        await asking
    await until(lambda: house.levels() == [6.38, 7.5])


def test_over_udp() -> None:
    async def main() -> None:
        port = free_port()
        house = House(wire="udp", port=port)
        async with house.running():
            loop = asyncio.get_running_loop()
            transport, far = await loop.create_datagram_endpoint(Datagrams, remote_addr=("127.0.0.1", port))
            try:
                await spoken(house, transport.sendto, lambda: far.heard)
            finally:
                transport.close()

    asyncio.run(main())


@pytest.mark.parametrize("wire", ["tcp_server", "tcp_client"])
def test_over_tcp(wire: str) -> None:
    async def main() -> None:
        port = free_port()
        heard = bytearray()
        house = House(wire=wire, port=port, **({"host": "127.0.0.1"} if wire == "tcp_client" else {}))

        async def listen(reader: asyncio.StreamReader) -> None:
            while data := await reader.read(4096):
                heard.extend(data)

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            listening = asyncio.create_task(listen(reader))
            try:
                await spoken(house, writer.write, lambda: bytes(heard))
            finally:
                listening.cancel()
                writer.close()

        if wire == "tcp_server":
            async with house.running():
                await talk(*await asyncio.open_connection("127.0.0.1", port))
            return
        talked: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
                talked.set_result(None)
            except BaseException as error:  # noqa: BLE001 - told to the test, not to the server
                talked.set_exception(error)

        server = await asyncio.start_server(called, "127.0.0.1", port)
        async with server, house.running():
            await talked

    asyncio.run(main())


def test_an_ascii_station_is_heard_beside_a_hex_one() -> None:
    async def main() -> None:
        port = free_port()
        house = House(wire="tcp_server", port=port)
        async with house.running():
            for coding, level in ((Coding.HEX, 1.25), (Coding.ASCII, 2.5)):
                house.station.coding = coding
                house.station.values["Z"] = level
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(house.station.report(WALL))
                await until(lambda: level in house.levels())  # noqa: B023 - of this turn
                writer.close()
        assert house.levels() == [1.25, 2.5]

    asyncio.run(main())
