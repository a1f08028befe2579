"""Channel `console`: one line per notice on standard output, standard error or at the end of a file.

Beside the dispatcher, for demos, journals and a screen at the station. A pipe that nobody reads any more fails the
notice, never the daemon (house section 11); one that nobody reads *now* holds no other notice up for longer than a few
seconds. Texts come from people and devices: control characters do not reach the terminal.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from gateway.config.options import read
from gateway.errors import DeliveryError
from gateway.model.contact import ChannelKind
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, Receipt
from gateway.model.ports import ChannelSetup
from gateway.transport.offload import offload

ADDRESSED = ChannelKind.PLACE
PATIENCE = 5.0  # s for one line

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[channel]]` with `kind = "console"`. `file` goes before `stream`."""

    stream: Literal["stdout", "stderr"] = "stdout"
    file: str = ""


OPTIONS = Options


def create(setup: ChannelSetup) -> Console:
    """Build the channel; nothing is opened yet. Raises ConfigError: unknown or wrong keys."""
    options = read(setup.spec, Options)
    write = _append_to(Path(options.file)) if options.file else _write_to(_DESCRIPTORS[options.stream])
    return Console(setup, write)


class Console:
    """Writes lines; `write` takes the bytes of one line and may block."""

    def __init__(self, setup: ChannelSetup, write: Callable[[bytes], None]) -> None:
        self._id = setup.spec.id
        self._clock = setup.clock
        self._report = setup.report
        self._write = write
        self._writing: asyncio.Task[None] | None = None  # at most one, also when it hangs
        self._down = ""
        self._changed = asyncio.Event()

    async def run(self, tell: Callable[[Input], None]) -> None:
        """Tell whether lines can be written, from the start and at each change."""
        while True:
            self._changed.clear()
            if not self._down:
                self._report.alive()
            tell(ChannelState(channel=self._id, up=not self._down, at=self._clock.mono(), reason=self._down))
            await self._changed.wait()

    async def send(self, notice: Notification) -> Receipt:
        """Write one line. Raises DeliveryError: retryable unless the reader of a pipe has gone."""
        line = f"[{notice.alarm_class.word}] {notice.reason}: {notice.text}"
        line = "".join(char if char.isprintable() else " " for char in line)
        try:
            async with self._clock.timeout(PATIENCE):
                await self._in_turn(line.encode("utf-8", errors="replace") + b"\n")
        except TimeoutError as error:
            self._state("nobody reads it")
            raise DeliveryError("console: nobody reads it", retryable=True) from error
        except OSError as error:
            gone = isinstance(error, BrokenPipeError)
            self._state(f"{error.strerror}")
            raise DeliveryError(f"console: {error.strerror}", retryable=not gone) from error
        self._state("")
        return Receipt(notice=notice.id, state=DeliveryState.SENT, at=self._clock.mono())

    def accepted(self, token: str) -> None:
        """Nothing comes back by this way."""

    async def _in_turn(self, line: bytes) -> None:
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])
        self._writing = asyncio.create_task(offload(lambda: self._write(line), "console"))
        self._writing.add_done_callback(_look)
        await asyncio.shield(self._writing)

    def _state(self, down: str) -> None:
        if down != self._down:
            self._down = down
            self._changed.set()


def _look(writing: asyncio.Task[None]) -> None:
    """Take notice of how a write ended that its sender has given up: it has been told as a failure."""
    if not writing.cancelled():
        writing.exception()


def _write_to(descriptor: int) -> Callable[[bytes], None]:
    def write(line: bytes) -> None:
        while line:
            line = line[os.write(descriptor, line) :]

    return write


def _append_to(path: Path) -> Callable[[bytes], None]:
    def write(line: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # names and places of people
        try:
            _write_to(descriptor)(line)
        finally:
            os.close(descriptor)

    return write
