"""A TCP connection that is read when somebody asks, like a serial port: for masters that ask and wait.

Beside `gateway.transport.wires`, which calls its listener instead. Keeps house section 5 (only this package opens
sockets) and section 11 (a lost connection is `LinkDown`).
"""

from __future__ import annotations

import asyncio
from typing import cast

from gateway.clock import Clock
from gateway.errors import LinkDown

CALL_WITHIN = 5.0  # s
MOST_WAITING = 64 * 1024  # bytes nobody has asked for; a far end that talks on is hung up on


class StreamPort(asyncio.Protocol):
    """One connection; the methods are those of `gateway.transport.serial.SerialPort`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._waiting = b""
        self._gone: str | None = None
        self._reader: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, host: str, port: int, clock: Clock) -> StreamPort:
        """Call a far end. Raises LinkDown."""
        made = cls(f"{host}:{port}")
        try:
            async with clock.timeout(CALL_WITHIN):
                await asyncio.get_running_loop().create_connection(lambda: made, host, port)
        except TimeoutError:
            raise LinkDown(f"{made.name} did not answer within {CALL_WITHIN:g} s") from None
        except OSError as error:
            raise LinkDown(f"{made.name}: {error}") from error
        return made

    async def read(self) -> bytes:
        """Wait for at least one byte. Raises LinkDown."""
        while not (data := self.read_waiting()):
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return data

    def read_waiting(self) -> bytes:
        """Return what has come, perhaps nothing. Raises LinkDown."""
        data, self._waiting = self._waiting, b""
        if not data and self._gone is not None:
            raise LinkDown(f"{self.name}: {self._gone}")
        return data

    def write(self, data: bytes) -> None:
        """Queue bytes. Raises LinkDown."""
        if self._gone is not None or self._transport is None:
            raise LinkDown(f"{self.name}: {self._gone}")
        self._transport.write(data)

    def close(self) -> None:
        """Hang up. Idempotent."""
        self._lose("closed")
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keep bytes until somebody asks."""
        self._waiting += data
        if len(self._waiting) > MOST_WAITING:
            self._waiting = b""
            self._lose("talks without being asked")
            if self._transport is not None:
                self._transport.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the reader."""
        self._lose("hung up" if exc is None else str(exc) or type(exc).__name__)

    def _lose(self, why: str) -> None:
        self._gone = self._gone or why
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
