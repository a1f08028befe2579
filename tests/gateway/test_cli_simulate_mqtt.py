"""`firegrid simulate` at a real Mosquitto: devices of every dialect raise, clear, obey, and die as real ones do."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from drivers import _mqtt_outputs
from drivers.simulated import mqtt_links
from drivers.simulated.sparkplug_player import SparkplugPlayer
from drivers.simulated.station import SimulatedField
from gateway import registry
from gateway.app import read
from gateway.cli.calm import calm
from gateway.cli.simulate_scene import Scenes, alarming
from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.model.batch import Batch, EventCode
from gateway.model.inventory import numbered
from gateway.model.point import AlarmClass
from gateway.model.ports import DriverSetup
from gateway.model.quality import describe
from gateway.model.station import Station
from tests import station_toml as toml
from tests.channel_rigs import Notes
from tests.patience import PATIENCE, until
from tests.real_mosquitto import running

_EUI = "24e124126a146970"
_NODE = {"group": "plant", "node": "edge", "host": "jc-07"}
_HA = [{"topic": "ha/there"}]
# Every dialect: device → profile, keys.
DEVICES: dict[str, tuple[str, dict[str, object]]] = {
    "z-smoke": ("zigbee2mqtt-smoke", {"topic": "zigbee2mqtt/hall"}),
    "z-gas": ("zigbee2mqtt-gas", {"topic": "zigbee2mqtt/kitchen"}),
    "z-leak": ("zigbee2mqtt-leak", {"topic": "zigbee2mqtt/cellar"}),
    "z-co": ("zigbee2mqtt-co", {"topic": "zigbee2mqtt/boiler"}),
    "t-node": ("tasmota-zigbee-smoke", {"topic": "bridge", "unit": "0x2916"}),
    "t-other": ("tasmota-zigbee-co", {"topic": "bridge", "unit": "0x2917"}),
    "others": ("tasmota-leak", {"topic": "float"}),  # the name of a connection too
    "t-plug": ("tasmota-plug", {"topic": "plug"}),
    "e-gas": ("esphome-gas", {"topic": "kitchen"}),
    "e-plug": ("esphome-plug", {"topic": "fan"}),
    "s-smoke": ("shelly-smoke", {"topic": "shellysmoke-1"}),
    "s-plug": ("shelly-plug", {"topic": "shellyplug-1"}),
    "h-smoke": ("ha-smoke", {"availability": _HA, "points": {"smoke": {"decode": {"topic": "ha", "path": "$.smoke"}}}}),
    "h-siren": (
        "ha-generic",
        {
            "availability": _HA,
            "points": {
                "relay": {
                    "kind": "state",
                    "labels": {"off": 0, "on": 1},
                    "decode": {"topic": "ha/siren", "write": "ha/siren/set", "words": {"ON": 1, "OFF": 0}},
                }
            },
        },
    ),
    "c-smoke": ("chirpstack-gs524n", {"dev_eui": _EUI, "application": "a"}),
    "l-smoke": ("ttn-gs524n", {"application": "a", "device": "smoke"}),
    "l-leak": ("ttn-em300-sld", {"application": "a", "device": "leak"}),
    "n-gas": ("nb-ctwing-gas", {"topic": "aep", "imei": "1"}),
    "n-raw": ("nb-ctwing-smoke-raw", {"topic": "aep", "imei": "2", "sleeps": False}),
    "o-smoke": ("nb-onenet-smoke", {"product": "p", "device": "smoke"}),
    "b-smoke": ("sparkplug-smoke", {**_NODE, "device": "d1"}),
    "b-gas": ("sparkplug-gas", {**_NODE, "device": "d2"}),
    "b-pump": ("sparkplug-level", {**_NODE, "device": "d3"}),
    "j-panel": ("json-panel", {"topic": "panel", "addresses": ["4/7"]}),
    "j-tank": (
        "json-generic",
        {
            "topic": "tank",
            "availability": {"topic": "~/LWT", "offline": ["gone"]},
            "points": {"gas": {"unit": "%[LEL]", "alarms": [{"when": "value > 10", "class": "gas"}]}},
        },
    ),
}
OUTPUTS = {"t-plug": "relay", "e-plug": "relay", "s-plug": "relay", "h-siren": "relay", "b-pump": "pump"}
# What says that it is gone where it drops its connection, or where who stands between says so.
PRESENT = ("z-smoke", "others", "e-gas", "s-plug", "h-smoke", "n-raw", "b-smoke", "j-tank")
BRIDGES = {"bridge/zigbee2mqtt": "z-leak.water_leak", "tasmota/bridge": "t-node.smoke"}


class Gateway:
    """The driver of the station's broker, and the newest of all it read."""

    def __init__(self, station: Station) -> None:
        self.latest: dict[str, tuple[float, str]] = {}
        self.codes: dict[EventCode, set[tuple[str, bool]]] = defaultdict(set)
        self.notes = Notes()
        ids = numbered(station)
        self._names = {number: name for name, number in ids.items()}
        (source,) = station.sources
        self.driver = registry.driver("mqtt").create(
            DriverSetup(
                source=source,
                devices=list(station.devices),
                point_ids=ids,
                life_safety=frozenset(device.id for device in station.devices if device.id[0] in "zots"),
                clock=SystemClock(),
                memory=Notes(),
                report=self.notes,
            )
        )

    async def run(self) -> None:
        """Run the driver, again whenever its link is down."""
        while True:
            with contextlib.suppress(LinkDown):
                await self.driver.run(self.emit)
            await asyncio.sleep(0.05)

    def emit(self, batch: Batch) -> None:
        """Take a batch and accept it."""
        for point, value, mark in zip(batch.point.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True):
            self.latest[self._names[point]] = (value, describe(mark))
        for event in batch.events:
            self.codes[event.code].add((event.key, event.registered))
        batch.ack()

    async def shows(self, wanted: dict[str, tuple[float, str]]) -> None:
        """Wait until all of these are the newest; a value of NaN stands for any."""

        def missing() -> dict[str, object]:
            return {
                name: (self.latest.get(name), so)
                for name, so in wanted.items()
                if (found := self.latest.get(name)) is None
                or found[1] != so[1]
                or not (math.isnan(so[0]) or found[0] == pytest.approx(so[0], abs=0.51))
            }

        await until(lambda: not missing(), what=missing)


def _station(folder: Path, port: int) -> Station:
    path = folder / "station.toml"
    text = toml.station(folder) + toml.broker(port)
    for name, (profile, keys) in DEVICES.items():
        text += toml.table("device", id=name, source="broker", profile=profile, cell="a", **keys)
    path.write_text(text, encoding="utf-8")
    loaded = read(path)
    assert loaded.station is not None, [problem.text() for problem in loaded.problems]
    return loaded.station


def at_a_broker(folder: Path, script: Callable[[Station, SimulatedField, Gateway], Awaitable[None]]) -> None:
    """Run a script with the field of all devices and the gateway's driver at one Mosquitto."""

    async def main(port: int) -> None:
        station = _station(folder, port)
        field, gateway = SimulatedField(station, SystemClock(), calm=calm(station)), Gateway(station)
        tasks = [asyncio.create_task(gateway.run())]
        try:
            await until(lambda: gateway.notes.counts["alive"] >= 2)  # what is not retained is said every 30 s only
            tasks.append(asyncio.create_task(field.run_devices(station.sources[0])))
            await script(station, field, gateway)
            assert not [task.result() for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    with running(folder) as broker:
        asyncio.run(main(broker.port))


def test_every_dialect_raises_clears_obeys_and_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_links, "TICK", 0.05)
    monkeypatch.setattr(mqtt_links, "_AGAIN", 0.05)
    monkeypatch.setattr(_mqtt_outputs, "WITHIN", PATIENCE)

    async def script(station: Station, field: SimulatedField, gateway: Gateway) -> None:
        rest = calm(station)
        alarms = {
            f"{device}.{point}": (value, "GOOD")
            for one in (AlarmClass.FIRE, AlarmClass.GAS, AlarmClass.FLOOD)
            for device, values in alarming(station, one).items()
            for point, value in values.items()
            if device != "h-smoke" or point == "smoke"  # the only one that was learnt
        }
        assert {name.partition(".")[0] for name in alarms} == set(DEVICES) - {*OUTPUTS, "j-panel"}
        normal = {name: (rest.get(name, 0.0), "GOOD") for name in alarms}
        await gateway.shows(normal)
        assert field.unplayed == []
        scenes = Scenes(station, field, lambda _: None)
        for one in (AlarmClass.FIRE, AlarmClass.GAS, AlarmClass.FLOOD):
            scenes.begin(one)
        await gateway.shows(alarms)
        await until(lambda: gateway.codes[EventCode.FIRE] == {("4/7", True)})
        scenes.end()
        await gateway.shows(normal)
        await until(lambda: gateway.codes[EventCode.RESET])
        for device, point in OUTPUTS.items():
            for wanted in (1.0, 0.0):
                await gateway.driver.write(device, point, wanted)
                await gateway.shows({f"{device}.{point}": (wanted, "GOOD")})
        await _the_gone(field, gateway)
        await _a_node_in_trouble(field, gateway)

    at_a_broker(tmp_path, script)


async def _the_gone(field: SimulatedField, gateway: Gateway) -> None:
    """Who drops its connection is told by the broker; who has another behind it, by that one; and they come back."""
    points = {name: next(key for key in gateway.latest if key.startswith(f"{name}.")) for name in PRESENT}
    devices = {points[name]: field.devices[name].fault for name in PRESENT}
    bridges = {point: field.clients[name].fault for name, point in BRIDGES.items()}
    for faults in (devices, bridges):
        for fault in faults.values():
            fault.gone = True
        await gateway.shows(dict.fromkeys(faults, (math.nan, "BAD:offline")))
        for fault in faults.values():
            fault.gone = False
        await gateway.shows(dict.fromkeys(faults, (math.nan, "GOOD")))


async def _a_node_in_trouble(field: SimulatedField, gateway: Gateway) -> None:
    """A lost message, and aliases that no birth explained: it is asked for births, and gives them."""
    player = field.devices["b-smoke"]
    assert isinstance(player, SparkplugPlayer)
    fault = player.node.fault
    fault.losing, fault.renumbered = 1, True

    def healed() -> bool:
        player.show((), "b-smoke")  # told again: who was asked just now is not asked again within a second
        return not fault.renumbered

    await until(healed)
    assert gateway.notes.counts["sequence_gap"]
    assert gateway.notes.counts["unknown_alias"]
    await gateway.shows(dict.fromkeys(("b-smoke.smoke", "b-gas.ch4", "b-pump.level"), (math.nan, "GOOD")))
    assert gateway.latest["b-gas.ch4"][0] < 10.0
