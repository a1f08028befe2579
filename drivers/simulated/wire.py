"""An in-memory serial line: what a pseudo-terminal does, without a kernel between the ends.

For simulated devices on the driven clock, where bytes must arrive before time moves on. Both ends have the `read`,
`read_waiting`, `write`, `close` of `gateway.transport.serial.SerialPort`, and like `PtyPair` it can be unplugged and
plugged back. Keeps house rule 9: fakes ship.
"""

from __future__ import annotations

import asyncio

from gateway.errors import LinkDown


class WireEnd:
    """One end of a line."""

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._event = asyncio.Event()
        self._open = True
        self.other: WireEnd | None = None

    async def read(self) -> bytes:
        """Wait for at least one byte; LinkDown when the line is gone."""
        while not (data := self.read_waiting()):
            self._event.clear()
            await self._event.wait()
        return data

    def read_waiting(self) -> bytes:
        """Return what has come; LinkDown when the line is gone."""
        if not self._open:
            raise LinkDown("wire: hung up")
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    def write(self, data: bytes) -> None:
        """Hand bytes to the other end; LinkDown when the line is gone."""
        if not self._open:
            raise LinkDown("wire: hung up")
        if self.other is not None:
            self.other._arrived += data  # noqa: SLF001 - two ends of one wire
            self.other._event.set()  # noqa: SLF001

    def close(self) -> None:
        """Hang up this end."""
        self._open = False
        self._event.set()


class Wire:
    """A line with two ends: `port` for the simulated devices, `open()` for who would open the serial port."""

    def __init__(self) -> None:
        self._plugged = False
        self.plug()

    def plug(self) -> None:
        """Put a fresh line there."""
        self.port = WireEnd()
        self._plugged = True

    def unplug(self) -> None:
        """Hang up both ends until the next `plug`."""
        if self.port.other is not None:
            self.port.other.close()
        self.port.close()
        self._plugged = False

    def open(self) -> WireEnd:
        """Return a fresh far end; LinkDown while unplugged."""
        if not self._plugged:
            raise LinkDown("wire: no such port")
        far = WireEnd()
        far.other, self.port.other = self.port, far
        return far

    def close(self) -> None:
        """Take the line away for good."""
        self.unplug()
