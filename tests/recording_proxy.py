"""A TCP proxy between daemon and broker that reads along: the harness's own ledger of who acknowledged what, and when.

`puback` is called for each PUBACK of the client *before* it is passed on; `stall` stops forwarding without a FIN, as a
dead radio link does; `cut` resets both sides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import mqtt5

from gateway.protocols.mqtt_stream import PacketStream

LIMIT = 16 << 20


class Proxy:
    """Listens on `port`, connects to the broker's port for each caller."""

    def __init__(self, broker_port: int) -> None:
        self.port = 0
        self.delivered: list[tuple[str, bytes]] = []  # PUBLISH that passed towards the client
        self.acknowledged: list[tuple[str, bytes]] = []  # those of which the client's PUBACK was seen
        self.puback: Callable[[str, bytes], None] = lambda _topic, _payload: None
        self._broker_port = broker_port
        self._going = asyncio.Event()
        self._going.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Forward until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stall(self) -> None:
        """Stop forwarding; nothing is closed."""
        self._going.clear()

    def go_on(self) -> None:
        """Forward again."""
        self._going.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError):
                far_reader, far = await asyncio.open_connection("127.0.0.1", self._broker_port)
                self._writers.add(far)
                under_way: dict[int, tuple[str, bytes]] = {}
                up = asyncio.create_task(self._pass(reader, far, under_way, towards_client=False))
                down = asyncio.create_task(self._pass(far_reader, writer, under_way, towards_client=True))
                try:
                    await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (up, down):
                        task.cancel()
                    await asyncio.gather(up, down, return_exceptions=True)
        finally:
            for end in (writer, far):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        under_way: dict[int, tuple[str, bytes]],
        *,
        towards_client: bool,
    ) -> None:
        stream = PacketStream(LIMIT)
        while data := await reader.read(65_536):
            await self._going.wait()
            for packet in stream.feed(data):
                if towards_client and isinstance(packet, mqtt5.PublishPacket):
                    self.delivered.append((packet.topic, packet.payload))
                    if packet.packet_id is not None:
                        under_way[packet.packet_id] = (packet.topic, packet.payload)
                elif not towards_client and isinstance(packet, mqtt5.PubAckPacket):
                    topic, payload = under_way[packet.packet_id]
                    self.puback(topic, payload)
                    self.acknowledged.append((topic, payload))
            writer.write(data)
            await writer.drain()
