"""From structures to SL 651-2014 bodies, in both codings: what simulated stations report, and what a centre asks.

Pure, the way back of `gateway.protocols.sl651_body`: what is written here reads as it was (house section 11). Follows
SL 651-2014 sections 6.3 and 6.6 and annex C.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gateway.model.time import DAY, HOUR, MINUTE
from gateway.protocols.sl651 import ENQ, ETB, ETX, MOST_PACKETS, Coding, Frame
from gateway.protocols.sl651_elements import LEVEL_SERIES, RAIN_SERIES, SERIES_LENGTH, STATE, STEP, name_of
from gateway.protocols.sl651_message import EXTENSION, Element, Flaw, Parameter
from gateway.protocols.sl651_times import digits_of

_TIME_MARK, _STATION_MARK, _TEXT_MARK, _PICTURE_MARK = b"\xf0\xf0", b"\xf1\xf1", b"\xf2\xf2", b"\xf3\xf3"
_STEP_DEFINITION = 0x18
_MISSING_WORD = "M"


def head(coding: Coding, serial: int, sent: int) -> bytes:
    """Return serial number and send time, with which every body begins. Raises ValueError."""
    if not 0 <= serial <= 0xFFFF:
        raise ValueError(f"serial number {serial} is outside 0..65535")
    digits = f"{serial:04X}{digits_of(sent, seconds=True)}"
    return bytes.fromhex(digits) if coding is Coding.HEX else digits.encode()


def definition(width: int, decimals: int) -> int:
    """Return the definition byte: five bits of width, three of decimals. Raises ValueError."""
    if not 0 <= width <= 31 or not 0 <= decimals <= 7:
        raise ValueError(f"{width} bytes with {decimals} decimals do not fit a definition byte")
    return width << 3 | decimals


def write_number(value: float, width: int, decimals: int) -> bytes:
    """Return packed BCD; NaN is a missing value, a first byte FF the minus sign.

    Raises:
        ValueError: it has more digits than there is room.
    """
    if math.isnan(value):
        return b"\xff" * width
    scaled = round(abs(value) * 10**decimals)
    room = width if value >= 0 or not scaled else width - 1
    digits = f"{scaled:0{2 * room}d}"
    if len(digits) > 2 * room or not room:
        raise ValueError(f"{value} does not fit {width} bytes with {decimals} decimals")
    return (b"" if room == width else b"\xff") + bytes.fromhex(digits)


def write_series(code: int, values: Sequence[float]) -> bytes:
    """Return the 12 values of F4 (mm) or F5 to FC (m). Raises ValueError."""
    if len(values) != SERIES_LENGTH:
        raise ValueError(f"an hour has {SERIES_LENGTH} values, not {len(values)}")
    width, scale = (1, 10) if code == RAIN_SERIES else (2, 100)
    none = (1 << 8 * width) - 1
    numbers = [none if math.isnan(value) else round(value * scale) for value in values]
    if any(not 0 <= number <= none for number in numbers):
        raise ValueError(f"{values} do not fit {width} bytes each")
    return b"".join(number.to_bytes(width, "big") for number in numbers)


def write_step(step: int) -> str:
    """Return the digits `ddhhmm` of a time step of whole days, hours or minutes. Raises ValueError."""
    for place, unit in enumerate((DAY, HOUR, MINUTE)):
        count, left = divmod(step, unit)
        if not left and 1 <= count <= 99:
            return "".join(f"{count if at == place else 0:02d}" for at in range(3))
    raise ValueError(f"no time step has {step} ns")


def write_elements(coding: Coding, elements: Iterable[Element], *, station: str = "") -> bytes:
    """Return the groups of elements: station and time stand before the first that they belong to.

    An element's `data` is sent as it stands when it has no values and is not missing; in HEX its `definition` says how
    values are written. `station` is the one that the header names: it is named again in every body.

    Raises:
        ValueError: a value does not fit its definition.
    """
    parts: list[bytes] = []
    known: tuple[str, str] | None = None
    observed = 0
    for element in elements:
        place = (element.station or station, element.kind)
        if place != known:
            parts.append(write_station(coding, *place))
            known, observed = place, 0
        if element.observed != observed:
            observed = element.observed
            digits = digits_of(observed, seconds=False)
            parts.append(_TIME_MARK + bytes.fromhex(digits) if coding is Coding.HEX else f"TT {digits} ".encode())
        parts.append(_hex_element(element) if coding is Coding.HEX else _ascii_element(element))
    return b"".join(parts)


def write_station(coding: Coding, station: str, kind: str = "") -> bytes:
    """Return the group that names a station and its class."""
    if coding is Coding.HEX:
        return _STATION_MARK + bytes.fromhex(station) + kind.encode()
    return f"ST {station} {kind} ".replace("  ", " ").encode()


def write_text(coding: Coding, text: bytes) -> bytes:
    """Return a manual entry (RGZS)."""
    return _TEXT_MARK + text if coding is Coding.HEX else b"RGZS " + text


def write_picture(coding: Coding, picture: bytes) -> bytes:
    """Return a picture (PIC)."""
    return _PICTURE_MARK + picture if coding is Coding.HEX else b"PIC " + picture


def write_parameters(parameters: Iterable[Parameter]) -> bytes:
    """Return parameters or, where they have no data, the names of what is asked (HEX/BCD)."""
    return b"".join(_code(each.code) + bytes((each.definition,)) + each.data for each in parameters)


def split(frame: Frame, body: bytes, size: int) -> list[Frame]:
    """Return a long report as SYN frames of at most `size` bytes each, with the addresses of `frame`.

    Raises:
        ValueError: more packets than can be numbered.
    """
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    if len(pieces) > MOST_PACKETS:
        raise ValueError(f"{len(pieces)} packets are more than {MOST_PACKETS}")
    return [
        Frame(
            function=frame.function,
            body=piece,
            end=ETX if number == len(pieces) else ETB,
            station=frame.station,
            centre=frame.centre,
            password=frame.password,
            coding=frame.coding,
            down=frame.down,
            total=len(pieces),
            sequence=number,
        )
        for number, piece in enumerate(pieces, 1)
    ]


def question(heard: Frame, function: int, sent: int, rest: bytes = b"", *, serial: int = 0, end: int = ENQ) -> Frame:
    """Return a downlink to the station that sent `heard`, in its coding: its body is head and `rest`."""
    return Frame(
        function=function,
        body=head(heard.coding, serial, sent) + rest,
        end=end,
        station=heard.station,
        centre=heard.centre,
        password=heard.password,
        coding=heard.coding,
        down=True,
    )


def _code(code: int) -> bytes:
    return bytes((EXTENSION, code & 0xFF)) if code > 0xFF else bytes((code,))


def _hex_element(element: Element) -> bytes:
    width, decimals = element.definition >> 3, element.definition & 0x07
    name = _code(element.code) + bytes((element.definition,))
    if element.code == RAIN_SERIES or element.code in LEVEL_SERIES:
        return name + write_series(element.code, element.values)
    if element.flaw is Flaw.MISSING:
        return name + b"\xff" * width
    if element.code == STATE and element.values:
        return name + int(element.values[0]).to_bytes(width, "big")
    if not element.values:
        return name + element.data
    numbers = b"".join(write_number(value, width, decimals) for value in element.values)
    if len(element.values) == 1:
        return name + numbers
    return bytes((STEP, _STEP_DEFINITION)) + bytes.fromhex(write_step(element.step)) + name + numbers


def _ascii_element(element: Element) -> bytes:
    name = name_of(element.code)
    if element.flaw is Flaw.MISSING:
        return f"{name} {_MISSING_WORD} ".encode()
    if element.code == RAIN_SERIES or element.code in LEVEL_SERIES:
        return f"{name} {write_series(element.code, element.values).hex().upper()} ".encode()
    if element.code == STATE and element.values:
        return f"{name} {int(element.values[0]):08X} ".encode()
    decimals = element.definition & 0x07
    values = [_MISSING_WORD if math.isnan(value) else f"{value:.{decimals}f}" for value in element.values]
    words = " ".join(values) if values else element.data.decode("latin-1")
    if len(values) < 2:
        return f"{name} {words} ".encode()
    digits = write_step(element.step)
    place = next(at for at in range(3) if digits[2 * at : 2 * at + 2] != "00")
    return f"DR{'DHN'[place]}{digits[2 * place : 2 * place + 2]} {name} {words} ".encode()
