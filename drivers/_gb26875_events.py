"""What a GB/T 26875.3 unit says → events, readings and signs of life. Pure.

Between the codec (`gateway.protocols.gb26875_units`) and `_gb26875_talk.py`; status words are read by
`_gb26875_status.py`. Keeps house section 6: what nobody knows is kept raw, a value that no point wants is told once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drivers import _gb26875_status as status
from drivers._gb26875_device import OWN
from drivers._gb26875_printed import PRINTED, printed
from drivers._gb26875_told import DUTY, Told, component_name, readable
from drivers._gb26875_words import PLACES
from gateway.model.batch import EventCode
from gateway.model.time import MINUTE, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols import gb26875_objects as o
from gateway.protocols import gb26875_tables as tables
from gateway.protocols.gb26875_units import LIMITS, Unit

_SLOW_CLOCK = MINUTE  # ns that a device's clock may be wrong
_UNMAPPED = 400  # values without a point that are told of


def tell(unit: Unit, told: Told) -> None:
    """Read all objects of a unit into `told`; what is no object is kept raw."""
    code = unit.type
    if code in status.TWINS and told.speaker.options.recovery_types:
        if not status.ends(unit, told):
            raw(unit, told)
        return
    for one in unit.objects:
        _READERS[type(one)](one, told)
    if code in PRINTED and unit.rest:
        key, event, text, tag = printed(unit.rest)
        told.say(key, event, text, told.time(tag), known=False)
        told.untimed |= not told.right  # no memory of places tells a second one from a repeat
    elif unit.rest or not unit.objects:
        raw(unit, told)
    elif unit.count != len(unit.objects):  # each of them is read all the same
        told.decoded.problems.append("bad_length")


def raw(unit: Unit, told: Told) -> None:
    """Keep what the standard does not know, or what does not fit it."""
    told.untimed = True
    if unit.objects or unit.type in LIMITS:
        told.decoded.problems.append("bad_length")
        text = f"数据长度不符 type {unit.type}: {len(unit.rest)} bytes fit no object"
    else:
        told.decoded.problems.append("unknown_type")
        text = f"未知类型 unknown type {unit.type}: {len(unit.rest)} bytes"
    told.say(f"type/{unit.type}", EventCode.INFO, text)
    if unit.count > len(unit.objects):  # else the rest is none of the objects that the unit says it has
        status.incomplete(unit, told)


def duty_over(told: Told) -> None:
    """Tell that nobody answered a duty check in time."""
    told.speaker.duty = NEVER
    told.say(DUTY, EventCode.SUPERVISORY, "查岗无应答 no answer to the duty check")


def _analog(one: o.Analog, told: Told) -> None:
    speaker = told.speaker
    told.meet(one.system, one.address)
    key = speaker.component(one.system, one.address, one.place)
    time = told.time(one.time)
    told.note(f"{key} {one.quantity}", one.time, one.value)
    found = False
    for point in speaker.analogs.get(one.quantity, ()):
        decode = point.decode
        if decode.at in ("", key) and decode.component in (None, one.component):
            told.decoded.rows.append((point.point, time, *point.read(one.value)))
            found = True
    if not found:
        _unmapped(one, key, time, told)


def _unmapped(one: o.Analog, key: str, time: int, told: Told) -> None:
    """Count a value that no point wants; tell of it once, so that somebody may map it."""
    told.decoded.problems.append("unmapped_analog")
    place = (key, one.quantity)
    if place in told.speaker.unmapped or len(told.speaker.unmapped) >= _UNMAPPED:
        return
    told.speaker.unmapped.add(place)
    quantity = tables.QUANTITIES.get(one.quantity)
    what = f"模拟量类型{one.quantity} analog type {one.quantity} = {one.value}"
    if quantity is not None:
        what = f"{quantity.zh} {quantity.en} {one.value * quantity.step:g} {quantity.unit}"
    told.say(key, EventCode.INFO, f"{component_name(one.component)} {what}, 未配置测点 no point takes it", time)


def _version(one: o.SystemVersion, told: Told) -> None:
    _info(told.meet(one.system, one.address), f"软件版本 software version {one.main}.{one.minor}", told)


def _device_version(one: o.DeviceVersion, told: Told) -> None:
    _info(OWN, f"软件版本 software version {one.main}.{one.minor}", told)


def _configuration(one: o.SystemConfig, told: Told) -> None:
    _info(told.meet(one.system, one.address), f"配置 configuration: {readable(one.text)}", told)


def _device_configuration(one: o.DeviceConfig, told: Told) -> None:
    _info(OWN, f"配置 configuration: {readable(one.text)}", told)


def _component_configuration(one: o.ComponentConfig, told: Told) -> None:
    told.meet(one.system, one.address)
    speaker = told.speaker
    key = speaker.component(one.system, one.address, one.place)
    description = readable(one.description)
    if speaker.registered and (key in speaker.described or len(speaker.described) < PLACES):
        speaker.described[key] = description
    _info(key, f"{description} {component_name(one.component)} 配置 configuration", told)


def _system_time(one: o.SystemTime, told: Told) -> None:
    _clock(told.meet(one.system, one.address), one.time, told)


def _device_time(one: o.DeviceTime, told: Told) -> None:
    _clock(OWN, one.time, told)


def _clock(key: str, tag: bytes, told: Told) -> None:
    time = told.time(tag)
    if time and told.wall and abs(time - told.wall) > _SLOW_CLOCK:
        told.decoded.problems.append("wrong_clock")
        told.say(key, EventCode.INFO, f"时钟偏差 clock is wrong by {(time - told.wall) // SECOND} s", time)
    else:
        told.say(key, EventCode.INFO, "系统时间 system time", time)


def _info(key: str, text: str, told: Told) -> None:
    told.untimed = True
    told.say(key, EventCode.INFO, text)


def _asked(_one: object, told: Told) -> None:
    """Count what only a centre may send."""
    told.decoded.problems.append("wrong_direction")


_READERS: dict[type, Callable[[Any, Told], None]] = {
    o.SystemStatus: status.system_status,
    o.ComponentStatus: status.component_status,
    o.Analog: _analog,
    o.Operation: status.operation,
    o.SystemVersion: _version,
    o.SystemConfig: _configuration,
    o.ComponentConfig: _component_configuration,
    o.SystemTime: _system_time,
    o.DeviceStatus: status.device_status,
    o.DeviceOperation: status.device_operation,
    o.DeviceVersion: _device_version,
    o.DeviceConfig: _device_configuration,
    o.DeviceTime: _device_time,
    **dict.fromkeys(
        (o.ReadSystem, o.ReadComponent, o.ReadOperations, o.ReadDevice, o.ReadDeviceOperations, o.SetTime, o.DutyCheck),
        _asked,
    ),
}
