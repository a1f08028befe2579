"""A day with the uplink in a black hole: polling, alarms and record miss nothing, and then everything leaves.

The composed house on the driven clock: a polled Modbus bus byte for byte, the sink's part and process, and a far end
that takes every connection over real TCP and never says a word.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mqtt5 import PublishPacket

from drivers import _bus_plan, modbus_rtu
from drivers.simulated.broker import SimulatedBroker
from drivers.simulated.broker_link import Link
from drivers.simulated.modbus_bus import ModbusBus, SimulatedSlave
from drivers.simulated.wire import Wire
from gateway import annex
from gateway.app import open_house
from gateway.clock import MINUTE, SECOND, SystemClock
from gateway.house import House
from gateway.model.alarm import AlarmState
from gateway.model.notification import NotifyReason
from gateway.pipeline import timekeeper, upkeep
from gateway.store.read import Reader
from gateway.testing import FakeClock
from gateway.uplink.part import cursor_of
from tests import station_toml as toml
from tests.care.test_no_restart import Phone
from tests.patience import PATIENCE, until
from tests.scenarios.driven_uplink import within

HOUR = 3_600
POLL = 90  # s: every device is asked 960 times a day
WIRE = SECOND // 10  # ns: the time of an answer on the wire varies by less
ON_DELAY = 15  # s, of the profile's heat alarm
ALARMS = {1: 1, 2: 12, 3: 23}  # address → hour of the black hole in which it becomes hot there
HOT_FOR = 600  # s


class Day(FakeClock):
    """Moves on only while no commit is under way: the disk's thread lives in real time."""

    house: House | None = None

    async def settle(self) -> None:
        """Let tasks run, and the disk answer."""
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined] # noqa: SLF001 - 50 turns each cost minutes
        while True:
            await asyncio.sleep(0)
            if not ready:
                if self.house is None or not self.house.ledger.busy:
                    return
                await asyncio.sleep(0.0002)


class FarEnd(SimulatedBroker):
    """Keeps what was published; `silent` until told otherwise. Lives in real time."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.silent = True
        self.calls = 0
        self.got: list[tuple[str, dict[str, Any]]] = []

    def opened(self, link: Link) -> None:
        """Count a connection."""
        self.calls += 1
        super().opened(link)

    def publish(self, link: Link, packet: PublishPacket) -> None:
        """Keep a message."""
        self.got.append((packet.topic.rpartition("/")[2], json.loads(packet.payload or b"{}")))
        super().publish(link, packet)

    def readings(self) -> dict[tuple[str, int], float]:
        """Return (point, ns since 1970) → value: what comes twice is one."""
        rows = [row for topic, body in self.got if topic == "readings" for row in body["readings"]]
        times = np.array([row["time"].removesuffix("Z") for row in rows], dtype="datetime64[ns]").astype(np.int64)
        return {
            (f"{row['device']}.{row['point']}", at): row["value"] for row, at in zip(rows, times.tolist(), strict=True)
        }

    def numbers(self, topic: str) -> list[int]:
        """Return the numbers in the record of events or transitions, in the order they first came."""
        return list(dict.fromkeys(body["n"] for kind, body in self.got if kind == topic))


def config(folder: Path, port: int) -> Path:
    """Write the station."""
    text = toml.station(folder, interval="10s", modem="none", limits={"link_fault": "60s"}) + toml.bus(folder)
    text += "".join(toml.slave(f"room{address}", address, poll=f"{POLL}s") for address in ALARMS)
    text += toml.table("default_policy", class_="fire", policy="p")
    text += toml.table("sink", id="far", kind="mqtt_uplink", host="127.0.0.1", port=port)
    path = folder / "station.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rooms(clock: FakeClock) -> list[SimulatedSlave]:
    """Return the slaves: 20 to 23 Cel, and 70 for ten minutes when its hour has come."""
    began = clock.mono()

    def temperature(hour: int) -> Any:  # noqa: ANN401 - a behaviour
        def now(_: float) -> float:
            second = (clock.mono() - began) / SECOND - hour * HOUR
            return 700.0 if 0 <= second < HOT_FOR else 200.0 + second // POLL % 30

        return now

    return [SimulatedSlave(address=one, registers={1: temperature(hour), 2: 500}) for one, hour in ALARMS.items()]


class World:
    """The house and what stands around it."""

    def __init__(self, house: House, clock: Day, bus: ModbusBus, far: FarEnd) -> None:
        self.house, self.clock, self.bus, self.far = house, clock, bus, far
        self.phone = Phone(clock)
        house.channels["sms"] = self.phone
        clock.house = house

    def cursor(self) -> list[tuple[int]]:
        """Return the sink's cursor in the store."""
        with closing(sqlite3.connect(self.house.station.store.path)) as connection:
            return list(connection.execute("SELECT seq FROM cursor WHERE name = ?", (cursor_of("far"),)))

    async def drained(self) -> None:
        """Let time pass until nothing waits; the far end has real time to answer."""
        async with asyncio.timeout(3 * PATIENCE):
            while "nothing waits" not in self.house.links["sink far"].health.findings.get("position", ""):
                await self.clock.advance(1)
                await asyncio.sleep(0.01)


def raised(world: World) -> dict[str, int]:
    """Return device → when (ns) its alarm left as a message; each once."""
    left = [(n.text, at) for at, n in world.phone.left if n.reason is NotifyReason.RAISED and n.alarm_class.life_safety]
    assert len(left) == len(ALARMS), left
    return {f"room{one}": next(at for text, at in left if f"room{one}" in text) for one in ALARMS}


def missed_nothing(world: World) -> None:
    """Every answer of the bus is stored, every alarm was told within its time, and people heard of the uplink once."""
    told, clock = raised(world), world.clock
    since_boot = clock.wall() - clock.mono()
    with Reader(world.house.station.store.path) as reader:
        ids = reader.points()
        for address in ALARMS:
            series = reader.readings(ids[f"room{address}.temperature"])
            assert len(series) == world.bus.slaves[address].asked
            assert np.all(np.abs(np.diff(series.time) - POLL * SECOND) <= WIRE)
            hot = int(series.time[np.argmax(series.value > 60)])
            assert hot + ON_DELAY * SECOND == told[f"room{address}"] + since_boot
        moves = [entry.body for entry in reader.transitions() if entry.body.after is AlarmState.UNACK]
        assert len([move for move in moves if move.rule.startswith("profile:fire")]) == len(ALARMS)
    assert len([n for _, n in world.phone.left if "sink far" in n.text and n.reason is NotifyReason.RAISED]) == 1


def all_arrived(world: World) -> None:
    """What the far end has is what is stored, by count and by value; newest alarms came first."""
    stored: dict[tuple[str, int], float] = {}
    with Reader(world.house.station.store.path) as reader:
        for name, number in reader.points().items():
            series = reader.readings(number)
            stored |= {(name, at): v for at, v in zip(series.time.tolist(), series.value.tolist(), strict=True)}
            assert sum(1 for key in stored if key[0] == name) == len(series)
        notes = {"event": [one.n for one in reader.events()], "transition": [one.n for one in reader.transitions()]}
    assert world.far.readings() == stored
    assert len(stored) >= 2 * len(ALARMS) * 24 * HOUR // POLL
    for topic, numbers in notes.items():
        assert sorted(world.far.numbers(topic)) == numbers
    before = [n for n in world.far.numbers("transition") if n <= notes["transition"][len(ALARMS)]]
    assert before == sorted(before, reverse=True)


async def live(folder: Path, clock: Day, wire: Wire) -> None:
    """Live through the day and what follows."""
    async with FarEnd() as far:
        opening = asyncio.create_task(open_house(config(folder, far.port), clock))
        await until(opening.done)
        world = World(opening.result(), clock, ModbusBus(wire, clock, rooms(clock)), far)
        sinks = {name: part for name, part in annex.parts(world.house).items() if name.startswith("sink ")}
        tasks = [asyncio.create_task(world.bus.run()), asyncio.create_task(world.house.run(beside=sinks))]
        try:
            await clock.advance(POLL * 3)
            before = world.cursor()
            await clock.advance(24 * HOUR)
            await clock.advance(POLL / 2)  # between two polls, and what they said is committed
            assert far.calls > 24 * HOUR / 100, "it was tried all day"
            assert not far.got
            assert world.cursor() in (before, [(0,)])
            missed_nothing(world)
            far.silent = False
            await world.drained()
            await clock.advance(POLL)
            await world.drained()
            all_arrived(world)
        finally:
            for task in tasks:
                task.cancel()
            while not all(task.done() for task in tasks):
                await clock.advance(0.1)
            await asyncio.gather(*tasks, return_exceptions=True)


def test_24_hours_in_a_black_hole_miss_nothing_and_then_everything_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, wire = Day(), Wire()
    monkeypatch.setattr(modbus_rtu, "_open_port", lambda _: wire.open())
    for module, name in ((upkeep, "COMPACT_EVERY"), (upkeep, "VERIFY_EVERY"), (_bus_plan, "SECOND")):
        monkeypatch.setattr(module, name, MINUTE)  # who wakes every second to find nothing costs the test half its time
    monkeypatch.setattr(timekeeper, "LOOK_EVERY", 60.0)
    within(monkeypatch, clock)
    asyncio.run(live(tmp_path, clock, wire))
