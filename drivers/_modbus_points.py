"""From a profile to Modbus requests, and from the registers that answer them to readings. Pure.

Stands between `drivers._profiles` (what the words of a profile mean) and `drivers.modbus_rtu` (when to ask). Keeps
house section 6: what the device says about itself (status, unit, decimals) decides the quality, and what is not known
is never taken for normal.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeVar

import msgspec

from drivers._values import Reading, number_reader
from gateway.errors import ConfigError
from gateway.model.point import Device, PointSpec
from gateway.model.quality import Doubt, Level, level_of, quality
from gateway.protocols.modbus import COIL_OFF, COIL_ON, LIMITS, WRITE_COIL, Request

_PREHEAT = quality(Level.BAD, Doubt.PREHEAT)
_FAULT = quality(Level.BAD, Doubt.FAULT_VALUE)
_DOUBT = quality(Level.BAD, Doubt.DEVICE_DOUBT)
_STATUS_UNHEARD = quality(Level.UNCERTAIN, Doubt.DEVICE_DOUBT)  # raises, never clears
_WORDS = {"u16": 1, "s16": 1, "d16": 1, "u32": 2, "s32": 2, "f32": 2}
_BITS = (1, 2)
_MOST_DECIMALS = 6  # no device shows more; the sheets of makers go to 4

Address = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
Fc = Literal[1, 2, 3, 4]
Row = tuple[int, int, float, int]
T = TypeVar("T")


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

    def factor(self, code: int) -> float | None:
        """Return the factor of a code, None when nobody knows it."""
        return next((value for key, value in self.factors.items() if int(key, 0) == code), None)


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


@dataclass(slots=True)
class Field:
    """One point of one device, with the factors that its own registers have told so far."""

    point: int
    spec: PointSpec
    decode: Decode
    decimals: float | None = None
    unit: float | None = None
    read: Callable[[float], Reading] = field(init=False)

    def __post_init__(self) -> None:
        self.decimals = None if self.decode.decimals_register else 1.0
        self.unit = None if self.decode.unit_register else 1.0
        self.rescale()

    def rescale(self) -> None:
        """Take new factors over."""
        factor = (self.decimals or 1.0) * (self.unit or 1.0)
        scale, offset = self.decode.line
        self.read = number_reader(self.spec, scale=scale * factor, offset=offset)

    def reading(self, words: Sequence[int]) -> Reading:
        """Return value and quality of the point's words."""
        if self.decimals is None or self.unit is None:
            return math.nan, _DOUBT  # a number without its unit or decimals is none
        raw = self.decode.raw(words)
        if self.decode.loop is not None and self.decode.loop.broken(raw):
            return self.read(raw)[0], _FAULT
        return self.read(raw)


@dataclass(slots=True)
class Block:
    """One request and what is in its answer: points, or a register about points."""

    request: Request
    fields: list[Field] = field(default_factory=list)
    status: Status | None = None
    scales: list[Field] = field(default_factory=list)  # points whose unit or decimals stand here
    hourly: bool = False


class Slave:
    """One device on the bus: its requests, and its answers as rows (point, time 0, value, quality)."""

    def __init__(self, device: Device, address: int, point_ids: Mapping[str, int], *, block: int, holes: int) -> None:
        self.device = device
        self.address = address
        self.fields = [
            Field(point_ids[f"{device.id}.{spec.name}"], spec, _convert(spec.decode, Decode, f"point {spec.name}"))
            for spec in device.profile.points
            if spec.decode
        ]
        status = device.profile.options.get("status")
        self.status = None if status is None else _convert(status, Status, "options.status")
        self._state: int | None = None  # what the status register told last
        self.blocks = [*self._scale_blocks(), *self._blocks(block, holes)]

    def rows(self, block: Block, values: Sequence[int], *, warming: bool = False) -> list[Row]:
        """Return the readings of an answer; learn what it tells about other readings. `warming`: BAD preheat."""
        start = block.request.start
        if block.status is not None and self.status is not None:
            self._state = self.status.pick(values[self.status.address - start])
        for scaled in block.scales:
            self._learn(scaled, block.request, values[0])
        rows: list[Row] = []
        for one in block.fields:
            place = one.decode.address - start
            value, packed = one.reading(values[place : place + one.decode.words])
            if warming and level_of(packed) < Level.BAD:
                packed = _PREHEAT
            rows.append((one.point, 0, value, self._judged(packed) if one.decode.by_status else packed))
        return rows

    def lost(self, block: Block, reading: Reading) -> list[Row]:
        """Return the same reading (no comms, refused) for every point of a block."""
        return [(one.point, 0, *reading) for one in block.fields]

    def output(self, name: str, value: float) -> tuple[Field, Request, Request]:
        """Return the point, the request that sets it and the one that reads it back.

        Raises:
            ConfigError: no such point, not an output, or the value does not fit.
        """
        one = next((one for one in self.fields if one.spec.name == name), None)
        if one is None or one.decode.write is None:
            raise ConfigError(f"{self.device.id}.{name} is not an output")
        raw = round((value - one.decode.offset) / one.decode.scale)
        if one.spec.invert:
            raw = int(not raw)
        if one.decode.written is not None:
            raw = one.decode.written[bool(raw)]
        elif one.decode.write == WRITE_COIL:
            raw = COIL_ON if raw else COIL_OFF
        try:
            ask = Request(self.address, one.decode.write, one.decode.address, 1, (raw & 0xFFFF,))
        except ValueError as error:
            raise ConfigError(f"{self.device.id}.{name} = {value:g}: {error}") from error
        return one, ask, Request(self.address, one.decode.fc, one.decode.address, one.decode.words)

    def _judged(self, packed: int) -> int:
        if self.status is None:
            return packed
        if self._state is None:
            return max(packed, _STATUS_UNHEARD)
        if self._state in self.status.preheat:
            return _PREHEAT
        return _FAULT if self._state in self.status.fault else packed

    def _learn(self, one: Field, request: Request, word: int) -> None:
        where = (request.function, request.start)
        decimals, unit = one.decode.decimals_register, one.decode.unit_register
        if decimals is not None and (decimals.fc, decimals.address) == where:
            places = decimals.pick(word)  # 0xFFFF of a register that is not there would make every value 0
            one.decimals = 10.0**-places if places <= _MOST_DECIMALS else None
        if unit is not None and (unit.fc, unit.address) == where:
            one.unit = unit.factor(unit.pick(word))
        one.rescale()

    def _scale_blocks(self) -> list[Block]:
        found: dict[tuple[int, int], Block] = {}
        for one in self.fields:
            for register in (one.decode.decimals_register, one.decode.unit_register):
                if register is not None:
                    place = (register.fc, register.address)
                    block = found.setdefault(place, Block(register.request(self.address), hourly=True))
                    if one not in block.scales:
                        block.scales.append(one)
        return list(found.values())

    def _blocks(self, most: int, holes: int) -> list[Block]:
        """Join neighbours into one request where the profile allows; what judges others is read before them."""
        wanted: list[tuple[int, int, int, Field | None]] = [
            (one.decode.fc, one.decode.address, one.decode.words, one) for one in self.fields
        ]
        if self.status is not None:
            wanted.append((self.status.fc, self.status.address, 1, None))
        wanted.sort(key=lambda item: item[:3])
        spans: list[tuple[int, int, int, list[Field | None]]] = []
        for fc, address, words, one in wanted:
            if spans:
                last_fc, start, end, members = spans[-1]
                size = max(end, address + words) - start
                near = address < end or (address - end <= holes and size <= min(most, LIMITS[fc]))
                if fc == last_fc and near:
                    members.append(one)
                    spans[-1] = (fc, start, start + size, members)
                    continue
            spans.append((fc, address, address + words, [one]))
        blocks = [
            Block(
                Request(self.address, fc, start, end - start),
                [one for one in members if one is not None],
                self.status if None in members else None,
            )
            for fc, start, end, members in spans
        ]
        return sorted(blocks, key=lambda block: block.status is None)


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _convert(written: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(written, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
