"""Devices of four firmwares at a real Mosquitto, read by the daemon's driver: states, wills, retained, outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers import _mqtt_voice, mqtt
from drivers._profiles import profile, tailor
from drivers.simulated.behaviour import constant, switch
from drivers.simulated.mqtt_announced import AnnouncedDevice
from drivers.simulated.mqtt_devices import Flag, Quantity
from drivers.simulated.mqtt_firmware import EsphomeNode, Firmware, Physics, ShellyDevice
from drivers.simulated.mqtt_tasmota import TasmotaDevice
from gateway.clock import SystemClock
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.quality import describe
from gateway.model.station import SourceSpec
from gateway.transport.mqtt import Message, MqttSession, connect
from gateway.transport.mqtt_options import Announcement, MqttOptions
from tests.mqtt_driver_setup import Notebook, Store, up
from tests.patience import until
from tests.real_mosquitto import Mosquitto, running

TEMPERATURE = Quantity(constant(21.5))
DEPTH = Quantity(switch(0.0, 1.0, at=10.0))
FLAG = Flag("depth", 1.0, 0.5)
AVAILABILITY = [{"topic": "ha/availability"}]
HA_POINTS = {
    "smoke": {"decode": {"topic": "ha", "path": "$.smoke"}},
    "temperature": {"decode": {"topic": "ha", "path": "$.temperature"}},
}
DEVICES = [
    Device(id="leak", source="b", profile=profile("tasmota-leak"), options={"topic": "tas"}),
    Device(id="plug", source="b", profile=profile("tasmota-plug"), options={"topic": "plug"}),
    Device(id="room", source="b", profile=profile("esphome-smoke"), options={"topic": "esp"}),
    Device(id="attic", source="b", profile=profile("shelly-smoke"), options={"topic": "shy"}),
    Device(id="siren", source="b", profile=profile("shelly-plug"), options={"topic": "siren"}),
    Device(
        id="hall",
        source="b",
        profile=tailor(profile("ha-smoke"), HA_POINTS),
        options={"availability": AVAILABILITY},
    ),
]
IDS = {f"{one.id}.{spec.name}": n for n, (one, spec) in enumerate((d, s) for d in DEVICES for s in d.profile.points)}
NAMES = {number: name for name, number in IDS.items()}


def world() -> list[Firmware]:
    """Return the devices; smoke and water come after 10 s of theirs."""
    alarm = {"depth": DEPTH}
    room = {"depth": DEPTH, "temperature": TEMPERATURE}
    mains = {"voltage": Quantity(constant(230.0))}
    return [
        TasmotaDevice("tas", Physics(alarm, {"water": FLAG}), {"water": "Switch1"}),
        TasmotaDevice(
            "plug", Physics(mains, relays={"relay": False}), {"relay": "POWER1", "voltage": "ENERGY.Voltage"}
        ),
        EsphomeNode(
            "esp",
            Physics(room, {"smoke": FLAG}),
            {"smoke": "binary_sensor/smoke", "temperature": "sensor/temperature"},
        ),
        ShellyDevice("shy", Physics(alarm, {"smoke": FLAG}), {"smoke": "smoke:0 alarm"}),
        ShellyDevice(
            "siren",
            Physics(mains, relays={"relay": False}),
            {"relay": "switch:0 output", "voltage": "switch:0 voltage"},
        ),
        AnnouncedDevice(
            "ha",
            Physics(room, {"smoke": FLAG}),
            {"smoke": "binary_sensor smoke", "temperature": "sensor temperature °C"},
        ),
    ]


class Field:
    """Simulated devices at a broker, all through one client."""

    def __init__(self, devices: list[Firmware]) -> None:
        self.devices = devices
        self.session: MqttSession | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def at(self, port: int) -> AsyncIterator[Field]:
        """Connect; commands and questions are answered."""
        options = MqttOptions("127.0.0.1", "field", port=port, session_expiry=0)
        self.session = await connect(options, SystemClock(), self._heard)
        await self.session.subscribe([("cmnd/#", 1), ("+/rpc", 1), ("+/+/+/command", 1)])
        try:
            yield self
        finally:
            await self.session.close()

    async def tell(self, t: float) -> None:
        """Publish what the devices say after t seconds."""
        await self._publish([message for device in self.devices for message in device.at(t)])

    async def _publish(self, messages: list[Any]) -> None:
        assert self.session is not None
        for message in messages:
            await self.session.publish(message.topic, message.payload, retain=message.retain)

    def _heard(self, session: MqttSession, messages: list[Message]) -> None:
        session.ack([packet for *_, packet in messages])
        answers = [
            answer
            for topic, payload, *_ in messages
            for device in self.devices
            if topic.removeprefix("cmnd/").startswith(f"{device.topic}/")
            for answer in device.hear(topic, payload or b"")
        ]
        task = asyncio.get_running_loop().create_task(self._publish(answers))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)


def read(store: Store) -> dict[str, tuple[float, str]]:
    """Return the newest (value, quality) of every point."""
    return {
        NAMES[int(point)]: (float(value), describe(int(mark)))
        for batch in store.batches
        for point, value, mark in zip(batch.point, batch.value, batch.quality, strict=True)
    }


def told(store: Store, name: str) -> list[str]:
    """Return every quality that was told of a point."""
    return [
        describe(int(mark))
        for batch in store.batches
        for point, mark in zip(batch.point, batch.quality, strict=True)
        if NAMES[int(point)] == name
    ]


def with_broker(folder: Path, script: Callable[[Mosquitto, mqtt.MqttDriver, Store, Notebook], Awaitable[None]]) -> None:
    """Run a script with a real broker and a driver that is not started yet."""

    async def main(broker: Mosquitto) -> None:
        notebook = Notebook()
        setup = DriverSetup(
            source=SourceSpec(id="b", driver="mqtt", options={"host": "127.0.0.1", "port": broker.port}),
            devices=DEVICES,
            point_ids={**IDS, "@b.events": 999},
            life_safety=frozenset({"leak", "room", "attic", "hall"}),
            clock=SystemClock(),
            memory=notebook,
            report=notebook,
        )
        await script(broker, mqtt.create(setup), Store(), notebook)

    with running(folder) as broker:
        asyncio.run(main(broker))


GOOD = {
    "leak.water": (0.0, "GOOD"),
    "plug.relay": (0.0, "GOOD"),
    "plug.voltage": (230.0, "GOOD"),
    "room.smoke": (0.0, "GOOD"),
    "room.temperature": (21.5, "GOOD"),
    "attic.smoke": (0.0, "GOOD"),
    "siren.relay": (0.0, "GOOD"),
    "siren.voltage": (230.0, "GOOD"),
    "hall.smoke": (0.0, "GOOD"),
    "hall.temperature": (21.5, "GOOD"),
}
ALARM = dict.fromkeys(("leak.water", "room.smoke", "attic.smoke", "hall.smoke"), (1.0, "GOOD"))


def test_states_alarms_and_outputs_of_every_firmware(tmp_path: Path) -> None:
    async def script(broker: Mosquitto, one: mqtt.MqttDriver, store: Store, notebook: Notebook) -> None:
        async with up(one, store), Field(world()).at(broker.port) as field:
            await until(lambda: notebook.counts["alive"] == 2)
            await field.tell(0.0)
            await until(lambda: read(store) == GOOD)
            await field.tell(10.0)
            await until(lambda: read(store) == GOOD | ALARM)
            for device in ("plug", "siren"):
                await one.write(device, "relay", 1.0)
                assert read(store)[f"{device}.relay"] == (1.0, "GOOD")
                await one.write(device, "relay", 1.0)
                await one.write(device, "relay", 0.0)
                assert read(store)[f"{device}.relay"] == (0.0, "GOOD")
        assert {name: n for name, n in notebook.counts.items() if name not in ("alive", "new_session", "reply")} == {}

    with_broker(tmp_path, script)


def test_before_we_came_retained_states_raise_and_the_gone_are_offline(tmp_path: Path) -> None:
    async def script(broker: Mosquitto, one: mqtt.MqttDriver, store: Store, notebook: Notebook) -> None:
        async with Field(world()[2:3]).at(broker.port) as field:  # the ESPHome node: everything retained
            await field.tell(0.0)
            await field.tell(10.0)
            async with up(one, store):
                await until(lambda: len(read(store)) == 2)
                assert read(store) == {
                    "room.smoke": (1.0, "UNCERTAIN:retained"),
                    "room.temperature": (21.5, "UNCERTAIN:retained"),
                }
                await until(lambda: notebook.counts["alive"] == 2)
            field.devices[0].fault.gone = True
            await field.tell(11.0)
        later = Store()
        async with up(one, later):
            await until(lambda: {mark for _, mark in read(later).values()} == {"BAD:offline"})
            assert sorted(read(later)) == ["room.smoke", "room.temperature", "room.uptime"]
            values = {float(v) for b in later.batches for v, q in zip(b.value, b.quality, strict=True) if q < 128}
            assert values <= {1.0, 21.5}  # in whichever order the broker tells: a state may raise, offline comes last

    with_broker(tmp_path, script)


def test_a_will_of_the_broker_is_offline_and_the_way_back_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mqtt_voice, "AGAIN", 0)  # it was asked just now, when it was first seen

    async def script(broker: Mosquitto, one: mqtt.MqttDriver, store: Store, notebook: Notebook) -> None:
        async with up(one, store), Field(world()).at(broker.port) as field:
            await until(lambda: notebook.counts["alive"] == 2)
            await field.tell(0.0)
            await until(lambda: read(store) == GOOD)
            dying = await connect(
                MqttOptions(
                    "127.0.0.1",
                    "siren",
                    port=broker.port,
                    session_expiry=0,
                    will=Announcement("siren/online", b"false"),
                    will_delay=0,
                ),
                SystemClock(),
                lambda *_: None,
            )
            dying.abort()
            # An answer to an earlier question may still be under way, and then says that it is there after all.
            await until(lambda: "BAD:offline" in told(store, "siren.relay"))
            assert read(store)["plug.relay"] == GOOD["plug.relay"]
            assert field.session is not None
            asked = notebook.counts["reply"]
            await field.session.publish("siren/online", b"true", retain=True)  # asked for, it tells everything
            await until(lambda: notebook.counts["reply"] > asked)
            await until(lambda: read(store)["siren.relay"] == GOOD["siren.relay"])

    with_broker(tmp_path, script)
