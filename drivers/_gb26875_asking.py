"""What the centre asks and orders of GB/T 26875.3 devices: one exchange at a time, repeated, given up. Pure.

Beside `_gb26875_talk.py`, one per connection. Keeps house rule 6 (level, not edge): after a connection, a reset, or a
silence a device is asked for its present state. Clause "time-out and resend": 10 s, three resends, also after a deny.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from drivers._conversation_said import Question
from drivers._gb26875_device import OWN, RECORDS, Decode, Speaker
from gateway.model.time import DAY, MINUTE, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.gb26875 import Command, Frame, encode_frame
from gateway.protocols.gb26875_objects import (
    DutyCheck,
    Object,
    ReadComponent,
    ReadDevice,
    ReadDeviceOperations,
    ReadOperations,
    ReadSystem,
    SetTime,
)
from gateway.protocols.gb26875_units import LIMITS, encode_unit, time_tag

ANSWER_WITHIN = 10.0  # s
TRIES = 4
INITIALISE, SET_TIME, DUTY_CHECK = 89, 90, 91
_COMMANDS = {"initialise": INITIALISE, "set_time": SET_TIME, "duty_check": DUTY_CHECK}
_MOST = {DUTY_CHECK: 0xFF, 64: RECORDS, 84: RECORDS}  # of an output's value
_EARLIEST = bytes((0, 0, 0, 1, 1, 0))  # records from 2000 on
_QUEUED = 1024  # exchanges that may wait
_OPEN = 32  # questions of outputs that may be answered


@dataclass(slots=True, eq=False)
class Exchange:
    """One order or request. `question`: the output that it sets."""

    speaker: Speaker
    code: int
    objects: Sequence[Object]
    serial: int = 0
    tries: int = 0
    question: Question | None = None

    def asks_as(self, other: Exchange) -> bool:
        """Whether another asks the same of the same device."""
        return (self.speaker, self.code, self.objects) == (other.speaker, other.code, other.objects)


class Asking:
    """Own exchanges of one connection; serial numbers are counted here, apart from those of devices."""

    def __init__(self) -> None:
        self._serial = 0
        self._queue: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._deadline = NEVER
        self._questions: OrderedDict[int, Exchange] = OrderedDict()

    @property
    def due(self) -> int:
        """When there is something to send or to give up (ns)."""
        return self._deadline if self._current is not None else 0 if self._queue else NEVER

    def add(self, speaker: Speaker, code: int, objects: Sequence[Object]) -> None:
        """Queue an order or a request, in units of as many objects as the standard allows.

        One that waits already is not queued twice: devices that never answer leave room to those beside them.
        """
        for start in range(0, len(objects), LIMITS[code]):
            made = Exchange(speaker, code, objects[start : start + LIMITS[code]])
            if len(self._queue) < _QUEUED and not any(map(made.asks_as, self._queue)):
                self._queue.append(made)

    def ask_state(self, speaker: Speaker, key: str = OWN) -> None:
        """Ask for the state of the transmission device or of a system; a component is asked through its system."""
        place = speaker.place("/".join(key.split("/")[:2]))
        if key == OWN:
            self.add(speaker, 81, [ReadDevice()])
        elif place is not None:
            self.add(speaker, 61, [ReadSystem(*place[:2])])

    def work(self, now: int, wall: int) -> tuple[bytes, list[tuple[Speaker, str]]]:
        """Return what to send now, if anything, and the exchanges that failed: (device, reason)."""
        failed: list[tuple[Speaker, str]] = []
        if self._current is not None and now >= self._deadline and self._current.tries >= TRIES:
            failed.append((self._current.speaker, "no_answer"))
            self._current = None
        if self._current is None and self._queue:
            self._current, self._deadline = self._queue.popleft(), now
            self._current.serial = self._next()
        if self._current is not None and self._current.code == SET_TIME and not wall:
            self._current = None  # our clock was trusted when this was queued
        if self._current is None or now < self._deadline:
            return b"", failed
        self._current.tries += 1
        self._deadline = now + round(ANSWER_WITHIN * SECOND)
        return _frame(self._current, wall), failed

    def answered(self, frame: Frame, now: int) -> Exchange | None:
        """Take a confirm, a deny or an answer; return the exchange that it ends, None when there is none."""
        denied = frame.command == Command.DENY
        current = self._current
        if current is not None and current.serial == frame.serial:
            if denied and current.tries < TRIES:
                self._deadline = now
                return None
            self._current = None
            return current
        found = self._questions.pop(frame.serial, None)
        if found is not None and found.code == DUTY_CHECK and not denied:
            minutes = next(one.minutes for one in found.objects if isinstance(one, DutyCheck))
            found.speaker.duty = now + minutes * MINUTE
        return found

    def question(self, speaker: Speaker, decode: Decode, value: float, wall: int) -> Question | None:
        """Return what to send to set an output; None when it cannot be this value."""
        code = _COMMANDS.get(decode.command, decode.type)
        objects = _objects(speaker, code, decode.at, value)
        if objects is None or (code == SET_TIME and not wall):
            return None
        exchange = Exchange(speaker, code, objects, self._next())
        exchange.question = Question(data=_frame(exchange, wall), limit=ANSWER_WITHIN, tries=TRIES)
        self._questions[exchange.serial] = exchange
        if len(self._questions) > _OPEN:
            self._questions.popitem(last=False)
        return exchange.question

    def _next(self) -> int:
        serial, self._serial = self._serial, (self._serial + 1) & 0xFFFF
        return serial


class Attention:
    """What one device on one connection has been asked: when to set its clock, when to look after it."""

    def __init__(self, speaker: Speaker, now: int) -> None:
        self.speaker = speaker
        self._systems: set[tuple[int, int]] = set()
        self._greeted = False
        self._clock_set = -DAY
        self._checked = now

    @property
    def due(self) -> int:
        """When it has been silent for too long, or the time for its duty answer is over (ns)."""
        check = self.speaker.options.check
        quiet = max(self.speaker.heard, self._checked) + round(check * SECOND) if check else NEVER
        return min(quiet, self.speaker.duty)

    def greet(self, asking: Asking, now: int, wall: int) -> None:
        """Ask for what is not known yet, and set the clock once a day."""
        speaker = self.speaker
        if speaker.options.set_time and wall and now - self._clock_set >= DAY:
            self._clock_set = now
            asking.add(speaker, SET_TIME, [ReadDevice()])
        if not speaker.options.ask_state:
            return
        if not self._greeted:
            asking.ask_state(speaker)
        fresh = [system for system in speaker.systems if system not in self._systems]
        if fresh:
            self._systems.update(fresh)
            asking.add(speaker, 61, [ReadSystem(*system) for system in fresh])
        if not self._greeted:
            self._greeted = True
            keys = dict.fromkeys((*(speaker.options.addresses or ()), *speaker.options.names))
            places = [place for key in keys if key.count("/") > 1 and (place := speaker.place(key)) is not None]
            asking.add(speaker, 62, [ReadComponent(*place) for place in places])

    def check(self, asking: Asking, now: int) -> None:
        """Ask a silent device how it is."""
        if now >= self.due and now < self.speaker.duty:
            self._checked = now
            asking.ask_state(self.speaker)


def _frame(exchange: Exchange, wall: int) -> bytes:
    speaker = exchange.speaker
    tag = time_tag(wall, speaker.offset) if wall else bytes(6)
    objects = [SetTime(tag)] if exchange.code == SET_TIME else exchange.objects
    return encode_frame(
        Frame(
            serial=exchange.serial,
            command=Command.CONTROL if exchange.code >= INITIALISE else Command.REQUEST,
            source=speaker.us,
            destination=speaker.them,
            unit=encode_unit(exchange.code, objects),
            main=speaker.main,
            user=speaker.user,
            sent=tag,
        )
    )


def _objects(speaker: Speaker, code: int, at: str, value: float) -> list[Object] | None:
    """Return the object of an output's unit; None when the value is not one that it takes."""
    if value not in range(1, 1 + _MOST.get(code, 1)):
        return None
    system, address, place = speaker.place(at) or (0, 0, 0)
    made: Object = ReadDevice()  # for a new time too: it is filled in when it leaves
    match code:
        case 61 | 65 | 66 | 68:
            made = ReadSystem(system, address)
        case 62 | 63 | 67:
            made = ReadComponent(system, address, place)
        case 64:
            made = ReadOperations(system, address, int(value), _EARLIEST)
        case 84:
            made = ReadDeviceOperations(int(value), _EARLIEST)
        case 91:
            made = DutyCheck(int(value))
    return [made]
