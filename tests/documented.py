"""Tables of the documentation that are made from the code: what plug-ins exist, their keys, commands, profiles.

`python -m tests.documented` writes them between the markers `<!-- table NAME -->` and `<!-- end -->` of docs/*.md;
`tests/gateway/test_docs.py` says when a page is behind.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from drivers._profiles import SHIPPED, profile
from gateway import registry
from gateway.care.own import POINTS
from gateway.cli.main import COMMANDS
from gateway.config.quantities import DURATION
from gateway.model.station import Limits
from gateway.transport.wires import WireOptions

DOCS = Path(__file__).parents[1] / "docs"
BAR = "&#124;"  # a bar inside a cell
_BLOCK = re.compile(r"(<!-- table ([a-z0-9: _]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return a page with every table made anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}{table(found[2])}{found[3]}", text)


def table(name: str) -> str:
    """Return a table by the name in its marker, e.g. `profiles` or `keys channel relay`."""
    kind, *rest = name.split()
    return "".join(f"{line}\n" for line in _TABLES[kind](*rest))


def _rows(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', BAR) for cell in row)} |"


def _keys(group: str, plug_in: str) -> Iterator[str]:
    struct = registry.options(group, plug_in)
    return iter(("No keys of its own.",)) if struct is None else _fields(struct)


def _wire() -> Iterator[str]:
    return _fields(WireOptions)


def _fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    fields = msgspec.structs.fields(struct)
    rows = [(f"`{field.encode_name}`", _type(field.type), _default(field)) for field in fields]
    return _rows(("key", "is", "default"), rows) if rows else iter(("No keys of its own.",))


def _type(wanted: Any) -> str:  # noqa: ANN401 - whatever stands in an annotation
    arguments = typing.get_args(wanted)
    if hasattr(wanted, "__metadata__"):
        extra = [meta.extra or {} for meta in wanted.__metadata__ if isinstance(meta, msgspec.Meta)]
        if any(found.get("firegrid") == DURATION for found in extra):
            return "duration"
        return _type(arguments[0])
    if typing.get_origin(wanted) is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not type(None))
    origin = typing.get_origin(wanted) or wanted
    words = {str: "text", int: "whole number", float: "number", bool: "true or false", tuple: "list", dict: "table"}
    return words.get(origin, "table")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    if field.default is msgspec.NODEFAULT or field.default in ("", None, (), {}):
        return "–"
    if _type(field.type) == "duration":
        return f"{field.default:g}s"
    return str(field.default).lower() if isinstance(field.default, bool) else f"{field.default}"


def _profiles() -> Iterator[str]:
    rows = []
    for path in sorted(SHIPPED.glob("*.toml")):
        found = profile(path.stem)
        points = ", ".join(f"{point.name}{f' ({point.unit})' if point.unit else ''}" for point in found.points)
        if len(found.points) > 12:
            names = [point.name for point in found.points]
            points = f"{names[0]} … {names[-1]} ({len(names)} points)"
        sure = "" if found.confirmed else " **template, to be checked**"
        title = (found.title_en or found.title) + sure
        silence = f"{found.silence:g} s" if found.silence < 3600 else f"{found.silence / 3600:g} h"
        rows.append((f"`{found.id}`", title, f"`{found.driver}`", found.alarm_class.word, silence, points or "–"))
    return _rows(("profile", "device", "driver or dialect", "class", "silent after", "points"), rows)


def _commands() -> Iterator[str]:
    return _rows(("command", "does"), ((f"`firegrid {name}`", text) for name, (_, text) in COMMANDS.items()))


def _limits() -> Iterator[str]:
    rows = []
    for field in msgspec.structs.fields(Limits):
        value = field.default
        shown = " ".join(f"{one:g}s" for one in value) if isinstance(value, tuple) else f"{value:g}"
        rows.append((f"`{field.encode_name}`", shown + ("s" if field.type is float else "")))
    return _rows(("key", "default"), rows)


def _box() -> Iterator[str]:
    rows = []
    for point in POINTS:
        alarms = [
            f"{alarm.when}{f' for {alarm.on_delay:g} s' if alarm.on_delay else ''}: "
            f"{alarm.alarm_class.word}, {alarm.severity.word}"
            for alarm in point.alarms
        ]
        unit = point.unit or ", ".join(point.labels)
        rows.append((f"`{point.name}`", point.title_en, unit, "; ".join(alarms) or "–"))
    return _rows(("point", "is", "unit or states", "alarm"), rows)


_TABLES: dict[str, Callable[..., Iterator[str]]] = {
    "box": _box,
    "keys": _keys,
    "wire": _wire,
    "profiles": _profiles,
    "commands": _commands,
    "limits": _limits,
}


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
