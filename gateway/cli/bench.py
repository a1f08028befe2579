"""`firegrid bench`: measure this machine. Figures and limits: docs/benchmarks.md.

The benches live in `benchmarks/` of the source tree, beside the tests whose broker and modem they use; an installation
without it says so. Measured figures count only on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.cli.main import FAILED, GOOD
from gateway.errors import ConfigError

# name → (what it measures, its calls: part → (module, function, options made of the seconds given)).
Calls = dict[str, tuple[str, str, Callable[[float], dict[str, Any]]]]
BENCHES: dict[str, tuple[str, Calls]] = {
    "throughput": (
        "messages/s from a publisher to committed rows, rules on, one core",
        {"": ("throughput", "measure", lambda seconds: {"seconds": seconds})},
    ),
    "latency": (
        "sensor message → first SMS byte, at 1 000 messages/s, in a flood of 20 000/s, and behind a slow queue",
        {
            "steady": ("latency", "measure", lambda seconds: {"alarms": _alarms(seconds), "rate": 1_000.0}),
            "flood": ("latency", "measure", lambda seconds: {"alarms": _alarms(seconds), "rate": 20_000.0}),
            "queue": ("latency", "preemption", lambda seconds: {"seconds_per_sms": min(4.0, max(0.2, seconds / 3))}),
        },
    ),
    "step": (
        "rule × reading evaluations/s of the step, and what unrelated rules cost",
        {"": ("step_rate", "measure", lambda seconds: {"seconds": seconds, "unrelated": _unrelated(seconds)})},
    ),
    "modbus": (
        "polls that a saturated bus of 8 devices at 9 600 baud carries, of those the wire allows",
        {"": ("modbus_bus", "measure", lambda seconds: {"seconds": seconds})},
    ),
    "protocols": (
        "frames of GB/T 26875.3, SL 651 and HJ 212 that one core decodes to readings and events",
        {"": ("protocols", "measure", lambda seconds: {"seconds": seconds})},
    ),
    "devices": (
        "500 devices on one TCP port, a frame a second each: processor, memory, time to the answer",
        {"": ("devices", "measure", lambda seconds: {"seconds": seconds, "devices": _devices(seconds)})},
    ),
    "footprint": (
        "memory, processor and start time at 50 points, 1 Hz",
        {
            "telemetry": ("footprint", "measure", lambda seconds: {"seconds": seconds}),
            "life_safety": ("footprint", "measure", lambda seconds: {"seconds": seconds, "life_safety": True}),
        },
    ),
}
SECONDS = 20.0
ALARMS_A_SECOND = 100  # 2 000 at the default
EXPECTATIONS = ("complete", "transitions_agree", "told", "at_most_one_part")  # what must hold for a figure to count


def arguments(own: argparse.ArgumentParser) -> None:
    """Add names, seconds and the form of the output."""
    told = "; ".join(f"{name}: {text}" for name, (text, _) in BENCHES.items())
    own.add_argument("names", nargs="*", metavar="NAME", help=f"which (default all). {told}")
    own.add_argument("--seconds", type=float, default=SECONDS, help=f"length of each (default {SECONDS:g})")
    own.add_argument("--json", action="store_true", help="print one JSON object")
    own.add_argument("--folder", type=Path, default=None, help="where stores are made: a disk, not a RAM disk")


def run(options: argparse.Namespace) -> int:
    """Run the benches; 1 when one lost a reading or a notice, whatever its speed."""
    unknown = sorted(set(options.names) - set(BENCHES))
    if unknown:
        raise ConfigError(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    if not options.seconds > 0:
        raise ConfigError(f"--seconds {options.seconds:g}: write more than 0")
    found: dict[str, Any] = {}
    for name in options.names or BENCHES:
        found[name] = bench(name, options.seconds, options.folder)
        if not options.json:
            _print(name, found[name])
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    return GOOD if kept(found) else FAILED


def bench(name: str, seconds: float, folder: Path | None = None) -> dict[str, Any]:
    """Run one bench with stores below `folder`. Raises ConfigError without the source tree."""
    found: dict[str, Any] = {}
    for part, (module, function, keys) in BENCHES[name][1].items():
        try:
            measure = getattr(importlib.import_module(f"benchmarks.{module}"), function)
        except ImportError as error:
            raise ConfigError(f"benches need the source tree and its test packages: make bench ({error})") from error
        place = Path(tempfile.mkdtemp(prefix="firegrid-bench-", dir=folder))
        try:
            figures = measure(place, **keys(seconds))
        finally:
            shutil.rmtree(place, ignore_errors=True)
        if part:
            found[part] = figures
        else:
            found = figures
    return found


def kept(found: object) -> bool:
    """Whether nothing was lost: every expectation in the figures holds."""
    if not isinstance(found, dict):
        return True
    return all(kept(value) and (name not in EXPECTATIONS or value is True) for name, value in found.items())


def _print(name: str, figures: dict[str, Any], indent: str = "") -> None:
    print(f"{indent}{name}")
    for key, value in figures.items():
        if isinstance(value, dict):
            _print(key, value, indent + "  ")
        else:
            print(f"{indent}  {key:<22} {value}")


def _alarms(seconds: float) -> int:
    return max(3, round(seconds * ALARMS_A_SECOND))


def _devices(seconds: float) -> int:
    return 500 if seconds >= 5 else 50


def _unrelated(seconds: float) -> tuple[int, ...]:
    return (100, 1_000, 10_000, 100_000) if seconds >= 5 else (100, 1_000)
