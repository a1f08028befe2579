"""The simulated field of a configured station: calm players, ports where they are named, brokers that come and go."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from drivers import _profiles as profiles
from drivers.simulated.behaviour import constant
from drivers.simulated.broker import SimulatedBroker
from drivers.simulated.modbus_bus import ModbusBus
from drivers.simulated.mqtt_devices import MqttDevice, Quantity
from drivers.simulated.station import SimulatedField, Tap, free_place, login_of, mqtt_player
from drivers.simulated.wire import Wire
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.point import Device, Profile
from gateway.model.station import SourceSpec, Station, StoreSpec
from gateway.protocols.sparkplug import REBIRTH, DataType, Metric, Payload, encode
from gateway.transport.mqtt import connect
from gateway.transport.mqtt_options import MqttOptions
from tests.patience import until

TANK = profiles.tailor(
    profiles.profile("json-generic"),
    {
        "level": {"unit": "m", "decode": {"path": "$.level"}},
        "warmth": {"unit": "Cel", "decode": {"path": "$.t"}},
        "deep": {"unit": "m", "decode": {"path": "$.a.b"}},
    },
)


def _device(name: str, profile: Profile, topic: str) -> Device:
    return Device(id=name, source="broker", profile=profile, options={"topic": topic})


def test_a_device_of_any_profile_is_played_calmly() -> None:
    player = mqtt_player(_device("tank", TANK, "a/tank"), 1)
    assert player is not None
    (message,) = player.at(0.0)
    assert message.topic == "a/tank"
    assert json.loads(message.payload) == {"level": 0.0, "t": 20.0, "a": {"b": 0.0}}
    assert mqtt_player(_device("x", profiles.profile("json-generic"), "a/x"), 1) is None


@pytest.mark.parametrize("name", [name for name in profiles.names() if name.startswith("zigbee2mqtt-")])
def test_every_zigbee_profile_is_played_without_an_alarm(name: str) -> None:
    player = mqtt_player(_device("d", profiles.profile(name), "zigbee2mqtt/d"), 1)
    assert player is not None
    states = json.loads(player.at(0.0)[0].payload)
    assert not any(states.get(field) for field in ("smoke", "gas", "water_leak", "carbon_monoxide", "tamper"))


def test_a_port_appears_only_where_nothing_real_is(tmp_path: Path) -> None:
    assert free_place("sms", {"port": str(tmp_path / "modem")}) == tmp_path / "modem"
    (tmp_path / "modem").symlink_to("/dev/null")  # left by a simulator that was killed
    assert free_place("sms", {"port": str(tmp_path / "modem")}) == tmp_path / "modem"
    for wrong, why in ((str(tmp_path), "exists"), (str(tmp_path / "no" / "modem"), "does not exist")):
        with pytest.raises(ConfigError, match=why):
            free_place("sms", {"port": wrong})


def test_devices_log_in_at_the_broker_as_the_station_does(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("tested\n", encoding="utf-8")
    secret.chmod(0o600)
    account = {"host": "broker.lan", "tls": True, "username": "u", "password_file": str(secret), "client_id": "ours"}
    login = login_of(SourceSpec(id="b", driver="mqtt", options=account))
    assert (login.host, login.port, login.username, login.password) == ("broker.lan", 8883, "u", b"tested")
    assert login.tls is not None
    assert (login.client_id, login.session_expiry) == ("simulated-b", 0)


def test_a_tap_shows_both_ways_and_survives_a_pulled_adapter() -> None:
    async def main() -> None:
        seen: list[tuple[str, bytes]] = []
        wire = Wire()
        tap = Tap(wire, lambda way, data: seen.append((way, data)))
        assert tap.port is tap.port
        bus = ModbusBus(tap, SystemClock(), [], baudrate=None)
        serving = asyncio.create_task(bus.run())
        wire.open().write(b"ask")
        await until(lambda: len(seen) == 1)
        tap.port.write(b"answer")
        bus.unplug()
        bus.plug()
        wire.open().write(b"again")
        await until(lambda: len(seen) == 3)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert seen == [(">", b"ask"), ("<", b"answer"), (">", b"again")]

    asyncio.run(main())


def test_devices_publish_again_when_the_broker_is_back() -> None:
    async def main() -> None:
        seen: list[str] = []
        clock = SystemClock()
        broker = SimulatedBroker(clock)
        await broker.start()
        source = SourceSpec(id="broker", driver="mqtt", options={"host": "127.0.0.1", "port": broker.port})
        device = _device("tank", TANK, "a/tank")
        station = Station(id="s", name="s", store=StoreSpec(path=""), sources=(source,), devices=(device,))
        often = {"tank": MqttDevice("a/tank", {"level": Quantity(constant(2.0))}, Random(1), period=0.0)}  # noqa: S311 - noise
        field = SimulatedField(station, clock, players=often, seen=lambda _source, topic, _data: seen.append(topic))
        playing = asyncio.create_task(field.run_devices(source))
        await until(lambda: bool(seen))
        await broker.stop(forget=True)
        seen.clear()
        await broker.start()
        await until(lambda: len(seen) > 1)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        await broker.stop()

    asyncio.run(main())


def test_a_node_hears_who_asks_for_births_and_what_cannot_be_played_is_named() -> None:
    async def main() -> None:
        seen: list[str] = []
        unplayed: list[str] = []
        clock = SystemClock()
        async with SimulatedBroker(clock) as broker:
            source = SourceSpec(id="broker", driver="mqtt", options={"host": "127.0.0.1", "port": broker.port})
            node = Device(
                id="node",
                source="broker",
                profile=profiles.profile("sparkplug-smoke"),
                options={"group": "plant", "node": "edge", "device": "d"},
            )
            none = Device(id="none", source="broker", profile=profiles.profile("ha-smoke"))
            station = Station(id="s", name="s", store=StoreSpec(path=""), sources=(source,), devices=(node, none))
            field = SimulatedField(
                station, clock, seen=lambda _source, topic, _data: seen.append(topic), on_unplayed=unplayed.append
            )
            playing = asyncio.create_task(field.run_devices(source))
            await until(lambda: len(seen) >= 2)
            gateway = await connect(
                MqttOptions(host="127.0.0.1", port=broker.port, client_id="gateway"), clock, lambda *_: None
            )
            running = asyncio.create_task(gateway.run())
            rebirth = Payload(metrics=(Metric(name=REBIRTH, datatype=DataType.BOOLEAN, value=True),))
            await gateway.publish("spBv1.0/plant/NCMD/edge", encode(rebirth))
            await until(lambda: seen.count("spBv1.0/plant/NBIRTH/edge") >= 2)
            assert unplayed == ["none"] == field.unplayed
            for task in (playing, running):
                task.cancel()
            await asyncio.gather(playing, running, return_exceptions=True)
            gateway.abort()

    asyncio.run(main())
