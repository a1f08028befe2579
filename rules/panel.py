"""Panel events → durable levels: what a device said happened at a key holds until it says otherwise.

In the step before alarms, beside the rule kinds. House section 2: rules see levels, not edges; a reset or restore
makes the level FALSE, never ends an alarm. Keys grow at run time up to a counted limit; past it all further addresses
of a device share one collective key that is raised again at each new one: no fire is dropped (section 6).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.batch import Event, EventCode
from gateway.model.delta import Delta, Table
from gateway.model.verdict import Cause, Change
from rules.compiled import Level, Tables, name_of

COLLECTIVE = "…"
_ADDRESSES_KEPT = 256  # behind a collective key; an older one that speaks again is told again
# Codes that make a level TRUE, and the id of the rule they stand for. TEST is not among them.
RULES = {
    EventCode.FIRE: "event:fire",
    EventCode.MANUAL: "event:fire",
    EventCode.GAS: "event:gas",
    EventCode.FLOOD: "event:flood",
    EventCode.PRE_ALARM: "event:pre_alarm",
    EventCode.SUPERVISORY: "event:supervisory",
    EventCode.FAULT: "event:fault",
    EventCode.DISABLED: "event:disabled",
}
IDS = tuple(dict.fromkeys(RULES.values()))


class Panel:
    """The reducer.

    Args:
        tables: `levels` holds a row per TRUE level.
        keys: how many levels one event point may have before the collective key.
        order: of the first event rule among all rules.
        switched_off: event points whose alarms a rule with `alarm = false` switched off.
    """

    def __init__(self, tables: Tables, *, keys: int, order: int, switched_off: frozenset[int]) -> None:
        self._tables = tables
        self._keys = keys
        self._order = {rule: order + place for place, rule in enumerate(IDS)}
        self._switched_off = switched_off
        self._count: Table[int] = Table("_level_count")  # levels per point

    def judge(self, events: Sequence[Event], at: int, delta: Delta) -> list[Change]:
        """Return the flips of levels; `position` is the index of the event."""
        changes: list[Change] = []
        for position, event in enumerate(events):
            if event.code in RULES:
                if event.point not in self._switched_off:
                    self._raise(event, (position, at), delta, changes)
            elif event.code is EventCode.RESET:
                rows = [
                    row for row in self._tables.levels if row.point == event.point and _is_under(row.key, event.key)
                ]
                for row in sorted(rows, key=lambda row: (self._order[row.rule], row.key)):
                    self._drop(row, (position, at), delta, changes)
            elif event.code in (EventCode.RESTORE, EventCode.ENABLED):
                ended = ("event:disabled",) if event.code is EventCode.ENABLED else IDS
                for rule in ended:
                    held = self._tables.levels.get(name_of(rule, event.point, event.key))
                    if held is not None:
                        self._drop(held, (position, at), delta, changes)
        return changes

    def _raise(self, event: Event, stamp: tuple[int, int], delta: Delta, changes: list[Change]) -> None:
        rule = RULES[event.code]
        if name_of(rule, event.point, event.key) in self._tables.levels:
            return
        cause = Cause.EVENT if event.registered else Cause.UNREGISTERED
        if (self._count.get(str(event.point)) or 0) < self._keys:
            self._put(Level(rule, event.point, event.key), delta)
            changes.append(self._change(rule, event.point, event.key, stamp, cause, up=True))
            return
        row = self._tables.levels.get(name_of(rule, event.point, COLLECTIVE))
        if row is None:
            self._put(Level(rule, event.point, COLLECTIVE, (event.key,)), delta)
        elif event.key in row.seen:
            return
        else:
            seen = (*row.seen, event.key)[-_ADDRESSES_KEPT:]
            self._tables.levels.put(
                delta, name_of(rule, event.point, COLLECTIVE), Level(rule, row.point, row.key, seen)
            )
            cause = Cause.ESCALATED
        changes.append(self._change(rule, event.point, COLLECTIVE, stamp, cause, up=True))

    def _put(self, row: Level, delta: Delta) -> None:
        self._tables.levels.put(delta, name_of(row.rule, row.point, row.key), row)
        self._count.put(delta, str(row.point), (self._count.get(str(row.point)) or 0) + 1)

    def take(self, row: Level, delta: Delta) -> None:
        """Keep a level that came from elsewhere than an event."""
        if name_of(row.rule, row.point, row.key) not in self._tables.levels:
            self._put(row, delta)

    def drop(self, row: Level, delta: Delta) -> None:
        """Forget a level."""
        self._tables.levels.drop(delta, name_of(row.rule, row.point, row.key))
        self._count.put(delta, str(row.point), self._count[str(row.point)] - 1)

    def _drop(self, row: Level, stamp: tuple[int, int], delta: Delta, changes: list[Change]) -> None:
        self.drop(row, delta)
        changes.append(self._change(row.rule, row.point, row.key, stamp, Cause.EVENT_RESET, up=False))

    def _change(self, rule: str, point: int, key: str, stamp: tuple[int, int], cause: Cause, *, up: bool) -> Change:
        position, at = stamp
        return Change(position, self._order[rule], rule, point, key, up, at, at, cause, 0.0, 0)

    def recount(self) -> None:
        """Count again after the table was loaded."""
        self._count.rows.clear()
        for row in self._tables.levels:
            self._count.rows[str(row.point)] = self._count.rows.get(str(row.point), 0) + 1


def _is_under(key: str, reset: str) -> bool:
    """Whether a reset of `reset` is one of this key: the whole device, the key itself, or a panel above it."""
    return not reset or key == reset or key.startswith(f"{reset}/")
