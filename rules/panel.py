"""Panel events → durable levels: what a device said happened at a key holds until it says otherwise.

In the step before alarms, beside the rule kinds. House section 2: rules see levels, not edges; a reset or restore
makes the level FALSE, never ends an alarm. Section 3: late never clears; what a late word would have ended is told
again when it is said again, in case it was the clock that was wrong. Keys grow at run time up to a counted limit; past
it all further addresses of a device share one collective key that is raised again at each new one: no fire is dropped
(section 6).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from gateway.model.batch import Event, EventCode
from gateway.model.delta import Delta, Table
from gateway.model.time import DAY, MINUTE
from gateway.model.verdict import Cause, Change
from rules.compiled import Level, Tables, name_of

COLLECTIVE = "…"
_RIGHT = MINUTE  # ns that a device's clock may be off when it speaks: then it was right
_OLDEST = 30 * DAY  # ns; no device keeps a backlog that long: what seems older than this has a wrong clock
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

    def judge(self, events: Sequence[Event], at: int, delta: Delta, wall: int = 0) -> list[Change]:
        """Return the flips of levels; `position` is the index of the event.

        `wall`: when they came, ns since 1970, 0 while wall time is not trusted.
        """
        changes: list[Change] = []
        for position, event in enumerate(events):
            if event.code in RULES:
                if event.point not in self._switched_off:
                    own = event.time if wall and abs(wall - event.time) <= _RIGHT else 0
                    self._raise(event, own, (position, at), delta, changes)
                continue
            for row in self._ended(event):
                if _late(event.time, row.time, wall):
                    self._keep(replace(row, doubted=True), delta)
                else:
                    self._drop(row, (position, at), delta, changes)
        return changes

    def _ended(self, event: Event) -> list[Level]:
        """Return the levels that an event ends, in the order of rules."""
        if event.code is EventCode.RESET:
            rows = [row for row in self._tables.levels if row.point == event.point and _is_under(row.key, event.key)]
            return sorted(rows, key=lambda row: (self._order[row.rule], row.key))
        rules: Sequence[str] = ()
        if event.code is EventCode.ENABLED:
            rules = (RULES[EventCode.DISABLED],)
        elif event.code is EventCode.RESTORE:
            rules = IDS if event.ends is None else [RULES[event.ends]] if event.ends in RULES else ()
        found = [self._tables.levels.get(name_of(rule, event.point, event.key)) for rule in rules]
        return [row for row in found if row is not None]

    def _raise(self, event: Event, own: int, stamp: tuple[int, int], delta: Delta, changes: list[Change]) -> None:
        """Make a level TRUE; `own`: the device's time where it is proved right, else 0."""
        rule = RULES[event.code]
        row = self._tables.levels.get(name_of(rule, event.point, event.key))
        cause = Cause.EVENT if event.registered else Cause.UNREGISTERED
        if row is None and (self._count.get(str(event.point)) or 0) < self._keys:
            self._put(Level(rule, event.point, event.key, time=own), delta)
            changes.append(self._change(rule, event.point, event.key, stamp, cause, up=True))
            return
        row = row or self._tables.levels.get(name_of(rule, event.point, COLLECTIVE))
        if row is None:
            self._put(Level(rule, event.point, COLLECTIVE, (event.key,), own), delta)
        else:
            seen = row.seen
            if row.key != event.key and event.key not in seen:
                seen = (*seen, event.key)[-_ADDRESSES_KEPT:]
            again = replace(row, seen=seen, time=max(row.time, own), doubted=False)
            if again != row:
                self._keep(again, delta)
            if seen != row.seen or row.doubted:
                cause = Cause.ESCALATED
            elif event.ends is None:
                return
            else:  # an act, not a state: the last one is over, so that this calls whoever has answered that
                changes.append(self._change(rule, event.point, row.key, stamp, Cause.EVENT_RESET, up=False))
        changes.append(self._change(rule, event.point, row.key if row else COLLECTIVE, stamp, cause, up=True))

    def _keep(self, row: Level, delta: Delta) -> None:
        self._tables.levels.put(delta, name_of(row.rule, row.point, row.key), row)

    def _put(self, row: Level, delta: Delta) -> None:
        self._keep(row, delta)
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


def _late(time: int, newest: int, wall: int) -> bool:
    """Whether a device says late that something ended.

    It said `newest` when its clock was proved right, and this has a time before that. Only a time of its own proves it:
    none, one that stands still, that is about now or that is no date of these days tells nothing, and clears.
    """
    return 0 < time < newest and _RIGHT < wall - time <= _OLDEST
