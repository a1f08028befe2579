"""Retention: telemetry that is old enough goes, whole chunks at a time; alarms and their evidence never do.

Called by compaction when nothing else is due. "Old" is told by wall time; a station that never knew the time deletes
nothing, and what lies between dated boots goes with them. Where the byte budget is used up, or the disk is nearly full,
the oldest readings go before their time: counted, their rollups stay (house section 4). SQLite writes what comes next
into the pages they leave, so on a full disk alarms go on being stored, as long as there is telemetry to give up. A file
beside the store holds the room that the first of these deletions takes, in case others fill the disk at a stroke.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.clock import HOUR, SECOND
from gateway.store import packed
from gateway.store.rollup import WIDTHS

if TYPE_CHECKING:
    from gateway.store.database import Store

log = logging.getLogger(__name__)
RESERVE = 8 << 20  # bytes of the file beside the store, and of free pages inside it while the disk is nearly full
_SMALL = 8 * RESERVE  # a disk that is too small for that
_NEARLY_FULL = 2 * RESERVE  # left on the disk: telemetry gives way
_FULL = RESERVE // 4  # likewise: the file goes
_ROOM = 4 * RESERVE  # likewise: it is made
_EVICTED = 200  # chunks in one slice
_EVERY = HOUR  # of the boot's clock
_CHUNKS = 200  # deleted in one slice at most
_POINTS = 20  # whose rollups are trimmed in one slice
_TRIMS = {
    "minute": (
        "DELETE FROM minute WHERE point = ? AND boot < ?",
        "DELETE FROM minute WHERE point = ? AND boot = ? AND t < ?",
    ),
    "hour": (
        "DELETE FROM hour WHERE point = ? AND boot < ?",
        "DELETE FROM hour WHERE point = ? AND boot = ? AND t < ?",
    ),
}


@dataclass(slots=True)
class Round:
    """Where the present round of trimming stands; kept in RAM, begun anew after a restart."""

    next_at: int = 0  # ns, monotonic
    boot: str = ""
    point: int = 0
    sealed: int | None = 0  # rollups of points up to this one are packed, None: of all
    running: bool = False
    evicting: bool = False  # said so since the start


def trim(store: Store) -> bool:
    """Do one slice when a round is due; return whether more is to do."""
    last, state = store.last(), store.round
    if not state.running:
        if last.boot == state.boot and last.mono < state.next_at:
            return False
        state.running, state.point, state.sealed = True, 0, 0
        state.boot, state.next_at = last.boot, last.mono + _EVERY
    state.running = _trim_chunks(store) or _seal(store, state) or _trim_rollups(store, state)
    return state.running


def make_room(store: Store) -> bool:
    """Delete the oldest chunks when room is wanted; return whether there were any. To be asked before all else."""
    page, pages, free = (
        int(store.connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return _wanted(store, used=(pages - free) * page, free=free * page) > 0 and _evict(store)


def reserve_of(path: str | Path) -> Path:
    """Return the file that holds room for a store."""
    return Path(f"{path}.reserve")


def evicted(connection: sqlite3.Connection) -> int:
    """Return how many readings had to go before their time since the store was begun."""
    row = connection.execute("SELECT seq FROM progress WHERE name = 'evicted'").fetchone()
    return int(row[0]) if row else 0


def _wanted(store: Store, *, used: int, free: int) -> int:
    """Return how many bytes of telemetry must go; pages that are `free` inside the file do not count as used."""
    over = used - store.spec.budget if store.spec.budget else 0
    path = store.connection.execute("PRAGMA database_list").fetchone()[2]
    if not path:  # a volatile store, whatever its configuration says: its disk may be hanging
        return over
    try:
        disk = os.statvfs(path)
        whole, left = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        if whole >= _SMALL:
            _hold_reserve(path, used + free, left)
            if left < _NEARLY_FULL:
                over = max(over, RESERVE - free)
    except OSError:  # the next commit meets the same disk and decides
        return over
    return max(over, used - round(whole * store.spec.budget_share))


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


def _evict(store: Store) -> bool:
    """Delete the oldest chunks; return whether there were any."""
    sql = "SELECT max(id), sum(n) FROM (SELECT id, n FROM chunk ORDER BY id LIMIT ?)"
    gone, readings = store.connection.execute(sql, (_EVICTED,)).fetchone()
    if gone is None:
        return False
    if not store.round.evicting:
        store.round.evicting = True
        log.warning("%s: no room: the oldest readings go before their time; alarms stay", store.path)
    with store.transaction() as connection:
        connection.execute("DELETE FROM chunk WHERE id <= ?", (gone,))
        connection.execute(
            "INSERT INTO progress VALUES ('evicted', ?) ON CONFLICT (name) DO UPDATE SET seq = seq + excluded.seq",
            (readings,),
        )
    return True


def _cutoff(store: Store, seconds: float) -> tuple[int, int] | None:
    """Return (boot number, moment on its clock) that lies `seconds` before the newest commit; None if not known."""
    last = store.last()
    wall = store.wall_of(last.boot, last.mono)
    if wall is None:
        return None
    before = wall - round(seconds * SECOND)
    boots = store.connection.execute("SELECT id, name, mono FROM boot ORDER BY id DESC").fetchall()
    for number, name, mono in boots:
        began = store.wall_of(name, mono)
        window = store.clock.window(name, before, before)
        if began is not None and window is not None and began <= before:
            return number, window[0]
    return None


def _trim_chunks(store: Store) -> bool:
    cutoff = _cutoff(store, store.spec.retain_raw)
    if cutoff is None:
        return False
    rows = store.connection.execute("SELECT id, boot, t1 FROM chunk ORDER BY id LIMIT ?", (_CHUNKS,)).fetchall()
    gone = 0
    for number, boot, t1 in rows:
        if (boot, t1) >= cutoff:
            break
        gone = number
    if gone:
        with store.transaction() as connection:
            connection.execute("DELETE FROM chunk WHERE id <= ?", (gone,))
    return bool(rows) and gone == rows[-1][0]


def _seal(store: Store, state: Round) -> bool:
    """Pack some rollups that nothing changes any more."""
    if state.sealed is not None:
        state.sealed = packed.seal(store, state.sealed)
    return state.sealed is not None


def _trim_rollups(store: Store, state: Round) -> bool:
    sql = "SELECT id FROM point WHERE id > ? ORDER BY id LIMIT ?"
    points = [row[0] for row in store.connection.execute(sql, (state.point, _POINTS))]
    cutoffs = {
        "minute": _cutoff(store, store.spec.retain_minute),
        "hour": _cutoff(store, store.spec.retain_hour),
    }
    with store.transaction() as connection:
        for table, cutoff in cutoffs.items():
            if cutoff is not None:
                boot, mono = cutoff
                earlier, same = _TRIMS[table]
                connection.executemany(earlier, [(point, boot) for point in points])
                connection.executemany(same, [(point, boot, mono // WIDTHS[table]) for point in points])
                for point in points:
                    packed.trim(connection, table, point, boot, mono // WIDTHS[table])
    state.point = points[-1] if points else 0
    return len(points) == _POINTS
