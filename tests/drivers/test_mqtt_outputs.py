"""Outputs over MQTT: a command, then the device's own word; and polls that keep quiet devices heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from drivers import _mqtt_voice, mqtt
from drivers._mqtt_outputs import Outputs
from drivers._profiles import profile, tailor
from drivers.dialects import esphome
from drivers.simulated.broker import SimulatedBroker
from gateway.clock import SystemClock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.point import Device
from gateway.model.ports import DialectSetup, DriverSetup, Publication
from gateway.model.quality import GOOD, Doubt, Level, quality
from gateway.model.station import SourceSpec
from gateway.transport.mqtt import MqttSession
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, Store, up
from tests.patience import until

Script = Callable[[mqtt.MqttDriver, MqttSession, list[tuple[str, bytes]], Store], Awaitable[None]]
HA_SIREN = {
    "siren": {
        "kind": "state",
        "labels": {"off": 0, "on": 1},
        "decode": {"topic": "siren/is", "write": "siren/be", "on": "1", "off": "0"},
    }
}
DEVICES = [
    Device(id="plug", source="b", profile=profile("tasmota-plug"), options={"topic": "plug"}),
    Device(id="node", source="b", profile=profile("esphome-plug"), options={"topic": "node"}),
    Device(id="shelly", source="b", profile=profile("shelly-plug"), options={"topic": "shelly"}),
    Device(id="ha", source="b", profile=tailor(profile("ha-generic"), HA_SIREN)),
    Device(id="zig", source="b", profile=profile("zigbee2mqtt-smoke"), options={"topic": "z/zig"}),
]
IDS = [f"{one.id}.{spec.name}" for one in DEVICES for spec in one.profile.points]


def with_driver(script: Script, *listen: str) -> None:
    """Run a driver at a broker, with a client that hears `listen`."""

    async def main() -> None:
        ids = {name: number for number, name in enumerate([*IDS, "@b.events"])}
        async with SimulatedBroker(SystemClock()) as broker:
            notebook, store, got = Notebook(), Store(), list[Any]()
            setup = DriverSetup(
                source=SourceSpec(id="b", driver="mqtt", options={"host": "127.0.0.1", "port": broker.port}),
                devices=DEVICES,
                point_ids=ids,
                life_safety=frozenset({"zig"}),
                clock=SystemClock(),
                memory=notebook,
                report=notebook,
            )
            other = await ours(broker.port, "other", got)
            await other.subscribe([(pattern, 1) for pattern in listen])
            one = mqtt.create(setup)
            with pytest.raises(LinkDown):
                await one.write("plug", "relay", 1.0)
            async with up(one, store):
                await until(lambda: notebook.counts["alive"] == 2)
                await script(one, other, got, store)
            await other.close()

    asyncio.run(main())


def test_a_command_has_taken_when_the_device_says_so() -> None:
    answers = {
        "plug": ("stat/plug/RESULT", b'{"POWER":"ON"}'),
        "node": ("node/switch/relay/state", b"ON"),
        "shelly": ("firegrid/shelly/rpc", b'{"id":1,"result":{"switch:0":{"output":true}}}'),
        "ha": ("siren/is", b"ON"),
    }

    async def script(one: mqtt.MqttDriver, other: MqttSession, got: list[tuple[str, bytes]], store: Store) -> None:
        for device, (topic, payload) in answers.items():
            before = len(got)
            writing = asyncio.create_task(one.write(device, "siren" if device == "ha" else "relay", 1.0))
            await until(lambda before=before: len(got) > before)  # type: ignore[misc] # mypy cannot type a default
            await asyncio.sleep(0)
            assert not writing.done()
            await other.publish(topic, payload)
            await writing
        assert [message[:2] for message in got if b"GetStatus" not in message[1]] == [
            ("cmnd/plug/POWER1", b"ON"),
            ("node/switch/relay/command", b"ON"),
            ("shelly/rpc", b'{"id":1,"src":"firegrid/shelly","method":"Switch.Set","params":{"id":0,"on":true}}'),
            ("siren/be", b"1"),
        ]
        assert store.values

    with_driver(script, "cmnd/plug/POWER1", "node/+/+/command", "shelly/rpc", "siren/be")


def test_one_that_tells_changes_only_has_taken_when_it_is_so_already(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers._mqtt_outputs.WITHIN", 0.3)

    async def script(one: mqtt.MqttDriver, other: MqttSession, got: list[tuple[str, bytes]], store: Store) -> None:
        await other.publish("node/switch/relay/state", b"ON")
        await other.publish("stat/plug/POWER", b"ON")
        await until(lambda: len(store.values) == 2)
        await one.write("node", "relay", 1.0)
        assert len(got) == 1
        with pytest.raises(DeliveryError, match="did not say that it is 1"):  # this one can be asked: it must answer
            await one.write("plug", "relay", 1.0)
        await other.publish("node/status", b"offline")
        await until(lambda: len(store.values) > 2)
        with pytest.raises(DeliveryError, match="did not say"):
            await one.write("node", "relay", 1.0)
        with pytest.raises(DeliveryError, match="no output"):
            await one.write("plug", "voltage", 1.0)
        with pytest.raises(DeliveryError, match="no output"):
            await one.write("zig", "smoke", 1.0)

    with_driver(script, "node/+/+/command")


def test_a_state_from_before_is_no_answer() -> None:
    class Broker:
        async def say(self, messages: Iterable[Publication]) -> None:
            self.said = list(messages)

    async def main() -> None:
        known, node = {"node.relay": 7}, DEVICES[1]
        setup = DialectSetup(devices=[node], point_ids=dict.fromkeys(IDS, 1) | known, source_events=9)
        outputs = Outputs(setup.point_ids, SystemClock())
        outputs.add(node, esphome.create(setup), Broker())
        writing = asyncio.create_task(outputs.write("node", "relay", 1.0))
        await asyncio.sleep(0)
        outputs.saw([(7, 0, 1.0, quality(Level.UNCERTAIN, Doubt.RETAINED)), (7, 0, 0.0, GOOD)])
        await asyncio.sleep(0)
        assert not writing.done()
        outputs.saw([(7, 0, 1.0, GOOD)])
        await writing

    asyncio.run(main())


def test_what_would_be_silent_is_asked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mqtt_voice, "POLL_EVERY", 50_000_000)

    async def script(_one: mqtt.MqttDriver, _other: MqttSession, got: list[tuple[str, bytes]], _store: Store) -> None:
        await until(lambda: [topic for topic, *_ in got].count("shelly/rpc") >= 3)
        assert [topic for topic, *_ in got].count("cmnd/plug/STATUS") >= 4

    with_driver(script, "cmnd/+/STATUS", "shelly/rpc", "z/#")
