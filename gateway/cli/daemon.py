"""`firegrid run`: the daemon. Logs to standard error, one line each, as journald likes it."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import sys

from gateway.app import serve
from gateway.cli.main import add_config
from gateway.house import House


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `run` takes."""
    add_config(own)
    own.add_argument("-v", "--verbose", action="store_true", help="log more")


def run(options: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT, or until the battery runs out (4)."""
    level = logging.DEBUG if options.verbose else logging.INFO
    faulthandler.enable(2)  # the watchdog's SIGABRT leaves in the log where it hung
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    return asyncio.run(serve(options.config, ready=_ready))


def _ready(house: House) -> None:
    print(f"firegrid: {house.station.name or house.station.id} is armed", flush=True)
