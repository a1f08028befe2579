"""What the benches share: a station in a temporary folder, a broker, the daemon and processes pinned to cores.

The daemon gets one core for itself, broker, publisher and modem the other, so that a figure is that of one core.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from gateway.model.inventory import BOX
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
log_dest stderr
log_type subscribe
log_type error
log_type notice
"""
_SUBSCRIPTION = re.compile(r"-(?:alarm|telemetry) 1 ")

HEAD = """
[station]
id = "{name}"
name = "{name}"
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
repeat = "7200s"
steps = [{{ after = "0s", notify = ["role:squad@cell"], by = ["out"] }}]
"""

DEVICE = """
[[device]]
id = "{id}"
source = "broker"
profile = "json-generic"
topic = "{topic}"
cell = "{cell}"
silence = "1d"
points = {{ {points} }}
"""

POINT = '{name} = {{ unit = "1", decode = {{ path = "$.{name}" }} }}'

# A threshold with on-delay for every point of a `load` device, and a rate.
LEVEL_RULE = """
[[rule]]
id = "level-{name}"
points = "load*.{name}"
when = "value > {high}"
on_delay = "{on_delay}"
class = "{alarm_class}"
policy = "p"
"""
RATE_RULE = """
[[rule]]
id = "rate-{name}"
points = "load*.{name}"
kind = "rate"
window = "60s"
when = "per_min > 1000000"
class = "supervisory"
policy = "p"
"""
NEVER_REACHED = 100_000.0
LOAD_POINTS = {"a": 80.0, "b": NEVER_REACHED, "c": NEVER_REACHED}
CALM_POINTS = dict.fromkeys(LOAD_POINTS, NEVER_REACHED)
ON_DELAY = "200ms"


def device(name: str, topic: str, points: Iterable[str], cell: str = "a") -> str:
    """Return the lines of a device with these points."""
    told = ", ".join(POINT.format(name=point) for point in points)
    return DEVICE.format(id=name, topic=topic, cell=cell, points=told)


def head(folder: Path, port: int, *, name: str = "bench", interval: str = "1s", modem: Path | None = None) -> str:
    """Return the lines every bench station has; people are told on the console or by a modem."""
    channel, options = ("console", "") if modem is None else ("sms_modem", f'port = "{modem}"')
    return HEAD.format(folder=folder, port=port, name=name, interval=interval, channel=channel, channel_options=options)


def load(
    topics: int,
    points: Mapping[str, float] = LOAD_POINTS,
    *,
    rates: bool = True,
    alarm_class: str = "supervisory",
) -> str:
    """Return the lines of the devices that `benchmarks.publisher` plays, with rules. `points`: name → threshold."""
    rules = LEVEL_RULE + (RATE_RULE if rates else "")
    return "".join(device(f"load{n}", f"load/{n}", points) for n in range(topics)) + "".join(
        rules.format(name=name, high=high, on_delay=ON_DELAY, alarm_class=alarm_class) for name, high in points.items()
    )


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


def wait_subscribed(broker: Mosquitto, topics: int, within: float = 30.0) -> None:
    """Wait until daemons have subscribed to so many topics in all: what is published before is nobody's."""
    end = time.monotonic() + within
    log = broker.folder / "mosquitto.log"
    while len(_SUBSCRIPTION.findall(log.read_text(encoding="utf-8"))) < topics:
        if time.monotonic() > end:
            raise TimeoutError(f"not {topics} subscriptions within {within:g} s")
        time.sleep(0.05)


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
    """Return how many readings the store has, in chunks and in the journal's tail, but for those of the box itself."""
    connection = connect_readonly(path)
    try:
        connection.execute("BEGIN")
        own = [number for (number,) in connection.execute("SELECT id FROM point WHERE name LIKE ?", (f"{BOX}.%",))]
        kept = [(point, n) for point, n in connection.execute("SELECT point, n FROM chunk") if point not in own]
        tail = connection.execute("SELECT body FROM journal WHERE seq > ?", (chunks.progress(connection),))
        rows = [decode_readings(body).point for (body,) in tail]
        return sum(int(n) for _, n in kept) + sum(int((~np.isin(points, own)).sum()) for points in rows)
    finally:
        connection.close()


def wait_rows(path: Path, rows: int, within: float) -> int:
    """Wait until the store has `rows` readings or gives up; returns what it has."""
    end = time.monotonic() + within
    while (found := rows_stored(path)) < rows and time.monotonic() < end:
        time.sleep(0.2)
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process's living threads."""
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a short-lived one that has just ended
            spent += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return spent / 1e9


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p99, p99.9 and max in milliseconds."""
    ordered = sorted(seconds)
    places = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {
        name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
        for name, share in places.items()
    }
