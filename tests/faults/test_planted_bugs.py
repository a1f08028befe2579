"""The kill harness is itself tested: it catches a daemon that acknowledges too early and one that tells too late."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.daemon import Warm
from tests.faults import verdict
from tests.faults.harness import ARMED_WITHIN, Harness, wait
from tests.faults.verdict import SECONDS_PER_SMS
from tests.field import Field
from tests.real_mosquitto import running_shipped

SEED = 20261122


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
            assert wait(lambda: life.armed_at() is not None, ARMED_WITHIN)  # noqa: B023 - waited for in this round
            time.sleep(0.5)
            life.kill()
        harness.settle(None, within=2.0)
        assert verdict.missing(harness.store, harness.publisher.acked) != {}


@pytest.mark.timeout(120)
def test_the_harness_catches_a_daemon_that_tells_too_late_after_its_start(tmp_path: Path) -> None:
    with (
        running_shipped(tmp_path) as broker,
        Field(tmp_path, seconds_per_sms=SECONDS_PER_SMS) as field,
        Warm(tmp_path / "warm.log") as warm,
        Harness(tmp_path, broker.port, warm, kills=20, seed=SEED, slaves=0) as harness,
    ):
        harness.prepare()
        harness.publisher.start()
        harness.asleep(1.6)
        harness.live(2.2, planted="tell_late")
        harness.settle(field, within=10.0)
        wrong = verdict.wrong_timers(harness.store, harness.timers, field.sent, harness.lives)
        assert set(wrong) == {"t0", "t1"}, wrong  # not the timer of the last life, which is honest
        assert all("after it could be" in fault for fault in wrong.values())
