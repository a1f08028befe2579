"""Listening TCP sockets: the one place where the house is called instead of calling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.errors import LinkDown


async def listen(
    factory: Callable[[], asyncio.Protocol], host: str = "127.0.0.1", port: int = 0
) -> tuple[asyncio.Server, int]:
    """Listen, one protocol object per caller; return the server and its port (0: a free one). `LinkDown` if taken."""
    try:
        server = await asyncio.get_running_loop().create_server(factory, host, port)
    except OSError as error:
        raise LinkDown(f"cannot listen on {host}:{port}: {error}") from error
    return server, int(server.sockets[0].getsockname()[1])
