"""`firegrid demo`: a whole simulated station in one command, with a fire that is told, acknowledged and put out.

The daemon is a child `firegrid run` with an ordinary configuration in a temporary folder; around it stand simulated
devices with real bytes. What is shown is what the wire, the phones and the store say. Leaves nothing behind.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import signal
import sys
import tempfile
from pathlib import Path

from gateway.app import read
from gateway.cli import demo_broker, demo_station
from gateway.cli.demo_screen import Screen
from gateway.cli.demo_story import ESCALATE, FIRE, STORY, Demo
from gateway.cli.main import FAILED
from gateway.clock import SECOND, SystemClock
from gateway.config.quantities import duration
from gateway.errors import ConfigError, GatewayError

SHORTEST = 16.0  # s; the daemon's own delays cannot be squeezed
PAGE = 8080  # the live page's port, if it is free
STARTING, CLOSING = 3.0, 1.5  # s of the time given, before the station is armed and after the story
_LONG = 10 * 365 * 86400.0  # s: at a keyboard the end is when somebody says so


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `demo` takes."""
    own.add_argument("--for", dest="seconds", default="", metavar="TIME", help="end after so long, e.g. 60s")
    chinese = os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("zh")
    own.add_argument("--language", choices=("zh", "en"), default="zh" if chinese else "en", help="zh or en")


def run(options: argparse.Namespace) -> int:
    """Run it; 0 when the story was shown, or was ended by the one who watches."""
    keyboard = sys.stdin.isatty() and sys.stdout.isatty()
    seconds = math.inf if keyboard else STORY
    if options.seconds:
        try:
            seconds = duration(options.seconds)
        except ValueError as error:
            raise ConfigError(f"--for: {error}") from error
    if seconds < SHORTEST:
        raise ConfigError(f"--for {options.seconds}: the story needs {SHORTEST:g}s at least")
    return asyncio.run(play(seconds, options.language, keyboard=keyboard))


async def play(seconds: float, language: str, *, keyboard: bool) -> int:
    """Set the station up, tell the story, clear away, all in so many seconds; returns the exit code."""
    clock = SystemClock()
    end = clock.mono() + round((min(seconds, _LONG) - CLOSING) * SECOND)
    screen = Screen(language, clock.mono)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pace = min(1.0, (seconds - STARTING - CLOSING) / STORY)
    with tempfile.TemporaryDirectory(prefix="firegrid-demo-") as name:
        async with demo_broker.broker(Path(name), clock) as (broker, port):
            page = await demo_broker.free_port(PAGE)
            escalate = ESCALATE * pace
            config = demo_station.write(Path(name), port=port, page=page, language=language, escalate=escalate)
            station = read(config).station
            if station is None:
                raise GatewayError("the embedded station is not good")
            show = Demo(station, screen, clock, stop, pace=pace, keyboard=keyboard)
            screen.say("note", "intro", broker=broker, fire=FIRE * pace)
            screen.say("note", "page", address=f"http://127.0.0.1:{page}/")
            code, died = await _tell(show, config, clock, stop, end)
    screen.close()
    if died:
        screen.say("note", "died")
    return FAILED if died else code


async def _tell(show: Demo, config: Path, clock: SystemClock, stop: asyncio.Event, end: int) -> tuple[int, bool]:
    """Run field, daemon and story; returns the story's exit code and whether the daemon ended before it."""
    async with asyncio.TaskGroup() as tasks:
        field = [tasks.create_task(part) for part in show.field_parts()]
        try:
            async with demo_broker.daemon(config, clock) as process:
                ended = tasks.create_task(process.wait())
                ended.add_done_callback(lambda _: stop.set())
                code = await show.run(end)
                died = process.returncode is not None
        finally:
            for task in field:
                task.cancel()
    return code, died
