"""`firegrid restore`: puts a backup in its place on a new box, after it has been checked from end to end.

Nothing is written before digests, schema and chain are found good; nothing that is there is overwritten unless
`--replace` says so, and then it is set aside. `docs/recovery.md` is the page for the person who does it.
"""

from __future__ import annotations

import argparse
import os
import tomllib
from pathlib import Path

from gateway.app import DEFAULT_STORE
from gateway.care import archive
from gateway.cli.main import GOOD, REFUSED, add_config
from gateway.cli.meter import Meter
from gateway.errors import StoreError
from gateway.store import chain
from gateway.store.connection import Lock
from gateway.store.numbers import forget_points
from gateway.store.salvage import parts, set_aside


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `restore` takes."""
    add_config(own)
    own.add_argument("source", type=Path, metavar="FROM", help="a folder that `firegrid backup` made")
    own.add_argument("--to", type=Path, metavar="DIR", help="put configuration and store into this folder instead")
    own.add_argument("--replace", action="store_true", help="set aside what is there")


def run(options: argparse.Namespace) -> int:
    """Check everything, then put everything."""
    source: Path = options.source
    manifest = archive.read(source)
    meter = Meter("checked", manifest.record)
    checked = chain.check(source / archive.STORE, lambda rows, _: meter.reach(rows))
    meter.end()
    if checked.broken is not None or (checked.last, checked.head) != (manifest.record, manifest.head):
        raise StoreError(f"{source}: the record's chain breaks at row {checked.broken}: use another backup")
    places = _places(options, manifest, source)
    there = [place for place in places.values() if place.exists() and not _unwritten(place)]
    if there and not options.replace:
        print(f"firegrid: {there[0]} is there already; --replace sets it aside")
        return REFUSED
    store = places[archive.STORE]
    store.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    lock = Lock(store)  # StoreLocked while a daemon runs
    try:
        forget_points(store)
        for name, place in places.items():
            private = name == archive.STORE or name in manifest.private
            _put(source / name, place, store.parent, private=private)
    finally:
        lock.release()
    print(f"restored: {store}, {manifest.record} record rows, made {manifest.made} by firegrid {manifest.firegrid}")
    for name in manifest.missing:
        print(f"not in the backup, put it there yourself: {name}")
    return GOOD


def _places(options: argparse.Namespace, manifest: archive.Manifest, source: Path) -> dict[str, Path]:
    """Return file of the backup → where it goes."""
    home = options.to or options.config.absolute().parent
    main = options.config.name if options.to is None else manifest.config
    places = {}
    for name in manifest.files:
        inside = Path(name)
        if inside.parts[0] == archive.CONFIGURATION:
            rest = Path(*inside.parts[1:])
            places[name] = home / (main if str(rest) == manifest.config else rest)
    if options.to is None:
        text = (source / archive.CONFIGURATION / manifest.config).read_text(encoding="utf-8-sig")
        given = tomllib.loads(text).get("store", {}).get("path", DEFAULT_STORE)
        places[archive.STORE] = home / given
    else:
        places[archive.STORE] = home / archive.STORE
    return places


def _unwritten(place: Path) -> bool:
    """Whether it is the package's configuration that nobody has written a station into yet."""
    try:
        return place.suffix == ".toml" and not tomllib.loads(place.read_text(encoding="utf-8-sig"))
    except ValueError:
        return False


def _put(source: Path, place: Path, home: Path, *, private: bool) -> None:
    """Put one file. What is private belongs to whoever has the store's folder, the rest to the folder it stands in."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    if parts(place):  # a WAL alone as well: SQLite would take it for that of the backup
        set_aside(place)
    folder = (home if private else place.parent).stat()
    owner = (folder.st_uid, folder.st_gid) if os.geteuid() == 0 else None
    archive.put(source, place, 0o600 if private else 0o640, owner)
