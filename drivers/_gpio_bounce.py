"""Edges of lines that bounce, thinned: a few a second are told each and at once, of the rest that there was a pulse.

Beside `drivers.gpio`; pure, `now` is an argument (house rule 2). A worn contact or an open input gives a thousand edges
a second for as long as nobody mends it: told each, they would fill the store and wear out whoever is called. What is
kept of them is what a rule can go by: whether the line was anything else than it is now, and what it is now.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.model.time import MILLISECOND, SECOND
from gateway.model.verdict import NEVER

EACH = 16  # edges of a line in a second that are told each; nobody presses a button faster
TOGETHER = 50 * MILLISECOND  # ns; what more there is in so long is told as one pulse at most

Edge = tuple[int | str, bool]  # line, now active


@dataclass(slots=True)
class _Line:
    """A line that has changed. `held`: levels it had since it was told last."""

    since: int  # ns, when its second began
    edges: int = 0
    told: bool = False
    held: set[bool] = field(default_factory=set)
    newest: bool = False


class Bounce:
    """Thins the edges of some lines."""

    def __init__(self) -> None:
        self._lines: dict[int | str, _Line] = {}
        self._due = NEVER
        self.left_out = 0  # edges that were not told, since somebody looked
        self.bouncing: set[int | str] = set()  # lines of which any were not, since somebody looked

    @property
    def due(self) -> int:
        """When `settled` has something to tell (ns)."""
        return self._due

    def take(self, edges: list[Edge], now: int) -> list[Edge]:
        """Return what is to be told at once of edges that came, the oldest first."""
        return [edge for edge in edges if self._passes(*edge, now)]

    def settled(self, now: int) -> list[Edge]:
        """Return what is to be told of edges held back, once it is due: pulses, where there were any, and levels."""
        if now < self._due:
            return []
        self._due = NEVER
        found: list[Edge] = []
        for name, line in self._lines.items():
            if not line.held:
                continue
            if line.newest is line.told and len(line.held) > 1:
                found.append((name, not line.newest))
            found.append((name, line.newest))
            line.told = line.newest
            line.held.clear()
            self.bouncing.add(name)
        self.left_out -= len(found)
        return found

    def _passes(self, name: int | str, active: bool, now: int) -> bool:  # noqa: FBT001 - a level
        line = self._lines.setdefault(name, _Line(now))
        if now - line.since >= SECOND:
            line.since, line.edges = now, 0
        line.edges += 1
        if line.edges <= EACH and not line.held:
            line.told = active
            return True
        line.held.add(active)
        line.newest = active
        self.left_out += 1
        self._due = min(self._due, now + TOGETHER)
        return False
