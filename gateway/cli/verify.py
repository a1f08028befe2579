"""`firegrid verify`: whether the record was changed afterwards, beside the running daemon, in slices with progress."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gateway.app import DEFAULT_STORE, read
from gateway.cli.main import FAILED, GOOD, add_config
from gateway.cli.meter import Meter
from gateway.cli.printing import begins
from gateway.store import chain

OTHERWISE = "rows were removed at its end, it is of a year that was removed, or of another station"


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `verify` takes."""
    add_config(own)
    own.add_argument("--store", type=Path, metavar="FILE", help="a store (default: the configuration's)")
    own.add_argument("--head", default="", metavar="HASH", help="a head kept from before: must be one of the rows")
    own.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """Check from the first row to the last; 1 when a row was changed."""
    store = options.store
    if store is None:
        loaded = read(options.config)
        spec = loaded.station.store if loaded.station else loaded.store
        store = Path(spec.path if spec else DEFAULT_STORE)
    meter: Meter | None = None

    def progress(rows: int, most: int) -> None:
        nonlocal meter
        meter = meter or Meter("checked", most)
        meter.reach(rows)

    checked = chain.check(store, progress, known=options.head)
    if meter is not None:
        meter.end()
    good = checked.broken is None and (not options.head or checked.known)
    gone = checked.removal
    if options.json:
        told = {"rows": checked.rows, "head": checked.head, "broken": checked.broken, "good": good}
        begin = {"first": checked.begin.n + 1, "before": checked.begin.hash.hex()}
        print(json.dumps({**told, **begin, "removed_through": gone.through if gone else None}))
    elif checked.broken is not None:
        print(f"the chain breaks at record row {checked.broken}: changed or damaged; keep the file as evidence")
    elif not good:
        print("the head you kept is not in this record: " + OTHERWISE)
    else:
        print(f"{checked.rows} record rows, unchanged; head {checked.head}")
        if gone is not None:
            print(f"{begins(gone.through, checked.begin.n + 1)}; the last of these has hash {gone.hash.hex()}")
    return GOOD if good else FAILED
