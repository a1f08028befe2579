"""The words of Home Assistant's MQTT discovery: abbreviations, device classes and units, and what they are here.

Pure tables, beside `_ha_discovery.py`. A class that means fire, gas or water raises without any rule (house section 6).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# Abbreviations of the discovery chapter, those that something here reads.
LONG = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "cmd_t": "command_topic",
    "cmps": "components",
    "def_ent_id": "default_entity_id",
    "dev": "device",
    "dev_cla": "device_class",
    "ent_cat": "entity_category",
    "exp_aft": "expire_after",
    "frc_upd": "force_update",
    "ids": "identifiers",
    "json_attr_t": "json_attributes_topic",
    "mf": "manufacturer",
    "mdl": "model",
    "o": "origin",
    "obj_id": "object_id",
    "off_dly": "off_delay",
    "p": "platform",
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "stat_cla": "state_class",
    "stat_off": "state_off",
    "stat_on": "state_on",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}

_FIRE = {"class": "fire"}
_GAS = {"class": "gas"}
_FLOOD = {"class": "flood", "off_delay": "60s"}
_FAULT = {"class": "fault", "severity": "warning"}
_SUPERVISORY = {"class": "supervisory", "severity": "warning"}

# device_class of a binary sensor → point, label of off and of on, what its alarm says.
STATES: Mapping[str, tuple[str, str, str, Mapping[str, str] | None]] = {
    "smoke": ("smoke", "normal", "alarm", _FIRE),
    "heat": ("heat", "normal", "alarm", _FIRE),
    "gas": ("gas", "normal", "alarm", _GAS),
    "carbon_monoxide": ("carbon_monoxide", "normal", "alarm", _GAS),
    "moisture": ("water", "dry", "wet", _FLOOD),
    "safety": ("safety", "safe", "unsafe", _SUPERVISORY),
    "tamper": ("tamper", "normal", "tampered", _FAULT),
    "problem": ("problem", "normal", "fault", _FAULT),
    "battery": ("battery_low", "normal", "low", _FAULT),
    "door": ("contact", "closed", "open", None),
    "opening": ("contact", "closed", "open", None),
    "window": ("contact", "closed", "open", None),
    "garage_door": ("contact", "closed", "open", None),
    "power": ("mains", "off", "on", None),
    "plug": ("plug", "out", "in", None),
    "connectivity": ("connectivity", "gone", "there", None),
    "running": ("running", "off", "on", None),
}

# device_class of a sensor → point.
SENSORS: Mapping[str, str] = {
    "carbon_monoxide": "co",
    "gas": "gas_value",
    "water": "water_value",
    **{
        name: name
        for name in (
            "temperature",
            "humidity",
            "pressure",
            "distance",
            "battery",
            "voltage",
            "current",
            "power",
            "energy",
            "frequency",
            "duration",
            "signal_strength",
        )
    },
}

# Unit as announced → (UCUM, scale, offset). Temperatures are brought to Cel, in which profiles judge them.
UNITS: Mapping[str, tuple[str, float, float]] = {
    "°C": ("Cel", 1.0, 0.0),
    "°F": ("Cel", 5.0 / 9.0, -160.0 / 9.0),
    "K": ("Cel", 1.0, -273.15),
    "ppm": ("[ppm]", 1.0, 0.0),
    "%LEL": ("%[LEL]", 1.0, 0.0),
    "LEL": ("%[LEL]", 1.0, 0.0),
    "m³": ("m3", 1.0, 0.0),
    "µg/m³": ("ug/m3", 1.0, 0.0),
    "μg/m³": ("ug/m3", 1.0, 0.0),
    "mg/m³": ("mg/m3", 1.0, 0.0),
    "kWh": ("kW.h", 1.0, 0.0),
    "Wh": ("W.h", 1.0, 0.0),
    "VA": ("V.A", 1.0, 0.0),
    "dBm": ("dB[mW]", 1.0, 0.0),
    "lqi": ("1", 1.0, 0.0),
    "": ("1", 1.0, 0.0),
    **{
        unit: (unit, 1.0, 0.0)
        for unit in ("%", "Pa", "hPa", "kPa", "MPa", "bar", "mbar", "V", "mV", "A", "mA", "W", "kW", "Hz", "m", "cm")
    },
    **{unit: (unit, 1.0, 0.0) for unit in ("mm", "L", "mL", "s", "min", "h", "d", "lx", "dB")},
}

CO_PPM = 0.859  # of a mg/m³ of carbon monoxide at 20 Cel and 101.3 kPa

_BATTERY = {"battery": "%", "battery_low": "", "tamper": ""}
_ROOM = {"temperature": "Cel", "humidity": "%"}

# Profile → its points with their units; `tests/drivers/test_ha_discovery.py` compares it with the shipped files.
POINTS_OF: Mapping[str, Mapping[str, str]] = {
    "ha-smoke": {"smoke": "", "temperature": "Cel", **_BATTERY, "problem": ""},
    "ha-co": {"carbon_monoxide": "", "co": "[ppm]", **_BATTERY},
    "ha-gas": {"gas": "", "problem": "", "tamper": ""},
    "ha-leak": {"water": "", **_BATTERY},
    "ha-contact": {"contact": "", **_BATTERY},
    "ha-temperature": {**_ROOM, "battery": "%", "battery_low": ""},
    "ha-generic": {},
}

# The point that decides, the most urgent first.
_DECIDES = {
    "smoke": "ha-smoke",
    "heat": "ha-generic",
    "carbon_monoxide": "ha-co",
    "co": "ha-co",
    "gas": "ha-gas",
    "water": "ha-leak",
    "contact": "ha-contact",
    "temperature": "ha-temperature",
}


def profile_of(points: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the profile for a device with these points: that of the most urgent one."""
    found: Collection[str] = [profile for name, profile in _DECIDES.items() if name in points]
    return next(iter(found), "ha-generic")
