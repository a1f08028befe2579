"""Messages a second: publisher → real Mosquitto → `firegrid run`, three readings each, committed before PUBACK.

Rules are on: a threshold with on-delay and a rate for every point. The publisher's count must equal the rows read back,
and a plain loop over the rows of a few points must find the very transitions that the daemon stored.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks import rig
from benchmarks.publisher import HOT_TOPICS
from gateway.model.alarm import AlarmEvent
from gateway.model.batch import Floats, Ints
from gateway.store.read import Reader

READINGS = 3  # of a message
ON_DELAY = 200_000_000  # ns, `rig.ON_DELAY`


def measure(folder: Path, seconds: float, *, topics: int = 500, rate: float = 0.0) -> dict[str, Any]:
    """Return the figures; `complete` and `transitions_agree` say whether they count."""
    own, others = rig.cores()
    with rig.elsewhere(), rig.broker(folder) as broker:
        config = rig.station(folder, rig.head(folder, broker.port) + rig.load(topics))
        with rig.daemon(config, own) as (daemon, armed):
            rig.wait_subscribed(broker, topics)
            before, begun = rig.cpu_seconds(daemon.pid), time.monotonic()
            counts = rig.published(rig.publisher(broker.port, topics=topics, seconds=seconds, rate=rate))
            wanted = counts["acknowledged"] * READINGS
            stored = rig.wait_rows(folder / "station.db", wanted, 60.0)
            took, cpu = time.monotonic() - begun, rig.cpu_seconds(daemon.pid) - before
            memory = daemon.rss()
    n, raised = counts["acknowledged"], transitions(folder / "station.db")
    return {
        "messages": n,
        "messages_per_second": round(n / max(took, 1e-9)),
        "publisher_per_second": round(n / max(counts["seconds"], 1e-9)),
        "cpu_us_per_message": round(1e6 * cpu / max(n, 1), 1),
        "rows": stored,
        "complete": stored == wanted,
        "transitions": sum(len(found) for found, _ in raised),
        "transitions_agree": all(found == wanted for found, wanted in raised),
        "armed_seconds": round(armed, 2),
        "rss_mb": round(memory / 1e6, 1),
        "cores": f"daemon {sorted(own)}, broker and publisher {sorted(others)}",
    }


def transitions(store: Path) -> list[tuple[list[int], list[int]]]:
    """Return for each swinging point when it was raised, as stored and as a plain loop over its stored rows says."""
    with Reader(store) as reader:
        points = reader.points()
        raised: dict[int, list[int]] = {points[f"load{n}.a"]: [] for n in range(HOT_TOPICS)}
        for entry in reader.transitions():
            move = entry.body
            if move.point in raised and move.rule.startswith("level-") and move.event is AlarmEvent.RAISE:
                wall = reader.wall(entry.boot, move.at)
                raised[move.point].append(wall or 0)
        series = {point: reader.readings(point) for point in raised}
        return [(raised[point], plain_loop(rows.arrival, rows.value)) for point, rows in series.items()]


def plain_loop(time_ns: Ints, value: Floats) -> list[int]:
    """Return when a threshold of 80 with an on-delay rises: the rule, written down as one would on paper.

    An on-delay that ran out fires before the next reading, stamped with its due time; one that still runs after the
    last reading counts as fired.
    """
    rises: list[int] = []
    due, active = 0, False
    for at, level in zip(time_ns.tolist(), value.tolist(), strict=True):
        if due and due <= at:
            rises.append(due)
            due, active = 0, True
        if level > rig.LOAD_POINTS["a"]:
            if not active and not due:
                due = at + ON_DELAY
        else:
            due, active = 0, False
    if due:
        rises.append(due)
    return rises
