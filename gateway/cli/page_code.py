"""`firegrid page-code`: the one-time code with which a person sets a password for the page, for who can read it here.

Beside the running daemon: the code lies in a file beside the store that only its owner reads; the page takes it once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.app import read
from gateway.cli.main import GOOD, REFUSED, add_config
from gateway.config.page import loopback
from gateway.errors import ConfigError


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `page-code` takes."""
    add_config(own)


def run(options: argparse.Namespace) -> int:
    """Print the code that is good now, made if there is none; 3 when the page asks for none."""
    station = read(options.config).station
    if station is None or station.page is None:
        raise ConfigError(f"{options.config} has no usable [page]")
    if loopback(station.page.host):
        print("页面只在本机提供，不需要登录 the page is served on this box only and asks for no login")
        return REFUSED
    from gateway.web.auth import code_file, known_code, new_code  # noqa: PLC0415 - only where it is of use

    path = code_file(station.store.path)
    if not Path(station.store.path).exists():
        raise ConfigError(f"{station.store.path} is not there yet: start the station first")
    print(known_code(path) or new_code(path))
    return GOOD
