"""A store after years on a wall: how fast it opens, how fast a chart of a year comes, how large it is.

`benchmarks/years.py` builds a year of 100 million readings the way the daemon does, by commits, compaction and rollups,
only without waiting for the disk; then it asks in a fresh process, with whatever the disk cache holds. Nothing here is
a schema of its own: what is measured is what a station has.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gateway.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from gateway.model.alarm import AlarmEvent, AlarmState, Suppression, Transition
from gateway.model.batch import Batch
from gateway.model.moment import Epoch, Input
from gateway.model.quality import GOOD
from gateway.model.station import StoreSpec
from gateway.model.verdict import Cause
from gateway.store.database import Store
from gateway.store.read import Reader
from gateway.store.shapes import Group
from gateway.web.history import Asked, chart

WALL = 1_760_000_000 * SECOND  # begin of the year
STEP = 10 * MINUTE  # readings of one commit; chunks come out as those of a daemon that commits every 5 s
BOOT_EVERY = 7 * DAY  # the box is started anew
SNAPSHOT_EVERY = 6  # commits; the journal behind it goes
CASES = 10  # alarms a day, each raised and over
SPREAD = 4  # points they are of
SPEED = SECOND  # ns between readings of a fast point
REPEATS = 5


class Load(NamedTuple):
    """How many points speak, and every how many ns."""

    fast: int
    slow: int
    every: int


STATION = Load(fast=3, slow=1, every=6 * SECOND)  # 3.17 readings/s: 100 million a year


def build(path: Path, span: int, load: Load = STATION) -> int:
    """Fill a new store with `span` ns of a station's life; return the readings committed. Blocking."""
    spec = StoreSpec(path=str(path), retain_raw=2 * 366 * DAY / SECOND)
    random, total = np.random.default_rng(7), 0
    with closing(Store.open(path, spec=spec)) as store:
        store.connection.execute("PRAGMA synchronous = OFF")  # a year of commits would be an hour of waiting
        store.point_ids([f"device{number}.value" for number in range(load.fast + load.slow)])
        for number, begin in enumerate(range(0, span, STEP), 1):
            boot, mono = f"boot-{begin // BOOT_EVERY}", begin % BOOT_EVERY
            batch = readings(random, load, begin, mono)
            inputs: list[Input] = [batch]
            if mono == 0:
                offset = WALL + begin
                inputs.append(Epoch(boot=boot, mono_from=0, wall_offset=offset, source="ntp"))
            now = mono + STEP
            group = Group(boot, now, WALL + begin + STEP, [(now, inputs)], records=cases(begin, mono))
            seq = store.commit(group)
            if number % SNAPSHOT_EVERY == 0:
                store.save_snapshot(seq, "1", "years", {"rules": b"-"})
            total += len(batch)
            while store.compact(1_000):
                pass
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return total


def readings(random: np.random.Generator, load: Load, begin: int, mono: int) -> Batch:
    """Return what arrives in one `STEP` from `mono` on: tenths of a degree, arrivals with the jitter of a real bus.

    Every second point says its own time, in ms.
    """
    points, offsets = [], []
    for number in range(1, load.fast + load.slow + 1):
        every = SPEED if number <= load.fast else load.every
        due = np.arange((-begin) % every, STEP, every, dtype=np.int64)
        points.append(np.full(len(due), number, dtype=np.int32))
        offsets.append(due + random.integers(0, 5 * MILLISECOND, len(due)))
    point, offset = np.concatenate(points), np.concatenate(offsets)
    order = np.argsort(offset, kind="stable")
    point, offset = point[order], offset[order]
    day = np.sin((begin + offset) / DAY * 2 * np.pi)
    value = np.round(20.0 + point + 5.0 * day + random.normal(0.0, 0.1, len(point)), 1)
    source = (WALL + begin + offset) // MILLISECOND * MILLISECOND
    time_given = np.where(point % 2 == 0, source, 0)
    quality = np.full(len(point), GOOD, dtype=np.uint8)
    return Batch(source="bus", point=point, time=time_given, arrival=mono + offset, value=value, quality=quality)


def cases(begin: int, mono: int) -> list[tuple[str, Transition]]:
    """Return an alarm raised and over again, `CASES` times a day."""
    if begin // STEP % (DAY // STEP // CASES):
        return []
    point = begin // (DAY // CASES) % SPREAD + 1
    moves = (
        (AlarmEvent.RAISE, AlarmState.NORMAL, AlarmState.UNACK, mono + MINUTE),
        (AlarmEvent.CLEAR, AlarmState.UNACK, AlarmState.NORMAL, mono + 2 * MINUTE),
    )
    return [
        ("transition", Transition(alarm=begin // STEP + 1, rule="hot", point=point, key="", event=event, before=before,
                                  after=after, suppression=Suppression.NONE, cause=Cause.CONDITION, at=at))
        for event, before, after, at in moves
    ]  # fmt: skip


def ask(path: str, now: int) -> dict[str, Any]:
    """Return how long opening, charts and counting take, in ms (the worst of `REPEATS`), and how many rows came."""
    opened, charts, rows = [], {}, {}
    for _ in range(REPEATS):
        begun = time.monotonic()
        Store.open(path).close()
        opened.append(time.monotonic() - begun)
    for span in ("hour", "day", "week", "month", "year"):
        took = []
        for number in range(1, REPEATS + 1):
            begun = time.monotonic()
            found = chart(Asked(path, number, span, now, 300.0, ()))
            took.append(time.monotonic() - begun)
            if number == 1:
                rows[span] = len(found["t"])  # type: ignore[arg-type]  # a column
        charts[span] = round(max(took) * 1e3, 1)
    return {"open_ms": round(max(opened) * 1e3, 1), "chart_ms": charts, "chart_rows": rows}


def size(path: Path) -> dict[str, Any]:
    """Return bytes of the file and of each kind of content."""
    with Reader(path) as reader:
        connection = reader._connection  # noqa: SLF001 - figures no screen asks for
        (held,) = connection.execute("SELECT coalesce(sum(n), 0) FROM chunk").fetchone()
        (chunk,) = connection.execute("SELECT coalesce(sum(length(body)), 0) FROM chunk").fetchone()
        tables = ("chunk", "minute", "hour", "packed")
        rows = {t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}  # noqa: S608 - constants
    return {"bytes": path.stat().st_size, "in_chunks": held, "chunk_bodies": chunk, "rows": rows}


def measure(folder: Path, span: int, load: Load = STATION) -> dict[str, Any]:
    """Build a store of `span` ns and return the figures; asking happens in a process of its own."""
    path = folder / "years.db"
    begun = time.monotonic()
    committed = build(path, span, load)
    built = time.monotonic() - begun
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        asked = pool.apply(ask, (str(path), WALL + span))
    sizes = size(path)
    return {
        "readings": committed,
        "built_s": round(built, 1),
        "bytes_a_reading": round(sizes["bytes"] / committed, 2),
        **sizes,
        **asked,
    }


def main() -> None:
    """Measure and print JSON. The store (some 800 MB for a year) is made in a temporary folder of `--folder`."""
    own = argparse.ArgumentParser(description=__doc__)
    own.add_argument("--days", type=float, default=366.0)
    own.add_argument("--fast", type=int, default=STATION.fast)
    own.add_argument("--slow", type=int, default=STATION.slow)
    own.add_argument(
        "--every", type=float, default=STATION.every / SECOND, help="seconds between readings of a slow one"
    )
    own.add_argument("--folder", type=Path, default=None)
    options = own.parse_args()
    load = Load(options.fast, options.slow, round(options.every * SECOND))
    with tempfile.TemporaryDirectory(prefix="firegrid-years-", dir=options.folder) as folder:
        print(json.dumps(measure(Path(folder), round(options.days * 24) * HOUR, load), indent=1))


if __name__ == "__main__":
    main()
