"""SIGKILL under load, again and again: nothing accepted is lost, every alarm is told, timers go on (Must show 3).

The harness is itself tested: it must catch a daemon that acknowledges before it commits.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.daemon import Warm
from tests.faults.harness import POINTS, RATE, Harness
from tests.field import Field
from tests.real_mosquitto import running_shipped

KILLS = int(os.environ.get("FIREGRID_KILLS", "200"))
SEED = int(os.environ.get("FIREGRID_SEED", "20261122"))


def kill_again_and_again(folder: Path, kills: int, seed: int) -> None:
    """Kill so often, a fifth of it cold starts; edit the configuration and change the code version on the way."""
    with (
        running_shipped(folder) as broker,
        Field(folder, slaves=8, seconds_per_sms=0.05) as field,
        Warm(folder / "warm.log") as warm,
        Harness(folder, broker.port, warm, kills=kills, seed=seed) as harness,
    ):
        harness.prepare()
        harness.publisher.start()
        for number in range(kills):
            if number in (kills // 3, 2 * kills // 3):
                harness.write(edited=number == kills // 3)
            if number % 5 == 0:
                harness.cold()
            else:
                harness.forked(version="of tomorrow" if number % 7 == 0 else "")
        harness.settle(field, within=60.0)
        publisher = harness.publisher
        print(  # noqa: T201 - the harness states its seed and what it did
            f"\nseed {seed}, kills {dict(harness.histogram)}, armed at most {max(harness.armed):.2f} s,"
            f" {publisher.count} messages in {publisher.seconds:.0f} s, {len(field.texts())} SMS"
        )
        assert harness.missing() == {}, "acknowledged by the broker and not in the store"
        assert harness.twice() == {}
        assert harness.untold(field) == []
        assert harness.told_again(field) == []
        assert harness.late_timers() == {}
        assert harness.in_every_state(), harness.states()
        assert {name for name, alarm in harness.states().items() if alarm.acknowledged_by} >= harness.acknowledged
        assert harness.complaints() == []
        assert sum(harness.histogram.values()) == kills
        if kills >= 20 * len(POINTS):
            assert set(harness.histogram) >= {*POINTS, "cold start"}
        assert publisher.count >= 0.5 * RATE * publisher.seconds  # a machine this busy proves nothing


@pytest.mark.timeout(600)
def test_nothing_is_lost_by_sigkill(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, KILLS, SEED)


@pytest.mark.timeout(120)
def test_the_harness_catches_a_daemon_that_acknowledges_before_it_commits(tmp_path: Path) -> None:
    with (
        running_shipped(tmp_path) as broker,
        Warm(tmp_path / "warm.log") as warm,
        Harness(tmp_path, broker.port, warm, kills=20, seed=SEED, slaves=0) as harness,
    ):
        harness.prepare()
        harness.publisher.start()
        for _ in range(4):
            life = warm.fork(harness.config, planted="ack_early")
            time.sleep(0.8)
            life.kill()
        harness.settle(None, within=3.0)
        assert harness.missing() != {}
