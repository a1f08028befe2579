"""Objects of application data units of GB/T 26875.3-2011, clauses 8.2 (up) and 8.3 (down): what stands on the wire.

Pure, read and written by `gateway.protocols.gb26875_units`. Code numbers have their names in
`gateway.protocols.gb26875_tables`; texts are raw GB 18030 and times raw 6-byte tags, so that nothing is lost and an
impossible date refuses no fire (house section 6).
"""

from __future__ import annotations

import msgspec

NO_TIME = bytes(6)


class SystemStatus(msgspec.Struct, frozen=True, gc=False):
    """Type 1. `status` 16 bits (table 5.1 of the sheet: normal, fire, fault …)."""

    system: int
    address: int
    status: int
    time: bytes = NO_TIME


class ComponentStatus(msgspec.Struct, frozen=True, gc=False):
    """Type 2. `place` is the 4-byte component address; `description` at most 31 bytes of GB 18030."""

    system: int
    address: int
    component: int
    place: int
    status: int
    description: bytes = b""
    time: bytes = NO_TIME


class Analog(msgspec.Struct, frozen=True, gc=False):
    """Type 3. `value` is signed, to be multiplied by the step of `quantity`."""

    system: int
    address: int
    component: int
    place: int
    quantity: int
    value: int
    time: bytes = NO_TIME


class Operation(msgspec.Struct, frozen=True, gc=False):
    """Type 4: what a person did at the facility. `flags` 8 bits."""

    system: int
    address: int
    flags: int
    operator: int
    time: bytes = NO_TIME


class SystemVersion(msgspec.Struct, frozen=True, gc=False):
    """Type 5."""

    system: int
    address: int
    main: int
    minor: int


class SystemConfig(msgspec.Struct, frozen=True, gc=False):
    """Type 6. `text` at most 255 bytes of GB 18030."""

    system: int
    address: int
    text: bytes


class ComponentConfig(msgspec.Struct, frozen=True, gc=False):
    """Type 7."""

    system: int
    address: int
    component: int
    place: int
    description: bytes


class SystemTime(msgspec.Struct, frozen=True, gc=False):
    """Type 8."""

    system: int
    address: int
    time: bytes


class DeviceStatus(msgspec.Struct, frozen=True, gc=False):
    """Type 21. `status` 8 bits; some devices leave the time out (b"")."""

    status: int
    time: bytes = NO_TIME


class DeviceOperation(msgspec.Struct, frozen=True, gc=False):
    """Type 24: what a person did at the transmission device."""

    flags: int
    operator: int
    time: bytes = NO_TIME


class DeviceVersion(msgspec.Struct, frozen=True, gc=False):
    """Type 25."""

    main: int
    minor: int


class DeviceConfig(msgspec.Struct, frozen=True, gc=False):
    """Type 26."""

    text: bytes


class DeviceTime(msgspec.Struct, frozen=True, gc=False):
    """Type 28."""

    time: bytes


class ReadSystem(msgspec.Struct, frozen=True, gc=False):
    """Types 61, 65, 66, 68."""

    system: int
    address: int


class ReadComponent(msgspec.Struct, frozen=True, gc=False):
    """Types 62, 63, 67: without component type."""

    system: int
    address: int
    place: int


class ReadOperations(msgspec.Struct, frozen=True, gc=False):
    """Type 64: `number` records (at most 102) from `since` on."""

    system: int
    address: int
    number: int
    since: bytes


class ReadDevice(msgspec.Struct, frozen=True, gc=False):
    """Types 81, 85, 86, 88, and 89 (initialise): one reserved byte."""

    reserved: int = 0


class ReadDeviceOperations(msgspec.Struct, frozen=True, gc=False):
    """Type 84."""

    number: int
    since: bytes


class SetTime(msgspec.Struct, frozen=True, gc=False):
    """Type 90: the centre's time."""

    time: bytes


class DutyCheck(msgspec.Struct, frozen=True, gc=False):
    """Type 91 (查岗): minutes allowed for the answer."""

    minutes: int


Object = (
    SystemStatus
    | ComponentStatus
    | Analog
    | Operation
    | SystemVersion
    | SystemConfig
    | ComponentConfig
    | SystemTime
    | DeviceStatus
    | DeviceOperation
    | DeviceVersion
    | DeviceConfig
    | DeviceTime
    | ReadSystem
    | ReadComponent
    | ReadOperations
    | ReadDevice
    | ReadDeviceOperations
    | SetTime
    | DutyCheck
)
