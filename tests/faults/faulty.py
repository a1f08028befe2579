"""A daemon whose disk fails as a plan file says, while it runs: `python -m tests.faults.faulty station.toml plan.json`.

The plan maps fail points to "full", "read-only", "hang", "<n> s" or "unsteady <seed>"; a hang ends when the plan no
longer says so. An unsteady disk takes 50 ms each time, stalls for 3 s now and then and fails now and then; "unsteady
<seed> stall" has it stall at the next passing. Each stall, failure and hang is a line of the file `unsteady` beside the
plan, written as it begins.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import time
from pathlib import Path

from gateway.app import serve
from gateway.cli.main import guarded
from gateway.errors import StoreError, StoreFull, StoreReadOnly
from gateway.house import House

SLOW, STALL = 0.05, 3.0  # s
STALLS, FAILS = 0.01, 0.08  # of all passings
ERRORS: dict[str, type[StoreError]] = {"full": StoreFull, "read-only": StoreReadOnly}


class Plan:
    """The hook: reads the plan at every passing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._random: random.Random | None = None

    def _what(self, point: str) -> str:
        plan: dict[str, str] = json.loads(self._path.read_text(encoding="utf-8"))
        return plan.get(point, "")

    def __call__(self, point: str) -> None:
        """Pass a fail point."""
        what = self._what(point)
        if what in ERRORS:
            raise ERRORS[what](f"{point}: the disk is {what}")
        if what.endswith(" s"):
            time.sleep(float(what.removesuffix(" s")))
        if what.startswith("unsteady "):
            self._unsteady(point, *what.split()[1:])
        if what == "hang":
            self._tell("hang")
        while what == "hang":
            time.sleep(0.02)
            what = self._what(point)

    def _unsteady(self, point: str, seed: str, *now: str) -> None:
        if self._random is None:
            self._random = random.Random(seed)  # noqa: S311 - when a disk stalls
        time.sleep(SLOW)
        chance = self._random.random()
        if chance < STALLS or now:
            self._tell("stall")
            time.sleep(STALL)
        elif chance < STALLS + FAILS:
            self._tell("failure")
            raise StoreError(f"{point}: the disk fails this once")

    def _tell(self, what: str) -> None:
        with self._path.with_name("unsteady").open("a", encoding="ascii") as file:
            file.write(f"{what}\n")


def write(path: Path, plan: dict[str, str]) -> None:
    """Write a plan so that it is read whole."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(plan), encoding="utf-8")
    fresh.replace(path)


def ready(house: House) -> None:
    """Say so, as `firegrid run` does."""
    sys.stdout.write(f"{house.station.id} is armed\n")
    sys.stdout.flush()


def main(config: Path, plan: Path) -> int:
    """Be a daemon until stopped."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(config, ready=ready, faults=Plan(plan)))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(Path(sys.argv[1]), Path(sys.argv[2]))))
