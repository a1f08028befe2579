"""The `gpio` driver: lines of a GPIO chip (those of the Pi itself, or of a USB board) → batches, and outputs.

An edge is told at once and in its order, so that a short press of a call point is not lost; of a line that bounces,
only that there were pulses (`drivers._gpio_bounce`). Between edges every level is told again at the device's `poll`, so
that it is known to live (house sections 5 and 6: level, not edge). A point says in `decode` which line it is: see
`LineOptions`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec

from drivers._gpio_bounce import Bounce, Edge
from drivers._values import Reading, number_reader
from gateway.clock import SECOND
from gateway.config.quantities import Seconds
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.batch import make_batch
from gateway.model.point import Device, Kind, PointSpec
from gateway.model.ports import DriverSetup, Emit
from gateway.model.verdict import NEVER
from gateway.transport.gpio import Bias, Lines, LineSpec, RequestLines

SIMULATED = "simulated:"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` with `driver = "gpio"`.

    `chip`: as `gpiodetect` shows it. `simulated:PATH` is a chip without hardware: it reads lines such as `17=1` from a
    pipe at that path.
    """

    chip: str = "/dev/gpiochip0"


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A `[[device]]` has no keys of its own; its points say which lines they are."""


class LineOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`decode` of a point. `line`: offset or name; `active_low`: a contact to ground is active; `output`: a relay."""

    line: Annotated[int, msgspec.Meta(ge=0)] | str
    bias: Bias = "as_is"
    active_low: bool = False
    debounce: Annotated[Seconds, msgspec.Meta(ge=0, le=10)] = 0.02
    output: bool = False


OPTIONS = Options
DEVICE_OPTIONS = DeviceOptions


@dataclass(frozen=True, slots=True)
class _Pin:
    """A point on its line."""

    device: Device
    spec: PointSpec
    point: int
    line: LineSpec
    read: Callable[[float], Reading]


def create(setup: DriverSetup) -> Gpio:
    """Build the driver. Raises ConfigError with every problem of the source and its devices."""
    problems = []
    try:
        options = msgspec.convert(setup.source.options, Options)
    except msgspec.ValidationError as error:
        problems.append(f"source {setup.source.id}: {error}")
    if importlib.util.find_spec("gpiod") is None:
        problems.append(f"source {setup.source.id}: gpiod is not installed; pip install 'firegrid[gpio]'")
    pins: list[_Pin] = []
    for device in setup.devices:
        for spec in device.profile.points:
            try:
                pins.append(_pin(device, spec, setup.point_ids[f"{device.id}.{spec.name}"]))
            except (msgspec.ValidationError, ValueError) as error:
                problems.append(f"device {device.id}: point {spec.name}: {error}")
    owners: dict[int | str, _Pin] = {}
    for pin in pins:
        other = owners.setdefault(pin.line.line, pin)
        if other is not pin:
            problems.append(f"device {pin.device.id}: line {pin.line.line} is taken by {other.device.id}")
    if problems:
        raise ConfigError("\n".join(problems))
    return Gpio(setup, options.chip, pins)


def _pin(device: Device, spec: PointSpec, point: int) -> _Pin:
    if spec.kind is not Kind.STATE:
        raise ValueError(f"kind = {spec.kind}; a line is a state: give it labels, e.g. {{ normal = 0, alarm = 1 }}")
    own = msgspec.convert(spec.decode, LineOptions)
    line = LineSpec(line=own.line, bias=own.bias, active_low=own.active_low, debounce=own.debounce, output=own.output)
    return _Pin(device, spec, point, line, number_reader(spec))


class Gpio:
    """Some lines of a chip as source of batches (port `Driver`)."""

    def __init__(self, setup: DriverSetup, chip: str, pins: list[_Pin]) -> None:
        self._setup = setup
        self._clock = setup.clock
        self._chip = chip
        self._pins = {pin.line.line: pin for pin in pins}
        self._poll = min((pin.device.poll for pin in pins), default=1.0)
        self._lines: Lines | None = None
        self._emit: Emit | None = None

    async def run(self, emit: Emit) -> None:
        """Tell edges and levels until cancelled.

        Raises:
            LinkDown: the chip is not there, a line is taken, or the chip was lost.
        """
        specs = [pin.line for pin in self._pins.values()]
        lines = self._lines = Lines(self._chip, specs, _requester(self._chip))
        self._emit = emit
        try:
            self._setup.report.alive()
            await self._listen(lines)
        finally:
            self._lines = self._emit = None
            lines.close()

    async def _listen(self, lines: Lines) -> None:
        bounce = Bounce()
        due = self._clock.mono()
        while True:
            now = self._clock.mono()
            self._tell(bounce.settled(now))
            if now >= due:
                self._tell(bounce.settled(NEVER))  # never behind a newer level
                self._tell([(line, lines.level(line)) for line in self._pins])
                self._judge(bounce)
                due = now + round(self._poll * SECOND)
            try:
                async with self._clock.timeout(max(0.0, (min(due, bounce.due) - now) / SECOND)):
                    await lines.changed()
            except TimeoutError:
                continue
            self._tell(bounce.take(lines.edges(), self._clock.mono()))
            if lines.lost:
                self._setup.report.count("edges_lost", lines.lost)
            if lines.gap:
                due = now
            lines.lost, lines.gap = 0, False

    def _judge(self, bounce: Bounce) -> None:
        """Tell what was not told edge by edge."""
        if bounce.left_out:
            self._setup.report.count("edges_left_out", bounce.left_out)
        for line in bounce.bouncing:
            pin = self._pins[line]
            name = f"{pin.device.id}.{pin.spec.name}"
            self._setup.report.finding(
                f"bounce {name}",
                f"line {line} ({name}) bounces: look at its contact and wires, or give it more debounce",
            )
        bounce.left_out = 0
        bounce.bouncing.clear()

    async def write(self, device: str, point: str, value: float) -> None:
        """Set an output and read it back.

        Raises:
            DeliveryError: not an output (not retryable), or it reads back differently (retryable).
            LinkDown: the chip is not open.
        """
        pin = next((one for one in self._pins.values() if (one.device.id, one.spec.name) == (device, point)), None)
        if pin is None or not pin.line.output:
            raise DeliveryError(f"{device}.{point}: not an output of {self._setup.source.id}", retryable=False)
        if self._lines is None:
            raise LinkDown(f"{self._chip}: not open")
        active = (value != 0) != pin.spec.invert
        self._lines.set(pin.line.line, active=active)
        stands = self._lines.level(pin.line.line)
        self._tell([(pin.line.line, stands)])
        if stands is not active:
            raise DeliveryError(f"{device}.{point}: reads back {int(stands)}, not {int(active)}", retryable=True)

    def _tell(self, seen: list[Edge]) -> None:
        if seen and self._emit is not None:
            pins = [(self._pins[line], active) for line, active in seen]
            rows = [(pin.point, 0, *pin.read(float(active))) for pin, active in pins]
            frames = [f"{line}={int(active)}".encode() for line, active in seen]
            batch = make_batch(self._setup.source.id, self._clock.mono(), rows, frames=frames, frame=range(len(rows)))
            self._emit(batch)


def _requester(chip: str) -> RequestLines | None:
    """Return who hands out the lines of a chip without hardware, None: gpiod itself."""
    if not chip.startswith(SIMULATED):
        return None
    from drivers.simulated.gpio import request_lines  # noqa: PLC0415 - no station with hardware needs it

    return request_lines
