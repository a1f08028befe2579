"""`make fuzz`: every decoder in a process of its own, two at a time; progress, and a table at the end.

`python -m tests.fuzz.campaign [--runs N] [--seconds S] [--jobs 2] [--only WORD] [--folder .fuzz] [--json FILE]`. What
coverage found is kept in the folder, so that the next campaign begins there. Exit 1 when a decoder crashed, hung or
grew: its input and the command that repeats it are shown. Decoders: `tests/fuzz/decoders.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha1
from pathlib import Path

RUNS = 1_000_000
HANG = 10  # s for one input
MEMORY = 1_024  # MB of one process
SHORT, LONGEST = 64, 1_024  # bytes of an input; what waits without end is tests/fuzz/test_long_streams.py's
_EVERY = 60.0  # s between two words of progress
_PULSE = re.compile(r"^#(\d+)\s+\w+\s+(?:cov: (\d+))?")
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)")


@dataclass(slots=True)
class Outcome:
    """What came of one decoder. `found`: inputs that reached something new; `crash`: the file of the input, or why."""

    decoder: str
    runs: int = 0
    per_second: int = 0
    coverage: int = 0
    found: int = 0
    memory_mb: int = 0
    seconds: int = 0
    crash: str = ""
    repeat: str = ""


def seed(name: str, folder: Path) -> Path:
    """Write the seeds of a decoder beside what former campaigns found; return their folder."""
    from tests.fuzz.decoders import DECODERS

    corpus = folder / name.replace(" ", "-") / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in DECODERS[name].seeds:
        (corpus / sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return corpus


def longest(name: str) -> int:
    """Return how many bytes an input may have: twice a real one, since long inputs take time and seldom show more."""
    from tests.fuzz.decoders import DECODERS

    return min(LONGEST, max(SHORT, 2 * max(map(len, DECODERS[name].seeds))))


def fuzz(name: str, folder: Path, runs: int, seconds: int) -> Outcome:
    """Fuzz one decoder until it has had its runs or its time (0: without limit)."""
    corpus, begun, told = seed(name, folder), time.monotonic(), time.monotonic()
    crashes = corpus.parent / "crashes"
    shutil.rmtree(crashes, ignore_errors=True)
    crashes.mkdir()
    command = [sys.executable, "-m", "tests.fuzz.one", name, f"-runs={runs}", f"-max_total_time={seconds}"]
    command += [f"-timeout={HANG}", f"-rss_limit_mb={MEMORY}", f"-max_len={longest(name)}", "-print_final_stats=1"]
    command += [f"-artifact_prefix={crashes}/", str(corpus)]
    one, last = Outcome(name), deque[str](maxlen=60)
    environment = {**os.environ, "PYTHONPATH": ".", "RUST_BACKTRACE": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            last.append(line)
            _note(one, line)
            if time.monotonic() - told > _EVERY:
                told = time.monotonic()
                say(f"{name}: {one.runs:,} inputs, coverage {one.coverage}")
    one.seconds = round(time.monotonic() - begun)
    if process.returncode:
        inputs = [path for path in sorted(crashes.iterdir()) if path.is_file()]
        one.crash = str(inputs[0]) if inputs else f"exit {process.returncode}"
        replay = ["--replay", str(crashes / "before")] if not inputs else [str(inputs[0])]
        one.repeat = shlex.join(["python", "-m", "tests.fuzz.one", name, *replay])
        say("\n".join([f"{name}: CRASH", *last]))
    say(row(one))
    return one


def _note(one: Outcome, line: str) -> None:
    if pulse := _PULSE.match(line):
        one.runs, one.coverage = int(pulse[1]), int(pulse[2] or 0)
    elif stat := _STAT.match(line):
        figure = int(stat[2])
        match stat[1]:
            case "number_of_executed_units":
                one.runs = figure
            case "average_exec_per_sec":
                one.per_second = figure
            case "new_units_added":
                one.found = figure
            case "peak_rss_mb":
                one.memory_mb = figure


def row(one: Outcome) -> str:
    """Return a line of the table."""
    figures = f"{one.runs:>10,} {one.per_second:>7,} {one.coverage:>6} {one.found:>6} {one.memory_mb:>5}"
    return f"{one.decoder:30} {figures}  {one.crash and f'{one.crash}  {one.repeat}'}"


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Fuzz all decoders; return the exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--runs", type=int, default=RUNS, help="inputs of each decoder")
    parser.add_argument("--seconds", type=int, default=0, help="at most so long for each decoder")
    parser.add_argument("--jobs", type=int, default=2, help="decoders at a time")
    parser.add_argument("--only", action="append", default=[], help="decoders whose name has this word")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="where inputs are kept")
    parser.add_argument("--json", type=Path, help="a file for the table")
    arguments = parser.parse_args()
    from tests.fuzz.decoders import DECODERS

    names = [name for name in DECODERS if not arguments.only or any(word in name for word in arguments.only)]
    say(f"{len(names)} decoders, {arguments.runs:,} inputs each; kept in {arguments.folder}")
    head = f"{'decoder':30} {'inputs':>10} {'a sec':>7} {'cover':>6} {'found':>6} {'MB':>5}"
    say(head)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        rows = list(pool.map(lambda name: fuzz(name, arguments.folder, arguments.runs, arguments.seconds), names))
    say("\n".join(["", head, *map(row, rows)]))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in rows], ensure_ascii=False, indent=1))
    return 1 if any(one.crash for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
