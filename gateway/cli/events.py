"""`firegrid events`: what devices said, and what the house says of itself, oldest first."""

from __future__ import annotations

import argparse

from gateway.cli.main import GOOD, add_config
from gateway.cli.printing import open_reader, rfc3339, show, tell_begin, zone_of
from gateway.escalation.phrases import spoken
from gateway.model.batch import EventSeen


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `events` takes."""
    add_config(own)
    own.add_argument("--json", action="store_true", help="one JSON object a line")
    own.add_argument("--after", type=int, default=0, metavar="SEQ", help="only those after this number")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    reader, station = open_reader(options.config)
    with reader:
        tell_begin(reader)
        zone, clock = zone_of(station), reader.clock()
        chinese = station is None or station.language == "zh"
        names = {point: name.rpartition(".") for name, point in reader.points().items()}
        rows = (
            {
                "seq": entry.n,
                "device": names[entry.body.point][0],
                "point": names[entry.body.point][2],
                "key": entry.body.key,
                "code": entry.body.code.name.lower(),
                "text": entry.body.text if options.json else _told(entry.body, chinese=chinese),
                "time": rfc3339(entry.body.time or clock.wall(entry.boot, entry.body.at), zone),
                "raw": entry.body.raw.hex(),
                **({} if entry.body.registered else {"registered": False}),
                **({} if entry.body.ends is None else {"ends": entry.body.ends.name.lower()}),
            }
            for entry in reader.record(("event",), EventSeen, after=options.after)
        )
        show(rows, as_json=options.json, columns=("seq", "time", "device", "key", "code", "text"))
    return GOOD


def _told(event: EventSeen, *, chinese: bool) -> str:
    """Return what a person reads of an event: also that no configuration knows where it comes from."""
    text = spoken(event.text, chinese=chinese)
    return text if event.registered else f"{text}（未登记）" if chinese else f"{text} (not registered)"
