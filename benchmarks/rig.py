"""What the benches share: a station in a temporary folder, a broker, the daemon and processes pinned to cores.

The daemon gets one core for itself, broker, publisher and modem the other, so that a figure is that of one core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.store import chunks
from gateway.store.connection import connect_readonly
from gateway.store.journal import decode_readings
from tests.daemon import ROOT, Daemon
from tests.real_mosquitto import Mosquitto, running

# As shipped where it matters for speed (deploy/mosquitto.conf), without users and persistence.
BROKER = """
allow_anonymous true
max_queued_messages 1000000
max_queued_bytes 0
max_inflight_messages 65535
queue_qos0_messages true
set_tcp_nodelay true
"""

HEAD = """
[station]
id = "bench"
name = "bench"
clock = "trusted"

[store]
path = "{folder}/station.db"
commit_interval = "{interval}"

[limits]
settle = "1s"

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}

[[cell]]
id = "a"
name = "一号楼"

[[contact]]
id = "li"
name = "李伟"
phone = "13800138000"
cell = "a"
role = "squad"

[[channel]]
id = "out"
kind = "{channel}"
{channel_options}

[[policy]]
id = "p"
repeat = "600s"
steps = [{{ after = "0s", notify = ["role:squad@cell"], by = ["out"] }}]
"""

DEVICE = """
[[device]]
id = "{id}"
source = "broker"
profile = "json-generic"
topic = "{topic}"
cell = "a"
silence = "1d"
points = {{ {points} }}
"""

POINT = '{name} = {{ unit = "1", decode = {{ path = "$.{name}" }} }}'

# A threshold with on-delay and a rate for every point of a `load` device.
LOAD_RULES = """
[[rule]]
id = "level-{name}"
points = "load*.{name}"
when = "value > {high}"
on_delay = "{on_delay}"
class = "supervisory"
policy = "p"

[[rule]]
id = "rate-{name}"
points = "load*.{name}"
kind = "rate"
window = "60s"
when = "per_min > 1000000"
class = "supervisory"
policy = "p"
"""
LOAD_POINTS = {"a": 80.0, "b": 100_000.0, "c": 100_000.0}
ON_DELAY = "200ms"


def device(name: str, topic: str, points: tuple[str, ...]) -> str:
    """Return the lines of a device with these points."""
    return DEVICE.format(id=name, topic=topic, points=", ".join(POINT.format(name=point) for point in points))


def head(folder: Path, port: int, *, interval: str = "1s", modem: Path | None = None) -> str:
    """Return the lines every bench station has; people are told on the console or by a modem."""
    channel, options = ("console", "") if modem is None else ("sms_modem", f'port = "{modem}"')
    return HEAD.format(folder=folder, port=port, interval=interval, channel=channel, channel_options=options)


def load(topics: int, *, rules: bool = True) -> str:
    """Return the lines of the devices that `benchmarks.publisher` plays."""
    text = "".join(device(f"load{n}", f"load/{n}", tuple(LOAD_POINTS)) for n in range(topics))
    if rules:
        for name, high in LOAD_POINTS.items():
            text += LOAD_RULES.format(name=name, high=high, on_delay=ON_DELAY)
    return text


def station(folder: Path, text: str) -> Path:
    """Write station.toml."""
    path = folder / "station.toml"
    path.write_text(text, encoding="utf-8")
    return path


def cores() -> tuple[set[int], set[int]]:
    """Return the daemon's core and those of everything else; the same where there is only one."""
    mine = sorted(os.sched_getaffinity(0))
    return ({mine[0]}, set(mine[1:])) if len(mine) > 1 else (set(mine), set(mine))


@contextmanager
def elsewhere() -> Iterator[None]:
    """Keep this process, and what it starts inside, off the daemon's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores()[1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def broker(folder: Path) -> Iterator[Mosquitto]:
    """Run a real Mosquitto."""
    with running(folder, BROKER) as found:
        yield found


@contextmanager
def daemon(config: Path, core: set[int]) -> Iterator[tuple[Daemon, float]]:
    """Run `firegrid run` on `core`; yields it and the seconds until it was armed. It is stopped in order."""
    found = Daemon(config)
    try:
        os.sched_setaffinity(found.pid, core)
        yield found, found.wait_armed()
    finally:
        if not found.wait_end(0):
            found.stop()


def publisher(port: int, *, topics: int, seconds: float, rate: float = 0.0) -> subprocess.Popen[str]:
    """Start the publisher process."""
    command = [sys.executable, "-m", "benchmarks.publisher", "--port", str(port), "--topics", str(topics)]
    command += ["--seconds", str(seconds), "--rate", str(rate)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def published(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a publisher and return its counts."""
    out, _ = process.communicate(timeout=900)
    counts: dict[str, Any] = json.loads(out)
    return counts


def rows_stored(path: Path) -> int:
    """Return how many readings the store has, in chunks and in the journal's tail."""
    connection = connect_readonly(path)
    try:
        connection.execute("BEGIN")
        (kept,) = connection.execute("SELECT coalesce(sum(n), 0) FROM chunk").fetchone()
        tail = connection.execute("SELECT body FROM journal WHERE seq > ?", (chunks.progress(connection),))
        return int(kept) + sum(len(decode_readings(body)) for (body,) in tail)
    finally:
        connection.close()


def wait_rows(path: Path, rows: int, within: float) -> int:
    """Wait until the store has `rows` readings or gives up; returns what it has."""
    end = time.monotonic() + within
    while (found := rows_stored(path)) < rows and time.monotonic() < end:
        time.sleep(0.2)
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p99, p99.9 and max in milliseconds."""
    ordered = sorted(seconds)
    places = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {
        name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in places.items()
    }
