"""One thread that may block: the only place where the store is written.

A commit can hang for as long as the disk likes; the loop never waits for it. A writer that hangs is left behind with
its connection and a fresh one takes over (house section 7); it is a daemon thread, so it never keeps the process.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


def aside(call: Callable[[], object]) -> None:
    """Run a call in a thread of its own: it may block, and nobody hears how it went."""
    Writer("store-aside").abandon(call)


class Writer:
    """Runs calls one after the other in its own daemon thread. `pending` counts what has not come back."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._abandoned = threading.Event()
        self._last: Callable[[], object] | None = None
        self.pending = 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Queue a call; the future has its result or exception, in the loop."""
        future: asyncio.Future[T] = self._loop.create_future()
        self.pending += 1
        self._jobs.put((call, future))
        return future

    def abandon(self, last: Callable[[], object] | None = None) -> None:
        """Let the thread end after the call it is in; what is queued is not begun. `last` is called at its very end.

        A stale call must never reach the disk behind the back of the writer that took over.
        """
        self._last = last
        self._abandoned.set()
        self._jobs.put(None)

    def _work(self) -> None:
        self._serve()
        if self._last is not None:
            with suppress(Exception):  # closing what is given up: nobody is left to hear how it went
                self._last()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None and not self._abandoned.is_set():
            call, future = job
            result, error = None, None
            try:
                result = call()
            except BaseException as caught:  # noqa: BLE001 - whatever it was, the loop decides
                error = caught
            try:
                self._loop.call_soon_threadsafe(self._finish, future, result, error)
            except RuntimeError:  # the loop has ended; nobody waits any more
                return

    def _finish(self, future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
        self.pending -= 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def heard(future: asyncio.Future[Any]) -> None:
    """Take note of a failure of housekeeping: the next commit meets the same disk and decides."""
    if not future.cancelled():
        future.exception()
