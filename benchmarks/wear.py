"""Bytes written a day at 50 points, 1 Hz: two daemons side by side, commit intervals of 1 s and 5 s.

`make bench-wear` runs it for an hour (`BENCH_ARGS="--minutes 5"` for less). Bytes are the kernel's `write_bytes` of
each daemon, what it sent to the block layer; the first minute, with its schema and first rows, does not count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import rig
from benchmarks.footprint import POINTS

INTERVALS = ("1s", "5s")
DAY = 86_400
GIB = 1 << 30
SETTLE = 60.0  # s


def written(pid: int) -> int:
    """Return the bytes a process caused to be written to disks."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def measure(folder: Path, seconds: float, *, settle: float = SETTLE) -> dict[str, Any]:
    """Return GiB a day by interval, from `seconds` of load after `settle`."""
    with rig.broker(folder) as broker, ExitStack() as daemons:
        pids = {}
        for interval in INTERVALS:
            own = folder / interval
            own.mkdir()
            text = rig.head(own, broker.port, name=f"wear{interval}", interval=interval)
            config = rig.station(own, text + rig.load(POINTS, {"a": rig.NEVER_REACHED}, rates=False))
            daemon, _ = daemons.enter_context(rig.daemon(config, set().union(*rig.cores())))
            pids[interval] = daemon.pid
        rig.wait_subscribed(broker, POINTS * len(INTERVALS))
        feed = rig.publisher(broker.port, topics=POINTS, seconds=settle + seconds + settle / 10, rate=POINTS)
        time.sleep(settle)
        before, begun = {interval: written(pid) for interval, pid in pids.items()}, time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begun
        after = {interval: written(pid) for interval, pid in pids.items()}
        counts = rig.published(feed)
        rows = {i: rig.wait_rows(folder / i / "station.db", counts["acknowledged"], 30.0) for i in INTERVALS}
    return {
        "minutes": round(took / 60, 1),
        "gib_a_day": {i: round((after[i] - before[i]) / took * DAY / GIB, 3) for i in INTERVALS},
        "complete": set(rows.values()) == {counts["acknowledged"]},
    }


def main() -> None:
    """Measure and print JSON. Stores are made in a temporary folder of `--folder`, which must be a real disk."""
    own = argparse.ArgumentParser(description=__doc__)
    own.add_argument("--minutes", type=float, default=60.0)
    own.add_argument("--folder", type=Path, default=None)
    options = own.parse_args()
    with tempfile.TemporaryDirectory(prefix="firegrid-wear-", dir=options.folder) as folder:
        print(json.dumps(measure(Path(folder), 60 * options.minutes), indent=1))


if __name__ == "__main__":
    main()
