"""Bytes or messages of a device that no configuration has → what the station would store of it, as printable objects.

Pure; for `firegrid decode` and `listen`. The driver's own conversation, or the dialect itself, is made for one device
of the profile and fed, so that what is printed is what the daemon would keep, and a new driver, dialect or profile
needs no edit here (house rule 8). What such a conversation would answer or ask is thrown away: nothing was committed
(house rule 4). Its time stands still but for half frames, since nobody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec

from drivers import _profiles
from drivers._conversation import Conversation, Talking
from drivers._conversation import Said as Heard
from drivers._decode_bus import Passed
from drivers._decode_frames import line
from drivers._decode_modbus import frames_of, rows_of, slave_of
from drivers._decode_said import Names, Said, error, reading, told
from drivers._modbus_points import Slave
from gateway import registry
from gateway.clock import SystemClock
from gateway.errors import ConfigError, ProtocolViolation
from gateway.model.point import Device, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import MILLISECOND, SECOND
from gateway.transport.wires import WireOptions

SOURCE = "decode"
ADDRESSES = 64  # that one stream may speak for
_PATIENCE = 5 * SECOND  # half frames are given up within; what takes longer waits for somebody
_REMEMBERED = 64 * 1024  # bytes of a stream that are read again when a new address turns up
_MESSAGES = 256


class _Desk:
    """Memory and report of a conversation with nobody: all was warm since this `boot`, nothing is counted."""

    def __init__(self, boot: str) -> None:
        self._boot = boot

    def get(self, key: str) -> str | None:
        return self._boot if key.startswith("warm/") else None

    def put(self, key: str, value: str) -> None:
        del key, value

    def count(self, what: str, number: int = 1) -> None:
        del what, number

    def finding(self, key: str, text: str) -> None:
        del key, text

    def alive(self) -> None:
        pass


@cache
def speaks_on_wires(driver: str) -> bool:
    """Whether a driver holds conversations on a wire, whatever file it is in."""
    options = registry.options("source", driver) if driver in registry.names(registry.Group.DRIVER) else None
    return options is not None and issubclass(options, WireOptions)


def conversation(driver: str, devices: Sequence[Device], ids: Mapping[str, int], *, datagrams: bool) -> Conversation:
    """Return a driver's conversation with a peer, on no wire at all. Raises ConfigError as the driver does."""
    wire: dict[str, Any] = {"wire": "udp", "port": 1} if datagrams else {"wire": "serial", "port": SOURCE}
    clock = SystemClock()
    desk = _Desk(clock.boot())
    made = registry.driver(driver).create(
        DriverSetup(
            source=SourceSpec(id=SOURCE, driver=driver, options=wire),
            devices=devices,
            point_ids=ids,
            life_safety=frozenset(),
            clock=clock,
            memory=desk,
            report=desk,
        )
    )
    if not isinstance(made, Talking):
        raise ConfigError(f"driver {driver} holds no conversation on a wire")
    return made.talk(SOURCE)


class Stream:
    """One stream, or the datagrams of one peer, read as a profile says.

    Devices whose protocol wants an address are taken as they come: the first words of a new one are read again with
    it installed.

    Raises:
        ConfigError: the profile does not fit its driver.
    """

    def __init__(self, profile: Profile, *, datagrams: bool = False) -> None:
        self._profile = profile
        self._datagrams = datagrams
        self._now = SECOND
        self._history: deque[bytes] = deque()
        self._size = 0  # bytes in it
        self._address = _missing(profile)
        self._known: list[str] = []
        self._begin()

    def hear(self, data: bytes) -> list[Said]:
        """Return what some bytes complete."""
        self._now += MILLISECOND
        found = self._talk.hear(data, self._now, 0)
        fresh = dict.fromkeys(one.device for one in found if one.device and one.device not in self._ids_of)
        if self._address and fresh and len(self._known) < ADDRESSES:
            self._known += [name for name in fresh if name not in self._known]
            self._begin()
            for before in self._history:
                self._talk.hear(before, self._now, 0)
            found = self._talk.hear(data, self._now, 0)
        if self._address:
            self._history.append(data)
            self._size += len(data)
            while self._size > _REMEMBERED and len(self._history) > 1:
                self._size -= len(self._history.popleft())
        return self._told(found)

    def flush(self) -> list[Said]:
        """Return what is left when nothing more comes."""
        said: list[Said] = []
        end = self._now + _PATIENCE
        for _ in range(_MESSAGES):
            due = self._talk.due()
            if due > end:
                break
            self._now = max(due, self._now + MILLISECOND)
            said += self._told(one for one in self._talk.tick(self._now, 0) if one.frame)
        return said

    def _begin(self) -> None:
        devices = (
            [self._device(f"{self._profile.id}/{address}", {self._address: address}) for address in self._known]
            if self._address
            else [self._device(self._profile.id, {})]
        )
        ids = {f"@{SOURCE}.events": 0}
        self._names: dict[int, tuple[str, Any]] = {0: ("unknown", None)}
        self._ids_of = {device.id: device.id.partition("/")[2] for device in devices}
        for device in devices:
            for spec in self._profile.points:
                number = len(ids)
                ids[f"{device.id}.{spec.name}"] = number
                self._names[number] = self._profile.id, spec
        self._talk = conversation(self._profile.driver, devices, ids, datagrams=self._datagrams)

    def _device(self, name: str, options: dict[str, Any]) -> Device:
        return Device(id=name, source=SOURCE, profile=self._profile, options=options)

    def _told(self, found: Iterable[Heard]) -> list[Said]:
        said: list[Said] = []
        for one in found:
            lines = told(one.decoded, self._names)
            address = self._ids_of.get(one.device, one.device)
            if address and address != self._profile.id:
                lines = [{**line, "address": address} for line in lines]
            if not lines and one.frame:
                lines = [{"kind": "message", "protocol": self._profile.driver, "what": "heard", "raw": one.frame.hex()}]
            said += lines
        return said


class Polled:
    """A Modbus line on which somebody else talks, read with the register map of a profile."""

    def __init__(self, profile: Profile, protocol: str = "modbus_rtu") -> None:
        self._profile = profile
        self._device, self._ids, self._names = installed(profile, {})
        self._slaves: dict[int, Slave] = {}  # by address: one register says in which unit another one comes
        self._bus = line(protocol)

    def hear(self, data: bytes) -> list[Said]:
        """Return what some bytes complete: requests as they stand, replies as readings."""
        return [said for one in self._bus.feed(data) for said in self._said(one)]

    def flush(self) -> list[Said]:
        """Return what is left when nothing more comes."""
        said: list[Said] = []
        while self._bus.pending:
            said += [line for one in self._bus.drop() for line in self._said(one)]
        return said

    def _said(self, one: Passed) -> list[Said]:
        if one.what == "noise":
            return [error("noise", raw=one.frame)]
        if one.what == "request":
            return frames_of(one.frame)
        whole = one.frame if one.request is None else one.request.encode() + one.frame
        address = whole[0]
        slave = self._slaves.get(address) or slave_of(address, self._profile, self._ids, self._device)
        self._slaves[address] = slave
        try:
            rows = rows_of(whole, slave)
        except ProtocolViolation as why:
            return [*frames_of(whole)[-1:], error(str(why))]
        lines = [{**reading(row, self._names), "address": str(one.frame[0])} for row in rows]
        return lines or frames_of(whole)[-1:]


@lru_cache
def shipped() -> tuple[Profile, ...]:
    """Return all shipped profiles: some hundred files, read once."""
    return tuple(_profiles.profile(name) for name in _profiles.names())


def installed(profile: Profile, options: Mapping[str, Any]) -> tuple[Device, dict[str, int], Names]:
    """Return one device of a profile, its point ids, and the names that they have in print."""
    device = Device(id=profile.id, source=SOURCE, profile=profile, options=dict(options))
    ids = {f"{profile.id}.{spec.name}": number for number, spec in enumerate(profile.points, 1)}
    names: dict[int, tuple[str, Any]] = {0: ("unknown", None)}
    names |= {ids[f"{profile.id}.{spec.name}"]: (profile.id, spec) for spec in profile.points}
    return device, ids, names


def required_keys(profile: Profile) -> list[str]:
    """Return the keys that a `[[device]]` of this profile must have: those that no profile can know."""
    schema = registry.options("device", profile.driver)
    fields = () if schema is None else msgspec.structs.fields(schema)
    return [field.encode_name for field in fields if field.required and field.encode_name not in profile.options]


def _missing(profile: Profile) -> str:
    """Return the key of a device's address, where it must have one."""
    required = required_keys(profile)
    return required[0] if len(required) == 1 else ""
