"""What each table of the station's file means: one reader per table, `Sheet` in, model object out.

Between `sheet` and `load`. A reader returns None when the table cannot be used even with defaults; everything it has
to say is in the findings. Names that point elsewhere are checked against `Names`, which holds what is *declared*: a
device on a source that is itself broken says nothing of its own (house section 11: no cascades).
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from gateway import registry
from gateway.config import options
from gateway.config.people import LANGUAGES, Grid
from gateway.config.problems import Kind, suggest
from gateway.config.sheet import NAME, Sheet
from gateway.errors import ConfigError
from gateway.model.contact import ChannelKind, ChannelSpec
from gateway.model.point import AlarmClass, Device, Profile, Severity
from gateway.model.point import Kind as PointKind
from gateway.model.station import Limits, RuleSpec, SourceSpec, StoreSpec

CLASSES: dict[str, AlarmClass] = {alarm_class.word: alarm_class for alarm_class in AlarmClass}
SEVERITIES: dict[str, Severity] = {severity.word: severity for severity in Severity}
CLOCKS = {"ntp": "ntp", "trusted": "trusted"}  # what makes wall time trusted: the kernel's word, or ours
DEFAULT_STORE = "/var/lib/firegrid/station.db"
_RECORD_LEAST = 2  # years: a fire is asked about long after
_SHORTEST_POLL = 0.05  # s; a shorter one is a slip of the unit

Schema = type[msgspec.Struct] | None
Tailor = Callable[[Profile, Mapping[str, Any]], Profile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What configuration asks of the packages above it; each call raises ConfigError for an unknown name.

    Attributes:
        profile: device type by name.
        tailor: profile with the `points` table of a device put in.
        options: (table, name) → struct of known keys, see `gateway.registry.options`.
        addressed: kind of channel → person or place.
    """

    profile: Callable[[str], Profile]
    tailor: Tailor
    options: Callable[[str, str], Schema]
    addressed: Callable[[str], ChannelKind]


@dataclass(slots=True, kw_only=True)
class Names:
    """Ids that the file declares per table, usable or not, and the folder that relative paths start from."""

    declared: dict[str, set[str]]
    grid: Grid
    folder: Path
    outside: Outside
    addressed: dict[str, ChannelKind] = field(default_factory=dict)  # channel id → how it is addressed
    drivers: dict[str, str] = field(default_factory=dict)  # source id → driver, also of a source with a mistake
    half: list[RuleSpec] = field(default_factory=list)  # rules with a mistake: not used, but judged for more of them

    def served(self, sheet: Sheet, source: str, profile: Profile) -> bool:
        """Whether a profile speaks what its source's driver does; reported at `profile` when not."""
        driver = self.drivers.get(source, "")
        if not driver or not profile.driver or registry.serves(driver, profile.driver):
            return True
        dialect = registry.is_dialect(profile.driver)
        facts = {"profile": profile.id, "source": source, "driver": driver}
        speaks, wanted = (f"{profile.driver} (mqtt)", "mqtt") if dialect else (profile.driver, profile.driver)
        sheet.report(Kind.OTHER_DRIVER, "profile", speaks=speaks, wanted=wanted, **facts)
        return False

    def known(self, sheet: Sheet, key: str, table: str, given: str, *, soft: bool = False) -> bool:
        """Whether a name is declared in a table; reported at `key` when not, and the sheet is broken unless soft."""
        if given in self.declared[table]:
            return True
        sheet.findings.unknown((*sheet.path, key), table, given, self.declared[table])
        sheet.broken = sheet.broken or not soft
        return False

    def cell(self, sheet: Sheet) -> str:
        """Take the key `cell`; an unknown one is reported and dropped: the device is heard all the same."""
        given = sheet.text("cell", example='"jc/3"')
        if given and not self.grid.has(given):
            sheet.findings.unknown((*sheet.path, "cell"), "cell", given, self.grid.cells)
            return ""
        return given

    def schema(self, sheet: Sheet, key: str, table: str, name: str) -> Schema:
        """Return the known keys of a plug-in; an unknown plug-in breaks the sheet."""
        try:
            return self.outside.options(table, name)
        except registry.UnknownPlugInError as error:
            known = suggest(name, error.alike)
            sheet.report(Kind.UNKNOWN_NAME, key, what=error.group.word, given=name, **known)
        except ConfigError as error:
            sheet.report(Kind.BAD_PLUGIN, key, error=error)
        return None


@dataclass(frozen=True, slots=True)
class Identity:
    """The `[station]` table."""

    id: str
    name: str
    timezone: str
    language: str
    socket: str
    clock: str


def read_station(sheet: Sheet, folder: Path) -> Identity:
    """Read `[station]`."""
    name = sheet.name("id", NAME) or "station"
    socket = sheet.text("socket")
    identity = Identity(
        id=name,
        name=sheet.text("name", name),
        timezone=sheet.text("timezone", "Asia/Shanghai", example='"Asia/Shanghai"') or "Asia/Shanghai",
        language=sheet.word("language", LANGUAGES, "zh"),
        socket=str(folder / socket) if socket else "",
        clock=sheet.word("clock", CLOCKS, "ntp"),
    )
    sheet.finish()
    try:
        zoneinfo.ZoneInfo(identity.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        zones = zoneinfo.available_timezones()
        sheet.findings.unknown((*sheet.path, "timezone"), "time zone", identity.timezone, sorted(zones))
        return replace(identity, timezone="Asia/Shanghai")
    return identity


def read_store(sheet: Sheet, folder: Path) -> StoreSpec:
    """Read `[store]`; the folder of its path must exist."""
    path = folder / (sheet.text("path", example=f'"{DEFAULT_STORE}"') or DEFAULT_STORE)
    retention = sheet.sheet("retention", example='{ raw = "30d", minute = "1y", hour = "10y" }')
    usual = StoreSpec(path=str(path))
    store = StoreSpec(
        path=str(path),
        commit_interval=sheet.duration("commit_interval", usual.commit_interval, zero=False),
        retain_raw=retention.duration("raw", usual.retain_raw, zero=False, example='"30d"'),
        retain_minute=retention.duration("minute", usual.retain_minute, zero=False, example='"1y"'),
        retain_hour=retention.duration("hour", usual.retain_hour, zero=False, example='"10y"'),
        retain_record=_record(retention),
        journal_budget=sheet.size("journal_budget", usual.journal_budget),
        **_budget(sheet, usual),
    )
    retention.finish()
    sheet.finish()
    if path.is_dir():
        sheet.report(Kind.REFUSED, "path", error=f"{path} is a folder, not a file")
    elif not path.parent.is_dir():
        sheet.report(Kind.NO_FOLDER, "path", given=path.parent)
    return store


def _record(retention: Sheet) -> int:
    """Read `record`: for how many whole years it is kept, 0 for "never removed"."""
    given = retention.text("record", example='"never"') or "never"
    years = re.fullmatch(r"([1-9][0-9]?)y", given)
    if given == "never":
        return 0
    if years is None or int(years[1]) < _RECORD_LEAST:
        retention.report(Kind.OUT_OF_RANGE, "record", given=f'"{given}"', wanted='record = "10y"')
        return 0
    return int(years[1])


def _budget(sheet: Sheet, usual: StoreSpec) -> dict[str, Any]:
    """Read `budget`: bytes, or a share of the disk in whole percent."""
    given = sheet.table.get("budget")
    share = re.fullmatch(r"([1-9][0-9]?) ?%", given) if isinstance(given, str) else None
    if share is None:
        return {"budget": sheet.size("budget", usual.budget)}
    sheet.known.add("budget")
    return {"budget_share": int(share[1]) / 100}


def read_limits(sheet: Sheet) -> Limits:
    """Read `[limits]`: durations and counts, by the types of the fields of `Limits`."""
    values: dict[str, Any] = {}
    for known in msgspec.structs.fields(Limits):
        if known.type is float:
            values[known.name] = sheet.duration(known.name, known.default, zero=False)
        elif known.type is int:
            values[known.name] = sheet.integer(known.name, known.default)
        else:
            given = sheet.texts(known.name, example='["10s", "30s"]')
            read = [sheet.seconds(text, known.name, index, example='"10s"') for index, text in given]
            values[known.name] = tuple(seconds for seconds in read if seconds) or known.default
    sheet.finish()
    return Limits(**values)


def read_source(sheet: Sheet, names: Names) -> SourceSpec | None:
    """Read a `[[source]]`."""
    source_id, driver = sheet.name(), sheet.text("driver", example='"modbus_rtu"', required=True)
    cell = names.cell(sheet)
    names.drivers.setdefault(source_id, driver)
    schema = names.schema(sheet, "driver", "source", driver) if driver else None
    own = options.check(sheet, schema, names.folder)
    return None if sheet.broken else SourceSpec(id=source_id, driver=driver, cell=cell, options=own)


def read_device(sheet: Sheet, names: Names) -> Device | None:
    """Read a `[[device]]` with its profile, tailored by its `points` table."""
    device_id = sheet.name(pattern=NAME)
    source = sheet.text("source", example='"bus1"', required=True)
    if source:
        names.known(sheet, "source", "source", source)
    profile = _profile(sheet, names)
    cell, name, was = names.cell(sheet), sheet.text("name"), sheet.text("was")
    poll = sheet.duration("poll", 1.0, zero=False, example='"1s"')
    if poll < _SHORTEST_POLL:
        sheet.report(Kind.OUT_OF_RANGE, "poll", given=f"{poll:g} s", wanted=f"at least {_SHORTEST_POLL:g}s")
    silence = sheet.duration("silence", 0.0, zero=False, example='"100s"') or None
    own: dict[str, Any] = {}
    if profile is None or names.served(sheet, source, profile):  # else the keys are those of the other driver
        schema = names.schema(sheet, "profile", "device", profile.driver) if profile and profile.driver else None
        own = options.check(sheet, schema, names.folder, also=profile.options if profile else ())
    if profile is None or sheet.broken:
        return None
    device = Device(
        id=device_id,
        source=source,
        profile=profile,
        cell=cell,
        name=name,
        poll=poll,
        silence=silence,
        was=was,
        options=own,
    )
    if "poll" in sheet.table and poll >= device.silence_limit:
        sheet.remark(Kind.SILENCE_SHORT, "poll", poll=f"{poll:g}", silence=f"{device.silence_limit:g}")
    if profile.silence_guessed and silence is None:
        sheet.remark(Kind.SILENCE_GUESSED, "profile", profile=profile.id, hours=f"{profile.silence / 3600:g}")
    return device


def _profile(sheet: Sheet, names: Names) -> Profile | None:
    name = sheet.text("profile", example='"renke-smoke"', required=True)
    changes = sheet.sheet("points", example="{ do1 = { … } }").table
    if not name:
        return None
    try:
        profile = names.outside.profile(name)
    except ConfigError as error:
        _each(sheet, "profile", error)
        return None
    try:
        profile = names.outside.tailor(profile, changes) if changes else profile
    except ConfigError as error:
        _each(sheet, "points", error)
    for point in profile.points:
        if point.kind in (PointKind.MEASURE, PointKind.COUNTER) and not point.unit:
            sheet.remark(Kind.NO_UNIT, "profile", profile=profile.id, point=point.name)
    if not profile.confirmed:
        sheet.remark(Kind.UNCONFIRMED, "profile", profile=profile.id)
    return profile


def _each(sheet: Sheet, key: str, error: ConfigError) -> None:
    for line in str(error).splitlines():
        sheet.report(Kind.BAD_PROFILE, key, error=line)


def read_channel(sheet: Sheet, names: Names, devices: Mapping[str, Device]) -> ChannelSpec | None:
    """Read a `[[channel]]`; its `device` and `point`, if it has them, must be there and of use."""
    channel_id, kind = sheet.name(), sheet.text("kind", example='"sms_modem"', required=True)
    schema = names.schema(sheet, "kind", "channel", kind) if kind else None
    own = options.check(sheet, schema, names.folder)
    device = own.get("device")
    if isinstance(device, str) and names.known(sheet, "device", "device", device) and device in devices:
        points = {spec.name for spec in devices[device].profile.points}
        point = own.get("point")
        if isinstance(point, str) and point not in points:
            sheet.broken = True
            sheet.findings.unknown((*sheet.path, "point"), f'point of device "{device}"', point, points)
    if sheet.broken or (isinstance(device, str) and device not in devices):
        return None
    names.addressed[channel_id] = names.outside.addressed(kind)
    return ChannelSpec(id=channel_id, kind=kind, options=own)


def read_rule(sheet: Sheet, names: Names) -> RuleSpec | None:
    """Read a `[[rule]]`; what its expressions and points mean is judged by `rules.compile`, also of a half one."""
    policy = sheet.text("policy")
    if policy and not names.known(sheet, "policy", "policy", policy, soft=True):
        policy = ""
    kind = sheet.text("kind", "threshold", example='"threshold"') or "threshold"
    fields: dict[str, Any] = {
        "id": sheet.name() or str(int(sheet.path[1]) + 1),
        "kind": kind,
        "points": tuple(text for _, text in sheet.texts("points", example='"*.ch4"', required=True)),
        "when": sheet.text("when", example='"value > 10"'),
        "clear": sheet.text("clear", example='"value < 5"') or None,
        "on_delay": sheet.duration("on_delay", 0.0),
        "off_delay": sheet.duration("off_delay", 0.0),
        "latch": sheet.flag("latch", default=None),
        "alarm_class": sheet.word("class", CLASSES, AlarmClass.SUPERVISORY),
        "severity": sheet.word("severity", SEVERITIES, Severity.WARNING),
        "title": sheet.text("title"),
        "alarm": sheet.flag("alarm", default=True),
        "reason": sheet.text("reason"),
    }
    if not fields["alarm"] and not fields["reason"]:
        sheet.report(Kind.NO_REASON, "alarm")
    own = options.check(sheet, names.schema(sheet, "kind", "rule", kind), names.folder)
    rule = RuleSpec(policy=policy, options=own, **fields)
    if sheet.broken:
        names.half.append(rule)
        return None
    return rule
