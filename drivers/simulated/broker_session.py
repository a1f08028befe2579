"""What the simulated broker keeps of a client: subscriptions, what is under way to it and what waits. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import mqtt5

from gateway.protocols.mqtt_topics import covers

_PACKET_IDS = 65_535


@dataclass(frozen=True, slots=True)
class Message:
    """One message on its way. `retain` is the flag the receiver sees."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(slots=True)
class Session:
    """A client's session; `send` is None while it is away. Bounded by `queue_limit`, the newest are dropped."""

    client_id: str
    queue_limit: int
    expiry: int = 0  # s after the link ended
    window: int = _PACKET_IDS  # the client's receive maximum
    ended: int | None = None  # ns when the link ended, None while it lives
    dropped: int = 0
    send: Callable[[mqtt5.Packet], None] | None = None
    filters: dict[str, mqtt5.TopicFilter] = field(default_factory=dict)
    _under_way: dict[int, Message] = field(default_factory=dict)
    _queue: deque[Message] = field(default_factory=deque)
    _last_id: int = 0

    def wants(self, topic: str, qos: int, *, own: bool) -> tuple[int, bool] | None:
        """Return (QoS, retain as published) of the subscriptions that cover a topic, None if there are none."""
        found = [f for f in self.filters.values() if covers(f.pattern, topic) and not (own and f.no_local)]
        if not found:
            return None
        return min(qos, max(int(f.max_qos) for f in found)), any(f.retain_as_published for f in found)

    def deliver(self, message: Message) -> None:
        """Send a message now, or keep it until there is room or the client is back."""
        if self.send is not None and not self._queue and self._room(message):
            self._pass(message)
        elif len(self._queue) < self.queue_limit:
            self._queue.append(message)
        else:
            self.dropped += 1

    def acknowledged(self, packet_id: int) -> None:
        """Forget a message the client has, send what waits."""
        self._under_way.pop(packet_id, None)
        self._flush()

    def resume(self, send: Callable[[mqtt5.Packet], None]) -> None:
        """Take a new link: first again what was under way, marked as duplicate, then what waits."""
        self.send = send
        self.ended = None
        for packet_id, message in self._under_way.items():
            send(_publish(message, packet_id, duplicate=True))
        self._flush()

    def _room(self, message: Message) -> bool:
        return not message.qos or len(self._under_way) < self.window

    def _flush(self) -> None:
        while self.send is not None and self._queue and self._room(self._queue[0]):
            self._pass(self._queue.popleft())

    def _pass(self, message: Message) -> None:
        if self.send is None:
            return
        if not message.qos:
            self.send(_publish(message, None))
            return
        while True:
            self._last_id = self._last_id % _PACKET_IDS + 1
            if self._last_id not in self._under_way:
                break
        self._under_way[self._last_id] = message
        self.send(_publish(message, self._last_id))


def as_retained(message: Message, qos: int) -> Message:
    """Return the message as a new subscriber gets it."""
    return replace(message, qos=min(message.qos, qos), retain=True)


def _publish(message: Message, packet_id: int | None, *, duplicate: bool = False) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket(
        message.topic,
        message.payload,
        qos=mqtt5.QoS(message.qos),
        retain=message.retain,
        packet_id=packet_id,
        duplicate=duplicate,
    )
