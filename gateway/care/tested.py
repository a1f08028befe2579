"""Which devices nobody has tried since they were mounted, and which not for too long.

Beside the flow. The report of every walk test is taken over into a small durable map (device → wall time); what is
overdue is a supervisory alarm of the device's cell, one per cell, that lists the devices. Nothing is judged until wall
time is trusted, nor while a test is going on. A device just configured has `first_test` to be tried: no flood at first
House section 6 (alarms are on by default).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from gateway.clock import DAY, SECOND, Clock
from gateway.model.batch import Batch, Event, EventCode, make_batch
from gateway.model.inventory import BOX
from gateway.model.point import Device
from gateway.model.ports import Memory
from gateway.model.station import Station
from gateway.model.walktest import Walktest

EVERY = 30.0  # s
KEY: Final = "untested"
_LISTED: Final = 12  # devices named in one alarm; the rest is counted


class Overdue:
    """Looks. `life`: devices to be tried more often; `offset`: wall less monotonic time, None if not trusted."""

    def __init__(
        self,
        put: Callable[[Batch], None],
        *,
        station: Station,
        ids: Mapping[str, int],
        life: Collection[str],
        memory: Memory,
        clock: Clock,
        latest: Callable[[], Walktest | None],
        offset: Callable[[], int | None],
    ) -> None:
        self._put = put
        self._limits, self._life = station.limits, frozenset(life)
        self._memory = memory
        self._clock = clock
        self._latest, self._offset = latest, offset
        self._told: dict[str, frozenset[str]] = {}  # cell → devices named in its alarm, in this life
        self._ended: set[str] = set()  # cells whose alarm was ended at the last look
        devices = [device for device in station.devices if device.id != BOX and device.profile.points]
        self._points = {device.id: ids[f"{device.id}.{device.profile.points[0].name}"] for device in devices}
        self._cells: dict[str, list[Device]] = {}
        for device in devices:
            self._cells.setdefault(device.cell, []).append(device)

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Look until cancelled."""
        alive()
        while True:
            self.look()
            await self._clock.sleep(EVERY)

    def look(self) -> None:
        """Take a finished test over, then say of each cell what is overdue."""
        offset, test = self._offset(), self._latest()
        if offset is None or (test is not None and not test.ended):
            return
        if test is not None:
            self._take(test, offset)
        now = (self._clock.mono() + offset) // SECOND
        events = [event for cell, devices in self._cells.items() for event in self._cell(cell, devices, now)]
        if events:
            self._put(make_batch("gateway", self._clock.mono(), events=events))

    def _take(self, test: Walktest, offset: int) -> None:
        if self._memory.get("walktest") != str(test.number):
            for device in test.tested:
                self._memory.put(f"tested {device}", str((test.ended + offset) // SECOND))
            self._memory.put("walktest", str(test.number))

    def _cell(self, cell: str, devices: Sequence[Device], now: int) -> list[Event]:
        """Return what is to be said of a cell; nothing when it has been said. The alarm is that of its first device."""
        due = {device.id: age for device in devices if (age := self._overdue(device.id, now)) is not None}
        first, before = devices[0].id, self._memory.get(f"alarm {cell}") or ""
        if not due:
            return self._all_tested(cell, before)
        self._ended.discard(cell)
        told = self._told.get(cell)
        if told is not None and due.keys() <= told and before == first:
            return []
        # After a start it is said again: what was on its way may be lost, and a level that holds stays as it is.
        moved = before in self._points and before != first
        again = [self._restore(before)] if moved or told is not None else []
        self._told[cell] = frozenset(due)
        self._memory.put(f"alarm {cell}", first)
        return [*again, Event(self._points[first], KEY, EventCode.SUPERVISORY, _words(due))]

    def _all_tested(self, cell: str, before: str) -> list[Event]:
        """End the alarm of a cell; forget it only a look later, when that must have been stored."""
        self._told.pop(cell, None)
        if before not in self._points or cell in self._ended:
            if before:
                self._memory.put(f"alarm {cell}", "")
            self._ended.discard(cell)
            return []
        self._ended.add(cell)
        return [self._restore(before)]

    def _restore(self, device: str) -> Event:
        return Event(self._points[device], KEY, EventCode.RESTORE, "已全部测试 all tested")

    def _overdue(self, device: str, now: int) -> int | None:
        """Return how many days ago a device was tried that is due again, -1 for one never tried; None: in time."""
        tested = self._memory.get(f"tested {device}")
        if tested is None:
            seen = self._memory.get(f"seen {device}")
            if seen is None:
                self._memory.put(f"seen {device}", str(now))
            return -1 if seen is not None and now - int(seen) > self._limits.first_test else None
        age = now - int(tested)
        limit = self._limits.test_life if device in self._life else self._limits.test_other
        return age * SECOND // DAY if age > limit else None


def _words(due: Mapping[str, int]) -> str:
    named = [f"{device}（{'从未 never' if days < 0 else f'{days} d'}）" for device, days in due.items()]
    more = f" … +{len(named) - _LISTED}" if len(named) > _LISTED else ""
    return f"该测试的设备 devices to be tested: {', '.join(named[:_LISTED])}{more}"
