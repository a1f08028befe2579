"""The heartbeat at a broker: a retained message at each beat, and a last will that says the gateway was lost.

One way of `gateway.care.heartbeat`, over a session of its own: the sessions of the source live on while the intake
hangs, this one must not. Whoever subscribes hears the last state at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

import msgspec

from gateway.care.heartbeat import REFUSED, WITHIN
from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.transport import mqtt
from gateway.transport.mqtt_options import Announcement, MqttOptions


class Broker:
    """Publishes. `options`: how the broker of the source is reached; asked at each connection, as files may change."""

    def __init__(
        self,
        options: Callable[[], MqttOptions],
        topic: str,
        *,
        facts: Callable[[str], dict[str, object]],
        clock: Clock,
    ) -> None:
        self._options = options
        self._topic = topic
        self._facts = facts
        self._clock = clock
        self._session: mqtt.MqttSession | None = None
        self._watch: asyncio.Task[None] | None = None

    async def beat(self) -> None:
        """Publish that the gateway lives. Raises LinkDown or ConfigError; the connection is then made anew."""
        try:
            if self._session is None or self._watch is None or self._watch.done():
                await self.fall_silent()
                await self._connect()
            await self._publish("alive")
        except BaseException:
            await self.fall_silent()
            raise

    async def fall_silent(self) -> None:
        """Drop the connection as a crash would: the broker sends the will."""
        session, self._session = self._session, None
        if session is not None:
            session.abort()
        await self._unwatch()

    async def stop(self) -> None:
        """Say that the stop was meant, and close without the will."""
        session = self._session
        if session is None:
            return
        with contextlib.suppress(LinkDown, TimeoutError):
            async with self._clock.timeout(WITHIN):
                await self._publish("stopped")
                await session.close()
        await self.fall_silent()

    async def _connect(self) -> None:
        own = self._options()
        will = Announcement(self._topic, msgspec.json.encode(self._facts("lost")))
        options = replace(
            own, client_id=f"{own.client_id}-heartbeat", will=will, will_delay=0, session_expiry=0, answer_within=WITHIN
        )
        self._session = session = await mqtt.connect(options, self._clock, lambda *_: None)
        self._watch = asyncio.create_task(_watched(session), name="heartbeat session")

    async def _publish(self, state: str) -> None:
        if self._session is None:
            raise LinkDown("no session")
        code = await self._session.publish(self._topic, msgspec.json.encode(self._facts(state)), retain=True)
        if code >= REFUSED:
            raise LinkDown(f"{self._session.peer} refused the heartbeat: reason code {code:#04x}")

    async def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


async def _watched(session: mqtt.MqttSession) -> None:
    with contextlib.suppress(LinkDown):  # the next beat finds the session gone
        await session.run()
