"""What an SL 651 station can be asked (mode M4): outputs of a profile → downlinks. Pure.

Beside `drivers._sl651_device`. Follows SL 651-2014 section 6.6.4. A point with `ask` in its `decode` is an output:

| decode | meaning |
|---|---|
| ask | function code, 0x37 … 0x51 |
| names | elements or parameters asked for (0x38, 0x3A, 0x41, 0x43): `Z`, or identifier and definition `7A:08` |
| step | 0x38: ns between values as a duration in minutes (5, 60); the value set is how many hours back |
| parameter | 0x40, 0x42: identifier and definition `27:08`; the value set is written there |
| bodies | value set → hexadecimal body behind the send time, for everything else (`{ "1" = "0101" }`) |

Without `names`, `parameter` and `bodies` the value to set is 1. What clears a storage or changes a password asks for
`bodies` of its own: no shipped profile has any.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from gateway.model.time import HOUR, MINUTE
from gateway.protocols.sl651 import Coding, Frame, Function
from gateway.protocols.sl651_elements import ELEMENTS, LEVEL_SERIES, RAIN_SERIES, code_of
from gateway.protocols.sl651_message import Parameter
from gateway.protocols.sl651_times import NO_TIME, digits_of
from gateway.protocols.sl651_writing import definition, question, write_number, write_parameters, write_step

_DANGEROUS = frozenset((Function.CLEAR_STORAGE, Function.FACTORY, Function.PASSWORD))
_CONTROLS = frozenset(range(Function.IC_CARD, Function.COUNTERS))
_STEP_HEAD = b"\x04\x18"


class Ask(msgspec.Struct, frozen=True):
    """The part of `decode` that makes a point an output, see above."""

    ask: Annotated[int, msgspec.Meta(ge=0x37, le=0x51)] | None = None
    names: tuple[str, ...] = ()
    step: Annotated[int, msgspec.Meta(ge=1)] = 60
    parameter: str = ""
    bodies: dict[str, str] = {}

    def check(self) -> None:
        """Say what is wrong. Raises ValueError."""
        for text in self.bodies.values():
            bytes.fromhex(text)
        [_named(name) for name in self.names]
        if self.parameter:
            _named(self.parameter)
        if self.ask in _DANGEROUS | _CONTROLS and not self.bodies:
            raise ValueError(f"ask = {self.ask:#04x} needs bodies")
        if self.ask in (Function.WRITE_BASIC, Function.WRITE_RUN) and not (self.parameter or self.bodies):
            raise ValueError(f"ask = {self.ask:#04x} needs a parameter")
        if self.ask == Function.ASK_RANGE:
            write_step(self.step * MINUTE)

    def frame(self, heard: Frame, value: float, local: int) -> Frame | None:
        """Return the downlink that asks it of the station that sent `heard`; None when this value cannot be.

        `local` is our time on the station's clock in ns, 0 when it is not to be trusted.
        """
        function = self.ask or 0
        rest = self._rest(value, local)
        timed = function in (Function.SET_CLOCK, Function.ASK_RANGE)
        if rest is None or (timed and not local) or (rest and heard.coding is Coding.ASCII):
            return None  # how ASCII questions are worded is not known well enough
        return question(heard, function, local or NO_TIME, rest)

    def _rest(self, value: float, local: int) -> bytes | None:
        if not math.isfinite(value):
            return None
        try:
            if self.bodies:
                text = self.bodies.get(f"{value:g}")
                return None if text is None else bytes.fromhex(text)
            if self.parameter:
                named = _named(self.parameter)
                data = write_number(value, named.definition >> 3, named.definition & 7)
                return write_parameters([Parameter(named.code, named.definition, data)])
            names = write_parameters(map(_named, self.names))
            if self.ask == Function.ASK_RANGE:
                span = digits_of(local - round(value * HOUR), seconds=False)[:8] + digits_of(local, seconds=False)[:8]
                return bytes.fromhex(span) + _STEP_HEAD + bytes.fromhex(write_step(self.step * MINUTE)) + names
        except (ValueError, OverflowError):  # of numbers that do not fit, and of hours before the calendar
            return None
        return names if value == 1 else None


def _named(text: str) -> Parameter:
    """Return the identifier with its definition; that of the table where none is given. Raises ValueError."""
    name, _, form = text.partition(":")
    code = code_of(name)
    if form:
        return Parameter(code, int(form, 16) & 0xFF)
    if code == RAIN_SERIES:
        return Parameter(code, 0x60)
    if code in LEVEL_SERIES:
        return Parameter(code, 0xC0)
    row = ELEMENTS.get(code)
    return Parameter(code, 0 if row is None else definition(row.width, row.decimals))
