"""UDP as a caller: datagrams to and from one far end, for sinks that report to a centre.

Beside `gateway.transport.wires`, whose `udp` is called by others. Keeps house section 5 (only this package opens
sockets) and section 11 (a lost wire is `LinkDown`).
"""

from __future__ import annotations

import asyncio
from typing import cast

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.transport.wires_peer import Ears

CALL_WITHIN = 10.0  # s that finding the address of a name may take


class Datagrams(asyncio.DatagramProtocol):
    """One socket with one far end (port `Peer`). What others send to it never gets here."""

    done = False

    def __init__(self, name: str, ears: Ears) -> None:
        self.name = name
        self.address = name.rpartition(":")[0]
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ears = ears
        self._transport: asyncio.DatagramTransport | None = None
        self._stuck = False  # so much waits to be sent that more would only fill the memory

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Meet the far end; that it is there is not known yet."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self._ears.met(self)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Hand it on."""
        del addr
        if self._transport is not None:
            self._ears.heard(self, data)

    def error_received(self, exc: Exception) -> None:
        """Take "nobody listens there" of the far end's machine as the end of the wire."""
        self._lose(str(exc) or type(exc).__name__)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the loss, unless we hung up."""
        self._lose("closed" if exc is None else str(exc) or type(exc).__name__)

    def write(self, data: bytes) -> bool:
        """Send one datagram."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._stuck:
            return False
        transport.sendto(data)
        return self._transport is not None

    def pause_writing(self) -> None:
        """Send nothing more for now."""
        self._stuck = True

    def resume_writing(self) -> None:
        """Go on."""
        self._stuck = False

    def hold(self, *, on: bool) -> None:
        """Do nothing: datagrams cannot be held back."""

    def close(self) -> None:
        """Give the socket back."""
        transport, self._transport = self._transport, None
        if not self.gone.done():
            self.gone.set_result("closed")
        if transport is not None:
            transport.abort()

    def _lose(self, why: str) -> None:
        if not self.gone.done():
            self.gone.set_result(why)
        if self._transport is not None:
            self.close()
            self._ears.lost(self, why)


async def call(host: str, port: int, ears: Ears, clock: Clock) -> None:
    """Open a socket to one far end and stay until it is lost. Raises LinkDown; cancelled, it closes."""
    where = f"{host}:{port}"
    made = Datagrams(where, ears)
    try:
        try:
            async with clock.timeout(CALL_WITHIN):
                await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, remote_addr=(host, port))
        except TimeoutError:
            raise LinkDown(f"{where}: its address was not found within {CALL_WITHIN:g} s") from None
        except OSError as error:
            raise LinkDown(f"{where}: {error}") from error
        ears.opened(where)
        raise LinkDown(f"{where}: {await made.gone}")
    finally:
        made.close()
