"""Events in HJ 212 packets: alarm events of the edition of 2005, states that mean alarm, and what nobody knows. Pure.

Beside `drivers._hj212_device`; keeps house section 6: an alarm of an unknown device is an alarm "not registered", and
nothing that a device says is dropped silently. The edition of 2017 has no alarm command: there the station's own rules
judge the values (HJ 212-2017 appendix C).
"""

from __future__ import annotations

from typing import Final

from drivers._hj212_device import Installed
from gateway.model.batch import Event, EventCode
from gateway.protocols import hj212_codes
from gateway.protocols.hj212_packet import Data, Packet, time_of

ALARM: Final = "2072"
CHINA = 8 * 3600  # s: a stranger's zone
_LONGEST_TEXT, _LONGEST_KEY = 400, 64
# States that mean something is the matter: code → value of Info → what. They are told once, when they change.
_STATES = {
    "i12001": {"2": EventCode.FAULT, "6": EventCode.FAULT},
    "i12003": {"1": EventCode.SUPERVISORY},
}
_PLANT = {"4": EventCode.SUPERVISORY}  # SBn-RS


def alarms(packet: Packet, data: Data, device: Installed | None, point: int, raw: bytes) -> list[Event]:
    """Return the events of an alarm event (2072); every factor of it is one."""
    offset = CHINA if device is None else device.offset
    time = time_of(data.fields.get("AlarmTime") or data.fields.get("DataTime", ""), offset) or 0
    kind = data.fields.get("AlarmType", "")
    code = EventCode.GAS if device is None else EventCode[device.options.alarm_code.upper()]
    if device is not None and kind and kind == device.options.alarm_ends:
        code = EventCode.RESTORE
    prefix = f"{packet.mn}/" if device is None else device.prefix
    found = [
        Event(
            point,
            (prefix + factor.code)[:_LONGEST_KEY],
            code,
            f"{_named(factor.code)} {factor.values.get('Ala', '')}".strip()[:_LONGEST_TEXT],
            time,
            raw,
            registered=device is not None,
        )
        for factor in data.factors
    ]
    whole = Event(point, (prefix or "-")[:_LONGEST_KEY], code, packet.cp[:_LONGEST_TEXT], time, raw, device is not None)
    return found or [whole]


def tells_states(cp: str) -> bool:
    """Whether `states` may find something: most packets tell values alone."""
    return "-RS=" in cp or "-Info=" in cp


def states(data: Data, device: Installed, time: int, raw: bytes) -> list[Event]:
    """Return what plant and instrument say newly of themselves, unless a point of the profile watches it."""
    found = []
    for factor in data.factors:
        plant = factor.code[:2] == "SB" and factor.code[2:].isdigit()
        if not plant and factor.code not in _STATES:
            continue
        kind = "RS" if plant else "Info"
        meanings = _PLANT if plant else _STATES[factor.code]
        value = factor.values.get(kind)
        if value is None or factor.code in device.by_code:
            continue
        code = meanings.get(value, EventCode.RESTORE)
        before = device.told.get(factor.code)
        if before != value and (before is not None or code is not EventCode.RESTORE):
            what = "设施状态 plant state " if plant else ""
            text = f"{what}{_named(factor.code)} {kind}={value}"[:_LONGEST_TEXT]
            found.append(Event(device.events, device.prefix + factor.code, code, text, time, raw))
        device.told[factor.code] = value[:_LONGEST_KEY]
    return found


def unread(packet: Packet, device: Installed, time: int, raw: bytes) -> Event:
    """Return a packet that is nothing we know, as it was sent."""
    name = hj212_codes.COMMANDS.get(packet.cn, ("",))[0]
    text = f"CN={packet.cn} {name} {packet.cp}"[:_LONGEST_TEXT]
    return Event(device.events, device.prefix + f"CN{packet.cn}"[:_LONGEST_KEY], EventCode.INFO, text, time, raw)


def _named(code: str) -> str:
    known = hj212_codes.factor(code)
    return code if known is None else f"{code} {known.title}"
