"""UDP as a wire: one peer a remote address, made by its first datagram.

Beside `gateway.transport.wires`. How many there may be is the listener's to decide: a peer that it closes is forgotten
here and met anew with its next datagram. Nothing can be held back: what the kernel's buffer does not take is lost,
and protocols over UDP repeat what is not answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, cast

from gateway.errors import LinkDown
from gateway.transport.wires_options import WireOptions
from gateway.transport.wires_peer import Ears

RECEIVE_BUFFER = 1 << 20  # bytes: 500 devices may speak at once while a step runs
Address = tuple[Any, ...]


class UdpPeer:
    """One remote address (port `Peer`)."""

    done = False

    def __init__(self, socket_: UdpSocket, far: Address) -> None:
        self.address = str(far[0])
        self.name = f"[{far[0]}]:{far[1]}" if ":" in self.address else f"{far[0]}:{far[1]}"
        self._socket: UdpSocket | None = socket_
        self._far = far

    def write(self, data: bytes) -> bool:
        """Send one datagram."""
        return self._socket is not None and self._socket.send(data, self._far)

    def hold(self, *, on: bool) -> None:
        """Do nothing: datagrams cannot be held back."""

    def close(self) -> None:
        """Forget the address."""
        if self._socket is not None:
            self._socket.peers.pop(self._far, None)
            self._socket = None


class UdpSocket(asyncio.DatagramProtocol):
    """The one bound socket; `peers` are those that the listener keeps."""

    def __init__(self, ears: Ears) -> None:
        self.peers: dict[Address, UdpPeer] = {}
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ears = ears
        self._transport: asyncio.DatagramTransport | None = None
        self._stuck = False  # so much waits to be sent that more would only fill the memory

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room for many at once."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Hand it on; meet who has not been here."""
        peer = self.peers.get(addr)
        if peer is None:
            peer = self.peers[addr] = UdpPeer(self, addr)
            self._ears.met(peer)
        if addr in self.peers:  # the listener may not have wanted it
            self._ears.heard(peer, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the loss."""
        self._transport = None
        if not self.gone.done():
            self.gone.set_result("closed" if exc is None else str(exc))

    def pause_writing(self) -> None:
        """Send nothing more for now."""
        self._stuck = True

    def resume_writing(self) -> None:
        """Go on."""
        self._stuck = False

    def send(self, data: bytes, far: Address) -> bool:
        """Send one datagram; False: it was not."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._stuck:
            return False
        transport.sendto(data, far)
        return True


async def bind(options: WireOptions, ears: Ears) -> None:
    """Take datagrams until cancelled. Raises LinkDown: the port is taken, or the socket is lost."""
    where = f"{options.listen}:{options.port}"
    try:
        transport, bound = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: UdpSocket(ears), local_addr=(options.listen, options.number)
        )
    except OSError as error:
        raise LinkDown(f"cannot listen on {where}: {error}") from error
    try:
        ears.opened(where)
        raise LinkDown(f"{where}: {await bound.gone}")
    finally:
        transport.abort()
        for peer in list(bound.peers.values()):
            peer.close()
