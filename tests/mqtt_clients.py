"""MQTT clients for tests: one that is not ours (paho), ours, and a choice of brokers to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from drivers.simulated.broker import SimulatedBroker
from gateway.clock import SystemClock
from gateway.transport.mqtt import Message, MqttSession, connect
from gateway.transport.mqtt_options import MqttOptions
from tests.patience import until
from tests.real_mosquitto import OPEN, running

BROKERS = ("simulated", "mosquitto")
VERSIONS = (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5)

Script = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def broker(kind: str, folder: Path) -> AsyncIterator[int]:
    """Run a broker that lets anyone in; yields its port."""
    if kind == "simulated":
        async with SimulatedBroker(SystemClock()) as simulated:
            yield simulated.port
    else:
        with running(folder, OPEN) as real:
            yield real.port


def contract(kind: str, folder: Path, script: Script) -> None:
    """Run a script against a broker."""

    async def main() -> None:
        async with broker(kind, folder) as port:
            await script(port)

    asyncio.run(main())


class Foreign:
    """A paho client on its own thread."""

    def __init__(self, client_id: str, version: MQTTProtocolVersion, *, clean: bool = True) -> None:
        self.got: list[tuple[str, bytes, int, bool]] = []
        self.subscribed: list[int] = []
        self.present: bool | None = None
        self.unsubscribed = 0
        five = version == MQTTProtocolVersion.MQTTv5
        self._clean = clean
        self._five = five
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            clean_session=None if five else clean,
        )
        self.client.on_message = self._message
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._subscribed
        self.client.on_unsubscribe = self._unsubscribed

    def _message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.got.append((message.topic, bytes(message.payload), message.qos, message.retain))

    def _connected(self, _client: paho.Client, _data: object, flags: Any, *_: object) -> None:  # noqa: ANN401 - paho's
        self.present = flags.session_present

    def _subscribed(self, _client: paho.Client, _data: object, _id: int, codes: list[Any], *_: object) -> None:
        self.subscribed += [code.value for code in codes]

    def _unsubscribed(self, *_: object) -> None:
        self.unsubscribed += 1

    async def open(self, port: int) -> None:
        """Connect and wait for the answer."""
        properties = None
        if self._five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho has no types here
            properties.SessionExpiryInterval = 0 if self._clean else 3_600
        options: dict[str, Any] = {"clean_start": self._clean, "properties": properties} if self._five else {}
        self.present = None
        await asyncio.to_thread(self.client.connect, "127.0.0.1", port, 60, **options)
        self.client.loop_start()
        await until(lambda: self.present is not None)

    async def subscribe(self, pattern: str, qos: int) -> None:
        """Subscribe and wait for the answer."""
        before = len(self.subscribed)
        self.client.subscribe(pattern, qos)
        await until(lambda: len(self.subscribed) > before)

    async def unsubscribe(self, pattern: str) -> None:
        """Unsubscribe and wait for the answer."""
        before = self.unsubscribed
        self.client.unsubscribe(pattern)
        await until(lambda: self.unsubscribed > before)

    async def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> None:
        """Publish and wait for the PUBACK."""
        info = self.client.publish(topic, payload, qos, retain)
        await until(info.is_published)

    async def close(self) -> None:
        """Say goodbye."""
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)


async def ours(
    port: int,
    client_id: str,
    got: list[Message],
    *,
    acknowledge: bool = True,
    **options: Any,  # noqa: ANN401
) -> MqttSession:
    """Connect our client; what comes is appended to `got`."""

    def receive(session: MqttSession, messages: list[Message]) -> None:
        got.extend(messages)
        if acknowledge:
            session.ack([message[-1] for message in messages])

    return await connect(MqttOptions("127.0.0.1", client_id, port=port, **options), SystemClock(), receive)


async def grows(got: list[Message], size: int) -> None:
    """Wait until so many messages have come."""
    await until(lambda: len(got) >= size)
