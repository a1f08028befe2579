"""The pages of the alarm book: durable rows of the open alarms, and the indexes beside them.

Under `book`, which decides; here only what stands is kept, found and written. Every write goes through the step's delta
(house section 3), indexes of RAM too, so that a step undone leaves no trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.alarms.codes import Codes
from gateway.alarms.machine import Standing, over
from gateway.alarms.walktest import Walktests
from gateway.model.alarm import Alarm, Suppression
from gateway.model.delta import Delta, Table


def key_of(rule: str, point: int, key: str) -> str:
    """Return the row key of a place that can alarm."""
    return f"{rule}|{point}|{key}"


class Pages:
    """The rows of the open alarms of one station.

    Durable tables: `alarm`; `alarm_counter` (last id, next codes); `alarm_closed` (the retained frame that raised an
    alarm which a person has closed: the same frame does not raise again). Indexes are rebuilt by `load`.
    """

    def __init__(self) -> None:
        self.alarms: Table[Alarm] = Table("alarm")
        self.counters: Table[int] = Table("alarm_counter")
        self.closed: Table[bytes] = Table("alarm_closed")
        self._by_id: Table[str] = Table("_alarm_id")
        self.shelf: Table[int] = Table("_shelf")
        self.codes = Codes(self.counters)
        self.walktests = Walktests()

    def tables(self) -> tuple[Table[Any], ...]:
        """Return the tables that the store keeps."""
        return self.alarms, self.counters, self.closed, self.walktests.table

    def load(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Take rows of the store (table name → key → row) in place of everything here, and rebuild the indexes."""
        for table in self.tables():
            table.rows = dict(rows.get(table.name, {}))
        self._by_id.rows = {str(alarm.id): key for key, alarm in self.alarms.rows.items()}
        self.codes.taken.rows = {alarm.code: alarm.id for alarm in self.alarms.rows.values()}
        self.shelf.rows = {
            key: alarm.shelved_until
            for key, alarm in self.alarms.rows.items()
            if alarm.suppression is Suppression.SHELVED
        }

    def by_id(self, number: int) -> Alarm | None:
        """Return an open alarm, or None."""
        key = self._by_id.get(str(number))
        return None if key is None else self.alarms[key]

    def get(self, rule: str, point: int, key: str) -> Alarm | None:
        """Return the open alarm of a place, or None."""
        return self.alarms.get(key_of(rule, point, key))

    def open_alarms(self) -> list[Alarm]:
        """Return every alarm in the book, oldest id first."""
        return sorted(self.alarms, key=lambda alarm: alarm.id)

    def conditions(self) -> list[tuple[str, int, str]]:
        """Return (rule, point, key) of every condition that is true, for the rule engine to resume."""
        return [(alarm.rule, alarm.point, alarm.key) for alarm in self.open_alarms() if alarm.condition]

    def write(self, key: str, alarm: Alarm, delta: Delta) -> None:
        """Keep the row and its indexes; an alarm that has ended leaves."""
        if over(Standing(alarm.state, alarm.suppression)):
            self.alarms.drop(delta, key)
            self._by_id.drop(delta, str(alarm.id))
            self.codes.free(alarm.code, delta)
            self.shelf.drop(delta, key)
            if alarm.from_before_start and alarm.evidence.frame:
                self.closed.put(delta, key, alarm.evidence.frame)
            return
        self.alarms.put(delta, key, alarm)
        self._by_id.put(delta, str(alarm.id), key)
        if alarm.suppression is Suppression.SHELVED:
            self.shelf.put(delta, key, alarm.shelved_until)
        else:
            self.shelf.drop(delta, key)
