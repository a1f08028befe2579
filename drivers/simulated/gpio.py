"""A GPIO chip without hardware: `17=1` written into a pipe makes line 17 high; all levels stand in a file beside it.

The far end of `drivers.gpio` in tests and for trying a station at a desk: `chip = "simulated:PATH"`. Has what the
driver uses of libgpiod's `request_lines` and its `LineRequest`, with the same meaning; a test holds their signatures
together. Keeps house rule 9. Words: `LINE=0`, `LINE=1` (what stands on the pin), `gone` (the board is pulled).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gpiod
from gpiod.line import Direction, Value

PREFIX = "simulated:"
MOST = 4096  # bytes without a line end
EDGES = 16  # of each line that the kernel keeps by itself


def request_lines(
    path: str,
    config: Mapping[int | str, gpiod.LineSettings],
    consumer: str | None = None,
    event_buffer_size: int | None = None,
) -> SimulatedRequest:
    """Return some lines of the chip at `simulated:PATH`. Raises OSError where there is no pipe."""
    del consumer
    return SimulatedRequest(Path(path.removeprefix(PREFIX)), config, event_buffer_size or EDGES * len(config))


class SimulatedRequest:
    """As `gpiod.LineRequest`, as far as it is used. Names of lines are their own offsets, counted from 1000."""

    def __init__(self, pipe: Path, config: Mapping[int | str, gpiod.LineSettings], room: int) -> None:
        if not pipe.is_fifo():
            raise FileNotFoundError(errno.ENOENT, "no pipe", str(pipe))
        self._pipe = pipe
        self._settings = dict(config)
        self.lines: Sequence[int | str] = list(config)
        self.offsets: Sequence[int] = [one if isinstance(one, int) else 1000 + n for n, one in enumerate(config)]
        self._pins = dict.fromkeys(self.lines, 0)
        for line, settings in self._settings.items():
            if settings.bias is gpiod.line.Bias.PULL_UP:
                self._pins[line] = 1
        self._levels = pipe.with_name(f"{pipe.name}.levels")  # what stands on the pins outlives who looks at them
        if self._levels.exists():
            for word in self._levels.read_text(encoding="utf-8").split():
                self._put(word)
        self._waiting = b""
        self._events: deque[SimulatedEvent] = deque(maxlen=room)  # of the kernel too the oldest go
        self._count = 0
        self._counts = dict.fromkeys(self.lines, 0)
        self._gone = False
        self.fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # both: a pipe without a writer would be at its end

    def get_values(self, lines: Sequence[int | str] | None = None) -> list[Value]:
        """Return logical levels."""
        self._take()
        return [self._logical(line) for line in (self.lines if lines is None else lines)]

    def set_value(self, line: int | str, value: Value) -> None:
        """Set an output. Raises OSError where it is none."""
        self._take()
        if self._settings[line].direction is not Direction.OUTPUT:
            raise PermissionError(errno.EPERM, "an input", str(line))
        self._pins[line] = int((value is Value.ACTIVE) != self._settings[line].active_low)
        self._keep()

    def read_edge_events(self, max_events: int | None = None) -> list[SimulatedEvent]:
        """Return edges, the oldest first."""
        self._take()
        most = min(max_events or len(self._events), len(self._events))
        return [self._events.popleft() for _ in range(most)]

    def release(self) -> None:
        """Give the lines back. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._waiting += os.read(self.fd, 65536)
        *words, rest = self._waiting.split(b"\n")
        self._waiting = rest[-MOST:]
        changed = [self._said(word.decode("utf-8", "replace").strip()) for word in words]
        if any(changed):
            self._keep()
        if self._gone:
            raise OSError(errno.ENODEV, "the board is gone", str(self._pipe))

    def _said(self, word: str) -> bool:
        """Do what a word says; return whether that changed a level."""
        self._gone = self._gone or word == "gone"
        line = self._put(word)
        if line is None:
            return False
        active = self._logical(line) is Value.ACTIVE
        kind = gpiod.EdgeEvent.Type.RISING_EDGE if active else gpiod.EdgeEvent.Type.FALLING_EDGE
        self._count += 1
        self._counts[line] += 1
        offset = self.offsets[list(self.lines).index(line)]
        self._events.append(SimulatedEvent(offset, kind, self._count, self._counts[line]))
        return True

    def _put(self, word: str) -> int | str | None:
        """Put a level on a pin; return the line when that changed it."""
        name, _, level = word.partition("=")
        line: int | str = int(name) if name.isdecimal() and name.isascii() else name
        if line not in self._pins or level not in ("0", "1") or self._pins[line] == int(level):
            return None
        self._pins[line] = int(level)
        return line

    def _keep(self) -> None:
        self._levels.write_text("".join(f"{one}={level}\n" for one, level in self._pins.items()), encoding="utf-8")

    def _logical(self, line: int | str) -> Value:
        return Value.ACTIVE if bool(self._pins[line]) != self._settings[line].active_low else Value.INACTIVE


class SimulatedEvent:
    """As `gpiod.EdgeEvent`, as far as it is used."""

    def __init__(self, line_offset: int, event_type: Any, global_seqno: int, line_seqno: int) -> None:  # noqa: ANN401 - an enumeration inside a class
        self.line_offset = line_offset
        self.event_type = event_type
        self.global_seqno = global_seqno
        self.line_seqno = line_seqno
