"""The wires on which devices of the field hang in tests, from their side: TCP in both directions, UDP, a serial line.

A device is a function: what it hears → what it answers. `Far.say` is what it says by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from gateway.transport.serial import open_pty

Hear = Callable[[bytes], bytes]


class Far:
    """A device's end of a wire. `heard`: all that came."""

    def __init__(self, hear: Hear) -> None:
        self.heard = b""
        self.send: Callable[[bytes], None] | None = None
        self.hang_up: Callable[[], None] = lambda: None
        self._hear = hear

    def say(self, data: bytes) -> None:
        """Say something."""
        if self.send is not None and data:
            self.send(data)

    def take(self, data: bytes) -> None:
        """Hear something, and answer."""
        self.heard += data
        self.say(self._hear(data))


class _Stream(asyncio.Protocol):
    def __init__(self, far: Far) -> None:
        self._far = far

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast("asyncio.WriteTransport", transport)
        self._far.send, self._far.hang_up = stream.write, stream.abort

    def data_received(self, data: bytes) -> None:
        self._far.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._far.send = None


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, far: Far) -> None:
        self._far = far

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._far.send = cast("asyncio.DatagramTransport", transport).sendto

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        self._far.take(data)


@asynccontextmanager
async def calling(port: int, hear: Hear) -> AsyncIterator[Far]:
    """Be a TCP client of the gateway."""
    far = Far(hear)
    await asyncio.get_running_loop().create_connection(lambda: _Stream(far), "127.0.0.1", port)
    try:
        yield far
    finally:
        far.hang_up()
        await asyncio.sleep(0)  # a transport closes in the next turn


@asynccontextmanager
async def called(port: int, hear: Hear) -> AsyncIterator[Far]:
    """Be a TCP server that the gateway calls."""
    far = Far(hear)
    async with await asyncio.get_running_loop().create_server(lambda: _Stream(far), "127.0.0.1", port):
        try:
            yield far
        finally:
            far.hang_up()
            await asyncio.sleep(0)  # a transport closes in the next turn


@asynccontextmanager
async def sending(port: int, hear: Hear) -> AsyncIterator[Far]:
    """Send datagrams to the gateway."""
    far = Far(hear)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(far), remote_addr=("127.0.0.1", port))
    try:
        yield far
    finally:
        transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def on_line(path: Path, hear: Hear) -> AsyncIterator[Far]:
    """Hang on a serial line that the gateway opens at `path`."""
    pair = open_pty(path)
    far = Far(hear)
    far.send = pair.port.write

    async def listen() -> None:
        while True:
            far.take(await pair.port.read())

    listening = asyncio.create_task(listen())
    try:
        yield far
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        pair.close()
