"""Fire panels of tests: devices of the shipped profiles, their conversations, and what these said."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from drivers._conversation import Said
from drivers._panel_device import Installed, dialect_of, install
from drivers._profiles import names, profile
from drivers.panel_serial import Options, PanelTalk
from gateway.clock import SystemClock
from gateway.model.batch import Event, EventCode
from gateway.model.point import Device, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from tests.channel_rigs import Notes

EVENTS, STRANGER = 10, 1


@lru_cache
def shipped() -> dict[str, Profile]:
    """Return the profiles by their dialects."""
    return {one.options["dialect"]: one for one in map(profile, names()) if one.driver == "panel_serial"}


def device(dialect: str, name: str = "it", **options: Any) -> Device:  # noqa: ANN401 - keys of any type
    """Return a panel as it is configured."""
    return Device(id=name, source="src", profile=shipped()[dialect], options=options)


def panel(dialect: str, name: str = "it", point: int = EVENTS, **options: Any) -> Installed:  # noqa: ANN401 - likewise
    """Return a panel as it is installed."""
    return install(device(dialect, name, **options), {f"{name}.events": point})


def talk(dialect: str, *, keys: dict[str, Any] | None = None, **options: Any) -> PanelTalk:  # noqa: ANN401 - likewise
    """Return a conversation with one panel. `keys`: of the source; `options`: of the device."""
    source = msgspec.convert({"wire": "tcp_client", "port": 4001, "host": "h", **(keys or {})}, Options)
    return PanelTalk(dialect_of(dialect), [panel(dialect, **options)], STRANGER, source)


def told(said: list[Said]) -> list[Event]:
    """Return the events."""
    return [event for one in said for event in one.decoded.events]


def codes(said: list[Said]) -> list[tuple[str, EventCode]]:
    """Return key and code of the events."""
    return [(event.key, event.code) for event in told(said)]


class Findings(Notes):
    """Notes that keep remarks."""

    said = ""

    def finding(self, key: str, text: str) -> None:
        """Keep it."""
        self.said += f"{key}: {text}"


def setup(*devices: Device, **options: object) -> tuple[DriverSetup, Findings]:
    ids = {"@src.events": STRANGER} | {f"{one.id}.events": number for number, one in enumerate(devices, EVENTS)}
    notes = Findings()
    made = DriverSetup(
        source=SourceSpec(id="src", driver="panel_serial", options={"wire": "serial", "port": "/dev/x", **options}),
        devices=devices,
        point_ids=ids,
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=notes,
        report=notes,
    )
    return made, notes
