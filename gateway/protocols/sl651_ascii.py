"""What an ASCII body of SL 651-2014 says: words parted by blanks, identifiers by their names.

Pure, called by `gateway.protocols.sl651_body`. Follows SL 651-2014 section 6.3 and annex C: four characters of serial
number and twelve digits of send time without a blank, then `identifier value `. `DRxnn` (D days, H hours, N minutes) is
a time step, `M` a missing value, DRP and DRZ1 to 8 are one word of hexadecimal characters, ZT is eight of them. No
capture of a real station is known: where the standard leaves open what a word is, it is kept as `rest`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from gateway.model.time import DAY, HOUR, MINUTE
from gateway.protocols.sl651_elements import (
    CLASSES,
    CODES,
    LEVEL_SERIES,
    RAIN_SERIES,
    SERIES_LENGTH,
    SERIES_STEP,
    STATE,
)
from gateway.protocols.sl651_message import Body, Element, Flaw, Problem, is_missing, read_series
from gateway.protocols.sl651_times import local_time

MISSING = "M"
_HEAD = 16
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{0,30})?", re.ASCII)
_STEP = re.compile(r"DR([DHN])(\d\d)", re.ASCII)
_UNITS = {"D": DAY, "H": HOUR, "N": MINUTE}
_VENDOR = re.compile(r"(?:0X)?(?:FF)?[0-9A-F]{2}")
_HEX = re.compile(r"[0-9A-F]+")
_STATION = re.compile(r"[0-9A-F]{10}")
_PACKED = frozenset({STATE, RAIN_SERIES, *LEVEL_SERIES})
_RAW_WORDS = re.compile(rb"(?:^| )(RGZS|PIC) ")


def read_ascii(body: bytes, station: str) -> Body:
    """Return what the body of an uplink says; `station` is that of the header, until the body names one."""
    head = body[:_HEAD].upper().decode("latin-1")
    if len(head) < _HEAD or not _HEX.fullmatch(head):
        return Body(rest=body, problems=(Problem.SHORT,))
    sent = local_time(head[4:])
    reader = _Reader(station, [] if sent else [Problem.SENT])
    rest = body[_HEAD:]
    text = picture = b""
    raw = _RAW_WORDS.search(rest)  # what follows them is carried as it is, blanks and all
    if raw is not None:
        tail, rest = rest[raw.end() :], rest[: raw.start()]
        text, picture = (tail, b"") if raw[1] == b"RGZS" else (b"", tail)
    reader.read(rest.decode("latin-1").split(" "))
    return Body(
        serial=int(head[:4], 16),
        sent=sent,
        elements=tuple(reader.elements),
        text=text,
        picture=picture,
        rest=" ".join(reader.unread).encode("latin-1"),
        problems=tuple(reader.problems),
    )


class _Reader:
    """Goes through the words of one body."""

    def __init__(self, station: str, problems: list[Problem]) -> None:
        self.elements: list[Element] = []
        self.unread: list[str] = []
        self.problems = problems
        self._station = station
        self._kind = ""
        self._observed = 0
        self._step = 0

    def read(self, words: list[str]) -> None:
        """Read all words; blanks too many mean nothing."""
        left = [word for word in words if word]
        at = 0
        while at < len(left):
            at = self._take(left, at)
        if self.unread:
            self.problems.append(Problem.CUT)

    def _take(self, words: list[str], at: int) -> int:
        word = _upper(words[at])
        value = _upper(words[at + 1]) if at + 1 < len(words) else ""
        step = _STEP.fullmatch(word)
        if word == "ST" and _STATION.fullmatch(value):
            self._station, self._kind, self._observed, self._step = value, "", 0, 0
            if at + 2 < len(words) and _upper(words[at + 2]) in CLASSES:
                self._kind = _upper(words[at + 2])
                return at + 3
        elif word == "TT" and value:
            self._observed = local_time(value)
            if not self._observed:
                self.problems.append(Problem.OBSERVED)
        elif step is not None:
            self._step = int(step[2]) * _UNITS[step[1]]
            if not self._step:
                self.problems.append(Problem.STEP)
            return at + 1
        elif value and (word in CODES or _VENDOR.fullmatch(word)):
            return self._take_element(word, words, at + 1)
        else:
            self.unread.append(words[at])
            return at + 1
        return at + 2

    def _take_element(self, word: str, words: list[str], at: int) -> int:
        code = CODES.get(word)
        code = int(word, 16) if code is None else code
        if code in _PACKED:
            self._take_packed(code, _upper(words[at]))
            return at + 1
        values = [words[at], *(_numbers(words, at + 1) if self._step else ())]
        read = [_value(_upper(value)) for value in values]
        single = len(read) == 1
        flaw = read[0][1] if single else Flaw.NONE
        if not single and any(flaw is Flaw.DIGITS for _, flaw in read):
            self.problems.append(Problem.DIGITS)
        numbers = () if flaw else tuple([value for value, _ in read])
        data = " ".join(values).encode("latin-1")
        self._add(Element(code=code, values=numbers, flaw=flaw, step=0 if single else self._step, data=data))
        return at + len(values)

    def _take_packed(self, code: int, word: str) -> None:
        size = 4 if code == STATE else SERIES_LENGTH * (1 if code == RAIN_SERIES else 2)
        data = word.encode("latin-1")
        if word == MISSING or (code == STATE and len(word) == 2 * size and is_missing(word.lower())):
            self._add(Element(code=code, flaw=Flaw.MISSING, data=data))
        elif len(word) != 2 * size or not _HEX.fullmatch(word):
            self._add(Element(code=code, flaw=Flaw.DIGITS, data=data))
        elif code == STATE:
            self._add(Element(code=code, values=(float(int(word, 16)),), data=data))
        else:
            values = read_series(code, bytes.fromhex(word))
            self._add(Element(code=code, values=values, step=SERIES_STEP, data=data))

    def _add(self, element: Element) -> None:
        self.elements.append(
            Element(
                code=element.code,
                values=element.values,
                flaw=element.flaw,
                station=self._station,
                kind=self._kind,
                observed=self._observed,
                step=element.step,
                data=element.data,
            )
        )


def _upper(word: str) -> str:
    """Return a word in capital letters: those of ASCII alone, for beyond them `upper` leaves Latin-1."""
    return word.encode("latin-1").upper().decode("latin-1")


def _numbers(words: list[str], at: int) -> Iterator[str]:
    """Yield the words that go on with a uniform series."""
    while at < len(words) and (_upper(words[at]) == MISSING or _NUMBER.fullmatch(words[at])):
        yield words[at]
        at += 1


def _value(word: str) -> tuple[float, Flaw]:
    if word == MISSING:
        return math.nan, Flaw.MISSING
    if not _NUMBER.fullmatch(word):
        return math.nan, Flaw.DIGITS
    return float(word) + 0.0, Flaw.NONE
