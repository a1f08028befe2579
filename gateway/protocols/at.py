"""AT command talk: the bytes of a modem cut into answers, final results, prompts and unsolicited results.

Pure (house rule 2). `gateway.transport.modem` tells the parser what it has sent and feeds what comes back. Unsolicited
results may stand anywhere between the lines of an answer, echoed lines and garbage too (3GPP TS 27.007 clause 4,
ITU-T V.250 clause 5.7). Error numbers: TS 27.007 clause 9.2 (+CME) and TS 27.005 clause 3.2.5 (+CMS).
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LINE_LIMIT = 4096  # octets; the longest line we ask for is a PDU of some 350
_OPEN_LIMIT = 8
_ECHOES = 4

CMS_ERRORS = {
    8: "operator determined barring",
    10: "call barred",
    21: "short message transfer rejected",
    27: "destination out of service",
    28: "unidentified subscriber: bad number",
    29: "facility rejected",
    38: "network out of order",
    41: "temporary failure",
    42: "congestion",
    47: "resources unavailable",
    50: "no SMS on this plan",
    69: "facility not implemented",
    96: "invalid mandatory information",
    111: "protocol error",
    208: "SIM storage full",
    300: "modem failure",
    302: "operation not allowed",
    304: "invalid PDU",
    310: "no SIM",
    311: "SIM PIN required",
    313: "SIM failure",
    314: "SIM busy",
    315: "SIM wrong",
    320: "memory failure",
    321: "invalid memory index",
    322: "memory full",
    330: "no service centre number",
    331: "no network service",
    332: "network timeout",
    340: "no acknowledgement expected",
    500: "unknown error",
    513: "message too long",
    529: "sending not allowed",
    531: "modem storage full",
    532: "SIM refreshing",
}
CME_ERRORS = {
    3: "operation not allowed",
    4: "operation not supported",
    10: "no SIM",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    16: "wrong PIN",
    30: "no network service",
    31: "network timeout",
    32: "emergency calls only",
    50: "bad parameter",
    100: "unknown error",
}
_RETRYABLE = {"CMS": frozenset({38, 41, 42, 47, 331, 332, 500}), "CME": frozenset({14, 30, 31})}
STORAGE_FULL = frozenset({208, 322, 531})

_CALL_RESULTS = frozenset({"NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE"})
_BARE_UNSOLICITED = re.compile(
    r"RING|RDY|SMS FULL|SMS Ready|SMS DONE|Call Ready|PB DONE|MO RING|MO CONNECTED|NORMAL POWER DOWN|"
    r"(UNDER|OVER)-VOLTAGE.*|VOICE CALL:.*|MISSED_CALL:.*|DST:.*|BUSY|NO (CARRIER|ANSWER|DIALTONE)"
)
_NAMED = re.compile(r"[+^*$#%&]\s?[A-Z][A-Z0-9 ]*:?", re.IGNORECASE)
_COMMAND = re.compile(r"AT([+^*$#%&]?[A-Z]+)", re.IGNORECASE)
_ERROR = re.compile(r"\+(CM[ES]) ERROR:\s*(.*)")
_HEX = re.compile(r"[0-9A-F]{4,}", re.IGNORECASE)
_FOLLOWED_BY_PDU = {"+CMGR:": False, "+CMGL:": False, "+CMT:": True, "+CDS:": True}  # name: unsolicited
_LINE_END = re.compile(rb"[\r\n]")
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')  # outside quotes
_CLOCK = re.compile(r"(\d\d)/(\d\d)/(\d\d),(\d\d):(\d\d):(\d\d)([+-]\d{1,2})", re.ASCII)
_WIDEST_ZONE = 56  # quarters of an hour: UTC+14
_NOT_PRINTABLE = bytes(code for code in range(256) if not 0x20 <= code < 0x7F)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The modem waits for a PDU."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer; `pdu` is the hexadecimal line that followed it, if one belongs to it."""

    text: str
    pdu: str = ""


@dataclass(frozen=True, slots=True)
class Unsolicited:
    """A line that nobody asked for, with its PDU."""

    text: str
    pdu: str = ""


@dataclass(frozen=True, slots=True)
class Final:
    """The end of an answer. `number` is that of a +CME or +CMS error, named by `kind`."""

    text: str
    kind: str = ""
    number: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the command was done."""
        return self.text == "OK"

    @property
    def reason(self) -> str:
        """The error in words, with its number."""
        table = {"CMS": CMS_ERRORS, "CME": CME_ERRORS}.get(self.kind)
        if table is None or self.number is None:
            return self.text
        return f"+{self.kind} {self.number}: {table.get(self.number, 'vendor error')}"

    @property
    def retryable(self) -> bool:
        """Whether another try may help: passing conditions of network and SIM only."""
        return self.number in _RETRYABLE.get(self.kind, frozenset())


Token = Prompt | Line | Unsolicited | Final


def fields(text: str) -> list[str]:
    """Return what stands behind the name of a line: `+CMTI: "SM",3` → ["SM", "3"]."""
    rest = text.partition(":")[2].strip()
    return [field.strip().strip('"') for field in _COMMA.split(rest)] if rest else []


def clock_time(text: str) -> int | None:
    """Read a modem's clock, TS 27.007 clause 8.15: local time and its zone in quarters of an hour; s since 1970 UTC.

    None for what is no date, and for a clock without zone. Two digits of a year are of this century.
    """
    match = _CLOCK.fullmatch(text.strip())
    if match is None or abs(int(match[7])) > _WIDEST_ZONE:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        local = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int((local - timedelta(minutes=15 * int(match[7]))).timestamp())


class Parser:
    """Incremental: bytes as they come → tokens. Holds at most one line and a few headers that wait for their PDU."""

    def __init__(self) -> None:
        self.dropped = 0  # overlong lines
        self._buffer = bytearray()
        self._skipping = False
        self._command = ""
        self._prefix = ""
        self._prompt = False
        self._echoes: deque[str] = deque(maxlen=_ECHOES)
        self._open: list[tuple[str, bool]] = []  # headers that wait for their PDU, unsolicited or not

    def sent(self, command: str, *, prompt: bool = False) -> None:
        """Say what is in flight: a command (which may end in a prompt) or the PDU that answers a prompt."""
        self._echoes.append(command)
        self._prompt = prompt
        if command.upper().startswith("AT"):  # a PDU belongs to the command before it
            match = _COMMAND.match(command)
            self._command = command
            self._prefix = match[1].upper() + ":" if match else ""

    def done(self) -> None:
        """Say that nothing is in flight any more."""
        self._command = self._prefix = ""
        self._prompt = False

    def feed(self, data: bytes) -> list[Token]:
        """Take bytes; return the tokens that are complete."""
        self._buffer += data
        tokens: list[Token] = []
        while True:
            if self._prompt and self._buffer.lstrip(b"\r\n\x00 ").startswith(b">"):
                del self._buffer[: self._buffer.index(b">") + 1]
                self._prompt = False
                tokens.append(Prompt())
            end = _LINE_END.search(self._buffer)
            if end is None:
                break
            line = bytes(self._buffer[: end.start()])
            del self._buffer[: end.end()]
            if self._skipping:
                self._skipping = False
            else:
                self._line(line.translate(None, _NOT_PRINTABLE).decode("ascii").strip(), tokens)
        if len(self._buffer) > LINE_LIMIT:
            self._buffer.clear()
            self._skipping = True
            self.dropped += 1
        return tokens

    def _line(self, text: str, tokens: list[Token]) -> None:
        if not text or text in self._echoes:
            return
        if final := self._final(text):
            for header, unsolicited in self._open:
                if not unsolicited:
                    tokens.append(Line(header))
            self._open = [each for each in self._open if each[1]]
            tokens.append(final)
        elif self._open and _HEX.fullmatch(text):
            header, unsolicited = self._open.pop(self._owner(text))
            tokens.append(Unsolicited(header, text) if unsolicited else Line(header, text))
        else:
            self._named(text, tokens)

    def _named(self, text: str, tokens: list[Token]) -> None:
        name = text.partition(":")[0].upper() + ":"
        unsolicited = self._is_unsolicited(text, name)
        if _FOLLOWED_BY_PDU.get(name) == unsolicited:
            self._open.append((text, unsolicited))
            if len(self._open) > _OPEN_LIMIT:
                header, stale = self._open.pop(0)
                tokens.append(Unsolicited(header) if stale else Line(header))
        else:
            tokens.append(Unsolicited(text) if unsolicited else Line(text))

    def _is_unsolicited(self, text: str, name: str) -> bool:
        if not self._command:
            return True
        if name == self._prefix:
            # `+CREG: 1` comes by itself, `+CREG: 0,1` is the answer to AT+CREG?
            return self._command.endswith("REG?") and "," not in text
        return bool(_NAMED.match(text) or _BARE_UNSOLICITED.fullmatch(text))

    def _final(self, text: str) -> Final | None:
        if text in ("OK", "ERROR"):
            return Final(text)
        if match := _ERROR.fullmatch(text):
            return Final(text, match[1], int(match[2]) if match[2].isdecimal() else None)
        if text in _CALL_RESULTS and self._command.upper().startswith(("ATD", "ATA")):
            return Final(text)
        return None

    def _owner(self, pdu: str) -> int:
        """Which open header a PDU belongs to: the latest that announced its length, else the latest."""
        octets = len(pdu) // 2 - 1 - int(pdu[:2], 16)
        for place in range(len(self._open) - 1, -1, -1):
            if fields(self._open[place][0])[-1:] == [str(octets)]:
                return place
        return len(self._open) - 1
