"""A disk too slow for the start: its unanswered alarms go on when it can be read after all (house section 7)."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import annex
from gateway.app import open_house
from gateway.clock import SECOND, SystemClock
from gateway.house import House
from gateway.model.alarm import Alarm, AlarmState, OperatorAct, Suppression, Verb
from gateway.model.batch import make_batch
from gateway.model.delta import Delta
from gateway.model.point import AlarmClass, Severity
from gateway.model.verdict import Cause
from gateway.pipeline import reopening
from gateway.pipeline.found import Kept, Life, Past, unanswered
from gateway.pipeline.recovery import tables_of
from gateway.pipeline.validate import Axis
from gateway.store import chain
from gateway.store.database import Store
from gateway.store.read import Reader
from tests import station_toml as toml
from tests.faults.test_dead_hour import Phone
from tests.patience import PATIENCE, until

# A disk that hangs is found out soon, one that is well never takes too long.
SICK: dict[str, object] = {**toml.WELL, "open_deadline": "200ms", "reopen": "300ms"}
DETECTORS = ("g2", "g1", "g0")
PLACE = "sink far position"


def config(folder: Path, detectors: tuple[str, ...], limits: dict[str, object] = toml.WELL) -> Path:
    path = folder / "station.toml"
    text = toml.station(folder, modem="none", limits=limits) + toml.broker(1) + toml.rule("gas", "g*.v", "value > 10")
    path.write_text(text + "".join(map(toml.sensor, detectors)), encoding="utf-8")
    return path


async def turns(house: House) -> None:
    """Turn until nothing waits and nothing is out."""
    for _ in range(3):
        house.runner.turn()
        while house.intake:
            house.runner.turn()
        for _ in range(10):
            await asyncio.sleep(0)


async def settled(house: House) -> None:
    for _ in range(3):
        await turns(house)
        await until(lambda: not house.ledger.busy)


async def hears(house: House, device: str, value: float) -> None:
    house.intake.put(make_batch("broker", house.clock.mono(), [(house.ids[f"{device}.v"], 0, value, 0)]))
    await turns(house)


async def dies(house: House) -> None:
    """Leave the store as a kill would, but for what is open."""
    await house.ledger.close()
    lock = house.ledger._reopen._lock  # type: ignore[attr-defined] # noqa: SLF001 - a process would end here
    lock.release()


def gas(house: House) -> dict[str, Alarm]:
    return {alarm.device: alarm for alarm in house.state.book.open_alarms() if alarm.rule == "gas"}


async def back(house: House) -> None:
    while house.ledger.volatile:
        await turns(house)
        await asyncio.sleep(0.02)
    await settled(house)


def newest(store: Path, table: str, number: str) -> int:
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute(f"SELECT max({number}) FROM {table}").fetchone()[0])  # noqa: S608 - of a test


def begun_anew(store: Path) -> bool:
    with Reader(store) as reader:
        return any("begun anew" in entry.body.text for entry in reader.events())


async def lived(folder: Path) -> dict[str, Alarm]:
    """Live once: an alarm that nobody has answered, and one that somebody has."""
    first = await open_house(config(folder, DETECTORS[1:]), SystemClock())
    first.channels["sms"] = Phone(first.clock)  # type: ignore[assignment,arg-type] # all that the dispatcher uses
    await settled(first)
    await hears(first, "g0", 99.0)
    await hears(first, "g1", 98.0)
    await settled(first)
    number, now = gas(first)["g1"].id, first.clock.mono()
    first.intake.put(OperatorAct(verb=Verb.ACK, alarms=(number,), who="li", via="cli", at=now))
    await settled(first)
    before = gas(first)
    assert (before["g0"].state, before["g1"].state) == (AlarmState.UNACK, AlarmState.ACKED)
    await dies(first)
    return before


@pytest.mark.parametrize("ids_known", [True, False])  # else a point's id is another one when nothing can be read
def test_what_nobody_has_answered_goes_on_when_the_disk_can_be_read_after_all(
    tmp_path: Path, *, ids_known: bool
) -> None:
    async def main() -> None:
        before, slow = await lived(tmp_path), threading.Event()
        if not ids_known:
            (tmp_path / "station.db.points").unlink()

        def disk(point: str) -> None:
            if point in ("before_open", "before_salvage"):
                slow.wait(2 * PATIENCE)

        house = await open_house(config(tmp_path, DETECTORS, SICK), SystemClock(), disk)
        phone = Phone(house.clock)  # type: ignore[arg-type] # a clock
        house.channels["sms"] = phone  # type: ignore[assignment] # all that the dispatcher uses
        await turns(house)
        assert house.ledger.volatile
        await hears(house, "g2", 97.0)
        assert set(gas(house)) == {"g2"}
        slow.set()
        await back(house)
        found = gas(house)
        assert set(found) == {"g0", "g2"}
        assert found["g0"].state is AlarmState.UNACK
        assert found["g0"].id > found["g2"].id, "numbers of this life"
        assert (found["g0"].raised, found["g0"].value) == (before["g0"].raised, 99.0)
        assert found["g0"].point == house.ids["g0.v"]
        assert (found["g0"].point == before["g0"].point) == ids_known
        assert any("g0" in notice.text and "启动前状态" in notice.text for _, notice in phone.left)
        assert tmp_path.joinpath("station.db.aside-1").exists() != ids_known
        while not ids_known and not begun_anew(tmp_path / "station.db"):
            await turns(house)
            await asyncio.sleep(0.02)
        assert begun_anew(tmp_path / "station.db") != ids_known
        await dies(house)

        again = await open_house(config(tmp_path, DETECTORS), SystemClock())
        assert not [remark for remark in again._remarks if "disagrees" in remark]  # noqa: SLF001 - what is told
        assert gas(again) == found
        await settled(again)
        await hears(again, "g0", 1.0)
        assert gas(again)["g0"].state is AlarmState.LATCHED_UNACK
        await dies(again)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_it_is_not_touched_before_the_house_has_its_alarms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        await lived(tmp_path)
        slow, store = threading.Event(), tmp_path / "station.db"
        last = newest(store, "journal", "seq")

        def untouched(path: Path) -> bool:
            return newest(path, "journal", "seq") == last

        def disk(point: str) -> None:
            if point in ("before_open", "before_salvage"):
                slow.wait(2 * PATIENCE)

        house = await open_house(config(tmp_path, DETECTORS, SICK), SystemClock(), disk)
        tell, busy = house.ledger._reopen._tell, [None]  # type: ignore[attr-defined] # noqa: SLF001
        # The first look finds nothing: the file opens a moment later.
        monkeypatch.setattr(reopening, "unanswered", lambda path: busy.pop() if busy else unanswered(path))
        seen = []

        def told(past: Past) -> None:
            time.sleep(0.1)  # a thread that did not wait for the house would have gone on
            seen.append((len(past.alarms), untouched(store)))
            tell(past)

        house.ledger._reopen._tell = told  # type: ignore[attr-defined] # noqa: SLF001 - looked over its shoulder
        slow.set()
        await back(house)
        assert seen == [(1, True)]
        assert not untouched(store)
        await dies(house)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


class Sink:
    """Stands in for an uplink: notes what it knew when it began."""

    def __init__(self, house: House) -> None:
        self._memory = house.runner.memory
        self.seen: list[str] = []

    def resume(self) -> None:
        """Note it."""
        self.seen.append(f"resumes with {self._memory.get(PLACE)}")

    async def run(self) -> None:
        """Note it."""
        self.seen.append("runs")


@pytest.mark.parametrize("hangs", ["before_open", "before_restore"])
def test_a_store_that_was_only_slow_is_gone_on_with_whole(tmp_path: Path, hangs: str) -> None:
    async def main() -> None:
        before, slow = await lived(tmp_path), threading.Event()
        recorded = newest(tmp_path / "station.db", "record", "n")
        with closing(sqlite3.connect(tmp_path / "station.db")) as connection, connection:
            connection.execute("INSERT INTO mark VALUES (?, ?)", ("lost", msgspec.msgpack.encode({7: b"digest"})))
            memory = [(key, msgspec.msgpack.encode(f"of {key}")) for key in ("channel siren", "page password", PLACE)]
            connection.executemany("INSERT INTO state VALUES ('memory', ?, 1, ?)", memory)
        with Reader(tmp_path / "station.db") as reader:
            numbers = {entry.body.id for entry in reader.notifications()}

        def disk(point: str) -> None:
            if point in (hangs, "before_salvage"):
                slow.wait(2 * PATIENCE)

        house = await open_house(config(tmp_path, DETECTORS, SICK), SystemClock(), disk)
        house.channels["sms"] = Phone(house.clock)  # type: ignore[assignment,arg-type] # all that the dispatcher uses
        sink = Sink(house)
        sending = asyncio.create_task(annex._run_uplink(house, sink))  # type: ignore[arg-type] # noqa: SLF001
        await hears(house, "g1", 1.0)
        assert sink.seen == []
        slow.set()
        await back(house)
        await until(sending.done)
        assert sink.seen == ["resumes with of sink far position", "runs"]
        await hears(house, "g2", 97.0)
        await settled(house)
        kept = {table.name: dict(table.rows) for table in tables_of(house.state)}
        assert gas(house)["g2"].id > gas(house)["g0"].id > max(alarm.id for alarm in before.values())
        await dies(house)

        assert not tmp_path.joinpath("station.db.aside-1").exists()
        with Reader(tmp_path / "station.db") as reader:
            assert reader.readings(reader.points()["g1.v"]).value.tolist() == [98.0, 1.0]
            assert reader.readings(reader.points()["g0.v"]).value.tolist() == [99.0]
            told = {entry.body.id for entry in reader.notifications()}
            assert numbers < told
            assert min(told - numbers) > 10 * max(numbers), "no number is given twice"
        assert chain.check(tmp_path / "station.db").broken is None
        assert newest(tmp_path / "station.db", "record", "n") > recorded
        with closing(Store.open(tmp_path / "station.db")) as store:
            there = {name: store.rows(name, Any) for name in kept}
            assert {"page password", PLACE} <= store.rows("memory", str).keys()
            assert "channel siren" not in store.rows("memory", str), "this life's alarms say how it is"
            assert store.marks("lost") == [], "what was unacknowledged came again, and was a new message"
        assert {name: rows.keys() for name, rows in there.items()} == {name: rows.keys() for name, rows in kept.items()}

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_of_a_file_that_cannot_be_read_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    assert unanswered(path) is None
    path.write_bytes(b"garbage" * 1000)
    assert unanswered(path) is None


def test_what_goes_on_disturbs_no_window_delay_or_silence_of_others(tmp_path: Path) -> None:
    async def main() -> None:
        path = config(tmp_path, DETECTORS)
        text = toml.rule("slow", "g*.v", "value > 10", class_="supervisory", on_delay="50s")
        text += toml.rule("rising", "g*.v", "per_min > 1e9", class_="supervisory", kind="rate", window="60s")
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
        house = await open_house(path, SystemClock())
        await settled(house)
        for value in (1.0, 2.0, 30.0):
            await hears(house, "g1", value)
        await settled(house)
        engine = house.state.engine
        before, active = engine.snapshot(), engine.active()
        engine.hold(frozenset(), Delta())
        assert msgspec.msgpack.encode(engine.snapshot()) == msgspec.msgpack.encode(before)
        place = ("gas", house.ids["g0.v"], "")
        engine.hold(frozenset({place}), Delta())
        assert engine.active() == active | {place}
        assert engine.tables.delays.rows, "the delay runs on"
        await dies(house)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


# -- times and points of another life

NOW = 1_000 * SECOND
WALL = 1_700_000_000 * SECOND
ALARM = Alarm(
    id=7,
    rule="gas",
    point=3,
    key="",
    device="g0",
    point_name="v",
    cell="c",
    alarm_class=AlarmClass.GAS,
    severity=Severity.CRITICAL,
    latch=True,
    state=AlarmState.UNACK,
    suppression=Suppression.SHELVED,
    condition=True,
    since=40 * SECOND,
    raised=50 * SECOND,
)


@pytest.mark.parametrize(
    ("boot", "wall", "trusted", "raised"),
    [
        ("now", None, False, 50),
        ("before", WALL, True, 900),
        ("before", WALL, False, 1_000),
        ("before", None, True, 1_000),
        ("before", WALL + 500 * SECOND, True, 1_000),
    ],
)
def test_times_are_of_this_life_and_never_in_its_future(
    boot: str, wall: int | None, *, trusted: bool, raised: int
) -> None:
    axis = Axis(offset=WALL - 900 * SECOND, trusted=trusted)
    life = Life({"g0.v": 12}, 1, "now", axis, NOW)
    (alarm,) = life.found([Kept(ALARM, "g0.v", boot, wall)]).alarms
    assert (alarm.point, alarm.raised) == (12, raised * SECOND)
    assert (alarm.condition, alarm.suppression) == (True, Suppression.NONE)


def test_an_alarm_at_a_point_that_is_gone_is_told_as_such() -> None:
    life = Life({}, 1, "now", Axis(), NOW)
    (alarm,) = life.found([Kept(ALARM, "g0.v", "now", None)]).alarms
    assert (alarm.point, alarm.key, alarm.device) == (1, "g0.v", "g0")
    assert (alarm.condition, alarm.cause) == (False, Cause.CONFIGURATION)
