"""The structures of SL 651-2014 bodies, and the small pieces they are made of: numbers, steps, series, parameters.

Pure, shared by `gateway.protocols.sl651_body` (HEX/BCD), `sl651_ascii` and `sl651_writing` (the way back). Follows SL
651-2014 section 6.3 and annex C. Keeps house section 11: a bad digit or an impossible date costs its own element.

Times are ns since 1970 on the station's own clock (no zone is applied); 0 stands for none or an impossible one.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from gateway.model.time import DAY, HOUR, MINUTE
from gateway.protocols.sl651_elements import LEVEL_SERIES, RAIN_SERIES

EXTENSION = 0xFF
_STEPS = (DAY, HOUR, MINUTE)


class Flaw(StrEnum):
    """Why an element has no value."""

    NONE = ""
    MISSING = "missing"  # the station says so: all F, all A, or M
    DIGITS = "bad_digits"
    EMPTY = "no_data"


class Problem(StrEnum):
    """What was wrong with a body; counted by the driver."""

    SHORT = "short_body"  # no serial number and send time
    SENT = "bad_send_time"
    OBSERVED = "bad_time"
    STEP = "bad_step"  # of a uniform report
    CUT = "element_cut_short"
    DIGITS = "bad_digits"  # in a series


class Element(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One element of a body.

    Attributes:
        code: identifier, with the extension byte for FFxx.
        values: NaN where the station says that it has none; empty when it is `flaw`ed or none of numbers.
        flaw: why a single value is none.
        station: ten hexadecimal characters.
        kind: letter of the station class, empty if none was given.
        observed: time of the first value.
        step: ns between values of a series, 0 for a single one.
        series: whether it is one of the hour series F4 to FC.
        definition: the definition byte of a HEX body, 0 in ASCII.
        data: the bytes as sent.
    """

    code: int
    values: tuple[float, ...] = ()
    flaw: Flaw = Flaw.NONE
    station: str = ""
    kind: str = ""
    observed: int = 0
    step: int = 0
    definition: int = 0
    data: bytes = b""

    @property
    def series(self) -> bool:
        """Whether it is one of the hour series (12 times 5 minutes)."""
        return self.code == RAIN_SERIES or self.code in LEVEL_SERIES


class Parameter(msgspec.Struct, frozen=True, gc=False):
    """A parameter of the station (functions 40 to 43, 47 to 49), or an element asked for: then without data."""

    code: int
    definition: int
    data: bytes = b""


class Body(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a body says. `serial` is -1 when the body is too short to have one; `text` is as sent."""

    serial: int = -1
    sent: int = 0
    elements: tuple[Element, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    text: bytes = b""
    picture: bytes = b""
    rest: bytes = b""
    problems: tuple[Problem, ...] = ()


def read_parameters(data: bytes) -> tuple[list[Parameter], bytes]:
    """Return the parameters (identifier, definition, data) in `data`, and what cannot be read behind them."""
    found = []
    at = 0
    while at + 1 < len(data):
        end = at + 2 + (data[at + 1] >> 3)
        if end > len(data):
            break
        found.append(Parameter(data[at], data[at + 1], data[at + 2 : end]))
        at = end
    return found, data[at:]


def read_names(data: bytes) -> tuple[list[Parameter], bytes]:
    """Return the identifiers (with their definitions) that a question names, and what is left."""
    found = []
    at = 0
    while at + 1 < len(data):
        extended = data[at] == EXTENSION
        if extended and at + 2 >= len(data):
            break
        code = 0xFF00 | data[at + 1] if extended else data[at]
        at += 2 + extended
        found.append(Parameter(code, data[at - 1]))
    return found, data[at:]


def is_missing(digits: str) -> bool:
    """Whether a station says by all F, or as some makers by all A, that it has no value. There is a digit at least."""
    return digits[0] in "fa" and digits.count(digits[0]) == len(digits)


def read_number(data: bytes, decimals: int) -> tuple[float, Flaw]:
    """Return the value of packed BCD (a first byte FF is the minus sign), NaN with the flaw when it is none."""
    digits = data.hex()
    if digits.isdecimal():  # no letter: the usual case
        return int(digits) / 10**decimals, Flaw.NONE
    if not digits:
        return math.nan, Flaw.EMPTY
    if is_missing(digits):
        return math.nan, Flaw.MISSING
    if digits.startswith("ff") and digits[2:].isdecimal():
        return 0.0 - int(digits[2:]) / 10**decimals, Flaw.NONE
    return math.nan, Flaw.DIGITS


def read_step(digits: str) -> int:
    """Return the ns of a time step `ddhhmm` of which one is not zero, 0 for none."""
    if not digits.isdecimal() or len(digits) != 6:
        return 0
    return sum(int(digits[2 * at : 2 * at + 2]) * unit for at, unit in enumerate(_STEPS))


def read_series(code: int, data: bytes) -> tuple[float, ...]:
    """Return the 12 values of F4 (mm) or F5 to FC (m), NaN where all bits are set."""
    if code == RAIN_SERIES:
        return tuple([math.nan if byte == 0xFF else byte / 10 for byte in data])
    words = [data[at] << 8 | data[at + 1] for at in range(0, len(data), 2)]
    return tuple([math.nan if word == 0xFFFF else word / 100 for word in words])
