"""What a Modbus bus is made of: the keys of its tables, checked, and one `Unit` per device.

Read once, before the port is opened; used by `drivers.modbus_rtu` and `drivers.modbus_tcp`. Keeps house section 11
(every problem is listed at once) and section 13: what a `[[device]]` does not say comes from its profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import msgspec

from drivers._bus_plan import Patience, Poll, Urgency
from drivers._installing import options_of, read_each
from drivers._modbus_master import Manners, wire_seconds
from drivers._modbus_points import Block, Slave
from drivers._warmth import Power, Warmth
from gateway.config.quantities import Seconds
from gateway.errors import ConfigError
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.time import HOUR, MILLISECOND, SECOND

SLOW_POLL = 60.0  # s; polls this rare give way to others
USUAL_DELAY = 20 * MILLISECOND  # before most devices answer
USUAL_TIMEOUT = 0.3  # s; a longer one says that the device is slow

Keys = TypeVar("Keys", bound=msgspec.Struct)


class SerialOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "modbus_rtu"`.

    `echo`: the adapter gives back what we send. `framing`: the devices speak Modbus ASCII.
    """

    port: str
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 9600
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    echo: bool = False
    framing: Literal["rtu", "ascii"] = "rtu"


class TcpOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "modbus_tcp"`.

    `framing`: "rtu" or "ascii" where a serial server passes the bytes of a bus through; `baudrate` is then that of the
    bus. `delay`: what the network, and a gateway in it, may add to a device's own time.
    """

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu", "ascii"] = "tcp"
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 9600
    delay: Annotated[Seconds, msgspec.Meta(ge=0, le=10)] = 0.2


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of a `[[device]]` on such a source; what is not given comes from the profile's options of the same name.

    `power`: of a device that warms up (`preheat`), see `drivers._warmth`.
    """

    address: Annotated[int, msgspec.Meta(ge=1, le=255)]
    timeout: Annotated[Seconds, msgspec.Meta(gt=0, le=10)] = 0.3
    gap: Annotated[Seconds, msgspec.Meta(ge=0, le=10)] = 0.0
    min_poll: Annotated[Seconds, msgspec.Meta(ge=0)] = 0.0
    block: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 1
    holes: Annotated[int, msgspec.Meta(ge=0, le=2000)] = 0
    wake: str = ""
    wake_delay: Annotated[Seconds, msgspec.Meta(ge=0, le=10)] = 0.0
    power: Power = "shared"


@dataclass(slots=True)
class Unit:
    """A device with its manners, and what is known of it just now."""

    slave: Slave
    manners: Manners
    patience: Patience
    warmth: Warmth
    warm: bool = True  # else its readings are BAD preheat


def read_setup(
    setup: DriverSetup, keys: type[Keys], slack: Callable[[Keys], float] = lambda _: 0.0
) -> tuple[Keys, list[Unit]]:
    """Check everything that a source and its devices say; `slack` is added to every device's worst answer time, s.

    Raises:
        ConfigError: every wrong option, register or address, one a line.
    """
    problems: list[str] = []
    options: Keys | None = None
    try:
        options = msgspec.convert(setup.source.options, keys)
    except msgspec.ValidationError as error:
        problems.append(f"source {setup.source.id}: {error}")
    worst = 0.0 if options is None else slack(options)
    found, wrong = read_each(setup, lambda device, ids: _unit(device, ids, worst, setup))
    units = list(found.values())
    problems += wrong + _shared_addresses(units)
    if problems or options is None:
        raise ConfigError("\n".join(problems))
    return options, units


def schedule(unit: Unit, place: int, block: Block, *, baudrate: int, life_safety: bool) -> Poll:
    """Return how often a block is asked for and what that costs the line."""
    poll = unit.slave.device.poll
    wire = wire_seconds(block.request, baudrate, unit.manners.silence) + unit.manners.wake_delay
    urgency = Urgency.SLOW if poll >= SLOW_POLL else Urgency.NORMAL
    return Poll(
        device=place,
        period=HOUR if block.hourly else round(poll * SECOND),
        cost=round(wire * SECOND) + unit.patience.usual,
        urgency=Urgency.ALARM if life_safety else urgency,
    )


def _unit(device: Device, ids: Mapping[str, int], slack: float, setup: DriverSetup) -> Unit:
    own = options_of(device, DeviceOptions, strict=True)
    if device.poll <= 0:
        raise ValueError(f"poll = {device.poll:g} s; it must be above 0 s")
    slave = Slave(device, own.address, ids, block=own.block, holes=own.holes)
    try:
        wake = bytes.fromhex(own.wake)
    except ValueError:
        raise ValueError(f'wake = "{own.wake}" is no hexadecimal; write bytes as "8F" or "8F 00"') from None
    manners = Manners(worst=own.timeout + slack, silence=own.gap, wake=wake, wake_delay=own.wake_delay)
    worst = round((own.timeout + slack) * SECOND)
    usual = USUAL_DELAY if own.timeout <= USUAL_TIMEOUT else worst // 4
    patience = Patience(worst=worst, usual=usual, gap=round(own.min_poll * SECOND))
    return Unit(slave, manners, patience, Warmth(device, setup, own.power))


def _shared_addresses(units: Sequence[Unit]) -> list[str]:
    """Find addresses set twice. Devices on channels of one module share its address, and no register."""
    owners: dict[tuple[int, int, int], str] = {}
    problems = []
    for unit in units:
        own, address = unit.slave.device.id, unit.slave.address
        places = [(address, one.decode.fc, one.decode.address) for one in unit.slave.fields]
        other = next((owners[place] for place in places if place in owners), "")
        if other:
            problems.append(f"device {own}: address {address} is taken by {other}")
        owners.update(dict.fromkeys(places, own))
    return problems
