"""Waiting for what another process, thread or socket does: by a clock and with patience, not by a number of looks.

How long is no judgement: a busy machine may stand still for seconds. What a test does judge of a duration stands in
`limit`: as strict as the product promises where the machine is ours alone (`make soak`), else only that it comes. On
the driven clock, where nothing depends on the machine, every such limit is judged each time.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0  # s
SOONEST, LATEST = 0.0005, 0.02  # s between two looks: often at first, then less
STRICT = bool(os.environ.get("FIREGRID_STRICT"))


def limit(seconds: float) -> float:
    """Return how long something may take that the product does within `seconds` on a machine that is not too busy."""
    return seconds if STRICT else max(seconds, PATIENCE)


def some_round(play: Callable[[Path], None], folder: Path, rounds: int = 3) -> None:
    """Play a scene whose own times a machine that stands still may spoil, each in a folder of its own: one proves it.

    For what has its times from a script or from people, as a demonstration has: a product that is wrong is so always.
    """
    for number in range(1, rounds + 1):
        place = folder / str(number)
        place.mkdir()
        try:
            return play(place)
        except (AssertionError, TimeoutError):
            if number == rounds or STRICT:
                raise
    return None


async def until(condition: Callable[[], object], within: float = PATIENCE, *, what: object = "") -> float:
    """Let tasks, sockets and processes work until the condition holds; returns the seconds that took. TimeoutError."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > within:
            raise TimeoutError(f"not within {within} s: {what() if callable(what) else what}")
        await asyncio.sleep(_pause(begun))
    return time.monotonic() - begun


def wait(condition: Callable[[], object], within: float = PATIENCE, *, what: object = "", every: float = 0.0) -> float:
    """Wait until the condition holds; returns the seconds that took. TimeoutError.

    Args:
        condition: what is waited for.
        within: how long at most, in seconds.
        what: said when it does not come: words, or what gives them then.
        every: seconds between two looks, for what is dear to look at.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > within:
            raise TimeoutError(f"not within {within} s: {what() if callable(what) else what}")
        time.sleep(max(every, _pause(begun)))
    return time.monotonic() - begun


def _pause(begun: float) -> float:
    return min(SOONEST + (time.monotonic() - begun) / 8, LATEST)
