"""Which points a rule means: globs over `device.point`, or the selectors `unit:`, `cell:` and `kind:`.

The gateway's own device is meant only where its name is written out: `unit:Cel` of a heat rule must not call the
squad because a processor is warm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from gateway.model.inventory import BOX
from gateway.model.point import Point
from gateway.model.words import nearest
from rules.check import Finding
from rules.language import canonical, suggest

_WILD = frozenset("*?[")
SELECTORS: dict[str, Callable[[Point, str], bool]] = {
    "unit": lambda point, wanted: canonical(point.spec.unit) == canonical(wanted),
    "cell": lambda point, wanted: point.cell == wanted or point.cell.startswith(f"{wanted}/"),
    "kind": lambda point, wanted: point.spec.kind.value == wanted,
}


class Matcher:
    """Points by name and property."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self._by_name = {point.name: point for point in points}

    def match(self, patterns: Sequence[str]) -> tuple[list[Point], list[Finding]]:
        """Return the points that any pattern means, in their order, and a finding per pattern that means none."""
        found: dict[int, Point] = {}
        findings: list[Finding] = []
        if not patterns:
            findings.append(("points", "the rule names no points", 'write points = "device.point"'))
        for pattern in patterns:
            matched = self._one(pattern)
            found.update((point.id, point) for point in matched)
            if not matched:
                findings.append(("points", f'"{pattern}" matches no point', self._advice(pattern)))
        return [point for point in self._points if point.id in found], findings

    def _one(self, pattern: str) -> list[Point]:
        word, colon, wanted = pattern.partition(":")
        if colon and word in SELECTORS:
            return [point for point in self._points if point.device != BOX and SELECTORS[word](point, wanted)]
        if not _WILD & set(pattern):
            exact = self._by_name.get(pattern)
            return [] if exact is None else [exact]
        own = pattern.startswith(f"{BOX}.")
        named = [point for name, point in self._by_name.items() if fnmatchcase(name, pattern)]
        return [point for point in named if own or point.device != BOX]

    def _advice(self, pattern: str) -> str:
        word, colon, wanted = pattern.partition(":")
        if colon and word in SELECTORS:
            known = {"unit": lambda p: p.spec.unit, "cell": lambda p: p.cell, "kind": lambda p: p.spec.kind.value}
            return suggest(wanted, sorted({str(known[word](point)) for point in self._points}))
        if colon and nearest(word, SELECTORS):
            return f"selectors are {', '.join(f'{name}:' for name in SELECTORS)}"
        return suggest(pattern, list(self._by_name))
