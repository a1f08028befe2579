"""Asks a server of Network UPS Tools once: one short connection, one deadline over everything.

Of `gateway.transport`, the only package that opens connections (house section 5); the words are `protocols.nut`.
"""

from __future__ import annotations

import asyncio
import contextlib

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.protocols import nut

_LINE = 4096


async def variables(ups: str, host: str, port: int, *, clock: Clock, deadline: float) -> dict[str, str]:
    """Return all variables of a UPS. Raises LinkDown: no server, no answer in time; ProtocolViolation: its refusal."""
    try:
        async with clock.timeout(deadline):
            reader, writer = await asyncio.open_connection(host, port, limit=_LINE)
            try:
                writer.write(nut.ask(ups))
                return nut.variables(await _answer(reader, ups), ups)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        raise LinkDown(f"NUT server {host}:{port} did not answer within {deadline:g} s") from None
    except (OSError, ValueError) as error:  # ValueError: a line without end
        raise LinkDown(f"NUT server {host}:{port}: {error}") from error


async def _answer(reader: asyncio.StreamReader, ups: str) -> list[str]:
    lines: list[str] = []
    while len(lines) < nut.LINES:
        raw = await reader.readline()
        if not raw:
            break
        lines.append(raw.decode("utf-8", errors="replace").rstrip("\r\n"))
        if nut.finished(lines[-1], ups):
            break
    return lines
