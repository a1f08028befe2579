"""A session at a remote broker for sinks: publishes on PUBACK, and says which gateway speaks for the station.

Beside `mqtt_uplink.py` and `homeassistant.py`. Its retained status names the gateway, so that a second one with the
same station id stops instead of mixing its readings in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import msgspec

from gateway.clock import Clock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.portion import Aside
from gateway.transport.mqtt import Message as Received
from gateway.transport.mqtt import MqttSession, Refused, connect
from gateway.transport.mqtt_options import Announcement, BrokerAccount, MqttOptions

REFUSED = 0x80  # reason codes from here on are refusals (MQTT 5.0 section 2.4)
_NOT_AUTHORIZED, _TOPIC_INVALID, _TOO_LARGE, _PAYLOAD_INVALID = 0x87, 0x90, 0x95, 0x99
_OF_THE_MESSAGE = (_TOPIC_INVALID, _TOO_LARGE, _PAYLOAD_INVALID)
_A_PERSON = (0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C)  # of CONNACK: version, client id, user, rights, banned, method
_WINDOW = 64  # messages under way


class Outgoing(NamedTuple):
    """A message with its whole topic."""

    topic: str
    payload: bytes
    retain: bool = False


class Access(BrokerAccount, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[sink]]` that speaks to a broker; `prefix` is what its topics begin with."""

    prefix: str = "firegrid"

    def __post_init__(self) -> None:
        """Refuse a prefix that nothing can be published under."""
        if not self.prefix or any(mark in self.prefix for mark in "+#\0"):
            raise ValueError("prefix: a topic without + and #")


def connection_of(access: Access, station: str, instance: str) -> tuple[str, MqttOptions]:
    """Return the root of the topics, and the session. Raises ConfigError: a secret that others may read."""
    root = f"{access.prefix}/{level(station)}"
    return root, replace(
        access.session(f"firegrid-{station}-{instance}"),
        session_expiry=0,
        will=Announcement(f"{root}/status", _status(instance, online=False)),
        will_delay=0,
    )


def _status(instance: str, *, online: bool) -> bytes:
    return msgspec.json.encode({"online": online, "instance": instance})


class Speaker:
    """One session for one station; `root` is `<prefix>/<station>`. `heard`: what else comes, by topic and payload."""

    def __init__(
        self,
        access: Access,
        station: str,
        instance: str,
        clock: Clock,
        heard: Callable[[str, bytes], None] = lambda _topic, _payload: None,
    ) -> None:
        self._clock = clock
        self._station = station
        self._instance = instance
        self._heard = heard
        self.root, self.connection = connection_of(access, station, instance)
        self._session: MqttSession | None = None
        self._watch: asyncio.Task[None] | None = None
        self._twin = ""
        self._silenced = False  # another one's last will stands where our status should

    def _status(self, *, online: bool) -> bytes:
        return _status(self._instance, online=online)

    async def say(self, messages: Iterable[Outgoing]) -> list[Aside]:
        """Publish; returns what the broker refuses for good. Raises LinkDown, DeliveryError, see `Sink`."""
        session = await self.live()
        window = asyncio.Semaphore(_WINDOW)
        asides: list[Aside] = []

        async def publish(message: Outgoing) -> None:
            async with window:
                code = await session.publish(message.topic, message.payload, retain=message.retain)
            if code in _OF_THE_MESSAGE:
                told = f"{message.topic.removeprefix(f'{self.root}/')} {message.payload.decode()}"
                asides.append(Aside(told, f"refused with {code:#04x}"))
            elif code == _NOT_AUTHORIZED:
                ours = message.topic.startswith(f"{self.root}/")
                fix = f"let this user publish to {f'{self.root}/#' if ours else message.topic}"
                raise DeliveryError(f"{session.peer} does not allow it; {fix}", retryable=False)
            elif code >= REFUSED:
                raise LinkDown(f"{session.peer} refused a message with {code:#04x}")

        try:
            async with asyncio.TaskGroup() as tasks:
                for message in messages:
                    tasks.create_task(publish(message))
        except* (DeliveryError, LinkDown) as group:
            failed = group.exceptions[0]
        else:
            return asides
        self._drop()
        raise failed  # not in `except*`: Python before 3.11.4 would wrap it in a group

    async def close(self) -> None:
        """Say that this gateway has gone, and close."""
        session, self._session = self._session, None
        if self._watch is not None:
            self._watch.cancel()
        if session is not None:
            with suppress(LinkDown):
                await session.publish(f"{self.root}/status", self._status(online=False), retain=True)
            await session.close()

    async def live(self) -> MqttSession:
        """Return a session that works. Raises LinkDown, DeliveryError."""
        if self._watch is not None and self._watch.done():
            self._drop()
        if self._session is None:
            try:
                session = await connect(self.connection, self._clock, self._received)
            except Refused as error:
                if error.reason in _A_PERSON:
                    fix = "check username, password_file and what this user may do"
                    raise DeliveryError(f"{error}; {fix}", retryable=False) from error
                raise
            self._session = session
            self._watch = asyncio.create_task(_watched(session))
            await self._announce(session)
        if self._silenced:
            await self._announce(self._session)
        if self._twin:
            session, twin = self._session, self._twin
            self._session = None
            await session.close()  # in order: our will must not speak for the other one
            raise DeliveryError(
                f"{session.peer}: another gateway ({twin}) speaks for station {self._station!r};"
                " give one of them another [station] id",
                retryable=False,
            )
        return self._session

    async def _announce(self, session: MqttSession) -> None:
        """Look who speaks for the station, and say that we do when nobody else does."""
        self._twin = ""
        status = f"{self.root}/status"
        # What is retained stands between two answers of the broker; one that may not be read is no obstacle.
        await session.subscribe([(status, 1)])
        await session.subscribe([(status, 1)])
        self._silenced = False
        if not self._twin:
            await session.publish(status, self._status(online=True), retain=True)

    def _received(self, session: MqttSession, messages: list[Received]) -> None:
        for topic, payload, _, _, packet in messages:
            if packet:
                session.ack([packet])
            if topic != f"{self.root}/status":
                self._heard(topic, payload or b"")
                continue
            with suppress(ValueError):
                told = msgspec.json.decode(payload or b"", type=dict[str, bool | str])
                other = str(told.get("instance", ""))
                if other not in ("", self._instance):
                    self._twin = other if told.get("online") is True else ""
                    self._silenced = not self._twin

    def _drop(self) -> None:
        session, self._session = self._session, None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if session is not None:
            session.abort()


async def _watched(session: MqttSession) -> None:
    """Keep a session alive until it ends."""
    with suppress(LinkDown):
        await session.run()


def level(name: str) -> str:
    """Return a name as one level of a topic."""
    return "".join("-" if mark in "/+#" or not mark.isprintable() else mark for mark in name)
