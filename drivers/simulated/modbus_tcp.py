"""The line of a simulated Modbus bus behind a TCP port: a Modbus TCP device or gateway, or a plain serial server.

The far end of `drivers.modbus_tcp` in tests and `simulate`; slaves and faults are those of `ModbusBus`, which lives on
it. Keeps house rule 9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from drivers._modbus_master import Port
from gateway.errors import LinkDown
from gateway.protocols.modbus_framing import Framing
from gateway.transport.listener import listen


class TcpLine:
    """Line (`drivers.simulated.modbus_bus.Line`) that one master at a time calls; the newest caller counts.

    `framing` makes one for each caller, None: RTU frames as they are.
    """

    def __init__(self, framing: Callable[[], Framing] | None = None) -> None:
        self._framing = framing
        self._server: asyncio.Server | None = None
        self._end = _End()
        self._calls: set[_Call] = set()
        self._plugged = True
        self.number = 0

    @property
    def port(self) -> Port:
        """Our end."""
        return self._end

    async def open(self, port: int = 0) -> None:
        """Listen on loopback; `number` is the port."""
        self._server, self.number = await listen(self._call, port=port)

    async def close(self) -> None:
        """Stop listening, hang up, and wait until everybody has gone."""
        self.unplug()
        if self._server is not None:
            self._server.close()
        for call in list(self._calls):
            call.hang_up()
            await call.gone

    def plug(self) -> None:
        """Answer again."""
        self._plugged, self._end = True, _End()

    def unplug(self) -> None:
        """Hang up, and on everybody who calls."""
        self._plugged = False
        self._end.lose()

    def _call(self) -> asyncio.Protocol:
        call = _Call(self._end if self._plugged else None, self._framing() if self._framing else None, self._calls)
        self._calls.add(call)
        return call


class _End:
    """The bus's end of the line, whoever has called."""

    def __init__(self) -> None:
        self.call: _Call | None = None
        self._waiting = b""
        self._gone = False
        self._came = asyncio.Event()

    async def read(self) -> bytes:
        while not (data := self.read_waiting()):
            self._came.clear()
            await self._came.wait()
        return data

    def read_waiting(self) -> bytes:
        if self._gone:
            raise LinkDown("unplugged")
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        if self._gone:
            raise LinkDown("unplugged")
        if self.call is not None:
            self.call.say(data)

    def close(self) -> None:
        self.lose()

    def heard(self, data: bytes) -> None:
        self._waiting += data
        self._came.set()

    def lose(self) -> None:
        self._gone = True
        self._came.set()
        if self.call is not None:
            self.call.hang_up()


class _Call(asyncio.Protocol):
    """One caller."""

    def __init__(self, end: _End | None, framing: Framing | None, calls: set[_Call]) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls = calls
        self._end = end
        self._framing = framing
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._end is None:
            self.hang_up()
        else:
            self._end.call = self

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._calls.discard(self)
        self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._end is not None:
            self._end.heard(data if self._framing is None else self._framing.unpack(data))

    def say(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame if self._framing is None else self._framing.pack(frame))

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()
