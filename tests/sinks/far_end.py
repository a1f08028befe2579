"""A far end that lives in the test: takes, refuses or is gone as it is told, and a store that fills beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.clock import SECOND
from gateway.errors import LinkDown
from gateway.model.alarm import Transition
from gateway.model.batch import make_batch
from gateway.model.moment import Epoch, Input
from gateway.model.portion import Aside, Portion
from gateway.model.station import StoreSpec
from gateway.store.database import Store
from gateway.store.feed import Feed
from gateway.store.shapes import Group
from gateway.testing import FakeClock
from gateway.uplink.drain import Drain
from gateway.uplink.position import Position
from tests.store_groups import transition

CURSOR = "sink far"
BOOT = "boot-1"
WALL = 1_790_000_000 * SECOND


class Field:
    """A store that grows as time passes; `rate` readings a commit, one every `every` seconds or only when told."""

    def __init__(self, folder: Path, *, every: float = 1e9, rate: int = 10, budget: int = 2 << 30) -> None:
        path = str(folder / "station.db")
        self.path = path
        self.clock = FakeClock(mono=1_000 * SECOND, wall=WALL, boot=BOOT)
        self.store = Store.open(path, spec=StoreSpec(path=path, journal_budget=budget))
        self.store.connection.execute("PRAGMA synchronous = OFF")  # a test needs no durable disk
        self.boot = BOOT
        self.every = round(every * SECOND)
        self.rate = rate
        self.due = self.clock.mono() + self.every
        self.committed: dict[tuple[int, int], float] = {}  # (point, wall ns) → value
        self.stamp: dict[tuple[int, int], int] = {}  # … → mono ns of the commit
        self.moves: list[int] = []  # numbers of alarms
        self.trusted = True
        self._number = 0
        self._snapshot = self.clock.mono()

    def epoch(self, *, trusted: bool = True) -> Epoch:
        """Return what dates this boot."""
        now = self.clock.mono()
        offset = self.clock.wall() - now
        return Epoch(boot=self.boot, mono_from=now, wall_offset=offset, source="ntp", trusted=trusted)

    def commit(self, *more: Input, alarm: bool = False) -> int:
        """Commit `rate` readings of points 1 … now; a transition with them if told. Returns seq."""
        at = self.clock.mono()
        self._number += 1
        rows = [(1 + place, 0, self._number + place / 8, 0) for place in range(self.rate)]
        for point, _, value, _ in rows:
            self.committed[point, self.clock.wall()] = value
            self.stamp[point, self.clock.wall()] = at
        records: list[tuple[str, Any]] = []
        if alarm:
            self.moves.append(self._number)
            records = [("transition", transition(self._number, at))]
        group = Group(
            boot=self.boot,
            mono=at,
            wall=self.clock.wall(),
            steps=[(at, [*more, make_batch("bus", at, rows)])],
            records=records,
        )
        return self.store.commit(group)

    def keep(self, position: Position) -> None:
        """Write a cursor, as the daemon does."""
        at = self.clock.mono()
        group = Group(self.boot, at, self.clock.wall(), (), cursors={CURSOR: position.cursor()})
        self.store.commit(group)

    def house_keep(self) -> None:
        """Compact until nothing is to do, with a snapshot of the newest commit."""
        self.store.save_snapshot(self.store.last().seq, "1", "1", {"x": b""})
        while self.store.compact(1000):
            pass

    def pass_time(self, ns: int) -> None:
        """Let time pass; commits that fall due are made at their times."""
        end = self.clock.mono() + ns
        while self.due <= end:
            self.clock.jump(self.due - self.clock.mono())
            self.commit(alarm=self._number % 500 == 499)
            self.due += self.every
        self.clock.jump(end - self.clock.mono())


class FarEnd:
    """Remembers what it was given, by what makes it one thing."""

    def __init__(self, field: Field, *, cost: Callable[[Portion], int] = lambda _: 0) -> None:
        self._field = field
        self.cost = cost
        self.up = True
        self.got: dict[tuple[int, int], float] = {}
        self.at: dict[tuple[int, int], int] = {}
        self.notes: list[int] = []  # alarms, in the order in which they came
        self.order: list[str] = []  # what each portion was
        self.refuses: Callable[[float], bool] = lambda _: False

    async def send(self, portion: Portion) -> Sequence[Aside]:
        """Take a portion, or raise LinkDown."""
        self._field.pass_time(self.cost(portion))
        if not self.up:
            raise LinkDown("nobody there")
        self.order.append("notes" if portion.notes else "readings")
        asides = []
        now = self._field.clock.mono()
        columns = (portion.point, portion.time, portion.value)
        for point, time, value in zip(*(column.tolist() for column in columns), strict=True):
            if self.refuses(value):
                asides.append(Aside(f"{point} {value}", "no"))
            else:
                self.got[point, time] = value
                self.at.setdefault((point, time), now)
        self.notes += [note.body.alarm for note in portion.notes if isinstance(note.body, Transition)]
        return asides

    async def close(self) -> None:
        """Nothing to close."""


def drain_of(field: Field, far: FarEnd, position: Position | None = None) -> Drain:
    """Return a drain over the field's store."""
    return Drain(Feed(field.path), far, position or Position(instance="test"), cursor=CURSOR, clock=field.clock)


async def emptied(drain: Drain) -> None:
    """Turn until nothing is left that can be sent."""
    while await drain.turn():
        pass
