"""The shipped unit under a real systemd (Must show 5): a daemon that is stopped is noticed and cured within a minute.

`make test-deb`: installs the package, lets a systemd in namespaces of its own run its service, and takes it away again.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.packaging import real_systemd
from tests.packaging.test_deb import Box, box

__all__ = ["box"]  # a fixture
pytestmark = [pytest.mark.deb, pytest.mark.timeout(300)]

UNIT = "firegrid.service"
READY_WITHIN = 60.0  # s
CURED_WITHIN = 60.0  # s


def test_a_stopped_daemon_is_noticed_and_cured_by_systemd_itself(box: Box, tmp_path: Path) -> None:
    if not real_systemd.possible():
        pytest.skip("no systemd here, or root may not make control groups")
    box.good("dpkg", "-i", str(box.built))
    box.configure()
    with real_systemd.running(UNIT, tmp_path) as manager:
        manager.wait(lambda: manager.shows("ActiveState") == "active", READY_WITHIN)
        first = manager.shows("MainPID")
        assert manager.shows("WatchdogUSec") == "30s"
        assert manager.shows("User") == "firegrid"
        before = box.records()
        stopped = time.monotonic()
        assert manager.inside("kill", "-STOP", first).returncode == 0
        manager.wait(lambda: manager.shows("NRestarts") == "1", CURED_WITHIN)
        manager.wait(lambda: manager.shows("ActiveState") == "active", CURED_WITHIN - (time.monotonic() - stopped))
        assert manager.shows("MainPID") != first
        assert "watchdog" in manager.said().casefold()
        assert box.records() > before
        manager.inside("systemctl", "stop", UNIT)
        assert manager.shows("Result") == "success"
