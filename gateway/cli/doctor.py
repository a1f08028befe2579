"""`firegrid doctor`: what is wrong on this machine and with this station, and how to mend it.

Looks with its own eyes (`examined…`, `brokers`) and asks the running daemon; changes nothing. Exit codes: 0 nothing
wrong, 1 something to mend, 2 the configuration is wrong.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from gateway.app import problems_of, read
from gateway.cli import brokers, examined, examined_doors, examined_talk, examined_wires, links
from gateway.cli.examined import Finding, Level
from gateway.cli.main import BAD_CONFIGURATION, FAILED, GOOD, add_config
from gateway.clock import SystemClock
from gateway.model.station import StoreSpec

MARKS = {Level.GOOD: "✓", Level.REMARK: "·", Level.BAD: "✗"}


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `doctor` takes."""
    add_config(own)
    own.add_argument("--json", action="store_true", help="one JSON object a line")
    own.add_argument("--language", choices=("zh", "en"), help="language of the findings (default: the station's)")
    own.add_argument("--no-probe", action="store_true", help="log in at the brokers, but try no queues")


def run(options: argparse.Namespace) -> int:
    """Print every finding as it is found."""
    loaded = read(options.config)
    language = options.language or loaded.language
    worst: dict[str, Level] = {}
    for finding in findings(options.config, probe=not options.no_probe):
        if options.json:
            print(json.dumps(row(finding, language), ensure_ascii=False), flush=True)
        else:
            _print(finding, language)
        if finding.level is Level.BAD:
            worst[finding.area] = finding.level
    if "configuration" in worst:
        return BAD_CONFIGURATION
    return FAILED if worst else GOOD


def findings(config: Path, *, probe: bool) -> Iterator[Finding]:
    """Yield everything that is found; `probe`: try the brokers' queues, too."""
    clock = SystemClock()
    loaded = read(config)
    station = loaded.station
    yield from examined.software()
    yield from examined.configuration(loaded, problems_of(loaded))
    yield from examined.clock_of(clock, station)
    spec = station.store if station is not None else loaded.store
    if isinstance(spec, StoreSpec):
        yield from examined.store(spec)
    if station is not None:
        yield from examined.ports(station)
        yield from examined_doors.certificates(station, clock)
        heard = list(links.daemon(station))
        yield from heard
        if heard[0].level is not Level.GOOD:  # no daemon holds the port of the page, the buses and the modem
            yield from examined_doors.page(station.page)
            yield from examined_wires.wires(station, clock)
        yield from examined_talk.never_called(station)
        yield from brokers.brokers(station, clock, probe=probe)
        yield from examined_doors.servers(station, clock)


def row(finding: Finding, language: str) -> dict[str, str]:
    """Return a finding in one language, as it is printed."""
    zh = language == "zh"
    return {
        "area": finding.area,
        "level": finding.level.value,
        "what": finding.zh if zh else finding.en,
        "fix": finding.mend_zh if zh else finding.mend_en,
    }


def _print(finding: Finding, language: str) -> None:
    shown = row(finding, language)
    print(f"{MARKS[finding.level]} {shown['area']}: {shown['what']}", flush=True)
    if shown["fix"]:
        print(f"    → {shown['fix']}", flush=True)
