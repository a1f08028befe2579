"""SIGKILL under load, again and again: nothing accepted is lost, every alarm is told, timers go on (Must show 3).

Some of the lives have a bad disk: 50 ms a commit, stalls of 3 s, commits that fail. The harness is itself tested, see
`test_planted_bugs` and `test_verdict`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.daemon import Warm
from tests.faults import verdict
from tests.faults.harness import POINTS, Harness
from tests.faults.verdict import SECONDS_PER_SMS
from tests.field import Field
from tests.patience import PATIENCE
from tests.real_mosquitto import running_shipped

KILLS = int(os.environ.get("FIREGRID_KILLS", "200"))
BUSY = PATIENCE  # s that other work of the machine may take from a life; `make soak` allows none
SEED = int(os.environ.get("FIREGRID_SEED", "20261122"))


def kill_again_and_again(folder: Path, kills: int, seed: int, *, busy: float = 0.0) -> None:
    """Kill so often, a fifth of it cold starts; edit the configuration and change the code version on the way."""
    begun = time.monotonic()
    with (
        running_shipped(folder) as broker,
        Field(folder, slaves=8, seconds_per_sms=SECONDS_PER_SMS) as field,
        Warm(folder / "warm.log") as warm,
        Harness(folder, broker.port, warm, kills=kills, seed=seed, field=field) as harness,
    ):
        harness.prepare()
        harness.publisher.start()
        for number in range(kills):
            if number in (kills // 3, 2 * kills // 3):
                harness.write(edited=number == kills // 3)
            kill(harness, field, number)
        harness.settle(field, within=PATIENCE)
        state(harness, field, f"seed {seed}, {time.monotonic() - begun:.0f} s")
        check(harness, field, busy)
        assert sum(harness.histogram.values()) == kills
        if kills >= 20 * len(POINTS):
            assert set(harness.histogram) >= {*POINTS, "cold start"}


def kill(harness: Harness, field: Field, number: int) -> None:
    """Live and kill the life of this number."""
    if number % 5 == 0:
        harness.cold(field)
    elif number % 50 == 24:  # the next is a cold start
        harness.asleep()
    elif number % 50 == 12:
        harness.stalled()
    else:
        harness.forked(version="of tomorrow" if number % 7 == 0 else "", bad_disk=number % 4 == 2)


def state(harness: Harness, field: Field, what: str) -> None:
    """Print the seed and what was done."""
    publisher, bad = harness.publisher, sum(life.bad_disk for life in harness.lives)
    unrecorded = sum(verdict.UNRECORDED in text for text in field.texts())
    print(  # noqa: T201 - the harness states its seed and what it did
        f"\n{what}, kills {dict(harness.histogram)}, {bad} on a bad disk, armed at most {max(harness.armed):.2f} s,"
        f" {publisher.count} messages in {publisher.seconds:.0f} s: {publisher.count / publisher.seconds:.0f} a second,"
        f" {harness.rate_on():.0f} while a life was on ({harness.waited:.1f} s waited for),"
        f" {len(field.texts())} SMS ({unrecorded} unrecorded), {len(harness.timers)} timers"
    )


def check(harness: Harness, field: Field, busy: float) -> None:
    """Judge a run that has settled."""
    publisher, sent = harness.publisher, field.sent
    assert verdict.missing(harness.store, publisher.acked) == {}, "acknowledged by the broker and not in the store"
    assert verdict.twice(harness.store, publisher.acked) == {}
    assert harness.untold(field) == []
    assert verdict.unnoticed(harness.store, harness.alarms) == set()
    assert verdict.told_again(sent, harness.devices(), harness.lives) == []
    assert verdict.wrong_timers(harness.store, harness.timers, sent, harness.lives, busy) == {}
    assert harness.in_every_state(), harness.states()
    assert {name for name, alarm in harness.states().items() if alarm.acknowledged_by} >= harness.acknowledged
    assert verdict.complaints(harness.store) == []
    assert publisher.carries(harness.load)
    assert harness.rate_on() >= harness.load


@pytest.mark.timeout(1_200)
def test_nothing_is_lost_by_sigkill(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, KILLS, SEED, busy=BUSY)
