"""`firegrid support-bundle`: one file to send to who helps, with everything about the box and nobody in it.

Read-only beside the daemon. Configuration, findings of `doctor`, what the daemon says of itself, the gateway's own last
faults, schema, sizes and versions; every text goes through `gateway.care.masking` before it is packed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import sqlite3
import tarfile
import tomllib
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from gateway.app import DEFAULT_STORE, problems_of, read
from gateway.care.masking import Mask
from gateway.cli import doctor
from gateway.cli.main import GOOD, add_config
from gateway.cli.printing import rfc3339, zone_of
from gateway.clock import SECOND, SystemClock
from gateway.config.loaded import Loaded
from gateway.errors import GatewayError
from gateway.model.inventory import OWN, events_of
from gateway.store.connection import connect_readonly
from gateway.store.read import Reader
from gateway.transport import unix

FAULTS = 200  # newest of the gateway's own events
_GROWING = {"journal": "seq", "record": "n", "chunk": "id"}  # tables whose rows are not counted one by one
_UNCOUNTED = ("minute", "hour")


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `support-bundle` takes."""
    add_config(own)
    own.add_argument("out", type=Path, metavar="OUT.tar.gz", help="the file to write")


def run(options: argparse.Namespace) -> int:
    """Write it; what cannot be had is in it as the reason why."""
    loaded = read(options.config)
    mask = Mask(loaded.station.contacts if loaded.station else ())
    fresh: Path = options.out.with_name(f"{options.out.name}.partial")
    try:
        with tarfile.open(fresh, "w:gz") as bundle:
            for name, data in _parts(options.config, loaded):
                text = json.dumps(mask.data(data), ensure_ascii=False, indent=1)
                raw = text.encode(errors="replace") + b"\n"
                entry = tarfile.TarInfo(f"firegrid-support/{name}.json")
                entry.size, entry.mode = len(raw), 0o644
                bundle.addfile(entry, io.BytesIO(raw))
        fresh.replace(options.out)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    print(f"{options.out}: {options.out.stat().st_size // 1024 + 1} KiB, without names, numbers and passwords")
    return GOOD


def _parts(config: Path, loaded: Loaded) -> Iterator[tuple[str, Any]]:
    """Yield (name, data) of every file of the bundle, not yet masked."""
    spec = loaded.station.store if loaded.station else loaded.store
    store = Path(spec.path if spec else DEFAULT_STORE)
    yield "about", _about(store)
    yield "configuration", _configuration(config, loaded)
    # Reasons may quote what stands in the file, which nobody could mask while it cannot be read.
    yield "problems", [{"file": p.file, "line": p.line, "key": p.key, "kind": p.kind.name} for p in problems_of(loaded)]
    yield "doctor", _tried(lambda: [doctor.row(finding, "en") for finding in doctor.findings(config, probe=False)])
    yield "status", _tried(lambda: _status(loaded))
    yield "faults", _tried(lambda: _faults(store, loaded))
    yield "store", _tried(lambda: _store(store))


def _tried(ask: Any) -> Any:  # noqa: ANN401 - whatever a part has to say
    try:
        return ask()
    except (GatewayError, OSError, sqlite3.Error, LookupError, ValueError) as error:
        return {"not to be had": f"{type(error).__name__}: {error}"}


def _about(store: Path) -> dict[str, Any]:
    clock = SystemClock()
    disk = shutil.disk_usage(store.parent) if store.parent.is_dir() else None
    return {
        "firegrid": metadata.version("firegrid"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {found.name: found.version for found in metadata.distributions()},
        "up_seconds": clock.mono() // SECOND,
        "clock_synchronised": clock.synchronised(),
        "load": os.getloadavg(),
        "disk": disk._asdict() if disk else None,
        "sizes": {path.name: path.stat().st_size for path in sorted(store.parent.glob(f"{store.name}*"))},
    }


def _configuration(config: Path, loaded: Loaded) -> Any:  # noqa: ANN401 - a parsed file
    if loaded.station is None:  # whose names these are cannot be told
        return {"not to be had": "the configuration cannot be read; see problems"}
    return _tried(lambda: json.loads(json.dumps(tomllib.loads(config.read_text(encoding="utf-8-sig")), default=str)))


def _status(loaded: Loaded) -> dict[str, Any]:
    if loaded.station is None:
        raise LookupError("which daemon to ask stands in the configuration")
    socket = Path(loaded.station.socket or f"{loaded.station.store.path}.sock")
    return unix.ask(socket, {"do": "status"})


def _faults(store: Path, loaded: Loaded) -> list[dict[str, Any]]:
    zone = zone_of(loaded.station)
    with Reader(store) as reader:
        own = reader.points().get(events_of(OWN), 0)
        newest = deque((entry for entry in reader.events() if entry.body.point == own), FAULTS)
    return [
        {
            "time": rfc3339(entry.time, zone),
            "key": entry.body.key,
            "code": entry.body.code.name,
            "text": entry.body.text,
        }
        for entry in newest
    ]


def _store(store: Path) -> dict[str, Any]:
    with closing(connect_readonly(store)) as connection:
        schema = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        counts = {
            table: connection.execute(
                f"SELECT coalesce(max({_GROWING[table]}) - min({_GROWING[table]}) + 1, 0) FROM {table}"  # noqa: S608
                if table in _GROWING
                else f"SELECT count(*) FROM {table}"  # noqa: S608 - names out of the schema
            ).fetchone()[0]
            for table in tables
            if table not in _UNCOUNTED
        }
        pragmas = ("user_version", "page_count", "page_size", "freelist_count", "journal_mode")
        values = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}
    return {"schema": schema, "rows": counts, **msgspec.to_builtins(values)}
