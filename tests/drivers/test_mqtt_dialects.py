"""The `mqtt` driver with the dialects and profiles that ship: what detector and panel say becomes a batch."""

from __future__ import annotations

import asyncio
from typing import Any

from drivers import _profiles, mqtt
from drivers.simulated.broker import SimulatedBroker
from gateway.clock import SystemClock
from gateway.model.batch import EventCode
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.transport.mqtt import Message
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, Store, up
from tests.patience import until


def device(name: str, profile: str, **options: Any) -> Device:  # noqa: ANN401 - whatever a TOML table holds
    return Device(id=name, source="broker", profile=_profiles.profile(profile), options=options)


def test_gas_detector_and_panel_through_the_shipped_dialects() -> None:
    devices = [
        device("kitchen-gas", "zigbee2mqtt-gas", topic="zigbee2mqtt/kitchen-gas"),
        device("panel", "json-panel", topic="panel/events", addresses=["3/17"]),
        device("hall", "zigbee2mqtt-temperature", topic="zigbee2mqtt/hall"),
    ]
    names = [f"{one.id}.{spec.name}" for one in devices for spec in one.profile.points]
    ids = {name: number for number, name in enumerate([*names, *(f"{d.id}.events" for d in devices), "@broker.events"])}

    async def main() -> None:
        notebook, store = Notebook(), Store()
        async with SimulatedBroker(SystemClock()) as broker:
            setup = DriverSetup(
                source=SourceSpec(id="broker", driver="mqtt", options={"host": "127.0.0.1", "port": broker.port}),
                devices=devices,
                point_ids=ids,
                life_safety=frozenset({"kitchen-gas", "panel"}),
                clock=SystemClock(),
                memory=notebook,
                report=notebook,
            )
            asked: list[Message] = []
            sender = await ours(broker.port, "sender", asked)
            await sender.subscribe([("zigbee2mqtt/+/get", 1)])
            async with up(mqtt.create(setup), store):
                await until(lambda: notebook.counts["alive"] == 2 and bool(asked))
                await sender.publish("zigbee2mqtt/kitchen-gas", b'{"gas": true, "gas_value": 31, "linkquality": 90}')
                await sender.publish("zigbee2mqtt/hall", b'{"temperature": 21.5}')
                await sender.publish("panel/events", b'{"type": "fire", "loop": 3, "address": 17}')
                await sender.publish("panel/events", b"not JSON \xff")
                await until(lambda: len(store.values) >= 4 and len(store.events) == 1)
            await sender.close()
        readings = {int(p): float(v) for batch in store.batches for p, v in zip(batch.point, batch.value, strict=True)}
        assert readings[ids["kitchen-gas.gas"]] == 1.0
        assert readings[ids["kitchen-gas.ch4"]] == 31.0
        assert readings[ids["hall.temperature"]] == 21.5
        assert (store.events[0].key, store.events[0].code) == ("3/17", EventCode.FIRE)
        assert [topic for topic, *_ in asked] == ["zigbee2mqtt/kitchen-gas/get"]
        assert "unknown_topic" not in notebook.counts  # our own questions do not come back to us

    asyncio.run(main())
