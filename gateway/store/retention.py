"""Retention: telemetry that is old enough goes, whole chunks at a time; of the record whole years, if that is wanted.

Called by compaction when nothing else is due. "Old" is told by wall time; a station that never knew the time deletes
nothing, and what lies between dated boots goes with them. Where the byte budget is used up, or the disk is nearly full,
readings go before their time: see `gateway.store.eviction`.
"""

from __future__ import annotations

from gateway.clock import HOUR, SECOND
from gateway.store import packed, years
from gateway.store.opened import OpenStore
from gateway.store.rollup import WIDTHS
from gateway.store.shapes import Round

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


def trim(store: OpenStore) -> bool:
    """Do one slice when a round is due; return whether more is to do."""
    last, state = store.last(), store.round
    if not state.running:
        if last.boot == state.boot and last.mono < state.next_at:
            return False
        state.running, state.point, state.sealed, state.years = True, 0, 0, None
        state.boot, state.next_at = last.boot, last.mono + _EVERY
    if state.years is None and not (_trim_chunks(store) or _seal(store, state) or _trim_rollups(store, state)):
        state.years = years.remove(store)
    if state.years is not None:
        state.running = next(state.years, False)
    return state.running


def _cutoff(store: OpenStore, seconds: float) -> tuple[int, int] | None:
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


def _trim_chunks(store: OpenStore) -> bool:
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


def _seal(store: OpenStore, state: Round) -> bool:
    """Pack some rollups that nothing changes any more."""
    if state.sealed is not None:
        state.sealed = packed.seal(store, state.sealed)
    return state.sealed is not None


def _trim_rollups(store: OpenStore, state: Round) -> bool:
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
