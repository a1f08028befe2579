"""`firegrid backup`: store, configuration, people and profiles into a new folder, while the daemon goes on.

A process of its own beside the daemon, as house section 4 wants of heavy work. What is in the folder and how it is
written: `gateway.care.archive`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tomllib
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway.app import DEFAULT_STORE, read
from gateway.care import archive
from gateway.cli.main import GOOD, add_config
from gateway.cli.meter import Meter
from gateway.cli.printing import rfc3339, zone_of
from gateway.clock import SECOND, SystemClock
from gateway.errors import StoreError, StoreFull
from gateway.transport import unix

SPARE = 16 << 20  # bytes that must be free beyond the size of the store


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `backup` takes."""
    add_config(own)
    own.add_argument("to", type=Path, metavar="TO", help="a new folder, or one that is there: a new one is made in it")
    own.add_argument("--with-secrets", action="store_true", help="passwords, keys and PINs, too: keep it locked away")


def run(options: argparse.Namespace) -> int:
    """Make it; the name of the folder goes to standard output."""
    loaded = read(options.config)
    if not loaded.files:
        raise FileNotFoundError(2, "no such configuration", str(options.config))
    spec = loaded.station.store if loaded.station else loaded.store
    store = Path(spec.path if spec else DEFAULT_STORE)
    wall = SystemClock().wall()
    station = loaded.station.id if loaded.station else "station"
    target: Path = options.to
    if target.is_dir():
        target /= f"{station}-{datetime.fromtimestamp(wall / SECOND, tz=UTC):%Y%m%dT%H%M%SZ}"
    size = store.stat().st_size if store.exists() else 0
    free = shutil.disk_usage(target.absolute().parent).free
    if free < size + SPARE:
        raise StoreFull(f"{target.parent}: {free >> 20} MiB are free, the copy needs {(size + SPARE) >> 20} MiB")
    meter = Meter("copied", size)
    manifest = archive.make(
        target,
        config=options.config,
        files=loaded.files,
        named=archive.references(_parsed(options.config)),
        store=store,
        about={
            "station": station,
            "firegrid": version("firegrid"),
            "made": rfc3339(wall, zone_of(loaded.station)) or "",
        },
        secrets=options.with_secrets,
        progress=meter.add,
    )
    meter.end()
    if loaded.station is not None and _without_disk(Path(loaded.station.socket or f"{store}.sock")):
        print("the station lives without its disk now: what it keeps in RAM is not in the copy", file=sys.stderr)
    print(target)
    for name in manifest.missing:
        print(f"not in it: {name}")
    return GOOD


def _without_disk(socket: Path) -> bool:
    """Whether a daemon runs whose newest records have not reached the store."""
    try:
        return bool(unix.ask(socket, {"do": "status"})["volatile"])
    except (OSError, LookupError, ValueError):
        return False


def _parsed(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise StoreError(f"{config} cannot be read, so nobody knows which files belong to it: {error}") from error
