"""`firegrid walktest`: try the devices of some cells one after the other, and nobody is called for it.

Begins the test by an operator act at the running daemon, shows each device as it speaks and alarms, and prints the
report at the end, which is in the record as well (`--report` prints it from there). Interrupting ends the test; closing
the window does not. Exit codes: 0 every device did what it must, 1 one did not, 3 refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.app import DEFAULT_STORE, read
from gateway.cli.main import FAILED, GOOD, REFUSED, add_config
from gateway.cli.printing import Row, clock_time, open_reader, rfc3339, tell_begin, zone_of
from gateway.clock import SystemClock
from gateway.config.quantities import duration
from gateway.model.station import Station
from gateway.model.walktest import WalkEnd, Walktest
from gateway.transport import unix

EVERY = 0.5  # s between two looks at the daemon
LONGEST = 12 * 3600.0  # s: a test that somebody forgot must not cost a night
_ENDS = {
    WalkEnd.TIME_OUT: ("时间到", "its time was over"),
    WalkEnd.ACT: ("由 {who} 结束", "ended by {who}"),
    WalkEnd.RESTART: ("网关重启且时间未知", "the gateway restarted and did not know the time"),
}


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `walktest` takes."""
    add_config(own)
    own.add_argument("--cells", default="", metavar="CELL,…", help="these cells and all below them")
    own.add_argument("--for", dest="seconds", default="30m", metavar="TIME", help="it ends by itself then (30m)")
    own.add_argument("--as", dest="who", default="", metavar="CONTACT", help="who tests (default: your user)")
    own.add_argument("--siren", action="store_true", help="let sirens sound; still nobody is called")
    own.add_argument("--json", action="store_true", help="one JSON object a line")
    own.add_argument("--end", action="store_true", help="end the test that is going on")
    own.add_argument("--report", action="store_true", help="print the last report of the record")


def run(options: argparse.Namespace) -> int:
    """Begin and watch a test, end one, or print the last report."""
    if options.report:
        return _from_record(options)
    station = read(options.config).station
    screen = _Screen(station, as_json=options.json)
    path = Path((station.socket if station else "") or f"{station.store.path if station else DEFAULT_STORE}.sock")
    end: dict[str, Any] = {"do": "act", "verb": "end_walktest", "alarms": [], "who": options.who}
    try:
        return _act(path, end, screen) if options.end else _test(path, end, options, screen)
    except ValueError as error:
        print(f"firegrid walktest: {error}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"firegrid: no daemon answers at {path} ({error.strerror}): is `firegrid run` running?", file=sys.stderr)
        return FAILED


def _test(path: Path, end: Mapping[str, Any], options: argparse.Namespace, screen: _Screen) -> int:
    cells = [cell.strip() for cell in options.cells.split(",") if cell.strip()]
    if not cells:
        raise ValueError("--cells: which cells? e.g. --cells jc/3")
    begin = {"verb": "walktest", "cells": cells, "siren": options.siren, "seconds": _seconds(options.seconds)}
    refused = _act(path, {**end, **begin}, screen)
    if refused:
        return refused
    try:
        return asyncio.run(_watch(path, screen))
    except KeyboardInterrupt:
        _act(path, end, screen)  # refused when it has just ended by itself
        return screen.report(unix.ask(path, {"do": "walktest"}))


def _seconds(given: str) -> float:
    try:
        seconds = duration(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"--for {given}: write a time of at most 12h, e.g. 30m")
    return seconds


def _act(path: Path, request: Mapping[str, Any], screen: _Screen) -> int:
    """Send an act; returns 0, or the exit code of its refusal, which is printed."""
    answer = unix.ask(path, dict(request))
    for refusal in answer.get("refusals", ()):
        print(refusal["zh" if screen.zh else "en"], file=sys.stderr)
    if "error" in answer:
        print(f"firegrid: {answer['error']}", file=sys.stderr)
    elif not answer["recorded"]:
        print("未存档：存储故障" if screen.zh else "not recorded: store fault", file=sys.stderr)
    return REFUSED if "error" in answer or answer["refusals"] else GOOD


async def _watch(path: Path, screen: _Screen) -> int:
    """Show the test until it ends; a daemon that restarts goes on with it."""
    clock = SystemClock()
    while True:
        try:
            answer = await asyncio.to_thread(unix.ask, path, {"do": "walktest"})
        except OSError:
            answer = {}
        if answer.get("walktest"):
            screen.show(answer)
            if answer["walktest"]["ended"]:
                return screen.report(answer)
        await clock.sleep(EVERY)


def _from_record(options: argparse.Namespace) -> int:
    reader, station = open_reader(options.config)
    screen = _Screen(station, as_json=options.json)
    with reader:
        tell_begin(reader)
        reports = list(reader.record(["walktest"], Walktest))
        if not reports:
            print("没有巡检测试的记录" if screen.zh else "no walk test is in the record", file=sys.stderr)
            return FAILED
        last = reports[-1]
        begun = reader.wall(last.boot, last.body.began)
        offset = None if begun is None else begun - last.body.began
    return screen.report({"walktest": msgspec.to_builtins(last.body), "wall_offset": offset})


class _Screen:
    """Prints: one line per device as it comes, one table or object at the end."""

    def __init__(self, station: Station | None, *, as_json: bool) -> None:
        self.zh = station is None or station.language == "zh"
        self._json = as_json
        self._zone = zone_of(station)
        self._devices = {device.id: device.name for device in (station.devices if station else ())}
        self._people = {contact.id: contact.name for contact in (station.contacts if station else ())}
        self._shown: set[tuple[str, str]] = set()

    def show(self, answer: Mapping[str, Any]) -> None:
        """Print what is new since the last look."""
        test = msgspec.convert(answer["walktest"], Walktest)
        if not self._shown and not self._json:
            minutes = f"{(test.until - test.began) / 60e9:.3g}"
            cells = ", ".join(test.cells)
            many = len(test.subjects)
            zh = f"巡检测试 {cells}：{many} 台设备，{minutes} 分钟；它们的报警不通知任何人。Ctrl-C 结束"
            en = f"walk test of {cells}: {many} devices, {minutes} min; their alarms call nobody. Ctrl-C ends it"
            print(zh if self.zh else en, flush=True)
        self._shown.add(("", ""))
        steps = [
            (at, what == "alarmed", device)
            for what in ("heard", "alarmed")
            for device, at in getattr(test, what).items()
        ]
        for at, alarmed, device in sorted(steps):
            what = "alarmed" if alarmed else "heard"
            if (what, device) not in self._shown:
                self._shown.add((what, device))
                self._tick(test, device, what, _wall(at, answer))

    def _tick(self, test: Walktest, device: str, what: str, wall: int | None) -> None:
        passed = device in test.tested
        if self._json:
            row = {"device": device, "what": what, "time": rfc3339(wall, self._zone), "passed": passed}
            print(json.dumps(row, ensure_ascii=False), flush=True)
            return
        words = {"heard": ("有信号", "speaks"), "alarmed": ("已报警", "alarmed")}[what][0 if self.zh else 1]
        name = f"{device} {self._devices.get(device, '')}".rstrip()
        mark, count = "✓" if passed else "·", f"{len(test.tested)}/{len(test.subjects)}"
        print(f"{mark} {clock_time(wall or 0, self._zone) or '--:--'} {name} {words} ({count})", flush=True)

    def report(self, answer: Mapping[str, Any]) -> int:
        """Print the report; 1 when a device did not do what it must."""
        test = msgspec.convert(answer["walktest"], Walktest)
        row = self._row(test, answer)
        if self._json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        else:
            print("\n".join(self._lines(test, row)), flush=True)
        return GOOD if row["passed"] == row["devices_in_all"] else FAILED

    def _row(self, test: Walktest, answer: Mapping[str, Any]) -> Row:
        tested = set(test.tested)

        def time(at: int | None) -> str | None:
            return rfc3339(_wall(at, answer), self._zone) if at else None

        devices = [
            {
                "device": one.device,
                "cell": one.cell,
                "must": "alarm" if one.must_alarm else "speak",
                "heard": time(test.heard.get(one.device)),
                "alarmed": time(test.alarmed.get(one.device)),
                "spoke": one.device in test.heard,
                "passed": one.device in tested,
            }
            for one in test.subjects
        ]
        return {
            "walktest": test.number,
            "who": test.who,
            "cells": list(test.cells),
            "began": time(test.began),
            "ended": time(test.ended),
            "end": test.end.value if test.end else None,
            "ended_by": test.ended_by,
            "passed": len(tested),
            "devices_in_all": len(test.subjects),
            "devices": devices,
        }

    def _lines(self, test: Walktest, row: Row) -> Iterator[str]:
        who = self._people.get(test.who) or test.who
        ender = self._people.get(test.ended_by) or test.ended_by
        end = _ENDS[test.end][0 if self.zh else 1].format(who=ender) if test.end else ""
        count = f"{row['passed']}/{row['devices_in_all']}"
        unknown = "时间未校准" if self.zh else "clock not set"
        times = row["began"] or unknown, row["ended"] or unknown
        cells = ", ".join(test.cells)
        yield ""
        if self.zh:
            yield f"巡检测试 {test.number}：{cells}，测试人 {who}，{times[0]} 至 {times[1]}（{end}）"
            yield f"{count} 台设备通过"
        else:
            yield f"walk test {test.number}: {cells} by {who}, {times[0]} to {times[1]} ({end})"
            yield f"{count} devices passed"
        for one in row["devices"]:
            if not one["passed"]:
                name = " ".join(filter(None, (one["device"], self._devices.get(one["device"]), one["cell"])))
                yield f"✗ {name}: {self._lack(one)}"

    def _lack(self, one: Row) -> str:
        if not one["spoke"]:
            return "没有信号" if self.zh else "was not heard"
        return "有信号，但未报警" if self.zh else "spoke, but did not alarm"


def _wall(at: int | None, answer: Mapping[str, Any]) -> int | None:
    offset = answer.get("wall_offset")
    return None if offset is None or not at else at + offset
