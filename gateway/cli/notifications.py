"""`firegrid notifications`: every notice, whom it went to and how far it got."""

from __future__ import annotations

import argparse

from gateway.cli.main import GOOD, add_config
from gateway.cli.printing import open_reader, rfc3339, show, tell_begin, zone_of


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `notifications` takes."""
    add_config(own)
    own.add_argument("--json", action="store_true", help="one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Print them by number."""
    reader, station = open_reader(options.config)
    with reader:
        tell_begin(reader)
        zone, clock = zone_of(station), reader.clock()
        rows = (
            {
                "id": (notice := entry.body).id,
                "alarm": notice.alarm,
                "contact": notice.contact,
                "channel": notice.channel,
                "reason": notice.reason.value,
                "state": notice.state.value,
                "repeat": notice.repeat,
                "recorded": notice.recorded,
                "times": {
                    name: rfc3339(clock.wall(entry.boot, getattr(notice, f"{name}_at")), zone)
                    for name in ("planned", "sending", "sent", "done")
                    if getattr(notice, f"{name}_at")
                },
                "failure": notice.failure,
                "text": notice.text,
            }
            for entry in reader.notifications()
        )
        show(rows, as_json=options.json, columns=("id", "alarm", "contact", "channel", "reason", "state", "text"))
    return GOOD
