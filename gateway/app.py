"""The composition root's door: which configuration counts, and a station that lives until it is told to stop.

`read` and `problems_of` are what `check` prints. A first start refuses a bad configuration; a station that has run
before starts on its last good one and says so by a fault alarm (house section 7).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from drivers import _profiles as profiles
from gateway import annex
from gateway.clock import Clock, SystemClock
from gateway.config.kept import undump, write_copy
from gateway.config.load import Loaded, load
from gateway.config.problems import Problem
from gateway.errors import ConfigError
from gateway.fitting import misfits
from gateway.house import House, enrolment
from gateway.model.inventory import numbered, points_of
from gateway.model.station import Station, StoreSpec
from gateway.pipeline.opening import Faults, Opened, enrol, open_store
from rules.compile import compile_rules

log = logging.getLogger(__name__)
DEFAULT_STORE = "/var/lib/firegrid/station.db"


class BadConfigurationError(ConfigError):
    """A configuration that does not start: carries every problem."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(problem.text() for problem in problems))
        self.problems = problems


def read(path: Path) -> Loaded:
    """Read a configuration, with the shipped profiles and those in `profiles/` beside it."""
    own = path.absolute().parent / "profiles"
    return load(path, profiles=partial(profiles.profile, own=own), tailor=profiles.tailor)


def problems_of(loaded: Loaded) -> list[Problem]:
    """Return every problem and note, those that only the rules, drivers and channels find among them."""
    found = list(loaded.problems)
    if loaded.station is not None:
        ids = numbered(loaded.station)
        _, wrong = compile_rules(loaded.station, points_of(loaded.station, ids))
        # What a rule lacks because a device or source is broken is no problem of its own (house section 11).
        lame = any(not one.note and one.key.startswith(("source[", "device[")) for one in loaded.problems)
        found += [
            loaded.report(f"rule[{problem.rule}].{problem.key}", problem.reason, problem.fix)
            for problem in wrong
            if not problem.note and not (lame and problem.key == "points")
        ]
        found += [loaded.report(key, reason, "correct or remove it") for key, reason in misfits(loaded.station, ids)]
    return found


def choose(loaded: Loaded, wrong: Sequence[Problem], opened: Opened, copy: Path) -> tuple[Station, str, list[str]]:
    """Return the configuration that counts for a station that has run before, its digest, and remarks.

    Raises BadConfigurationError when neither a last good one nor a usable part is left.
    """
    if loaded.station is not None and not wrong:
        return loaded.station, loaded.digest, []
    remarks = [problem.text(loaded.station.language if loaded.station else "zh") for problem in wrong]
    kept = opened.before
    for digest, blob in ([kept] if kept else []) + [("copy", raw) for raw in _raw(copy)]:
        try:
            return undump(blob), digest, ["配置有误，使用上次的配置 running on the last good configuration", *remarks]
        except ConfigError as error:
            remarks.append(str(error))
    if loaded.station is None:
        raise BadConfigurationError(list(wrong))
    return loaded.station, loaded.digest, ["配置有误，只用正确的部分 running on the good part", *remarks]


def _has_run(store: Path, copy: Path) -> bool:
    return store.exists() or copy.exists()


def _raw(copy: Path) -> list[bytes]:
    try:
        return [copy.read_bytes()]
    except OSError:
        return []


async def open_house(path: Path, clock: Clock, faults: Faults = lambda _: None) -> House:
    """Read, open and put together. Raises ConfigError, StoreLocked."""
    loaded = await asyncio.to_thread(read, path)
    spec = loaded.station.store if loaded.station else StoreSpec(path=DEFAULT_STORE)
    copy = Path(f"{spec.path}.configuration")
    wrong = [problem for problem in problems_of(loaded) if not problem.note]
    if wrong and not _has_run(Path(spec.path), copy):
        raise BadConfigurationError(wrong)
    deadline = loaded.station.limits.open_deadline if loaded.station else 5.0
    opened = await open_store(spec, clock=clock, deadline=deadline, faults=faults)
    station, digest, remarks = choose(loaded, wrong, opened, copy)
    wanted = enrolment(station, digest)
    if not remarks:
        wanted = replace(wanted, copy=partial(write_copy, copy, station))
    opened = await enrol(opened, wanted, spec, clock=clock, deadline=deadline, faults=faults)
    return House(station, digest, opened, clock, remarks=remarks, faults=faults)


async def serve(
    path: Path,
    *,
    clock: Clock | None = None,
    ready: Callable[[House], None] = lambda _: None,
    faults: Faults = lambda _: None,
) -> None:
    """Run a station until SIGTERM or SIGINT."""
    house = await open_house(path, clock or SystemClock(), faults)
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    try:
        await house.run(lambda: ready(house), annex.parts(house))
    except asyncio.CancelledError:
        log.info("stopped")
