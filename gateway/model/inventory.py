"""Every point of a station by its durable name `device.point`, the house's own event points among them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model.point import Kind, Point, PointSpec
from gateway.model.station import Station

OWN = "@gateway"  # the device whose faults are the gateway's own
BOX = "gateway"  # the device whose points are the health of the box it runs on
EVENTS = PointSpec(name="events", kind=Kind.TEXT)


def events_of(device: str) -> str:
    """Return the name of a device's event point; `@<source>` is the source itself."""
    return f"{device}.{EVENTS.name}"


def names_of(station: Station) -> list[str]:
    """Return the name of every point, the gateway's and its sources' own event points first."""
    own = [events_of(OWN), *(events_of(f"@{source.id}") for source in station.sources)]
    return own + [f"{device.id}.{spec.name}" for device in station.devices for spec in device.profile.points]


def renames_of(station: Station) -> dict[str, str]:
    """Return new name → old name of the points of every renamed device (`was`)."""
    return {
        f"{device.id}.{spec.name}": f"{device.was}.{spec.name}"
        for device in station.devices
        if device.was
        for spec in device.profile.points
    }


def numbered(station: Station) -> dict[str, int]:
    """Return ids from 1 for a station whose store cannot give durable ones."""
    return {name: number for number, name in enumerate(names_of(station), 1)}


def points_of(station: Station, ids: Mapping[str, int]) -> list[Point]:
    """Return every point of a station; `ids` has all of `names_of`."""
    points = [Point(ids[events_of(OWN)], OWN, EVENTS, "")]
    points += [Point(ids[events_of(f"@{s.id}")], f"@{s.id}", EVENTS, s.cell) for s in station.sources]
    points += [
        Point(ids[f"{device.id}.{spec.name}"], device.id, spec, device.cell)
        for device in station.devices
        for spec in device.profile.points
    ]
    return points
