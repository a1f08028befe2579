"""A real daemon under a manager with a watchdog (Must show 5): what hangs is killed and cured, a dead disk is not.

The watchdog is shortened from the shipped 30 s, so what is measured is stated as a multiple of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt import publish

from gateway.transport.unix import ask
from tests.care.manager import Manager
from tests.faults.failing_station import MARK, SICK, TOLD_WITHIN, Site, site
from tests.patience import limit, wait

WATCHDOG = 3.0  # s; shipped: 30
PATIENT = 4.0  # s: as in the shipped proportion, longer than a probe's pause, a commit interval and a commit given up
LATEST = 2.0  # times the watchdog, within which hanging is noticed and cured: 60 s as shipped


@contextmanager
def managed(place: Site, watchdog: float, *, abstract: bool = False) -> Iterator[Manager]:
    """Let a manager run the station's daemon, with a plug-in that spins while the file `spin` is there."""
    command = [sys.executable, "-m", "tests.care.hanging"]
    command += [str(place.config), str(place.folder / "plan.json"), str(place.folder / "spin")]
    with Manager(command, place.folder / "daemon.log", watchdog=watchdog, abstract=abstract) as manager:
        manager.wait(lambda it: len(it.ready) == 1)
        yield manager


def connected(place: Site) -> bool:
    """Whether the broker and the modem are up."""
    try:
        return all(link["up"] for link in ask(place.socket, {"do": "status"})["links"])
    except OSError:
        return False


def test_a_stopped_process_and_a_plug_in_that_spins_are_noticed_and_cured(tmp_path: Path) -> None:
    with site(tmp_path) as place, managed(place, WATCHDOG) as manager:
        wait(lambda: connected(place))
        first = manager.process.pid
        os.kill(first, signal.SIGSTOP)
        took = manager.wait(lambda it: len(it.ready) == 2)
        assert manager.process.pid != first
        assert took <= limit(LATEST * WATCHDOG), f"{took:.1f} s"
        wait(lambda: connected(place))

        spin = tmp_path / "spin"
        spin.touch()
        publish.single("t/load", json.dumps({"v": 1}), qos=0, hostname="127.0.0.1", port=place.port)
        noticed = manager.wait(lambda it: len(it.killed) == 2)
        spin.unlink()
        took = noticed + manager.wait(lambda it: len(it.ready) == 3)
        assert took <= limit(LATEST * WATCHDOG), f"{took:.1f} s"
        log = (tmp_path / "daemon.log").read_text(encoding="utf-8")
        assert "hanging.py" in log, "the log says where it hung"
        wait(lambda: connected(place))
        assert place.alarm("g0")[0] <= TOLD_WITHIN
        manager.process.terminate()
        manager.wait(lambda it: "STOPPING=1" in it.said)


def test_a_hung_commit_and_a_store_that_does_not_open_are_not_restarted(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write(limits=SICK)
        place.plan({"before_open": "hang"})
        with managed(place, PATIENT, abstract=True) as manager:
            wait(lambda: connected(place))
            assert place.volatile()
            assert MARK in place.alarm("g0")[1]
            place.plan({})
            wait(lambda: not place.volatile())
            place.plan({"before_commit": "hang"})
            took, text = place.alarm("g1")
            assert MARK in text
            assert took <= TOLD_WITHIN
            assert place.volatile()
            pings = manager.said.count("WATCHDOG=1")
            manager.wait(lambda it: it.said.count("WATCHDOG=1") >= pings + 4)  # longer than the watchdog's time
            place.plan({})
            wait(lambda: not place.volatile())
            assert manager.killed == []
            assert len(manager.ready) == 1
