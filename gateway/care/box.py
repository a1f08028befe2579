"""The box as points: looks at the machine now and then, adds what only the daemon knows, and puts it on the intake.

Beside the flow, one task; the reading of files is done in a thread (house rules 1 and 2). A look that hangs on a dying
disk leaves the device silent, and that is a fault like any other device's silence.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Mapping

import msgspec

from gateway.care.machine import Machine
from gateway.care.own import LOOK_EVERY
from gateway.clock import DAY, Clock
from gateway.model.batch import Batch, make_batch
from gateway.model.inventory import BOX
from gateway.model.ports import Memory
from gateway.store.shapes import Room
from gateway.transport.offload import offload

GOOD = 0
_STARTS = "starts"
_REMEMBERED = 100  # starts; a box that starts more often than that in a day is known to be ill


class Box:
    """Looks every half minute.

    `ids`: durable ids by `device.point`; `inside`: figures that only the daemon knows; `elsewhere`: names of figures
    that another part tells better.
    """

    def __init__(
        self,
        put: Callable[[Batch], None],
        *,
        machine: Machine,
        ids: Mapping[str, int],
        clock: Clock,
        inside: Callable[[], Mapping[str, float]],
        elsewhere: Collection[str] = (),
    ) -> None:
        self._put = put
        self._machine = machine
        self._ids = ids
        self._clock = clock
        self._inside = inside
        self._elsewhere = frozenset(elsewhere)

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            alive()
            await self._clock.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look once. A figure that is no number says nothing."""
        begun = self._clock.mono()
        figures = await offload(lambda: self._machine.look(begun), "box")
        figures.update(self._inside())
        rows = [
            (self._ids[f"{BOX}.{name}"], 0, value, GOOD)
            for name, value in figures.items()
            if math.isfinite(value) and f"{BOX}.{name}" in self._ids and name not in self._elsewhere
        ]
        self._put(make_batch(BOX, self._clock.mono(), rows))


def room_figures(room: Room) -> dict[str, float]:
    """Return how much of its room the store has used, as far as it is known yet."""
    figures = {"thinning": float(room.thinning)}
    if room.most:
        figures["store_budget"] = 100.0 * room.used / room.most
    if room.days is not None:
        figures["readings_kept"] = room.days
    return figures


class Starts:
    """How often the daemon began in the last day, over its lives. A box that does not know the time counts none."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: list[int] = []
        with contextlib.suppress(ValueError):  # of another version
            self._known = msgspec.json.decode(memory.get(_STARTS) or "[]", type=list[int])
        self._counted = False

    def count(self, now: int | None) -> float | None:
        """Return the number with this one. `now`: wall time, ns; None while it is not trusted."""
        if now is None:
            return None
        if not self._counted:
            self._counted = True
            self._known = [*self._known, now][-_REMEMBERED:]
            self._memory.put(_STARTS, msgspec.json.encode(self._known).decode())
        return float(sum(now - DAY <= start <= now for start in self._known))
