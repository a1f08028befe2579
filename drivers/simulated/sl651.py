"""A simulated SL 651 station: it reports, repeats what is not confirmed, sends pictures in packets, answers questions.

Pure, for demo, `simulate` and tests: bytes in, bytes out; time is an argument (house rule 2). The far end of
`drivers.sl651`; keeps house rule 9: faults can be set at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.model.time import HOUR, MINUTE, SECOND
from gateway.protocols import sl651
from gateway.protocols.sl651 import ACK, ENQ, EOT, ESC, ETX, NAK, Coding, Frame, Function
from gateway.protocols.sl651_body import read
from gateway.protocols.sl651_elements import ELEMENTS, LEVEL_SERIES, RAIN_SERIES, SERIES_STEP, STATE, code_of
from gateway.protocols.sl651_frames import Frames
from gateway.protocols.sl651_message import Body, Element, Flaw, Parameter
from gateway.protocols.sl651_writing import (
    definition,
    head,
    split,
    write_elements,
    write_parameters,
    write_picture,
    write_station,
    write_text,
)

_LIKE_CONFIRMED = frozenset((EOT, ESC, ACK))
_LAST_SERIAL = 0xFFFF


@dataclass(slots=True)
class StationFault:
    """What is wrong with a station just now.

    Attributes:
        bad_crc: the last bit of the CRC is wrong.
        noise: bytes before every frame.
        cut: so many bytes at the end of every frame are lost.
        stray: one more 7E stands behind every frame.
        lost: numbers of packets that get lost on the way, each once.
        clock: seconds by which its clock is ahead.
        stuck_clock: it answers that its clock is set, and leaves it.
        missing: names of elements whose sensors have failed.
    """

    bad_crc: bool = False
    noise: bytes = b""
    cut: int = 0
    stray: bool = False
    lost: set[int] = field(default_factory=set)
    clock: float = 0.0
    stuck_clock: bool = False
    missing: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Station:
    """One station. `offset`: its zone, s; `values`: what its sensors measure; `parameters`: what it is set to."""

    address: str
    kind: str = "H"
    centre: int = 1
    password: str = "1234"  # noqa: S105 - what stations are delivered with
    coding: Coding = Coding.HEX
    offset: int = 8 * 3600
    packet: int = 256
    values: dict[str, float] = field(default_factory=lambda: {"Z": 6.38, "VT": 12.5})
    state: int = 1 << 7  # cabinet closed, pump running
    version: str = "V1.0"
    parameters: dict[int, Parameter] = field(default_factory=dict)
    fault: StationFault = field(default_factory=StationFault)
    unanswered: dict[int, list[Frame]] = field(default_factory=dict)
    controls: list[tuple[int, bytes]] = field(default_factory=list)
    _serial: int = 0
    _frames: Frames = field(default_factory=Frames)

    # -- what it says by itself

    def report(self, wall: int, function: int = Function.TIMED, elements: Sequence[Element] | None = None) -> bytes:
        """Return a report of `elements`, or of all that it measures."""
        told = self.measured(wall) if elements is None else elements
        placed = [msgspec.structs.replace(each, station=self.address, kind=self.kind) for each in told]
        return self._sent(function, write_elements(self.coding, placed), wall)

    def hour(self, wall: int, rain: Sequence[float], levels: Sequence[float]) -> bytes:
        """Return the hour report: 12 times the rain (mm) and the relative level (m) of 5 minutes."""
        first = self._local(wall) // HOUR * HOUR - 11 * SERIES_STEP
        series = [
            self._element(code, values, first, definition_=form, step=SERIES_STEP)
            for code, values, form in ((RAIN_SERIES, rain, 0x60), (LEVEL_SERIES[0], levels, 0xC0))
        ]
        return self.report(wall, Function.HOUR, [*series, *self.measured(wall)])

    def uniform(self, wall: int, name: str, values: Sequence[float], step: int) -> bytes:
        """Return a report of values of one element, `step` ns apart."""
        first = self._local(wall) // MINUTE * MINUTE - (len(values) - 1) * step
        one = self._element(code_of(name), values, first, step=step)
        return self.report(wall, Function.UNIFORM, [one])

    def manual(self, wall: int, text: bytes) -> bytes:
        """Return a manual entry."""
        return self._sent(Function.MANUAL, write_text(self.coding, text), wall)

    def picture(self, wall: int, jpg: bytes) -> bytes:
        """Return a picture in packets; those that the fault names are lost."""
        body = write_station(self.coding, self.address, self.kind) + write_picture(self.coding, jpg)
        return self._sent(Function.PICTURE, body, wall, packets=True)

    def link(self, wall: int) -> bytes:
        """Return a sign of life: it has the serial number of the last report, and is never answered."""
        body = head(self.coding, max(self._serial, 1), self._local(wall) // SECOND * SECOND)
        return self._wire(self._frame(Function.LINK, body))

    def again(self) -> bytes:
        """Return what was not confirmed, once more."""
        return b"".join(self._wire(frame) for frames in self.unanswered.values() for frame in frames)

    def measured(self, wall: int) -> list[Element]:
        """Return what its sensors measure and the state of the station, as elements of this minute."""
        observed = self._local(wall) // MINUTE * MINUTE
        found = [
            self._element(code_of(name), (value,), observed, lost=name in self.fault.missing)
            for name, value in self.values.items()
        ]
        return [*found, self._element(STATE, (float(self.state),), observed, definition_=0x20)]

    # -- what it hears

    def hear(self, data: bytes, wall: int) -> bytes:
        """Take what the centre sends; return what is answered."""
        answered = b""
        for found in self._frames.feed(data):
            if isinstance(found, Frame) and found.down and found.station == self.address:
                answered += self._taken(found, wall)
        return answered

    def _taken(self, frame: Frame, wall: int) -> bytes:
        body = read(frame)
        waiting = self.unanswered.get(body.serial, [])
        if frame.end in _LIKE_CONFIRMED:
            self.unanswered.pop(body.serial, None)
        elif frame.end == NAK:
            lacking = [each for each in waiting if each.sequence == frame.sequence]
            return b"".join(self._wire(msgspec.structs.replace(each, end=ETX)) for each in lacking)
        elif frame.end == ENQ:
            return self._answer(frame.function, body, wall)
        return b""

    def _answer(self, function: int, asked: Body, wall: int) -> bytes:
        station = write_station(self.coding, self.address)
        rest = station
        if function in (Function.ASK_NOW, Function.ASK_ELEMENTS, Function.ASK_RANGE):
            names = {each.code for each in asked.parameters}
            told = [each for each in self.measured(wall) if not names or each.code in names]
            placed = [msgspec.structs.replace(each, station=self.address, kind=self.kind) for each in told]
            return self._sent(function, write_elements(self.coding, placed), wall, kept=False)
        if function == Function.STATE:
            plain = Element(code=STATE, values=(float(self.state),), definition=0x20, station=self.address)
            rest = write_elements(self.coding, [plain])
        elif function == Function.VERSION:
            rest += bytes((len(self.version),)) + self.version.encode()
        elif function in (Function.WRITE_BASIC, Function.WRITE_RUN):
            self.parameters |= {each.code: each for each in asked.parameters}
            rest += write_parameters(asked.parameters)
        elif function in (Function.READ_BASIC, Function.READ_RUN):
            rest += write_parameters(each for code, each in self.parameters.items() if code in _codes(asked))
        elif function == Function.SET_CLOCK and not self.fault.stuck_clock:
            self.fault.clock = (asked.sent - self.offset * SECOND - wall) / SECOND
        elif function == Function.COUNTERS:
            rest += bytes(64)
        elif function in range(Function.CLEAR_STORAGE, Function.COUNTERS):
            self.controls.append((function, asked.rest or write_parameters(asked.parameters)))
        return self._sent(function, rest, wall, kept=False)

    # -- frames

    def _element(
        self,
        code: int,
        values: Sequence[float],
        observed: int,
        *,
        definition_: int = 0,
        step: int = 0,
        lost: bool = False,
    ) -> Element:
        row = ELEMENTS.get(code)
        below = any(value < 0 for value in values)  # the minus sign takes a byte of its own
        form = definition_ or (definition(3, 1) if row is None else definition(row.width + below, row.decimals))
        return Element(
            code=code,
            values=() if lost else tuple(values),
            flaw=Flaw.MISSING if lost else Flaw.NONE,
            definition=form,
            observed=observed,
            step=step,
        )

    def _local(self, wall: int) -> int:
        return wall + self.offset * SECOND + round(self.fault.clock * SECOND)

    def _frame(self, function: int, body: bytes) -> Frame:
        return Frame(
            function=function,
            body=body,
            end=ETX,
            station=self.address,
            centre=self.centre,
            password=self.password,
            coding=self.coding,
        )

    def _sent(self, function: int, rest: bytes, wall: int, *, packets: bool = False, kept: bool = True) -> bytes:
        self._serial = self._serial % _LAST_SERIAL + 1
        body = head(self.coding, self._serial, self._local(wall) // SECOND * SECOND) + rest
        frame = self._frame(function, body)
        frames = split(frame, body, self.packet) if packets else [frame]
        if kept:
            self.unanswered[self._serial] = frames
        wired = b""
        for each in frames:
            if each.sequence in self.fault.lost:
                self.fault.lost.discard(each.sequence)
            else:
                wired += self._wire(each)
        return wired

    def _wire(self, frame: Frame) -> bytes:
        raw = sl651.encode(frame)
        fault = self.fault
        if fault.bad_crc:
            raw = raw[:-1] + bytes((raw[-1] ^ 1,))
        raw = raw[: -fault.cut] if fault.cut else raw
        return fault.noise + raw + (b"\x7e" if fault.stray else b"")


def _codes(asked: Body) -> set[int]:
    return {each.code for each in asked.parameters}
