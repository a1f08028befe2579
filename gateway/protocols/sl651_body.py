"""What an SL 651-2014 body says: serial number, send time, elements with their times, parameters, text.

Pure, behind `gateway.protocols.sl651_frames`; ASCII bodies are read in `sl651_ascii`, the way back is `sl651_writing`.
Follows SL 651-2014 sections 6.3 and 6.6 and annex C. Keeps house section 11: what cannot be read is handed on as
`rest` with a closed problem, beside everything good.
"""

from __future__ import annotations

from gateway.protocols.sl651 import Coding, Frame, Function
from gateway.protocols.sl651_ascii import read_ascii
from gateway.protocols.sl651_elements import (
    CLASSES,
    FLOW_BATCH,
    LEVEL_SERIES,
    PICTURE,
    RAIN_SERIES,
    SERIES_LENGTH,
    SERIES_STEP,
    STATE,
    STATION,
    STEP,
    TEXT,
    TIME,
)
from gateway.protocols.sl651_message import (
    EXTENSION,
    Body,
    Element,
    Flaw,
    Parameter,
    Problem,
    is_missing,
    read_names,
    read_number,
    read_parameters,
    read_series,
    read_step,
)
from gateway.protocols.sl651_times import local_time

UNIFORM = frozenset({Function.UNIFORM, Function.ASK_RANGE})  # one element, its values until the body ends
CONFIGURATION = frozenset({*range(Function.WRITE_BASIC, Function.PUMPS), *range(0x47, 0x4A)})
# Behind the station address of these stands no class code; behind that of all others does.
_CLASSLESS = frozenset(range(Function.WRITE_BASIC, Function.READ_CLOCK + 1))
_RAW = frozenset({Function.VERSION, *range(Function.IC_CARD, Function.READ_CLOCK)})
_NAMING = frozenset({Function.ASK_ELEMENTS, Function.READ_BASIC, Function.READ_RUN})  # a question that names things
_CLASS_BYTES = {letter.encode()[0]: letter for letter in CLASSES}
_STATE_GROUP = b"\x45\x20"
_PHASES = frozenset(bytes((code,)) for code in range(0x70, 0x76))  # voltages and currents of a pump
_SERIES = frozenset({RAIN_SERIES, *LEVEL_SERIES})
_FIXED = _SERIES | {FLOW_BATCH, STATE, STEP}


def read(frame: Frame) -> Body:
    """Return what a frame says; of a downlink its question or its answer."""
    if frame.down:
        return _read_down(frame)
    if frame.coding is Coding.ASCII:
        return read_ascii(frame.body, frame.station)
    return read_hex(frame.function, frame.body, frame.station)


def read_hex(function: int, body: bytes, station: str) -> Body:
    """Return what the body of an uplink says; `station` is that of the header, until the body names one."""
    if len(body) < 8:
        return Body(rest=body, problems=(Problem.SHORT,))
    serial, sent = body[0] << 8 | body[1], local_time(body[2:8].hex())
    problems = () if sent else (Problem.SENT,)
    if len(body) == 8:
        return Body(serial=serial, sent=sent, problems=problems)
    reader = _Reader(function, body, station, list(problems))
    reader.read()
    return Body(
        serial=serial,
        sent=sent,
        elements=tuple(reader.elements),
        parameters=tuple(reader.parameters),
        text=reader.text,
        picture=reader.picture,
        rest=reader.rest,
        problems=tuple(reader.problems),
    )


def _read_down(frame: Frame) -> Body:
    """A confirmation has nothing but serial number and time; of ASCII downlinks the rest is kept as it stands."""
    ascii_ = frame.coding is Coding.ASCII
    head = 16 if ascii_ else 8
    if len(frame.body) < head:
        return Body(rest=frame.body, problems=(Problem.SHORT,))
    digits = frame.body[:head].decode("latin-1") if ascii_ else frame.body[:head].hex()
    sent, rest = local_time(digits[4:]), frame.body[head:]
    parameters: list[Parameter] = []
    if not ascii_ and frame.function in _NAMING:
        parameters, rest = read_names(rest)
    elif not ascii_ and frame.function in CONFIGURATION:
        parameters, rest = read_parameters(rest)
    try:
        serial = int(digits[:4], 16)
    except ValueError:
        return Body(rest=frame.body, problems=(Problem.SHORT,))
    problems = () if sent else (Problem.SENT,)
    return Body(serial=serial, sent=sent, parameters=tuple(parameters), rest=rest, problems=problems)


class _Reader:
    """Goes through the groups of one body from byte 8 on."""

    def __init__(self, function: int, body: bytes, station: str, problems: list[Problem]) -> None:
        self.elements: list[Element] = []
        self.parameters: list[Parameter] = []
        self.text = self.picture = self.rest = b""
        self.problems = problems
        self._function = function
        self._body = body
        self._station = station
        self._kind = ""
        self._observed = 0
        self._step: int | None = None  # ns; 0: one that cannot be read

    def read(self) -> None:
        """Read all groups, or as many as can be told apart."""
        at: int | None = 8
        body = self._body
        while at is not None and at < len(body):
            code = body[at]
            marked = at + 1 < len(body) and body[at + 1] == code
            if code == STATION and marked:
                at = self._take_station(at + 2)
            elif code == TIME and marked:
                at = self._take_time(at + 2)
            elif code == TEXT and marked:
                self.text, at = body[at + 2 :], None
            elif code == PICTURE and marked:
                self.picture, at = body[at + 2 :], None
            elif self._function in CONFIGURATION:
                self.parameters, self.rest = read_parameters(body[at:])
                self._left(self.rest)
                at = None
            elif self._function in _RAW:
                self.rest, at = body[at:], None
            else:
                at = self._take_element(at)

    def _left(self, rest: bytes) -> None:
        if rest:
            self.rest = rest
            self.problems.append(Problem.CUT)

    def _take_station(self, at: int) -> int | None:
        body = self._body
        if at + 5 > len(body):
            self._left(body[at - 2 :])
            return None
        self._station = body[at : at + 5].hex().upper()
        self._kind, self._observed, self._step = "", 0, None
        at += 5
        letter = _CLASS_BYTES.get(body[at]) if at < len(body) else None
        timed = body[at + 1 : at + 3] == bytes((TIME, TIME))
        classed = timed or self._function not in _CLASSLESS or _is_answer(self._function, body[at + 1 :])
        if (letter and classed) or (timed and body[at] != TIME):
            self._kind = letter or f"{body[at]:02X}"
            at += 1
        return at

    def _take_time(self, at: int) -> int | None:
        digits = self._body[at : at + 5].hex()
        if len(digits) < 10:
            self._left(self._body[at - 2 :])
            return None
        self._observed = local_time(digits)
        if not self._observed:
            self.problems.append(Problem.OBSERVED)
        return at + 5

    def _take_element(self, at: int) -> int | None:
        body, start = self._body, at
        code = body[at]
        at += 1
        if code == EXTENSION and at < len(body):
            code = 0xFF00 | body[at]
            at += 1
        if at >= len(body):
            self._left(body[start:])
            return None
        definition = body[at]
        at += 1
        fixed = code in _FIXED
        size = _size_of(code, definition, len(body) - at) if fixed else definition >> 3
        end = at + size
        if end > len(body):
            self._left(body[start:])
            return None
        data = body[at:end]
        if fixed:
            self._take_fixed(code, definition, data)
        elif self._step is not None and self._function in UNIFORM:
            self._take_uniform(code, definition, size, at)
            return None
        else:
            value, flaw = read_number(data, definition & 0x07)
            self._append(code, definition, data, () if flaw else (value,), flaw)
        return end

    def _take_fixed(self, code: int, definition: int, data: bytes) -> None:
        """Take what is not packed BCD."""
        if code == STEP:
            self._step = read_step(data.hex())
        elif code in _SERIES:
            self._append(code, definition, data, read_series(code, data), step=SERIES_STEP)
        elif code == STATE:
            flaw = Flaw.EMPTY if not data else Flaw.MISSING if is_missing(data.hex()) else Flaw.NONE
            values = () if flaw else (float(int.from_bytes(data, "big")),)
            self._append(code, definition, data, values, flaw)
        else:
            self._append(code, definition, data, ())

    def _take_uniform(self, code: int, definition: int, width: int, at: int) -> None:
        body, decimals = self._body, definition & 0x07
        if not self._step:
            self.problems.append(Problem.STEP)
            self.rest = body[at:]
            return
        count = (len(body) - at) // width if width else 0
        end = at + count * width
        read = [read_number(body[place : place + width], decimals) for place in range(at, end, width or 1)]
        if any(flaw is Flaw.DIGITS for _, flaw in read):
            self.problems.append(Problem.DIGITS)
        values = tuple([value for value, _ in read])
        flaw = Flaw.NONE if values else Flaw.EMPTY
        step = self._step if len(values) > 1 else 0
        self._append(code, definition, body[at:end], values, flaw, step=step)
        self._left(body[end:])

    def _append(
        self,
        code: int,
        definition: int,
        data: bytes,
        values: tuple[float, ...],
        flaw: Flaw = Flaw.NONE,
        *,
        step: int = 0,
    ) -> None:
        self.elements.append(
            Element(
                code=code,
                values=values,
                flaw=flaw,
                station=self._station,
                kind=self._kind,
                observed=self._observed,
                step=step,
                definition=definition,
                data=data,
            )
        )


def _is_answer(function: int, data: bytes) -> bool:
    """Whether this is whole: then what stands before it is a class code, although the standard has none there."""
    match function:
        case Function.STATE:
            return data[:2] == _STATE_GROUP
        case Function.PUMPS:
            return data[:1] in _PHASES
        case Function.VERSION:
            return bool(data) and data[0] == len(data) - 1
        case Function.COUNTERS:
            return len(data) % 2 == 0
        case Function.SET_CLOCK | Function.READ_CLOCK:
            return not data
    return False


def _size_of(code: int, definition: int, left: int) -> int:
    """Bytes of an element's data; those of the hour series are fixed, whatever their definition byte says."""
    if code == RAIN_SERIES:
        return SERIES_LENGTH
    if code in LEVEL_SERIES:
        return 2 * SERIES_LENGTH
    return left if code == FLOW_BATCH and definition == 0xF6 else definition >> 3
