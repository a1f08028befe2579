"""`firegrid sink rewind ID`: have a far end that was restored or begun anew sent everything again.

Asks the running daemon over its local socket; the process of the sink does it, live data and alarms going first as
always. What the far end still has overwrites itself.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.app import DEFAULT_STORE, read
from gateway.cli.main import FAILED, GOOD, REFUSED, add_config
from gateway.clock import SECOND
from gateway.transport import unix


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `sink` takes."""
    add_config(own)
    own.add_argument("act", choices=("rewind",), help="send again what is kept")
    own.add_argument("sink", metavar="ID", help="id of the [[sink]]")
    own.add_argument("--since", metavar="TIME", default="", help="from then on, e.g. 2026-09-01T08:00 (default: all)")


def run(options: argparse.Namespace) -> int:
    """Ask the daemon; 3 when it refuses, 1 when none answers."""
    station = read(options.config).station
    zone = ZoneInfo(station.timezone) if station else None
    try:
        since = _nanoseconds(options.since, zone)
    except ValueError:
        print(f"firegrid sink: --since {options.since}: no time; write e.g. 2026-09-01T08:00", file=sys.stderr)
        return REFUSED
    default = f"{station.store.path if station else DEFAULT_STORE}.sock"
    path = Path((station.socket if station else "") or default)
    try:
        answer = unix.ask(path, {"do": "rewind", "sink": options.sink, "since": since})
    except OSError as error:
        print(f"firegrid: no daemon answers at {path} ({error.strerror}): is `firegrid run` running?", file=sys.stderr)
        return FAILED
    if "error" in answer:
        print(f"firegrid sink: {answer['error']}", file=sys.stderr)
        return REFUSED
    print(f"{options.sink}: 从头发送 everything kept is sent again; `firegrid doctor` shows how far it is")
    return GOOD


def _nanoseconds(text: str, zone: ZoneInfo | None) -> int:
    """Return a time as ns since 1970, of the station's zone where it names none; nothing is 0."""
    if not text:
        return 0
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * SECOND)
