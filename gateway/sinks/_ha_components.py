"""Points as components of a Home Assistant device, and their states as messages. Pure, beside `homeassistant.py`.

Follows the "MQTT Discovery" chapter of Home Assistant, device form (since 2024.11). Missing is not normal (house rule
5): a point whose reading is BAD is *unavailable* there, never off.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

from gateway.model.alarm import AlarmState
from gateway.model.batch import EventCode
from gateway.model.point import AlarmClass, Kind, Point, PointSpec
from gateway.model.quality import Level, describe, level_of

_SLUG = re.compile(r"[^A-Za-z0-9_-]+")

# UCUM → unit there, device_class of a sensor.
_UNITS: Mapping[str, tuple[str, str]] = {
    "Cel": ("°C", "temperature"),
    "V": ("V", "voltage"),
    "mV": ("mV", "voltage"),
    "A": ("A", "current"),
    "mA": ("mA", "current"),
    "W": ("W", "power"),
    "kW": ("kW", "power"),
    "W.h": ("Wh", "energy"),
    "kW.h": ("kWh", "energy"),
    "Hz": ("Hz", "frequency"),
    "Pa": ("Pa", "pressure"),
    "hPa": ("hPa", "pressure"),
    "kPa": ("kPa", "pressure"),
    "MPa": ("MPa", ""),
    "bar": ("bar", "pressure"),
    "m": ("m", "distance"),
    "cm": ("cm", "distance"),
    "mm": ("mm", "distance"),
    "s": ("s", "duration"),
    "[ppm]": ("ppm", ""),
    "%[LEL]": ("%LEL", ""),
    "dB[mW]": ("dBm", "signal_strength"),
    "m3": ("m³", ""),
    "1": ("", ""),
}
_BY_NAME = {"battery": "battery", "humidity": "humidity", "co": "carbon_monoxide"}  # of a sensor, where the unit fits
_CLASSES = {AlarmClass.FIRE: "smoke", AlarmClass.GAS: "gas", AlarmClass.FLOOD: "moisture", AlarmClass.FAULT: "problem"}
_STATES = {  # of a binary sensor, by what its point is called
    "heat": "heat",
    "carbon_monoxide": "carbon_monoxide",
    "battery_low": "battery",
    "tamper": "tamper",
    "contact": "door",
}


def slug(text: str) -> str:
    """Return a text as an object id there: letters, digits, - and _; what that loses is told apart by a digest."""
    plain = _SLUG.sub("_", text)
    return plain if plain == text else f"{plain.strip('_')}_{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("_")


def shown(spec: PointSpec) -> bool:
    """Whether a point can be shown: one that left the configuration has no unit, a text has no state."""
    return spec.kind is not Kind.TEXT and bool(spec.unit or spec.labels)


def component(point: Point, unique: str, topic: str, status: str) -> dict[str, Any]:
    """Return a point's component: `unique` its id, `topic` of its state, `status` the gateway's."""
    spec = point.spec
    entry: dict[str, Any] = {
        "p": "sensor",
        "uniq_id": unique,
        "name": f"{point.device} {spec.title or spec.name}",
        "stat_t": topic,
        "val_tpl": "{{ value_json.v }}",
        "json_attr_t": topic,
        "avty": [presence(status), {"t": topic, "val_tpl": "{{ value_json.available }}"}],
        "avty_mode": "all",
    }
    if spec.kind is not Kind.STATE:
        return entry | _measured(spec)
    if len(spec.labels) != 2:
        return entry | {"dev_cla": "enum", "options": list(spec.labels), "val_tpl": "{{ value_json.state }}"}
    entry |= {"p": "binary_sensor", "val_tpl": "{{ value_json.state }}"}
    classes = [alarm.alarm_class for alarm in spec.alarms]
    found = _STATES.get(spec.name) or (_CLASSES.get(min(classes)) if classes else None)
    return entry | ({"dev_cla": found} if found else {})


def presence(status: str) -> dict[str, str]:
    """Return the availability that the gateway's own status says."""
    return {"t": status, "val_tpl": "{{ value_json.online }}", "pl_avail": "True", "pl_not_avail": "False"}


def events(station: str, unique: str, topic: str, status: str, kinds: list[str]) -> dict[str, Any]:
    """Return the component of what happens: each message an event of one of `kinds`."""
    return {
        "p": "event",
        "uniq_id": unique,
        "name": station,
        "stat_t": topic,
        "event_types": kinds,
        "avty": [presence(status)],
    }


TRANSITIONS = [state.value for state in AlarmState]
EVENTS = [code.name.lower() for code in EventCode]


def state_of(spec: PointSpec, value: float, quality: int, time: str) -> dict[str, Any]:
    """Return the message of one reading: v (null where there is no number), state, available, quality, t."""
    number = value if math.isfinite(value) else None
    there = level_of(quality) is not Level.BAD and number is not None
    told: dict[str, Any] = {"v": number, "available": "online" if there else "offline"}
    if spec.kind is Kind.STATE:
        told["state"] = _word(spec, value) if there else None
    return told | {"quality": describe(quality), "t": time}


def _word(spec: PointSpec, value: float) -> str | None:
    """Return ON or OFF of a state with two labels, else its label. ON is the side that alarms, or the larger number."""
    label = next((name for name, number in spec.labels.items() if number == value), None)
    if label is None or len(spec.labels) != 2:
        return label
    alarming = [name for name in spec.labels if any(f'== "{name}"' in alarm.when for alarm in spec.alarms)]
    on = alarming[0] if len(alarming) == 1 else max(spec.labels, key=lambda name: spec.labels[name])
    return "ON" if label == on else "OFF"


def _measured(spec: PointSpec) -> dict[str, Any]:
    unit, kind = _UNITS.get(spec.unit, (spec.unit, ""))
    named = _BY_NAME.get(spec.name, "") if spec.unit in ("%", "[ppm]") else ""
    entry = {"stat_cla": "total_increasing" if spec.kind is Kind.COUNTER else "measurement"}
    if unit:
        entry["unit_of_meas"] = unit
    return entry | ({"dev_cla": found} if (found := named or kind) else {})
