"""Simulated MQTT devices at their broker: who has a last will is there by a connection of its own, as real ones are.

Between `station.py` and the players. A device whose fault is `gone` drops its connection without a word, so that the
broker tells its will. Zigbee devices and the nodes of a Tasmota bridge are there through their bridge; what has no will
shares one connection. Keeps house rule 9 (fakes ship, faults on demand).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn

from drivers.simulated.mqtt_devices import TICK, Message, MqttFault
from drivers.simulated.mqtt_devices import Device as Player
from drivers.simulated.mqtt_firmware import Firmware
from drivers.simulated.mqtt_tasmota import TasmotaNode
from drivers.simulated.sparkplug_player import SparkplugPlayer
from gateway.clock import SECOND, Clock
from gateway.errors import LinkDown
from gateway.model.point import Device
from gateway.protocols.mqtt_topics import covers
from gateway.transport.mqtt import Message as Received
from gateway.transport.mqtt import MqttSession, connect
from gateway.transport.mqtt_options import Announcement, MqttOptions

_AGAIN = 1.0  # s before it connects again


@dataclass(slots=True)
class Together:
    """Devices behind one connection. `birth`, `will`: what their bridge says of itself, if there is one."""

    players: list[Player] = field(default_factory=list)
    birth: Message | None = None
    will: Message | None = None
    fault: MqttFault = field(default_factory=MqttFault)
    _unsaid: bool = True

    @property
    def filters(self) -> Sequence[str]:
        """What any of them subscribes to."""
        return [one for player in self.players for one in player.filters]

    @property
    def stays(self) -> bool:
        """Whether the connection is kept."""
        return not self.fault.gone

    def connect(self) -> Message | None:
        """Begin a connection of all; return the bridge's will."""
        self._unsaid = True
        for player in self.players:
            player.connect()
        return self.will

    def at(self, t: float) -> list[Message]:
        """Return what all publish after t seconds."""
        found = [self.birth] if self._unsaid and self.birth is not None else []
        self._unsaid = False
        return found + [message for player in self.players for message in player.at(t)]

    def hear(self, topic: str, payload: bytes, t: float) -> list[Message]:
        """Let those hear whom it concerns."""
        mine = [one for one in self.players if any(covers(pattern, topic) for pattern in one.filters)]
        return [message for player in mine for message in player.hear(topic, payload, t)]


Client = Together | Firmware | SparkplugPlayer


def clients(playing: Sequence[tuple[Device, Player]]) -> dict[str, Client]:
    """Return who has a connection, by a name for it. `playing`: configured devices with their players."""
    found: dict[str, Client] = {}
    for device, player in playing:
        options = {**device.profile.options, **device.options}
        topic = str(options.get("topic", ""))
        if isinstance(player, SparkplugPlayer):
            found[f"node/{options['group']}/{options['node']}"] = player
        elif isinstance(player, TasmotaNode):
            _join(found, f"tasmota/{topic}", player, player.lwt(there=True), player.lwt(there=False))
        elif isinstance(player, Firmware):
            found[f"device/{device.id}"] = player
        elif device.profile.driver == "zigbee2mqtt":
            base = str(options.get("base") or topic.partition("/")[0])
            birth, will = (
                Message(f"{base}/bridge/state", b'{"state":"%s"}' % word, retain=True)
                for word in (b"online", b"offline")
            )
            _join(found, f"bridge/{base}", player, birth, will)
        else:
            _join(found, "others", player)
    return found


def _join(
    found: dict[str, Client], name: str, player: Player, birth: Message | None = None, will: Message | None = None
) -> None:
    shared = found.setdefault(name, Together(birth=birth, will=will))
    if isinstance(shared, Together):
        shared.players.append(player)


@dataclass(frozen=True, slots=True)
class Attached:
    """A client at a broker. `options`: its login; `began`: of second 0, mono ns; `seen`: (topic, payload) it said."""

    client: Client
    options: MqttOptions
    clock: Clock
    began: int
    seen: Callable[[str, bytes], None]

    async def run(self) -> NoReturn:
        """Be there until cancelled; connects again whenever the broker is back."""
        while True:
            try:
                await self._live()
            except LinkDown:
                await self.clock.sleep(_AGAIN)
            while self.client.fault.gone:
                await self.clock.sleep(TICK)

    async def _live(self) -> None:
        """Speak and hear on one connection until the client is gone. Raises LinkDown."""
        heard: list[tuple[str, bytes]] = []
        some = asyncio.Event()

        def receive(_: MqttSession, messages: list[Received]) -> None:
            heard.extend((topic, payload or b"") for topic, payload, *_ in messages)
            some.set()

        options, will = self.options, self.client.connect()
        if will is not None:
            options = replace(options, will=Announcement(will.topic, will.payload, retain=will.retain), will_delay=0)
        session = await connect(options, self.clock, receive)
        # No TaskGroup: in Python 3.11 one that fails in the turn in which it is cancelled swallows the cancellation.
        tasks = [asyncio.create_task(session.run()), asyncio.create_task(self._speak(session, heard, some))]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            session.abort()  # no farewell: a will is told
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()

    async def _speak(self, session: MqttSession, heard: list[tuple[str, bytes]], some: asyncio.Event) -> None:
        """Answer what was heard at once, and say what is to be said at every tick."""
        client, clock = self.client, self.clock
        qos = 0 if isinstance(client, SparkplugPlayer) else 1  # Sparkplug 3.0 wants 0 for all but the will
        if client.filters:
            await session.subscribe([(pattern, 0) for pattern in client.filters])  # 0: nothing to acknowledge
        while client.stays:
            some.clear()
            t = (clock.mono() - self.began) / SECOND
            asked, heard[:] = list(heard), []
            said = [message for what in asked for message in client.hear(*what, t)]
            for topic, payload, retain in [*said, *client.at(t)]:
                self.seen(topic, payload)
                await session.publish(topic, payload, qos=qos, retain=retain)
            with suppress(TimeoutError):
                async with clock.timeout(TICK):
                    await some.wait()
