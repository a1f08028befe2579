"""A ledger over a real store whose disk fails on demand, on the driven clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.errors import StoreError
from gateway.model.batch import Batch, EventCode, EventSeen, Mark, make_batch
from gateway.model.delta import Delta, Table
from gateway.model.station import Limits, StoreSpec
from gateway.pipeline.backlog import Row
from gateway.pipeline.commit import Work
from gateway.pipeline.ledger import Ledger
from gateway.pipeline.opening import Enrolment, Opened
from gateway.pipeline.reopening import Reopener
from gateway.pipeline.step import Effects
from gateway.store.connection import Lock
from gateway.store.database import Store
from gateway.testing import FakeClock
from tests.patience import PATIENCE, until

WANTED = Enrolment(("gate.events", "hall.gas"), {}, "digest", b"configuration")
POINT = 2


class Disk:
    """The store's fail points, switched while it runs: `plan[point]` is "raise", "hang" or nothing."""

    def __init__(self) -> None:
        self.plan: dict[str, str] = {}
        self.once: dict[str, str] = {}
        self.passed: list[str] = []
        self.go_on = threading.Event()
        self.hanging = 0
        self.hook = self._pass

    def __call__(self, point: str) -> None:
        """Pass a point."""
        self.hook(point)

    def _pass(self, point: str) -> None:
        self.passed.append(point)
        match self.once.pop(point, self.plan.get(point, "")):
            case "raise":
                raise StoreError(f"{point}: the disk says no")
            case "hang":
                self.hang()

    def hang(self) -> None:
        """Hold the calling thread until the release."""
        self.hanging += 1
        self.go_on.wait(2 * PATIENCE)
        self.hanging -= 1

    def release(self) -> None:
        """Let whoever hangs go on, and let the disk be well."""
        self.plan.clear()
        self.go_on.set()


class Surroundings:
    """Stands for the house: what left, and how."""

    def __init__(self) -> None:
        self.left: list[tuple[str, bool]] = []  # answer, recorded
        self.faults: list[str | None] = []
        self.broken: list[int | None] = []
        self.anew = 0
        self.life: frozenset[int] = frozenset()
        self.table: Table[str] = Table("memory")
        self._unrecorded: set[int] = set()

    def hand_over(self, work: Work) -> None:
        """Note what leaves."""
        self.left += [(name, id(work) not in self._unrecorded) for name in work.answers]

    def unrecorded(self, work: Work) -> None:
        """Note that it leaves without a record."""
        self._unrecorded.add(id(work))

    def store_fault(self, reason: str | None) -> None:
        """Note it."""
        self.faults.append(reason)

    def record_broken(self, row: int | None) -> None:
        """Note it."""
        self.broken.append(row)

    def life_points(self) -> frozenset[int]:
        """Return what was put there."""
        return self.life

    def store_begun_anew(self) -> None:
        """Note it."""
        self.anew += 1

    def snapshot(self) -> Mapping[str, bytes]:
        """Return nothing."""
        return {}

    def rows(self) -> Iterable[Row]:
        """Return the table."""
        return [("memory", key, value) for key, value in self.table.rows.items()]


class Bench:
    """A ledger that is fed and polled by hand."""

    def __init__(
        self, folder: Path, *, window: int = 20, interval: float = 1.0, volatile: bool = False, budget: int = 0
    ) -> None:
        self.path = folder / "station.db"
        self.spec = StoreSpec(path=str(self.path), budget=budget)
        self.disk = Disk()
        self.clock = FakeClock()
        self.house = Surroundings()
        self.lock = Lock(self.path)
        store = Store.open(":memory:" if volatile else self.path, lock=self.lock, spec=self.spec, faults=self.disk)
        ids = store.point_ids(WANTED.names)
        opened = Opened(store, self.lock, volatile=volatile)
        self.ledger = Ledger(
            None if volatile else store,
            Reopener(self.spec, opened, WANTED, ids, self.disk, tell=lambda _: None, begun=lambda: None),
            clock=self.clock,
            limits=Limits(receive_maximum=window),
            interval=interval,
            house=self.house,
            configuration="digest",
        )
        self.acked: list[int] = []
        self._packet = 0

    def message(self, value: float, *, waiting: bool = False, session: str = "s") -> Batch:
        """Return one message as a batch with a mark."""
        self._packet += 1
        mark = Mark(session, self._packet, b"%d" % self._packet)
        rows = [(POINT, 0, value, 0)]
        number = self._packet
        return make_batch(
            "broker", self.clock.mono(), rows, marks=[mark], ack=lambda: self.acked.append(number), waiting=waiting
        )

    def take(self, *batches: Batch, answer: str = "", urgent: bool = False, safety: bool = False) -> None:
        """Add a step; `answer` is what leaves after its commit; `safety` is a life-safety transition."""
        effects = Effects(urgent=urgent or safety, life_safety=safety)
        if answer:
            effects.answers[answer] = ()
            at = self.clock.mono()
            seen = EventSeen(
                point=1, key=answer, code=EventCode.GAS, text=answer, time=0, at=at, source="broker", raw=b""
            )
            effects.records.append(("event", seen))
        delta = Delta()
        self.house.table.put(delta, answer or "last", str(self.clock.mono()))
        self.ledger.add(self.clock.mono(), batches, delta, effects)
        self.poll()

    def poll(self) -> None:
        """Give the ledger its turn."""
        self.ledger.poll(self.clock.mono())

    async def quiet(self) -> None:
        """Let the writer's thread work until nothing is out."""
        await until(lambda: not self.ledger.busy)

    async def wait(self, seconds: float) -> None:
        """Drive the clock, with turns in between; the disk's threads keep pace, however loaded the machine is."""
        for _ in range(round(seconds * 10)):
            await self.clock.advance(0.1)
            self.poll()
            await until(lambda: not self.ledger.busy or self.disk.hanging > 0)

    def stored(self) -> list[tuple[bool, list[float]]]:
        """Return (late, values) of every commit on the disk."""
        with_store = Store.open(self.path, lock=self.lock)
        try:
            return [
                (
                    row.late,
                    [v for _, ins in row.steps for item in ins if isinstance(item, Batch) for v in item.value.tolist()],
                )
                for row in with_store.tail(0)
            ]
        finally:
            with_store.close()

    def values(self) -> list[float]:
        """Return every stored value in order."""
        return [value for _, values in self.stored() for value in values]

    def files(self) -> dict[str, bytes]:
        """Return the store's files by what follows their common name."""
        return {suffix: Path(f"{self.path}{suffix}").read_bytes() for suffix in ("", "-wal")}

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Put other files in place of the store's."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        for suffix, content in files.items():
            Path(f"{self.path}{suffix}").write_bytes(content)

    def rows(self) -> dict[str, str]:
        """Return the durable table on the disk."""
        store = Store.open(self.path, lock=self.lock)
        try:
            return store.rows("memory", str)
        finally:
            store.close()
