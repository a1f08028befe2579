"""The fields that SMS messages are made of: addresses, times, coding and user data with its header.

Pure (house rule 2), both directions, after 3GPP TS 23.040 clauses 9.1.2 and 9.2.3; `smspdu` puts them together. User
data is kept as octets or septets (`UserData.data`) and becomes text only on request, so that a character cut in two by
a far end can still be joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

from gateway.errors import ProtocolViolation
from gateway.protocols import gsm7

INTERNATIONAL = 0x91
UNKNOWN = 0x81
_ALPHANUMERIC = 0x50  # type of number, bits 6-4 of the type-of-address octet (9.1.2.5)
_TYPE_OF_NUMBER = 0x70
_DIGITS = "0123456789*#abc"
_ADDRESS_LIMIT = 20
_SMSC_LIMIT = 11  # type of address and ten octets
USER_DATA_LIMIT = 140


class Alphabet(Enum):
    """How user data is to be read (TS 23.038 clause 4)."""

    GSM7 = "gsm7"
    OCTETS = "octets"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Place of a part in a long message (9.2.3.24.1 and .8): `sequence` counts from 1 to `total`."""

    reference: int
    total: int
    sequence: int


@dataclass(frozen=True, slots=True)
class UserData:
    """TP-UD: `header` without its length octet; `data` one septet a byte for GSM7, else octets."""

    alphabet: Alphabet
    data: bytes
    header: bytes = b""

    @property
    def text(self) -> str:
        """The data as text; 8-bit data as Latin-1, units that are no text as U+FFFD."""
        return text_of(self.alphabet, self.data)

    @property
    def concatenation(self) -> Concatenation | None:
        """The place in a long message, if the header says one that can be."""
        for identifier, body in _elements(self.header):
            if (identifier, len(body)) in ((0x00, 3), (0x08, 4)):
                *reference, total, sequence = body
                if 1 <= sequence <= total:
                    return Concatenation(int.from_bytes(bytes(reference), "big"), total, sequence)
        return None


def text_of(alphabet: Alphabet, data: bytes) -> str:
    """Read user data as text."""
    if alphabet is Alphabet.GSM7:
        return gsm7.text_of(data)
    return data.decode("utf-16-be" if alphabet is Alphabet.UCS2 else "latin-1", errors="replace")


def alphabet_of(coding: int) -> Alphabet:
    """Read TP-DCS (TS 23.038 clause 4); compressed text is left as octets, reserved groups read as GSM7."""
    group = coding >> 4
    if group < 0x8:
        if coding & 0x20:
            return Alphabet.OCTETS
        return (Alphabet.GSM7, Alphabet.OCTETS, Alphabet.UCS2, Alphabet.GSM7)[coding >> 2 & 3]
    if group == 0xF:
        return Alphabet.OCTETS if coding & 0x04 else Alphabet.GSM7
    return Alphabet.UCS2 if group == 0xE else Alphabet.GSM7


def address_type(number: str) -> int:
    """Return the type of address of a number as people write it: + is international, the rest unknown."""
    return INTERNATIONAL if number.startswith("+") else UNKNOWN


class Reader:
    """A place in the octets of one PDU."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Octets not taken yet."""
        return len(self._data) - self._at

    def take(self, count: int, what: str) -> bytes:
        """Take `count` octets of `what`; ProtocolViolation when they are not there."""
        if count > self.left:
            raise ProtocolViolation(f"{what} cut short: {self.left} of {count} octets")
        start, self._at = self._at, self._at + count
        return self._data[start : self._at]

    def octet(self, what: str) -> int:
        """Take one octet of `what`."""
        return self.take(1, what)[0]


def read_smsc(reader: Reader) -> str:
    """RP service centre address: its length counts octets, not digits; empty means the one of the SIM."""
    length = reader.octet("service centre length")
    if length > _SMSC_LIMIT:
        raise ProtocolViolation(f"service centre of {length} octets")
    if length == 0:
        return ""
    number_type, *digits = reader.take(length, "service centre")
    return _digits_of(bytes(digits), 2 * len(digits), number_type)


def read_address(reader: Reader) -> tuple[str, int]:
    """TP-OA, TP-DA or TP-RA (9.1.2.5): the number with + when international, or a name; and its type octet."""
    count = reader.octet("address length")
    if count > _ADDRESS_LIMIT:
        raise ProtocolViolation(f"address of {count} digits")
    number_type = reader.octet("address type")
    octets = reader.take((count + 1) // 2, "address")
    if number_type & _TYPE_OF_NUMBER == _ALPHANUMERIC:
        return gsm7.text_of(gsm7.unpack(octets, count * 4 // 7)), number_type
    return _digits_of(octets, count, number_type), number_type


def _digits_of(octets: bytes, count: int, number_type: int) -> str:
    nibbles = [nibble for octet in octets for nibble in (octet & 0xF, octet >> 4)][:count]
    digits = "".join(_DIGITS[nibble] for nibble in nibbles if nibble != 0xF)
    return "+" + digits if number_type & _TYPE_OF_NUMBER == INTERNATIONAL & _TYPE_OF_NUMBER and digits else digits


def read_time(octets: bytes) -> datetime | None:
    """TP-SCTS (9.2.3.11): swapped digits, zone in quarter hours with its sign in bit 3; None if that is no time."""
    zone = (octets[6] & 0x7) * 10 + (octets[6] >> 4)
    shift = timedelta(minutes=-15 * zone if octets[6] & 0x8 else 15 * zone)
    year, month, day, hour, minute, second = ((octet & 0xF) * 10 + (octet >> 4) for octet in octets[:6])
    century = 1900 if year >= 90 else 2000
    try:
        return datetime(century + year, month, day, hour, minute, second, tzinfo=timezone(shift))
    except ValueError:
        return None


def read_user(reader: Reader, alphabet: Alphabet, *, with_header: bool) -> UserData:
    """TP-UDL and TP-UD (9.2.3.16, .24): the length counts septets for GSM7, octets otherwise, header included."""
    length = reader.octet("user data length")
    octets = (length * 7 + 7) // 8 if alphabet is Alphabet.GSM7 else length
    if octets > USER_DATA_LIMIT and alphabet is not Alphabet.GSM7:
        octets = reader.left  # no message is that long: some writers put septets there, take what came
    body = reader.take(octets, "user data")
    if not with_header:
        return UserData(alphabet, gsm7.unpack(body, length) if alphabet is Alphabet.GSM7 else body)
    if not body or body[0] + 1 > octets:
        raise ProtocolViolation("user data header longer than the user data")
    start = body[0] + 1
    header, data = body[1:start], body[start:]
    if alphabet is not Alphabet.GSM7:
        return UserData(alphabet, data, header)
    taken, fill = _septets_of_header(start)
    if taken > length:
        raise ProtocolViolation("user data header longer than the user data")
    return UserData(alphabet, gsm7.unpack(data, length - taken, fill=fill), header)


def _septets_of_header(octets: int) -> tuple[int, int]:
    """Return septets that a header with its length octet takes, and the fill bits behind it."""
    taken = (octets * 8 + 6) // 7
    return taken, taken * 7 - octets * 8


def _elements(header: bytes) -> list[tuple[int, bytes]]:
    """Information elements of a header; what follows a broken one is not read."""
    found = []
    at = 0
    while at + 2 <= len(header):
        end = at + 2 + header[at + 1]
        if end > len(header):
            break
        found.append((header[at], header[at + 2 : end]))
        at = end
    return found


def write_smsc(number: str) -> bytes:
    """Write the service centre part of a PDU; an empty number leaves it to the SIM."""
    if not number:
        return b"\x00"
    count, number_type, *digits = write_address(number, address_type(number))
    return bytes(((count + 1) // 2 + 1, number_type, *digits))


def write_address(number: str, number_type: int) -> bytes:
    """Write an address; ValueError when it cannot be dialled."""
    if number_type & _TYPE_OF_NUMBER == _ALPHANUMERIC:
        septets = gsm7.septets_of(number)
        if septets is None or len(septets) > 11:
            raise ValueError(f"{number!r} cannot be a sender")
        return bytes(((len(septets) * 7 + 3) // 4, number_type)) + gsm7.pack(septets)
    digits = number.removeprefix("+")
    if not 1 <= len(digits) <= _ADDRESS_LIMIT or any(digit not in _DIGITS for digit in digits):
        raise ValueError(f"{number!r} cannot be dialled")
    nibbles = [_DIGITS.index(digit) for digit in digits] + [0xF] * (len(digits) % 2)
    pairs = zip(nibbles[::2], nibbles[1::2], strict=True)
    return bytes((len(digits), number_type)) + bytes([high << 4 | low for low, high in pairs])


def write_time(moment: datetime | None) -> bytes:
    """Write TP-SCTS (9.2.3.11); None becomes zeros, which read back as None."""
    if moment is None:
        return bytes(7)
    shift = moment.utcoffset() if moment.tzinfo else UTC.utcoffset(None)
    quarters = round((shift or timedelta()) / timedelta(minutes=15))
    fields = (moment.year % 100, moment.month, moment.day, moment.hour, moment.minute, moment.second, abs(quarters))
    octets = bytearray(field % 10 << 4 | field // 10 for field in fields)
    octets[6] |= 0x08 if quarters < 0 else 0
    return bytes(octets)


def write_user(user: UserData) -> bytes:
    """Write TP-UDL and TP-UD; ValueError when they do not fit one message."""
    header = bytes((len(user.header),)) + user.header if user.header else b""
    if user.alphabet is Alphabet.GSM7:
        taken, fill = _septets_of_header(len(header)) if header else (0, 0)
        body, length = header + gsm7.pack(user.data, fill=fill), taken + len(user.data)
    else:
        body = header + user.data
        length = len(body)
    if len(body) > USER_DATA_LIMIT:
        raise ValueError(f"user data of {len(body)} octets does not fit one message")
    return bytes((length,)) + body
