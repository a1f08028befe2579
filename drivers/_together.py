"""Tasks that live and die together: what a driver runs beside each other on one wire or session.

As the contract of drivers asks, nothing goes on when one of them ends, by an error or because its peer has gone, or
when the driver is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


async def until_one_ends(*parts: Awaitable[object]) -> None:
    """Run all until one ends, end the others, and raise what it ended by."""
    # No TaskGroup: in Python 3.11 one that fails in the turn in which it is cancelled swallows the cancellation.
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
