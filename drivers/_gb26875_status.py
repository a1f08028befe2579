"""Status words and operations of GB/T 26875.3 (types 1, 2, 4, 21, 24) → events and states. Pure.

Beside `_gb26875_events.py`, which hands the objects over. Keeps house section 6: a fire bit is a fire whatever the
other bits say.

A status word is a level, but many devices send one bit at a time: so every bit that is set is told, and only a word
without any state bit ends what stood at its place. Bit 0 ("normal") decides nothing beside a state bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers._gb26875_device import OWN
from drivers._gb26875_told import DUTY, OWN_NAME, Told, component_name, readable, system_name
from gateway.model.batch import EventCode
from gateway.model.verdict import NEVER
from gateway.protocols import gb26875_objects as o
from gateway.protocols import gb26875_tables as tables
from gateway.protocols.gb26875_tables import Name
from gateway.protocols.gb26875_units import HEAD_SIZE, Unit, component_head, decode_unit

ENDED = Name("正常", "normal")
TWINS = {0x86: 1, 0x87: 2, 0x88: 21}  # one maker's ends of what types 1, 2 and 21 said


@dataclass(frozen=True, slots=True)
class _Bit:
    """What a status bit means. `below`: it has a key of its own below that of its place."""

    code: EventCode
    name: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class _Word:
    """The bits of a status word: those that raise, and those that are told when they come.

    `states`: mask of those with which a place is not normal; `told`: mask of the quiet ones; `reserved`: of those
    that the standard gives no meaning.
    """

    alarms: dict[int, _Bit]
    quiet: dict[int, _Bit]
    states: int
    told: int
    reserved: int

    def unread(self, word: int) -> bool:
        """Whether a word has reserved bits alone: it says nothing, least of all that a fire is over."""
        return not word & (self.states | _NORMAL) and bool(word & self.reserved)


def _bits(names: dict[int, Name], codes: dict[int, EventCode], below: dict[int, str] | None = None) -> dict[int, _Bit]:
    return {bit: _Bit(code, str(names[bit]), (below or {}).get(bit, "")) for bit, code in codes.items()}


def _word(alarms: dict[int, _Bit], quiet: dict[int, _Bit], reserved: int) -> _Word:
    # A component that has started, feeds back or waits is not thereby normal.
    states = {*alarms, *(quiet.keys() & _QUIET.keys())}
    return _Word(alarms, quiet, sum(1 << bit for bit in states), sum(1 << bit for bit in quiet), reserved)


_ALARMS = {1: EventCode.FIRE, 2: EventCode.FAULT, 3: EventCode.DISABLED, 4: EventCode.SUPERVISORY}
_QUIET = {5: EventCode.FEEDBACK, 6: EventCode.FEEDBACK, 7: EventCode.INFO}
_FAULTS = dict.fromkeys((8, 9, 10), EventCode.FAULT)
_SYSTEM = _word(
    _bits(tables.SYSTEM_BITS, _ALARMS | _FAULTS, {8: "mains", 9: "backup", 10: "bus"}),
    _bits(tables.SYSTEM_BITS, _QUIET | {11: EventCode.INFO, 12: EventCode.INFO}),
    0xC000,
)
_COMPONENT = _word(
    _bits(tables.COMPONENT_BITS, _ALARMS | {8: EventCode.FAULT}),
    _bits(tables.COMPONENT_BITS, _QUIET),
    0xFE00,
)
_DEVICE = _word(
    _bits(
        tables.DEVICE_BITS,
        {1: EventCode.FIRE, **dict.fromkeys(range(2, 7), EventCode.FAULT)},
        {3: "mains", 4: "backup", 5: "link", 6: "line"},
    ),
    {},
    0x80,
)
_SYSTEM_TYPE, _SYSTEM_HEAD = 1, 4  # bytes: type, address, status
_COMPONENT_TYPE = 2
_NORMAL = 1  # bit 0
_FIRE_BIT = 1
_RESET_BIT = 13
_DUTY_BIT = 5
_OPERATIONS = {0: EventCode.RESET, 2: EventCode.MANUAL, 3: EventCode.RESTORE, 6: EventCode.TEST}
# "Alarm cleared" ends no fault. Nothing says that a pressed key is over: the next press is another call for help.
_ENDS = {EventCode.RESTORE: EventCode.FIRE, EventCode.MANUAL: EventCode.MANUAL}


def component_status(one: o.ComponentStatus, told: Told) -> None:
    """Read an object of type 2."""
    told.meet(one.system, one.address)
    key = told.speaker.component(one.system, one.address, one.place)
    name = _called(key, component_name(one.component), told, one.description)
    _status(_COMPONENT, key, one, name, told)


def _called(key: str, kind: str, told: Told, description: bytes = b"") -> str:
    """Return what a place is called: as the station calls it, else as the panel does, and what kind of thing it is."""
    speaker = told.speaker
    name = speaker.options.names.get(key) or readable(description) or speaker.described.get(key, "")
    return f"{name} {kind}" if name else kind


def incomplete(unit: Unit, told: Told) -> None:
    """Tell a fire of an object that is cut short behind its status: an address that nobody has confirmed."""
    rest = unit.rest
    if unit.type == _COMPONENT_TYPE and len(rest) >= HEAD_SIZE:
        head = component_head(rest)
        word, name = head.status, component_name(head.component)
        key = told.speaker.component(head.system, head.address, head.place)
    elif unit.type == _SYSTEM_TYPE and len(rest) >= _SYSTEM_HEAD:
        word, name, key = rest[2], system_name(rest[0]), f"{rest[0]}/{rest[1]}"
    else:
        return
    if word >> _FIRE_BIT & 1:
        told.say(key, EventCode.FIRE, f"{name} 火警 fire (数据不完整 cut short)", known=False)


def system_status(one: o.SystemStatus, told: Told) -> None:
    """Read an object of type 1."""
    key = told.meet(one.system, one.address)
    _status(_SYSTEM, key, one, _called(key, system_name(one.system), told), told)


def device_status(one: o.DeviceStatus, told: Told) -> None:
    """Read an object of type 21."""
    _status(_DEVICE, OWN, one, OWN_NAME, told)


_Status = o.SystemStatus | o.ComponentStatus | o.DeviceStatus


def _status(kind: _Word, key: str, one: _Status, name: str, told: Told) -> None:
    word = one.status
    time = told.time(one.time)
    before = told.note(key, one.time, word, time)
    fresh = word if before is None else word & ~before
    if kind is _SYSTEM and word >> _RESET_BIT & 1 and _was_reset(key, word, before, told):
        _reset(key, f"{name} 复位 reset", time, told, itself=False)
    if word & kind.states:
        for bit, meaning in kind.alarms.items():
            if word >> bit & 1:
                place = f"{key}/{meaning.below}" if meaning.below else key
                told.say(place, meaning.code, f"{name} {meaning.name}", time)
    elif not kind.unread(word):
        _end(kind, key, told, before=before, name=name, time=time)
    if fresh & (kind.told | kind.reserved):
        _come(kind, key, fresh, name, told, time=time)
    for point in told.speaker.bits.get(key, ()):
        told.decoded.rows.append((point.point, time, *point.read(word >> (point.decode.bit or 0) & 1)))


def _was_reset(key: str, word: int, before: int | None, told: Told) -> bool:
    """Whether a system that says "reset" means one that nobody knows of: the bit has come, or an alarm since.

    An answer to a question tells what was before that, and would undo what has come. So would a word beside whose
    alarm the bit stands still: the standard prints it as 1 for "reset" and for "normal".
    """
    if before is None:
        return not told.asked
    if not before >> _RESET_BIT & 1:
        return True
    if told.asked or word & _SYSTEM.states:
        return False
    return any(said & _COMPONENT.states for said in told.speaker.words.below(key))


def _come(kind: _Word, key: str, fresh: int, name: str, told: Told, *, time: int) -> None:
    """Tell the bits that have come and raise nothing."""
    if reserved := fresh & kind.reserved:
        told.decoded.problems.append("reserved_bits")
        told.say(key, EventCode.INFO, f"{name} 保留状态位 reserved status bits {reserved:#06x}", time)
    for bit, meaning in kind.quiet.items():
        if fresh >> bit & 1:
            told.say(key, meaning.code, f"{name} {meaning.name}", time)


def _end(kind: _Word, key: str, told: Told, *, before: int | None, name: str, time: int) -> None:
    """Tell that a place is normal, and what stood below it, unless that is known already."""
    stood = kind.states if before is None or kind.unread(before) else before & kind.states
    if stood:
        told.say(key, EventCode.RESTORE, f"{name} {ENDED}", time)
    for bit, meaning in kind.alarms.items():
        if meaning.below and stood >> bit & 1:
            told.say(f"{key}/{meaning.below}", EventCode.RESTORE, f"{name} {meaning.name}: {ENDED}", time)


def _end_bits(kind: _Word, key: str, one: _Status, name: str, told: Told, *, time: int) -> None:
    """Tell that the states of a word are over; those that it does not name go on."""
    told.note(f"{key} end", one.time, one.status)
    for bit, meaning in kind.alarms.items():
        if one.status >> bit & 1:
            place = f"{key}/{meaning.below}" if meaning.below else key
            told.say(place, EventCode.RESTORE, f"{name} {meaning.name}: {ENDED}", time, ends=meaning.code)
    for bit, meaning in kind.quiet.items():
        if one.status >> bit & 1:
            told.say(key, EventCode.INFO, f"{name} {meaning.name}: {ENDED}", time)


def _reset(key: str, text: str, time: int, told: Told, *, itself: bool = True) -> None:
    told.say(key, EventCode.RESET, text, time)
    told.speaker.words.reset(key, itself=itself)
    told.reset.append(key)


def ends(unit: Unit, told: Told) -> bool:
    """Read a maker's types for the end of states: those that the word names, else the place is normal.

    Returns: whether all of it is of that form.
    """
    twin = decode_unit(bytes((TWINS[unit.type], unit.count)) + unit.rest)
    for one in () if twin is None else twin.objects:
        match one:
            case o.SystemStatus():
                kind, key = _SYSTEM, told.meet(one.system, one.address)
                name = _called(key, system_name(one.system), told)
            case o.ComponentStatus():
                key = told.speaker.component(one.system, one.address, one.place)
                kind, name = _COMPONENT, _called(key, component_name(one.component), told, one.description)
            case o.DeviceStatus():
                kind, key, name = _DEVICE, OWN, OWN_NAME
            case _:
                continue
        time = told.time(one.time)
        if one.status & (kind.states | kind.told):
            _end_bits(kind, key, one, name, told, time=time)
        else:
            told.note(key, one.time, 0, time)
            _end(kind, key, told, before=None, name=name, time=time)
    return twin is not None and not twin.rest


def operation(one: o.Operation, told: Told) -> None:
    """Read an object of type 4."""
    key = told.meet(one.system, one.address)
    _operated(key, one, told, names=tables.OPERATION_BITS, name=_called(key, system_name(one.system), told))


def device_operation(one: o.DeviceOperation, told: Told) -> None:
    """Read an object of type 24."""
    _operated(OWN, one, told, names=tables.DEVICE_OPERATION_BITS, name=OWN_NAME)


def _operated(key: str, one: o.Operation | o.DeviceOperation, told: Told, *, names: dict[int, Name], name: str) -> None:
    time = told.time(one.time)
    if told.asked:  # records of long ago: they neither raise nor end anything
        codes, name = {}, f"操作记录 record: {name}"
    else:
        codes = _OPERATIONS
        told.note(f"{key} operation", one.time, one.flags)
    done = [bit for bit in names if one.flags >> bit & 1]
    for bit in done:
        text = f"{name} {names[bit]}, 操作员 operator {one.operator}"
        code = codes.get(bit, EventCode.INFO)
        if code is EventCode.RESET:
            _reset(key, text, time, told)
        elif key == OWN and bit == _DUTY_BIT and not told.asked:
            told.speaker.duty = NEVER
            told.say(DUTY, EventCode.RESTORE, text, time)
        else:
            told.say(key, code, text, time, ends=_ENDS.get(code))
            if code is EventCode.MANUAL:  # no status word knows of it: a first normal one does not end it
                told.speaker.words.suppose(key, _NORMAL)
    if not done:
        told.say(key, EventCode.INFO, f"{name} 操作 operation {one.flags:#04x}, 操作员 operator {one.operator}", time)
