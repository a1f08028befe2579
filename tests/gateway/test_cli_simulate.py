"""`firegrid simulate`: the far ends of the field's wires are understood by the drivers that a station runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers import _profiles as profiles
from drivers.simulated import field as far
from drivers.simulated.broker import SimulatedBroker
from drivers.simulated.field_panel_serial import FIRES
from drivers.simulated.station import SimulatedField
from gateway import registry
from gateway.app import read
from gateway.cli.calm import calm
from gateway.cli.main import BAD_CONFIGURATION, run
from gateway.cli.simulate import _parts
from gateway.cli.simulate_scene import Scenes
from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.model.batch import Batch, EventCode
from gateway.model.inventory import numbered
from gateway.model.point import AlarmClass
from gateway.model.ports import DriverSetup
from gateway.model.quality import Level, level_of
from gateway.model.station import Station
from tests import station_toml as toml
from tests.channel_rigs import Notes
from tests.patience import until
from tests.ports import free_port

MN = "010000A8900016F000169DC0"


def _source(name: str, driver: str, **keys: object) -> str:
    return toml.table("source", id=name, driver=driver, **keys)


def _device(name: str, source: str, profile: str, **keys: object) -> str:
    return toml.table("device", id=name, source=source, profile=profile, cell="a", poll="100ms", **keys)


def _read(folder: Path, text: str) -> Station:
    path = folder / "station.toml"
    path.write_text(toml.station(folder) + text, encoding="utf-8")
    station = read(path).station
    assert station is not None
    return station


class _Heard:
    """What the drivers of a station understood, by device."""

    def __init__(self, station: Station) -> None:
        self.values: dict[str, dict[str, float]] = defaultdict(dict)  # device → point → its last good value
        self.codes: dict[str, set[EventCode]] = defaultdict(set)
        self.fires: dict[str, set[tuple[str, bool]]] = defaultdict(set)  # device → key, whether it is registered
        self.scenes: Scenes
        self._ids = numbered(station)
        self._names = {number: name for name, number in self._ids.items()}
        self._station = station

    def emit(self, batch: Batch) -> None:
        """Take a batch and accept it."""
        for point, value, quality in zip(
            batch.point.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
        ):
            if level_of(quality) is Level.GOOD:
                device, _, name = self._names[point].rpartition(".")
                self.values[device][name] = value
        for event in batch.events:
            self.codes[self._names[event.point].rpartition(".")[0]].add(event.code)
            if event.code is EventCode.FIRE:
                self.fires[self._names[event.point].rpartition(".")[0]].add((event.key, event.registered))
        batch.ack()

    async def run(self) -> None:
        """Run every driver of the station, again whenever its link is down."""
        async with asyncio.TaskGroup() as tasks:
            for source in self._station.sources:
                setup = DriverSetup(
                    source=source,
                    devices=[device for device in self._station.devices if device.source == source.id],
                    point_ids=self._ids,
                    life_safety=frozenset(),
                    clock=SystemClock(),
                    memory=Notes(),
                    report=Notes(),
                )
                tasks.create_task(self._live(setup))

    async def _live(self, setup: DriverSetup) -> None:
        driver = registry.driver(setup.source.driver).create(setup)
        while True:
            with contextlib.suppress(LinkDown):
                await driver.run(self.emit)
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def played(station: Station) -> AsyncIterator[_Heard]:
    """Play a station's field, and let its drivers hear; a fire breaks out once the field is there."""
    clock, heard = SystemClock(), _Heard(station)
    field = SimulatedField(station, clock, calm=calm(station))
    heard.scenes = Scenes(station, field, lambda _: None)
    parts = [part for _, part in _parts(station, field, clock, ("bus", "field"))]
    tasks = [asyncio.create_task(part) for part in (*parts, heard.run())]
    try:
        await until(lambda: len(field.slaves) + len(field.ends) == len(station.devices))
        heard.scenes.begin(AlarmClass.FIRE)
        yield heard
        assert not [task.result() for task in tasks if task.done()]
        assert field.unplayed == []
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "TURN", 0.05)
    monkeypatch.setattr(far, "_AGAIN", 0.05)


def test_transmitters_stations_and_loggers_call(tmp_path: Path) -> None:
    text = (
        _source("centre", "gb26875", wire="tcp_server", port=free_port())
        + _device("panel", "centre", "gb26875-transmitter", address=7)
        + _device("water", "centre", "gb26875-water", address="192.168.1.4:7533")
        + _source("one", "gb26875", wire="tcp_client", host="127.0.0.1", port=free_port())
        + _device("only", "one", "gb26875-transmitter")
        + _source("rivers", "sl651", wire="udp", port=free_port())
        + _device("river", "rivers", "sl651-river", address="0012345678")
        + _source("loggers", "hj212", wire="tcp_server", port=free_port(), listen="localhost")
        + _device("gas", "loggers", "hj212-gas", mn=MN)
        + _source("line", "hj212", wire="serial", port=str(tmp_path / "line"))
        + _device("lone", "line", "hj212-dust", mn=MN)
    )
    station = _read(tmp_path, text)

    async def main() -> None:
        async with played(station) as heard:
            await until(lambda: all(EventCode.FIRE in heard.codes[name] for name in ("panel", "only")))
            await until(lambda: all(heard.values[name] for name in ("water", "river", "gas", "lone")))
            rest = calm(station)
            for name in ("water.pressure", "river.level", "river.voltage", "gas.co", "gas.h2s"):
                device, _, point = name.partition(".")
                assert heard.values[device][point] == pytest.approx(rest[name], rel=0.02, abs=0.1), name
            assert not any(EventCode.FIRE in heard.codes[name] for name in ("water", "river", "gas", "lone"))
            heard.scenes.begin(AlarmClass.GAS)
            await until(lambda: heard.values["gas"]["co"] >= 300.0)
            heard.scenes.end()
            await until(lambda: all(EventCode.RESTORE in heard.codes[name] for name in ("panel", "only")))
            await until(lambda: heard.values["gas"]["co"] == pytest.approx(rest["gas.co"], rel=0.02, abs=0.1))

    asyncio.run(main())


def test_panels_of_every_dialect_see_a_fire(tmp_path: Path) -> None:
    shipped = {
        str(one.options["dialect"]): one.id
        for one in map(profiles.profile, profiles.names())
        if one.driver == "panel_serial"
    }
    assert set(shipped) == set(FIRES), "a new dialect needs a fire here"
    text = "".join(
        _source(f"s-{dialect}", "panel_serial", wire="serial", port=str(tmp_path / dialect))
        + _device(dialect, f"s-{dialect}", profile)
        for dialect, profile in shipped.items()
    )
    station = _read(tmp_path, text)

    async def main() -> None:
        async with played(station) as heard:
            await until(lambda: all(EventCode.FIRE in heard.codes[dialect] for dialect in FIRES))
            assert not any(EventCode.RESET in codes for codes in heard.codes.values())
            heard.scenes.end()
            await until(lambda: all(EventCode.RESET in heard.codes[dialect] for dialect in FIRES))

    asyncio.run(main())


def test_it_burns_at_a_registered_address(tmp_path: Path) -> None:
    places = {
        "fs5101w": "0/1/7/9",
        "gst5000": "004711",
        "gst9000_printer": "7/9",
        "gst_crt": "004711",
        "jb3208": "1/7/9",
        "jbf11sf": "1/7/9",
        "jbf193k": "1/7/9",
        "ld128e": "7/9",
    }
    shipped = [one for one in map(profiles.profile, profiles.names()) if one.driver == "panel_serial"]
    text = (
        _source("centre", "gb26875", wire="tcp_server", port=free_port())
        + _device("sender", "centre", "gb26875-transmitter", address=7, addresses=["1/1", "1/1/7/9"])
        + "".join(
            _source(f"s-{profile.id}", "panel_serial", wire="serial", port=str(tmp_path / profile.id))
            + _device(dialect, f"s-{profile.id}", profile.id, addresses=[places[dialect]])
            for profile in shipped
            if (dialect := str(profile.options["dialect"]))
        )
    )
    station = _read(tmp_path, text)

    async def main() -> None:
        async with played(station) as heard:
            await until(lambda: all(heard.fires[name] for name in ("sender", *places)))
            assert dict(heard.fires) == {name: {(key, True)} for name, key in {**places, "sender": "1/1/7/9"}.items()}

    asyncio.run(main())


def test_sensors_on_lines_and_meters_behind_a_port(tmp_path: Path) -> None:
    sensors = [one.id for one in map(profiles.profile, profiles.names()) if one.driver == "uart"]
    assert len(sensors) >= 5
    text = "".join(
        _source(f"s-{profile}", "uart", wire="serial", port=str(tmp_path / profile))
        + _device(profile, f"s-{profile}", profile)
        for profile in sensors
    )
    for framing in ("tcp", "rtu", "ascii"):
        text += _source(framing, "modbus_tcp", host="127.0.0.1", port=free_port(), framing=framing)
        text += _device(f"meter-{framing}", framing, "xy-md02", address=3)
    station = _read(tmp_path, text)
    warm = [device.id for device in station.devices if not device.profile.preheat]
    assert len(warm) >= 5

    async def main() -> None:
        async with played(station) as heard:
            await until(lambda: all(heard.values[name] for name in warm))
            await until(lambda: heard.values["meter-ascii"]["temperature"] >= 60.0)  # its own limit of a fire
            heard.scenes.end()
            await until(lambda: heard.values["meter-ascii"]["temperature"] == pytest.approx(20.0))

    asyncio.run(main())


def test_only_what_is_on_this_box_is_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        _source("away", "hj212", wire="tcp_client", host="192.0.2.7", port=9003)
        + _device("gas", "away", "hj212-gas", mn=MN)
        + _source("meters", "modbus_tcp", host="192.0.2.8")
        + _device("meter", "meters", "xy-md02", address=3)
    )
    _read(tmp_path, text)
    assert run(["simulate", "field", "-c", str(tmp_path / "station.toml")]) == BAD_CONFIGURATION
    assert "no field that can be played here" in capsys.readouterr().err


def test_a_broker_that_is_there_is_used_and_not_played_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        clock = SystemClock()
        async with SimulatedBroker(clock) as broker:
            text = _source("mqtt", "mqtt", host="127.0.0.1", port=broker.port)
            station = _read(tmp_path, text + _device("d", "mqtt", "tasmota-sht3x", topic="shed"))
            seen: list[str] = []
            field = SimulatedField(station, clock, seen=lambda _source, topic, _data: seen.append(topic))
            parts = [part for _, part in _parts(station, field, clock, ("broker", "devices"))]
            tasks = [asyncio.create_task(part) for part in parts]
            await until(lambda: "tele/shed/SENSOR" in seen)
            assert not [task.result() for task in tasks if task.done()]
            assert f"using what listens at port {broker.port} already" in capsys.readouterr().out
            (lone,) = (part for _, part in _parts(station, field, clock, ("broker",)))
            with pytest.raises(LinkDown, match="cannot listen"):
                await lone
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
