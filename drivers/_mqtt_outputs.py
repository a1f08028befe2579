"""Outputs at a broker: a command is published, then the device's own word is waited for.

Beside `mqtt.py`; keeps the port `Driver.write`: set and read back. A dialect with outputs is `Commanding`. A device
that can be asked (`Polling`) answers each command; others tell changes only: what already is as wanted has taken when
the broker has the command.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from gateway.clock import Clock
from gateway.errors import DeliveryError
from gateway.model.point import Device
from gateway.model.ports import Commanding, Dialect, Polling, Publication
from gateway.model.quality import GOOD

WITHIN = 4.0  # s that a device has to say that it took


class Link(Protocol):
    """What is asked of a lane."""

    async def say(self, messages: Iterable[Publication]) -> None:
        """Publish; raises `LinkDown`."""


class _Place(NamedTuple):
    device: Device
    dialect: Dialect
    link: Link


class Outputs:
    """What the outputs of one source said last, and who waits for it. `ids`: `device.point` → durable id."""

    def __init__(self, ids: Mapping[str, int], clock: Clock) -> None:
        self._ids = ids
        self._clock = clock
        self._places: dict[str, _Place] = {}
        self._watched: set[int] = set()
        self._last: dict[int, float] = {}
        self._waiting: dict[int, list[tuple[float, asyncio.Future[None]]]] = {}

    def add(self, device: Device, dialect: Dialect, link: Link) -> None:
        """Take a device; it has outputs only if its dialect has a command for a point."""
        if isinstance(dialect, Commanding):
            self._places[device.id] = _Place(device, dialect, link)
            names = [spec.name for spec in device.profile.points if dialect.command(device, spec.name, 0.0)]
            self._watched.update(self._ids[f"{device.id}.{name}"] for name in names)

    def saw(self, rows: Sequence[tuple[int, int, float, int]]) -> None:
        """Look at readings just decoded."""
        if not self._watched:
            return
        for point, _, value, quality in rows:
            if point not in self._watched:
                continue
            if quality != GOOD:
                self._last.pop(point, None)
                continue
            self._last[point] = value
            for wanted, waiter in self._waiting.get(point, ()):
                if not waiter.done() and _same(value, wanted):
                    waiter.set_result(None)

    async def write(self, device: str, point: str, value: float) -> None:
        """Set an output. Raises DeliveryError when there is none or it did not take, LinkDown."""
        place = self._places.get(device)
        number = self._ids.get(f"{device}.{point}", -1)
        if place is None or number not in self._watched or not isinstance(place.dialect, Commanding):
            raise DeliveryError(f"{device}.{point} cannot be set to {value:g}: no output", retryable=False)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(number, [])
        waiting.append((value, waiter))
        try:
            await place.link.say(place.dialect.command(place.device, point, value))
            if not isinstance(place.dialect, Polling) and _same(self._last.get(number, math.nan), value):
                return
            async with self._clock.timeout(WITHIN):
                await waiter
        except TimeoutError:
            raise DeliveryError(f"{device}.{point} did not say that it is {value:g}", retryable=True) from None
        finally:
            waiting.remove((value, waiter))


def _same(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-9)
