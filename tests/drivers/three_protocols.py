"""The three protocols that many devices speak over any wire, so that one test can ask the same of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from drivers import gb26875, hj212, sl651
from drivers._conversation import Talking
from drivers.simulated.gb26875 import FIRE, Transmitter
from drivers.simulated.hj212 import Logger
from drivers.simulated.sl651 import Station
from gateway.clock import Clock
from gateway.model.point import Device, Kind, PointSpec, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import SECOND
from gateway.protocols.hj212_packet import Factor
from tests.channel_rigs import Notes

WALL = 1_790_000_000  # s


class Far(Protocol):
    """A device: what it has said and nobody has answered, by whatever tells that apart."""

    @property
    def unanswered(self) -> dict[Any, Any]:
        """What it would repeat."""

    def hear(self, data: bytes, wall: int) -> bytes:
        """Take an answer."""


def _gb26875(far: Any, number: int) -> bytes:  # noqa: ANN401 - each protocol's own
    return bytes(far.change((1, 1, number), FIRE, (WALL + number) * SECOND))


def _sl651(far: Any, number: int) -> bytes:  # noqa: ANN401 - as above
    far.values["Z"] = number / 100
    return bytes(far.report((WALL + number) * SECOND))


def _hj212(far: Any, number: int) -> bytes:  # noqa: ANN401 - as above
    return bytes(far.report([Factor("v", {"Rtd": str(number)})], (WALL + number) * SECOND))


@dataclass(frozen=True)
class Spoken:
    """A protocol. `far` makes the device of a number, `says` its report of a number: always another one.

    `key` is what a device is called in the configuration, `point` the one point of which it tells.
    """

    create: Callable[[DriverSetup], Talking]
    far: Callable[[int], Far]
    says: Callable[[Far, int], bytes]
    key: Callable[[int], dict[str, Any]]
    point: PointSpec

    def setup(self, clock: Clock, notes: Notes, devices: dict[str, int], **wire: object) -> DriverSetup:
        """Return what the driver is given: devices by name and number, their points from 1 on."""
        profile = Profile(id="it-type", title="", points=(self.point,), driver="x")
        return DriverSetup(
            source=SourceSpec(id="src", driver="x", options={"port": 1, **wire}),
            devices=[
                Device(id=name, source="src", profile=profile, options=self.key(number))
                for name, number in devices.items()
            ],
            point_ids={
                "@src.events": 0,
                **{f"{name}.{self.point.name}": place for place, name in enumerate(devices, 1)},
            },
            life_safety=frozenset(devices),
            clock=clock,
            memory=notes,
            report=notes,
            station="s",
        )


PROTOCOLS = {
    "gb26875": Spoken(
        gb26875.create,
        Transmitter,
        _gb26875,
        lambda number: {"address": number, "ask_state": False, "set_time": False, "check": 0},
        PointSpec(name="events", kind=Kind.TEXT),
    ),
    "sl651": Spoken(
        sl651.create,
        lambda number: Station(f"{number:010}", values={"Z": 0.0}),
        _sl651,
        lambda number: {"address": f"{number:010}"},
        PointSpec(name="v", unit="m", decode={"element": "Z"}),
    ),
    "hj212": Spoken(
        hj212.create,
        lambda number: Logger(str(number)),
        _hj212,
        lambda number: {"mn": str(number)},
        PointSpec(name="v", unit="m", decode={"code": "v"}),
    ),
}
