"""What stands in a device's registers and bits: the keys of a profile that say so, and the numbers they make of words.

Pure; under `drivers._modbus_points`. `drivers._profiles` explains every key to whoever writes a profile. Keeps house
section 6: a current that no transmitter sends, or a code that nobody knows, is not taken for a value.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from drivers._factors import by_code, refuse_factor
from drivers._installing import each_key
from gateway.protocols.modbus import Request

_WORDS = {"u16": 1, "s16": 1, "d16": 1, "u32": 2, "s32": 2, "f32": 2}
_BITS = (1, 2)

Address = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
Fc = Literal[1, 2, 3, 4]


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One register or bit of a device."""

    fc: Fc
    address: Address
    mask: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF)] = 0xFFFF

    def request(self, slave: int) -> Request:
        """Return the request that reads it alone."""
        return Request(slave, self.fc, self.address, 1)

    def pick(self, word: int) -> int:
        """Return the masked bits, shifted down."""
        return word if self.fc in _BITS else (word & self.mask) >> _shift(self.mask)


class UnitRegister(Register, frozen=True, forbid_unknown_fields=True):
    """The register that says in which unit the value comes: code → factor into the point's unit."""

    factors: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Check codes and factors. Raises ValueError, which msgspec reports as a ValidationError."""
        each_key([("factors", lambda: by_code(self.factors))])

    def factor(self, code: int) -> float | None:
        """Return the factor of a code, None when nobody knows it."""
        return by_code(self.factors).get(code)


class Status(Register, frozen=True, forbid_unknown_fields=True):
    """The register in which the device says how it is."""

    preheat: tuple[int, ...] = ()
    fault: tuple[int, ...] = ()


class Loop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A 4–20 mA transmitter on an analog module: what it means by 4 and 20 mA (`low`, `high`), in the point's unit.

    `raw4`, `raw20`: what the module says at 4 and 20 mA. Below 3.6 and above 21 mA is a broken wire or sensor (NAMUR
    NE 43).
    """

    low: float
    high: float
    raw4: float = 4000.0
    raw20: float = 20000.0

    def scale(self) -> tuple[float, float]:
        """Return (factor, offset) from what the module says into the point's unit."""
        factor = (self.high - self.low) / (self.raw20 - self.raw4)
        return factor, self.low - self.raw4 * factor

    def broken(self, raw: float) -> bool:
        """Say whether a current is none that a transmitter sends to tell a value."""
        return not 3.6 <= 4 + 16 * (raw - self.raw4) / (self.raw20 - self.raw4) <= 21.0


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`decode` of a point, see `drivers._profiles`."""

    fc: Fc
    address: Address
    type: Literal["u16", "s16", "d16", "u32", "s32", "f32"] = "u16"
    word_order: Literal["high", "low"] = "high"
    mask: Annotated[int, msgspec.Meta(ge=1, le=0xFFFFFFFF)] | None = None
    bit: Annotated[int, msgspec.Meta(ge=0, le=31)] | None = None
    scale: float = 1.0
    offset: float = 0.0
    decimals_register: Register | None = None
    unit_register: UnitRegister | None = None
    by_status: bool = False
    write: Literal[5, 6] | None = None
    written: tuple[int, int] | None = None
    loop: Loop | None = None

    def __post_init__(self) -> None:
        """Check what belongs together. Raises ValueError, which msgspec reports as a ValidationError."""
        each_key([("scale", lambda: refuse_factor(self.scale))])
        size = 16 * self.words
        if self.fc not in _BITS and ((self.bit or 0) >= size or (self.mask or 0) >> size):
            raise ValueError(f"bit and mask are outside the {size} bits of type {self.type}")
        if self.loop is not None and (self.loop.low == self.loop.high or self.loop.raw4 == self.loop.raw20):
            raise ValueError("loop: low and high, raw4 and raw20 must differ")

    @property
    def line(self) -> tuple[float, float]:
        """Factor and offset from the raw number into the point's unit."""
        return (self.scale, self.offset) if self.loop is None else self.loop.scale()

    @property
    def words(self) -> int:
        """Registers or bits that the point takes."""
        return 1 if self.fc in _BITS else _WORDS[self.type]

    def raw(self, words: Sequence[int]) -> float:
        """Return the raw number, with its sign, of the point's own words in the order of the wire."""
        if self.fc in _BITS:
            return words[0]
        ordered = words if self.word_order == "high" else words[::-1]
        number = 0
        for word in ordered:
            number = number << 16 | word
        mask = self.mask if self.bit is None else 1 << self.bit
        if mask is not None:
            number = (number & mask) >> _shift(mask)
        if self.type == "d16":
            power = (number >> 13 & 3) * (-1 if number & 0x8000 else 1)
            return float((number & 0x1FFF) * 10**power) if power >= 0 else (number & 0x1FFF) / 10**-power
        if self.type == "f32":
            return float(struct.unpack(">f", number.to_bytes(4, "big"))[0])
        sign = 1 << 16 * len(words) - 1
        return number - 2 * sign if self.type in ("s16", "s32") and number >= sign else number


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
