"""The composition root's door: which configuration counts, and a station that lives until it is told to stop.

`read` and `problems_of` are what `check` prints. A first start refuses a bad configuration; a station that has run
before starts on its last good one and says so by a fault alarm (house section 7).
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path

from msgspec import structs

from drivers import _profiles as profiles
from gateway import annex
from gateway.care.own import furnished, named_so
from gateway.clock import Clock, SystemClock
from gateway.config.kept import undump, write_copy
from gateway.config.load import load
from gateway.config.loaded import Loaded
from gateway.config.problems import Kind, Problem, suggest
from gateway.errors import ConfigError
from gateway.fitting import misfits, unknown_names
from gateway.house import House, enrolment
from gateway.model.inventory import BOX, numbered, points_of
from gateway.model.station import Station, StoreSpec
from gateway.pipeline.opening import Faults, Opened, enrol, open_store
from rules.compile import Problem as RuleProblem
from rules.compile import compile_rules

log = logging.getLogger(__name__)
_MISSED = re.compile('"(.+)" matches no point$')
_NOBODY = ("no [[device]] is on it", "it has no device")  # of a source; why may be told already
_UNKNOWN = re.compile('unknown (point|contact) "(.+)"')
_LAST_GOOD = ("the configuration is wrong: running on the last good one", "配置有误，使用上次的配置")
_GOOD_PART = ("the configuration is wrong: running on its good part", "配置有误，只用正确的部分")
DEFAULT_STORE = "/var/lib/firegrid/station.db"


class BadConfigurationError(ConfigError):
    """A configuration that does not start: carries every problem."""

    def __init__(self, problems: list[Problem], language: str) -> None:
        super().__init__("\n".join(problem.text(language) for problem in problems))
        self.problems = problems


def read(path: Path) -> Loaded:
    """Read a configuration, with the shipped profiles and those in `profiles/` beside it."""
    own = path.absolute().parent / "profiles"
    once = cache(partial(profiles.profile, own=own))  # a hundred devices of a kind read its file once, and share it
    return load(path, profiles=once, tailor=profiles.tailor)


def problems_of(loaded: Loaded) -> list[Problem]:
    """Return every problem and note, those that only the rules, drivers and channels find among them."""
    found = list(loaded.problems)
    if loaded.judged is not None:
        judged = furnished(loaded.judged)
        ids = numbered(judged)
        _, wrong = compile_rules(judged, points_of(judged, ids))
        found += [
            loaded.report(f"rule[{problem.rule}].{problem.key}", problem.reason, problem.fix)
            for problem in wrong
            if not problem.note and not _follows(problem, loaded)
        ]
        found += [
            loaded.report(key, reason, "correct or remove it")
            for key, reason in misfits(judged, ids)
            if not (loaded.lost and reason.startswith(_NOBODY))
        ]
        points = {point.id: point for point in points_of(judged, ids)}
        named = [_named(loaded, *one) for one in unknown_names(judged, points)]
        found += [problem for problem in named if problem is not None]
        if named_so(judged):
            found.append(loaded.report(f"device[{BOX}]", "is the name of the gateway's own device", "choose another"))
    files = list(dict.fromkeys(problem.file for problem in found))
    return sorted(found, key=lambda one: (one.note, not one.warning, files.index(one.file), one.line))


def _follows(problem: RuleProblem, loaded: Loaded) -> bool:
    """Whether it is only what another problem, told already, leads to (house section 11: no cascades)."""
    missed = _MISSED.match(problem.reason)
    if missed is not None and problem.key == "points":  # because the device itself is wrong
        device = missed[1].partition(".")[0]
        return "" in loaded.lost or ":" in device or any(fnmatchcase(lost, device) for lost in loaded.lost)
    if problem.rule not in loaded.half:
        return False
    at = f"rule[{problem.rule}]"
    by_class = problem.key == "on_delay" and loaded.told(f"{at}.class")  # which delay is allowed depends on it
    return problem.key in ("options", "reason") or by_class or loaded.told(f"{at}.{problem.key}")


def _named(loaded: Loaded, key: str, reason: str, alike: str) -> Problem | None:
    """Return a name of a sink's that nothing has; None when what has it is wrong itself (house section 11)."""
    hint = suggest("", alike)
    problem = loaded.report(key, reason, hint["hint"])
    named = _UNKNOWN.fullmatch(reason)
    if named is None:
        return problem
    if named[1] == "contact":  # may be a local user's name, so it refuses nothing
        told = any(one.key.startswith(("contact", "people")) and not one.note for one in loaded.problems)
        return None if told else structs.replace(problem, kind=Kind.NO_PERSON, facts={"given": named[2], **hint})
    device = named[2].rpartition(".")[0]
    return None if "" in loaded.lost or device in loaded.lost or device.startswith("@") else problem


def choose(loaded: Loaded, wrong: Sequence[Problem], opened: Opened, copy: Path) -> tuple[Station, str, list[str]]:
    """Return the configuration that counts for a station that has run before, its digest, and remarks.

    Raises BadConfigurationError when neither a last good one nor a usable part is left.
    """
    if loaded.station is not None and not wrong:
        return loaded.station, loaded.digest, []
    zh = loaded.language == "zh"
    remarks = [problem.text(loaded.language) for problem in wrong]
    kept = opened.before
    for digest, blob in ([kept] if kept else []) + [("copy", raw) for raw in _raw(copy)]:
        try:
            return undump(blob), digest, [_LAST_GOOD[zh], *remarks]
        except ConfigError as error:
            remarks.append(str(error))
    if loaded.station is None:
        raise BadConfigurationError(list(wrong), loaded.language)
    return loaded.station, loaded.digest, [_GOOD_PART[zh], *remarks]


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
        raise BadConfigurationError(wrong, loaded.language)
    deadline = loaded.station.limits.open_deadline if loaded.station else 5.0
    opened = await open_store(spec, clock=clock, deadline=deadline, faults=faults)
    chosen, digest, remarks = choose(loaded, wrong, opened, copy)
    station = furnished(chosen)
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
) -> int:
    """Run a station until SIGTERM or SIGINT, or until it ends by itself; returns the exit code."""
    house = await open_house(path, clock or SystemClock(), faults)
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel if task else loop.stop)
    try:
        await house.run(lambda: ready(house), annex.parts(house))
    except asyncio.CancelledError:
        log.info("stopped")
    return house.outcome
