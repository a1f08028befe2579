"""What lies behind a simulated modem: the network, the far phones and the SIM's storage.

Shipped fake (house rule 9), used by `drivers.simulated.modem`. Messages are real PDUs: what the gateway sends is
decoded here, what far phones write is encoded here. Everything that can go wrong is a plain attribute of `Faults`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

from gateway.clock import SECOND, Clock
from gateway.protocols.smsfields import address_type
from gateway.protocols.smsparts import Joiner, submit_parts
from gateway.protocols.smspdu import Deliver, StatusReport, Submit, encode

CHINA = timezone(timedelta(hours=8))
NO_NETWORK, NO_SIM = 331, 310


@dataclass(slots=True)
class Faults:
    """Faults on demand; change them at any time."""

    silent: bool = False  # no byte comes back
    sim: str = "READY"  # "" is an empty holder; SIM PIN asks for the PIN
    sim_busy: int = 0  # so many questions are answered with "busy"
    registration: int = 1
    registration_lte: int = 1
    signal: int = 23
    indications: tuple[str, ...] = ("2,1,0,1,0", "2,1,0,2,0", "2,1,0,0,0")  # AT+CNMI settings that are taken
    service_centre: str = "+8613800100500"
    refuse: deque[int] = field(default_factory=deque)  # +CMS errors of the next sends
    no_prompt: int = 0  # so many sends get no prompt
    no_result: int = 0  # … are taken but never answered
    noise: bytes = b""  # before every line
    interject: list[str] = field(default_factory=list)  # lines inside the next answers, one each
    garbled_reads: int = 0  # so many messages are read with a foreign line between head and body
    refused_commands: frozenset[str] = frozenset()  # answered with ERROR
    unanswered_commands: frozenset[str] = frozenset()
    clock: str = ""  # what AT+CCLK? shows instead of the network's time


@dataclass(frozen=True, slots=True)
class SentPart:
    """One message as it left: `at` is when the first byte of its command was seen (ns, monotonic)."""

    at: int
    message: Submit
    reference: int


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A text as the far phone shows it."""

    at: int
    number: str
    text: str
    parts: int


class Network:
    """Takes what the modem sends, keeps what it receives."""

    def __init__(self, clock: Clock, *, places: int, on_sms: Callable[[str, str], None] | None) -> None:
        self.sent: list[SentMessage] = []
        self.parts: list[SentPart] = []
        self.stored: dict[str, dict[int, tuple[int, bytes]]] = {"ME": {}, "SM": {}, "SR": {}}  # state, PDU
        self.places = places
        self.lost = 0  # messages for which there was no place
        self.report_status: int | None = 0x00  # None: the operator sends no reports
        self.ahead = 0  # s by which the network's time is ahead of the machine's
        self._clock = clock
        self._on_sms = on_sms
        self._joiner = Joiner()
        self._next = 0

    def submit(self, message: Submit, at: int) -> int:
        """Take one message; return its network reference."""
        self._next = self._next % 255 + 1
        self.parts.append(SentPart(at, message, self._next))
        arrived = Deliver(message.number, message.user, message.coding, message.number_type)
        for whole in self._joiner.add(arrived, at, at):
            first = min(tag for tag in whole.tags if isinstance(tag, int))
            self.sent.append(SentMessage(first, whole.number, whole.text, len(whole.tags)))
            if self._on_sms is not None:
                self._on_sms(whole.number, whole.text)
        return self._next

    def report(self, message: Submit, reference: int) -> bytes | None:
        """Return the status report of a message that asked for one."""
        if not message.report or self.report_status is None:
            return None
        now = self._now()
        return encode(StatusReport(reference, message.number, now, now, self.report_status, message.number_type))

    def written(self, number: str, text: str) -> list[bytes]:
        """Return the PDUs of a text that a far phone sends to us."""
        reference = len(self.sent) + sum(len(places) for places in self.stored.values())
        return [
            encode(Deliver(number, part.user, part.coding, address_type(number), sent=self._now()))
            for part in submit_parts(number, text, reference=reference)
        ]

    def keep(self, memory: str, pdu: bytes) -> int | None:
        """Store a PDU; return its index, None when there is no place (it is lost, as in life)."""
        places = self.stored[memory]
        if len(places) >= self.places:
            self.lost += 1
            return None
        index = next(free for free in range(1, self.places + 1) if free not in places)
        places[index] = (0, pdu)
        return index

    def clock(self) -> str:
        """Return the local time that the network tells, as AT+CCLK? shows it."""
        return self._now().strftime("%y/%m/%d,%H:%M:%S+32")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall() // SECOND + self.ahead, UTC).astimezone(CHINA)
