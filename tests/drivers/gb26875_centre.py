"""The centre's side with one peer, by hand, and that peer: for tests of `drivers.gb26875`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers._conversation_said import Said
from drivers._gb26875_device import Directory, Speaker, install
from drivers._gb26875_talk import Centre
from drivers._profiles import profile, tailor
from drivers.simulated.gb26875 import NORMAL, Transmitter, TransmitterFault
from gateway.clock import Clock
from gateway.model.batch import Event, Mark
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import SECOND
from gateway.protocols.gb26875 import Frame, Frames
from tests.channel_rigs import Notes

NOW = 1_000 * SECOND
WALL = 1_790_000_000 * SECOND
SOURCE_EVENTS = 99
CHINA = 8 * 3600
SMOKE = (1, 1, 2 << 16 | 10)  # system, address, component: loop 2, point 10
KEY = "1/1/2/10"
CASES = Path(__file__).parents[1] / "cases" / "gb26875"
QUIET: dict[str, Any] = {"ask_state": False, "set_time": False, "check": 0}


def cases(name: str) -> list[dict[str, Any]]:
    """Return the golden frames of a file."""
    found: list[dict[str, Any]] = tomllib.loads((CASES / name).read_text(encoding="utf-8"))["frame"]
    return found


def device(**faults: Any) -> Transmitter:  # noqa: ANN401 - fields of a fault
    """Return a device with one smoke detector, at `SMOKE`."""
    far = Transmitter(889, centre=1, fault=TransmitterFault(**faults))
    far.systems[1, 1] = NORMAL
    far.components[SMOKE] = (40, NORMAL, "三层走廊")
    return far


def installed(number: int | str = "", name: str = "d", points: Mapping[str, Any] = {}, **options: object) -> Speaker:
    """Install a device of the shipped profile, by default one that is never asked anything."""
    known = tailor(profile("gb26875-transmitter"), points)
    device = Device(id=name, source="s", profile=known, options={**QUIET, "address": number, **options})
    ids = {f"{name}.{spec.name}": place for place, spec in enumerate(known.points, 1)}
    return install(device, ids, SOURCE_EVENTS)


def centre(*speakers: Speaker, **how: Any) -> Centre:  # noqa: ANN401 - keys of Centre
    """Return a conversation that knows these devices."""
    return Centre(Directory(speakers, SOURCE_EVENTS), **how)


def setup_of(
    *numbers: int | str,
    clock: Clock,
    notes: Notes,
    marks: Sequence[Mark] = (),
    device: Mapping[str, Any] = QUIET,
    wall: Callable[[], int] | None = None,
    **wire: Any,  # noqa: ANN401 - TOML values
) -> DriverSetup:
    """Return what the driver is given: devices d0, d1 … of these addresses."""
    known = profile("gb26875-transmitter")
    devices = [
        Device(id=f"d{place}", source="src", profile=known, options={**device, "address": number})
        for place, number in enumerate(numbers)
    ]
    names = ["@src.events", *(f"{one.id}.{spec.name}" for one in devices for spec in known.points)]
    return DriverSetup(
        source=SourceSpec(id="src", driver="gb26875", options={"wire": "tcp_server", "port": 1, **wire}),
        devices=devices,
        point_ids={name: place for place, name in enumerate(names)},
        life_safety=frozenset(one.id for one in devices),
        clock=clock,
        memory=notes,
        report=notes,
        station="s",
        marks=marks,
        wall=wall,
    )


def events(said: list[Said]) -> list[Event]:
    """Return all events, in order."""
    return [event for one in said for event in one.decoded.events]


def told(said: list[Said]) -> list[tuple[str, str]]:
    """Return (code, key) of all events."""
    return [(event.code.name, event.key) for event in events(said)]


def problems(said: list[Said]) -> list[str]:
    """Return everything that is counted."""
    return [problem for one in said for problem in one.decoded.problems]


def frame_in(data: bytes) -> Frame:
    """Return the one frame that these bytes are."""
    [found] = Frames().feed(data)
    assert isinstance(found, Frame)
    return found


def frames_in(said: list[Said]) -> list[Frame]:
    """Return what the centre sends by itself or at once."""
    return [frame_in(one.at_once) for one in said if one.at_once]
