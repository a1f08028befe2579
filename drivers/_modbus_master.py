"""The strict Modbus RTU master: one transaction at a time on one port, and no reply taken for another's.

Stands between the bus plan (which request next) and the port; used by `drivers.modbus_rtu` only. Keeps house section
11: their wrong bytes are counted and dropped, only a lost port is `LinkDown`. Transaction by "MODBUS over Serial Line
V1.02" section 2.5: silent line, drain, optional wake-up bytes, request, optional echo, then bytes are collected until
the matching reply stands among them or the deadline is over. What comes after a deadline is quarantined: until the
device's worst answer time has passed once more, nothing is sent to that address; this outlives a lost port, since a
serial server may hand the answer to whoever calls next. A gateway that says that it did not hear the device (exceptions
10 and 11, "MODBUS Application Protocol Specification V1.1b3" section 7) is no answer of the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gateway.clock import SECOND, Clock
from gateway.errors import LinkDown
from gateway.protocols.modbus import EXCEPTION_SIZE, ExceptionCode, Reply, ReplyMatcher, Request
from gateway.protocols.modbus_line import character_seconds, silence_seconds

LEAST_SILENCE = 0.004  # s, at any speed; cheap adapters swallow the start of what follows sooner
JABBER_LIMIT = 0.5  # s to wait for a line that is never silent; then the matcher must find its way
DRAIN_READS = 4  # more than any adapter buffers
ECHO_SLACK = 0.02  # s an adapter may hold the echo back
UNHEARD = (ExceptionCode.GATEWAY_PATH, ExceptionCode.GATEWAY_TARGET)  # said by a gateway in the device's place


class Port(Protocol):
    """What the master needs of `gateway.transport.serial.SerialPort`."""

    async def read(self) -> bytes:
        """Wait for at least one byte; LinkDown when the port is gone."""

    def read_waiting(self) -> bytes:
        """Return what has come, perhaps nothing; LinkDown when the port is gone."""

    def write(self, data: bytes) -> None:
        """Queue bytes; LinkDown when the port is gone."""

    def close(self) -> None:
        """Give the port back."""


class Outcome(Enum):
    """How a transaction ended. The values are the names of the counters."""

    ANSWERED = "answered"
    REFUSED = "refused"  # the device answered with an exception: it is there
    SILENT = "silent"  # not one byte, or a gateway says that it heard none
    BROKEN = "broken"  # bytes, but no frame of ours among them: CRC, length, address, function


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How one device wants to be asked. Seconds.

    Attributes:
        worst: longest time it may take before its reply begins.
        silence: silence it needs on the line before a request, if more than the standard's.
        wake: bytes that wake it up, sent `wake_delay` before the request.
    """

    worst: float = 0.3
    silence: float = 0.0
    wake: bytes = b""
    wake_delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One transaction. `delay` is the time in s the device took before its reply began, 0 when there was none.

    `given_up`: a gateway said that it heard no reply, and takes the next question.
    """

    outcome: Outcome
    reply: Reply | None = None
    delay: float = 0.0
    at: int = 0  # ns on the boot-time clock, when the reply was complete
    given_up: bool = False


@dataclass(slots=True)
class Quarantine:
    """An answer that may still come, until `until` (ns): nothing that it fits is asked meanwhile."""

    matcher: ReplyMatcher
    until: int


class Master:
    """Asks one question after the other. Not safe for parallel calls: one task owns it.

    `count` is told every outcome by name, and `late` (frames after their deadline), `stray` (bytes on a line that
    should have been silent), `garbage` (bytes before a reply), `jabber`, `echo_missing`, `exception_10` and
    `exception_11`.
    `owed` are the answers that the former port did not bring, by address; kept up to date for the next one.
    """

    def __init__(
        self,
        port: Port,
        clock: Clock,
        *,
        baudrate: int,
        echo: bool = False,
        count: Callable[[str, int], None],
        owed: dict[int, Quarantine] | None = None,
    ) -> None:
        self._port = port
        self._clock = clock
        self._character = character_seconds(baudrate)
        self._silence = max(silence_seconds(baudrate), LEAST_SILENCE)
        self._echo = echo
        self._count = count
        self._quiet_since = clock.mono()
        self._quarantine = {} if owed is None else owed

    async def ask(self, request: Request, manners: Manners, *, deadline: float | None = None) -> Answer:
        """Run one transaction. Never raises for what a device does or leaves undone.

        Args:
            request: what to ask, not a broadcast.
            manners: how this device wants to be asked.
            deadline: s before the reply must begin, `manners.worst` when None; less than the worst frees the line
                sooner and is safe, for the quarantine goes by the worst.

        Raises:
            LinkDown: the port is gone.
        """
        await self._wait_out(request.address)
        await self._wait_silence(max(self._silence, manners.silence))
        if manners.wake:
            self._port.write(manners.wake)
            await self._clock.sleep(manners.wake_delay + len(manners.wake) * self._character)
        self._drain()
        frame = request.encode()
        sent = self._clock.mono() + self._wire(len(frame))
        self._port.write(frame)
        patience = len(frame) * self._character + (manners.worst if deadline is None else deadline)
        if self._echo:
            patience += ECHO_SLACK
        try:
            answer = await self._collect(request, frame, patience + request.reply_size() * self._character, sent)
        except LinkDown:
            self._owe(request, manners)
            raise
        self._count(answer.outcome.value, 1)
        if answer.reply is None:
            self._owe(request, manners)
        return answer

    def _owe(self, request: Request, manners: Manners) -> None:
        """Note that an answer may still come."""
        worst = manners.worst + request.reply_size() * self._character
        until = self._clock.mono() + round(worst * SECOND)
        self._quarantine[request.address] = Quarantine(ReplyMatcher(request), until)

    async def _collect(self, request: Request, frame: bytes, patience: float, sent: int) -> Answer:
        matcher = ReplyMatcher(request)
        echo = _Echo(frame) if self._echo else None
        reply: Reply | None = None
        try:
            async with self._clock.timeout(patience):
                while reply is None:
                    data = await self._read()
                    reply = matcher.feed(data if echo is None else echo.eat(data))
        except TimeoutError:
            # A loop that woke late may have left the reply waiting in the port.
            data = self._drain()
            reply = matcher.feed(data if echo is None else echo.eat(data))
        if echo is not None and not echo.eaten:
            self._count("echo_missing", 1)
        if reply is None:
            unfit = matcher.unmatched() or (echo is not None and echo.held)
            return Answer(Outcome.BROKEN if unfit else Outcome.SILENT)
        if matcher.skipped:
            self._count("garbage", matcher.skipped)
        if reply.exception in UNHEARD:
            self._count(f"exception_{reply.exception}", 1)
            return Answer(Outcome.SILENT, given_up=True)
        at = self._clock.mono()
        delay = max(0.0, (at - sent) / SECOND - len(reply.frame) * self._character)
        return Answer(Outcome.REFUSED if reply.exception else Outcome.ANSWERED, reply, delay, at)

    async def _wait_out(self, address: int) -> None:
        """Listen until no late answer of this address can come any more."""
        while (held := self._quarantine.get(address)) is not None:
            left = held.until - self._clock.mono()
            if left <= 0:
                self._drain()  # what has come by now is late, not stray
                self._quarantine.pop(address, None)
                return
            try:
                async with self._clock.timeout(left / SECOND):
                    await self._read()
            except TimeoutError:
                continue

    async def _wait_silence(self, silence: float) -> None:
        need = round(silence * SECOND)
        give_up = self._clock.mono() + round(JABBER_LIMIT * SECOND)
        while True:
            if stray := self._drain():
                self._count("stray", len(stray))
            now = self._clock.mono()
            left = self._quiet_since + need - now
            if left <= 0:
                return
            if now >= give_up:
                self._count("jabber", 1)
                return
            await self._clock.sleep(left / SECOND)

    async def _read(self) -> bytes:
        return self._heard(await self._port.read())

    def _drain(self) -> bytes:
        data = b""
        for _ in range(DRAIN_READS):  # bounded: a line that never ends must not hold the loop
            chunk = self._port.read_waiting()
            if not chunk:
                break
            data += self._heard(chunk)
        return data

    def _heard(self, data: bytes) -> bytes:
        """Note that the line was not silent, and look for late answers."""
        self._quiet_since = self._clock.mono()
        for address, held in list(self._quarantine.items()):
            if held.matcher.feed(data) is not None:
                self._count("late", 1)
                del self._quarantine[address]  # it has said what it had to say
        return data

    def _wire(self, size: int) -> int:
        return round(size * self._character * SECOND)


class _Echo:
    """Eats exactly the request from what an adapter without local-echo suppression gives back."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self.held = b""
        self.eaten = False

    def eat(self, data: bytes) -> bytes:
        """Return what follows the echo."""
        if self.eaten:
            return data
        self.held += data
        before, found, after = self.held.partition(self._frame)
        if not found:
            return b""
        self.eaten, self.held = True, b""
        return before + after


def wire_seconds(request: Request, baudrate: int, silence: float = 0.0) -> float:
    """Return the time the line is taken by a good transaction, without the device's own delay, s."""
    characters = request.request_size() + max(request.reply_size(), EXCEPTION_SIZE)
    return characters * character_seconds(baudrate) + max(silence_seconds(baudrate), LEAST_SILENCE, silence)
