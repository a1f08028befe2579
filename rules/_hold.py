"""On-delay, off-delay and the condition of every slot: from verdicts to changes, the same for every rule kind.

Between a kind's verdicts and the alarms. Keeps house sections 3, 6 and 10: a slot has its own time, a late reading
may raise but never clears and never touches a timer, an on-delay runs on through UNKNOWN, an off-delay stops on it.

Most readings change nothing: one table look-up over arrays says so. The few that may change something go one by one
through `_take`, the only place that knows the rules; a test proves that what the look-up skips would change nothing.

What a state from before the start has raised (`stale`) is told again by the first live reading that says the same: the
book takes it for news where a person had closed that state, else for none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.model.batch import Bytes, Floats, Ints
from gateway.model.delta import Delta
from gateway.model.distinct import distinct
from gateway.model.quality import LEVEL_SHIFT, REASON_MASK, Doubt, Level, quality
from gateway.model.verdict import ALWAYS_AGO, NEVER, Cause, Change, Delay, Running
from rules._conditions import DEAD_BAND, FALSE, TRUE, UNKNOWN, Codes
from rules._slots import Index
from rules.compiled import Place, Tables, name_of

# States of a slot. LOST: pending, and its newest reading was UNKNOWN. STRANDED: pending, the next TRUE raises at once.
QUIET, RAISED, PENDING, LOST, STRANDED, CLEARING = range(6)
ON = (PENDING, LOST, STRANDED)
ACTIVE = (RAISED, CLEARING)  # the condition holds
RETAINED = quality(Level.UNCERTAIN, Doubt.RETAINED)

# _INERT[state, verdict]: nothing changes, unless a timer is due.
_INERT = np.zeros((6, 4), dtype=np.bool_)
_INERT[QUIET, [UNKNOWN, FALSE, DEAD_BAND]] = True
_INERT[RAISED, [UNKNOWN, TRUE, DEAD_BAND]] = True
_INERT[PENDING, [TRUE, DEAD_BAND]] = True
_INERT[LOST, [UNKNOWN]] = True
_INERT[STRANDED, [UNKNOWN]] = True
_INERT[CLEARING, [FALSE, DEAD_BAND]] = True


class _Reading(NamedTuple):
    position: int
    code: int
    time: int
    value: float
    quality: int


class Hold:
    """State of n slots; every change of it goes through a delta.

    Attributes:
        newest: ns, slot time of the newest handled reading.
        state: QUIET … CLEARING.
        since, due: ns, of the running delay; `since` of a raised slot is when it became true.
        value, quality: the reading that began it; BAD quality marks a lost one.
        stale: all that says TRUE is a state from before the start.
    """

    def __init__(self, places: Sequence[Place], tables: Tables) -> None:
        n = len(places)
        self.places = places
        self.tables = tables
        self.newest: Ints = np.full(n, ALWAYS_AGO, dtype=np.int64)
        self.state: NDArray[np.uint8] = np.zeros(n, dtype=np.uint8)
        self.since: Ints = np.zeros(n, dtype=np.int64)
        self.due: Ints = np.full(n, NEVER, dtype=np.int64)
        self.value: Floats = np.zeros(n, dtype=np.float64)
        self.quality: Bytes = np.zeros(n, dtype=np.uint8)
        self.stale: NDArray[np.bool_] = np.zeros(n, dtype=np.bool_)
        self.earliest: Ints = np.full(1, NEVER, dtype=np.int64)  # lower bound of all dues
        self._hot = np.zeros(n, dtype=np.bool_)  # scratch of `apply`

    def apply(
        self,
        pairs: tuple[Index, Index],
        code: Codes,
        columns: tuple[Ints, Floats, Bytes],
        at: int,
        delta: Delta,
    ) -> list[Change]:
        """Apply verdicts in order; changes in the order of pairs.

        Args:
            pairs: slot (may repeat) and position of its reading inside the moment.
            code: verdict codes.
            columns: slot time (ns), value and quality of every pair.
            at: logical time of the moment, ns.
            delta: remembers what was before.
        """
        slot, position = pairs
        time = columns[0]
        hot = ~_INERT[self.state[slot], code] | (self.due[slot] <= time)
        stale = self.stale[slot]
        if stale.any():
            hot |= stale & (code == TRUE) & (columns[2] != RETAINED)
        if hot.any():  # with every other reading of the same slot: their order counts
            self._hot[slot[hot]] = True
            hot = self._hot[slot]
            self._hot[slot] = False
            calm = ~hot
            self._pass(slot[calm], time[calm], delta)
        else:
            self._pass(slot, time, delta)
            return []
        rows = np.flatnonzero(hot)
        self.remember(distinct(slot[rows]), delta)
        changes: list[Change] = []
        picked = [column[rows].tolist() for column in (slot, position, code, *columns)]
        for s, *reading in zip(*picked, strict=True):
            self._take(s, _Reading(*reading), at, delta, changes)
        return changes

    def _pass(self, slot: Index, time: Ints, delta: Delta) -> None:
        delta.save(self.newest, slot)
        np.maximum.at(self.newest, slot, time)

    def remember(self, slots: Index, delta: Delta) -> None:
        """Keep the slots' whole state in the delta."""
        for array in (self.newest, self.state, self.since, self.due, self.value, self.quality, self.stale):
            delta.save(array, slots)

    def _take(self, slot: int, reading: _Reading, at: int, delta: Delta, changes: list[Change]) -> None:
        """Apply one verdict to one slot whose state the delta has."""
        if self.due[slot] <= reading.time:
            self._expire(slot, reading.position, delta, changes)
        state, code = int(self.state[slot]), reading.code
        self._confirm(slot, reading, at, delta, changes)
        if reading.time < self.newest[slot]:
            if code == TRUE and state == QUIET:
                self._take_late(slot, reading, at, delta, changes)
            return
        self.newest[slot] = reading.time
        if state == QUIET and code == TRUE:
            self._keep(slot, reading, reading.time)
            if self.places[slot].on_delay:
                self._begin(slot, PENDING, reading, delta)
            else:
                self._flip(slot, (reading.position, reading.time), Cause.CONDITION, delta, changes)
        elif state == RAISED and code == FALSE:
            self._keep(slot, reading, reading.time)
            if self.places[slot].off_delay:
                self._begin(slot, CLEARING, reading, delta)
            else:
                self._flip(slot, (reading.position, reading.time), Cause.RETURNED, delta, changes)
        elif state == CLEARING and code in (TRUE, UNKNOWN):
            self.cancel(slot, RAISED, delta)
        elif state in ON:
            self._take_pending(slot, reading, delta, changes)

    def _confirm(self, slot: int, reading: _Reading, at: int, delta: Delta, changes: list[Change]) -> None:
        """Tell it when a live reading says TRUE where so far only a state from before did."""
        if reading.code != TRUE or reading.quality == RETAINED or not self.stale[slot] or self.state[slot] == QUIET:
            return
        self.stale[slot] = False
        self.quality[slot] = reading.quality
        if self.state[slot] not in ACTIVE:
            self._write(slot, delta)
            return
        place, late = self.places[slot], reading.time < self.newest[slot]
        stamp = at if late else reading.time
        cause = Cause.LATE_READING if late else Cause.CONDITION
        told = (
            reading.position,
            place.order,
            *place.id,
            True,
            stamp,
            reading.time,
            cause,
            reading.value,
            reading.quality,
        )
        changes.append(Change(*told))

    def _take_late(self, slot: int, reading: _Reading, at: int, delta: Delta, changes: list[Change]) -> None:
        """An older reading shows that it was true, perhaps still is: raise, or begin the on-delay from now on."""
        if self.places[slot].on_delay:
            self._keep(slot, reading, at)
            self._begin(slot, PENDING, reading, delta)
        else:
            self._keep(slot, reading, reading.time)
            self._flip(slot, (reading.position, at), Cause.LATE_READING, delta, changes)

    def _take_pending(self, slot: int, reading: _Reading, delta: Delta, changes: list[Change]) -> None:
        state, code = int(self.state[slot]), reading.code
        if code == FALSE:
            self.cancel(slot, QUIET, delta)
        elif code == UNKNOWN:
            if state == PENDING:
                self.state[slot] = LOST
                self.quality[slot] = (Level.BAD << LEVEL_SHIFT) | (reading.quality & REASON_MASK)
                self._write(slot, delta)
        elif state == STRANDED:  # TRUE, or what it was: true
            self._keep(slot, reading, int(self.since[slot]))
            self._flip(slot, (reading.position, reading.time), Cause.CONDITION, delta, changes)
        elif state == LOST:
            self._keep(slot, reading, int(self.since[slot]))
            self.state[slot] = PENDING
            self._write(slot, delta)

    def fire(self, until: int, delta: Delta) -> list[Change]:
        """Fire every delay due at or before `until`, in order of due times, then of rules."""
        if until < self.earliest[0]:
            return []
        slots = np.flatnonzero(self.due <= until)
        changes: list[Change] = []
        if len(slots):
            self.remember(slots, delta)
            for slot in sorted(slots.tolist(), key=lambda s: (int(self.due[s]), self.places[s].order)):
                self._expire(slot, -1, delta, changes)
        delta.save(self.earliest, np.zeros(1, dtype=np.intp))
        self.earliest[0] = self.due.min(initial=NEVER)
        return changes

    def _expire(self, slot: int, position: int, delta: Delta, changes: list[Change]) -> None:
        state, due = int(self.state[slot]), int(self.due[slot])
        if state == CLEARING:
            self._flip(slot, (position, due), Cause.RETURNED, delta, changes, timed=True)
        elif state == PENDING:
            self._flip(slot, (position, due), Cause.CONDITION, delta, changes, timed=True)
        elif self.places[slot].life_safety:
            self._flip(slot, (position, due), Cause.LOST_WHILE_PENDING, delta, changes, timed=True)
        else:  # nobody knows: hold until somebody does
            self.state[slot], self.due[slot] = STRANDED, NEVER
            self._write(slot, delta)

    def _keep(self, slot: int, reading: _Reading, since: int) -> None:
        self.since[slot], self.value[slot], self.quality[slot] = since, reading.value, reading.quality
        if reading.code == TRUE:
            self.stale[slot] = reading.quality == RETAINED

    def _begin(self, slot: int, state: int, reading: _Reading, delta: Delta) -> None:
        place = self.places[slot]
        delta.led.append((name_of(*place.id), int(self.since[slot]), reading.position))
        due = int(self.since[slot]) + (place.on_delay if state == PENDING else place.off_delay)
        self.run(slot, state, due, delta)

    def run(self, slot: int, state: int, due: int, delta: Delta) -> None:
        """Let a delay run until `due`."""
        self.state[slot], self.due[slot] = state, due
        self.earliest[0] = min(due, self.earliest[0])  # a bound that is too low after an undo costs one look
        self._write(slot, delta)

    def cancel(self, slot: int, state: int, delta: Delta) -> None:
        """No delay of this slot runs any more."""
        self.state[slot], self.due[slot] = state, NEVER
        self.tables.delays.drop(delta, name_of(*self.places[slot].id))

    def _flip(
        self,
        slot: int,
        stamp: tuple[int, int],
        cause: Cause,
        delta: Delta,
        changes: list[Change],
        *,
        timed: bool = False,
    ) -> None:
        up = int(self.state[slot]) not in ACTIVE
        self.cancel(slot, RAISED if up else QUIET, delta)
        place, (position, at) = self.places[slot], stamp
        since, value, quality = int(self.since[slot]), float(self.value[slot]), int(self.quality[slot])
        changes.append(Change(position, place.order, *place.id, up, at, since, cause, value, quality, timed))

    def _write(self, slot: int, delta: Delta) -> None:
        row = self.row(slot)
        self.tables.delays.put(delta, name_of(row.rule, row.point, row.key), row)

    def row(self, slot: int) -> Delay:
        """Return the durable row of a running delay."""
        rule, point, key = self.places[slot].id
        return Delay(
            rule=rule,
            point=point,
            key=key,
            running=Running.OFF if self.state[slot] == CLEARING else Running.ON,
            since=int(self.since[slot]),
            due=int(self.due[slot]),
            value=float(self.value[slot]),
            quality=int(self.quality[slot]),
        )

    def lose(self, delta: Delta) -> None:
        """Every slot is UNKNOWN: running on-delays count as lost, off-delays stop."""
        running = np.flatnonzero((self.state == PENDING) | (self.state == CLEARING))
        self.remember(running, delta)
        for slot in running.tolist():
            if self.state[slot] == CLEARING:
                self.cancel(slot, RAISED, delta)
            else:
                self.state[slot] = LOST
                self.quality[slot] = (Level.BAD << LEVEL_SHIFT) | (int(self.quality[slot]) & REASON_MASK)
                self._write(slot, delta)
