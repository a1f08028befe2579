"""What every test shares: hypothesis without a wall-clock deadline; at the end each file's share, and what was skipped.

A proof that was skipped is none: the summary names each with its reason. In CI as root nothing may be missing: a test
that finds the right to mount or the like missing while it runs fails the run (one that says before by `skipif` that it
is for others does not).
"""

from __future__ import annotations

import os
import signal
from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, settings

# Who starts the tests in the background has the interrupt ignored, and children of the tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine may be slow at any moment: what an example may take is judged by examples, not by a clock.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

_SHARES: dict[str, float] = defaultdict(float)
_GOLDEN: Counter[str] = Counter()  # published frames and payloads that mean what they are said to mean, by protocol
_SKIPPED: list[str] = []
_MISSING: list[str] = []  # those of them that may not be in CI as root


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long proofs to their own commands; note whose golden case an item is."""
    for item in items:
        for marker in item.iter_markers("golden"):
            params = getattr(item, "callspec").params if not marker.args else {}  # noqa: B009 - items of functions have it
            item.user_properties.append(("golden", marker.args[0] if marker.args else params["path"].parent.name))
    if config.getoption("-m"):
        return
    long = [item for item in items if any(item.get_closest_marker(name) for name in ("soak", "deb"))]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what set-up, call and teardown took; note what was skipped."""
    _SHARES[report.nodeid.partition("::")[0]] += report.duration
    if report.when == "call" and report.passed:
        _GOLDEN.update(str(value) for name, value in report.user_properties if name == "golden")
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _SKIPPED.append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
        _MISSING.extend([report.nodeid] if "skipif" not in report.keywords else [])


def _demanding() -> bool:
    return bool(os.environ.get("CI")) and os.geteuid() == 0


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a skip fail the run where nothing may be missing."""
    if _MISSING and _demanding() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each file's share, the longest first, and what was not proved."""
    terminalreporter.section("seconds by file")
    for file, seconds in sorted(_SHARES.items(), key=lambda share: -share[1]):
        terminalreporter.write_line(f"{seconds:7.1f}  {file}")
    terminalreporter.write_line(f"{sum(_SHARES.values()):7.1f}  in all")
    if _GOLDEN:
        terminalreporter.section("golden cases")
        terminalreporter.write_line(", ".join(f"{name} {number}" for name, number in sorted(_GOLDEN.items())))
    if _SKIPPED:
        terminalreporter.section("skipped: not proved here", yellow=True)
        for line in _SKIPPED:
            terminalreporter.write_line(line)
        if _MISSING and _demanding():
            terminalreporter.write_line(f"{len(_MISSING)} may not be missing in CI as root: the run fails")
