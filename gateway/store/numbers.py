"""Numbers that a life without its store must not give anew: ids of points, and those of alarms and notices.

Used at start and by the way back (`gateway.pipeline.opening`, `reopening`). A store that is too slow for the start is
gone on with when it can be read (house section 7), which takes points with the same ids and numbers that nobody had
before. So the ids stand in a small file beside it as well, `station.db.points`; whoever uses them compares them with
the store before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.config.kept import write_whole
from gateway.store.database import Store

_EARLIEST = 1_700_000_000  # s since 1970; what a clock that woke in 1970 says is behind numbers that were given
_COUNTERS = {"alarm_counter": "alarm", "notice_counter": "notice"}  # durable table → its row of the last number given
_encode = msgspec.msgpack.Encoder().encode


def keep_points(path: str | Path, points: Mapping[str, int]) -> None:
    """Write the ids of all points beside the store, if they are other ones than stand there. Raises OSError."""
    if kept_points(path) != points:
        write_whole(_beside(path), msgspec.json.encode(points))


def kept_points(path: str | Path) -> dict[str, int]:
    """Return name → id as they stand beside the store; nothing where that cannot be read."""
    try:
        found = msgspec.json.decode(_beside(path).read_bytes(), type=dict[str, int])
    except (OSError, ValueError):
        return {}
    return found if len(set(found.values())) == len(found) and min(found.values(), default=1) > 0 else {}


def forget_points(path: str | Path) -> None:
    """Let nothing stand beside a store that comes from elsewhere: its points have ids of their own. Raises OSError."""
    _beside(path).unlink(missing_ok=True)


def number_from(store: Store, first: int) -> None:
    """Let alarms and notices that a house begins from here on have numbers that nothing had before. Raises StoreError.

    `first`: wall time now, s since 1970: it grows faster than numbers are given.
    """
    with store.transaction() as connection:
        for table, key in _COUNTERS.items():
            last = max(first, _EARLIEST, store.rows(table, int).get(key, 0))
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, 0, ?)", (table, key, _encode(last)))


def _beside(path: str | Path) -> Path:
    return Path(f"{path}.points")
