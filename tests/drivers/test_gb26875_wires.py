"""The `gb26875` driver on every kind of real wire once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

from drivers.gb26875 import create
from drivers.simulated.gb26875 import FIRE, Transmitter
from gateway.clock import SystemClock
from gateway.model.batch import Batch, Event, EventCode
from gateway.model.ports import DriverSetup
from tests.channel_rigs import Notes
from tests.drivers.gb26875_centre import SMOKE, WALL, setup_of

GENEROUS = 20  # s of real time


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def served(setup: DriverSetup, notes: Notes) -> AsyncIterator[asyncio.Queue[Batch]]:
    batches: asyncio.Queue[Batch] = asyncio.Queue()
    running = asyncio.create_task(create(setup).run(batches.put_nowait))
    try:
        async with asyncio.timeout(GENEROUS):
            for _ in range(1000):
                if notes.counts["alive"]:
                    break
                await asyncio.sleep(0.01)
            yield batches
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def fire_of(batches: asyncio.Queue[Batch]) -> Batch:
    while True:
        batch = await batches.get()
        if batch.events:
            return batch


async def confirmed(read: Callable[[], Awaitable[bytes]], far: Transmitter) -> None:
    while far.unanswered:
        far.hear(await read(), WALL)


def test_a_fire_of_one_tcp_client_among_many_is_confirmed_after_its_commit() -> None:
    async def main() -> None:
        notes, port = Notes(), free_port()
        setup = setup_of(*range(40), clock=SystemClock(), notes=notes, port=port)
        async with served(setup, notes) as batches:
            links = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            devices = [Transmitter(number) for number in range(40)]
            for far, (_, writer) in zip(devices, links, strict=True):
                writer.write(far.beat(WALL))
            reader, writer = links[17]
            writer.write(devices[17].change(SMOKE, FIRE, WALL))
            batch = await fire_of(batches)
            assert (batch.waiting, batch.events[0].key) == (True, "1/1/2/10")
            assert batch.events[0].point == setup.point_ids["d17.events"]
            devices[17].hear(await reader.readexactly(30), WALL)
            assert len(devices[17].unanswered) == 1  # only the heartbeat is answered
            batch.ack()
            await confirmed(lambda: reader.read(100), devices[17])
            for _, writer in links:
                writer.close()
                await writer.wait_closed()

    asyncio.run(main())


def test_a_device_that_is_called_is_asked_first() -> None:
    async def main() -> None:
        far, heard = Transmitter(7), asyncio.Event()
        far.components[SMOKE] = (40, FIRE, "一层")

        async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1000):
                writer.write(far.hear(data, WALL))
                heard.set()
            writer.close()

        server = await asyncio.start_server(device, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        notes = Notes()
        options = {"ask_state": True, "set_time": False, "addresses": ["1/1/2/10"]}
        setup = setup_of(
            7, clock=SystemClock(), notes=notes, device=options, wire="tcp_client", host="127.0.0.1", port=port
        )
        async with served(setup, notes) as batches:
            fires: list[Event] = []
            while not fires:
                fires = [event for event in (await fire_of(batches)).events if event.code is EventCode.FIRE]
            assert fires[0].key == "1/1/2/10"
            assert heard.is_set()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, _address: object) -> None:
        self.came.put_nowait(data)


def test_a_fire_in_a_datagram_is_confirmed_to_its_sender() -> None:
    async def main() -> None:
        notes, port, far = Notes(), free_port(), Transmitter(7)
        async with served(setup_of(7, clock=SystemClock(), notes=notes, wire="udp", port=port), notes) as batches:
            loop = asyncio.get_running_loop()
            transport, peer = await loop.create_datagram_endpoint(_Datagrams, remote_addr=("127.0.0.1", port))
            transport.sendto(far.change(SMOKE, FIRE, WALL))
            (await fire_of(batches)).ack()
            await confirmed(peer.came.get, far)
            transport.close()

    asyncio.run(main())
