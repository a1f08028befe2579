"""The kill harness is itself tested: it catches a daemon that acknowledges too early and one that tells too late."""

from __future__ import annotations

from pathlib import Path

from tests.daemon import Warm
from tests.faults import verdict
from tests.faults.harness import Harness
from tests.faults.verdict import SECONDS_PER_SMS
from tests.field import Field
from tests.patience import PATIENCE
from tests.real_mosquitto import running_shipped

SEED = 20261122
ROUNDS = 5  # a machine that stands still in a round may spoil it


def test_the_harness_catches_a_daemon_that_acknowledges_before_it_commits(tmp_path: Path) -> None:
    with (
        running_shipped(tmp_path) as broker,
        Warm(tmp_path / "warm.log") as warm,
        Harness(tmp_path, broker.port, warm, kills=20, seed=SEED, slaves=0) as harness,
    ):
        harness.prepare()
        harness.publisher.start()
        for _ in range(4):
            harness.live(0.3, planted="ack_early")
        harness.settle(None, within=2.0)
        assert verdict.missing(harness.store, harness.publisher.acked) != {}


def test_the_harness_catches_a_daemon_that_tells_too_late_after_its_start(tmp_path: Path) -> None:
    with (
        running_shipped(tmp_path) as broker,
        Field(tmp_path, seconds_per_sms=SECONDS_PER_SMS) as field,
        Warm(tmp_path / "warm.log") as warm,
        Harness(tmp_path, broker.port, warm, kills=20, seed=SEED, slaves=0) as harness,
    ):
        harness.prepare()
        harness.publisher.start()

        def wrong() -> dict[str, str]:
            return verdict.wrong_timers(harness.store, harness.timers, field.sent, harness.lives)

        for _ in range(ROUNDS):
            harness.asleep(1.6)
            harness.live(2.2, planted="tell_late")
            if wrong():
                break
        harness.settle(field, within=PATIENCE)
        assert any("after it could be" in fault for fault in wrong().values()), wrong()
