"""The `uart` driver: a sensor that has a serial line of its own (Winsen, DYP, Megatec UPS), over any wire.

One device a source: these frames carry no address. It talks by itself (`mode = "initiative"`) or is asked at the
device's `poll` (`mode = "question"`). Joins `gateway.protocols.uart` and `drivers._conversation`; keeps house section 6
(a sensor that is silent, warms up or measures another gas is BAD, never normal).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from drivers._conversation import Decoded, Question, Said, Talking, WireOptions, read_device, read_options
from drivers._factors import by_code, refuse_factor
from drivers._installing import each_key
from drivers._values import NO_COMMS, NOT_A_NUMBER, Reading, number_reader
from drivers._warmth import Power, Warmth
from gateway.errors import ConfigError
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import MILLISECOND, SECOND
from gateway.protocols.uart import EARS, FIGURES, MEGATEC_QUESTION, VALUE, Told, Unfit, winsen_command

HALF = 300 * MILLISECOND  # ns after which the rest of a frame does not come any more
SILENT = 10 * SECOND  # ns, at least
NEVER_YET = -1
ANOTHER = quality(Level.BAD, Doubt.DEVICE_DOUBT)
PREHEAT = quality(Level.BAD, Doubt.PREHEAT)


class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "uart"`: those of its wire."""


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of its `[[device]]`, usually in the profile.

    `sensor`: which frames. `mode`: whether it is asked. `set_mode`: tell a Winsen sensor at the start which mode is
    meant; `mode_codes`: by which numbers, makers differ; `baseline_off`: tell one for CO2 that the lowest value of a
    day is not fresh air. `gas`, `units`: of frames sent unasked, the gas code that it
    must be and the factor of each unit code into the point's unit; anything else is BAD. `answer_scale`: factor of the
    value in an answer, which says neither unit nor decimals, into the point's unit. `power`: "shared" with this box,
    it is cold after the box was; "own": only a silence of its own makes it cold.
    """

    sensor: Literal["", "winsen", "dyp", "megatec"] = ""
    mode: Literal["initiative", "question"] = "initiative"
    set_mode: bool = False
    mode_codes: Literal["40/41", "03/04"] = "40/41"
    baseline_off: bool = False
    gas: Annotated[int, msgspec.Meta(ge=0, le=127)] | None = None
    units: dict[str, float] = {}
    answer_scale: float = 1.0
    power: Power = "shared"

    def __post_init__(self) -> None:
        """Check. Raises ValueError, which msgspec reports as a ValidationError."""
        each_key([("units", lambda: by_code(self.units)), ("answer_scale", lambda: refuse_factor(self.answer_scale))])
        if self.sensor == "megatec" and self.mode != "question":
            raise ValueError('mode: a UPS speaks only when it is asked; fix: mode = "question"')


class FigureOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`decode` of a point: which figure of the frame, and its scale and offset."""

    figure: str = "value"
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Check. Raises ValueError, which msgspec reports as a ValidationError."""
        each_key([("scale", lambda: refuse_factor(self.scale))])


OPTIONS = Options
DEVICE_OPTIONS = DeviceOptions


@dataclass(frozen=True, slots=True)
class _Figure:
    point: int
    name: str
    read: Callable[[float], Reading]
    scaled_by_unit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sensor:
    """The device with what is asked of it."""

    device: Device
    options: DeviceOptions
    figures: tuple[_Figure, ...]
    units: Mapping[int, float]
    question: bytes
    greeting: bytes
    warmth: Warmth


def create(setup: DriverSetup) -> Talking:
    """Build the driver. Raises ConfigError with every problem of the source and its device."""
    options = read_options(setup, Options)
    if len(setup.devices) > 1:
        raise ConfigError(f"source {setup.source.id}: a UART line has one device, not {len(setup.devices)}")
    if options.many:
        raise ConfigError(
            f'source {setup.source.id}: wire = "{options.wire}"; a sensor is at a serial or tcp_client wire'
        )
    sensors = [_sensor(device, setup) for device in setup.devices]
    if not sensors:
        raise ConfigError(f"source {setup.source.id}: no [[device]] is on it")
    return Talking(setup, options, lambda _: Uart(sensors[0]))


def _sensor(device: Device, setup: DriverSetup) -> _Sensor:
    own = read_device(device, DeviceOptions)
    if not own.sensor:
        raise ConfigError(f"device {device.id}: sensor is missing; one of {', '.join(EARS)}")
    problems: list[str] = []
    figures: list[_Figure] = []
    for spec in device.profile.points:
        try:
            decode = msgspec.convert(spec.decode, FigureOptions)
        except msgspec.ValidationError as error:
            problems.append(f"device {device.id}: point {spec.name}: {error}")
            continue
        if decode.figure not in FIGURES[own.sensor]:
            known = ", ".join(FIGURES[own.sensor])
            problems.append(f'device {device.id}: point {spec.name}: no figure "{decode.figure}"; known: {known}')
        read = number_reader(spec, scale=decode.scale, offset=decode.offset)
        scaled = decode.figure in ("value", "full_scale")
        figures.append(_Figure(setup.point_ids[f"{device.id}.{spec.name}"], decode.figure, read, scaled))
    if problems:
        raise ConfigError("\n".join(problems))
    asks = own.mode == "question"
    question = {"winsen": winsen_command(VALUE), "megatec": MEGATEC_QUESTION, "dyp": b"\x55"}[own.sensor]
    mode = int(own.mode_codes.split("/")[asks], 16)
    greeting = winsen_command(0x78, mode) if own.set_mode else b""
    greeting += winsen_command(0x79) if own.baseline_off else b""
    return _Sensor(
        device=device,
        options=own,
        figures=tuple(figures),
        units=by_code(own.units),
        question=question if asks else b"",
        greeting=greeting if own.sensor == "winsen" else b"",
        warmth=Warmth(device, setup, own.power),
    )


class Uart:
    """The conversation with the sensor (port `Conversation`)."""

    def __init__(self, sensor: _Sensor) -> None:
        self._sensor = sensor
        self._ear = EARS[sensor.options.sensor]()
        self._poll = round(sensor.device.poll * SECOND)
        self._ask_at = 0
        self._fed = 0  # ns of the last byte of a half frame
        self._silent_at = NEVER_YET

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes."""
        del wall
        self._fed = now
        return [self._said(one, now) for one in self._ear.feed(data)]

    def tick(self, now: int, wall: int) -> list[Said]:
        """Ask, drop a half frame, or find that the sensor is silent."""
        del wall
        said: list[Said] = []
        if self._silent_at == NEVER_YET:
            self._silent_at = now + self._patience()
            if self._sensor.greeting:
                said.append(Said(at_once=self._sensor.greeting))
        if self._ear.pending and now >= self._fed + HALF:
            said += [self._said(one, now) for one in self._ear.drop()]
            self._fed = now
        if now >= self._silent_at:
            self._silent_at = now + self._patience()
            rows = [(figure.point, 0, *NO_COMMS) for figure in self._sensor.figures]
            said.append(Said(decoded=Decoded(rows=rows, problems=["silent"]), device=self._sensor.device.id))
        if self._sensor.question and now >= self._ask_at:
            self._ask_at = now + self._poll
            said.append(Said(at_once=self._sensor.question))
        return said

    def due(self) -> int:
        """Return when something is due; at once in the beginning."""
        if self._silent_at == NEVER_YET:
            return 0
        half = self._fed + HALF if self._ear.pending else self._silent_at
        return min(half, self._silent_at, self._ask_at if self._sensor.question else self._silent_at)

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> Question | None:
        """Return None: these sensors have no outputs."""
        del device, point, value, now, wall
        return None

    def _patience(self) -> int:
        return max(SILENT, 3 * self._poll)

    def _said(self, one: Told | Unfit, now: int) -> Said:
        if isinstance(one, Unfit):
            return Said(decoded=Decoded(problems=[one.reason.value]), frame=one.raw, device=self._sensor.device.id)
        if "question" in one.figures:  # our own, given back by an adapter: no sign of life
            return Said(decoded=Decoded(problems=["echo"]), frame=one.raw, device=self._sensor.device.id)
        self._silent_at = now + self._patience()
        decoded = Decoded()
        warm = self._sensor.warmth.heard(now)
        doubt = self._doubt(one.figures, decoded.problems) if warm else PREHEAT
        factor = self._sensor.units.get(int(one.figures.get("unit", -1)), 1.0)
        if "command" in one.figures:
            factor = self._sensor.options.answer_scale
        for figure in self._sensor.figures:
            raw = one.figures.get(figure.name)
            if raw is None:
                if self._sensor.options.sensor == "megatec":  # whose every line tells everything, if it is measured
                    decoded.rows.append((figure.point, 0, *NOT_A_NUMBER))
                continue
            value, packed = figure.read(raw * factor if figure.scaled_by_unit else raw)
            decoded.rows.append((figure.point, 0, value, packed if doubt is None else doubt))
        if not (decoded.rows and warm):  # a sensor that warms up is alive
            decoded.heard.append(self._sensor.figures[0].point)
        return Said(decoded=decoded, frame=one.raw, device=self._sensor.device.id)

    def _doubt(self, figures: Mapping[str, float], problems: list[str]) -> int | None:
        """Return the quality of a frame that is not of the sensor that the profile means."""
        own = self._sensor
        if "gas" in figures and own.options.gas is not None and figures["gas"] != own.options.gas:
            problems.append("another_gas")
            return ANOTHER
        if "unit" in figures and own.units and figures["unit"] not in own.units:
            problems.append("unknown_unit")
            return ANOTHER
        return None
