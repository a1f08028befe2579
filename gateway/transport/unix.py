"""The local control socket: one JSON object a line each way over a Unix socket that only its owner's group may open.

The shell under `gateway.control`; knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

LINE_LIMIT = 1 << 20
LONGEST_ADDRESS = 107  # octets of sun_path, unix(7), without the final zero
Answer = Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def serve(path: Path, answer: Answer) -> AsyncIterator[None]:
    """Listen at `path` (mode 0660) while the context is open; `answer(request, user)` gives each reply."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        user = _peer(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
                while line := await reader.readline():
                    writer.write(json.dumps(await _answer(answer, line, user), ensure_ascii=False).encode() + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    _remove(path)
    with _short(path) as address:
        server = await asyncio.start_unix_server(talk, path=address, limit=LINE_LIMIT)
    _protect(path)
    try:
        yield
    finally:
        server.close()
        _remove(path)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give an address that fits into a socket's 108 octets, however deep the folder lies."""
    if len(str(path).encode()) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _protect(path: Path) -> None:
    path.chmod(0o660)


async def _answer(answer: Answer, line: bytes, user: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {"error": "not JSON"}
    if not isinstance(request, dict):
        return {"error": "one JSON object a line"}
    return await answer(request, user)


def _peer(writer: asyncio.StreamWriter) -> str:
    """Return the name of the user at the other end (SO_PEERCRED), so that an act names a person."""
    peer: socket.socket = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def ask(path: Path, request: dict[str, Any], *, seconds: float = 15.0) -> dict[str, Any]:
    """Ask a running daemon; OSError when none listens there. Blocking: for the command line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(seconds)
        with _short(path) as address:
            link.connect(address)
        link.sendall(json.dumps(request).encode() + b"\n")
        with link.makefile("rb") as lines:
            reply: dict[str, Any] = json.loads(lines.readline(LINE_LIMIT))
    return reply
