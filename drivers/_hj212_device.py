"""One installed HJ 212 device: factors of its packets → readings, its Flags → quality. Pure.

Made at load by `drivers/hj212.py`. Keeps house section 6: what the device says of its own value decides the quality;
above the measuring range is at least full scale and never missing; what is being calibrated does not alarm.

`decode` of a point:

| decode | meaning |
|---|---|
| code | the factor's code (that of 2005 is known as well), or the name of a plain field (default: the point's name) |
| kind | Rtd (default), Avg, Min, Max, Cou, ZsRtd, Info, RS …; "" for a plain field |
| cn | only in packets of this command; default: any for Rtd, Info, RS and fields, 2051 (minutes) for the others |
| scale, offset | value = sent * scale + offset (default 1 and 0) |
| words | what the device sends → raw number |
| get | command that asks for it (1061 …); with `set` it is the reading back |
| set | command that sets it (1062 …): an output |
| also | further fields of that command, `ReCount=3` |
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from drivers._installing import each_key, options_of
from drivers._times import zone_of
from drivers._values import Reading, good_as_sent, object_reader
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.quality import GOOD, Doubt, Level, level_of, quality
from gateway.model.time import SECOND
from gateway.protocols import hj212_codes
from gateway.protocols.hj212 import Check
from gateway.protocols.hj212_packet import Data, time_of

Row = tuple[int, int, float, int]
Meaning = Literal["good", "uncertain", "bad", "fault", "over_range", "no_comms"]

# Section 6.6 of 2017. Devices of 2005 have others, which are unconfirmed: a device says what they are (`flags`).
FLAGS: dict[str, Meaning] = {
    "N": "good",
    "F": "uncertain",  # the plant stands still: what is measured may be true
    "M": "bad",
    "S": "uncertain",
    "D": "fault",
    "C": "bad",
    "T": "over_range",
    "B": "no_comms",
}
REAL_TIME, _MINUTES = "2011", "2051"
_STATES = frozenset(("Info", "RS", "RT", ""))
_NO_VALUES = frozenset(("DataTime", "BeginTime", "EndTime", "Flag", "PolId"))  # fields that say what the others are of

_NAME = re.compile(r"[\w.-]{1,64}")
_MOST_UNTAKEN = 64  # names of a device that are counted one by one, beside those of the standard

_UNCERTAIN = quality(Level.UNCERTAIN, Doubt.DEVICE_DOUBT)
_OVER = quality(Level.UNCERTAIN, Doubt.OVER_RANGE)
_DOUBT = quality(Level.BAD, Doubt.DEVICE_DOUBT)
_FAULT = quality(Level.BAD, Doubt.FAULT_VALUE)
_NO_COMMS = quality(Level.BAD, Doubt.NO_COMMS)
_NOTHING: Reading = (math.nan, _DOUBT)


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of a `[[device]]` on an hj212 source; what is not given comes from the profile's options.

    `mn`: its number. `password`: packets with another PW are refused, and requests carry it. `crc`: which checks it
    may send; `tolerant` takes all that were met in the field. `answer`: its data are answered when it asks for it
    (bit A), always or never. `login_answer`: the command that answers 9021. `flags`: its own letters → what they mean.
    `alarm_code`: what an alarm event of 2005 (2072) is. `alarm_ends`: the AlarmType by which such an alarm ends; ""
    takes every 2072 for an alarm, which is the safer side while nobody knows. `set_clock`: when it asks for the time.
    """

    mn: str
    password: str = ""
    crc: Literal["strict", "tolerant", "short", "swapped", "modbus", "modbus_low"] = "strict"
    answer: Literal["flag", "always", "never"] = "flag"
    login_answer: Literal["9013", "9014", "9022", "none"] = "9014"
    utc_offset: str = "+08:00"
    flags: dict[str, Meaning] = {}
    alarm_code: Literal["gas", "fire", "flood", "pre_alarm", "supervisory", "fault"] = "gas"
    alarm_ends: str = ""
    set_clock: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no zone. Raises ValueError."""
        each_key([("utc_offset", lambda: zone_of(self.utc_offset))])


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point, see above."""

    code: str = ""
    kind: str = "Rtd"
    cn: str = ""
    scale: float = 1.0
    offset: float = 0.0
    words: dict[str, float] = {}
    get: str = ""
    set: str = ""
    also: str = ""


@dataclass(slots=True)
class Field:
    """One point of one device. `top`: the end of its scale, NaN if the profile knows none."""

    point: int
    spec: PointSpec
    decode: Decode
    code: str
    kind: str
    cn: str
    read: Callable[[object], Reading]
    top: float
    good: tuple[float, float]  # in this range a number is itself, and GOOD


class Told(NamedTuple):
    """A state that was told. `late`: it was older than what was known by then, and may have been taken for that."""

    word: str | None = None
    newest: int = 0  # ns: the newest time with which it came when it was that time; 0: none is known
    late: bool = True


@dataclass(slots=True)
class Installed:
    """A device as the conversation needs it. The part below `told` is what it said last."""

    id: str
    options: DeviceOptions
    offset: int  # s east of UTC
    checks: frozenset[Check]
    flags: dict[str, Meaning]
    fields: list[Field]
    events: int  # point of its events
    prefix: str  # of the keys of its events
    any_point: int
    by_code: dict[str, list[Field]] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    stated: dict[bytes, int] = field(default_factory=dict)  # packet that told states → until when it is a repeat, ns
    untaken: dict[str, str] = field(default_factory=dict)  # name without a point → reason that names it
    st: str = ""
    pw: str = ""
    old: bool = False  # speaks the edition of 2005
    stamp: str = ""
    last: bytes = b""
    repeats_stamps: bool = False

    def rows(self, cn: str, data: Data, moment: int, problems: list[str]) -> list[Row]:
        """Return the readings of a packet, oldest first. `moment`: its DataTime, or QN where it has none, ns."""
        general = data.fields.get("Flag", "")
        rows: list[Row] = []
        mixed = False
        for factor in data.factors:
            fields = self.by_code.get(factor.code)
            if fields is None:
                problems.append(self.untaken.get(factor.code) or self._untaken(factor.code))
                continue
            values, at = factor.values, moment
            if "SampleTime" in values:
                at = self.time(values["SampleTime"], problems) or moment
                mixed |= at != moment
            flag = values.get("Flag", general)
            if flag and flag != "N":
                rows += self._doubted(cn, fields, values, self._meaning(flag, problems), at)
                continue
            for one in fields:
                sent = values.get(one.kind)
                if sent is not None and (not one.cn or one.cn == cn):
                    rows.append(_row(one, at, sent))
        for name, value in data.fields.items():
            plain = [one for one in self.by_code.get(name, ()) if one.kind == ""]
            if not plain and name not in _NO_VALUES:
                problems.append(self.untaken.get(name) or self._untaken(name))
            rows += [(one.point, moment, *self._plain(one, value)) for one in plain if one.cn in ("", cn)]
        return sorted(rows, key=_row_time) if mixed else rows

    def time(self, text: str, problems: list[str]) -> int:
        """Return ns since 1970 UTC, 0 without a time or with an impossible one, which is counted."""
        found = time_of(text, self.offset) if text else 0
        if found is None:
            problems.append("bad_time")
        return found or 0

    def _untaken(self, name: str) -> str:
        """Return the reason that names what no point takes, where it is of the standard or among the first others."""
        known = len(self.untaken) < _MOST_UNTAKEN or hj212_codes.factor(name) is not None
        if not known or not _NAME.fullmatch(name):
            return "unknown_factor"
        return self.untaken.setdefault(name, f"unknown_factor:{name}")

    def _meaning(self, flag: str, problems: list[str]) -> Meaning:
        meaning = self.flags.get(flag.upper())
        if meaning is None:
            problems.append("unknown_flag")
        return meaning or "uncertain"

    @staticmethod
    def _doubted(cn: str, fields: list[Field], values: dict[str, str], meaning: Meaning, at: int) -> list[Row]:
        rows: list[Row] = []
        for one in fields:
            if one.cn and one.cn != cn:
                continue
            sent = values.get(one.kind)
            if sent is not None:
                rows.append((one.point, at, *judged(meaning, one.read(sent), one.top)))
            elif meaning != "good" and one.kind not in _STATES and (one.cn or REAL_TIME) == cn:
                rows.append((one.point, at, *judged(meaning, _NOTHING, one.top)))  # a Flag without its value
        return rows

    def _plain(self, one: Field, value: str) -> Reading:
        if one.code != "SystemTime":
            return one.read(value)
        found = time_of(value, self.offset)
        return one.read(value if found is None else found // SECOND)


def judged(meaning: Meaning, reading: Reading, top: float) -> Reading:
    """Return a reading as the device's own Flag lets it stand. `top`: end of the scale, NaN if unknown."""
    value, packed = reading
    match meaning:
        case "good":
            return reading
        case "uncertain":
            return value, max(packed, _UNCERTAIN) if level_of(packed) is not Level.UNCERTAIN else packed
        case "over_range":
            return max(top if math.isnan(value) else value, value if math.isnan(top) else top), _OVER
        case "fault":
            return value, _FAULT
        case "no_comms":
            return math.nan, _NO_COMMS
    return value, _DOUBT


def install(device: Device, ids: Mapping[str, int], source_events: int) -> Installed:
    """Compile a device. Raises ValueError for every option or `decode` that is wrong."""
    options = options_of(device, DeviceOptions)
    offset = zone_of(options.utc_offset).utcoffset(None)
    numbers = {spec.name: ids[f"{device.id}.{spec.name}"] for spec in device.profile.points}
    if not numbers:
        raise ValueError("it has no points: give some under [device.points]")
    fields = [_field(spec, numbers[spec.name]) for spec in device.profile.points if spec.kind is not Kind.TEXT]
    texts = [numbers[spec.name] for spec in device.profile.points if spec.kind is Kind.TEXT]
    checks = {Check.HJ212} if options.crc == "strict" else {Check.HJ212, *_checks(options.crc)}
    made = Installed(
        id=device.id,
        options=options,
        offset=round(offset.total_seconds()),
        checks=frozenset(checks),
        flags={**FLAGS, **{letter.upper(): meaning for letter, meaning in options.flags.items()}},
        fields=fields,
        events=texts[0] if texts else source_events,
        prefix="" if texts else f"{device.id}/",
        any_point=min(numbers.values()),
    )
    for one in fields:
        made.by_code.setdefault(one.code, []).append(one)
    for code in tuple(made.by_code):  # what speaks the edition of 2005 names the same factor by its old code
        known = hj212_codes.FACTORS.get(code)
        if known is not None and known.old:
            made.by_code.setdefault(known.old, made.by_code[code])
    return made


def _checks(name: str) -> list[Check]:
    return list(Check) if name == "tolerant" else [Check(name)]


def _field(spec: PointSpec, point: int) -> Field:
    try:
        decode = msgspec.convert(spec.decode, Decode, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"point {spec.name}: {error}") from error
    high = (spec.over_range or spec.valid_range or (math.nan, math.nan))[1]
    return Field(
        point=point,
        spec=spec,
        decode=decode,
        code=decode.code or spec.name,
        kind=decode.kind,
        cn=decode.cn or ("" if decode.kind == "Rtd" or decode.kind in _STATES else _MINUTES),
        read=object_reader(spec, scale=decode.scale, offset=decode.offset, words=decode.words),
        top=high if math.isfinite(high) else math.nan,
        good=(math.nan, math.nan) if decode.words else good_as_sent(spec, decode.scale, decode.offset),
    )


def _row(one: Field, at: int, sent: str) -> Row:
    """Return a reading without a doubt of the device's own. Nearly all are plain numbers: those take the short way."""
    try:
        number = float(sent)
    except ValueError:
        number = math.nan
    if one.good[0] <= number <= one.good[1] and "_" not in sent:  # Python would take 1_000
        return one.point, at, number, GOOD
    return (one.point, at, *one.read(sent))


def _row_time(row: Row) -> int:
    return row[1]
