"""Eviction: where there is no room, readings go before their time; alarms and their evidence never do.

Asked by compaction before all else, and by the way back to a full disk. Of lowest class first: readings of points that
no rule of class fire, gas or flood watches, the oldest of them; then those of the others. They are counted, and their
minutes and hours stay (house section 4). SQLite writes what comes next into the pages they leave, so on a full disk
alarms go on being stored as long as there is telemetry to give up. A file beside the store holds the room that the
first of these deletions takes, in case others fill the disk at a stroke.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Container, Iterable
from pathlib import Path

from gateway.clock import DAY, MINUTE
from gateway.store.connection import MEMORY, translated
from gateway.store.opened import OpenStore
from gateway.store.shapes import Room

log = logging.getLogger(__name__)
RESERVE = 8 << 20  # bytes of the file beside the store, and of free pages inside it while the disk is nearly full
_SMALL = 8 * RESERVE  # a disk that is too small for that
_NEARLY_FULL = 2 * RESERVE  # left on the disk: telemetry gives way
_FULL = RESERVE // 4  # likewise: the file goes
_ROOM = 4 * RESERVE  # likewise: it is made
_EVICTED = 200  # chunks in one slice: what a slice writes must fit into the reserve
_AT_ONCE = 30 * MINUTE  # of all points, before any goes on
_TOGETHER = 50  # slices on the way back to a full disk
_POINTS = (
    "WITH RECURSIVE found (of) AS (SELECT min(point) FROM chunk"
    " UNION ALL SELECT (SELECT min(point) FROM chunk WHERE point > of) FROM found WHERE of IS NOT NULL)"
    " SELECT of FROM found WHERE of IS NOT NULL"
)
_OLDEST = "SELECT boot, t0 FROM chunk WHERE point = ? ORDER BY boot, t0 LIMIT 1"
_NEXT = "SELECT id, n FROM chunk WHERE point = ? AND boot = ? AND t0 <= ? ORDER BY t0 LIMIT ?"

Place = tuple[int, int]  # number of a boot, moment on its clock


def make_room(store: OpenStore, spared: Container[int]) -> bool:
    """Delete the oldest readings when room is wanted; return whether there were any. Looks at the room left anyway."""
    page, pages, free = (
        int(store.connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    used = (pages - free) * page
    most, wanted = _wanted(store, used, free * page)
    gone = wanted > 0 and _evict(store, spared)
    now = store.last().mono
    if gone:
        store.round.thinning_until = now + DAY
    thinning = now < store.round.thinning_until
    store.room = Room(used, most, evicted(store.connection), _days(store), thinning)
    return gone


def make_room_at_once(store: OpenStore, spared: Container[int]) -> None:
    """Make what room is wanted before anything else is written; any StoreError."""
    with translated(store.path):
        for _ in range(_TOGETHER):
            if not make_room(store, spared):
                return


def reserve_of(path: str | Path) -> Path:
    """Return the file that holds room for a store."""
    return Path(f"{path}.reserve")


def let_go(path: str | Path) -> None:
    """Give up the file that holds room when the disk is full: opening a store takes some. OSError is left to SQLite."""
    reserve = reserve_of(path)
    try:
        if str(path) != MEMORY and reserve.exists():
            disk = os.statvfs(reserve)
            if disk.f_bavail * disk.f_frsize < _FULL:
                reserve.unlink()
    except OSError as error:
        log.warning("%s: %s", reserve, error)


def evicted(connection: sqlite3.Connection) -> int:
    """Return how many readings had to go before their time since the store was begun."""
    return _noted(connection).get("evicted", 0)


def _noted(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT name, seq FROM progress WHERE name LIKE 'evicted%'").fetchall())


def _wanted(store: OpenStore, used: int, free: int) -> tuple[int, int]:
    """Return (budget, bytes of telemetry that must go); pages that are `free` inside the file do not count as used."""
    most = store.spec.budget
    path = store.connection.execute("PRAGMA database_list").fetchone()[2]
    if not path:  # a volatile store, whatever its configuration says: its disk may be hanging
        return most, used - most if most else 0
    wanted = 0
    try:
        disk = os.statvfs(path)
        whole, left = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        share = round(whole * store.spec.budget_share)
        most = min(most or share, share)
        if whole >= _SMALL:
            _hold_reserve(path, used + free, left)
            if left < _NEARLY_FULL:
                wanted = RESERVE - free
    except OSError as error:  # the next commit meets the same disk and decides
        log.debug("%s: %s", path, error)
    return most, max(wanted, used - most if most else 0)


def _hold_reserve(path: str, size: int, left: int) -> None:
    """Keep `RESERVE` bytes of the disk while there is room, let go of them when there is none. Raises OSError.

    A young store has no telemetry that it could give up, so it holds no room for giving it up.
    """
    reserve = reserve_of(path)
    if left < _FULL:
        reserve.unlink(missing_ok=True)
    elif left > _ROOM and size >= RESERVE and not reserve.exists():
        with reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE)


def _evict(store: OpenStore, spared: Container[int]) -> bool:
    """Delete the oldest chunks of lowest class; return whether there were any."""
    oldest = {
        int(point): tuple(store.connection.execute(_OLDEST, (point,)).fetchone())
        for (point,) in store.connection.execute(_POINTS).fetchall()
    }
    places = {point: place for point, place in oldest.items() if point not in spared} or oldest
    if not places:
        return False
    if not store.round.thinning_until:
        log.warning("%s: no room: readings go before their time, the oldest first; alarms stay", store.path)
    boot, begin = min(places.values())
    end = boot, begin + _AT_ONCE
    chosen = _chosen(store.connection, (point for point, place in places.items() if place <= end), end)
    with store.transaction() as connection:
        connection.executemany("DELETE FROM chunk WHERE id = ?", [(number,) for number, _ in chosen])
        connection.executemany(
            "INSERT INTO progress VALUES ('evicted', ?) ON CONFLICT (name) DO UPDATE SET seq = seq + excluded.seq",
            [(sum(n for _, n in chosen),)],
        )
        _note(connection, end)
    return True


def _chosen(connection: sqlite3.Connection, points: Iterable[int], end: Place) -> list[tuple[int, int]]:
    """Return (id, n) of chunks of some points that begin up to a moment."""
    found: list[tuple[int, int]] = []
    for point in points:
        if len(found) >= _EVICTED:
            break
        found += connection.execute(_NEXT, (point, *end, _EVICTED - len(found))).fetchall()
    return found


def _note(connection: sqlite3.Connection, end: Place) -> None:
    """Remember up to which moment some point lacks readings; never back: an earlier one may follow a later one."""
    noted = _noted(connection)
    if end > (noted.get("evicted boot", 0), noted.get("evicted to", 0)):
        rows = zip(("evicted boot", "evicted to"), end, strict=True)
        connection.executemany("INSERT OR REPLACE INTO progress VALUES (?, ?)", rows)


def _days(store: OpenStore) -> float | None:
    """Return how many days lie between the newest commit and the moment from which on all readings are kept."""
    noted = _noted(store.connection)
    first = store.connection.execute("SELECT boot, t0 FROM chunk ORDER BY id LIMIT 1").fetchone()
    if first is None:
        return None
    boot, begin = max(tuple[int, int](first), (noted.get("evicted boot", 0), noted.get("evicted to", 0)))
    last = store.last()
    if boot == store.boots[last.boot]:
        return max(0, last.mono - begin) / DAY
    name = next((name for name, number in store.boots.items() if number == boot), "")
    then, now = store.wall_of(name, begin), store.wall_of(last.boot, last.mono)
    if then is None or now is None:
        return None
    return max(0, now - then) / DAY
