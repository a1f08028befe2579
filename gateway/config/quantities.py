"""Durations and sizes as people write them: `"5s"`, `"1h30m"`, `"2GiB"`.

Read by every section of the configuration, and by plug-ins for their own keys: a field of an `OPTIONS` struct that is
annotated `Seconds` is written as a duration and arrives as seconds. A bare number is refused, because nobody can see
whether it meant seconds or milliseconds.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

DURATION = "duration"
Seconds = Annotated[float, msgspec.Meta(extra={"firegrid": DURATION})]

_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31557600.0,  # 365.25 days
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhdwy])\s*", re.ASCII)
_SIZES = {"": 1, "B": 1, "kB": 1000, "KiB": 1 << 10, "MB": 10**6, "MiB": 1 << 20, "GB": 10**9, "GiB": 1 << 30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)


def duration(text: str) -> float:
    """Return seconds of e.g. `250ms`, `5s`, `2m`, `1h30m`, `30d`, `1y`. Raises ValueError."""
    text = text.strip()
    seconds, place = 0.0, 0
    while place < len(text):
        part = _PART.match(text, place)
        if part is None:
            break
        seconds += float(part[1]) * _UNITS[part[2]]
        place = part.end()
    if not text or place < len(text):
        raise ValueError(f"not a duration: {text!r}")
    return seconds


def size(text: str) -> int:
    """Return bytes of e.g. `512MiB`, `2 GiB`. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] not in _SIZES:
        raise ValueError(f"not a size: {text!r}")
    return round(float(found[1]) * _SIZES[found[2]])
