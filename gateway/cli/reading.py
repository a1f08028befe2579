"""`firegrid readings`: what points measured, from chunks and journal together."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fnmatch import fnmatchcase

from gateway.cli.main import GOOD, add_config
from gateway.cli.printing import Row, number, open_reader, rfc3339, show, zone_of
from gateway.model.quality import describe
from gateway.model.station import Station
from gateway.store.read import Reader


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `readings` takes."""
    add_config(own)
    own.add_argument("--json", action="store_true", help="one JSON object a line")
    own.add_argument("--point", default="*", help="glob over device.point (default: all)")
    own.add_argument("--last", type=int, default=0, metavar="N", help="only the newest N of each point")


def run(options: argparse.Namespace) -> int:
    """Print them in the order in which they came, point by point."""
    reader, station = open_reader(options.config)
    with reader:
        columns = ("time", "device", "point", "value", "unit", "quality")
        show(_rows(reader, station, options.point, options.last), as_json=options.json, columns=columns)
    return GOOD


def _rows(reader: Reader, station: Station | None, glob: str, last: int) -> Iterator[Row]:
    units = {
        f"{device.id}.{spec.name}": spec.unit
        for device in (station.devices if station else ())
        for spec in device.profile.points
    }
    zone = zone_of(station)
    for name, point in reader.points().items():
        if not fnmatchcase(name, glob):
            continue
        series = reader.readings(point)
        device, _, short = name.rpartition(".")
        first = max(0, len(series) - last) if last else 0
        for row in range(first, len(series)):
            yield {
                "device": device,
                "point": short,
                "time": rfc3339(int(series.time[row]), zone),
                "value": number(float(series.value[row])),
                "unit": units.get(name, ""),
                "quality": describe(int(series.quality[row])),
            }
