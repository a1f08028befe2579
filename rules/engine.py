"""The rule engine: all kinds and the panel reducer behind one door; moments and events in, changes out.

Between validation and the alarm book, inside the step. Pure; every change of state goes through the delta it is
given. Keeps house section 3: the order of changes follows the order of readings, then of rules; a kind that raises
costs its own slots for that moment and a fault, never the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from gateway.model.alarm import AlarmFacts
from gateway.model.batch import Event
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.point import AlarmClass
from gateway.model.verdict import Change, Delay
from rules.compiled import SECOND, Heard, Kind, KindFault, Level, PlaceId, Restarted, Tables, name_of
from rules.panel import IDS, Panel

VERSION = 2
_FAULT_STAYS = 60 * SECOND  # a kind's fault ends when it has judged that long without another


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a change of configuration did: conditions that flipped, places that were active and are gone."""

    changes: list[Change]
    removed: list[PlaceId]


@dataclass(slots=True)
class Engine:
    """All rules of one configuration.

    Attributes:
        kinds: by name; the order does not matter.
        tables: durable rows; `faults` holds the kinds that raised lately.
        life_points: point watched by a rule of class fire, gas or flood → the highest such class: lane 1.
        switched_off: (point name, rule, reason) of default alarms a rule switched off; `check` lists them.
        watched: (rule, point) → facts of every place that a rule of the configuration or a profile watches.
        settle: ns, how long faults wait after a start.
    """

    kinds: Mapping[str, Kind]
    panel: Panel
    tables: Tables
    describe: Callable[[str, int, str], AlarmFacts]
    points: frozenset[int]
    life_points: Mapping[int, AlarmClass] = field(default_factory=dict)
    switched_off: tuple[tuple[str, str, str], ...] = ()
    watched: Mapping[tuple[str, int], AlarmFacts] = field(default_factory=dict)
    settle: int = 60 * SECOND

    def judge(self, moment: Moment, delta: Delta) -> list[Change]:
        """Apply the readings and signs of life of one moment; timers due before `moment.at` have fired already."""
        changes: list[Change] = []
        for name, kind in self.kinds.items():
            try:
                changes += kind.judge(moment, delta)
            except Exception as error:  # noqa: BLE001 - whatever it is, it costs this kind alone (house section 3)
                self._fault(name, error, moment.at, delta)
        if self.tables.faults.rows:
            self._forgive(moment.at, delta)
        return sorted(changes, key=_by_position) if len(changes) > 1 else changes

    def events(self, events: Sequence[Event], at: int, delta: Delta, wall: int = 0) -> list[Change]:
        """Apply what devices said; `position` is the index of the event.

        `wall`: when it came, ns since 1970, 0 while wall time is not trusted: tells what a device says late.

        Each is also a sign of life: a device heard again comes first, with the first event as its position.
        """
        heard = tuple(dict.fromkeys(event.point for event in events))
        back = [change._replace(position=0) for change in self.judge(_signs_of_life(at, heard), delta)]
        return back + self.panel.judge(events, at, delta, wall)

    def fire(self, until: int, delta: Delta) -> list[Change]:
        """Fire every timer due at or before `until` (ns), stamped with its own due time, in order of due times."""
        changes: list[Change] = []
        for name, kind in self.kinds.items():
            try:
                changes += kind.fire(until, delta)
            except Exception as error:  # noqa: BLE001 - as above
                self._fault(name, error, until, delta)
        return sorted(changes, key=_by_time)

    def due(self) -> int:
        """Return a lower bound of the earliest due moment, NEVER if none."""
        return min([kind.due() for kind in self.kinds.values()])  # a list: asked several times a reading

    def facts(self, rule: str, point: int, key: str) -> AlarmFacts:
        """Return what the configuration says of a place; something true also of places no configuration knows."""
        return self.describe(rule, point, key)

    def active(self) -> frozenset[PlaceId]:
        """Return every place whose condition holds."""
        levels = [(row.rule, row.point, row.key) for row in self.tables.levels]
        return frozenset(levels).union(*(kind.active() for kind in self.kinds.values()))

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as columns and rows that msgspec encodes; equal states give equal bytes."""
        return {
            "version": VERSION,
            "kinds": {name: kind.snapshot() for name, kind in self.kinds.items()},
            "levels": sorted(self.tables.levels, key=lambda row: (row.rule, row.point, row.key)),
            "faults": sorted(self.tables.faults, key=lambda row: row.kind),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> list[str]:
        """Take a snapshot; returns the kinds that could not read theirs (they stay as they are)."""
        if snapshot.get("version") != VERSION:
            return list(self.kinds)
        self.tables.delays.rows.clear()
        self.tables.levels.rows.clear()
        self.tables.faults.rows = {row.kind: row for row in msgspec.convert(snapshot["faults"], list[KindFault])}
        for row in msgspec.convert(snapshot["levels"], list[Level]):
            self.tables.levels.rows[name_of(row.rule, row.point, row.key)] = row
        self.panel.recount()
        unread = []
        for name, kind in self.kinds.items():
            try:
                kind.restore(snapshot["kinds"][name])
            except (KeyError, ValueError, TypeError, IndexError):
                unread.append(name)
        return unread

    def resume(
        self,
        delays: Sequence[Delay],
        conditions: frozenset[PlaceId],
        heard: Mapping[str, Heard] | None = None,
        levels: Mapping[str, Level] | None = None,
    ) -> None:
        """Take the durable rows: without a snapshot, or where it disagrees with them (the rows count).

        Args:
            delays: rows of table `delay`.
            conditions: places whose alarm's condition holds, from the alarm book.
            heard: rows of table `heard`.
            levels: rows of table `level`.
        """
        self.tables.delays.rows.clear()
        if heard is not None:
            self.tables.heard.rows = dict(heard)
        if levels is not None:
            self.tables.levels.rows = dict(levels)
            self.panel.recount()
        for kind in self.kinds.values():
            kind.resume(delays, conditions)

    def hold(self, places: frozenset[PlaceId], delta: Delta) -> None:
        """Let conditions count as true until the next reading of their places says otherwise.

        For alarms that came from elsewhere than a reading; places that no rule watches are left out. The kinds' arrays
        are no part of the delta here.
        """
        for rule, point, key in places:
            self.tables.delays.drop(delta, name_of(rule, point, key))
            if rule in IDS:
                self.panel.take(Level(rule, point, key), delta)
        delays, conditions = list(self.tables.delays), self.active() | places
        for kind in self.kinds.values():
            kind.resume(delays, conditions)

    def rebase(self, shift: int | None, at: int, last: int, delta: Delta) -> None:
        """Move all times to this boot's axis (house section 10).

        Args:
            shift: ns to add to old times, None when the time spent down is unknown.
            at: ns, the start on the new axis.
            last: ns, the last moment handled, on the old axis.
            delta: remembers what was before.
        """
        start = Restarted(at=at, shift=shift, last=last, settled=at + self.settle)
        for kind in self.kinds.values():
            kind.rebase(start, delta)

    def adopt(self, old: Engine, latest: Moment, delta: Delta) -> Adoption:
        """Take over from the engine of the configuration before; `latest` has the newest reading of every point.

        A place of the same id and definition keeps delays and windows, a changed one is evaluated at once. The old
        engine's arrays are not touched: an undone delta and the old engine are the state before.
        """
        before = old.active()
        shared = old.tables
        # `restore` writes into tables of our own, also at a second try; then the shared ones are brought in step.
        own = Tables()
        self.tables.delays, self.tables.heard, self.tables.levels = own.delays, own.heard, own.levels
        self.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(old.snapshot())))
        running = self.tables.delays.rows
        for row in shared.delays:
            key = name_of(row.rule, row.point, row.key)
            if key not in running:
                shared.delays.drop(delta, key)
        self.tables.delays, self.tables.heard = shared.delays, shared.heard
        self.tables.levels, self.tables.faults = shared.levels, shared.faults
        for level in shared.levels:
            if level.point not in self.points:
                self.panel.drop(level, delta)
        for key in list(shared.heard.rows):
            if int(key.split("|")[1]) not in self.points:
                shared.heard.drop(delta, key)
        changes: list[Change] = []
        for kind in self.kinds.values():
            changes += kind.judge_fresh(latest, delta)
        kept = self.active().union((c.rule, c.point, c.key) for c in changes)
        return Adoption(sorted(changes, key=_by_position), sorted(before - kept))

    def _fault(self, name: str, error: Exception, at: int, delta: Delta) -> None:
        self.kinds[name].lose(delta)
        self.tables.faults.put(delta, name, KindFault(name, f"{type(error).__name__}: {error}", at))

    def _forgive(self, at: int, delta: Delta) -> None:
        for fault in self.tables.faults:
            if at - fault.at > _FAULT_STAYS:
                self.tables.faults.drop(delta, fault.kind)


def _by_position(change: Change) -> tuple[int, int]:
    return change.position, change.order


def _by_time(change: Change) -> tuple[int, int]:
    return change.at, change.order


def _signs_of_life(at: int, heard: tuple[int, ...]) -> Moment:
    return Moment(
        at,
        np.empty(0, dtype=np.int32),
        np.empty(0, dtype=np.int64),
        np.empty(0, dtype=np.float64),
        np.empty(0, dtype=np.uint8),
        heard,
    )
