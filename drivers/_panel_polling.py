"""When and how a panel is polled: in one piece, or by its address with an echo and a word of thanks. Pure.

Beside `drivers/panel_serial.py`. Keeps house rule 4: the word that lets a panel forget what it told is sent once that
is stored; where the commit takes longer than the time between two polls it is not sent at all, and the panel tells it
again. So nothing is ever sent into the next poll.
"""

from __future__ import annotations

from enum import Enum, auto

from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.panel_words import Settings


class Polls:
    """Polls without more ado: whatever comes is the answer.

    Attributes:
        due: when to poll next, NEVER where it is not polled (ns).
        limit: seconds in which what is told has to be stored to be thanked for, 0: it is not thanked for.
    """

    limit = 0.0

    def __init__(self, settings: Settings, period: float) -> None:
        self._settings = settings
        self._period = round((period or settings.period) * SECOND)
        self.due = 0

    def poll(self, now: int) -> bytes:
        """Return what to send."""
        self.due = now + self._period
        return self._settings.poll

    def missed(self) -> bool:
        """Whether the last poll was not answered; told once."""
        return False

    def hear(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes; return what of them is for the stream, and what to send."""
        return data, b""

    def taken(self, now: int) -> bytes:
        """Take note of a whole frame; return what to send when it is stored."""
        del now
        return b""


class NoPolls(Polls):
    """Sends nothing."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, 0.0)
        self.due = NEVER


class _Step(Enum):
    REST = auto()
    ECHO = auto()  # the address was sent, its echo must come
    ANSWER = auto()  # the question was sent


class Addressed(Polls):
    """Polls of a panel that is called by its address (`Settings.taken`).

    What it says to send are symbols of `gateway.transport.serial_ninth`: each byte behind its ninth bit.
    """

    def __init__(self, settings: Settings, period: float, address: int) -> None:
        super().__init__(settings, period)
        self._address = address
        self._step = _Step.REST
        self.limit = self._period / SECOND

    def poll(self, now: int) -> bytes:
        """Return what to send: the address."""
        self.due = now + self._period
        self._step = _Step.ECHO
        return bytes((1, self._address))

    def missed(self) -> bool:
        """Whether the last poll was not answered; told once."""
        missed = self._step is not _Step.REST
        self._step = _Step.REST
        return missed

    def hear(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes; return what of them is for the stream, and what to send: the question behind the echo.

        A panel that has echoed waits, so the echo is the last byte of what came.
        """
        if self._step is not _Step.ECHO or data[-1:] != bytes((self._address,)):
            return data, b""
        self._step = _Step.ANSWER
        return data[:-1], _spaced(self._settings.poll)

    def taken(self, now: int) -> bytes:
        """Take note of a whole frame; return what to send when it is stored. There is time until the next poll."""
        if self._step is not _Step.ANSWER:
            return b""
        self._step = _Step.REST
        self.due = now + self._period
        return _spaced(self._settings.taken)


def _spaced(data: bytes) -> bytes:
    return b"".join(bytes((0, byte)) for byte in data)
