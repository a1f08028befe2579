"""The warm process of the kill harness: imports and reads all once, forks a daemon per line of standard input.

A fork can be told to SIGKILL itself at the n-th passing of a named fail point, to call itself another code version, to
live on a bad disk, and to carry a planted bug, which the harness must catch. Snapshots are taken often, so that lives
begin with one.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gateway import app
from gateway.clock import SECOND, SystemClock
from gateway.errors import StoreFull
from gateway.house import House
from gateway.model.notification import Notification
from gateway.pipeline import ledger, recovery
from gateway.pipeline.dispatch import Dispatcher
from gateway.pipeline.ledger import Ledger
from gateway.store import database

READ, PROBLEMS_OF = app.read, app.problems_of
SNAPSHOT_EVERY = SECOND // 3
COMMIT_TAKES = 0.05  # s, on a bad disk
STALL = 3.0  # s
FAILS = 0.03  # of the passings of a fail point of the store
TOO_LATE = 3.0  # s, of the bug `tell_late`


class BadDisk:
    """A fault hook: every commit takes 50 ms, the `stall`-th (if one is named) 3 s, and some fail, seeded."""

    def __init__(self, seed: int, stall: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - moments of failure
        self._stall = stall
        self._commits = 0

    def __call__(self, point: str) -> None:
        """Pass a fail point; StoreFull now and then."""
        if point == "before_commit":
            self._commits += 1
            time.sleep(STALL if self._commits == self._stall else COMMIT_TAKES)
        if point in database.FAIL_POINTS and self._random.random() < FAILS:
            raise StoreFull(f"{point}: a bad disk")


def killer(point: str, hit: int) -> Callable[[str], None]:
    """Return a fault hook that kills this process at the `hit`-th passing of `point`."""
    passed: Counter[str] = Counter()

    def pass_by(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] >= hit:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


def plant(bug: str) -> None:
    """Put a bug in: `ack_early` acknowledges before the commit, `tell_late` hands notices over late."""
    if bug == "ack_early":
        honest = Ledger.add

        def add(self: Ledger, now: int, inputs: Any, delta: Any, effects: Any) -> None:  # noqa: ANN401 - as Ledger.add
            honest(self, now, inputs, delta, effects)
            for item in inputs:
                if hasattr(item, "ack"):
                    item.ack()

        Ledger.add = add  # type: ignore[method-assign] # that is what planting means
    if bug == "tell_late":
        in_time = Dispatcher.send

        def send(self: Dispatcher, notice: Notification) -> None:
            asyncio.get_running_loop().call_later(TOO_LATE, in_time, self, notice)

        Dispatcher.send = send  # type: ignore[method-assign] # likewise


def live(order: dict[str, Any]) -> None:
    """Be a daemon until killed; writes down when it is armed."""
    plant(order["planted"])
    ledger.SNAPSHOT_EVERY = SNAPSHOT_EVERY
    for module in (ledger, recovery):
        setattr(module, "CODE_VERSION", order["version"] or recovery.CODE_VERSION)  # noqa: B010 - each has its own name
    kill = killer(order["point"], order["hit"])
    disk = BadDisk(order["disk"], order["stall"]) if order["disk"] else None

    def pass_by(point: str) -> None:
        kill(point)
        if disk is not None:
            disk(point)

    def armed(_: House) -> None:
        Path(order["armed"]).write_text(str(SystemClock().mono()), encoding="ascii")

    asyncio.run(app.serve(Path(order["config"]), ready=armed, faults=pass_by))


def warm_up(config: Path) -> None:
    """Do once what every life begins with: imports, and reading this configuration (cold starts do it each time)."""
    for plug_in in ("drivers.dialects.json", "drivers.modbus_rtu", "drivers.mqtt", "gateway.channels.sms_modem"):
        importlib.import_module(plug_in)
    loaded = READ(config)
    problems = PROBLEMS_OF(loaded)
    for name, answer_of in (("read", loaded), ("problems_of", problems)):
        setattr(app, name, partial(_same, answer_of))
    gc.collect()
    gc.freeze()


def _same(answer_of: object, _: object) -> object:
    return answer_of


def main() -> None:
    """Fork on demand; warm means imported, and read."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    text = b""
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer({"ended": ended(order["wait"], order["within"])})
            continue
        config = Path(order["config"])
        if (now := config.read_bytes()) != text:
            warm_up(config)
            text = now
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            os.dup2(2, 1)
            live(order)
            os._exit(0)
        answer({"pid": pid})


def answer(what: dict[str, Any]) -> None:
    """Answer one order by one line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def ended(pid: int, within: float) -> bool:
    """Wait for a child that long."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return True
        time.sleep(0.005)
    return False


if __name__ == "__main__":
    main()
