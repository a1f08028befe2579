"""MQTT dialects through the daemon and a real Mosquitto: Sparkplug's births and gaps, and a sample of every dialect.

Guarantees: a gap in Sparkplug's sequence asks for a rebirth, and nothing is taken from an alias that nobody explained;
a death makes points BAD and is a fault; every dialect's readings and alarms reach store and people.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from drivers.simulated.lora_devices import LoraDevice, channels, smoke_payload
from drivers.simulated.mqtt_devices import Message
from drivers.simulated.nb_devices import CtwingDevice, OnenetDevice
from drivers.simulated.sparkplug_node import EdgeNode
from gateway.model.quality import Level, level_of
from gateway.protocols.sparkplug import DataType, Metric
from tests import station_toml as toml
from tests.mqtt_clients import Foreign
from tests.patience import PATIENCE, until
from tests.real_mosquitto import running
from tests.scenarios.field_rig import Place, place

SMOKE, WARMTH, PLACE = "Inputs/Smoke", "Inputs/Temperature", "smoke-1"


# -- Sparkplug


class Node:
    """An edge node at a real broker: answers what it is asked, and dies as nodes do."""

    def __init__(self) -> None:
        types = {PLACE: {SMOKE: DataType.BOOLEAN, WARMTH: DataType.FLOAT}}
        self.edge = EdgeNode("jc", "boiler-room", types, values={(PLACE, SMOKE): False, (PLACE, WARMTH): 20.0})
        self.asked = 0
        self._link = Foreign("node", MQTTProtocolVersion.MQTTv311)
        self._client = self._link.client

    async def live(self, port: int) -> None:
        """Connect, with a last will, listen for commands, be born."""
        will = self.edge.connect()
        self._client.will_set(will.topic, will.payload, qos=1)
        self._client.on_message = self._hear
        await self._link.open(port)
        await self._link.subscribe(self.edge.filter, 1)
        self._publish(self.edge.births(_now()))

    def report(self, **values: float | bool) -> None:
        """Tell what changed, by alias."""
        self._publish(self.edge.report(PLACE, {f"Inputs/{name}": value for name, value in values.items()}, _now()))

    def say(self, metric: Metric) -> None:
        """Tell anything."""
        self._publish(self.edge.send(PLACE, (metric,), _now()))

    async def die(self) -> None:
        """Be cut off without a word; the broker publishes the will."""
        await asyncio.to_thread(self._client.loop_stop)
        socket = self._client.socket()
        assert socket is not None
        socket.close()

    def _hear(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.asked += 1
        self._publish(self.edge.hear(message.topic, bytes(message.payload), _now()))

    def _publish(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._client.publish(message.topic, message.payload)


def _now() -> int:
    return time.time_ns() // 1_000_000


def test_sparkplug_loses_a_message_and_dies(tmp_path: Path) -> None:
    async def main(here: Place, port: int) -> None:
        here.write(
            toml.broker(port)
            + toml.table(
                "device", id="boiler", source="broker", profile="sparkplug-smoke", cell="a",
                group="jc", node="boiler-room", device=PLACE, silence="5s",
            )
        )  # fmt: skip
        await here.start()
        node = Node()
        await node.live(port)
        await until(lambda: (20.0, Level.GOOD) in warmth(here))
        node.report(Temperature=21.5)
        await until(lambda: warmth(here)[-1] == (21.5, Level.GOOD))
        await a_gap_asks_for_births(here, node)
        await an_alias_that_nobody_explained(here, node)
        node.report(Smoke=True)
        await here.told("【火警】", "boiler")
        await node.die()
        await until(lambda: {row[1] for row in (warmth(here)[-1], rows(here, "boiler.smoke")[-1])} == {Level.BAD})
        await here.told("【故障】", "boiler")

    (tmp_path / "broker").mkdir()
    with running(tmp_path / "broker") as broker, place(tmp_path) as here:
        asyncio.run(main(here, broker.port))


async def a_gap_asks_for_births(here: Place, node: Node) -> None:
    """What comes behind the gap is not trusted until the node is born again; then it is good."""
    asked = node.asked
    node.edge.fault.losing = 1
    node.report(Temperature=30.0)
    node.report(Temperature=31.0)
    await until(lambda: node.asked > asked)
    await until(lambda: warmth(here)[-1] == (31.0, Level.GOOD))
    assert warmth(here)[-2:] == [(31.0, Level.UNCERTAIN), (31.0, Level.GOOD)]


async def an_alias_that_nobody_explained(here: Place, node: Node) -> None:
    """It may mean smoke, or a test: nothing is taken from it, the node is asked what it is."""
    asked = node.asked
    async with asyncio.timeout(PATIENCE):
        while node.asked == asked:  # it is never asked twice within a second
            node.say(Metric(alias=99, time=_now(), value=True, kind="boolean_value"))
            await asyncio.sleep(0.2)
    node.report(Temperature=22.0)
    await until(lambda: warmth(here)[-1] == (22.0, Level.GOOD))
    assert {value for value, level in rows(here, "boiler.smoke") if level is not Level.BAD} == {0.0}


def rows(here: Place, point: str) -> list[tuple[float, Level]]:
    """Return value and level of what the store has of a point."""
    found = here.readings(point)
    return [
        (value, level_of(packed)) for value, packed in zip(found.value.tolist(), found.quality.tolist(), strict=True)
    ]


def warmth(here: Place) -> list[tuple[float, Level]]:
    """Return what the store has of the temperature."""
    return rows(here, "boiler.temperature")


# -- a sample of every dialect


@dataclass(frozen=True)
class Sample:
    """A device: its keys, what it says at rest, its point and value then, what it says in alarm, and the alarm's."""

    name: str
    profile: str
    keys: dict[str, object]
    rest: list[tuple[str, object]]
    point: str
    value: float
    alarm: list[tuple[str, object]]
    raises: str


def samples() -> list[Sample]:
    """Return a device per dialect; messages of platforms are those of the simulated ones."""
    wall = time.time()
    chance = Random(1)  # noqa: S311 - radio
    leak = LoraDevice("chirpstack", "7", "24e124136b502201", chance)
    hall = LoraDevice("ttn", "jc@ttn", "smoke-1", chance)
    nb, stairs = OnenetDevice(chance), CtwingDevice(chance)
    return [
        Sample(
            "zigbee", "zigbee2mqtt-smoke", {"topic": "zigbee2mqtt/kitchen"},
            [("zigbee2mqtt/kitchen", {"smoke": False, "battery": 97, "linkquality": 80})], "battery", 97,
            [("zigbee2mqtt/kitchen", {"smoke": True, "battery": 97, "linkquality": 81})], "smoke",
        ),
        Sample(
            "shelly", "shelly-smoke", {"topic": "shellyplussmoke-1"},
            [_shelly("NotifyFullStatus", {"smoke:0": {"id": 0, "alarm": False, "mute": False},
                                          "devicepower:0": {"id": 0, "battery": {"V": 5.0, "percent": 78}}})],
            "battery", 78,
            [_shelly("NotifyStatus", {"smoke:0": {"id": 0, "alarm": True}})], "smoke",
        ),
        Sample(
            "tasmota", "tasmota-leak", {"topic": "tasmota_1"},
            [("tele/tasmota_1/STATE", {"Wifi": {"Signal": -61}}), ("tele/tasmota_1/SENSOR", {"Switch1": "OFF"})],
            "signal", -61,
            [("stat/tasmota_1/RESULT", {"Switch1": {"Action": "ON"}})], "water",
        ),
        Sample(
            "esphome", "esphome-smoke", {"topic": "node"},
            [("node/sensor/temperature/state", 21.5), ("node/binary_sensor/smoke/state", b"OFF")], "temperature", 21.5,
            [("node/binary_sensor/smoke/state", b"ON")], "smoke",
        ),
        Sample(
            "chirpstack", "chirpstack-em300-sld", {"dev_eui": leak.name},
            _messages(leak.up(_leak(0), {"temperature": 21.5, "leakage_status": "normal"}, wall)), "temperature", 21.5,
            _messages(leak.up(_leak(1), {}, wall + 1)), "leak",
        ),
        Sample(
            "ttn", "ttn-gs524n", {"application": hall.application, "device": hall.name},
            _messages(hall.up(smoke_payload(7, temperature=22), {}, wall)), "temperature", 22,
            _messages(hall.up(smoke_payload(1, smoke=9), {}, wall + 1)), "smoke",
        ),
        Sample(
            "onenet", "nb-onenet-smoke", {"product": nb.product, "device": nb.name},
            _messages(nb.post({"smoke": 0, "temperature": 23.5}, _now())), "temperature", 23.5,
            _messages(nb.post({"smoke": 1}, _now() + 1)), "smoke",
        ),
        Sample(
            "ctwing", "nb-ctwing-smoke", {"topic": stairs.topic, "device_id": stairs.device_id},
            _messages(stairs.report({"smoke_state": 0, "temperature": 24.5}, _now())), "temperature", 24.5,
            _messages(stairs.report({"smoke_state": 1}, _now() + 1)), "smoke",
        ),
    ]  # fmt: skip


def _shelly(method: str, told: dict[str, object]) -> tuple[str, object]:
    frame = {"src": "shellyplussmoke-1", "dst": "shellyplussmoke-1/events", "method": method}
    return "shellyplussmoke-1/events/rpc", {**frame, "params": {"ts": round(time.time(), 2), **told}}


def _leak(wet: int) -> bytes:
    return channels([("0367", (215).to_bytes(2, "little")), ("0500", bytes((wet,)))])


def _messages(sent: list[Message]) -> list[tuple[str, object]]:
    return [(message.topic, message.payload) for message in sent]


@asynccontextmanager
async def devices(port: int) -> AsyncIterator[Foreign]:
    """Connect who publishes for all of them."""
    link = Foreign("devices", MQTTProtocolVersion.MQTTv5)
    await link.open(port)
    try:
        yield link
    finally:
        await link.close()


def test_a_sample_of_every_dialect(tmp_path: Path) -> None:
    async def main(here: Place, port: int) -> None:
        told = samples()
        text = toml.broker(port)
        for one in told:
            text += toml.table("device", id=one.name, source="broker", profile=one.profile, cell="a", **one.keys)
        here.write(text)
        await here.start()
        async with devices(port) as link:
            for topic, payload in (each for one in told for each in one.rest):
                await link.publish(topic, _bytes(payload))
            await until(lambda: all(here.values(f"{one.name}.{one.point}") == [one.value] for one in told))
            assert here.alarms() == []
            for topic, payload in (each for one in told for each in one.alarm):
                await link.publish(topic, _bytes(payload))
        for one in told:
            await here.told(f" {one.name}，", "回复")
        for one in told:
            row, *_ = await asyncio.to_thread(here.command, "readings", "--json", "--point", f"{one.name}.{one.point}")
            assert (row["value"], row["quality"]) == (pytest.approx(one.value), "GOOD")
        raised = await asyncio.to_thread(here.command, "alarms", "--json")
        assert {(row["device"], row["point"]) for row in raised} == {(one.name, one.raises) for one in told}

    (tmp_path / "broker").mkdir()
    with running(tmp_path / "broker") as broker, place(tmp_path) as here:
        asyncio.run(main(here, broker.port))


def _bytes(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()
