"""One AT command at a time on one serial port: the lowest layer of the modem session.

Bytes go through `gateway.protocols.at`; answers go to whoever asked, unsolicited results to the session. Every command
has a deadline from the clock, so nothing here can hang (house rule 2: the waiting is here, the deciding is not).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.protocols.at import Final, Line, Parser, Prompt, Unsolicited, fields
from gateway.transport.serial import SerialPort

COMMAND_LIMIT = 5.0  # s; ordinary commands answer within 300 ms
PROMPT_LIMIT = 10.0
SUBMIT_LIMIT = 120.0  # s; the network may take 60
PROBE_LIMIT = 2.0
PROBES = 3
_ESCAPE, _SUBMIT = b"\x1b", b"\x1a"  # leaves, or ends, a half-open prompt


class NoPrompt(TimeoutError):  # noqa: N818 - the name says the state, as in house language
    """The modem did not ask for the PDU: nothing has left."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command brought: its lines and its final result."""

    final: Final
    lines: tuple[Line, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the command was done."""
        return self.final.ok

    def fields(self, name: str) -> list[str]:
        """Return the fields of the first line called `name` (such as `+CSQ`), empty when there is none."""
        return next((fields(line.text) for line in self.lines if line.text.upper().startswith(name + ":")), [])

    @property
    def text(self) -> str:
        """The first line, as it came."""
        return self.lines[0].text if self.lines else ""


@dataclass(slots=True)
class _InFlight:
    """A command on its way. `needs`: the line without which an OK is the late one of an earlier command."""

    final: asyncio.Future[Final]
    prompt: asyncio.Future[None] | None
    needs: str
    lines: list[Line] = field(default_factory=list)

    def take(self, token: Line | Final | Prompt) -> None:
        if isinstance(token, Line):
            self.lines.append(token)
        elif isinstance(token, Prompt):
            if self.prompt is not None and not self.prompt.done():
                self.prompt.set_result(None)
        elif not self.final.done() and not (token.ok and self._early()):
            self.final.set_result(token)

    def _early(self) -> bool:
        if self.prompt is not None and not self.prompt.done():
            return True
        return not any(line.text.startswith(self.needs) for line in self.lines) if self.needs else False


class AtLink:
    """Commands and answers on an open port; `listen` must run beside `command`."""

    def __init__(self, port: SerialPort, clock: Clock, heard: Callable[[Unsolicited], None]) -> None:
        self._port = port
        self._clock = clock
        self._heard = heard
        self._parser = Parser()
        self._flight: _InFlight | None = None

    async def listen(self) -> None:
        """Read until cancelled; raises LinkDown."""
        while True:
            for token in self._parser.feed(await self._port.read()):
                if isinstance(token, Unsolicited):
                    self._heard(token)
                elif self._flight is not None:
                    self._flight.take(token)
                # else: the late end of a command that was given up

    async def command(self, text: str, *, limit: float = COMMAND_LIMIT, needs: str = "") -> Answer:
        """Send a command and wait for its final result; TimeoutError after `limit` seconds, LinkDown."""
        flight = self._begin(text, needs=needs)
        try:
            async with self._clock.timeout(limit):
                return Answer(await flight.final, tuple(flight.lines))
        finally:
            self._end()

    async def ask(self, text: str, *, limit: float = COMMAND_LIMIT) -> Answer:
        """Send a command that the modem may leave unanswered; TimeoutError only when it answers nothing at all."""
        try:
            return await self.command(text, limit=limit)
        except TimeoutError:
            if not await self.probe():
                raise
            return Answer(Final("no answer"))

    async def submit(self, text: str, pdu: str) -> Answer:
        """Send a command that asks for a PDU, then the PDU (TS 27.005 clause 4.3); NoPrompt, TimeoutError, LinkDown."""
        prompt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        flight = self._begin(text, prompt=prompt)
        try:
            try:
                async with self._clock.timeout(PROMPT_LIMIT):
                    await asyncio.wait((prompt, flight.final), return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError as error:
                raise NoPrompt from error
            if not flight.final.done():
                self._parser.sent(pdu)
                self._port.write(pdu.encode("ascii") + _SUBMIT)
            async with self._clock.timeout(SUBMIT_LIMIT):
                return Answer(await flight.final, tuple(flight.lines))
        finally:
            self._end()

    async def probe(self) -> bool:
        """Ask whether the modem answers at all, and come back into step with it.

        Leaves a half-open prompt; AT, three times; then a question whose answer has a name of its own, so that what
        comes late from commands given up is not taken for the answers of the next ones.
        """
        for _ in range(PROBES):
            self._port.write(_ESCAPE)
            with suppress(TimeoutError):
                await self.command("AT", limit=PROBE_LIMIT)
                await self.command("AT+CSQ", needs="+CSQ")
                return True
        return False

    def _begin(self, text: str, *, prompt: asyncio.Future[None] | None = None, needs: str = "") -> _InFlight:
        if self._flight is not None:
            raise RuntimeError(f"{text} while a command is in flight")
        self._flight = _InFlight(asyncio.get_running_loop().create_future(), prompt, needs)
        self._parser.sent(text, prompt=prompt is not None)
        try:
            self._port.write(text.encode("ascii") + b"\r")
        except BaseException:
            self._end()
            raise
        return self._flight

    def _end(self) -> None:
        self._flight = None
        self._parser.done()
