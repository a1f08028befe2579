"""Points, devices and profiles: what is measured, by what, and how a type of device says it.

A profile is data (TOML); a point's durable id is given by the store and never reused. Ranges follow house section 6:
`valid_range`, `over_range` and `fault_values` are kept apart.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

import msgspec

MAINS_SILENCE = 100.0  # s; GB 4717 and EN 54-2 ask for a fault within 100 s


class Kind(StrEnum):
    """What sort of quantity a point is."""

    MEASURE = "measure"  # unit, range
    STATE = "state"  # labels, some of which mean alarm
    COUNTER = "counter"  # grows, wraps, resets
    TEXT = "text"  # events only


class AlarmClass(IntEnum):
    """Classes in order of precedence: nothing of a lower class may delay a higher one."""

    FIRE = 0
    GAS = 1
    FLOOD = 2
    SUPERVISORY = 3
    FAULT = 4
    MAINTENANCE = 5

    @property
    def life_safety(self) -> bool:
        """Whether the class is fire, gas or flood."""
        return self <= AlarmClass.FLOOD

    @property
    def word(self) -> str:
        """The word used in configuration files."""
        return self.name.lower()


class Severity(IntEnum):
    """How bad, within a class. Higher is worse."""

    NOTICE = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def word(self) -> str:
        """The word used in configuration files."""
        return self.name.lower()


class AlarmSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alarm that a profile brings along: raises without any `[[rule]]` (house section 6). Delays in seconds."""

    when: str
    clear: str | None = None
    alarm_class: AlarmClass
    severity: Severity = Severity.CRITICAL
    on_delay: float = 0.0
    off_delay: float = 0.0
    latch: bool | None = None  # None: fire, gas and flood latch


class PointSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a profile. `unit` is UCUM; a state has labels (text → number) instead."""

    name: str
    kind: Kind = Kind.MEASURE
    unit: str = ""
    title: str = ""  # for people; in a profile Chinese, in a station its own language
    title_en: str = ""  # the same in English, where the profile says it
    valid_range: tuple[float, float] | None = None  # outside: BAD implausible
    over_range: tuple[float, float] | None = None  # below/above: UNCERTAIN with the limit as value
    fault_values: tuple[float, ...] = ()  # raw values that mean "broken"
    labels: dict[str, float] = {}
    invert: bool = False  # state points: 1 means normal
    alarms: tuple[AlarmSpec, ...] = ()
    decode: dict[str, Any] = {}  # how the driver or dialect finds it: register, path …


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A type of device. `silence` in seconds; `preheat` in seconds after the first answer."""

    id: str
    title: str
    title_en: str = ""
    points: tuple[PointSpec, ...]
    driver: str = ""  # driver or dialect that speaks it
    alarm_class: AlarmClass = AlarmClass.FAULT  # class of its events
    silence: float = MAINS_SILENCE
    silence_guessed: bool = False  # how often it speaks depends on the product: `check` asks for the device's own
    preheat: float = 0.0
    source: str = ""  # where the map comes from
    confirmed: bool = True
    options: dict[str, Any] = {}  # driver-wide: baudrate, gap, max registers …


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on a source, with what the configuration overrides in its profile."""

    id: str
    source: str
    profile: Profile
    cell: str = ""
    name: str = ""
    poll: float = 1.0  # s, polled drivers only
    silence: float | None = None
    was: str = ""  # its id before it was renamed: its points keep their history
    options: dict[str, Any] = {}  # address, topic, overrides …

    @property
    def silence_limit(self) -> float:
        """Seconds of silence after which the device is a fault."""
        return self.profile.silence if self.silence is None else self.silence


class Point(msgspec.Struct, frozen=True):
    """A point of an installed device. `id` is durable and small enough to index arrays."""

    id: int
    device: str
    spec: PointSpec
    cell: str
    life_safety: bool = False  # watched by a rule of class fire, gas or flood: lane 1

    @property
    def name(self) -> str:
        """`device.point`, as rules and people name it."""
        return f"{self.device}.{self.spec.name}"
