"""What a whole gateway costs in memory: the daemon with its page, and the process of a sink beside it; prints JSON.

`python -m benchmarks.memory [--seconds 30]`: a real broker, a real `firegrid run` with 50 points that speak once a
second, a server that takes every write; once for each kind of sink. MB (10⁶ bytes) as Linux counts them: *rss* is all
that is resident, *own* what no other process shares, *pss* own and a part of what is shared. Both processes share the
libraries of one program: `together` counts those once, as the memory limit of a systemd unit does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import rig
from tests import station_toml as toml
from tests.http_far_end import answer, far_end
from tests.patience import wait
from tests.ports import free_port

POINTS = 50
_READ = {"rss": ("Rss",), "pss": ("Pss",), "own": ("Private_Clean", "Private_Dirty")}


def measure(folder: Path, seconds: float, sink: str) -> dict[str, Any]:
    """Return the memory of both processes after `seconds` of work, and CPU seconds of the daemon until armed.

    `sink`: `influx` or `mqtt_uplink`.
    """
    own, _ = rig.cores()
    with rig.elsewhere(), rig.broker(folder) as broker, far_end(answer(204)) as server:
        keys: dict[str, dict[str, object]] = {
            "influx": {"url": f"http://127.0.0.1:{server.port}", "bucket": "bench"},
            "mqtt_uplink": {"host": "127.0.0.1", "port": broker.port},
        }
        text = rig.head(folder, broker.port) + toml.table("page", listen=f"127.0.0.1:{free_port()}")
        text += toml.table("sink", id="far", kind=sink, **keys[sink])
        text += rig.load(POINTS, {"a": rig.NEVER_REACHED}, rates=False)
        with rig.daemon(rig.station(folder, text), own) as (daemon, _):
            started = rig.cpu_seconds(daemon.pid)
            rig.wait_subscribed(broker, POINTS)
            feed = rig.publisher(broker.port, topics=POINTS, seconds=seconds + 1.0, rate=POINTS)
            wait(lambda: _sinks(daemon.pid) and (server.requests or sink != "influx"), what="nothing reached the sink")
            time.sleep(seconds)
            (child,) = _sinks(daemon.pid)
            found = {"daemon": memory(daemon.pid), "sink": memory(child)}
            rig.published(feed)
    together = found["daemon"]["rss"] + found["sink"]["own"]
    return {"start_cpu_seconds": round(started, 2), **found, "together": round(together, 1)}


def memory(pid: int) -> dict[str, float]:
    """Return MB of a process by way of counting."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    kib = {name: int(rest.split()[0]) for name, _, rest in (row.partition(":") for row in rows)}
    return {way: round(sum(kib[name] for name in names) * 1024 / 1e6, 1) for way, names in _READ.items()}


def _sinks(daemon: int) -> list[int]:
    """Return the processes of its sinks."""
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text(encoding="ascii").split()
    return [int(pid) for pid in children if b"gateway.uplink" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    for sink in ("influx", "mqtt_uplink"):
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps({sink: measure(Path(folder), options.seconds, sink)}, indent=2))


if __name__ == "__main__":
    main()
