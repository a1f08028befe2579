"""Whether every driver and channel takes its part of the configuration, and what stands in for one that does not.

Used by the composition root: `misfits` before anything starts (`check`, first start), `driver` and `channel` when a
station is put together. Keeps house section 7: what one plug-in refuses (a password file others may read by now, a
register that is none) costs that one and is a fault alarm, never the start of a station that has run before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

from gateway import registry
from gateway.clock import Clock, SystemClock
from gateway.errors import ConfigError, DeliveryError, DriverFatal
from gateway.model.point import Point
from gateway.model.ports import Channel, ChannelSetup, Driver, DriverSetup
from gateway.model.station import Station


class Unusable:
    """In place of a driver or a channel (both ports) that refuses its configuration."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def run(self, _: object) -> NoReturn:
        """Raise DriverFatal: the supervisor makes a fault alarm of it."""
        raise DriverFatal(self._reason)

    async def write(self, device: str, point: str, value: float) -> NoReturn:
        """Refuse. Raises DeliveryError."""
        raise DeliveryError(f"{device}.{point} = {value:g}: {self._reason}", retryable=False)

    async def send(self, notice: object) -> NoReturn:  # noqa: ARG002 - the port names it
        """Refuse, so that the next way is tried. Raises DeliveryError."""
        raise DeliveryError(self._reason, retryable=False)

    def accepted(self, token: str) -> None:
        """Nothing comes back by this way."""


def driver(setup: DriverSetup) -> Driver:
    """Make a driver, or what stands in for it."""
    try:
        made: Driver = registry.driver(setup.source.driver).create(setup)
    except ConfigError as error:
        return Unusable(str(error))
    return made


def channel(setup: ChannelSetup) -> Channel:
    """Make a channel, or what stands in for it."""
    try:
        made: Channel = registry.channel(setup.spec.kind).create(setup)
    except ConfigError as error:
        return Unusable(str(error))
    return made


def misfits(station: Station, ids: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield (key of the configuration, reason) of all that drivers and channels refuse. `ids` as in `DriverSetup`."""
    blank, clock = Blank(), SystemClock()
    for source in station.sources:
        devices = [device for device in station.devices if device.source == source.id]
        setup = DriverSetup(
            source=source,
            devices=devices,
            point_ids=ids,
            life_safety=frozenset(),
            clock=clock,
            memory=blank,
            report=blank,
            limits=station.limits,
            station=station.id,
        )
        try:
            registry.driver(source.driver).create(setup)
        except ConfigError as error:
            yield from (_placed(line, f"source[{source.id}]") for line in str(error).splitlines())
    yield from _refused_channels(station, blank, clock)


def unknown_names(station: Station, points: Mapping[int, Point]) -> Iterator[tuple[str, str, str]]:
    """Yield (key, reason, nearest name or nothing) of what a sink names and the station has not.

    Asks each sink's own `misfits`, where its file has one; at run it does without such a name.
    """
    people = [contact.id for contact in station.contacts]
    for spec in station.sinks:
        ask = getattr(registry.sink(spec.kind), "misfits", None)
        for key, reason, alike in ask(spec, points, people) if ask else ():
            yield f"sink[{spec.id}].{key}", reason, alike


def _refused_channels(station: Station, blank: Blank, clock: Clock) -> Iterator[tuple[str, str]]:
    for spec in station.channels:
        setup = ChannelSetup(spec=spec, clock=clock, memory=blank, report=blank, write=blank.write)
        try:
            registry.channel(spec.kind).create(setup)
        except ConfigError as error:
            yield f"channel[{spec.id}]", str(error)


def _placed(line: str, otherwise: str) -> tuple[str, str]:
    """Return (key, reason) of one line of a driver's ConfigError: `device d: reason` is placed at the device."""
    owner, _, reason = line.partition(": ")
    kind, _, name = owner.partition(" ")
    return (f"{kind}[{name}]", reason) if kind in ("device", "source") and reason else (otherwise, line)


class Blank:
    """Memory, report and outputs of a trial: remembers nothing."""

    def get(self, key: str) -> None:
        """Know nothing."""

    def put(self, key: str, value: str) -> None:
        """Forget it."""

    def count(self, what: str, number: int = 1) -> None:
        """Forget it."""

    def finding(self, key: str, text: str) -> None:
        """Forget it."""

    def alive(self) -> None:
        """Forget it."""

    async def write(self, device: str, point: str, value: float) -> None:
        """Set nothing."""
