"""`firegrid ack`, `reset`, `shelve`: operator acts through the local socket of the running daemon."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.app import DEFAULT_STORE, read
from gateway.cli.main import FAILED, GOOD, REFUSED, add_config
from gateway.config.quantities import duration
from gateway.transport import unix


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what the acts take."""
    add_config(own)
    own.add_argument("alarms", nargs="*", type=int, metavar="ALARM", help="id as `firegrid alarms` shows it")
    own.add_argument("--as", dest="who", default="", metavar="CONTACT", help="who acts (default: your user)")
    own.add_argument("--reason", default="", help="in your words; needed to shelve; 误报 or false: a false alarm")
    own.add_argument("--for", dest="seconds", default="0s", metavar="TIME", help="how long a shelf lasts, e.g. 2h")


def run(options: argparse.Namespace) -> int:
    """Act; 3 when something was refused, 1 when no daemon answers."""
    if options.command != "ack" and not options.alarms:
        print(f"firegrid {options.command}: which alarm? `firegrid alarms` lists them", file=sys.stderr)
        return REFUSED
    try:
        seconds = duration(options.seconds)
    except ValueError:
        print(
            f"firegrid {options.command}: --for {options.seconds}: no duration; write e.g. 30m or 2h", file=sys.stderr
        )
        return REFUSED
    station = read(options.config).station
    default = f"{station.store.path if station else DEFAULT_STORE}.sock"
    path = Path((station.socket if station else "") or default)
    request = {
        "do": "act",
        "verb": options.command,
        "alarms": options.alarms,
        "who": options.who,
        "reason": options.reason,
        "seconds": seconds,
    }
    try:
        answer = unix.ask(path, request)
    except OSError as error:
        print(f"firegrid: no daemon answers at {path} ({error.strerror}): is `firegrid run` running?", file=sys.stderr)
        return FAILED
    if "error" in answer:
        print(f"firegrid: {answer['error']}", file=sys.stderr)
        return REFUSED
    language = station.language if station else "zh"
    for refusal in answer["refusals"]:
        print(refusal["zh" if language == "zh" else "en"], file=sys.stderr)
    if not answer["recorded"]:
        print("未存档：存储故障 not recorded: store fault", file=sys.stderr)
    return REFUSED if answer["refusals"] else GOOD
