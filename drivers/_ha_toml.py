"""A learnt device as TOML to paste into a station's file. Pure, beside `_ha_discovery.py`; for `firegrid discover`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from drivers._ha_discovery import LearnedDevice
from drivers._ha_words import POINTS_OF

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_NOTE = 200


def to_toml(device: LearnedDevice, source: str, cell: str = "") -> str:
    """Return a `[[device]]` with what was left out as comments; comments only when there is nothing to read.

    A point that the profile has, in the same unit, is given its `decode` only: ranges and alarms are the profile's.
    """
    lines = [f"# {_comment(note)}" for note in device.not_understood]
    if not device.points:
        return "\n".join([f"# {_comment(device.title or device.key)}: nothing to read", *lines]) + "\n"
    head = {"id": device.id, "name": device.title, "source": source, "profile": device.profile, "cell": cell}
    lines += ["[[device]]", *(f"{key} = {_toml(value)}" for key, value in head.items() if value)]
    lines += [f"{_key(key)} = {_toml(value)}" for key, value in device.options.items()]
    known = POINTS_OF[device.profile]
    for name, keys in device.points.items():
        same = name in known and known[name] == keys.get("unit", "")
        shown = {"decode": keys["decode"]} if same else keys
        lines += [f"[device.points.{_key(name)}]", *(f"{key} = {_toml(value)}" for key, value in shown.items())]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_NOTE]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)


def _toml(value: object) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value)
