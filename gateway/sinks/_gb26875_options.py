"""Keys of a `[[sink]]` with `kind = "gb26875_uplink"`, beside `gateway.sinks.gb26875_uplink`.

Keeps house section 13: nothing but the centre's host and port has to be written, everything has a default.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.config.quantities import Seconds
from gateway.protocols.gb26875 import UNIT_LIMIT

Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Address = Annotated[int, msgspec.Meta(ge=0, le=(1 << 48) - 1)]
Place = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
Bit = Literal["fire", "fault", "disabled", "supervisory", "none"]


class ComponentOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one point is told, in `components`: its system (table 4), type (table 5), address and description."""

    system: Byte | None = None
    system_address: Byte | None = None
    type: Byte | None = None
    address: Place | None = None
    name: str = ""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[sink]]` with `kind = "gb26875_uplink"`.

    `address`, `centre`: our own 6-byte number and the centre's. `timeout`: of one try, at most the standard's 10 s.
    `heartbeat`: after so long without a word a heartbeat, 0: none. `running_bit`: alarms are told with bit 0 set as
    well. `login`, `heartbeat_unit`: hex of a maker's unit. `analogs`: points told as values (type 3), each `every`.
    """

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    wire: Literal["tcp", "udp"] = "tcp"
    address: Address = 1
    centre: Address = 0
    user_version: Byte = 1
    system_type: Byte = 1
    system_address: Byte = 1
    components: dict[str, ComponentOptions] = {}
    classes: dict[Literal["fire", "gas", "flood", "supervisory", "fault", "maintenance"], Bit] = {}
    operators: dict[str, Byte] = {}
    analogs: tuple[str, ...] = ()
    every: Annotated[Seconds, msgspec.Meta(ge=1)] = 60.0
    timeout: Annotated[Seconds, msgspec.Meta(gt=0, le=10)] = 10.0
    heartbeat: Annotated[Seconds, msgspec.Meta(ge=0)] = 60.0
    heartbeat_unit: str = ""
    heartbeat_command: Byte = 2
    login: str = ""
    running_bit: bool = False
    utc_offset: str = "+08:00"

    def __post_init__(self) -> None:
        """Refuse what is no hex, no zone, or an address given twice. Raises ValueError."""
        for key in ("login", "heartbeat_unit"):
            try:
                unit = bytes.fromhex(getattr(self, key))
            except ValueError:
                raise ValueError(f'{key}: hex digits, like "16"') from None
            if len(unit) > UNIT_LIMIT:
                raise ValueError(f"{key}: at most {UNIT_LIMIT} bytes")
        offset_of(self.utc_offset)


def offset_of(text: str) -> int:
    """Return the s east of UTC that `+08:00` means. Raises ValueError."""
    hours, colon, minutes = text[1:].partition(":")
    if text[:1] not in ("+", "-") or not colon or not (hours + minutes).isdecimal() or len(hours + minutes) != 4:
        raise ValueError(f'utc_offset = {text!r}; write it as "+08:00"')
    seconds = int(hours) * 3600 + int(minutes) * 60
    if int(minutes) > 59 or seconds > 14 * 3600:
        raise ValueError(f"utc_offset = {text!r}; zones lie between -14:00 and +14:00")
    return -seconds if text[0] == "-" else seconds
