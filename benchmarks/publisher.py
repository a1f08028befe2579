"""A fast QoS 1 publisher as a process of its own: `python -m benchmarks.publisher --port P --topics N --seconds S`.

Feeds the benches. It speaks MQTT 5 with packets made by hand, so that it costs a fraction of what it measures, keeps a
window of unacknowledged messages and counts only what the broker acknowledged: that count must equal what is read back.
"""

from __future__ import annotations

import argparse
import itertools
import json
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import mqtt5

_PUBLISH_QOS_1 = 0x32
_IDS = 60_000
_BURST = 256  # messages written at once
_SPREAD = 1_000  # different payloads of a topic
SWING = 400  # rounds after which the first topics change between calm and hot
HOT_TOPICS = 4  # topics whose value swings over the threshold and back
_PUBACK = 0x40
_PAUSE = 0.0005  # s


@dataclass(slots=True)
class Count:
    """What became of a run. `seconds`: from the first message to the broker's last acknowledgement."""

    sent: int = 0
    acknowledged: int = 0
    seconds: float = 0.0


def connect(port: int, client_id: str) -> socket.socket:
    """Open a session; returns the socket once the broker has welcomed us."""
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(mqtt5.ConnectPacket(client_id, clean_start=True, keep_alive=0).write())
    packet, _ = mqtt5.read(memoryview(link.recv(4096)))
    if not isinstance(packet, mqtt5.ConnAckPacket) or int(packet.reason_code):
        raise ConnectionError(f"the broker refuses: {packet}")
    return link


def messages(topics: int, prefix: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield (topic, payload) for ever: topics in turn, three readings a message, about 55 bytes with its topic."""
    names = [_text(f"{prefix}/{n}") for n in range(topics)]
    calm = [_payload(20 + n / 100, n) for n in range(_SPREAD)]
    hot = [_payload(90 + n / 100, n) for n in range(_SPREAD)]
    for turn in itertools.count():
        index = turn % _SPREAD
        swings = hot if turn // SWING % 2 else calm
        for place, name in enumerate(names):
            yield name, (swings if place < HOT_TOPICS else calm)[index]


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _payload(value: float, n: int) -> bytes:
    return b'{"a":%.2f,"b":%.1f,"c":%.1f}' % (value, 40 + n % 100 / 10, 1000 + n % 300 / 10)


def packet(topic: bytes, packet_id: int, payload: bytes) -> bytes:
    """Return a QoS 1 PUBLISH without properties (MQTT 5.0 section 3.3); `topic` has its length before it."""
    size = len(topic) + 3 + len(payload)
    length = bytes((size,)) if size < 128 else bytes((size & 0x7F | 0x80, size >> 7))
    return b"%c%b%b%b\0%b" % (_PUBLISH_QOS_1, length, topic, packet_id.to_bytes(2, "big"), payload)


class Feed:
    """One link to the broker with a window of unacknowledged messages."""

    def __init__(self, link: socket.socket, window: int) -> None:
        self._link = link
        self._link.settimeout(0)
        self._window = window
        self._rest = b""
        self._out = bytearray()
        self._id = 0
        self.count = Count()

    def put(self, source: Iterator[tuple[bytes, bytes]], most: int) -> None:
        """Send up to `most` messages, as many as the window allows, and take acknowledgements."""
        room = min(most, self._window - (self.count.sent - self.count.acknowledged), _BURST)
        if not self._out and room > 0:
            for topic, payload in itertools.islice(source, room):
                self._id = self._id % _IDS + 1
                self._out += packet(topic, self._id, payload)
            self.count.sent += room
        idle = not self._out and room <= 0
        readable, writable, _ = select.select(
            [self._link], [self._link] if self._out else [], [], _PAUSE if idle else 0
        )
        if writable:
            del self._out[: self._link.send(self._out)]
        if readable:
            self._take(self._link.recv(1 << 16))

    def _take(self, data: bytes) -> None:
        if not data:
            raise ConnectionError("the broker closed the link")
        data = self._rest + data
        used = 0
        while used + 2 <= len(data) and used + 2 + data[used + 1] <= len(data):
            self.count.acknowledged += data[used] == _PUBACK
            used += 2 + data[used + 1]
        self._rest = data[used:]

    def settle(self, within: float) -> None:
        """Wait until everything sent is acknowledged; ConnectionError when it is not in time."""
        end = time.monotonic() + within
        while self._out or self.count.acknowledged < self.count.sent:
            if time.monotonic() > end:
                raise ConnectionError(f"{self.count.sent - self.count.acknowledged} messages were never acknowledged")
            self.put(iter(()), 0)


def publish(port: int, *, topics: int, seconds: float, rate: float = 0.0, prefix: str = "load") -> Count:
    """Publish for `seconds`, `rate` messages/s or as fast as the broker takes them (0)."""
    feed = Feed(connect(port, f"bench-{prefix}"), window=8_000)
    source = messages(topics, prefix)
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        due = int(now * rate) - feed.count.sent if rate else _BURST
        feed.put(source, due)
    feed.settle(60.0)
    feed.count.seconds = time.monotonic() - begun
    return feed.count


def main() -> None:
    """Publish and print the counts as JSON."""
    own = argparse.ArgumentParser(description=__doc__)
    own.add_argument("--port", type=int, required=True)
    own.add_argument("--topics", type=int, default=500)
    own.add_argument("--seconds", type=float, default=10.0)
    own.add_argument("--rate", type=float, default=0.0)
    own.add_argument("--prefix", default="load")
    options = own.parse_args()
    count = publish(
        options.port, topics=options.topics, seconds=options.seconds, rate=options.rate, prefix=options.prefix
    )
    json.dump({"sent": count.sent, "acknowledged": count.acknowledged, "seconds": count.seconds}, sys.stdout)


if __name__ == "__main__":
    main()
