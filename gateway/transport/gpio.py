"""Lines of a GPIO chip through libgpiod v2: levels, edges with their order, outputs.

Under `drivers.gpio`; the only place that opens a chip (house section 5). `gpiod` is an extra, imported when a chip is
opened. A chip that goes (a USB one is pulled) or is not there is `LinkDown`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from gateway.errors import LinkDown

Bias = Literal["as_is", "disabled", "pull_up", "pull_down"]
CONSUMER = "firegrid"
EDGES = 1024  # the most that the kernel keeps for us; beyond, it drops the oldest, whatever line they are of


class LineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `line`: its offset, or its name as `gpioinfo` shows it. `debounce` in seconds."""

    line: int | str
    bias: Bias = "as_is"
    active_low: bool = False
    debounce: float = 0.0
    output: bool = False


class Request(Protocol):
    """What is used of `gpiod.LineRequest`."""

    @property
    def fd(self) -> int:
        """Readable when edges wait."""

    @property
    def offsets(self) -> Sequence[int]:
        """Offsets of the lines."""

    @property
    def lines(self) -> Sequence[int | str]:
        """The lines in the same order, as they were asked for."""

    def get_values(self, lines: Any = None) -> Sequence[Any]:  # noqa: ANN401 - gpiod's own types, not imported here
        """Return the levels of some lines."""

    def set_value(self, line: int | str, value: Any) -> None:  # noqa: ANN401 - as above
        """Set an output."""

    def read_edge_events(self, max_events: int | None = None) -> Sequence[Any]:
        """Return waiting edges."""

    def release(self) -> None:
        """Give the lines back."""


class LineInfo(NamedTuple):
    """A line as the kernel shows it to everybody. `consumer`: who has it, "" nobody."""

    line: int | str
    consumer: str


RequestLines = Callable[..., Request]  # as `gpiod.request_lines`


class Lines:
    """Some lines of one chip, requested together. Levels are logical: True is active."""

    def __init__(self, chip: str, specs: Sequence[LineSpec], request_lines: RequestLines | None = None) -> None:
        """Request the lines. Raises LinkDown."""
        import gpiod  # noqa: PLC0415 - an extra: only a station with such a source needs it

        self._active, self._inactive = gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE
        self._rising = gpiod.EdgeEvent.Type.RISING_EDGE
        self._chip = chip
        self.lost = 0  # edges that the kernel had no room for, since somebody looked
        self.gap = False  # since somebody looked: edges are missing, perhaps the newest of a line
        self._newest = 0  # sequence number of the newest edge of all,
        self._newest_of: dict[int, int] = {}  # and of each line
        config: dict[Any, Any] = {spec.line: _settings(spec) for spec in specs}
        try:
            self._request: Request = (request_lines or gpiod.request_lines)(
                chip, consumer=CONSUMER, config=config, event_buffer_size=EDGES
            )
        except (OSError, ValueError) as error:  # ValueError: no line of that name
            raise LinkDown(f"{chip}: {error}{_hint(error)}") from error
        self._names: Mapping[int, int | str] = dict(zip(self._request.offsets, self._request.lines, strict=True))

    async def changed(self) -> None:
        """Wait for an edge."""
        loop = asyncio.get_running_loop()
        came = loop.create_future()
        loop.add_reader(self._request.fd, _wake, came)
        try:
            await came
        finally:
            loop.remove_reader(self._request.fd)

    def edges(self) -> list[tuple[int | str, bool]]:
        """Return the edges that wait, the oldest first: (line, now active); after `changed`. Raises LinkDown.

        A line that lost edges (its own numbers have a gap, linux/gpio.h `struct gpio_v2_line_event`) has been both: it
        is told as the opposite before what it became.
        """
        try:
            events = self._request.read_edge_events()
        except OSError as error:
            raise LinkDown(f"{self._chip}: {error}") from error
        found: list[tuple[int | str, bool]] = []
        for event in events:
            line, active = self._names[event.line_offset], event.event_type is self._rising
            self.gap = self.gap or event.global_seqno > self._newest + 1  # or two lines changed places: no harm
            self._newest = max(self._newest, event.global_seqno)
            if lost := event.line_seqno - self._newest_of.get(event.line_offset, 0) - 1:
                self.lost += lost
                found.append((line, not active))
            self._newest_of[event.line_offset] = event.line_seqno
            found.append((line, active))
        return found

    def level(self, line: int | str) -> bool:
        """Return a line's level; of an output what stands on the pin. Raises LinkDown."""
        try:
            return self._request.get_values([line])[0] is self._active
        except OSError as error:
            raise LinkDown(f"{self._chip}: {error}") from error

    def set(self, line: int | str, *, active: bool) -> None:
        """Set an output. Raises LinkDown."""
        try:
            self._request.set_value(line, self._active if active else self._inactive)
        except OSError as error:
            raise LinkDown(f"{self._chip}: {error}") from error

    def close(self) -> None:
        """Give the lines back."""
        self._request.release()


def look(chip: str, lines: Sequence[int | str]) -> list[LineInfo]:
    """Return who has these lines, without taking one. Raises LinkDown: no chip, no permission, no such line."""
    import gpiod  # noqa: PLC0415 - as above

    try:
        with gpiod.Chip(chip) as opened:
            return [LineInfo(line, info.consumer if info.used else "") for line, info in _infos(opened, lines)]
    except (OSError, ValueError) as error:
        raise LinkDown(f"{chip}: {error}{_hint(error)}") from error


def _infos(chip: Any, lines: Sequence[int | str]) -> Iterator[tuple[int | str, Any]]:  # noqa: ANN401 - gpiod's
    for line in lines:
        yield line, chip.get_line_info(line)


def _wake(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)


def _settings(spec: LineSpec) -> Any:  # noqa: ANN401 - gpiod's
    import gpiod  # noqa: PLC0415 - as above

    if spec.output:
        return gpiod.LineSettings(direction=gpiod.line.Direction.OUTPUT, active_low=spec.active_low)
    bias = {
        "as_is": gpiod.line.Bias.AS_IS,
        "disabled": gpiod.line.Bias.DISABLED,
        "pull_up": gpiod.line.Bias.PULL_UP,
        "pull_down": gpiod.line.Bias.PULL_DOWN,
    }[spec.bias]
    return gpiod.LineSettings(
        direction=gpiod.line.Direction.INPUT,
        edge_detection=gpiod.line.Edge.BOTH,
        bias=bias,
        active_low=spec.active_low,
        debounce_period=timedelta(seconds=spec.debounce),
    )


def _hint(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "; the daemon's user must be in the group gpio"
    if isinstance(error, FileNotFoundError):
        return "; `gpiodetect` shows the chips there are"
    return ""
