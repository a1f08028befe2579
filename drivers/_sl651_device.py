"""One installed SL 651 station: elements of its reports → readings and events. Pure.

Made at load by `drivers/sl651.py`; what it can be asked is in `drivers._sl651_asking`. Keeps house section 6: a value
that the station says is missing is BAD and never nothing, an element without a point is kept as an event.

`decode` of a point:

| decode | meaning |
|---|---|
| element | name in the standard's table (`Z`, `PJ`, `VT`, `DRP`, `WP1` …) or identifier in hex (`7A`, `FF92`) |
| bit | of a binary element: this bit of ZT |
| field | `clock_error`: s by which the station's clock is ahead of ours, from the send time |
| scale, offset | value = sent * scale + offset (default 1 and 0); offset of DRZ1 to 8: the level base |
| ask and more | an output: what the station is asked, see `drivers._sl651_asking` |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from drivers._installing import each_key, options_of
from drivers._sl651_asking import Ask
from drivers._times import zone_of
from drivers._values import Reading, number_reader
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device
from gateway.model.ports import Decoded
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import SECOND
from gateway.protocols.sl651 import Frame, Function
from gateway.protocols.sl651_elements import ELEMENTS, STATE, STATE_TROUBLES, code_of, name_of
from gateway.protocols.sl651_message import Element, Flaw

Row = tuple[int, int, float, int]
Read = Callable[[float], Reading]

MISSING: Reading = (math.nan, quality(Level.BAD, Doubt.FAULT_VALUE))
UNREADABLE: Reading = (math.nan, quality(Level.BAD, Doubt.NOT_A_NUMBER))
READINGS = frozenset(
    (
        *range(Function.UNIFORM, Function.MANUAL),
        Function.ASK_NOW,
        Function.ASK_RANGE,
        Function.ASK_ELEMENTS,
        Function.PUMPS,
        Function.STATE,
    )
)
_FLAWS = {Flaw.MISSING: "缺测 missing", Flaw.DIGITS: "数字错误 bad digits", Flaw.EMPTY: "无数据 no data"}
_LATER = 1 << 63
_TROUBLES = sum(1 << bit for bit in STATE_TROUBLES)


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of a `[[device]]` on an sl651 source; what is not given comes from the profile's options.

    `address`: the station's ten characters, or its eight digits. `mode`: M1 nothing is answered, M2 and M3 reports are
    confirmed, M4 only what was asked for is expected. `answer_end`: ESC keeps the station on the line, EOT lets it go.
    `etb_answer`: the end mark of the answer to a report that says that more follows. `confirm_answers`: answers to our
    questions are confirmed too. `ask_missing`: packets of a long report that did not come are asked for. `password`,
    `centre`, `coding`: for questions to a station that has not spoken yet. `check_password`: what comes with another
    password is not taken for a reading. `series_time`: what the time before an hour series says. `ignore`: elements
    that are known to come and are not wanted: what no point takes of them is neither told nor counted.
    """

    address: str
    mode: Literal["M1", "M2", "M3", "M4"] = "M2"
    answer_end: Literal["ESC", "EOT"] = "ESC"
    etb_answer: Literal["ACK", "ESC", "EOT", "none"] = "ACK"
    confirm_answers: bool = False
    ask_missing: bool = True
    password: str = ""
    check_password: bool = False
    centre: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    coding: Literal["hex", "ascii"] = "hex"
    utc_offset: str = "+08:00"
    series_time: Literal["first", "last"] = "first"
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no address, password, zone or element. Raises ValueError, a line for each key."""
        each_key(
            [
                (
                    "address",
                    lambda: _digits(self.address, "the ten characters of the station, or its eight digits", 8, 10),
                ),
                ("password", lambda: _digits(self.password, "four characters", 0, 4)),
                ("check_password", lambda: _needed(self.check_password, self.password)),
                ("utc_offset", lambda: zone_of(self.utc_offset)),
                ("ignore", lambda: [code_of(name) for name in self.ignore]),
            ]
        )


def _digits(text: str, wanted: str, *lengths: int) -> None:
    if not all(character in "0123456789ABCDEFabcdef" for character in text):
        raise ValueError(f'"{text}": hexadecimal characters only')
    if len(text) not in lengths:
        raise ValueError(f'"{text}": {wanted}')


def _needed(wanted: bool, password: str) -> None:  # noqa: FBT001 - a key's value
    if wanted and not password:
        raise ValueError("needs a password")


class Decode(Ask, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point, see above."""

    element: str = ""
    bit: Annotated[int, msgspec.Meta(ge=0, le=31)] | None = None
    field: Literal["", "clock_error"] = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(slots=True)
class Installed:
    """A station as the conversation needs it.

    `fields`: code of an element → (point, reader). `untold`: bits of ZT that tell of a trouble and that no point takes.
    """

    id: str
    address: str
    options: DeviceOptions
    offset: int  # ns east of UTC
    point: int  # any of its points, for a sign of life
    events: int
    fields: dict[int, list[tuple[int, Read]]]
    clock: list[tuple[int, Read]]
    asks: dict[str, Ask]
    ignored: frozenset[int]
    untold: int = _TROUBLES

    def take(self, elements: tuple[Element, ...], into: Decoded) -> list[Element]:
        """Append the readings, oldest first; return the elements that no point takes."""
        unread: list[Element] = []
        rows = into.rows
        before = len(rows)
        last, ordered = 0, True
        for element in elements:
            fields = self.fields.get(element.code)
            if fields is None:
                self._untaken(element, unread, into)
                continue
            observed = element.observed
            time = observed - self.offset if observed else 0
            if element.step:
                if not time:
                    self._untaken(element, unread, into, "series_without_time")
                    continue
                ordered = False
                self._series(element, time, fields, rows)
                continue
            ordered = ordered and (time or _LATER) >= last
            last = time or _LATER
            value = element.values[0] if element.values else math.nan
            if element.code == STATE and element.values and int(value) & self.untold:
                self._untaken(element, unread, into)
            if element.flaw is Flaw.DIGITS:
                into.problems.append("bad_digits")
            nothing = UNREADABLE if element.flaw is Flaw.DIGITS else MISSING if value != value else None  # noqa: PLR0124 - NaN
            for point, read in fields:
                rows.append((point, time, *(nothing or read(value))))
        if not ordered:
            rows[before:] = sorted(rows[before:], key=lambda row: row[1] or _LATER)
        return unread

    def take_clock(self, sent: int, wall: int, into: Decoded) -> None:
        """Append how far the station's clock is off, where ours is to be trusted."""
        if self.clock and sent and wall:
            error = (sent - self.offset - wall) / SECOND
            into.rows += [(point, 0, *read(error)) for point, read in self.clock]

    def tell(self, text: str, raw: bytes, into: Decoded, *, sent: int = 0, code: EventCode = EventCode.INFO) -> None:
        """Append an event of the station."""
        into.events.append(Event(self.events, "", code, printable(text), sent - self.offset if sent else 0, raw))

    def refuses(self, frame: Frame) -> bool:
        """Whether the frame has not the password that it must have."""
        return self.options.check_password and frame.password != self.options.password.upper()

    def _untaken(self, element: Element, unread: list[Element], into: Decoded, why: str = "") -> None:
        """Count what no point takes, by its name: a table and two bytes of identifiers bound the names."""
        if element.code not in self.ignored:
            known = "unmapped_element" if element.code in ELEMENTS else "unknown_element"
            into.problems.append(why or f"{known}:{name_of(element.code)}")
            unread.append(element)

    def _series(self, element: Element, time: int, fields: list[tuple[int, Read]], rows: list[Row]) -> None:
        if element.series and self.options.series_time == "last":
            time -= element.step * (len(element.values) - 1)
        for number, value in enumerate(element.values):
            at = time + number * element.step
            nothing = MISSING if math.isnan(value) else None
            rows += [(point, at, *(nothing or read(value))) for point, read in fields]


def install(device: Device, ids: Mapping[str, int], stranger: int) -> Installed:
    """Return an installed station; `stranger` is the event point of the source. Raises ValueError, ConfigError."""
    options = options_of(device, DeviceOptions, strict=True)
    made = Installed(
        id=device.id,
        address=options.address.upper().rjust(10, "0"),
        options=options,
        offset=_offset(options.utc_offset),
        point=ids[f"{device.id}.{device.profile.points[0].name}"],
        events=ids.get(f"{device.id}.events", stranger),
        fields={},
        clock=[],
        asks={},
        ignored=frozenset(map(code_of, options.ignore)),
    )
    for spec in device.profile.points:
        decode = msgspec.convert(spec.decode, Decode)
        read = number_reader(spec, scale=decode.scale, offset=decode.offset)
        point = ids[f"{device.id}.{spec.name}"]
        if decode.element:
            whole, bits = (read, _TROUBLES) if decode.bit is None else (_bit(read, decode.bit), 1 << decode.bit)
            code = code_of(decode.element)
            made.fields.setdefault(code, []).append((point, whole))
            made.untold &= ~bits if code == STATE else _TROUBLES
        elif decode.field:
            made.clock.append((point, read))
        if decode.ask is not None:
            decode.check()
            made.asks[spec.name] = decode
    return made


def printable(text: str) -> str:
    """Return a text as it may go into messages: what stations write may hold control characters."""
    return text if text.isprintable() else "".join(mark if mark.isprintable() else " " for mark in text)


def element_text(element: Element) -> str:
    """Return e.g. `瞬时河道水位 Z = 28.96 m` or `7A = 29`."""
    row = ELEMENTS.get(element.code)
    name = name_of(element.code) if row is None else f"{row.chinese} {row.name}"
    unit = "" if row is None or row.unit == "1" else row.unit
    if element.code == STATE and element.values:
        word = int(element.values[0])
        troubles = [text for bit, text in STATE_TROUBLES.items() if word >> bit & 1]
        value = f"{word:08X} {', '.join(troubles)}"
    elif element.values:
        value = " ".join("缺测 missing" if math.isnan(each) else f"{each:.15g}" for each in element.values)
    else:
        value = _FLAWS.get(element.flaw) or element.data[:64].hex()
    return f"{name} = {value} {unit}".rstrip()


def _bit(read: Read, bit: int) -> Read:
    """Return the reader of one bit of a binary element."""
    mask, clear, set_ = 1 << bit, read(0.0), read(1.0)
    return lambda value: set_ if int(value) & mask else clear


def _offset(text: str) -> int:
    found = zone_of(text).utcoffset(None)
    return round(found.total_seconds()) * SECOND
