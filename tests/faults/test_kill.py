"""SIGKILL under load, again and again: nothing accepted is lost, every alarm is told, timers go on (Must show 3).

Some of the lives have a bad disk: 50 ms a commit, stalls of 3 s, commits that fail. The harness is itself tested: it
must catch a daemon that acknowledges before it commits, and one that tells too late.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from drivers.simulated.modem_network import SentMessage
from gateway.clock import SECOND
from tests.daemon import Warm
from tests.faults import verdict
from tests.faults.harness import LOAD, POINTS, Harness
from tests.faults.verdict import SECONDS_PER_SMS, Past, untimely
from tests.field import Field
from tests.real_mosquitto import running_shipped

KILLS = int(os.environ.get("FIREGRID_KILLS", "200"))
SEED = int(os.environ.get("FIREGRID_SEED", "20261122"))


def kill_again_and_again(folder: Path, kills: int, seed: int) -> None:
    """Kill so often, a fifth of it cold starts; edit the configuration and change the code version on the way."""
    begun = time.monotonic()
    with (
        running_shipped(folder) as broker,
        Field(folder, slaves=8, seconds_per_sms=SECONDS_PER_SMS) as field,
        Warm(folder / "warm.log") as warm,
        Harness(folder, broker.port, warm, kills=kills, seed=seed) as harness,
    ):
        harness.prepare()
        harness.publisher.start()
        for number in range(kills):
            if number in (kills // 3, 2 * kills // 3):
                harness.write(edited=number == kills // 3)
            kill(harness, field, number)
        harness.settle(field, within=60.0)
        state(harness, field, f"seed {seed}, {time.monotonic() - begun:.0f} s")
        check(harness, field)
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


def check(harness: Harness, field: Field) -> None:
    """Judge a run that has settled."""
    publisher, sent = harness.publisher, field.sent
    assert verdict.missing(harness.store, publisher.acked) == {}, "acknowledged by the broker and not in the store"
    assert verdict.twice(harness.store, publisher.acked) == {}
    assert harness.untold(field) == []
    assert verdict.told_again(sent, harness.devices(), harness.lives) == []
    assert verdict.wrong_timers(harness.store, harness.timers, sent, harness.lives) == {}
    assert harness.in_every_state(), harness.states()
    assert {name for name, alarm in harness.states().items() if alarm.acknowledged_by} >= harness.acknowledged
    assert verdict.complaints(harness.store) == []
    assert publisher.carries(LOAD)
    assert harness.rate_on() >= LOAD


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


# Seconds on the boot-time clock: when it fell due, when it was told, lives (born, armed, died); what is wrong.
TOLD: dict[str, tuple[float, float | None, list[tuple[float, float | None, float]], str]] = {
    "at once": (10.0, 10.1, [(0.0, 1.0, 20.0)], ""),
    "early": (10.0, 8.9, [(0.0, 1.0, 20.0)], "early"),
    "late": (10.0, 11.2, [(0.0, 1.0, 20.0)], "told 1.20 s after"),
    "late, killed before it had to": (10.0, 11.2, [(0.0, 1.0, 10.9), (11.0, 11.1, 20.0)], ""),
    "due in a sleep": (10.0, 13.9, [(0.0, 1.0, 9.0), (12.0, 13.0, 15.0)], ""),
    "due in a sleep, late": (10.0, 14.2, [(0.0, 1.0, 9.0), (12.0, 13.0, 15.0)], "told 1.20 s after"),
    "due in a sleep, told by the next but one": (10.0, 16.1, [(12.0, 13.0, 14.5), (15.0, 16.0, 17.0)], "told 3.10 s"),
    "a life that was never armed": (10.0, 16.1, [(12.0, None, 14.5), (15.0, 16.0, 17.0)], ""),
    "never": (10.0, None, [(0.0, 1.0, 20.0)], "told never"),
    "never, nobody could": (10.0, None, [(0.0, 1.0, 10.5)], ""),
}


@pytest.mark.parametrize("name", TOLD)
def test_the_moment_of_telling_is_judged(name: str) -> None:
    due, told, lived, fault = TOLD[name]
    lives = [Past(ns(born), None if armed is None else ns(armed), ns(died), 0) for born, armed, died in lived]
    said = untimely(ns(due), None if told is None else ns(told), lives, [])
    assert (fault in said) if fault else said == ""


def test_what_the_modem_sends_before_and_a_bad_disk_are_allowed_for() -> None:
    lives = [Past(0, ns(1), ns(30), 0)]
    queue = [SentMessage(ns(10.1 + 0.1 * n), "1", "", 2) for n in range(10)]
    assert untimely(ns(10), ns(12.5), lives, queue) == ""
    assert untimely(ns(10), ns(12.7), lives, queue) != ""
    assert untimely(ns(10), ns(12.9), [lives[0]._replace(bad_disk=True)], []) == ""
    assert untimely(ns(10), ns(13.1), [lives[0]._replace(bad_disk=True)], []) != ""


def ns(seconds: float) -> int:
    """Return it as the clock counts."""
    return round(seconds * SECOND)
