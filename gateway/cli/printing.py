"""How commands print: times with zone, one JSON object a line, or columns for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.app import DEFAULT_STORE, read
from gateway.clock import SECOND
from gateway.model.station import Station
from gateway.store.read import Reader

Row = Mapping[str, Any]


def open_reader(config: Path) -> tuple[Reader, Station | None]:
    """Open the store that a configuration names, also while the daemon runs."""
    station = read(config).station
    return Reader(station.store.path if station else DEFAULT_STORE), station


def zone_of(station: Station | None) -> ZoneInfo:
    """Return the zone in which times are printed."""
    return ZoneInfo(station.timezone if station else "Asia/Shanghai")


def rfc3339(wall: int | None, zone: ZoneInfo) -> str | None:
    """Return ns since 1970 as RFC 3339 with zone; None when nobody knew the time."""
    if not wall:
        return None
    return datetime.fromtimestamp(wall / SECOND, tz=UTC).astimezone(zone).isoformat(timespec="milliseconds")


def number(value: float) -> float | None:
    """Return a value as JSON can say it."""
    return value if math.isfinite(value) else None


def show(rows: Iterable[Row], *, as_json: bool, columns: tuple[str, ...]) -> None:
    """Print rows as JSON lines, or the named columns under a line of their names for people."""
    for place, row in enumerate(rows):
        if as_json:
            print(json.dumps(row, ensure_ascii=False))
            continue
        if not place:
            print("  ".join(columns))
        print("  ".join(_plain(row[column]) for column in columns))


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
