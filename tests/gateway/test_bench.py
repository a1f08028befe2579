"""`firegrid bench`, short and for function: what it counts must be true; nothing here is timed."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import mqtt5
import numpy as np
import pytest

from benchmarks import footprint, latency, memory, publisher, rig, step_rate, throughput, wear
from gateway.cli import bench
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD
from gateway.cli.main import run as firegrid
from gateway.pipeline.step import step
from rules._slotted import Slotted
from rules.kinds.threshold import Threshold
from tests.patience import some_round

SECOND = 1_000_000_000


def test_throughput_reads_back_every_acknowledged_message(tmp_path: Path) -> None:
    figures = throughput.measure(tmp_path, 1.5, topics=5, rate=2_000.0)
    assert figures["messages"] > 100
    assert figures["rows"] == 3 * figures["messages"]
    assert figures["complete"]
    assert figures["transitions_agree"]
    assert figures["transitions"] == publisher.HOT_TOPICS  # each swung once


def test_every_alarm_is_told_to_its_own_contact_in_a_flood(tmp_path: Path) -> None:
    figures = latency.measure(tmp_path, alarms=3, rate=500.0, topics=10)
    assert figures["told"]
    assert figures["alarms"] == 3
    assert 0 < figures["ms"]["p50"] <= figures["ms"]["p99.9"] <= figures["ms"]["max"]


def test_a_fire_waits_for_one_part_at_most(tmp_path: Path) -> None:
    some_round(a_fire_waits_for_one_part_at_most, tmp_path)


def a_fire_waits_for_one_part_at_most(tmp_path: Path) -> None:
    figures = latency.preemption(tmp_path, queued=4, seconds_per_sms=0.4)
    assert figures["told_before_it"] <= 1  # of four that were queued before


@pytest.mark.parametrize("life_safety", [False, True])
def test_the_footprint_is_that_of_the_daemon(tmp_path: Path, *, life_safety: bool) -> None:
    figures = footprint.measure(tmp_path, 1.0, life_safety=life_safety)
    assert figures["complete"]
    assert 20 < figures["rss_mb"] < 500
    assert figures["armed_seconds"] > 0


def test_memory_that_processes_share_is_counted_once(tmp_path: Path) -> None:
    figures = memory.measure(tmp_path, 0.0, "influx")
    daemon, sink = figures["daemon"], figures["sink"]
    assert 0 < sink["own"] < sink["pss"] <= sink["rss"]
    assert figures["together"] == pytest.approx(daemon["rss"] + sink["own"], abs=0.2)
    assert figures["together"] < 200  # where 92 were measured: no two machines agree
    assert figures["start_cpu_seconds"] > 0


def test_wear_counts_both_intervals(tmp_path: Path) -> None:
    figures = wear.measure(tmp_path, 0.5, settle=0.5)
    assert set(figures["gib_a_day"]) == set(wear.INTERVALS)
    assert figures["complete"]


def test_the_step_bench_judges_every_reading(tmp_path: Path) -> None:
    station = step_rate.watched(tmp_path, devices=20)
    assert step_rate.rate(station, 3, 0.0) > 0
    state, points = step_rate.state_of(step_rate.crowded(station, 50))
    assert len(points) == 60
    assert len(state.engine.points) > 110
    step(state, [step_rate.batch(points[:10], SECOND)], SECOND)
    threshold = state.engine.kinds["threshold"]
    assert isinstance(threshold, Threshold)
    hold = threshold.hold
    assert int((hold.newest == SECOND).sum()) == 10
    assert len(hold.places) == 110


def test_the_plain_loop_is_the_rule() -> None:
    times = np.array([0, 1, 2, 3, 4, 10], dtype=np.int64) * (SECOND // 10)
    values = np.array([20.0, 90.0, 90.0, 90.0, 20.0, 90.0])
    due = SECOND // 10 + throughput.ON_DELAY
    assert throughput.plain_loop(times, values) == [due, SECOND + throughput.ON_DELAY]
    values[2] = 20.0  # the on-delay is stopped, begun again and stopped
    assert throughput.plain_loop(times, values) == [SECOND + throughput.ON_DELAY]


@pytest.mark.parametrize("size", [1, 60, 200])
def test_the_publishers_packets_are_those_of_the_codec(size: int) -> None:
    text, payload = "load/17", b"x" * size
    topic = len(text).to_bytes(2, "big") + text.encode()
    codec = mqtt5.PublishPacket(text, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=513).write()
    assert publisher.packet(topic, 513, payload) == bytes(codec)


def test_percentiles() -> None:
    found = rig.percentiles([n / 1000 for n in range(1, 1001)])
    assert found == {"p50": 501.0, "p99": 991.0, "p99.9": 1000.0, "max": 1000.0}


def test_it_prints_json_and_fails_when_something_was_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures: dict[str, Any] = {"messages": 3, "complete": True}
    monkeypatch.setattr(throughput, "measure", lambda folder, **_: figures | {"there": folder.is_dir()})
    assert firegrid(["bench", "throughput", "--json", "--seconds", "1"]) == GOOD
    assert json.loads(capsys.readouterr().out) == {"throughput": {"messages": 3, "complete": True, "there": True}}
    figures["complete"] = False
    assert firegrid(["bench", "throughput", "--seconds", "1"]) == FAILED
    assert "messages" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["sped"], ["step", "--seconds", "0"], ["step", "--seconds", "nan"]])
def test_what_cannot_be_measured_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert firegrid(["bench", *arguments]) == BAD_CONFIGURATION
    assert capsys.readouterr().err


def test_a_loss_deep_inside_counts() -> None:
    assert bench.kept({"latency": {"flood": {"told": True, "ms": {"p50": 1.0}}}})
    assert not bench.kept({"latency": {"flood": {"told": False}, "steady": {"told": True}}})


def test_every_bench_names_a_function_that_takes_its_options() -> None:
    for _, calls in bench.BENCHES.values():
        for module, function, keys in calls.values():
            measure = getattr(importlib.import_module(f"benchmarks.{module}"), function)
            inspect.signature(measure).bind(Path(), **keys(1.0))


def test_every_reading_of_the_step_bench_is_judged_by_three_rules(tmp_path: Path) -> None:
    state, points = step_rate.state_of(step_rate.watched(tmp_path, devices=20))
    step(state, [step_rate.batch(points, SECOND)], SECOND)
    judged = 0
    for name in ("threshold", "rate"):
        kind = state.engine.kinds[name]
        assert isinstance(kind, Slotted)
        judged += int((kind.hold.newest == SECOND).sum())
    assert judged == (step_rate.RULES - 1) * len(points)
    assert state.engine.kinds["absence"].due() == SECOND + 86_400 * SECOND  # the silence of every device was judged
