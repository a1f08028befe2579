"""A table of faults: how each is sown, and what `firegrid doctor` must say of it, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.cli import doctor
from gateway.cli.examined import Finding, Level
from tests.commissioning.faulty import Field

Patch = pytest.MonkeyPatch
Sow = Callable[[Field, Patch], Path]
ROUNDS = 3


class Case(NamedTuple):
    """One fault: how it is sown, and what must be said of it (part of the line, in either language)."""

    sow: Sow
    area: str
    en: str
    zh: str
    mend: str
    level: Level
    probe: bool


class Faults(dict[str, Case]):
    """Faults by name."""

    def fault(
        self, area: str, *, en: str, zh: str, mend: str, level: Level = Level.BAD, probe: bool = False
    ) -> Callable[[Sow], Sow]:
        """Enter a fault."""

        def enter(sow: Sow) -> Sow:
            self[sow.__name__] = Case(sow, area, en, zh, mend, level, probe)
            return sow

        return enter


def examined(path: Path, good: Callable[[list[Finding]], bool], *, probe: bool = False) -> list[Finding]:
    """Return what `doctor` finds; where the machine kept a device from answering in its time it looks again."""
    rows: list[Finding] = []
    for _ in range(ROUNDS):
        rows = list(doctor.findings(path, probe=probe))
        if good(rows):
            break
    return rows


def check(case: Case, place: Field, monkeypatch: Patch) -> None:
    """Sow a fault, and see it found with its fix."""
    with monkeypatch.context() as patch:
        path = case.sow(place, patch)

        def told(row: Finding) -> bool:
            return row.area == case.area and case.en in row.en

        rows = examined(path, lambda rows: [row.level for row in rows if told(row)] == [case.level], probe=case.probe)
    found = [row for row in rows if told(row)]
    assert [row.level for row in found] == [case.level], "\n".join(map(str, rows))
    assert case.zh in found[0].zh
    assert case.mend in found[0].mend_en
    assert found[0].mend_zh
