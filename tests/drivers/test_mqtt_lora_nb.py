"""The `mqtt` driver at a real Mosquitto with Sparkplug nodes, LoRaWAN servers and NB-IoT platforms, all simulated."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from drivers import mqtt
from drivers._profiles import profile
from drivers.simulated import mqtt_devices
from drivers.simulated.lora_devices import LoraDevice, channels, smoke_payload
from drivers.simulated.nb_devices import CtwingDevice, OnenetDevice, sealed
from drivers.simulated.sparkplug_node import NODE, EdgeNode
from gateway.clock import SystemClock
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.quality import GOOD, Doubt, Level, quality
from gateway.model.station import SourceSpec
from gateway.protocols.sparkplug import DataType, rebirth
from gateway.transport.mqtt import Message, MqttSession
from gateway.transport.mqtt_options import Announcement
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, Store, up
from tests.patience import until
from tests.real_mosquitto import running

WITHIN = 30.0  # s: only whether it comes at all is asked
DOUBTFUL = quality(Level.UNCERTAIN, Doubt.DEVICE_DOUBT)
OFFLINE = quality(Level.BAD, Doubt.OFFLINE)
METRICS = {
    NODE: {"Inputs/Level": DataType.FLOAT},
    "d1": {"Inputs/Smoke": DataType.BOOLEAN, "Inputs/Temperature": DataType.INT16, "Inputs/Fault": DataType.UINT8},
}


class Station:
    """A driver with devices of shipped profiles, and what the store has of them."""

    def __init__(self, port: int, *devices: tuple[str, str, dict[str, Any]]) -> None:
        self.notebook, self.store = Notebook(), Store()
        known = [Device(id=name, source="b", profile=profile(kind), options=options) for name, kind, options in devices]
        names = [f"{one.id}.{spec.name}" for one in known for spec in one.profile.points]
        self.ids = {name: number for number, name in enumerate([*names, "@b.events"])}
        self.driver = mqtt.create(
            DriverSetup(
                source=SourceSpec(id="b", driver="mqtt", options={"host": "127.0.0.1", "port": port}),
                devices=known,
                point_ids=self.ids,
                life_safety=frozenset(one.id for one in known if one.profile.alarm_class.life_safety),
                clock=SystemClock(),
                memory=self.notebook,
                report=self.notebook,
                station="jc-07",
            )
        )

    def rows(self, name: str) -> list[tuple[float, int]]:
        """Return (value, quality) of a point, in order."""
        wanted = self.ids[name]
        return [
            (float(value), int(told))
            for batch in self.store.batches
            for point, value, told in zip(batch.point, batch.value, batch.quality, strict=True)
            if point == wanted
        ]

    async def shows(self, name: str, value: float, told: int = GOOD) -> None:
        """Wait until the newest reading of a point is this."""

        def so() -> bool:
            rows = self.rows(name)
            return bool(rows) and rows[-1][1] == told and (rows[-1][0] == value or math.isnan(value))

        await until(so, WITHIN)


class Online:
    """A simulated node at the broker: hears commands, answers them."""

    def __init__(self, node: EdgeNode) -> None:
        self.node = node
        self.asked: list[bytes] = []
        self._session: MqttSession | None = None
        self._got: list[Message] = []

    async def open(self, port: int) -> None:
        """Connect with the NDEATH as will, be born."""
        will = self.node.connect()
        announced = Announcement(will.topic, will.payload, 1, retain=False)
        self._session = await ours(port, "node", self._got, will=announced, will_delay=0)
        await self._session.subscribe([(self.node.filter, 0)])
        await self.publish(self.node.births)

    async def publish(self, build: Callable[[int], list[mqtt_devices.Message]]) -> None:
        """Publish what the node builds for now, at QoS 0 as the specification asks."""
        assert self._session is not None
        for message in build(SystemClock().wall() // 10**6):
            await self._session.publish(message.topic, message.payload, qos=0)

    async def answer(self) -> None:
        """Answer commands until cancelled."""
        while True:
            while self._got:
                topic, payload, *_ = self._got.pop(0)
                self.asked.append(payload or b"")
                await self.publish(partial(self.node.hear, topic, payload or b""))
            await asyncio.sleep(0.01)

    async def fall_over(self) -> None:
        """End so that the broker tells the will."""
        assert self._session is not None
        await self._session.close(will=True)


@asynccontextmanager
async def online(node: EdgeNode, port: int) -> AsyncIterator[Online]:
    """Keep a node at the broker while the block runs."""
    one = Online(node)
    await one.open(port)
    task = asyncio.create_task(one.answer())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def at_a_broker(folder: Path, script: Callable[[int], Awaitable[None]]) -> None:
    """Run a script against a Mosquitto of its own."""

    async def main(port: int) -> None:
        await script(port)

    with running(folder) as broker:
        asyncio.run(main(broker.port))


SMOKE = ("smoke", "sparkplug-smoke", {"group": "jc", "node": "boiler", "device": "d1", "host": "jc-07"})
TANK = ("tank", "sparkplug-level", {"group": "jc", "node": "boiler"})


def test_a_lost_message_a_rebirth_and_good_values_again_then_death(tmp_path: Path) -> None:
    async def script(port: int) -> None:
        node = EdgeNode("jc", "boiler", METRICS, values={("d1", "Inputs/Smoke"): False, (NODE, "Inputs/Level"): 2.5})
        station = Station(port, SMOKE, TANK)
        async with online(node, port) as far, up(station.driver, station.store):
            await station.shows("smoke.smoke", 0.0)  # born long ago: asked for, and told
            await station.shows("tank.level", 2.5)
            assert far.asked == [rebirth()]
            await far.publish(lambda now: node.report("d1", {"Inputs/Temperature": -26}, now))
            await station.shows("smoke.temperature", -26.0)

            node.fault.losing = 1
            await far.publish(lambda now: node.report("d1", {"Inputs/Smoke": True}, now))  # nobody hears it
            await far.publish(lambda now: node.report("d1", {"Inputs/Temperature": 40}, now))
            await station.shows("smoke.smoke", 1.0)
            await station.shows("smoke.temperature", 40.0)
            assert (40.0, DOUBTFUL) in station.rows("smoke.temperature")  # before the birth said it again
            assert station.notebook.counts["sequence_gap"] == 1
            assert len(far.asked) == 2

            await far.publish(lambda now: node.device_death("d1", now))
            await station.shows("smoke.smoke", math.nan, OFFLINE)
            await far.publish(node.births)
            await station.shows("smoke.smoke", 1.0)
            await far.fall_over()
            await station.shows("smoke.smoke", math.nan, OFFLINE)
            await station.shows("tank.level", math.nan, OFFLINE)

    at_a_broker(tmp_path, script)


def test_the_primary_hosts_state_stands_at_the_broker(tmp_path: Path) -> None:
    async def script(port: int) -> None:
        states: list[Message] = []
        watcher = await ours(port, "watcher", states)
        await watcher.subscribe([("spBv1.0/STATE/+", 1)])
        station = Station(port, SMOKE)
        async with up(station.driver, station.store):
            await until(lambda: len(states) == 1, WITHIN)
        await until(lambda: len(states) == 2, WITHIN)
        birth, death = (json.loads(payload or b"") for _, payload, *_ in states)
        assert {topic for topic, *_ in states} == {"spBv1.0/STATE/jc-07"}
        assert (birth["online"], death["online"]) == (True, False)
        assert birth["timestamp"] == death["timestamp"]
        await watcher.close()

    at_a_broker(tmp_path, script)


def test_lorawan_servers_and_nb_iot_platforms_at_one_broker(tmp_path: Path) -> None:
    random = Random(1)  # noqa: S311 - simulated devices
    eui = "24e124136b502201"
    leak, smoke = LoraDevice("chirpstack", "jc", eui, random), LoraDevice("ttn", "jc@ttn", "smoke-1", random)
    wing, net = CtwingDevice(random), OnenetDevice(random)
    messages = [
        *leak.up(channels([("0500", b"\1"), ("0367", b"\xf6\xff")]), {}, 1_700_000_000),
        *leak.status(40.0, 7, 1_700_000_000),
        *smoke.up(smoke_payload(1, smoke=40), {}, 1_700_000_000),
        *wing.transparent(sealed(b"\xaa\x01\x05\x00\xfa"), 1_700_000_000_000),
        *net.post({"smoke": 1, "temperature": 61.5}, 1_700_000_000_000),
    ]

    async def script(port: int) -> None:
        station = Station(
            port,
            ("leak", "chirpstack-em300-sld", {"dev_eui": eui}),
            ("smoke", "ttn-gs524n", {"application": "jc@ttn", "device": "smoke-1"}),
            ("raw", "nb-ctwing-smoke-raw", {"topic": wing.topic, "imei": wing.imei}),
            ("net", "nb-onenet-smoke", {"product": net.product, "device": net.name, "reply": True}),
        )
        answers: list[Message] = []
        sender = await ours(port, "sender", answers)
        await sender.subscribe([("$sys/+/+/thing/property/post/reply", 1)])
        async with up(station.driver, station.store):
            await until(lambda: station.notebook.counts["alive"] == 2, WITHIN)
            for message in messages:
                await sender.publish(message.topic, message.payload)
            await station.shows("leak.leak", 1.0)
            await station.shows("leak.battery", 40.0)
            await station.shows("smoke.smoke", 1.0)
            await station.shows("raw.smoke", 1.0)
            await station.shows("net.temperature", 61.5)
            await until(lambda: len(answers) == 1, WITHIN)
        assert json.loads(answers[0][1] or b"") == {"id": "1", "code": 200, "msg": "success"}
        assert not {"unknown_topic", "no_value", "not_json"} & set(station.notebook.counts)
        times = {int(time) for batch in station.store.batches for time in batch.time}
        assert times == {1_700_000_000 * 10**9}
        await sender.close()

    at_a_broker(tmp_path, script)
