"""A simulated slave made of a profile: points are set by name and in their unit, registers follow.

For demo, `simulate` and tests beside `drivers.simulated.modbus_bus`; the inverse of `drivers._modbus_points`, so that a
profile read back by the driver gives the values that were put in. Keeps house rule 9: fakes ship.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from drivers._modbus_points import Field, Slave
from drivers._modbus_registers import Decode, Register, Status
from drivers.simulated.behaviour import Behaviour, constant
from drivers.simulated.modbus_bus import TABLES, SimulatedSlave, Value
from gateway.model.point import Device, Kind
from gateway.protocols.modbus import BIT_READS, LIMITS

DECIMALS = 1  # that a device with a decimals register shows
Share = Callable[[float], int]  # what one point puts into one register at a time


class ProfileSlave(SimulatedSlave):
    """A slave that answers what the driver asks of this device; every point starts at zero or `normal`."""

    def __init__(self, device: Device, address: int, *, delay: float = 0.01) -> None:
        super().__init__(address=address, delay=delay)
        names = {f"{device.id}.{spec.name}": place for place, spec in enumerate(device.profile.points)}
        self._slave = Slave(device, address, names, block=1, holes=0)
        self._shares: dict[tuple[int, int], dict[str, Share]] = {}
        for one in self._slave.fields:
            self._tell_scale(one)
            self.set_point(one.spec.name, one.spec.labels.get("normal", 0.0))
        status = self._slave.status
        if status is not None and not any(_overlaps(one.decode, status) for one in self._slave.fields):
            self._put(status, _well(status), "status")
        self._fill_holes()

    def set_point(self, name: str, value: Behaviour | float) -> None:
        """Let a point be, or behave, so from now on; in its unit, a state by its number. KeyError: no such point."""
        one = next((one for one in self._slave.fields if one.spec.name == name), None)
        if one is None:
            raise KeyError(name)
        behaviour = value if callable(value) else constant(value)
        for place in range(one.decode.words):
            self._share(one.decode.fc, one.decode.address + place, name, _word(one, behaviour, place))

    def _fill_holes(self) -> None:
        """Answer zero between the registers of the profile: it may allow reading through them."""
        for fc in {fc for fc, _ in self._shares}:
            table: dict[int, Value] = getattr(self, TABLES[fc])
            for address in range(min(table), min(max(table), min(table) + LIMITS[fc])):
                table.setdefault(address, 0)

    def _tell_scale(self, one: Field) -> None:
        decimals, unit = one.decode.decimals_register, one.decode.unit_register
        if decimals is not None:
            self._put(decimals, DECIMALS, "decimals")
            one.decimals = 10.0**-DECIMALS
        if unit is not None:
            code, one.unit = next((int(key, 0), factor) for key, factor in unit.factors.items())
            self._put(unit, code, "unit")

    def _put(self, register: Register, value: int, name: str) -> None:
        raw = value if register.fc in BIT_READS else _placed(value, register.mask)
        self._share(register.fc, register.address, name, lambda _: raw)

    def _share(self, fc: int, address: int, name: str, share: Share) -> None:
        """Let a name have its part of a register; several may share one, each with its own bits."""
        shares = self._shares.setdefault((fc, address), {})
        shares[name] = share
        getattr(self, TABLES[fc])[address] = lambda t: _union(shares, t)


def _overlaps(decode: Decode, status: Status) -> bool:
    """Say whether a point shows bits of the status: then the point decides what stands there."""
    bits = 0xFFFF if decode.mask is None else decode.mask
    bits = bits if decode.bit is None else 1 << decode.bit
    return (decode.fc, decode.address) == (status.fc, status.address) and bool(bits & status.mask)


def _well(status: Status) -> int:
    """Return the first code that fits the register and is neither preheat nor fault."""
    odd = {*status.preheat, *status.fault}
    fitting = (code for code in range(0x10000) if status.pick(_placed(code, status.mask)) == code)
    return next(code for code in fitting if code not in odd)


def _union(shares: dict[str, Share], t: float) -> int:
    word = 0
    for share in shares.values():
        word |= share(t)
    return word


def _word(one: Field, behaviour: Behaviour, place: int) -> Share:
    return lambda t: _words(one, behaviour(t))[place]


def _words(one: Field, value: float) -> list[int]:
    """Return the registers, in the order of the wire, that the driver reads as this value."""
    decode = one.decode
    scale, offset = decode.line
    raw = (value - offset) / (scale * (one.decimals or 1.0) * (one.unit or 1.0))
    if one.spec.kind is Kind.STATE:
        raw = float(not value) if one.spec.invert else value
    if decode.fc in BIT_READS:
        return [int(raw != 0)]
    words = _split(decode, raw)
    return words if decode.word_order == "high" else words[::-1]


def _split(decode: Decode, raw: float) -> list[int]:
    if decode.type == "d16":
        places = next((places for places in (3, 2, 1) if raw * 10**places <= _MANTISSA), 0)
        number = (0x8000 | places << 13 if places else 0) | round(max(0.0, raw) * 10**places) & _MANTISSA
    elif decode.type == "f32":
        number = int.from_bytes(struct.pack(">f", raw), "big")
    else:
        mask = decode.mask if decode.bit is None else 1 << decode.bit
        number = round(raw) if mask is None else _placed(round(raw), mask)
    return [number >> 16 * place & 0xFFFF for place in reversed(range(decode.words))]


_MANTISSA = 0x1FFF  # of a packed decimal


def _placed(value: int, mask: int) -> int:
    return value * (mask & -mask) & mask
