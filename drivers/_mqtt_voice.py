"""What dialects say on their own: births, last will, polls and replies; bounded, the same thing not again and again.

Beside `_mqtt_lane.py`. A dialect that lacks something (a birth, a full state) asks with every message that it cannot
read; the device is to be asked once and given time (house rule 2: the dialect knows no clock, so this is judged here).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn, Protocol

from gateway.clock import SECOND, Clock
from gateway.model.ports import Announcing, LinkReport, Publication
from gateway.transport.mqtt_options import Announcement, MqttOptions

AGAIN = 2 * SECOND  # ns until an equal reply may leave once more: a device answers sooner
MOST = 256  # waiting, and remembered
POLL_EVERY = 30 * SECOND  # ns; three answers may be lost before 100 s of silence are a fault


class Link(Protocol):
    """What is asked of a connection, see `MqttSession`."""

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int:
        """Publish; raises `LinkDown`."""


class Voice:
    """What one session says. Replies that the link loses are asked for again when the next message needs them."""

    def __init__(
        self, announcing: Sequence[Announcing], polls: Sequence[Publication], clock: Clock, report: LinkReport
    ) -> None:
        self._announcing = announcing
        self._polls = polls
        self._clock = clock
        self._report = report
        self._wall = 0  # of the will, which birth and will share
        self._waiting: deque[Publication] = deque()
        self._left: dict[Publication, int] = {}  # reply → when it was taken, ns; in this order
        self._some = asyncio.Event()

    def begin(self, options: MqttOptions) -> MqttOptions:
        """Return the options of a new connection: its own will, else the first of a dialect, at once."""
        self._waiting.clear()
        self._left.clear()
        self._wall = self._clock.wall()
        wills = [will for dialect in self._announcing if (will := dialect.will(self._wall)) is not None]
        if options.will is not None or not wills:
            return options
        topic, payload, retain, qos = wills[0]
        return replace(options, will=Announcement(topic, payload, qos, retain), will_delay=0)

    def announce(self) -> None:
        """Queue what says that we are here."""
        for dialect in self._announcing:
            self._waiting.extend(dialect.births(self._wall))
        self._some.set()

    def take(self, replies: Iterable[Publication]) -> None:
        """Queue what is not a repetition."""
        for reply in replies:
            now = self._clock.mono()
            if now - self._left.get(reply, now - AGAIN) < AGAIN:
                continue
            if len(self._waiting) >= MOST:
                self._report.count("reply_dropped")
                continue
            self._left.pop(reply, None)
            self._left[reply] = now
            if len(self._left) > MOST:
                del self._left[next(iter(self._left))]
            self._report.count("reply")
            self._waiting.append(reply)
            self._some.set()

    async def speak(self, link: Link) -> NoReturn:
        """Publish on one connection until it ends."""
        due = self._clock.mono() + POLL_EVERY
        while True:
            with suppress(TimeoutError):
                async with self._clock.timeout((due - self._clock.mono()) / SECOND if self._polls else None):
                    await self._some.wait()
            self._some.clear()
            if self._polls and self._clock.mono() >= due:
                due = self._clock.mono() + POLL_EVERY
                self._waiting.extend(self._polls)
            while self._waiting:
                topic, payload, retain, qos = self._waiting.popleft()
                await link.publish(topic, payload, qos=qos, retain=retain)
