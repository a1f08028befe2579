"""One driven hour without a disk at 2 000 messages a second: the last alarm is told like the first (Must show 5)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np

from gateway.app import open_house
from gateway.clock import SECOND
from gateway.errors import StoreFull
from gateway.house import House
from gateway.model.batch import Batch, Mark, make_batch
from gateway.model.notification import DeliveryState, Notification, NotifyReason, Receipt
from gateway.pipeline.backlog import BACKLOG_BYTES
from gateway.store.read import Reader
from gateway.testing import FakeClock
from tests import station_toml as toml
from tests.patience import until

MESSAGES = 2_000  # a second
HOUR = 3_600  # s
ALARMS = 60
GROWTH = 48 << 20  # bytes of RSS: the backlog's readings, what they cost beside, and the allocator


class Seconds(FakeClock):
    """Moves by whole seconds without looking for sleepers: here nobody sleeps."""

    def tick(self) -> None:
        """Move."""
        self._mono += SECOND


class Phone:
    """A channel that notes when each message left."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.left: list[tuple[int, Notification]] = []

    async def send(self, notice: Notification) -> Receipt:
        """Take it."""
        self.left.append((self._clock.mono(), notice))
        return Receipt(notice=notice.id, state=DeliveryState.DELIVERED, at=self._clock.mono())

    def accepted(self, token: str) -> None:
        """Nothing to do."""


class Flood:
    """Two thousand messages a second, and an alarm a minute."""

    def __init__(self, house: House, clock: FakeClock) -> None:
        self._house = house
        self._clock = clock
        self._random = np.random.default_rng(7)
        loads = [house.ids[f"load{n}.v"] for n in range(20)]
        self._points = np.resize(np.array(loads, dtype=np.int32), MESSAGES)
        self._marks = tuple(Mark("telemetry", n, b"%d" % n) for n in range(MESSAGES))
        self.acknowledged = 0
        self.put = 0

    def second(self) -> None:
        """Put one second's messages."""
        batch = Batch(
            source="broker",
            point=self._points,
            time=np.zeros(MESSAGES, dtype=np.int64),
            arrival=np.full(MESSAGES, self._clock.mono(), dtype=np.int64),
            value=self._random.integers(0, 1000, MESSAGES) / 10,
            quality=np.zeros(MESSAGES, dtype=np.uint8),
            marks=self._marks,
            ack=self._acknowledge,
        )
        self.put += 1
        self._house.intake.put(batch)

    def _acknowledge(self) -> None:
        self.acknowledged += 1

    def alarm(self, number: int) -> None:
        """Let a detector alarm."""
        rows = [(self._house.ids[f"g{number}.v"], 0, 99.0, 0)]
        marks = [Mark("alarm", number, b"a")]
        self._house.intake.put(make_batch("broker", self._clock.mono(), rows, marks=marks))


def rss() -> int:
    """Return resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def config(folder: Path) -> Path:
    """Write the station."""
    names = [f"g{n}" for n in range(ALARMS)] + [f"load{n}" for n in range(20)]
    text = toml.station(folder, interval="1s", repeat="1800s", modem="none") + toml.broker(1)
    text += toml.rule("gas", "g*.v", "value > 10")
    text += toml.rule("warm", "load*.v", "value > 1000", class_="supervisory", on_delay="1s")
    path = folder / "station.toml"
    path.write_text(text + "".join(map(toml.sensor, names)), encoding="utf-8")
    return path


async def turns(house: House) -> None:
    """Turn until nothing waits, and let what was handed over leave."""
    while house.intake:
        house.runner.turn()
    for _ in range(5):
        await asyncio.sleep(0)
    house.runner.turn()


async def live(folder: Path) -> tuple[Phone, Flood, list[int], list[int]]:
    """Live through the hour; returns what left, the flood, moments of the alarms, and RSS by minute."""
    clock, dead = Seconds(), False

    def disk(point: str) -> None:
        if dead and point in ("before_begin", "before_open"):
            raise StoreFull("the disk is full")

    house = await open_house(config(folder), clock, disk)
    phone = Phone(clock)
    house.channels["sms"] = phone  # type: ignore[assignment] # all of the port that the dispatcher uses
    flood, moments, memory = Flood(house, clock), [], []
    await turns(house)
    await until(lambda: not house.ledger.busy)
    dead = True
    for second in range(HOUR):
        clock.tick()
        flood.second()
        if second % (HOUR // ALARMS) == 30:
            moments.append(clock.mono())
            flood.alarm(len(moments) - 1)
        await turns(house)
        if second < 5:
            await until(lambda: not house.ledger.busy)
        if second % 60 == 59:
            memory.append(rss())
            assert house.ledger.backlog_bytes <= BACKLOG_BYTES
    assert house.ledger.volatile
    assert flood.put - flood.acknowledged <= 3, "never deaf"
    dead = False
    for _ in range(12):
        clock.tick()
        await turns(house)
        await until(lambda: not house.ledger.busy)
    assert not house.ledger.volatile
    house.ledger.poll(clock.mono() + 60 * SECOND)
    await until(lambda: not house.ledger.busy)
    assert flood.acknowledged == flood.put, "each one once"
    await house.ledger.close()
    return phone, flood, moments, memory


def test_an_hour_without_a_disk(tmp_path: Path) -> None:
    phone, _, moments, memory = asyncio.run(live(tmp_path))
    raised = [(at, n) for at, n in phone.left if n.reason is NotifyReason.RAISED and n.alarm_class.life_safety]
    assert len(moments) == len(raised) == ALARMS, "each told once"
    assert [at for at, _ in raised] == moments, "in the very turn it arrived, the last like the first"
    assert all(not notice.recorded and "未存档" in notice.text for _, notice in raised)
    assert max(memory) - memory[0] < GROWTH, [size >> 20 for size in memory]
    with Reader(tmp_path / "station.db") as reader:
        assert sum(entry.body.rule == "gas" for entry in reader.alarms()) == ALARMS
        assert len({entry.body.alarm for entry in reader.transitions() if entry.body.rule == "gas"}) == ALARMS
