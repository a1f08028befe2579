"""A saturated bus on a real pseudo-terminal, as `firegrid bench modbus` measures it: short here, and for function."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import modbus_bus


def test_the_bench_counts_good_polls_of_a_full_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = modbus_bus.measure(tmp_path, 1.5)
    with capsys.disabled():
        sys.stdout.write(f"\nsaturated bus: {figures['percent']} % of what the wire allows, as measured here and now\n")
    assert figures["unanswered"] == 0
    assert 0 < figures["percent"] <= 100
    assert figures["percent"] == max(figures["windows_percent"])


def test_what_the_wire_allows_is_the_standards_arithmetic() -> None:
    assert modbus_bus.transaction() == pytest.approx((8 + 9 + 3.5) * 10 / 9600 + 0.01)
