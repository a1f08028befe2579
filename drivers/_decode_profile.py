"""Everything that is wrong with a profile file of one's own, with the key where it stands: `firegrid profiles check`.

Pure. `drivers._profiles` refuses a file with the first thing it cannot read; here what is wrong is told, set aside and
the rest read on, so that a person mends a file once. The last word has the driver or dialect: a device of the profile
is made on trial. Keeps house section 11: every problem at once.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from drivers._decode_device import conversation, installed, required_keys, speaks_on_wires
from drivers._modbus_points import Slave
from drivers._profiles import _problems, _Profile
from gateway import registry
from gateway.config.quantities import duration
from gateway.errors import ConfigError
from gateway.model.point import Profile
from gateway.model.ports import DialectSetup

Path = tuple[str | int, ...]
Problem = tuple[Path, str]

_AT = re.compile(r"(?P<text>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_0-9]+)|\[(\d+)\]")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(\w+)`")
_POINT = re.compile(r"point '([^']*)':? (.*)")
_STANDS_IN = {"class": "fault", "when": "value > 0", "name": "x", "kind": "measure"}
_ADDRESSES: tuple[int | str, ...] = (
    1,
    "1",
    "0000000000000001",
    "0000000001",
    "decode",
)  # one of them fits wherever an address is wanted
_DURATIONS = ("silence", "preheat", "on_delay", "off_delay")
_MOST = 100
LEARNT = "homeassistant"  # the dialect whose points get their topics when a device is learnt


def problems(data: dict[str, Any], name: str) -> tuple[Profile | None, list[Problem]]:
    """Return the profile that a TOML file's tables make, as far as they do, and everything that is wrong with them."""
    found, left = _structure(data)
    found += _durations(left, ())
    try:
        made = msgspec.convert(left, _Profile, strict=False).model(name)
    except ValueError as error:  # one that `_durations` does not know
        return None, [*found, ((), str(error))]
    points = [entry.get("name") for entry in left.get("point", []) if isinstance(entry, dict)]
    for reason in _problems(made):
        at = _POINT.fullmatch(reason)
        path: Path = ("point", points.index(at[1])) if at and at[1] in points else ()
        found.append((path, reason))
    if not found:
        found += [(_place(reason, made), reason) for reason in _trial(made)]
    return made, found


def _structure(data: dict[str, Any]) -> tuple[list[Problem], dict[str, Any]]:
    """Set aside what no profile has or what is of a wrong type, one after the other."""
    left, found = copy.deepcopy(data), list[Problem]()
    for _ in range(_MOST):
        try:
            msgspec.convert(left, _Profile, strict=False)
        except msgspec.ValidationError as error:
            at = _AT.fullmatch(str(error))
            path = _path((at and at["path"]) or "")
            field = _FIELD.match(str(error))
            key = field[2] if field else ""
            found.append(
                ((*path, *([key] if field and field[1] == "contains unknown" else [])), at["text"] if at else "")
            )
            if not _mended(left, path, key, missing=bool(field and field[1] == "missing required")):
                break
        else:
            break
    return found, left


def _durations(table: Any, path: Path) -> list[Problem]:  # noqa: ANN401 - any part of a TOML file
    """Tell of every duration that is none, and put one in that is."""
    found: list[Problem] = []
    entries = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, value in list(entries):
        if key in _DURATIONS and isinstance(value, str):
            try:
                duration(value)
            except ValueError:
                found.append(((*path, key), f'"{value}" is not a duration; write a number with ms, s, m, h, d: "5s"'))
                table[key] = "1s"
        elif key not in ("options", "decode"):  # the driver's own
            found += _durations(value, (*path, key))
    return found


def _path(text: str) -> Path:
    whole = text.partition("[...]")[0]
    return tuple(name or int(number) for name, number in _STEP.findall(whole))


def _mended(left: dict[str, Any], path: Path, key: str, *, missing: bool) -> bool:
    """Take the wrong key away, or put one in that is missing. False: no way to go on."""
    here: Any = left
    steps = (*path, key) if key else path
    if not steps:
        return False
    try:
        for step in steps[:-1]:
            here = here[step]
        last = steps[-1]
        if missing or (last in _STANDS_IN and not key):
            here[last] = _STANDS_IN.get(str(last), "x")
        else:
            del here[last]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _place(reason: str, made: Profile) -> Path:
    """Return the point that a driver's complaint names, by its name or by what its `decode` says, if it names one."""
    for number, spec in enumerate(made.points):
        if re.search(rf"\b{re.escape(spec.name)}\b", reason):
            return ("point", number)
    for number, spec in enumerate(made.points):
        if any(type(said) is str and said and repr(said) in reason for said in spec.decode.values()):
            return ("point", number, "decode")
    return ()


def _trial(profile: Profile) -> Iterator[str]:
    """Yield what the driver or dialect says against a device of this profile."""
    if profile.driver == LEARNT or (profile.options.get("open") and not profile.points):
        return  # the [[device]] brings what is read
    try:
        schema = registry.options("device", profile.driver)
    except ConfigError as error:
        yield str(error)
        return
    wanted = required_keys(profile)
    texts = [field.encode_name for field in (msgspec.structs.fields(schema) if schema else ()) if field.default == ""]
    attempts = [dict.fromkeys(wanted, address) for address in _ADDRESSES if wanted] or [{}]
    attempts.append({name: "1" for name in (*wanted, *texts) if name not in profile.options})
    attempts += [{**dict.fromkeys(wanted, "1"), name: "1"} for name in texts if name not in profile.options]

    def of_address(line: str) -> bool:
        return any(f"`$.{key}`" in line or line.startswith((f"{key} ", f"{key}:")) for key in wanted)

    complaints = []
    for given in attempts:
        complaints.append(_refusals(profile, given))
        if not complaints[-1]:
            return
    # Where the address fits, what is left is the profile's own.
    best = min(complaints, key=lambda lines: (sum(map(of_address, lines)), len(lines)))
    yield from (line for line in best if not of_address(line))


def _refusals(profile: Profile, given: dict[str, Any]) -> list[str]:
    device, ids, _ = installed(profile, given)
    try:
        if profile.driver in registry.names(registry.Group.DIALECT):
            registry.dialect(profile.driver).create(DialectSetup(devices=[device], point_ids=ids, source_events=0))
        elif speaks_on_wires(profile.driver):
            conversation(profile.driver, [device], {**ids, "@decode.events": 0}, datagrams=False)
        elif profile.driver.startswith("modbus"):
            Slave(
                device, 1, ids, block=int(profile.options.get("block", 1)), holes=int(profile.options.get("holes", 0))
            )
    except (ConfigError, ValueError, TypeError) as error:
        return [line.removeprefix(f"device {profile.id}: ") for line in str(error).splitlines()]
    return []
