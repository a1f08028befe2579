"""How delays and conditions come over a snapshot, a restart without one, another boot, another configuration.

Beside `rules._hold`, which it fills. Keeps house sections 3 (other code, other configuration) and 10 (time spent
down): known, it counts; unknown, a pending fire, gas or flood alarm errs towards alarming.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.model.delta import Delta
from gateway.model.quality import LEVEL_SHIFT, Level
from gateway.model.verdict import ALWAYS_AGO, NEVER, Delay, Running
from rules._hold import ACTIVE, CLEARING, LOST, ON, PENDING, QUIET, RAISED, RETAINED, STRANDED, Hold
from rules._slots import Index
from rules.compiled import Place, PlaceId, Restarted, name_of

_ARRAYS = ("newest", "state", "since", "due", "value", "quality", "stale")


def pack(places: Sequence[Place], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return arrays whose first axis is the slot as columns that any encoder takes."""
    columns: dict[str, Any] = {name: array.tobytes() for name, array in arrays.items()}
    columns["id"] = [place.id for place in places]
    columns["fingerprint"] = [place.fingerprint for place in places]
    return columns


def unpack(
    columns: Mapping[str, Any], places: Sequence[Place], arrays: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], Index, Index, Index, Index]:
    """Return (old arrays, old and new rows of same definition, old and new rows of changed definition).

    Raises ValueError or KeyError when the columns are not of these arrays.
    """
    n = len(columns["id"])
    old = {
        name: np.frombuffer(columns[name], dtype=array.dtype).reshape((n, *array.shape[1:]))
        for name, array in arrays.items()
    }
    before = {(rule, point, key): row for row, (rule, point, key) in enumerate(columns["id"])}
    same: list[tuple[int, int]] = []
    changed: list[tuple[int, int]] = []
    for slot, place in enumerate(places):
        row = before.get(place.id)
        if row is not None:
            (same if columns["fingerprint"][row] == place.fingerprint else changed).append((row, slot))
    return (old, *_split(same), *_split(changed))


def _split(pairs: list[tuple[int, int]]) -> tuple[Index, Index]:
    rows = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def snapshot(hold: Hold) -> dict[str, Any]:
    """Return the state of every slot."""
    return pack(hold.places, {name: getattr(hold, name) for name in _ARRAYS})


def restore(hold: Hold, columns: Mapping[str, Any]) -> Index:
    """Take a snapshot into fresh slots; return those whose definition is the same (the others keep the condition)."""
    arrays = {name: getattr(hold, name) for name in _ARRAYS}
    old, same_from, same_to, changed_from, changed_to = unpack(columns, hold.places, arrays)
    for name, array in arrays.items():
        array[same_to] = old[name][same_from]
    held = np.isin(old["state"][changed_from], ACTIVE)
    hold.state[changed_to] = np.where(held, RAISED, QUIET)
    hold.since[changed_to] = old["since"][changed_from]
    hold.stale[changed_to] = held & old["stale"][changed_from]
    hold.earliest[0] = hold.due.min(initial=NEVER)
    for slot in np.flatnonzero(np.isin(hold.state, (*ON, CLEARING))).tolist():
        row = hold.row(slot)
        hold.tables.delays.rows[name_of(row.rule, row.point, row.key)] = row
    return same_to


def resume(hold: Hold, delays: Sequence[Delay], conditions: frozenset[PlaceId]) -> None:
    """Take active conditions and running delays as the durable rows have them; windows and slot times stay."""
    rows = {(row.rule, row.point, row.key): row for row in delays}
    hold.due[:] = NEVER
    for slot, place in enumerate(hold.places):
        hold.state[slot] = RAISED if place.id in conditions else QUIET
        row = rows.get(place.id)
        if row is None or (row.running is Running.OFF) != (place.id in conditions):
            continue  # a delay that contradicts the book: the book counts
        hold.state[slot] = _state_of(row)
        hold.since[slot], hold.due[slot] = row.since, row.due
        hold.value[slot], hold.quality[slot] = row.value, row.quality
        hold.stale[slot] = row.quality == RETAINED
        hold.tables.delays.rows[name_of(*place.id)] = row
    hold.earliest[0] = hold.due.min(initial=NEVER)


def _state_of(row: Delay) -> int:
    if row.running is Running.OFF:
        return CLEARING
    if row.due == NEVER:
        return STRANDED
    return LOST if row.quality >> LEVEL_SHIFT == Level.BAD else PENDING


def rebase(hold: Hold, start: Restarted, delta: Delta) -> None:
    """Move every time to the axis of this boot (house section 10)."""
    hold.remember(np.arange(len(hold.places), dtype=np.intp), delta)
    delta.save(hold.earliest, np.zeros(1, dtype=np.intp))
    running = np.flatnonzero(np.isin(hold.state, (*ON, CLEARING)))
    if start.shift is None:
        hold.newest[:] = ALWAYS_AGO  # times of another axis say nothing here
        hold.since[hold.state == RAISED] = start.at
        for slot in running.tolist():
            _rebase_blind(hold, slot, start, delta)
    else:
        hold.newest[hold.newest != ALWAYS_AGO] += start.shift
        hold.since += start.shift
        hold.due[hold.due != NEVER] += start.shift
        for slot in running.tolist():
            hold.run(slot, int(hold.state[slot]), int(hold.due[slot]), delta)
    hold.earliest[0] = hold.due.min(initial=NEVER)


def _rebase_blind(hold: Hold, slot: int, start: Restarted, delta: Delta) -> None:
    place, state = hold.places[slot], int(hold.state[slot])
    elapsed = min(max(0, start.last - int(hold.since[slot])), place.on_delay)
    if state == CLEARING:  # starts again at the next reading that clears
        hold.cancel(slot, RAISED, delta)
        hold.since[slot] = start.at
        return
    hold.since[slot] = start.at - elapsed
    if place.life_safety:  # the first TRUE raises, or silence at the end of the first poll round
        hold.run(slot, STRANDED, start.settled, delta)
    elif state == STRANDED:
        hold.run(slot, STRANDED, NEVER, delta)
    else:
        hold.run(slot, state, start.at + place.on_delay - elapsed, delta)
