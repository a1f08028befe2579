"""From a profile to Modbus requests, and from the registers that answer them to readings. Pure.

Stands between `drivers._modbus_registers` (what stands in one register) and `drivers.modbus_rtu` (when to ask). Keeps
house section 6: what the device says about itself (status, unit, decimals) decides the quality, and what is not known
is never taken for normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from drivers._modbus_registers import Decode, Status
from drivers._values import Reading, number_reader
from gateway.errors import ConfigError
from gateway.model.point import Device, PointSpec
from gateway.model.quality import Doubt, Level, level_of, quality
from gateway.protocols.modbus import COIL_OFF, COIL_ON, LIMITS, WRITE_COIL, Request

_PREHEAT = quality(Level.BAD, Doubt.PREHEAT)
_FAULT = quality(Level.BAD, Doubt.FAULT_VALUE)
_DOUBT = quality(Level.BAD, Doubt.DEVICE_DOUBT)
_STATUS_UNHEARD = quality(Level.UNCERTAIN, Doubt.DEVICE_DOUBT)  # raises, never clears
_MOST_DECIMALS = 6  # no device shows more; the sheets of makers go to 4

Row = tuple[int, int, float, int]
T = TypeVar("T")


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
    remarks: dict[str, str] = field(default_factory=dict)  # of those points: what nobody knows there, or ""
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
        status = device.options.get("status", device.profile.options.get("status"))
        self.status = None if status is None else _convert(status, Status, "options.status")
        self._state: int | None = None  # what the status register told last
        self.blocks = [*self._scale_blocks(), *self._blocks(block, holes)]

    def rows(self, block: Block, values: Sequence[int], *, warming: bool = False) -> list[Row]:
        """Return the readings of an answer; learn what it tells about other readings. `warming`: BAD preheat."""
        start = block.request.start
        if block.status is not None and self.status is not None:
            self._state = self.status.pick(values[self.status.address - start])
        for scaled in block.scales:
            block.remarks[scaled.spec.name] = self._learn(scaled, block.request, values[0])
        rows: list[Row] = []
        for one in block.fields:
            place = one.decode.address - start
            value, packed = one.reading(values[place : place + one.decode.words])
            if warming and level_of(packed) < Level.BAD:
                packed = _PREHEAT
            rows.append((one.point, 0, value, self._judged(packed) if one.decode.by_status else packed))
        return rows

    def lost(self, block: Block, reading: Reading) -> list[Row]:
        """Return the same reading (no comms, refused) for every point of a block; what it judged is judged no more."""
        if block.status is not None:
            self._state = None
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

    def _learn(self, one: Field, request: Request, word: int) -> str:
        """Take over what a register says about a point; return what of it nobody knows, and how to mend that."""
        where = (request.function, request.start)
        decimals, unit = one.decode.decimals_register, one.decode.unit_register
        remark = ""
        if decimals is not None and (decimals.fc, decimals.address) == where:
            places = decimals.pick(word)  # 0xFFFF of a register that is not there would make every value 0
            one.decimals = 10.0**-places if places <= _MOST_DECIMALS else None
            remark = "" if one.decimals is not None else f"register {decimals.address} says {places} decimals"
        if unit is not None and (unit.fc, unit.address) == where:
            code = unit.pick(word)
            one.unit = unit.factor(code)
            if one.unit is None:
                keys = f'fc = {unit.fc}, address = {unit.address}, mask = {unit.mask}, factors = {{ "{code}" = … }}'
                fix = f"points.{one.spec.name}.decode = {{ unit_register = {{ {keys} }} }}"
                remark = f"unit code {code} (0x{code:02X}) is not in its profile; fix, with its factor: {fix}"
        one.rescale()
        return remark and f"{self.device.id}.{one.spec.name}: {remark}"

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


def _convert(written: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(written, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
