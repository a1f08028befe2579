"""Serial ports and pseudo-terminals: bytes in and out of the asyncio loop, and nothing else.

First station of the flow for everything on a wire: `drivers` and the modem session read from here, the simulated bus
and modem stand at the other end of a `PtyPair`. Keeps house section 5 (only `gateway.transport` opens a port) and
section 11 (every way a port can die is one `LinkDown`; the supervisor owns the back-off). pyserial sets the port up;
from then on the loop reads and writes the descriptor itself, so that no thread and no polling is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
import termios
import tty
from pathlib import Path

import serial

from gateway.errors import LinkDown

READ_SIZE = 4096  # the kernel's own line buffer
UNSENT_LIMIT = 64 * 1024  # a port that takes no byte for that long is not a link
_CONTROL_FLAGS, _CONTROL_CHARACTERS = 2, 6  # their places in what tcgetattr returns
_STICK_PARITY = 0o10000000000  # CMSPAR, which termios does not name: the parity bit is always that of PARODD


class SerialPort:
    """One open port: `read` and `write` on a non-blocking descriptor. One reader at a time."""

    def __init__(self, descriptor: int, name: str, *, owner: serial.Serial | None = None) -> None:
        self.name = name
        self._descriptor = descriptor
        self._owner = owner  # pyserial closes its descriptor itself
        self._unsent = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._gone: str | None = None  # why the port is no link any more
        self._mark: bool | None = None  # the ninth bit of what is sent, None: nobody has said

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        baudrate: int = 9600,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: float = 1,
        exclusive: bool = True,
    ) -> SerialPort:
        """Open and set up a port.

        Args:
            path: device file; a pseudo-terminal or a symbolic link will do.
            baudrate: symbols per second.
            bytesize: data bits, 5 to 8.
            parity: one of N, E, O, M, S.
            stopbits: 1, 1.5 or 2.
            exclusive: refuse the port when another process holds it.

        Raises:
            LinkDown: absent, held by another, or the adapter cannot do these settings.
        """
        try:
            owner = serial.Serial(
                str(path),
                baudrate=baudrate,
                bytesize=bytesize,
                parity=parity,
                stopbits=stopbits,
                exclusive=exclusive or None,
                timeout=0,
            )
        except (OSError, ValueError, termios.error) as error:
            raise LinkDown(f"{path}: {error}") from error
        # USB adapters hold bytes back up to 16 ms otherwise; not every adapter or user may do it.
        with contextlib.suppress(OSError, ValueError):
            owner.set_low_latency_mode(True)
        descriptor = owner.fileno()
        try:
            _tell_empty_from_gone(descriptor)
        except (OSError, termios.error) as error:
            owner.close()
            raise LinkDown(f"{path}: {error}") from error
        return cls(descriptor, str(path), owner=owner)

    def write(self, data: bytes) -> None:
        """Queue bytes; what the port takes at once leaves at once. Never blocks.

        Raises:
            LinkDown: the port is gone, or has not taken the last `UNSENT_LIMIT` bytes.
        """
        self._check()
        if len(self._unsent) + len(data) > UNSENT_LIMIT:
            raise LinkDown(f"{self.name}: takes no bytes ({len(self._unsent)} unsent)")
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._send()
            self._check()
            if self._unsent:
                asyncio.get_running_loop().add_writer(self._descriptor, self._send)

    def set_mark(self, *, on: bool) -> None:
        """Send what follows with mark parity (a ninth bit of 1), or with space parity (0).

        Waits for the last bit of what was written to leave the UART (tcdrain), which is a few characters at most: what
        the kernel has not even handed over yet, after whatever time the caller took, is not going to leave.

        Raises:
            LinkDown: bytes still wait to be sent, or the port is gone or cannot do this parity.
        """
        self._check()
        if on is self._mark:
            return
        try:
            waiting = int.from_bytes(fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
            if self._unsent or waiting:
                raise LinkDown(f"{self.name}: does not send ({len(self._unsent) + waiting} bytes wait)")
            termios.tcdrain(self._descriptor)
            settings = termios.tcgetattr(self._descriptor)
            settings[_CONTROL_FLAGS] |= termios.PARENB | _STICK_PARITY | termios.PARODD
            if not on:
                settings[_CONTROL_FLAGS] &= ~termios.PARODD
            termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)
            if not termios.tcgetattr(self._descriptor)[_CONTROL_FLAGS] & _STICK_PARITY:  # its driver took it back
                self._lose("cannot send mark and space parity")
        except (OSError, termios.error) as error:
            self._lose(str(error))
        self._check()
        self._mark = on

    async def read(self) -> bytes:
        """Wait for at least one byte and return what has come. Safe to cancel: no byte is lost.

        Raises:
            LinkDown: hung up, adapter pulled, or closed by us.
        """
        while True:
            if chunk := self.read_waiting():
                return chunk
            await self._readable()

    def read_waiting(self) -> bytes:
        """Return what has come so far, perhaps nothing.

        Raises:
            LinkDown: hung up, adapter pulled, or closed by us.
        """
        self._check()
        try:
            chunk = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            self._lose(str(error))
        else:
            if chunk:
                return chunk
            self._lose("hung up")
        raise LinkDown(f"{self.name}: {self._gone}")

    def close(self) -> None:
        """Give the port back; what it has not sent yet is dropped, so that closing never waits. Idempotent."""
        self._lose("closed")
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        with contextlib.suppress(OSError, termios.error):
            termios.tcflush(descriptor, termios.TCOFLUSH)
        if self._owner is None:
            os.close(descriptor)
        else:
            self._owner.close()

    async def _readable(self) -> None:
        if self._waiter is not None:
            raise RuntimeError(f"{self.name}: two readers on one port")
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        loop.add_reader(self._descriptor, _wake, self._waiter)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._descriptor >= 0:
                loop.remove_reader(self._descriptor)

    def _send(self) -> None:
        try:
            del self._unsent[: os.write(self._descriptor, self._unsent)]
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(str(error))
        if not self._unsent:
            asyncio.get_running_loop().remove_writer(self._descriptor)

    def _check(self) -> None:
        if self._gone is not None:
            raise LinkDown(f"{self.name}: {self._gone}")

    def _lose(self, why: str) -> None:
        if self._gone is not None:
            return
        self._gone = why
        self._unsent.clear()
        if self._descriptor >= 0:
            with contextlib.suppress(RuntimeError):  # closed after the loop has ended
                loop = asyncio.get_running_loop()
                loop.remove_writer(self._descriptor)
                loop.remove_reader(self._descriptor)
        if self._waiter is not None:
            _wake(self._waiter)


class PtyPair:
    """A pseudo-terminal: `port` is our end, `path` what another process opens as its serial port.

    Simulated buses and modems live on `port`. `unplug` and `plug` do what pulling a USB adapter does: whoever has
    `path` open is hung up, the path vanishes and later comes back.
    """

    def __init__(self, link: Path | None = None) -> None:
        self._link = link
        self._far = -1
        self.plug()

    def plug(self) -> None:
        """Make the pseudo-terminal and, where one was named, the link to it."""
        near, self._far = os.openpty()
        # Our own descriptor of the far end stays open: without any, the near end reads as hung up for ever.
        tty.setraw(self._far)
        os.set_blocking(near, False)
        name = os.ttyname(self._far)
        self.path = Path(name)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(name)
            self.path = self._link
        self.port = SerialPort(near, name)

    def unplug(self) -> None:
        """Hang up both ends; `port` raises LinkDown until the next `plug` replaces it. Idempotent."""
        if self._far < 0:
            return
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        self.port.close()
        os.close(self._far)
        self._far = -1

    def close(self) -> None:
        """Take the pair away for good."""
        self.unplug()


def open_pty(link: Path | None = None) -> PtyPair:
    """Make a raw pseudo-terminal, reachable under `link` when given (stable over unplug and plug)."""
    return PtyPair(link)


def _tell_empty_from_gone(descriptor: int) -> None:
    """Make an empty line read as "not yet" and only a lost one as end of file; pyserial leaves both the same."""
    settings = termios.tcgetattr(descriptor)
    settings[_CONTROL_CHARACTERS][termios.VMIN] = 1
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
