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
from tests import station_toml as toml
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

NEVER_REACHED = 100_000.0
LOAD_POINTS = {"a": 80.0, "b": NEVER_REACHED, "c": NEVER_REACHED}
CALM_POINTS = dict.fromkeys(LOAD_POINTS, NEVER_REACHED)
ON_DELAY = "200ms"


def device(name: str, topic: str, points: Iterable[str], cell: str = "a") -> str:
    """Return the lines of a device with these points."""
    known = {point: {"unit": "1", "decode": {"path": f"$.{point}"}} for point in points}
    return toml.sensor(name, topic=topic, cell=cell, points=known)


def head(folder: Path, port: int, *, name: str = "bench", interval: str = "1s", modem: Path | None = None) -> str:
    """Return the lines every bench station has; people are told on the console or by a modem."""
    told = None if modem is None else str(modem)
    return toml.station(folder, station_id=name, interval=interval, repeat="7200s", modem=told) + toml.broker(port)


def load(
    topics: int,
    points: Mapping[str, float] = LOAD_POINTS,
    *,
    rates: bool = True,
    alarm_class: str = "supervisory",
) -> str:
    """Return the lines of the devices that `benchmarks.publisher` plays, with rules. `points`: name → threshold."""
    lines = [device(f"load{n}", f"load/{n}", points) for n in range(topics)]
    for name, high in points.items():
        lines.append(_level_rule(name, high, alarm_class))
        lines += [_rate_rule(name)] if rates else []
    return "".join(lines)


def _level_rule(name: str, high: float, alarm_class: str) -> str:
    """Return a threshold with on-delay for a point of every `load` device."""
    return toml.rule(f"level-{name}", f"load*.{name}", f"value > {high}", class_=alarm_class, on_delay=ON_DELAY)


def _rate_rule(name: str) -> str:
    """Return a rate of a point of every `load` device."""
    keys = {"kind": "rate", "window": "60s"}
    return toml.rule(f"rate-{name}", f"load*.{name}", "per_min > 1000000", class_="supervisory", **keys)


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
