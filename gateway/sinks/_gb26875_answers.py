"""What a monitoring centre may ask and order (types 61 to 68, 81 to 91 of GB/T 26875.3), and what it gets. Pure.

Beside `gateway.sinks.gb26875_uplink`. Answers come from the alarms that are open in the store when it asks; what
nobody here knows is denied (house rule 5: missing is not normal).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gateway.clock import MINUTE, SECOND
from gateway.errors import GatewayError
from gateway.model.batch import EventCode
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Command, Frame
from gateway.protocols.gb26875_units import LIMITS, Unit, decode_unit, encode_unit, time_ns
from gateway.sinks._gb26875_places import NORMAL, Component, Places
from gateway.sinks._gb26875_telling import DUTY, Telling
from gateway.sinks._gb26875_words import Said, Target, Words

VERSION = (1, 0)
TELL_CLOCK_EVERY = 60 * MINUTE  # ns between two remarks about the centre's clock
_UP = 60  # the type of an answer is that of its request less this
_DENY = Command.DENY, b""
_CONFIRM = Command.CONFIRM, b""


class Moment(Protocol):
    """The part of a clock that answers need."""

    def mono(self) -> int:
        """Return boot-time ns."""

    def wall(self) -> int:
        """Return ns since 1970."""


class Answers:
    """Answers one centre. `analogs`: returns component → object of the newest value; `again`: tell everything anew."""

    def __init__(
        self,
        words: Words,
        places: Places,
        telling: Telling,
        *,
        clock: Moment,
        offset: int,
        title: str,
        analogs: Callable[[], Mapping[tuple[int, int, int], Sequence[o.Analog]]],
        tell: Callable[[str, EventCode, str], None],
        again: Callable[[], None],
    ) -> None:
        self._words = words
        self._places = places
        self._telling = telling
        self._clock = clock
        self._offset = offset
        self._title = title.encode("gb18030", "replace")[:255]
        self._analogs = analogs
        self._tell = tell
        self._again = again
        self._clock_told_at = -TELL_CLOCK_EVERY
        self.duty_until = 0  # mono ns, 0: nobody is asked

    def to(self, frame: Frame) -> tuple[int, bytes]:
        """Return command and unit of the answer to a command 1 or 4."""
        unit = decode_unit(frame.unit)
        if unit is None:
            return _DENY
        try:
            if unit.type in _ORDERS:
                return _ORDERS[unit.type](self, unit)
            found = self._found(unit)
        except GatewayError:  # the store cannot be read just now: the centre asks again
            return _DENY
        if found is None:
            return _DENY
        code = unit.type - _UP
        return Command.ANSWER, encode_unit(code, found[: LIMITS[code]])

    # -- orders

    def _initialise(self, _unit: Unit) -> tuple[int, bytes]:
        self._again()
        return _CONFIRM

    def _set_time(self, unit: Unit) -> tuple[int, bytes]:
        """Take notice of the centre's clock. Alone it is no source of time (house section 10): nothing is set."""
        told = unit.objects[0] if unit.objects else None
        if not isinstance(told, o.SetTime) or not (time := time_ns(told.time, self._offset)):
            return _DENY
        now, off = self._clock.mono(), time - self._clock.wall()
        if abs(off) > MINUTE and now - self._clock_told_at >= TELL_CLOCK_EVERY:
            self._clock_told_at = now
            text = f"监控中心时钟相差 the centre's clock is off by {off // SECOND} s; 未采用 not taken over"
            self._tell("clock", EventCode.INFO, text)
        return _CONFIRM

    def _duty(self, unit: Unit) -> tuple[int, bytes]:
        """Ask the people here: an alarm whose acknowledgement is the answer."""
        told = unit.objects[0] if unit.objects else None
        if not isinstance(told, o.DutyCheck):
            return _DENY
        minutes = told.minutes or 10  # GB 26875.1: without an answer it goes on for 10 min
        self.duty_until = self._clock.mono() + minutes * MINUTE
        text = f"查岗 duty check of the monitoring centre: 请在 {minutes} 分钟内确认 acknowledge within {minutes} min"
        self._tell(DUTY, EventCode.SUPERVISORY, text)
        return _CONFIRM

    # -- questions

    def _found(self, unit: Unit) -> Sequence[o.Object] | None:
        """Return the objects that answer, None when it cannot be answered."""
        tag = self._words.tag(self._clock.wall())
        if unit.type in (81, 85, 86, 88):
            return [self._of_device(unit.type, tag)]
        if unit.type in (64, 84):
            return self._operations(unit)
        answers: list[o.Object] = []
        for one in unit.objects:
            if isinstance(one, o.ReadSystem):
                answers += self._of_system(unit.type, one, tag)
            elif isinstance(one, o.ReadComponent):
                answers += self._of_component(unit.type, one)
        return answers or None

    def _of_device(self, code: int, tag: bytes) -> o.Object:
        if code == 85:
            return o.DeviceVersion(*VERSION)
        if code == 86:
            return o.DeviceConfig(self._title)
        return o.DeviceTime(tag) if code == 88 else self._own(tag)

    def _own(self, tag: bytes) -> o.DeviceStatus:
        own = self._now().get(Target(None))
        return o.DeviceStatus(own.word & 0x7F if own else NORMAL, tag)

    def _now(self) -> dict[Target, Said]:
        """Return the words of everything that is not normal."""
        now, wall = self._words.now(), self._clock.wall()
        if now is None:
            return {target: Said(step.word, step.time, step.time, None) for target, step in self._telling.told.items()}
        return {target: self._words.stands(standing, wall) for target, standing in now.items()}

    def _is_system(self, system: int, address: int) -> bool:
        known = (one[:2] for one in self._places.everything())
        return (system, address) in known

    def _of_system(self, code: int, one: o.ReadSystem, tag: bytes) -> Sequence[o.Object]:
        if not self._is_system(one.system, one.address):
            return []
        if code == 65:
            return [o.SystemVersion(one.system, one.address, *VERSION)]
        if code == 66:
            return [o.SystemConfig(one.system, one.address, self._title)]
        if code == 68:
            return [o.SystemTime(one.system, one.address, tag)]
        words = [
            said.word
            for (component,), said in self._now().items()
            if component is not None and component[:2] == (one.system, one.address)
        ]
        return [o.SystemStatus(one.system, one.address, self._words.word(word & ~NORMAL for word in words), tag)]

    def _of_component(self, code: int, one: o.ReadComponent) -> Sequence[o.Object]:
        wanted = one.system, one.address, one.place
        if code == 63:
            return self._analogs().get(wanted, ())
        now = self._now()
        standing = {(*target.component[:2], target.component.place): target for target in now if target.component}
        component = standing[wanted].component if wanted in standing else self._places.everything().get(wanted)
        if component is None:
            return []
        if code == 67:
            return [_configured(component)]
        wall = self._clock.wall()
        said = now.get(Target(component), Said(self._words.word(()), wall, wall, None))
        return [self._words.status(Target(component), said.word, wall, said.spoken)[1]]

    def _operations(self, unit: Unit) -> Sequence[o.Object] | None:
        """Return operations that were told, from a time on; None when it is no such question."""
        asked = unit.objects[0] if unit.objects else None
        if isinstance(asked, o.ReadOperations):
            if not self._is_system(asked.system, asked.address):
                return None
        elif not isinstance(asked, o.ReadDeviceOperations):
            return None
        begin = time_ns(asked.since, self._offset)
        found = [one for one in self._telling.operations if one.type == unit.type - _UP and one.time >= begin]
        if isinstance(asked, o.ReadOperations):
            found = [one for one in found if _at(one.body) == (asked.system, asked.address)]
        return [one.body for one in found][: asked.number]


def _at(body: o.Object) -> tuple[int, int] | None:
    return (body.system, body.address) if isinstance(body, o.Operation) else None


def _configured(one: Component) -> o.ComponentConfig:
    return o.ComponentConfig(one.system, one.address, one.type, one.place, one.description)


_ORDERS: Mapping[int, Callable[[Answers, Unit], tuple[int, bytes]]] = {
    89: Answers._initialise,  # noqa: SLF001 - the table of this class
    90: Answers._set_time,  # noqa: SLF001 - likewise
    91: Answers._duty,  # noqa: SLF001 - likewise
}
