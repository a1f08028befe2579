"""`firegrid profiles`: device types, the shipped ones and those of one's own; what one says, and whether one is right.

For who chooses a profile or writes one. Keeps house section 11 (every problem at once, with its line) and section 12.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace as replace_struct

from drivers import _profiles as known
from drivers._decode import speaks
from drivers._decode_profile import problems
from gateway.cli.main import BAD_CONFIGURATION, GOOD, add_config
from gateway.cli.printing import Row, show
from gateway.cli.tongue import add_language, is_chinese
from gateway.config.chinese import chinese
from gateway.config.text import parse
from gateway.errors import ConfigError
from gateway.model.point import AlarmClass, Device, Point, PointSpec, Profile
from gateway.model.station import Station, StoreSpec
from gateway.model.words import nearest
from rules.compile import compile_rules

CLASSES = tuple(one.word for one in AlarmClass)


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `profiles` takes."""
    commands = own.add_subparsers(dest="what", metavar="list | show | check", required=True)
    listed = commands.add_parser("list", help="what device types there are")
    listed.add_argument("--driver", default="", help="only those of this driver or dialect")
    listed.add_argument("--class", dest="alarm_class", choices=CLASSES, help="only those of this class")
    shown = commands.add_parser("show", help="what one device type sends, with ranges and alarms")
    shown.add_argument("profile")
    shown.add_argument("--toml", action="store_true", help="its file, to be copied and changed")
    checked = commands.add_parser("check", help="every problem of files of one's own")
    checked.add_argument("files", nargs="+", type=Path, metavar="FILE")
    for command in (listed, shown):
        add_config(command)
        command.add_argument("--json", action="store_true", help="one JSON object a line")
    for command in (listed, shown, checked):
        add_language(command)


def run(options: argparse.Namespace) -> int:
    """Do it; 2 when a profile is wrong or does not exist."""
    zh = is_chinese(options)
    if options.what == "check":
        return _check(options.files, zh=zh)
    own = options.config.absolute().parent / "profiles"
    if options.what == "show":
        return _show(options, own if own.is_dir() else None, zh=zh)
    found = [known.profile(name, own=own) for name in known.names(own)]
    wanted = [
        one for one in _of_driver(found, options.driver, zh=zh) if options.alarm_class in (None, one.alarm_class.word)
    ]
    columns = ("profile", "driver", "class", "confirmed", "title", "points")
    show((_row(one, zh=zh, whole=options.json) for one in wanted), as_json=options.json, columns=columns)
    return GOOD


def _of_driver(found: list[Profile], driver: str, *, zh: bool) -> list[Profile]:
    """Return the profiles of a driver or dialect, all for an empty text. Raises ConfigError: none is of it."""
    wanted = [one for one in found if not driver or speaks(one, driver)]
    if wanted or not found:
        return wanted
    drivers = sorted({one.driver for one in found})
    alike = nearest(driver, drivers)
    meant = (f"；是否应为“{alike}”？" if zh else f'; did you mean "{alike}"?') if alike else ""
    told = "没有此驱动或方言的型号档案" if zh else "no profile is of this driver or dialect"
    raise ConfigError(f"--driver {driver}: {told}{meant} ({', '.join(drivers)})")


def _row(profile: Profile, *, zh: bool, whole: bool) -> Row:
    yes = "是" if zh else "yes"
    no = "模板" if zh else "template"
    points = [point.name for point in profile.points]
    return {
        "profile": profile.id,
        "driver": profile.driver,
        "class": profile.alarm_class.word,
        "confirmed": profile.confirmed if whole else yes if profile.confirmed else no,
        "title": _title(profile, zh=zh),
        "points": points if whole else _few(points),
    }


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{names[0]} … {names[-1]} ({len(names)})"


def _title(one: Profile | PointSpec, *, zh: bool) -> str:
    return one.title if zh else one.title_en or one.title


def _show(options: argparse.Namespace, own: Path | None, *, zh: bool) -> int:
    profile = known.profile(options.profile, own=own)
    if options.toml:
        folders = [folder for folder in (own, known.SHIPPED) if folder is not None]
        path = next(path for folder in folders if (path := folder / f"{profile.id}.toml").is_file())
        print(path.read_text(encoding="utf-8"), end="")
    elif options.json:
        print(json.dumps({**_row(profile, zh=zh, whole=True), **_details(profile)}, ensure_ascii=False))
    else:
        for line in _described(profile, zh=zh):
            print(line)
    return GOOD


def _details(profile: Profile) -> Row:
    return {
        "silence": profile.silence,
        "preheat": profile.preheat,
        "source": profile.source,
        "options": profile.options,
        "points": [_point(point) for point in profile.points],
    }


def _point(point: PointSpec) -> Row:
    names = ("name", "kind", "unit", "title", "title_en", "labels", "decode")
    said = {name: getattr(point, name) for name in names}
    ranges = {
        name: [_bound(end) for end in limits]
        for name in ("valid_range", "over_range")
        if (limits := getattr(point, name))
    }
    alarms = [{"when": one.when, "class": one.alarm_class.word, "severity": one.severity.word} for one in point.alarms]
    return {**said, **ranges, "fault_values": list(point.fault_values), "alarms": alarms}


def _bound(end: float) -> float | None:
    return end if abs(end) != float("inf") else None


def _described(profile: Profile, *, zh: bool) -> Iterator[str]:
    yield f"{profile.id}: {_title(profile, zh=zh)}"
    silence = f"{profile.silence:g} s"
    yield f"  {'驱动' if zh else 'driver'}: {profile.driver}"
    yield f"  {'类别' if zh else 'class'}: {profile.alarm_class.word}"
    yield f"  {'静默多久算失联' if zh else 'silent after'}: {silence}"
    yield f"  {'来源' if zh else 'source'}: {profile.source}"
    if not profile.confirmed:
        yield (
            "  模板：未与厂家说明书或实物核对"
            if zh
            else "  template: never compared with the maker's manual or a device"
        )
    for key, value in profile.options.items():
        yield f"  {key} = {value}"
    for point in profile.points:
        unit = f" [{point.unit}]" if point.unit else ""
        labels = f" {' / '.join(point.labels)}" if point.labels else ""
        yield f"  - {point.name}{unit}{labels}: {_title(point, zh=zh)}"
        for limit, word in (
            (point.valid_range, "有效范围" if zh else "valid"),
            (point.over_range, "满量程" if zh else "scale"),
        ):
            if limit is not None:
                yield f"      {word}: {limit[0]:g} … {limit[1]:g}"
        for alarm in point.alarms:
            yield f"      {'报警' if zh else 'alarm'}: {alarm.when} ({alarm.alarm_class.word}, {alarm.severity.word})"


def _check(files: list[Path], *, zh: bool) -> int:
    code = GOOD
    for path in files:
        if _checked(path, zh=zh):
            code = BAD_CONFIGURATION
    return code


def _conditions(made: Profile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with the conditions of alarms: each is compiled as a station would compile it."""
    for number, spec in enumerate(made.points):
        for place, alarm in enumerate(spec.alarms):
            one = replace_struct(spec, alarms=(alarm,))
            device = Device(id=made.id, source="", profile=replace_struct(made, points=(one,)))
            station = Station(id="", name="", store=StoreSpec(path=""), devices=(device,))
            for problem in compile_rules(station, [Point(1, made.id, one, "")])[1]:
                if not problem.note:
                    at = ("point", number, "alarms", place, problem.key)
                    yield at, f"{problem.reason}; {problem.fix}"


def _checked(path: Path, *, zh: bool) -> bool:
    """Print what is wrong with a file; whether anything is."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        print(f"{path}: {'不是有效的 TOML' if zh else 'not TOML'}: {error}")
        return True
    document = parse(text)
    made, found = problems(data, path.stem)
    if made is not None and not found:
        found = list(_conditions(made))
    for where, reason in sorted(found, key=lambda one: document.line(one[0])):
        line = document.line(where)
        key = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")
        print(f"{path}{f':{line}' if line else ''}: {f'{key}: ' if key else ''}{chinese(reason) if zh else reason}")
    if found:
        return True
    if made is not None and not made.confirmed:
        warning = (
            "警告：confirmed = false，尚未与说明书和实物核对"
            if zh
            else "warning: confirmed = false: not yet compared with manual and device"
        )
        print(f"{path}: {warning}")
    print(f"{path}: {'正确' if zh else 'good'}")
    return False
