"""Five hundred devices on one TCP port, beside a flood of callers, half frames and callers that never read."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.model.batch import Batch
from tests import line_talk
from tests.channel_rigs import Notes
from tests.drivers.conversation_bench import setup_of, told
from tests.patience import PATIENCE, until
from tests.ports import free_port

DEVICES = [f"d{number}" for number in range(500)]
COMMIT = 0.05  # s that a store takes


@pytest.fixture(autouse=True)
def many_files() -> None:
    """Let both ends of all connections fit into this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if hard >= 0 else 4096, hard))


class Station:
    """A driver on a real port, and a store that takes its time. `stored` is what was committed."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - TOML values
        self.port = free_port(socket.SOCK_DGRAM if options.get("wire") == "udp" else socket.SOCK_STREAM)
        self.notes = Notes()
        setup = setup_of(SystemClock(), self.notes, devices=DEVICES, **{"peers": 700, **options, "port": self.port})
        self.driver = line_talk.create(setup)
        self.stored: list[tuple[str, float]] = []
        self.running: asyncio.Future[None]
        self._waiting: list[Batch] = []
        self._came = asyncio.Event()

    def _emit(self, batch: Batch) -> None:
        self._waiting.append(batch)
        self._came.set()

    async def _commit(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            group, self._waiting = self._waiting, []
            await asyncio.sleep(COMMIT)
            self.stored += told(group)
            for batch in group:
                batch.ack()

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[Station]:
        """Live while the test runs."""
        self.running = asyncio.ensure_future(self.driver.run(self._emit))
        tasks = [self.running, asyncio.create_task(self._commit())]
        try:
            await until(lambda: self.notes.counts["alive"])
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Caller(asyncio.Protocol):
    """A caller that notes what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.transport: asyncio.Transport | None = None
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Note it."""
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        del exc
        self.gone = True

    def say(self, data: bytes) -> None:
        """Say it."""
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        """Hang up."""
        assert self.transport is not None
        self.transport.abort()


async def call(station: Station) -> Caller:
    _, caller = await asyncio.get_running_loop().create_connection(Caller, "127.0.0.1", station.port)
    return caller


def test_five_hundred_devices_are_answered_beside_a_flood_of_callers() -> None:
    async def main() -> None:
        async with Station().living() as station:
            devices = [await call(station) for _ in DEVICES]
            for name, device in zip(DEVICES, devices, strict=True):
                device.say(f"{name} 1 value 1\n{name} 2 fi".encode())
            await until(lambda: all(device.heard == b"ok 1\n" for device in devices))
            flood = [await call(station) for _ in range(400)]
            for number, stranger in enumerate(flood):
                stranger.say(bytes([number % 256]) * 300)
            await until(lambda: sum(caller.gone for caller in flood) >= 200)
            for device in devices:
                device.say(b"re\n")
            await until(lambda: all(device.heard.endswith(b"ok 2\n") for device in devices))
            assert not any(device.gone for device in devices)
            assert sorted(station.stored) == sorted([(n, 1.0) for n in DEVICES] * 2)
            assert station.notes.counts["too_many"] >= 200
            for caller in devices + flood:
                caller.close()

    asyncio.run(main())


def test_a_device_that_never_reads_is_hung_up_on_and_the_others_are_answered() -> None:
    async def main() -> None:
        async with Station().living() as station:
            good = await call(station)
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.connect(("127.0.0.1", station.port))
                deaf.settimeout(0)
                polls = b"d1 1234567890 poll\n" * 1000
                for _ in range(5000):
                    try:
                        deaf.send(polls)
                    except BlockingIOError:
                        await asyncio.sleep(0)
                    except ConnectionError:
                        break
                    await asyncio.sleep(0)
                    if station.notes.counts["not_sent"]:
                        break
                assert station.notes.counts["not_sent"]
            good.say(b"d2 1 fire\n")
            await until(lambda: good.heard == b"ok 1\n")
            good.close()

    asyncio.run(main())


def test_a_newer_connection_of_a_device_takes_over_what_is_to_be_answered() -> None:
    async def main() -> None:
        async with Station().living() as station:
            before = await call(station)
            before.say(b"d1 1 fire\n")
            await asyncio.sleep(0.01)
            before.close()
            after = await call(station)
            after.say(b"d1 1 fire\n")
            await until(lambda: after.heard == b"ok 1\n")
            assert station.stored == [("d1", 1.0)]
            after.close()

    asyncio.run(main())


def test_a_device_that_we_call_and_that_hangs_up_is_link_down_and_is_called_again() -> None:
    async def main() -> None:
        async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"d1 %d fire\n" % len(answers))
            answers.append(await reader.readline())
            writer.close()

        answers: list[bytes] = []
        station = Station(wire="tcp_client", host="127.0.0.1")
        with pytest.raises(LinkDown):
            await station.driver.run(lambda _: None)
        server = await asyncio.start_server(device, "127.0.0.1", station.port)
        for _ in range(2):
            with pytest.raises(LinkDown, match="hung up"):
                async with station.living() as living:
                    await asyncio.wait_for(living.running, PATIENCE)
        server.close()
        assert answers == [b"ok 0\n", b"ok 1\n"]
        assert station.stored == [("d1", 1.0)] * 2

    asyncio.run(main())


def test_over_udp_every_device_is_answered_at_its_address() -> None:
    async def main() -> None:
        station = Station(wire="udp")
        async with station.living():
            with contextlib.ExitStack() as stack:
                socks = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(50)]
                for name, sock in zip(DEVICES, socks, strict=False):
                    sock.connect(("127.0.0.1", station.port))
                    sock.settimeout(0)
                    sock.send(f"{name} 7{name} fire\n".encode())
                await until(lambda: len(station.stored) == 50)
                loop = asyncio.get_running_loop()
                hearing = asyncio.gather(*(loop.sock_recv(sock, 99) for sock in socks))
                answers = await asyncio.wait_for(hearing, PATIENCE)
                assert answers == [f"ok 7{name}\n".encode() for name in DEVICES[:50]]

    asyncio.run(main())
