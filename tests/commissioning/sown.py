"""A table of faults: how each is sown, and what `firegrid doctor` must say of it, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.cli import doctor
from gateway.cli.examined import Level
from tests.commissioning.faulty import Field

Patch = pytest.MonkeyPatch
Sow = Callable[[Field, Patch], Path]


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


def check(case: Case, place: Field, monkeypatch: Patch) -> None:
    """Sow a fault, and see it found with its fix."""
    with monkeypatch.context() as patch:
        rows = list(doctor.findings(case.sow(place, patch), probe=case.probe))
    found = [row for row in rows if row.area == case.area and case.en in row.en]
    assert [row.level for row in found] == [case.level], "\n".join(map(str, rows))
    assert case.zh in found[0].zh
    assert case.mend in found[0].mend_en
    assert found[0].mend_zh
