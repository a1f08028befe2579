"""What open pages cost a real daemon, short: the benchmark's own function."""

from __future__ import annotations

from pathlib import Path

from benchmarks import page
from tests.patience import STRICT

MOST_CPU = 10.0 if STRICT else 60.0  # % of a core, with fifty open pages and all that they show
FIRST_PAGE = 60_000  # bytes, compressed


def test_fifty_open_pages_cost_little(tmp_path: Path) -> None:
    found = page.measure(tmp_path, 2.0, points=50, pages=(50,), settle=1.0)
    assert found["first_page_bytes"] < FIRST_PAGE
    assert found["50_pages"]["cpu_percent"] <= MOST_CPU
    assert found["50_pages"]["bytes_per_page_second"] > 1_000, "the pages were fed"
