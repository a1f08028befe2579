"""TCP wires in both directions: one protocol object a connection, no task, bounded memory in both directions.

Beside `gateway.transport.wires`. Keeps the issue's bad input out of the drivers: a peer that never reads is hung up
on, one that vanished without a word is found by keep-alive (RFC 1122 4.2.3.6), one that floods can be held back. A
caller that has said its last word and still listens (a half-closed connection) gets its answer first.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from typing import cast

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.transport.listener import listening
from gateway.transport.wires_options import WireOptions
from gateway.transport.wires_peer import UNSENT_LIMIT, Ears

CALL_WITHIN = 10.0  # s
ANSWERED_WITHIN = 5.0  # s that a caller which sends nothing more is kept for its answer
READ_SIZE = 64 * 1024
_NEVER_READ = 15_000  # ms after which the kernel gives up a peer that takes none of what was sent to it
_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 3))  # s, s, times
_KERNEL_BUFFER = 64 * 1024  # bytes; by itself it would grow to megabytes for each of a thousand peers
_OTHER_FILES = 512  # open at once beside the connections


class TcpPeer(asyncio.BufferedProtocol):
    """One connection (port `Peer`). All share one buffer to read into: what was read is handed on at once.

    `clock`: for callers that may have an answer after their last word; None: the end of what comes ends the connection.
    """

    def __init__(self, ears: Ears, buffer: bytearray, open_ones: set[TcpPeer], clock: Clock | None = None) -> None:
        self.name = self.address = ""
        self.done = False
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ears = ears
        self._buffer = buffer
        self._open_ones = open_ones
        self._clock = clock
        self._unanswered = False  # something came since we last wrote
        self._lingers: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Meet the far end."""
        self._transport = cast("asyncio.Transport", transport)
        far = transport.get_extra_info("peername") or ("", 0)
        self.address = str(far[0])
        self.name = f"[{far[0]}]:{far[1]}" if ":" in self.address else f"{far[0]}:{far[1]}"
        with contextlib.suppress(OSError):  # the far end may be gone already
            _bound(transport.get_extra_info("socket"))
        self._open_ones.add(self)
        self._ears.met(self)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where to read to."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what was read."""
        if self._transport is not None:
            self._unanswered = True
            self._ears.heard(self, bytes(memoryview(self._buffer)[:nbytes]))

    def eof_received(self) -> bool:
        """Keep what has said its last word, as `nc -N` does, until it is answered, but not for long."""
        self.done = True
        if self._clock is None or not self._unanswered:
            return False
        if self._lingers is None:
            self._lingers = asyncio.create_task(self._linger(self._clock), name=f"{self.name} lingers")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the loss, unless we hung up."""
        self._open_ones.discard(self)
        self._linger_no_more()
        why = "hung up" if exc is None else str(exc) or type(exc).__name__
        if not self.gone.done():
            self.gone.set_result(why)
        if self._transport is not None:
            self._transport = None
            self._ears.lost(self, why)

    def write(self, data: bytes) -> bool:
        """Queue bytes; a peer that does not read is lost."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > UNSENT_LIMIT:
            transport.abort()
            return False
        transport.write(data)
        self._unanswered = False
        if self._lingers is not None:
            asyncio.get_running_loop().call_soon(transport.close)  # after all that is written in this turn
        return True

    def hold(self, *, on: bool) -> None:
        """Pause or go on reading: the far end's own window then holds it back."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and transport.is_reading() is on:
            if on:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def close(self) -> None:
        """Hang up at once; what was written goes out as far as the kernel has it."""
        transport, self._transport = self._transport, None
        self._open_ones.discard(self)
        self._linger_no_more()
        if not self.gone.done():
            self.gone.set_result("closed")
        if transport is not None:
            if transport.get_write_buffer_size():
                transport.abort()
            else:
                transport.close()

    async def _linger(self, clock: Clock) -> None:
        await clock.sleep(ANSWERED_WITHIN)
        if self._transport is not None:
            self._transport.close()

    def _linger_no_more(self) -> None:
        if self._lingers is not None:
            self._lingers.cancel()


async def call(options: WireOptions, ears: Ears, clock: Clock) -> None:
    """Call one far end and stay until it is lost. Raises LinkDown; cancelled, it hangs up."""
    where = f"{options.host}:{options.port}"
    peer = TcpPeer(ears, bytearray(READ_SIZE), set())
    try:
        try:
            async with clock.timeout(CALL_WITHIN):
                await asyncio.get_running_loop().create_connection(lambda: peer, options.host, options.number)
        except TimeoutError:
            raise LinkDown(f"{where} did not answer within {CALL_WITHIN:g} s") from None
        except OSError as error:
            raise LinkDown(f"{where}: {error}") from error
        ears.opened(where)
        raise LinkDown(f"{where}: {await peer.gone}")
    finally:
        peer.close()


async def be_called(options: WireOptions, ears: Ears, clock: Clock) -> None:
    """Listen until cancelled, one peer a connection. Raises LinkDown when the port is taken."""
    _allow_files(options.peers + _OTHER_FILES)
    buffer = bytearray(READ_SIZE)
    open_ones: set[TcpPeer] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: TcpPeer(ears, buffer, open_ones, clock), sock=listening(options.listen, options.number)
    )
    try:
        ears.opened(f"{options.listen}:{options.port}")
        await asyncio.get_running_loop().create_future()
    finally:
        server.close()
        for peer in list(open_ones):
            peer.close()


def _bound(sock: socket.socket) -> None:
    """Bound what the kernel keeps for a connection, and let it find out when the far end is dead."""
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, buffer, _KERNEL_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _NEVER_READ)


def _allow_files(number: int) -> None:
    """Let this process open so many files: a login's limit of 1 024 is fewer than the callers of one source."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
