"""The warm process of the kill harness: imports everything once, forks a daemon per line of standard input.

A fork can be told to SIGKILL itself at the n-th passing of a named fail point, to call itself another code version, and
to carry a planted bug, which the harness must catch. Snapshots are taken often, so that lives begin with one.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.app import serve
from gateway.clock import SECOND
from gateway.pipeline import ledger, recovery
from gateway.pipeline.ledger import Ledger

SNAPSHOT_EVERY = SECOND // 3


def killer(point: str, hit: int) -> Callable[[str], None]:
    """Return a fault hook that kills this process at the `hit`-th passing of `point`."""
    passed: Counter[str] = Counter()

    def pass_by(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] >= hit:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


def plant(bug: str) -> None:
    """Put a bug in: `ack_early` acknowledges before the commit."""
    if bug == "ack_early":
        honest = Ledger.add

        def add(self: Ledger, now: int, inputs: Any, delta: Any, effects: Any) -> None:  # noqa: ANN401 - as Ledger.add
            honest(self, now, inputs, delta, effects)
            for item in inputs:
                if hasattr(item, "ack"):
                    item.ack()

        Ledger.add = add  # type: ignore[method-assign] # that is what planting means


def live(order: dict[str, Any]) -> None:
    """Be a daemon until killed."""
    plant(order["planted"])
    ledger.SNAPSHOT_EVERY = SNAPSHOT_EVERY
    for module in (ledger, recovery):
        setattr(module, "CODE_VERSION", order["version"] or recovery.CODE_VERSION)  # noqa: B010 - each has its own name
    asyncio.run(serve(Path(order["config"]), faults=killer(order["point"], order["hit"])))


def main() -> None:
    """Fork on demand; warm means imported."""
    for plug_in in ("drivers.dialects.json", "drivers.modbus_rtu", "drivers.mqtt", "gateway.channels.sms_modem"):
        importlib.import_module(plug_in)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer({"ended": ended(order["wait"], order["within"])})
            continue
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
