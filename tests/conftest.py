"""What every test shares: hypothesis without a wall-clock deadline, and each file's share of the time at the end."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import HealthCheck, settings

# A shared machine may be slow at any moment: what an example may take is judged by examples, not by a clock.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

_SHARES: dict[str, float] = defaultdict(float)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long proofs to their own commands."""
    if config.getoption("-m"):
        return
    long = [item for item in items if any(item.get_closest_marker(name) for name in ("soak", "fuzz", "deb"))]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what set-up, call and teardown took."""
    _SHARES[report.nodeid.partition("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each file's share, the longest first."""
    terminalreporter.section("seconds by file")
    for file, seconds in sorted(_SHARES.items(), key=lambda share: -share[1]):
        terminalreporter.write_line(f"{seconds:7.1f}  {file}")
    terminalreporter.write_line(f"{sum(_SHARES.values()):7.1f}  in all")
