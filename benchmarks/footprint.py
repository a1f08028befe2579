"""Memory, processor and start time of `firegrid run` at 50 points, one reading a second each.

The worst form of that load: every reading a message of its own; a threshold with on-delay watches every point, silence
every device. Once as telemetry, which waits a moment for company, once as life safety (rules of class gas), where
nothing waits: fifty steps a second.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks import rig

POINTS = 50


def measure(folder: Path, seconds: float, *, life_safety: bool = False) -> dict[str, Any]:
    """Return RSS, the share of a core over `seconds`, and the seconds from start to armed."""
    own, _ = rig.cores()
    alarm_class = "gas" if life_safety else "supervisory"
    with rig.elsewhere(), rig.broker(folder) as broker:
        text = rig.head(folder, broker.port) + rig.load(
            POINTS, {"a": rig.NEVER_REACHED}, rates=False, alarm_class=alarm_class
        )
        config = rig.station(folder, text)
        with rig.daemon(config, own) as (daemon, armed):
            rig.wait_subscribed(broker, POINTS)
            feed = rig.publisher(broker.port, topics=POINTS, seconds=seconds + 2.0, rate=POINTS)
            time.sleep(1.0)
            before, begun = rig.cpu_seconds(daemon.pid), time.monotonic()
            time.sleep(seconds)
            share = (rig.cpu_seconds(daemon.pid) - before) / (time.monotonic() - begun)
            memory = daemon.rss()
            counts = rig.published(feed)
            stored = rig.wait_rows(folder / "station.db", counts["acknowledged"], 20.0)
    return {
        "points": POINTS,
        "class": alarm_class,
        "rss_mb": round(memory / 1e6, 1),
        "cpu_percent": round(100 * share, 2),
        "armed_seconds": round(armed, 2),
        "complete": stored == counts["acknowledged"],
    }
