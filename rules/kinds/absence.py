"""Absence: a configured device that says nothing for its limit is a fault, also one that was never heard.

A rule kind of the step; one slot per device, rule id `silence` unless a rule refines it. House rule 5 and section 6:
any reading better than BAD, any event and any sign of life counts as heard, at its arrival; not a retained state, which
the broker says for a device that may be dead. Last-heard is durable (table `heard`, at most one row a minute and
device), so a daily reboot does not restart a 25 h limit; after a start nothing falls silent before the first poll round
has ended. Who is told to be gone (quality OFFLINE: by its last will, its bridge, its node) is a fault 100 s later,
whatever its limit (section 11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.config.quantities import Seconds
from gateway.model.batch import Ints
from gateway.model.delta import Delta
from gateway.model.distinct import distinct
from gateway.model.moment import Moment
from gateway.model.point import MAINS_SILENCE
from gateway.model.quality import Doubt, Level, quality
from gateway.model.verdict import ALWAYS_AGO, NEVER, Cause, Change, Delay
from rules import _carry
from rules._conditions import BAD_FROM
from rules._slots import Index, PointMap
from rules.compiled import SECOND, Heard, KindSetup, Place, PlaceId, Restarted, name_of

VERSION = 1
GRACE = round(MAINS_SILENCE * SECOND)  # ns from "it is gone" to the fault: enough to boot or to find its network again
_OFFLINE = quality(Level.BAD, Doubt.OFFLINE)
_KEEP_EVERY = 60 * SECOND
_RETAINED = quality(Level.UNCERTAIN, Doubt.RETAINED)
_ONE = np.zeros(1, dtype=np.intp)


class OPTIONS(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`limit`: instead of the device's own silence limit."""

    limit: Seconds = 0.0


def names(unit: str) -> dict[str, str]:
    """Return nothing: silence has no condition to write."""
    del unit  # every kind is asked the same
    return {}


class Absence:
    """All silence limits. `last`: ns, when heard; ALWAYS_AGO before the first start told the time."""

    def __init__(self, setup: KindSetup) -> None:
        self._places, self._tables = setup.places, setup.tables
        n = len(setup.places)
        owned = [(slot, point) for slot, place in enumerate(setup.places) for point in place.device_points]
        self._map = PointMap([point for _, point in owned], setup.points)
        self._slot_of: Index = np.array([slot for slot, _ in owned], dtype=np.intp)
        limits = [round(place.options.limit * SECOND) or place.silence for place in setup.places]
        self._limit: Ints = np.array(limits, dtype=np.int64)
        self._last: Ints = np.full(n, ALWAYS_AGO, dtype=np.int64)
        self._kept: Ints = np.full(n, ALWAYS_AGO, dtype=np.int64)  # what the durable row says
        self._gone: Ints = np.full(n, ALWAYS_AGO, dtype=np.int64)  # told to be gone; counts if newer than `last`
        self._silent: NDArray[np.bool_] = np.zeros(n, dtype=np.bool_)
        self._settled: Ints = np.full(1, ALWAYS_AGO, dtype=np.int64)
        self._earliest: Ints = np.full(1, NEVER, dtype=np.int64)

    def judge(self, moment: Moment, delta: Delta) -> list[Change]:
        """Note who was heard at `moment.at`."""
        entry, position = self._map.pairs(moment.point)
        marks = moment.quality[position]
        alive = (marks < BAD_FROM) & (marks != _RETAINED)
        gone = marks == _OFFLINE
        if gone.any():
            self._lost(self._slot_of[entry[gone]], moment.at, delta)
        slot, position = self._slot_of[entry[alive]], position[alive]
        if moment.heard:
            entry, _ = self._map.pairs(np.array(moment.heard, dtype=np.int32))
            slot = np.concatenate([self._slot_of[entry], slot])
            position = np.concatenate([np.full(len(entry), -1, dtype=np.intp), position])
        news = self._last[slot] < moment.at
        if not news.any():
            return []
        slot, position = slot[news], position[news]
        flips = self._silent[slot]
        changes = self._back(slot[flips], position[flips], moment.at, delta) if flips.any() else []
        delta.save(self._last, slot)
        self._last[slot] = moment.at
        self._keep(slot[moment.at - self._kept[slot] >= _KEEP_EVERY], delta)
        self._earliest[0] = min(int((moment.at + self._limit[slot]).min()), self._earliest[0])
        return changes

    def _lost(self, slot: Index, at: int, delta: Delta) -> None:
        """Note who is told to be gone: it is not waited for longer than a mains device."""
        slot = slot[self._gone[slot] <= self._last[slot]]
        if len(slot):
            delta.save(self._gone, slot)
            self._gone[slot] = at
            self._earliest[0] = min(at + GRACE, self._earliest[0])

    def _back(self, slot: Index, position: Index, at: int, delta: Delta) -> list[Change]:
        changes = []
        first = np.unique(slot, return_index=True)[1]
        for s, p in sorted(zip(slot[first].tolist(), position[first].tolist(), strict=True), key=lambda pair: pair[1]):
            place, gone = self._places[s], (at - int(self._last[s])) / SECOND
            changes.append(_change(place, (p, at), Cause.HEARD, since=at, seconds=gone))
        delta.save(self._silent, slot)
        self._silent[slot] = False
        delta.save(self._kept, slot)
        self._kept[slot] = ALWAYS_AGO  # write the row now
        return changes

    def _keep(self, slots: Index, delta: Delta) -> None:
        if not len(slots):
            return
        delta.save(self._kept, slots)
        self._kept[slots] = self._last[slots]
        for slot in distinct(slots).tolist():
            row = Heard(at=int(self._last[slot]), silent=bool(self._silent[slot]))
            self._tables.heard.put(delta, name_of(*self._places[slot].id), row)

    def judge_fresh(self, moment: Moment, delta: Delta) -> list[Change]:
        """Count from now for devices that have never been heard of; readings here are old ones."""
        self._begin(np.flatnonzero(self._last == ALWAYS_AGO), moment.at, delta)
        return []

    def _begin(self, slots: Index, at: int, delta: Delta) -> None:
        if len(slots):
            delta.save(self._last, slots)
            self._last[slots] = at
            self._keep(slots, delta)
            self._earliest[0] = min(int((at + self._limit[slots]).min()), self._earliest[0])

    def _dues(self) -> Ints:
        waiting = ~self._silent & (self._last != ALWAYS_AGO)
        patience = self._last + self._limit
        due = np.where(self._gone > self._last, np.minimum(patience, self._gone + GRACE), patience)
        return np.where(waiting, np.maximum(due, self._settled[0]), NEVER)

    def fire(self, until: int, delta: Delta) -> list[Change]:
        """Fall silent at last heard + limit, not before the first poll round has ended."""
        if until < self._earliest[0]:
            return []
        dues = self._dues()
        slots = np.flatnonzero(dues <= until)
        changes = []
        for slot in sorted(slots.tolist(), key=lambda s: (int(dues[s]), self._places[s].order)):
            place, due, last = self._places[slot], int(dues[slot]), int(self._last[slot])
            changes.append(_change(place, (-1, due), Cause.SILENCE, since=last, seconds=(due - last) / SECOND))
        delta.save(self._silent, slots)
        self._silent[slots] = True
        self._keep(slots, delta)
        delta.save(self._earliest, _ONE)
        self._earliest[0] = self._dues().min(initial=NEVER)
        return changes

    def due(self) -> int:
        """Return a lower bound of the earliest moment a device falls silent."""
        return int(self._earliest[0])

    def lose(self, delta: Delta) -> None:
        """Nothing to hold: who is not heard falls silent."""

    def _columns(self) -> dict[str, NDArray[Any]]:
        return {"last": self._last, "kept": self._kept, "silent": self._silent, "gone": self._gone}

    def snapshot(self) -> Mapping[str, Any]:
        """Return last-heard and who is silent."""
        slots = _carry.pack(self._places, self._columns())
        return {"version": VERSION, "slots": slots, "settled": int(self._settled[0])}

    def restore(self, columns: Mapping[str, Any]) -> None:
        """Take a snapshot; a changed limit keeps when the device was heard."""
        if columns["version"] != VERSION:
            raise ValueError(f"snapshot version {columns['version']}, this code reads {VERSION}")
        arrays, settled, slots = self._columns(), int(columns["settled"]), columns["slots"]
        slots = {"gone": np.full(len(slots["id"]), ALWAYS_AGO, dtype=np.int64).tobytes(), **slots}  # not told formerly
        old, *places = _carry.unpack(slots, self._places, arrays)
        for source, target in (places[:2], places[2:]):
            for name, array in arrays.items():
                array[target] = old[name][source]
        self._settled[0] = settled
        for slot in np.flatnonzero(self._kept != ALWAYS_AGO).tolist():
            row = Heard(at=int(self._kept[slot]), silent=bool(self._silent[slot]))
            self._tables.heard.rows[name_of(*self._places[slot].id)] = row
        self._earliest[0] = self._dues().min(initial=NEVER)

    def resume(self, delays: Sequence[Delay], conditions: frozenset[PlaceId]) -> None:
        """Take table `heard` and the active conditions."""
        del delays  # its dues follow from last-heard
        for slot, place in enumerate(self._places):
            row = self._tables.heard.get(name_of(*place.id))
            self._silent[slot] = place.id in conditions
            if row is not None:
                self._kept[slot] = row.at
                self._last[slot] = max(int(self._last[slot]), row.at)  # the row lags behind in a house that lives
        self._earliest[0] = self._dues().min(initial=NEVER)

    def rebase(self, start: Restarted, delta: Delta) -> None:
        """Move last-heard; unknown time down counts as none; who was never heard counts from now."""
        whole = np.arange(len(self._places), dtype=np.intp)
        for array in (self._last, self._kept, self._gone):
            delta.save(array, whole)
        delta.save(self._settled, _ONE)
        delta.save(self._earliest, _ONE)
        shift = start.at - start.last if start.shift is None else start.shift
        for array in (self._last, self._gone):
            told = np.flatnonzero(array != ALWAYS_AGO)
            array[told] = np.minimum(array[told] + shift, start.at)
        known = np.flatnonzero(self._last != ALWAYS_AGO)
        self._keep(known, delta)
        self._settled[0] = start.settled
        self._begin(np.flatnonzero(self._last == ALWAYS_AGO), start.at, delta)
        self._earliest[0] = self._dues().min(initial=NEVER)

    def active(self) -> list[PlaceId]:
        """Return who is silent."""
        return [self._places[slot].id for slot in np.flatnonzero(self._silent).tolist()]


def _change(place: Place, stamp: tuple[int, int], cause: Cause, *, since: int, seconds: float) -> Change:
    (position, at), (rule, point, key) = stamp, place.id
    return Change(position, place.order, rule, point, key, cause is Cause.SILENCE, at, since, cause, seconds, 0)


def create(setup: KindSetup) -> Absence:
    """Return the kind with its slots."""
    return Absence(setup)
