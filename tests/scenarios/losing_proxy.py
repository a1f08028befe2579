"""A proxy between a transmission device of GB/T 26875.3 and its centre that loses the connection in any state.

It looks at whole frames: what counts are words, the frames with the state of a component (type 2), and what the centre
answers to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import NamedTuple

from gateway.protocols.gb26875 import Command, Frame, Frames, encode_frame

_COMPONENTS = b"\x02"  # the first byte of a unit with a component's word
_LINGER = struct.pack("ii", 1, 0)  # what is closed is reset


class When(Enum):
    """The state of an exchange in which the connection is lost."""

    CONNECTED = auto()  # nothing of the word has passed
    MID_WORD = auto()
    WORD = auto()  # it has passed, nobody waits for its confirmation
    ANSWERED = auto()  # the centre has confirmed it, which does not pass
    MID_ANSWER = auto()
    DONE = auto()  # the confirmation has passed


class How(Enum):
    """What becomes of the connection."""

    FIN = auto()
    RESET = auto()
    SILENCE = auto()  # it stands, and nothing passes any more


class Cut(NamedTuple):
    """One loss. `meanwhile`: what happens at this moment as well."""

    when: When
    how: How = How.RESET
    meanwhile: Callable[[], None] = lambda: None


_PASSES: dict[When, Callable[[int], int]] = {  # length of the word, or of its answer → how much of it
    When.CONNECTED: lambda _: 0,
    When.MID_WORD: lambda length: length // 2,
    When.WORD: lambda length: length,
    When.ANSWERED: lambda _: 0,
    When.MID_ANSWER: lambda length: length // 2,
    When.DONE: lambda length: length,
}
_OF_ANSWER = (When.ANSWERED, When.MID_ANSWER, When.DONE)


class Proxy:
    """Listens on `port`. `closed`: nobody gets through. `owed`: losses that are planned and have not happened yet.

    `words`: units of everything that the device has said, also of what was lost.
    """

    def __init__(self, far_port: int) -> None:
        self.port = 0
        self.closed = False
        self.owed = 0
        self.words: list[bytes] = []
        self._plan: deque[Cut | None] = deque()  # of the next words, one each, None: it passes
        self._far_port = far_port
        self._links: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Forward until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)

    def plan(self, cut: Cut, *, after: int = 1) -> None:
        """Lose the connection so, after so many words more."""
        self._plan.extend([*[None] * after, cut])
        self.owed += 1

    def said(self, word: bytes) -> Cut | None:
        """Return what becomes of a word."""
        self.words.append(word)
        return self._plan.popleft() if self._plan else None

    def unanswered(self, cut: Cut) -> None:
        """Let the next word be lost so: this one's answer never came."""
        self._plan.appendleft(cut)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._serve(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        link = None
        try:
            with contextlib.suppress(OSError):
                if self.closed:
                    return
                far_reader, far = await asyncio.open_connection("127.0.0.1", self._far_port)
                ends.append(far)
                link = _Link(self, writer, far)
                ways = [asyncio.ensure_future(link.up(reader)), asyncio.ensure_future(link.down(far_reader))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        finally:
            if link is not None and link.pending is not None:
                self.unanswered(link.pending[1])
            for end in ends:
                if link is None or link.how is not How.FIN:
                    _resets(end)
                end.transport.abort()


class _Link:
    """One connection. `how`: what became of it, None: it lives. `pending`: serial number and how its answer is lost."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.how: How | None = None
        self._proxy = proxy
        self._near, self._far = near, far
        self.pending: tuple[int, Cut] | None = None

    async def up(self, reader: asyncio.StreamReader) -> None:
        """Pass what the device says."""
        async for frame in self._frames(reader):
            word = frame.command == Command.SEND and frame.unit[:1] == _COMPONENTS
            cut = self._proxy.said(frame.unit) if word else None
            if cut is not None and cut.when in _OF_ANSWER:
                self.pending, cut = (frame.serial, cut), None
            await self._pass(self._far, frame, cut)

    async def down(self, reader: asyncio.StreamReader) -> None:
        """Pass what the centre says."""
        async for frame in self._frames(reader):
            cut = None
            if self.pending and self.pending[0] == frame.serial and frame.command == Command.CONFIRM:
                (_, cut), self.pending = self.pending, None
            await self._pass(self._near, frame, cut)

    async def _frames(self, reader: asyncio.StreamReader) -> AsyncIterator[Frame]:
        """Yield what comes until the connection is lost; of a silent one nothing more."""
        frames = Frames()
        while data := await reader.read(65_536):
            for frame in frames.feed(data):
                assert isinstance(frame, Frame)
                if self.how is None:
                    yield frame
                if self.how in (How.FIN, How.RESET):
                    return
        self.how = self.how or How.FIN

    async def _pass(self, writer: asyncio.StreamWriter, frame: Frame, cut: Cut | None) -> None:
        data = encode_frame(frame)
        writer.write(data[: _PASSES[cut.when](len(data))] if cut else data)
        await writer.drain()
        if cut is not None:
            cut.meanwhile()
            self.how = cut.how
            self._proxy.owed -= 1


def _resets(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
