"""A plain loop that does what the vectorised rules must do: one reading at a time, no arrays, no cleverness.

Written from house sections 3 and 6, not from the code it checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.model.quality import Level, level_of
from gateway.model.verdict import Cause

Flip = tuple[int, int, bool, int, int, Cause]  # point, order, up, at, since, cause


@dataclass
class Slot:
    """One threshold rule at one point: raise above `high`, clear below `low`. Times and delays in ns."""

    point: int
    order: int
    high: float
    low: float
    on_delay: int
    off_delay: int
    life_safety: bool
    newest: int | None = None
    active: bool = False
    pending: int | None = None  # since when
    clearing: int | None = None
    lost: bool = False
    overdue: bool = False
    flips: list[Flip] = field(default_factory=list)

    def due(self) -> int | None:
        """Return when the running delay ends."""
        if self.pending is not None and not self.overdue:
            return self.pending + self.on_delay
        if self.clearing is not None:
            return self.clearing + self.off_delay
        return None

    def fire(self, until: int) -> None:
        """Let the running delay end if it is due."""
        due = self.due()
        if due is None or due > until:
            return
        if self.clearing is not None:
            self._flip(up=False, at=due, since=self.clearing, cause=Cause.RETURNED)
        elif self.pending is not None and not self.lost:
            self._flip(up=True, at=due, since=self.pending, cause=Cause.CONDITION)
        elif self.pending is not None and self.life_safety:
            self._flip(up=True, at=due, since=self.pending, cause=Cause.LOST_WHILE_PENDING)
        else:
            self.overdue = True

    def read(self, time: int, value: float, quality: int, at: int) -> None:
        """Judge one reading."""
        self.fire(time)
        level = level_of(quality)
        true = level is not Level.BAD and value > self.high
        false = level is Level.GOOD and value < self.low
        unknown = level is Level.BAD or (level is Level.UNCERTAIN and not true)
        if self.newest is not None and time < self.newest:
            self._late(time, at, true=true)
            return
        self.newest = time
        if self.active:
            self._while_active(time, true=true, false=false, unknown=unknown)
        elif self.pending is not None:
            self._while_pending(time, false=false, unknown=unknown)
        elif true and self.on_delay == 0:
            self._flip(up=True, at=time, since=time, cause=Cause.CONDITION)
        elif true:
            self.pending = time

    def _late(self, time: int, at: int, *, true: bool) -> None:
        if not true or self.active or self.pending is not None:
            return
        if self.on_delay == 0:
            self._flip(up=True, at=at, since=time, cause=Cause.LATE_READING)
        else:
            self.pending = at

    def _while_active(self, time: int, *, true: bool, false: bool, unknown: bool) -> None:
        if false and self.clearing is None:
            self.clearing = time
            if self.off_delay == 0:
                self._flip(up=False, at=time, since=time, cause=Cause.RETURNED)
        elif true or unknown:
            self.clearing = None

    def _while_pending(self, time: int, *, false: bool, unknown: bool) -> None:
        if false:
            self.pending, self.lost, self.overdue = None, False, False
        elif unknown:
            self.lost = True
        elif self.overdue and self.pending is not None:
            self._flip(up=True, at=time, since=self.pending, cause=Cause.CONDITION)
        else:
            self.lost = False

    def _flip(self, *, up: bool, at: int, since: int, cause: Cause) -> None:
        self.active = up
        self.pending, self.clearing, self.lost, self.overdue = None, None, False, False
        self.flips.append((self.point, self.order, up, at, since, cause))


def slope(rows: list[tuple[float, float]], window: float, parts: int = 8) -> float | None:
    """Return the slope of on-time readings (s, value), the newest last; None below half of the window's parts.

    The line through the means of the parts of fixed places that have data.
    """
    width = window / parts
    newest = int(rows[-1][0] // width)
    cells: dict[int, list[tuple[float, float]]] = {}
    for time, value in rows:
        if newest - parts < time // width <= newest:
            cells.setdefault(int(time // width), []).append((time, value))
    if 2 * len(cells) < parts:
        return None
    means = [(sum(t for t, _ in c) / len(c), sum(v for _, v in c) / len(c)) for c in cells.values()]
    x0, y0 = (sum(column) / len(means) for column in zip(*means, strict=True))
    above: float = sum((x - x0) * (y - y0) for x, y in means)
    below: float = sum((x - x0) ** 2 for x, _ in means)
    return above / below
