"""SMS messages as a modem hands them over in PDU mode: SUBMIT, DELIVER and STATUS-REPORT, both directions.

Pure (house rule 2): bytes ↔ frozen message structures after 3GPP TS 23.040 clause 9.2. The modem session of
`gateway.transport` sends what `encode` makes and reads with `decode`; the simulated modem does the reverse. Splitting
a text and joining parts is `smsparts`, the fields are `smsfields`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from gateway.errors import ProtocolViolation
from gateway.protocols.smsfields import (
    UNKNOWN,
    Reader,
    UserData,
    alphabet_of,
    read_address,
    read_smsc,
    read_time,
    read_user,
    write_address,
    write_smsc,
    write_time,
    write_user,
)

_DELIVER, _SUBMIT, _STATUS_REPORT = 0, 1, 2
_BIT2, _SRR, _UDHI, _REPLY_PATH = 0x04, 0x20, 0x40, 0x80
_VALIDITY_LENGTHS = (0, 7, 1, 7)  # by validity period format: none, enhanced, relative, absolute (9.2.3.3)
NO_VALIDITY, RELATIVE = 0, 2


@dataclass(frozen=True, slots=True)
class Submit:
    """SMS-SUBMIT (9.2.2.2): from us to the network. `validity` holds the octets of TP-VP in the given format."""

    number: str
    user: UserData
    coding: int
    number_type: int = UNKNOWN
    smsc: str = ""
    reference: int = 0
    report: bool = False
    reject_duplicates: bool = False
    reply_path: bool = False
    protocol: int = 0
    validity_format: int = NO_VALIDITY
    validity: bytes = b""


@dataclass(frozen=True, slots=True)
class Deliver:
    """SMS-DELIVER (9.2.2.1): from the network to us. `sent` is the service centre's time, None when unreadable."""

    number: str
    user: UserData
    coding: int
    number_type: int = UNKNOWN
    smsc: str = ""
    sent: datetime | None = None
    protocol: int = 0


class Outcome(Enum):
    """What a status report means for a notice."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StatusReport:
    """SMS-STATUS-REPORT (9.2.2.3). Some modems cut it short: what is missing is None."""

    reference: int
    number: str
    sent: datetime | None = None
    discharged: datetime | None = None
    status: int | None = None
    number_type: int = UNKNOWN
    smsc: str = ""

    @property
    def outcome(self) -> Outcome:
        """TP-ST (9.2.3.15): below 20 done, 20 to 3F the centre still tries, from 40 given up; none says nothing yet."""
        if self.status is None or 0x20 <= self.status < 0x40:
            return Outcome.WAITING
        return Outcome.DELIVERED if self.status < 0x20 else Outcome.FAILED


Message = Submit | Deliver | StatusReport


def tpdu_length(pdu: bytes) -> int:
    """Return the octets without the service centre part: the figure of AT+CMGS, +CMGR and +CDS."""
    return len(pdu) - 1 - pdu[0]


def relative_validity(seconds: float) -> bytes:
    """Return the TP-VP octet (9.2.3.12.1) that is nearest to `seconds` without being shorter, at most 63 weeks."""
    minutes = seconds / 60
    for limit, unit, base in ((720, 5, -1), (1440, 30, 143 - 24), (43_200, 1440, 166)):
        if minutes <= limit:
            return bytes((max(0, int(-(-minutes // unit)) + base),))
    return bytes((min(255, int(-(-minutes // 10_080)) + 192),))


def decode(pdu: bytes, length: int | None = None) -> Message:
    """Read one PDU with its service centre part.

    Args:
        pdu: the octets as the modem showed them.
        length: TPDU octets that the modem announced; tells a PDU without service centre part.

    Raises:
        ProtocolViolation: with the reason, for anything that is not one of the three messages.
    """
    reader = Reader(pdu)
    smsc = "" if length == len(pdu) else read_smsc(reader)
    first = reader.octet("first octet")
    kind = first & 0x03
    if kind == _DELIVER:
        return _read_deliver(reader, first, smsc)
    if kind == _SUBMIT:
        return _read_submit(reader, first, smsc)
    if kind == _STATUS_REPORT:
        return _read_report(reader, smsc)
    raise ProtocolViolation(f"message type {kind} is reserved")


def encode(message: Message) -> bytes:
    """Write a message with its service centre part.

    Raises:
        ValueError: a number that cannot be dialled or user data that does not fit one message.
    """
    smsc = write_smsc(message.smsc)
    if isinstance(message, StatusReport):
        body = bytes((0x06, message.reference)) + write_address(message.number, message.number_type)
        status = 0 if message.status is None else message.status
        return smsc + body + write_time(message.sent) + write_time(message.discharged) + bytes((status,))
    udhi = _UDHI if message.user.header else 0
    address = write_address(message.number, message.number_type)
    coding = bytes((message.protocol, message.coding))
    if isinstance(message, Deliver):
        first = bytes((_DELIVER | _BIT2 | udhi,))
        return smsc + first + address + coding + write_time(message.sent) + write_user(message.user)
    first_octet = _SUBMIT | udhi | message.validity_format << 3
    first_octet |= _SRR * message.report | _BIT2 * message.reject_duplicates | _REPLY_PATH * message.reply_path
    head = bytes((first_octet, message.reference))
    return smsc + head + address + coding + message.validity + write_user(message.user)


def _read_deliver(reader: Reader, first: int, smsc: str) -> Deliver:
    number, number_type = read_address(reader)
    protocol, coding = reader.take(2, "protocol and coding")
    sent = read_time(reader.take(7, "service centre time"))
    user = read_user(reader, alphabet_of(coding), with_header=bool(first & _UDHI))
    return Deliver(number, user, coding, number_type, smsc, sent, protocol)


def _read_submit(reader: Reader, first: int, smsc: str) -> Submit:
    reference = reader.octet("reference")
    number, number_type = read_address(reader)
    protocol, coding = reader.take(2, "protocol and coding")
    validity_format = first >> 3 & 3
    validity = reader.take(_VALIDITY_LENGTHS[validity_format], "validity period")
    return Submit(
        number,
        read_user(reader, alphabet_of(coding), with_header=bool(first & _UDHI)),
        coding,
        number_type,
        smsc,
        reference,
        report=bool(first & _SRR),
        reject_duplicates=bool(first & _BIT2),
        reply_path=bool(first & _REPLY_PATH),
        protocol=protocol,
        validity_format=validity_format,
        validity=validity,
    )


def _read_report(reader: Reader, smsc: str) -> StatusReport:
    reference = reader.octet("reference")
    number, number_type = read_address(reader)
    sent = read_time(reader.take(7, "service centre time")) if reader.left >= 7 else None
    discharged = read_time(reader.take(7, "discharge time")) if reader.left >= 7 else None
    status = reader.octet("status") if reader.left else None
    return StatusReport(reference, number, sent, discharged, status, number_type, smsc)
