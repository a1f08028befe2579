"""A dead disk is never cured by a restart: ten driven minutes with a hung commit, and with a store that does not open.

The whole house with its parts on the driven clock, a real store whose fail points hang, and the notification socket.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gateway import annex
from gateway.app import open_house
from gateway.clock import SECOND
from gateway.house import House
from gateway.model.batch import make_batch
from gateway.model.moment import Input
from gateway.model.notification import DeliveryState, Notification, Receipt
from gateway.testing import FakeClock
from tests.patience import PATIENCE, until
from tests.station_toml import broker, rule, sensor, station

WATCHED = 30.0  # s, as in the shipped unit
MINUTES = 10
TICK = 0.5  # s of the driven clock
MOST_SILENT = 20.0  # s: the pause between two probes, a commit interval, and the patience with a commit


def configuration(folder: Path) -> str:
    """Return the TOML of a station with one gas sensor, a broker and a modem that are not there."""
    head = station(folder, interval="5s", repeat="1800s", limits={"settle": "60s"}, modem="nowhere")
    return head + broker(1) + sensor("g") + rule("gas", "g.v", "value > 10")


class Disk:
    """Hangs at one fail point while told to."""

    def __init__(self) -> None:
        self.hangs_at = ""
        self.hanging = threading.Event()
        self._go_on = threading.Event()

    def __call__(self, point: str) -> None:
        """Pass a point."""
        if point == self.hangs_at:
            self.hanging.set()
            self._go_on.wait(2 * PATIENCE)

    def release(self) -> None:
        """Be well again."""
        self.hangs_at = ""
        self.hanging.clear()
        self._go_on.set()


class Phone:
    """A channel that notes when each message left."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.left: list[tuple[int, Notification]] = []

    async def run(self, tell: Callable[[Input], None]) -> None:
        """Stand."""
        del tell
        await asyncio.Event().wait()

    async def send(self, notice: Notification) -> Receipt:
        """Take it."""
        self.left.append((self._clock.mono(), notice))
        return Receipt(notice=notice.id, state=DeliveryState.DELIVERED, at=self._clock.mono())

    def accepted(self, token: str) -> None:
        """Nothing to do."""


class Life:
    """One living house, driven."""

    def __init__(self, house: House, clock: FakeClock, disk: Disk, manager: socket.socket) -> None:
        self.house = house
        self.clock = clock
        self.disk = disk
        self.phone = Phone(clock)
        house.channels["sms"] = self.phone
        self._manager = manager
        self.pings: list[int] = []  # ns
        self.said: list[str] = []
        self.volatile_at = 0

    async def drive(self, seconds: float) -> None:
        """Let time pass; the disk, which lives in real time, has answered or hangs before the next tick."""
        for _ in range(round(seconds / TICK)):
            await self.clock.advance(TICK)
            await until(lambda: not self.house.ledger.busy or self.disk.hanging.is_set())
            with suppress(BlockingIOError):
                while True:
                    lines = self._manager.recv(4096).decode().splitlines()
                    self.said += lines
                    self.pings += [self.clock.mono()] * ("WATCHDOG=1" in lines)
            if self.house.ledger.volatile and not self.volatile_at:
                self.volatile_at = self.clock.mono()

    def alarm(self) -> int:
        """Let the detector alarm; returns when."""
        now = self.clock.mono()
        self.house.intake.put(make_batch("broker", now, [(self.house.ids["g.v"], 0, 99.0, 0)]))
        return now

    def longest_silence(self) -> float:
        """Return the longest time in which the manager heard nothing (s)."""
        moments = [*self.pings, self.clock.mono()]
        return max(after - before for before, after in zip(self.pings, moments[1:], strict=True)) / SECOND

    def told(self, text: str) -> list[int]:
        """Return when messages with such words left."""
        return [at for at, notice in self.phone.left if text in notice.text]


async def live(folder: Path, hangs_at_start: str, script: Callable[[Life], object]) -> None:
    """Start a house with a disk that hangs at a point, or is well; run the script, stop."""
    config = folder / "station.toml"
    config.write_text(configuration(folder), encoding="utf-8")
    clock, disk = FakeClock(), Disk()
    disk.hangs_at = hangs_at_start
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    manager.bind(str(folder / "notify"))
    opening = asyncio.create_task(open_house(config, clock, disk))
    await until(lambda: opening.done() or disk.hanging.is_set())
    while not opening.done():
        await clock.advance(TICK)
        await asyncio.sleep(0.01)
    life = Life(opening.result(), clock, disk, manager)
    living = asyncio.create_task(life.house.run(beside=annex.parts(life.house)))
    try:
        await script(life)  # type: ignore[misc] # a coroutine function
    finally:
        disk.release()
        living.cancel()
        while not living.done():
            await clock.advance(TICK)
            await asyncio.sleep(0.005)
        said = manager.recv(4096).decode()
        manager.close()
    assert "STOPPING=1" in said


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", str(round(WATCHED * 1e6)))


async def _hung_commit(life: Life) -> None:
    await life.drive(70)
    assert "READY=1" in life.said
    life.disk.hangs_at = "before_commit"
    while not life.disk.hanging.is_set():  # the next probe meets it
        await life.drive(TICK)
    hung = life.clock.mono()
    await life.drive(5)
    assert life.volatile_at - hung <= 5 * SECOND
    raised = life.alarm()
    await life.drive(1)
    assert life.told("未存档")[-1] - raised <= SECOND
    await life.drive(MINUTES * 60)
    await _back(life)


async def _hung_commit_with_an_alarm(life: Life) -> None:
    await life.drive(70)
    life.disk.hangs_at = "before_commit"
    raised = life.alarm()
    await life.drive(5)
    assert life.volatile_at - raised <= 3 * SECOND
    assert life.told("未存档")
    await life.drive(MINUTES * 60)
    await _back(life)


async def _hung_opening(life: Life) -> None:
    assert life.house.ledger.volatile
    await life.drive(10)
    assert "READY=1" in life.said
    raised = life.alarm()
    await life.drive(1)
    assert life.told("未存档")[-1] - raised <= SECOND
    await life.drive(MINUTES * 60)
    await _back(life)


async def _back(life: Life) -> None:
    assert life.longest_silence() <= MOST_SILENT, "no restart"
    assert life.house.ledger.volatile
    life.disk.release()
    for _ in range(100):
        await life.drive(1)
        await asyncio.sleep(0.01)
        if not life.house.ledger.volatile:
            break
    assert not life.house.ledger.volatile, "back on the disk by itself"
    await life.drive(30)
    assert life.longest_silence() <= MOST_SILENT
    stored = [alarm for alarm in life.house.state.book.open_alarms() if alarm.rule == "gas"]
    assert len(stored) == 1


@pytest.mark.parametrize(
    ("hangs_at_start", "script"),
    [("", _hung_commit), ("", _hung_commit_with_an_alarm), ("before_open", _hung_opening)],
    ids=["commit", "commit with an alarm", "opening"],
)
def test_ten_minutes_without_the_disk_are_no_reason_for_a_restart(
    tmp_path: Path, hangs_at_start: str, script: Callable[[Life], object]
) -> None:
    asyncio.run(live(tmp_path, hangs_at_start, script))
