"""A simulated user information transmission device of GB/T 26875.3: it reports, repeats, beats and answers the centre.

Pure, for demo, `simulate` and tests: bytes in, bytes out; time is an argument (house rule 2). The far end of
`drivers.gb26875`; keeps house rule 9: faults can be set at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.protocols.gb26875 import USER_COMMANDS, Command, Frame, Frames, encode_frame, reply_to
from gateway.protocols.gb26875_objects import (
    NO_TIME,
    ComponentConfig,
    ComponentStatus,
    DeviceOperation,
    DeviceStatus,
    DeviceTime,
    DeviceVersion,
    DutyCheck,
    Object,
    ReadComponent,
    ReadSystem,
    SetTime,
    SystemStatus,
    SystemTime,
    SystemVersion,
)
from gateway.protocols.gb26875_units import LIMITS, decode_unit, encode_unit, text_bytes, time_tag

NORMAL, FIRE, FAULT = 0b1, 0b10, 0b100
DUTY_ANSWER = 0b10_0000
_VERSION = (1, 2)
_ANSWERED_BY = 60  # the type of an answer is that of its request less this
_Place = tuple[int, int, int]


@dataclass(slots=True)
class TransmitterFault:
    """What is wrong with a device just now.

    Attributes:
        bad_checksum: of every frame.
        noise: bytes before every frame.
        cut: so many bytes at the end of every frame are lost.
        no_clock: time tags are all zero.
        still: seconds since 1970 at which its clock stands, 0: it goes.
        new_serial: what is sent again gets a new serial number.
        silent: it answers nothing.
        denies: it refuses every order and request.
    """

    bad_checksum: bool = False
    noise: bytes = b""
    cut: int = 0
    no_clock: bool = False
    still: int = 0
    new_serial: bool = False
    silent: bool = False
    denies: bool = False


@dataclass(slots=True)
class Transmitter:
    """One device with its systems and components. `offset`: its zone, s; `unanswered`: frames by serial number.

    `systems`: (type, address) → status; `components`: (system, address, component address) → (type, status, text).
    `duty`: minutes of the last duty check, 0: none; `clock_set`: the last time tag from the centre.
    """

    address: int
    centre: int = 0
    user: int = 1
    offset: int = 8 * 3600
    status: int = NORMAL
    systems: dict[tuple[int, int], int] = field(default_factory=dict)
    components: dict[_Place, tuple[int, int, str]] = field(default_factory=dict)
    fault: TransmitterFault = field(default_factory=TransmitterFault)
    unanswered: dict[int, Frame] = field(default_factory=dict)
    denied: int = 0
    duty: int = 0
    clock_set: bytes = b""
    initialised: int = 0
    _serial: int = 0
    _frames: Frames = field(default_factory=Frames)

    def report(self, code: int, objects: Sequence[Object], wall: int) -> bytes:
        """Return the frame that tells these objects by itself."""
        return self.send(encode_unit(code, objects), wall)

    def change(self, place: _Place, status: int, wall: int) -> bytes:
        """Let a component be in another state; return the frame that says so (type 2)."""
        component, _, text = self.components.get(place, (0, NORMAL, ""))
        self.components[place] = (component, status, text)
        return self.report(2, [self._component(place, wall)], wall)

    def operate(self, flags: int, wall: int, operator: int = 1) -> bytes:
        """Press keys of the device; return the frame (type 24)."""
        return self.report(24, [DeviceOperation(flags, operator, self.tag(wall))], wall)

    def beat(self, wall: int, command: int = Command.SEND, unit: bytes = b"") -> bytes:
        """Return a heartbeat."""
        return self.send(unit, wall, command)

    def send(self, unit: bytes, wall: int, command: int = Command.SEND) -> bytes:
        """Return a frame of any unit, and remember it until it is confirmed."""
        frame = Frame(
            serial=self._next(),
            command=command,
            source=self.address,
            destination=self.centre,
            unit=unit,
            user=self.user,
            sent=self.tag(wall),
        )
        self.unanswered[frame.serial] = frame
        return self._wire(frame)

    def again(self) -> bytes:
        """Return everything that was not confirmed, once more."""
        waiting = list(self.unanswered.values())
        if self.fault.new_serial:
            self.unanswered.clear()
            for place, frame in enumerate(waiting):
                waiting[place] = msgspec.structs.replace(frame, serial=self._next())
                self.unanswered[waiting[place].serial] = waiting[place]
        return b"".join(map(self._wire, waiting))

    def hear(self, data: bytes, wall: int) -> bytes:
        """Take what the centre sends; return what is answered."""
        answers = b""
        for frame in self._frames.feed(data):
            if not isinstance(frame, Frame):
                continue
            if frame.command == Command.CONFIRM:
                self.unanswered.pop(frame.serial, None)
            elif frame.command == Command.DENY:
                self.denied += 1
            elif not self.fault.silent:
                answers += self._wire(self._answer(frame, wall))
        return answers

    def tag(self, wall: int) -> bytes:
        """Return the time by its own clock."""
        if self.fault.no_clock:
            return NO_TIME
        return time_tag(self.fault.still * 10**9 or wall, self.offset)

    def _answer(self, frame: Frame, wall: int) -> Frame:
        unit = decode_unit(frame.unit)
        tag = self.tag(wall)
        if self.fault.denies or unit is None or frame.command in USER_COMMANDS:
            return reply_to(frame, Command.DENY, tag)
        if frame.command == Command.REQUEST:
            found = self._found(unit.type, unit.objects, wall)
            code = unit.type - _ANSWERED_BY
            known = code in LIMITS and found
            return reply_to(frame, Command.ANSWER, tag, encode_unit(code, found)) if known else _denial(frame, tag)
        self.initialised += unit.type == 89
        for one in unit.objects:
            if isinstance(one, SetTime):
                self.clock_set = one.time
            elif isinstance(one, DutyCheck):
                self.duty = one.minutes
        return reply_to(frame, Command.CONFIRM, tag)

    def _found(self, code: int, asked: Sequence[Object], wall: int) -> list[Object]:
        tag = self.tag(wall)
        own: dict[int, Object] = {
            81: DeviceStatus(self.status, tag),
            85: DeviceVersion(*_VERSION),
            88: DeviceTime(tag),
        }
        if code in own:
            return [own[code]]
        found: list[Object] = []
        for one in asked:
            if isinstance(one, ReadSystem):
                found += self._of_system(code, one, tag)
            elif isinstance(one, ReadComponent) and (one.system, one.address, one.place) in self.components:
                found += self._of_component(code, (one.system, one.address, one.place), wall)
        return found

    def _of_system(self, code: int, one: ReadSystem, tag: bytes) -> list[Object]:
        place = (one.system, one.address)
        told: dict[int, Object] = {
            61: SystemStatus(*place, self.systems.get(place, 0), tag),
            65: SystemVersion(*place, *_VERSION),
            68: SystemTime(*place, tag),
        }
        return [told[code]] if place in self.systems and code in told else []

    def _of_component(self, code: int, place: _Place, wall: int) -> list[Object]:
        status = self._component(place, wall)
        if code == 62:
            return [status]
        named = ComponentConfig(status.system, status.address, status.component, status.place, status.description)
        return [named] if code == 67 else []

    def _component(self, place: _Place, wall: int) -> ComponentStatus:
        component, status, text = self.components[place]
        system, address, number = place
        return ComponentStatus(system, address, component, number, status, text_bytes(text), self.tag(wall))

    def _next(self) -> int:
        serial, self._serial = self._serial, (self._serial + 1) & 0xFFFF
        return serial

    def _wire(self, frame: Frame) -> bytes:
        data = encode_frame(frame)
        if self.fault.bad_checksum:
            data = data[:-3] + bytes((data[-3] ^ 1,)) + data[-2:]
        return self.fault.noise + (data[: -self.fault.cut] if self.fault.cut else data)


def _denial(frame: Frame, tag: bytes) -> Frame:
    return reply_to(frame, Command.DENY, tag)
