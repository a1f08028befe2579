"""What the live page may look at: the living house as the composition root hands it over.

Between `gateway.annex` and the rest of `gateway.web`. Everything is read in the loop's thread from RAM; nothing here is
changed from here but by acts on the intake (house rule 1 and section 2).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.clock import SECOND, Clock
from gateway.model.contact import Contact
from gateway.model.inventory import points_of
from gateway.model.point import Device, Point
from gateway.model.ports import Memory
from gateway.model.station import PageSpec, Station
from gateway.model.walktest import Subject, subjects_of
from gateway.pipeline.run import Runner
from gateway.pipeline.step import State
from gateway.pipeline.supervisor import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One station as the page sees it.

    `ids` maps `device.point` to durable ids; `memory` survives restarts; `life`: devices that must alarm
    in a walk test.
    """

    station: Station
    ids: Mapping[str, int]
    runner: Runner
    clock: Clock
    links: Callable[[], Iterable[Health]]
    memory: Memory
    life: Collection[str] = ()
    devices: Mapping[str, Device] = field(init=False)
    people: Mapping[str, Contact] = field(init=False)
    points: Mapping[int, Point] = field(init=False)
    zone: ZoneInfo = field(init=False)

    def __post_init__(self) -> None:
        """Index what is looked up by id."""
        put = object.__setattr__
        put(self, "devices", {device.id: device for device in self.station.devices})
        put(self, "people", {contact.id: contact for contact in self.station.contacts})
        put(self, "points", {point.id: point for point in points_of(self.station, self.ids)})
        put(self, "zone", ZoneInfo(self.station.timezone))

    @property
    def spec(self) -> PageSpec:
        """Return the page's own configuration."""
        return self.station.page or PageSpec()

    @property
    def state(self) -> State:
        """Return the state that the step decides on."""
        return self.runner.state

    def moment(self, mono: int, form: str = "%H:%M:%S") -> str:
        """Return a moment (ns, station axis) as the station's clock shows it; empty while wall time is not trusted."""
        axis = self.state.axis
        if not axis.trusted:
            return ""
        return datetime.fromtimestamp((mono + axis.offset) / SECOND, tz=UTC).astimezone(self.zone).strftime(form)

    def subjects(self, cell: str) -> tuple[Subject, ...]:
        """Return the devices of a cell and of all below it, for a walk test. Raises LookupError: no such cell."""
        return subjects_of(self.station, self.ids, self.life, (cell,))

    def device_name(self, device: str) -> str:
        """Return a device's name for people."""
        known = self.devices.get(device)
        return (known.name or known.id) if known else device

    def person(self, who: str) -> str:
        """Return a person's name for people."""
        known = self.people.get(who)
        return (known.name or known.id) if known else who
