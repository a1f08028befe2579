"""Blocking calls beside the loop, each in a daemon thread of its own.

For the few things that have no asynchronous form (HTTP of the standard library, a write to somebody's pipe). The
loop's own executor is not used: it is joined at exit, and a far end that hangs must not keep the gateway from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def offload(work: Callable[[], T], name: str) -> T:
    """Run `work` in a thread and return what it returns, or raise what it raises.

    A cancelled caller goes on at once; the thread ends when its call does, and what it says is dropped.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(set_outcome: Callable[[], None]) -> None:
        if not done.done():
            set_outcome()

    def run() -> None:
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller
            outcome = error
            tell = lambda: settle(lambda: done.set_exception(outcome))  # noqa: E731
        else:
            tell = lambda: settle(lambda: done.set_result(value))  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
