"""Alarms of a store that could be read only after the start: what nobody has answered goes on in the house that lives.

Between reopening and step. A disk that is slow at start leaves the house without its past; when the file opens after
all, it is read before it is set aside, and its unacknowledged alarms are put on the intake (house section 7). What the
house said of itself is left out: a fault of its own that still stands was raised again in this life.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from gateway.model.alarm import Alarm, AlarmState, Suppression
from gateway.model.moment import Found
from gateway.model.verdict import Cause
from gateway.pipeline.validate import Axis
from gateway.store.connection import MEMORY
from gateway.store.database import Store
from gateway.store.salvage import adopt, salvage
from gateway.store.shapes import MEMORY as MEMORY_ROWS

_TIMES = ("since", "raised", "returned_at")


class Kept(NamedTuple):
    """One alarm as the file has it. `name`: of its point; `wall`: when it was raised, ns since 1970, if known."""

    alarm: Alarm
    name: str
    boot: str
    wall: int | None


class Past(NamedTuple):
    """What a life goes on with: unacknowledged alarms, what plug-ins remember, and name → id of every point."""

    alarms: list[Kept]
    memory: dict[str, str]
    points: dict[str, int]


def unanswered(path: Path) -> Past | None:
    """Read what a file has for a life that began without it, blocking; None when nothing at all could be read."""
    salvaged = salvage(path)
    if salvaged.lost and not (salvaged.points or salvaged.rows):
        return None
    names = {number: name for name, number in salvaged.points.items()}
    with closing(Store.open(MEMORY)) as store:
        adopt(store, salvaged)
        alarms = [
            Kept(alarm, names.get(alarm.point, ""), boot, store.wall_of(boot, alarm.raised))
            for boot, alarm in salvaged.table("alarm", Alarm).values()
            if alarm.state.unacknowledged and not alarm.device.startswith("@")
        ]
        return Past(alarms, store.rows(MEMORY_ROWS, str, []), salvaged.points)


@dataclass(slots=True, frozen=True)
class Life:
    """What the house that lives knows: point name → id, the point of its own events, its boot, wall time and now."""

    ids: Mapping[str, int]
    own: int
    boot: str
    axis: Axis
    now: int

    def found(self, kept: Sequence[Kept]) -> Found:
        """Return the alarms as to be raised: with points and times of this life, kept from nobody."""
        return Found(alarms=tuple(self._ours(one) for one in sorted(kept, key=lambda one: one.alarm.id)), at=self.now)

    def _ours(self, kept: Kept) -> Alarm:
        shift = self._shift(kept)
        alarm = replace(
            kept.alarm, state=AlarmState.NORMAL, suppression=Suppression.NONE, shelved_until=0, from_before_start=True
        )
        for name in _TIMES:
            if time := getattr(alarm, name):
                alarm = replace(alarm, **{name: self.now if shift is None else min(time + shift, self.now)})
        if kept.name in self.ids:
            return replace(alarm, point=self.ids[kept.name])
        return replace(
            alarm, point=self.own, key=f"{kept.name} {alarm.key}".strip(), condition=False, cause=Cause.CONFIGURATION
        )

    def _shift(self, kept: Kept) -> int | None:
        if kept.boot == self.boot:
            return 0
        if kept.wall is None or not self.axis.trusted:
            return None
        return kept.wall - self.axis.offset - kept.alarm.raised
