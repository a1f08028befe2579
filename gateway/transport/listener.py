"""Listening TCP sockets: the one place where the house is called instead of calling."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from gateway.errors import LinkDown

BACKLOG = 256
_NEVER_READ = 15_000  # ms after which the kernel gives up a caller that takes none of what was sent to it


async def listen(
    factory: Callable[[], asyncio.Protocol], host: str = "127.0.0.1", port: int = 0
) -> tuple[asyncio.Server, int]:
    """Listen, one protocol object per caller; return the server and its port (0: a free one). `LinkDown` if taken."""
    try:
        server = await asyncio.get_running_loop().create_server(factory, host, port)
    except OSError as error:
        raise LinkDown(f"cannot listen on {host}:{port}: {error}") from error
    return server, int(server.sockets[0].getsockname()[1])


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket for somebody else's server (port 0: a free one). `LinkDown` if it cannot be had.

    Callers that never read are cut off by the kernel (TCP_USER_TIMEOUT, RFC 5482; accepted sockets inherit it).
    """
    address = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _NEVER_READ)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.bind((address, port))
        made.listen(BACKLOG)
        made.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except OSError as error:
        made.close()
        raise LinkDown(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return made
