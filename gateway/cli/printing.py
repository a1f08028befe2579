"""How commands print: times with zone, one JSON object a line, or columns for people."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.app import BadConfigurationError, read
from gateway.care.own import furnished
from gateway.clock import SECOND
from gateway.model.station import Station
from gateway.store.read import Reader

Row = Mapping[str, Any]
PAGE = 200  # rows that are aligned together: a store has millions, and the first are to be seen at once


def open_reader(config: Path) -> tuple[Reader, Station | None]:
    """Open the store that a configuration names, also while the daemon runs; the station has its box, as it lives.

    Raises:
        BadConfigurationError: there is no such file, or it cannot be read.
    """
    loaded = read(config)
    if loaded.store is None:
        raise BadConfigurationError(list(loaded.problems), loaded.language)
    station = loaded.station
    return Reader(loaded.store.path), furnished(station) if station else None


def begins(through: int, first: int) -> str:
    """Return the words for a record of which whole years were removed."""
    return f"the years up to {through} were removed from the record; it begins at row {first}"


def tell_begin(reader: Reader) -> None:
    """Say on standard error where the record begins, when it does not begin at its first row."""
    begun = reader.begin()
    if begun is not None:
        print(begins(begun[1].through, begun[0]), file=sys.stderr)


def zone_of(station: Station | None) -> ZoneInfo:
    """Return the zone in which times are printed."""
    return ZoneInfo(station.timezone if station else "Asia/Shanghai")


def rfc3339(wall: int | None, zone: ZoneInfo) -> str | None:
    """Return ns since 1970 as RFC 3339 with zone; None when nobody knew the time."""
    if not wall:
        return None
    return datetime.fromtimestamp(wall / SECOND, tz=UTC).astimezone(zone).isoformat(timespec="milliseconds")


def clock_time(wall: int | None, zone: ZoneInfo) -> str:
    """Return ns since 1970 as month, day and time for people; empty when nobody knew the time."""
    return datetime.fromtimestamp(wall / SECOND, tz=UTC).astimezone(zone).strftime("%m-%d %H:%M:%S") if wall else ""


def number(value: float) -> float | None:
    """Return a value as JSON can say it."""
    return value if math.isfinite(value) else None


def show(rows: Iterable[Row], *, as_json: bool, columns: tuple[str, ...]) -> None:
    """Print rows as JSON lines, or the named columns under a line of their names for people."""
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    lines = ([_plain(row[column]) for column in columns] for row in rows)
    heading, widths = [list(columns)], [0] * len(columns)
    while page := list(islice(lines, PAGE)):
        page, heading = [*heading, *page], []
        widths = [max(width, *map(wide, cells)) for width, cells in zip(widths, zip(*page, strict=True), strict=True)]
        for cells in page:
            print("  ".join([*map(_padded, cells[:-1], widths), cells[-1]]))


def wide(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a Chinese character, none for a combining mark."""
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - wide(text))


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
