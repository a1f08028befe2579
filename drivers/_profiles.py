"""Profiles: device types as TOML data, loaded, checked and tailored to one installed device.

Stands before the drivers: `gateway.config` asks for a profile by name, drivers and dialects read what is inside. Keeps
house rule 8 (a new device type is one new file in `drivers/profiles/`) and section 6 (`valid_range`, `over_range` and
`fault_values` are kept apart). Files in a folder of the station's own come first and may replace a shipped one.

A profile file (`<id>.toml`; units in UCUM):

    title = "温湿度变送器 XY-MD02"
    title_en = "…"               # for stations in English; so has every point
    driver = "modbus_rtu"        # the driver or the MQTT dialect that speaks it
    class = "fault"              # class of its events
    silence = "100s"             # so long without a word is a fault: mains and polled <= 100s, battery as it speaks
    silence_guessed = true       # products differ: `check` warns where the [[device]] gives no silence of its own
    preheat = "3m"               # so long after the first answer readings are BAD preheat
    source = "where the map comes from"
    confirmed = true             # false: a template, to be checked against the device's own manual

    [options]                    # read by the driver or dialect, may be overridden by keys of the [[device]]

    [[point]]
    name = "temperature"         # letters, digits, _ ; unique
    kind = "measure"             # measure, state, counter, text
    unit = "Cel"                 # measure and counter only
    title = "温度"
    valid_range = [-40, 125]     # after scaling; outside: BAD implausible
    over_range = [-inf, 100]     # after scaling; outside: UNCERTAIN with the limit as value
    fault_values = [0x7FFF]      # raw, before sign, scale and offset: as the register shows them
    labels = { normal = 0, alarm = 1 }
    invert = false               # state: raw 1 and 0 change places before labels are looked up
    alarms = [ { when = "value > 60", clear = "value < 54", class = "fire", severity = "critical", on_delay = "15s" } ]
    decode = { fc = 4, address = 1, type = "s16", scale = 0.1 }

`decode` and `options` of a Modbus RTU profile (`driver = "modbus_rtu"`):

| decode | meaning |
|---|---|
| fc | 1 coils, 2 inputs, 3 holding, 4 input registers |
| address | zero-based wire address of the first register or bit |
| type | u16 (default), s16, u32, s32, f32; d16: sign and two bits of the power of ten, 13 bits of \
mantissa; not for fc 1 and 2 |
| word_order | "high" (default) or "low" word first, for 32 bits |
| mask | the register AND mask, shifted right to the mask's lowest bit; before sign |
| bit | one bit of the register: short for mask = 1 << bit |
| scale, offset | value = raw * scale + offset (default 1 and 0) |
| decimals_register | { fc, address, mask }: n there means another factor of 10 ** -n; re-read hourly |
| unit_register | { fc, address, mask, factors = { "0x11" = 0.01 } }: code there → factor into the point's unit; \
re-read hourly; an unknown code: BAD device doubt |
| by_status | true: `options.status` judges this point |
| write | function that sets the output (5 or 6); only outputs have it; read back by `fc`, `address` |
| written | [off, on]: the words that set it, where they are not 0 and 1 (or 0x0000 and 0xFF00) |
| loop | { low, high, raw4, raw20 }: a 4–20 mA transmitter; what 4 and 20 mA mean in the point's unit, and what the \
module says at them (default 4000 and 20000, µA); below 3.6 and above 21 mA: BAD fault value |

| options | meaning |
|---|---|
| baudrate, parity ("N", "E", "O"), stopbits, address | the device as it leaves the factory; the `[[source]]` \
and the `[[device]]` say what is true |
| timeout | seconds the device may take to answer (default 0.3) |
| gap | seconds of silence it wants before a request (default 0.005) |
| min_poll | seconds between two requests to it, if it cannot stand more |
| block | most registers in one request (default 1: never read more than one point at once) |
| holes | most registers without a point that may be read through inside a block (default 0) |
| wake, wake_delay | hex bytes to send before each request, and seconds to wait after them |
| status | { fc, address, mask, preheat = [codes], fault = [codes] }: by what stands there, points with \
`by_status` are BAD preheat or BAD fault value |

Keys of the `json` and `zigbee2mqtt` dialects: see those files in `drivers/dialects/`. An `open = true` in options lets
a device bring points that the profile does not name (`json-generic`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from drivers._modbus_registers import Loop
from gateway.config.quantities import duration
from gateway.errors import ConfigError
from gateway.model.point import MAINS_SILENCE, AlarmClass, AlarmSpec, Kind, PointSpec, Profile, Severity
from gateway.model.words import nearest

SHIPPED = Path(__file__).parent / "profiles"

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_SIGN_BIT = {"s16": 1 << 15, "s32": 1 << 31}


class _Alarm(msgspec.Struct, forbid_unknown_fields=True, rename={"alarm_class": "class"}):
    """An entry of `alarms` as written."""

    when: str
    alarm_class: Literal["fire", "gas", "flood", "supervisory", "fault", "maintenance"]
    clear: str | None = None
    severity: Literal["notice", "warning", "critical"] | None = None  # critical for fire, gas, flood, else warning
    on_delay: str = "0s"
    off_delay: str = "0s"
    latch: bool | None = None

    def spec(self) -> AlarmSpec:
        alarm_class = AlarmClass[self.alarm_class.upper()]
        usual = Severity.CRITICAL if alarm_class.life_safety else Severity.WARNING
        return AlarmSpec(
            when=self.when,
            clear=self.clear,
            alarm_class=alarm_class,
            severity=usual if self.severity is None else Severity[self.severity.upper()],
            on_delay=duration(self.on_delay),
            off_delay=duration(self.off_delay),
            latch=self.latch,
        )


class _Point(msgspec.Struct, forbid_unknown_fields=True):
    """A `[[point]]` as written; the same keys, all optional, tailor a point in a `[[device]]`."""

    name: str
    kind: Kind = Kind.MEASURE
    unit: str = ""
    title: str = ""
    title_en: str = ""
    valid_range: tuple[float, float] | None = None
    over_range: tuple[float, float] | None = None
    fault_values: tuple[float, ...] = ()
    labels: dict[str, float] = {}
    invert: bool = False
    alarms: tuple[_Alarm, ...] = ()
    decode: dict[str, Any] = {}

    def spec(self) -> PointSpec:
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        fields["alarms"] = tuple(alarm.spec() for alarm in self.alarms)
        fields["fault_values"] = tuple(_typed(raw, self.decode.get("type")) for raw in self.fault_values)
        return PointSpec(**fields)


class _Profile(msgspec.Struct, forbid_unknown_fields=True, rename={"alarm_class": "class", "points": "point"}):
    """A profile file as written."""

    title: str
    driver: str
    source: str
    title_en: str = ""
    points: tuple[_Point, ...] = ()
    alarm_class: Literal["fire", "gas", "flood", "supervisory", "fault", "maintenance"] = "fault"
    silence: str = f"{MAINS_SILENCE:g}s"
    silence_guessed: bool = False
    preheat: str = "0s"
    confirmed: bool = True
    options: dict[str, Any] = {}

    def model(self, name: str) -> Profile:
        return Profile(
            id=name,
            title=self.title,
            title_en=self.title_en,
            points=tuple(point.spec() for point in self.points),
            driver=self.driver,
            alarm_class=AlarmClass[self.alarm_class.upper()],
            silence=duration(self.silence),
            silence_guessed=self.silence_guessed,
            preheat=duration(self.preheat),
            source=self.source,
            confirmed=self.confirmed,
            options=self.options,
        )


def names(own: Path | None = None) -> list[str]:
    """Return the ids of all profiles, sorted: the shipped ones and those in the folder `own`."""
    return sorted({path.stem for folder in _folders(own) for path in folder.glob("*.toml")})


def profile(name: str, own: Path | None = None) -> Profile:
    """Return a profile by id; a file in the folder `own` hides a shipped one of the same name.

    Raises:
        ConfigError: no such profile (with the nearest name), or its file is wrong: every problem with file and reason.
    """
    for folder in _folders(own):
        path = folder / f"{name}.toml"
        if path.parent == folder and path.is_file():
            return _load(path)
    raise ConfigError(f"profile {name!r} does not exist{_hint(name, names(own))}")


def tailor(known: Profile, changes: Mapping[str, Any]) -> Profile:
    """Return the profile as one installed device has it.

    `changes` is the `points` table of a `[[device]]`: point name → keys of a `[[point]]` that differ there, e.g.
    `{"di1": {"invert": True, "title": "门厅烟感"}}`. `decode` is merged key by key, every other key replaces. Another
    `loop` (4–20 mA) brings its own ranges, unless they are given. A name that the profile does not have makes a new
    point where `options.open` allows it.

    Raises:
        ConfigError: an unknown point or key, or a wrong value.
    """
    problems: list[str] = []
    points = {spec.name: spec for spec in known.points}
    for name, keys in changes.items():
        if name not in points and not known.options.get("open"):
            problems.append(f"profile {known.id}: no point {name!r}{_hint(name, points)}")
            continue
        try:
            points[name] = _changed(points.get(name), name, keys)
        except (ValueError, TypeError) as error:  # msgspec's and durations'; a value that is no table
            problems.append(f"points.{name}: {error}")
            continue
        problems.extend(f"points.{name}: {problem}" for problem in _point_problems(points[name]))
    if problems:
        raise ConfigError("\n".join(problems))
    return msgspec.structs.replace(known, points=tuple(points.values()))


def _changed(old: PointSpec | None, name: str, keys: Mapping[str, Any]) -> PointSpec:
    written = msgspec.convert({**keys, "name": name}, _Point, strict=False)
    if old is None:
        return written.spec()
    fresh = msgspec.convert({**keys, "name": name, "decode": {**old.decode, **written.decode}}, _Point, strict=False)
    new = fresh.spec()
    given = {key: getattr(new, key) for key in keys} | {"decode": new.decode}
    if "title" in keys:  # the device's own word stands in any language
        given["title_en"] = new.title_en
    loop = written.decode.get("loop")
    if loop is not None and "valid_range" not in keys:
        given = {"over_range": None, **given, "valid_range": _range_of(msgspec.convert(loop, Loop, strict=False))}
    return msgspec.structs.replace(old, **given)


def _range_of(loop: Loop) -> tuple[float, float] | None:
    """Return what a 4–20 mA transmitter may mean, from 3 to 22 mA; what no transmitter sends is a fault anyway."""
    step = (loop.high - loop.low) / 16
    ends = sorted((loop.low - step, loop.high + 2 * step))
    return (ends[0], ends[1]) if ends[0] < ends[1] else None  # without a span: the driver says so


def _folders(own: Path | None) -> tuple[Path, ...]:
    return (SHIPPED,) if own is None else (own, SHIPPED)


def _load(path: Path) -> Profile:
    try:
        text = path.read_text(encoding="utf-8")
        made = msgspec.convert(tomllib.loads(text), _Profile, strict=False).model(path.stem)
    except (OSError, ValueError) as error:  # of TOML, UTF-8, msgspec and durations
        raise ConfigError(f"{path}: {error}") from error
    problems = list(_problems(made))
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return made


def _problems(made: Profile) -> Iterable[str]:
    if made.silence <= 0:
        yield "silence must be above 0s"
    if not made.points and not made.options.get("open"):
        yield "it has no [[point]]"
    seen: set[str] = set()
    for spec in made.points:
        if spec.name in seen:
            yield f"point {spec.name!r} stands there twice"
        seen.add(spec.name)
        for problem in _point_problems(spec):
            yield f"point {spec.name!r}: {problem}"


def _point_problems(spec: PointSpec) -> Iterable[str]:
    if not _NAME.fullmatch(spec.name):
        yield "a name has lower-case letters, digits and _ only"
    if spec.kind in (Kind.MEASURE, Kind.COUNTER) and not spec.unit:
        yield f'a {spec.kind} needs a unit (UCUM; unit = "1" for a bare number)'
    if spec.kind is Kind.STATE and not spec.labels:
        yield "a state needs labels, e.g. { normal = 0, alarm = 1 }"
    if spec.kind is not Kind.STATE and (spec.labels or spec.invert):
        yield "only a state has labels or invert"
    for key, limits in (("valid_range", spec.valid_range), ("over_range", spec.over_range)):
        if limits is not None and not limits[0] < limits[1]:
            yield f"{key} must be [low, high]"


def _typed(raw: float, register: object) -> float:
    """A register's bit pattern as its signed type reads it: 0xFFFF of an s16 is -1."""
    sign = _SIGN_BIT.get(str(register), 0)
    return raw - 2 * sign if sign and raw >= sign else raw


def _hint(name: str, known: Iterable[str]) -> str:
    alike = nearest(name, known)
    return f'; did you mean "{alike}"?' if alike else ""
