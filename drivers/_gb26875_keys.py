"""The keys of a `[[device]]` on a gb26875 source, and how addresses and places are written in them. Pure.

Before `drivers._gb26875_device`, which uses them. Keeps house section 11: all that is wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from drivers._installing import each_key
from drivers._times import zone_of
from gateway.config.quantities import Seconds

_ADDRESS_LIMIT = 1 << 48


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of a `[[device]]` on a gb26875 source; what is not given comes from the profile's options.

    `address`: its number in frames: decimal, "0x17C98CB8C2" or "192.168.1.4:7533"; none: the one device of its source.
    `address_in`: where it stands in the frames that the device sends. `component_address`: how the 4 bytes split.
    `addresses`: keys that are installed. `names`: key → what it is called, rather than by the panel's description.
    `set_time`, `ask_state`: what is done when it connects. `check`: seconds of silence after which it is asked how it
    is, 0: never. `recovery_types`: types 0x86 to 0x88 are ends of what 1, 2 and 21 said.
    """

    address: int | str = ""
    address_in: Literal["source", "destination"] = "source"
    component_address: Literal["point_low", "point_high", "whole"] = "point_low"
    addresses: tuple[str, ...] | None = None
    names: dict[str, str] = {}
    utc_offset: str = "+08:00"
    set_time: bool = True
    ask_state: bool = True
    check: Annotated[Seconds, msgspec.Meta(ge=0)] = 60.0
    recovery_types: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no address, no zone or no place. Raises ValueError, a line for each key."""
        each_key(
            [
                ("address", lambda: self.address == "" or address_of(self.address)),
                ("utc_offset", lambda: zone_of(self.utc_offset)),
                ("addresses", lambda: self._places(self.addresses or ())),
                ("names", lambda: self._places(self.names)),
            ]
        )

    def _places(self, keys: Iterable[str]) -> None:
        if wrong := [key for key in keys if place_of(key, self.component_address) is None]:
            raise ValueError(f'"{wrong[0]}" is no place; write {written(self.component_address)}')


def place_of(key: str, split: str) -> tuple[int, int, int] | None:
    """Return what `Speaker.place` does; `split`: as `component_address`."""
    try:
        numbers = [int(part) for part in key.split("/")]
    except ValueError:
        return None
    if len(numbers) == 4 and split != "whole":
        high, low = numbers[2:] if split == "point_low" else reversed(numbers[2:])
        numbers[2:] = [high << 16 | low] if 0 <= high <= 0xFFFF and 0 <= low <= 0xFFFF else [-1]
    system, address, place = [*numbers, 0][:3] if len(numbers) in (2, 3) else (-1, -1, -1)
    fits = 0 <= system <= 0xFF and 0 <= address <= 0xFF and 0 <= place <= 0xFFFFFFFF
    return (system, address, place) if fits else None


def written(split: str) -> str:
    """Return how a component is written, for a message."""
    whole = '"1/1/131082" (system/address/component)'
    return whole if split == "whole" else '"1/1/2/10" (system/address/loop/point)'


def key_of(place: tuple[int, int, int], split: str) -> str:
    """Return the key of a component as events have it; the reverse of `place_of`."""
    system, address, number = place
    if split == "point_low":
        return f"{system}/{address}/{number >> 16}/{number & 0xFFFF}"
    if split == "point_high":
        return f"{system}/{address}/{number & 0xFFFF}/{number >> 16}"
    return f"{system}/{address}/{number}"


def same_key(key: str, split: str) -> str | None:
    """Return a written key ("1/1/002/010") as events have it; None when it is no place."""
    place = place_of(key, split)
    if place is None:
        return None
    return key_of(place, split) if key.count("/") > 1 else f"{place[0]}/{place[1]}"


def address_of(written: int | str) -> int:
    """Return the 48-bit address that is written as a number, 0x… or IP:port. Raises ValueError."""
    text = str(written).strip()
    try:
        number = _number(text)
    except ValueError:
        raise ValueError(f'"{text}" is no address; write a number, "0x17C98CB8C2" or "192.168.1.4:7533"') from None
    if not 0 <= number < _ADDRESS_LIMIT:
        raise ValueError(f"{text} is no address; it has 6 bytes, so at most {_ADDRESS_LIMIT - 1}")
    return number


def _number(text: str) -> int:
    if text.count(".") != 3:
        return int(text, 0) if text.lower().startswith("0x") else int(text)
    host, _, port = text.partition(":")
    address = bytes(int(part) for part in host.split("."))  # ValueError also for a part above 255
    return int.from_bytes(address + _port(port).to_bytes(2, "little"), "little")


def _port(text: str) -> int:
    port = int(text or 0)
    if not 0 <= port <= 0xFFFF:
        raise ValueError(text)
    return port
