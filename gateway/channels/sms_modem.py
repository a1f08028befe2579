"""SMS through a modem of our own: notices out, replies and delivery receipts in.

A channel plug-in (`gateway.model.ports`) over the one AT session of its port. Keeps house rule 4: a reply is deleted
from the modem only when it is committed (`accepted`); and the order of classes: the more urgent notice goes first, also
between the parts of a long one. A receipt of the network is a bonus: not every operator sends them, and none says that
a person has read the text.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from gateway.clock import HOUR, SECOND, Clock
from gateway.errors import ConfigError
from gateway.model.modem import ModemStatus, NetworkTime
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason, Receipt, Reply
from gateway.model.ports import Channel, ChannelSetup, LinkReport, Memory
from gateway.protocols.smsparts import Received
from gateway.protocols.smspdu import Outcome, StatusReport
from gateway.transport.modem import ModemSession, ModemSettings

REPORT_WINDOW = 48 * HOUR  # references of the network wrap at 256
REMEMBERED = 512
_EARLY = 32  # receipts that overtake the end of their message
_TAIL = 8  # digits by which numbers with and without country code are compared
_ASKING = (NotifyReason.RAISED, NotifyReason.ESCALATED, NotifyReason.REPEATED)


class OPTIONS(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[channel]]` of this kind, beside id and kind."""

    port: str
    baudrate: int = 115200
    pin: str = ""
    service_centre: str = ""  # only where the SIM names none
    report: bool = True  # ask the network for delivery receipts


def create(setup: ChannelSetup) -> Channel:
    """Make the channel. Raises ConfigError: unknown or wrong keys."""
    try:
        options = msgspec.convert(setup.spec.options, OPTIONS)
    except msgspec.ValidationError as error:
        raise ConfigError(f"channel {setup.spec.id}: {error}") from error
    return SmsModem(setup.spec.id, options, setup.clock, setup.memory, setup.report)


@dataclass(slots=True)
class _Sent:
    """A notice on its way; `parts` are the network references that were not reported yet."""

    notice: int
    number: str
    at: int
    parts: set[int]


class SmsModem:
    """The channel, and the listener of its modem session."""

    def __init__(self, name: str, options: OPTIONS, clock: Clock, memory: Memory, report: LinkReport) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._memory = memory
        self._report = report
        self._tell: Callable[[Input], None] | None = None
        self._state: tuple[bool, str] | None = None
        self._sent: deque[_Sent] = deque(maxlen=REMEMBERED)
        self._early: deque[tuple[StatusReport, int]] = deque(maxlen=_EARLY)
        settings = ModemSettings(
            port=options.port, baudrate=options.baudrate, pin=options.pin, service_centre=options.service_centre
        )
        self._session = ModemSession(settings, clock, self)
        self._pin_kept = bool(options.pin) and _refused(memory.get(self._pin_key()), options.pin)
        if self._pin_kept:
            self._session.refuse_pin()

    async def run(self, tell: Callable[[Input], None]) -> None:
        """Keep the modem up until cancelled; LinkDown when the port or the modem is gone."""
        self._tell = tell
        await self._session.run()

    async def send(self, notice: Notification) -> Receipt:
        """Hand a notice to the network; DeliveryError when it was not taken."""
        number = dialled(notice.address)
        references = await self._session.send(
            number,
            notice.text,
            priority=2 * notice.alarm_class + (notice.reason not in _ASKING),  # who must act before who is informed
            reference=notice.id + 128 * notice.repeat,  # a marked text has other parts: a phone must not mix them
            report=self._options.report,
        )
        now = self._clock.mono()
        entry = _Sent(notice.id, number, now, set(references))
        self._sent.append(entry)
        for early in list(self._early):
            if early[1] >= now - REPORT_WINDOW and _matches(entry, early[0], now):
                self._early.remove(early)
                self._settle(entry, early[0], now)
        return Receipt(notice=notice.id, state=DeliveryState.SENT, at=now, reference=tuple(references))

    def accepted(self, token: str) -> None:
        """A reply is committed: the modem may forget it."""
        self._session.accepted(token)

    def modem(self) -> ModemStatus:
        """Return how the modem is."""
        return self._session.status

    def network_time(self) -> NetworkTime | None:
        """Return what the modem's clock said last."""
        return self._session.time

    def replied(self, message: Received, token: str) -> None:
        """Hand a reply to the intake."""
        reply = Reply(
            channel=self._name,
            number=message.number,
            text=message.text,
            at=self._clock.mono(),
            token=token,
            sent=0 if message.sent is None else round(message.sent.timestamp()) * SECOND,
        )
        self._put(reply)

    def reported(self, report: StatusReport) -> None:
        """Find the notice of a receipt of the network, the newest first."""
        now = self._clock.mono()
        for entry in reversed(self._sent):
            if _matches(entry, report, now):
                self._settle(entry, report, now)
                return
        self._early.append((report, now))
        self.counted("report_unmatched")

    def changed(self, status: ModemStatus) -> None:
        """Say whether the channel works; remember a refused PIN over restarts: the third one locks the SIM."""
        if status.pin_refused and self._options.pin and not self._pin_kept:
            self._pin_kept = True
            self._memory.put(self._pin_key(), _fingerprint(self._options.pin, os.urandom(16)))
        if status.up:
            self._report.alive()
        state = (status.up, status.reason)
        if state != self._state:
            self._state = state
            self._put(ChannelState(channel=self._name, up=status.up, at=self._clock.mono(), reason=status.reason))

    def counted(self, what: str) -> None:
        """Count for `doctor`."""
        self._report.count(what)

    def _settle(self, entry: _Sent, report: StatusReport, now: int) -> None:
        """A notice is delivered when all its parts are, failed when one is."""
        if report.outcome is Outcome.WAITING:
            return
        entry.parts.discard(report.reference)
        if report.outcome is Outcome.FAILED:
            entry.parts.clear()
            failure = f"network gave up: status {report.status:#04x}"
            self._put(Receipt(notice=entry.notice, state=DeliveryState.FAILED_FOR_GOOD, at=now, failure=failure))
        elif not entry.parts:
            self._put(Receipt(notice=entry.notice, state=DeliveryState.DELIVERED, at=now))

    def _put(self, item: Input) -> None:
        if self._tell is not None:
            self._tell(item)

    def _pin_key(self) -> str:
        return f"{self._name}.pin_refused"


def dialled(address: str) -> str:
    """Return a number as people write it without its spaces and signs; full-width digits become plain ones."""
    plain = unicodedata.normalize("NFKC", address)
    return "".join(char for char in plain if char.isascii() and (char.isdecimal() or char in "+*#"))


def _matches(entry: _Sent, report: StatusReport, now: int) -> bool:
    return (
        report.reference in entry.parts
        and now - entry.at <= REPORT_WINDOW
        and entry.number[-_TAIL:] == report.number[-_TAIL:]
    )


def _fingerprint(pin: str, salt: bytes) -> str:
    """Return what is remembered of a PIN: it has ten thousand values, so that each guess must cost time."""
    return f"{salt.hex()}${hashlib.scrypt(pin.encode(), salt=salt, n=1 << 14, r=8, p=1).hex()}"


def _refused(kept: str | None, pin: str) -> bool:
    salt, found, _ = (kept or "").partition("$")
    return bool(found) and kept == _fingerprint(pin, bytes.fromhex(salt))
