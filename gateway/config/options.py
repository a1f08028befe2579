"""The keys of a plug-in's own table, checked against the `OPTIONS` struct of its file, and the files they name.

`gateway.model.ports` says what OPTIONS is; the struct comes through a callback, so that nothing here imports a
plug-in. Every key is checked by itself: msgspec alone would stop at the first mistake (house section 11). By
convention `…_file` (and TLS's cafile, certfile, keyfile) name files that must be readable, those with a secret in
them by nobody else; `file` is one that will be written.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from gateway.config.problems import Kind
from gateway.config.quantities import DURATION
from gateway.config.sheet import Sheet, spoken
from gateway.errors import ConfigError
from gateway.model.contact import ChannelSpec
from gateway.model.station import SinkSpec, SourceSpec

Options = TypeVar("Options", bound=msgspec.Struct)

_SECRET = ("password", "secret", "token", "key")
_TLS = {"cafile": "ca_file", "certfile": "cert_file", "keyfile": "key_file"}
_EXPECTED = re.compile(r"Expected `([^`]+)`, got")
_INNER = re.compile(r"Invalid enum value '(.+)' - at `")
_BOUND = re.compile(r"Expected `\w+` ([<>]=? .+)")
_REFUSED: Any = object()
_SPOKEN = {"int": "a whole number", "float": "a number", "str": "text in quotes", "bool": "true or false"}
# What a required key of a shipped plug-in looks like; of others the type tells.
_LINES = {
    "port": '"/dev/ttyUSB0"',
    "host": '"127.0.0.1"',
    "address": "1",
    "topic": '"zigbee2mqtt/kitchen-gas"',
    "device": '"hall-do"',
    "point": '"do1"',
    "url": '"https://example.org/alarm"',
}
_LAST_PORT = 65535
_SHARED = stat.S_IRWXG | stat.S_IRWXO


def read(spec: ChannelSpec | SinkSpec | SourceSpec, schema: type[Options]) -> Options:
    """Return a plug-in's own options as its struct, for its `create`.

    Raises:
        ConfigError: they do not fit; a configuration that `check` has passed never gets here.
    """
    try:
        return msgspec.convert(spec.options, schema)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{spec.id}: {error}") from error


def check(
    sheet: Sheet, schema: type[msgspec.Struct] | None, folder: Path, *, also: Collection[str] = ()
) -> dict[str, Any]:
    """Return the table's own options, durations as seconds and files as absolute paths; report what is wrong.

    Without a schema every key is taken as it is. Unknown keys are reported and left out. `also`: keys that something
    else knows, taken as they are.
    """
    given = sheet.rest()
    if schema is not None:
        given = _by_schema(sheet, given, schema, also)
    for key in given:
        _look_at(sheet, key, given, folder)
    return given


def _by_schema(
    sheet: Sheet, given: dict[str, Any], schema: type[msgspec.Struct], also: Collection[str]
) -> dict[str, Any]:
    fields = _fields(schema)
    kept, foreign = {}, {}
    for key, value in given.items():
        if key not in fields and key in also:
            foreign[key] = value
        elif key not in fields:
            facts = sheet.findings.suggest(key, [*fields, *also, *sheet.known])
            sheet.remark(Kind.UNKNOWN_KEY, key, **facts)
        else:
            taken = _value(sheet, key, value, fields[key].type)
            if taken is not _REFUSED:
                kept[key] = taken
    missing = [key for key, field in fields.items() if field.required and key not in given]
    for key in missing:
        sheet.report(Kind.MISSING_KEY, key, example=f"{key} = {_LINES.get(key, _written(fields[key].type))}")
    whole = not sheet.broken
    if all(key in kept for key, field in fields.items() if field.required):
        try:
            msgspec.convert(kept, schema)
        except msgspec.ValidationError as error:  # the plug-in's own __post_init__, a line for each key
            _report_lines(sheet, fields, str(error), whole=whole)
    return kept | foreign


def _report_lines(sheet: Sheet, fields: Mapping[str, object], error: str, *, whole: bool) -> None:
    """Report each line at the key it begins with; what concerns several keys only when each of them is right."""
    for line in error.splitlines():
        place, _, reason = line.partition(": ")
        key, _, inner = place.partition(".")
        if key in fields and reason:
            sheet.report(Kind.REFUSED, *((key, inner) if inner else (key,)), error=reason)
        elif whole:
            sheet.report(Kind.REFUSED, error=line)


@cache
def _fields(schema: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return key → field. Resolving annotations costs more than reading a device: once a driver, not once a device."""
    return {field.encode_name: field for field in msgspec.structs.fields(schema)}


def _value(sheet: Sheet, key: str, value: object, wanted: Any) -> object:  # noqa: ANN401 - a type expression
    """Return the value as the plug-in wants it, `_REFUSED` when it is not taken."""
    if _is_duration(wanted):
        value = sheet.seconds(value, key, example=f'{key} = "5s"')
        if value is None:
            return _REFUSED
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        _refuse(sheet, key, value, wanted, str(error))
        return _REFUSED
    return value


def _refuse(sheet: Sheet, key: str, value: object, wanted: Any, error: str) -> None:  # noqa: ANN401 - as above
    words = get_args(wanted) if get_origin(wanted) is Literal else ()
    expected = _EXPECTED.search(error)
    inner = _INNER.match(error)
    if inner and (within := _words(wanted)):
        sheet.broken = True
        sheet.findings.unknown((*sheet.path, key), f"{key} ({', '.join(within)})", inner[1], within)
    elif words and isinstance(value, str):
        sheet.broken = True
        sheet.findings.unknown((*sheet.path, key), f"{key} ({', '.join(map(str, words))})", value, map(str, words))
    elif expected and expected[1] in _SPOKEN:
        example = f"{key} = {_example(value, expected[1])}"
        sheet.report(Kind.WRONG_TYPE, key, given=spoken(value), wanted=_SPOKEN[expected[1]], example=example)
    elif bound := _BOUND.match(error):
        sheet.report(Kind.OUT_OF_RANGE, key, given=spoken(value), wanted=f"{key} {bound[1]}")
    else:
        sheet.report(Kind.REFUSED, key, error=error)


def _words(wanted: Any) -> list[str]:  # noqa: ANN401 - as above
    """Return the words that a list or table of them may hold."""
    if get_origin(wanted) is Literal:
        return [str(word) for word in get_args(wanted)]
    return [word for part in get_args(wanted) for word in _words(part)]


def _written(wanted: Any) -> str:  # noqa: ANN401 - as above
    return {int: "1", float: "1.0", bool: "true"}.get(wanted, '"…"')


def _example(value: object, wanted: str) -> str:
    """Return the value as it should have been written, where that can be told."""
    if wanted == "str":
        return f'"{value}"'
    try:
        return str(int(str(value)) if wanted == "int" else float(str(value)))
    except ValueError:
        return {"int": "1", "float": "1.0"}.get(wanted, "true")


def _is_duration(wanted: Any) -> bool:  # noqa: ANN401 - as above
    for meta in getattr(wanted, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and (meta.extra or {}).get("firegrid") == DURATION:
            return True
    return any(_is_duration(part) for part in get_args(wanted)) if get_origin(wanted) is not None else False


def _look_at(sheet: Sheet, key: str, options: dict[str, Any], folder: Path) -> None:
    """Check what a key names outside the file: ports, devices, files."""
    value = options[key]
    if key == "port" and type(value) is int and not 0 < value <= _LAST_PORT:
        sheet.report(Kind.OUT_OF_RANGE, key, given=value, wanted=f"{key} = 1 … {_LAST_PORT}")
    elif key == "port" and isinstance(value, str) and value.startswith("/dev/") and not Path(value).exists():
        sheet.report(Kind.PORT_ABSENT, key, given=value)
    elif isinstance(value, str) and value and (key == "file" or key.endswith("_file") or key in _TLS):
        path = folder / value
        options[key] = str(path)
        if key == "file":
            if not path.parent.is_dir():
                sheet.report(Kind.NO_FOLDER, key, given=path.parent)
        else:
            _readable(sheet, key, path)


def _readable(sheet: Sheet, key: str, path: Path) -> None:
    if not path.is_file():
        sheet.report(Kind.UNREADABLE, key, what=path, error="no such file")
    elif not os.access(path, os.R_OK):
        sheet.report(Kind.UNREADABLE, key, what=path, error="permission denied")
    elif _TLS.get(key, key).startswith(_SECRET) and path.stat().st_mode & _SHARED:
        sheet.report(Kind.SHARED_SECRET, key, given=path)
