"""Rule × reading evaluations a second through `gateway.pipeline.step.step`, and that unrelated rules cost nothing.

No socket, no store: the pure step with a threshold, a rate and silence for every point, fed with batches of
readings that change nothing, which is what nearly all readings are.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks import rig
from gateway.alarms.book import AlarmBook
from gateway.app import read
from gateway.escalation.chains import Escalation
from gateway.model.batch import Batch
from gateway.model.inventory import OWN, events_of, numbered, points_of
from gateway.model.station import Station
from gateway.pipeline.latest import Latest
from gateway.pipeline.step import State, step
from rules.compile import compile_rules

RULES = 3  # of every point: threshold, rate, silence of its device
SIZES = (1, 3, 100, 1_000)
SECOND = 1_000_000_000
PERIOD = 10_000_000  # ns between two batches


def watched(folder: Path, devices: int = 500) -> Station:
    """Return the station of the throughput bench: devices of three points, two rules each."""
    config = rig.station(folder, rig.head(folder, 1) + rig.load(devices, rig.CALM_POINTS))
    station = read(config).station
    if station is None:
        raise AssertionError("the bench's own station is wrong")
    return station


def crowded(station: Station, unrelated: int) -> Station:
    """Return the station with `unrelated` more rule places, thresholds of points that never speak here."""
    one = station.devices[0]
    points = tuple(msgspec.structs.replace(one.profile.points[0], name=f"q{n}") for n in range(unrelated))
    device = msgspec.structs.replace(one, id="other", profile=msgspec.structs.replace(one.profile, points=points))
    rule = next(rule for rule in station.rules if rule.id == "level-a")
    more = msgspec.structs.replace(rule, id="other", points=("other.*",))
    return msgspec.structs.replace(station, devices=(*station.devices, device), rules=(*station.rules, more))


def state_of(station: Station) -> tuple[State, list[int]]:
    """Return a fresh state and the ids of the watched points."""
    ids = numbered(station)
    engine, _ = compile_rules(station, points_of(station, ids))
    book = AlarmBook()
    escalation = Escalation(station, alarm=book.by_id, wall=lambda _: "", kinds={})
    own = ids[events_of(OWN)]
    state = State(
        engine=engine, book=book, escalation=escalation, latest=Latest(1 + max(engine.points)), gateway_events=own
    )
    return state, [number for name, number in ids.items() if name.startswith("load")]


def batch(points: list[int], arrival: int) -> Batch:
    """Return one calm reading of every point."""
    n = len(points)
    return Batch(
        source="bench",
        point=np.array(points, dtype=np.int32),
        time=np.zeros(n, dtype=np.int64),
        arrival=np.full(n, arrival, dtype=np.int64),
        value=np.full(n, 20.0 + arrival % 7),
        quality=np.zeros(n, dtype=np.uint8),
    )


def rate(station: Station, size: int, seconds: float) -> float:
    """Return readings a second of processor time through the step, in batches of `size`.

    The best tenth of the rounds counts: the machine is shared.
    """
    state, points = state_of(station)
    if set(points[:size]) - state.engine.points:
        raise AssertionError("not every point is watched")
    made = [batch([points[(turn * size + n) % len(points)] for n in range(size)], 1) for turn in range(50)]
    arrival = SECOND
    took: list[float] = []
    end = time.process_time() + seconds
    while (begun := time.process_time()) < end or len(took) < len(made):
        for item in made:
            arrival += PERIOD
            item.arrival.fill(arrival)
            step(state, [item], arrival)
        took.append((time.process_time() - begun) / len(made))
        if seconds <= 0:
            break
    took.sort()
    return size / took[len(took) // 10]


def measure(
    folder: Path, seconds: float, *, unrelated: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
) -> dict[str, Any]:
    """Return evaluations/s by batch size, and µs a reading (batches of 1 000) by number of unrelated rules."""
    station = watched(folder)
    sizes = {size: rate(station, size, seconds / 8) for size in SIZES}
    flat = {n: 1e6 / rate(crowded(station, n), 1_000, seconds / 8) for n in unrelated}
    return {
        "evaluations_per_second": {str(size): round(RULES * found) for size, found in sizes.items()},
        "us_per_reading_by_unrelated_rules": {str(n): round(cost, 3) for n, cost in flat.items()},
    }
