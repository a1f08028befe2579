"""The far end of a serial line for drivers built on `drivers._conversation`: one device that repeats until answered.

`tests/driver_rigs.py` makes a rig of it with `on_serial`; a driver's own entry says only what a frame looks like.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from gateway.errors import LinkDown
from gateway.transport.serial import PtyPair, open_pty

AGAIN = 0.05  # s between two repeats; real devices take their time
_LOOK = 0.005  # s


class SerialDevice:
    """One device on a pseudo-terminal.

    Args:
        pair: its line.
        frame: value → the frame that tells it; None: it only answers.
        answered: whether what the gateway has sent since the frame was first told answers it.
        asked: (what the gateway sent, value) → what the device replies to it, b"" nothing.
    """

    def __init__(
        self,
        pair: PtyPair,
        *,
        frame: Callable[[float], bytes] | None,
        answered: Callable[[bytes], bool],
        asked: Callable[[bytes, float], bytes] | None,
    ) -> None:
        self._pair = pair
        self._frame = frame
        self._answered = answered
        self._asked = asked
        self._value = 0.0
        self._telling = b""  # told again and again until it is answered
        self._heard = b""

    async def say(self, value: float) -> None:
        """Tell a value from now on."""
        self._value, self._heard = value, b""
        if self._frame is not None:
            self._telling = self._frame(value)

    async def cut(self) -> None:
        """Pull the adapter."""
        self._pair.unplug()

    async def mend(self) -> None:
        """Put it back."""
        self._pair.plug()

    async def run(self) -> None:
        """Live on the line, whether or not it is there."""
        turns = round(AGAIN / _LOOK)
        while True:
            for turn in range(turns):
                with contextlib.suppress(LinkDown):
                    self._listen()
                    if self._telling and not turn:
                        self._pair.port.write(self._telling)
                await asyncio.sleep(_LOOK)

    def _listen(self) -> None:
        data = self._pair.port.read_waiting()
        if not data:
            return
        self._heard = (self._heard + data)[-4096:]
        if self._telling and self._answered(self._heard):
            self._telling = b""
        if self._asked is not None and (reply := self._asked(data, self._value)):
            self._pair.port.write(reply)


@contextlib.asynccontextmanager
async def serial_device(
    path: Path,
    *,
    frame: Callable[[float], bytes] | None,
    answered: Callable[[bytes], bool],
    asked: Callable[[bytes, float], bytes] | None = None,
) -> AsyncIterator[SerialDevice]:
    """Let a device live on a pseudo-terminal reachable under `path`."""
    pair = open_pty(path)
    device = SerialDevice(pair, frame=frame, answered=answered, asked=asked)
    running = asyncio.create_task(device.run())
    try:
        yield device
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        pair.close()
