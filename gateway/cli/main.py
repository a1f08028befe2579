"""`firegrid`: the list of commands and the way errors become exit codes.

Exit codes (house section 12): 0 good, 1 runtime failure, 2 configuration, 3 input refused. Each command imports what it
needs when it runs, so that `firegrid check` does not pay for the demo.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.errors import ConfigError, GatewayError

DEFAULT_CONFIG = "/etc/firegrid/station.toml"
GOOD, FAILED, BAD_CONFIGURATION, REFUSED = 0, 1, 2, 3

# name → (module of gateway.cli, one line of help). The module has `arguments(parser)` and `run(options) -> int`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "a whole simulated station: sensors, fire, SMS, acknowledgement"),
    "run": ("daemon", "run the station"),
    "check": ("check", "check the configuration; say who is told when"),
    "decode": ("decode", "decode a frame or payload"),
    "discover": ("discover", "find devices on a bus, a broker or a port; print TOML"),
    "listen": ("listen", "show live traffic of a port or broker, decoded; record it"),
    "profiles": ("profiles", "list and show device types, check one's own"),
    "readings": ("reading", "print stored readings"),
    "events": ("events", "print stored events"),
    "alarms": ("alarms", "print alarms"),
    "notifications": ("notifications", "print notices"),
    "ack": ("acts", "acknowledge alarms"),
    "reset": ("acts", "reset latched alarms"),
    "shelve": ("acts", "shelve an alarm for a while"),
    "simulate": ("simulate", "play devices, broker or modem"),
    "init": ("init", "ask a few questions, write a first station.toml"),
    "walktest": ("walktest", "try devices without calling anybody"),
    "doctor": ("doctor", "say what is wrong and how to mend it"),
    "verify": ("verify", "check that the record was not changed"),
    "backup": ("backup", "copy store and configuration while the station runs"),
    "restore": ("restore", "put a backup in its place"),
    "support-bundle": ("support", "pack what helps others help, without personal data"),
    "upgrade-check": ("upgrade", "try this program on a copy of the store"),
    "page-code": ("page_code", "print the one-time code for a login to the page"),
    "sink": ("sink", "have a far end sent everything again"),
    "bench": ("bench", "measure this machine, print JSON"),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; only names and help, so that it costs no import."""
    top = argparse.ArgumentParser(prog="firegrid", description="Edge gateway for micro fire stations.")
    top.add_argument("--version", action="store_true", help="print the version")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return top


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    if arguments and arguments[0] in COMMANDS:
        return guarded(lambda: _command(arguments[0], arguments[1:]))
    options = parser().parse_args(arguments)
    if options.version:
        from importlib.metadata import version  # noqa: PLC0415 - for this one option

        print(f"firegrid {version('firegrid')}")
        return GOOD
    parser().print_help()
    return GOOD


def _command(name: str, arguments: Sequence[str]) -> int:
    module = importlib.import_module(f"gateway.cli.{COMMANDS[name][0]}")
    own = argparse.ArgumentParser(prog=f"firegrid {name}", description=COMMANDS[name][1])
    module.arguments(own)
    options = own.parse_args(arguments)
    options.command = name
    code: int = module.run(options)
    return code


def guarded(command: Callable[[], int]) -> int:
    """Run a command; what it raises of ours becomes one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Chinese letters shows the rest
    try:
        code = command()
        sys.stdout.flush()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIGURATION
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (GatewayError, OSError) as error:
        print(f"firegrid: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return code


def add_config(own: argparse.ArgumentParser) -> None:
    """Add `-c station.toml` as every command that needs a station has it."""
    default = os.environ.get("FIREGRID_CONFIG", DEFAULT_CONFIG)
    own.add_argument("-c", "--config", type=Path, default=Path(default), help=f"the station (default {default})")
