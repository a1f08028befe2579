"""The one AT session of a modem: everybody who sends, and everything that is heard, goes through here.

Stands between the serial port and the SMS channel (house section 5: one session per port). One task climbs the
start-up ladder, then does one thing at a time: replies and reports between the parts of outgoing messages, the most
urgent message first, so that a higher class waits for one part at most. Keeps section 7: nothing waits without a
deadline, and what cannot be sent is said at once so that the next way is tried. No retry happens here.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.clock import SECOND, Clock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.modem import ModemStatus, NetworkTime
from gateway.protocols.at import STORAGE_FULL, Unsolicited, fields
from gateway.protocols.smsparts import submit_parts
from gateway.protocols.smspdu import encode, tpdu_length
from gateway.transport.at_link import AtLink, NoPrompt
from gateway.transport.modem_inbox import Inbox, ModemListener
from gateway.transport.modem_start import Facts, Problem, ask_time, climb, look, registration
from gateway.transport.serial import SerialPort

POLL_SECONDS = 30.0
REST_SECONDS = 10.0  # between two climbs of a ladder that stops at the SIM
RESET_SECONDS = 15.0  # a module boots in 5 to 12
CYCLE_LIMIT = 30.0
CYCLE_PAUSE = 600 * SECOND  # a radio that is cycled all the time never registers
FAILURES = 3  # network failures in a row before the radio is cycled
UNREGISTERED = 300 * SECOND  # … or time without network
CHORES_PER_PART = 4
VALIDITY = 7200.0  # s; an alarm of yesterday must not arrive today


@dataclass(frozen=True, slots=True, kw_only=True)
class ModemSettings:
    """How the modem is reached and unlocked. `service_centre` is set only where the SIM names none."""

    port: str
    baudrate: int = 115200
    pin: str = ""
    service_centre: str = ""


@dataclass(order=True, slots=True)
class _Outgoing:
    priority: int
    order: int
    pdus: list[bytes] = field(compare=False)
    done: asyncio.Future[list[int]] = field(compare=False)
    started: Callable[[], None] | None = field(compare=False)
    references: list[int] = field(compare=False, default_factory=list)


class ModemSession:
    """Sends and receives on one modem. `run` is supervised by others; `send` works while it runs."""

    def __init__(self, settings: ModemSettings, clock: Clock, listener: ModemListener) -> None:
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._facts = Facts()
        self._wake = asyncio.Event()
        self._inbox = Inbox(listener, clock, self._facts, self._wake.set)
        self._queue: list[_Outgoing] = []
        self._order = itertools.count()
        self._problem: Problem | None = Problem("modem starts", retryable=True)
        self._takes = True  # notices may be queued: up, or climbing the first time
        self._resets = 0
        self._climb_due = False
        self._poll_at = 0
        self._failures = 0
        self._cycle_from = 0
        self._registered_at = 0
        self.status = ModemStatus()
        self.time: NetworkTime | None = None  # what its clock said last

    def refuse_pin(self) -> None:
        """Remember from an earlier run that the configured PIN is wrong: it is not tried again."""
        self._facts.pin_refused = True

    async def run(self) -> None:
        """Open the port, keep the modem up, send and receive until cancelled.

        Raises:
            LinkDown: the port is gone or the modem does not answer after all that can be done from here.
        """
        reason = "modem session ended"
        try:
            await self._run()
        except LinkDown as error:
            reason = str(error)
            raise
        finally:
            self._down(Problem(reason, retryable=True))

    async def send(
        self,
        number: str,
        text: str,
        *,
        priority: int,
        reference: int,
        report: bool = True,
        started: Callable[[], None] | None = None,
    ) -> list[int]:
        """Hand a text to the network; return the network's reference (0-255) of every part.

        Args:
            number: as people write it; + for international.
            text: any length up to 255 parts.
            priority: lower goes first; between parts too.
            reference: of the long message, modulo 256; not the same for two texts to one phone within minutes.
            report: ask for status reports.
            started: called just before the first byte leaves.

        Raises:
            DeliveryError: not handed over; says whether another try can help. Parts may have left.
        """
        try:
            parts = submit_parts(number, text, reference=reference, report=report, validity=VALIDITY)
            pdus = [encode(part) for part in parts]
        except ValueError as error:
            raise DeliveryError(str(error), retryable=False) from error
        if not self._takes and self._problem is not None:
            raise DeliveryError(self._problem.reason, retryable=self._problem.retryable)
        done: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, _Outgoing(priority, next(self._order), pdus, done, started))
        self._wake.set()
        return await done

    def accepted(self, token: str) -> None:
        """Free what `ModemListener.replied` gave out under `token`: it is committed."""
        self._inbox.accepted(token)

    async def _run(self) -> None:
        port = SerialPort.open(self._settings.port, baudrate=self._settings.baudrate)
        link = AtLink(port, self._clock, self._heard)
        tasks = [asyncio.create_task(self._work(link)), asyncio.create_task(link.listen())]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            port.close()

    async def _work(self, link: AtLink) -> None:
        self._resets = 0
        while True:
            self._climb_due = False
            try:
                problem = await climb(
                    link,
                    self._clock,
                    self._facts,
                    pin=self._settings.pin,
                    service_centre=self._settings.service_centre,
                )
            except TimeoutError:
                await self._reset(link)
                continue
            self._resets = 0
            if problem is not None:
                self._down(problem)
                await self._wait(REST_SECONDS)
                continue
            try:
                await self._serve(link)
            except TimeoutError:  # the ladder begins with asking whether the modem still answers
                self._listener.counted("timeout")

    async def _serve(self, link: AtLink) -> None:
        """Work until the modem has to climb again."""
        self._problem = None
        self._takes = True
        self._inbox.begin()
        self._poll_at = self._clock.mono() + round(POLL_SECONDS * SECOND)
        self._registered_at = self._registered_at or self._clock.mono()
        chores = 0
        while not self._climb_due:
            self._tell()
            if self._radio_hangs():
                await self._cycle(link)
            elif self._inbox.waiting and (chores < CHORES_PER_PART or not self._queue):
                chores += 1
                await self._inbox.chore(link)
            elif self._clock.mono() >= self._poll_at:
                await self._poll(link)
            elif self._queue:
                chores = 0
                await self._send_part(link, heapq.heappop(self._queue))
            else:
                await self._wait((self._poll_at - self._clock.mono()) / SECOND)

    async def _send_part(self, link: AtLink, job: _Outgoing) -> None:
        if job.done.done():  # nobody waits for it any more
            return
        if job.started is not None and not job.references:
            job.started()
        pdu = job.pdus[len(job.references)]
        try:
            answer = await link.submit(f"AT+CMGS={tpdu_length(pdu)}", pdu.hex().upper())
        except BaseException as error:  # silence, a lost link, the end: whoever waits is told, then it goes its way
            uncertain = not isinstance(error, NoPrompt)
            _fail(job, Problem("the modem gave no answer to the message", retryable=True, uncertain=uncertain))
            self._failures += 1
            raise
        if not answer.ok:
            _fail(job, Problem(answer.final.reason, answer.final.retryable))
            self._refused(answer.final.number, retryable=answer.final.retryable)
            return
        self._failures = 0
        reference = "".join(answer.fields("+CMGS")[:1])
        job.references.append(int(reference) if reference.isdecimal() else -1)
        if len(job.references) < len(job.pdus):
            heapq.heappush(self._queue, job)
        elif not job.done.done():
            job.done.set_result(job.references)

    def _refused(self, number: int | None, *, retryable: bool) -> None:
        """React to a refusal; the notice itself has been answered already."""
        self._listener.counted("refused")
        if number in STORAGE_FULL:
            self._inbox.list_soon()
        if number is None:  # no error number: the module has started anew and lost its settings
            self._climb_due = True
        self._failures = self._failures + 1 if retryable else 0

    def _radio_hangs(self) -> bool:
        """Modules stop sending after days, or never register again, until their radio is switched off and on."""
        now = self._clock.mono()
        if self._facts.registered:
            self._registered_at = now
        lost = now - self._registered_at >= UNREGISTERED
        return now >= self._cycle_from and (lost or self._failures >= FAILURES)

    async def _cycle(self, link: AtLink) -> None:
        self._failures = 0
        self._cycle_from = self._clock.mono() + CYCLE_PAUSE
        self._listener.counted("radio_cycled")
        await link.ask("AT+CFUN=0", limit=CYCLE_LIMIT)
        await link.ask("AT+CFUN=1", limit=CYCLE_LIMIT)
        self._climb_due = True

    async def _poll(self, link: AtLink) -> None:
        self._poll_at = self._clock.mono() + round(POLL_SECONDS * SECOND)
        if not await look(link, self._facts):
            self._climb_due = True  # the ladder says what is wrong, or puts it right
        self.time = await ask_time(link, self._clock)
        self._inbox.tidy()

    async def _reset(self, link: AtLink) -> None:
        """The modem fell silent on the ladder: reset the module, the second time give the port back."""
        if self._resets:
            raise LinkDown(f"{self._settings.port}: modem does not answer")
        self._resets += 1
        self._listener.counted("modem_reset")
        self._down(Problem("modem does not answer", retryable=True))
        with suppress(TimeoutError):
            await link.command("AT+CFUN=1,1")
        await self._clock.sleep(RESET_SECONDS)

    async def _wait(self, seconds: float) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with self._clock.timeout(max(0.0, seconds)):
                await self._wake.wait()

    def _heard(self, line: Unsolicited) -> None:
        name = line.text.partition(":")[0].upper()
        if name in ("+CMTI", "+CDSI", "+CMT", "+CDS"):
            self._inbox.announced(line)
        elif name == "+CREG":
            self._facts.circuit = registration(fields(line.text))
        elif name == "+CEREG":
            self._facts.packet = registration(fields(line.text))
        elif name in ("+CPIN", "RDY", "SMS READY"):  # the SIM came or went, or the module started anew
            self._climb_due = True
        elif name in ("+SMS FULL", "SMS FULL"):
            self._inbox.list_soon()
        self._wake.set()

    def _down(self, problem: Problem) -> None:
        self._problem = problem
        self._takes = False
        queued, self._queue = self._queue, []
        for job in queued:
            _fail(job, problem)
        self._tell()

    def _tell(self) -> None:
        status = self._facts.status(self._problem)
        if status != self.status:
            self.status = status
            self._listener.changed(status)


def _fail(job: _Outgoing, problem: Problem) -> None:
    if not job.done.done():
        error = DeliveryError(problem.reason, retryable=problem.retryable, uncertain=problem.uncertain)
        job.done.set_exception(error)
