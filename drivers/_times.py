"""Time stamps as sources write them: ISO 8601 with and without zone, epoch in s, ms, us or ns, as number or text.

Pure, used by dialects; keeps house section 10: the source's time is read as it stands, whether it is plausible is
judged behind (`pipeline.validate`), so 1970 and 2099 pass here.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

Unit = Literal["auto", "s", "ms", "us", "ns"]

_FACTORS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# A bare number names its unit by its size: 1e11 s would be the year 5138, 1e11 ms is 1973, and so on.
_BELOW = ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3), (math.inf, 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LIMIT = 1 << 63


def zone_of(text: str) -> timezone:
    """Return the zone that `+08:00` means. Raises ValueError."""
    try:
        found = datetime.fromisoformat(f"2000-01-01T00:00:00{text}").utcoffset()
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f'"{text}" is no time zone; write it as "+08:00"')
    return timezone(found)


def source_time(raw: object, zone: timezone, unit: Unit = "auto") -> int | None:
    """Return ns since 1970 UTC of what a source gave as its time, None when it cannot be read.

    ISO text without a zone is local time of `zone`. Numbers (also as text) are epochs of `unit`; "auto" goes by size.
    """
    if isinstance(raw, str):
        text = raw.strip()
        try:
            return _epoch(float(text) if not text.isdecimal() else int(text), unit)
        except ValueError:
            return _iso(text, zone)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return _epoch(raw, unit)
    return None


def _epoch(number: float, unit: Unit) -> int | None:
    if not -_LIMIT < number < _LIMIT:  # NaN neither
        return None
    factor = _FACTORS.get(unit) or next(factor for below, factor in _BELOW if abs(number) < below)
    found = number * factor if isinstance(number, int) else round(number * factor)
    return found if -_LIMIT < found < _LIMIT else None


def _iso(text: str, zone: timezone) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    found = (moment - _EPOCH) // _MICROSECOND * 1000
    return found if -_LIMIT < found < _LIMIT else None
