"""What `firegrid doctor` finds at a broker: whether it lets us in, and whether it keeps what comes while we are away.

A stock Mosquitto acknowledges everything and silently drops what exceeds 1 000 queued messages; nothing it says tells.
So it is tried: a persistent session of our own goes away, more small messages than that are published to it, and what
comes back is counted. The topics are ours alone and the session ends by itself a minute later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import msgspec

from drivers.mqtt import Options, connection_of
from gateway.cli.examined import Finding, Level
from gateway.cli.links import unreachable
from gateway.clock import Clock
from gateway.errors import ConfigError, LinkDown
from gateway.model.station import SourceSpec, Station
from gateway.transport.mqtt import Message, MqttSession, connect
from gateway.transport.mqtt_options import MqttOptions

PROBE = 1500  # messages: more than the stock limits of 1 000 queued and 20 in flight together
UNDER_WAY = 20  # published at once
QUIET = 1.0  # s without a message: nothing more is coming
LINES = "max_queued_messages 200000, max_queued_bytes 52428800"


class Kept(NamedTuple):
    """What came back of the messages published while we were away; `queued_qos0`: of the one without QoS."""

    version: str
    qos1: int
    queued_qos0: bool


def brokers(station: Station, clock: Clock, *, probe: bool) -> Iterator[Finding]:
    """Yield the findings of every MQTT source. Runs a loop of its own: blocking, some seconds per broker."""
    for source in station.sources:
        if source.driver == "mqtt":
            yield from _broker(source, station, clock, probe=probe)


def _broker(source: SourceSpec, station: Station, clock: Clock, *, probe: bool) -> list[Finding]:
    try:
        options = connection_of(
            msgspec.convert(source.options, Options), station=station.id, source=source.id, receive_maximum=1000
        )
        own = replace(options, client_id=f"{options.client_id}-doctor", session_expiry=60, will=None)
        kept = asyncio.run(_try(own, clock, probe=probe))
    except (ConfigError, LinkDown, msgspec.ValidationError) as error:
        return [unreachable(source.id, str(error))]
    name = f"{source.id} ({own.host}:{own.port}{f', {kept.version}' if kept.version else ''})"
    found = [Finding("broker", Level.GOOD, f"{name} 可以登录", f"{name} lets us in")]
    return [*found, *_queues(name, kept)] if probe else found


def _queues(name: str, kept: Kept) -> Iterator[Finding]:
    where = (
        "写入 mosquitto.conf（见 deploy/mosquitto.conf）：",
        "put into mosquitto.conf (see deploy/mosquitto.conf): ",
    )
    if kept.qos1 < PROBE:
        zh = f"{name}：离线期间发布 {PROBE} 条只保留 {kept.qos1} 条，其余被悄悄丢弃"
        en = (
            f"{name}: of {PROBE} messages published while we were away {kept.qos1} were kept, the rest silently dropped"
        )
        yield Finding("broker", Level.BAD, zh, en, where[0] + LINES, where[1] + LINES)
    else:
        zh, en = f"{name}：离线消息保留 ≥ {PROBE} 条", f"{name}: keeps {PROBE} messages and more while we are away"
        yield Finding("broker", Level.GOOD, zh, en)
    if not kept.queued_qos0:
        zh = f"{name}：离线期间不保留 QoS 0 消息，重启时的烟感报文会丢失"
        en = f"{name}: keeps no QoS 0 message while we are away: a smoke message during a restart would be lost"
        line = "queue_qos0_messages true"
        yield Finding("broker", Level.BAD, zh, en, where[0] + line, where[1] + line)


async def _try(options: MqttOptions, clock: Clock, *, probe: bool) -> Kept:
    """Log in, and with `probe` see what a session finds that was away. Raises LinkDown, ConfigError."""
    inbox = _Inbox()
    session = await connect(options, clock, inbox.take)
    await session.subscribe([("$SYS/broker/version", 0)])
    await inbox.settle(clock)
    if not probe:
        await session.close()
        return Kept(inbox.version, 0, queued_qos0=False)
    topic = f"firegrid/doctor/{options.client_id}"
    granted = await session.subscribe([(f"{topic}/#", 1)])
    await session.unsubscribe(["$SYS/broker/version"])
    await session.close()
    if granted[0] >= 0x80:
        raise LinkDown(f"broker {options.host}:{options.port} refuses {topic}: allow it to this user in acl_file")
    await _publish(replace(options, client_id=f"{options.client_id}-sender"), clock, topic)
    again = await connect(options, clock, inbox.take)
    await inbox.settle(clock)
    await again.unsubscribe([f"{topic}/#"])
    await again.close()
    return Kept(inbox.version, len(inbox.numbers), queued_qos0=inbox.qos0)


async def _publish(options: MqttOptions, clock: Clock, topic: str) -> None:
    sender = await connect(options, clock, lambda *_: None)
    await sender.publish(f"{topic}/0", b"", qos=0)
    for first in range(0, PROBE, UNDER_WAY):
        several = range(first, min(first + UNDER_WAY, PROBE))
        codes = await asyncio.gather(*(sender.publish(f"{topic}/1", b"%d" % number) for number in several))
        if max(codes) >= 0x80:
            await sender.close()
            raise LinkDown(f"broker {options.host}:{options.port} does not let us publish to {topic}: see its acl_file")
    await sender.close()


class _Inbox:
    """What a session was handed: numbers of the probe's messages, each once however often it comes."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.qos0 = False
        self.version = ""
        self._heard = asyncio.Event()

    def take(self, session: MqttSession, messages: list[Message]) -> None:
        """Take messages and acknowledge them at once: nothing of the probe is to be kept."""
        self._heard.set()
        for topic, payload, _, _, _ in messages:
            if topic.startswith("$SYS"):
                self.version = (payload or b"").decode("utf-8", "replace")
            elif topic.endswith("/1"):
                self.numbers.add(int(payload or b"0"))
            else:
                self.qos0 = True
        session.ack([packet for *_, packet in messages if packet])

    async def settle(self, clock: Clock) -> None:
        """Wait until nothing has come for a while."""
        while True:
            self._heard.clear()
            try:
                async with clock.timeout(QUIET):
                    await self._heard.wait()
            except TimeoutError:
                return
