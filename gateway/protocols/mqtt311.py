"""MQTT 3.1.1 (OASIS standard, 2014), the server's side: what clients send is read, what servers send is written.

Packets are those of the `mqtt5` codec, so that a broker handles both versions alike; what 3.1.1 has no words for is
left out. `read` has the contract of `mqtt5.read` and fits `PacketStream`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

import mqtt5

FOREVER = 0xFFFF_FFFF  # session expiry that 3.1.1 means by "clean session 0" (MQTT 5.0 section 3.1.2.11.2)
LEVEL = 4

# CONNACK return codes of table 3.1 by MQTT 5 reason; everything else is "server unavailable".
_RETURN_CODES = {0x00: 0, 0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5}


class _Body:
    """Fields of one packet in order; ValueError when they run over its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise ValueError("a field runs over the end of its packet")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        return self.binary().decode()

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    @property
    def more(self) -> bool:
        return self._at < len(self._data)


def level(data: bytes) -> int | None:
    """Return the protocol level a stream that starts with CONNECT asks for: None too early to say, 0 no CONNECT."""
    if data and data[0] != 0x10:
        return 0
    for head in range(2, 6):
        if len(data) > head + 6 and not data[head - 1] & 0x80:
            return data[head + 6]
    return 0 if len(data) > 11 else None


def read(view: memoryview) -> tuple[mqtt5.Packet, int]:
    """Read one packet of a client. IndexError: not all there yet; ValueError: not MQTT 3.1.1."""
    length = 0
    for index in range(4):
        byte = view[1 + index]
        length |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            break
    else:
        raise ValueError("remaining length has more than four bytes")
    total = 2 + index + length
    if len(view) < total:
        raise IndexError("not enough bytes")
    return _packet(view[0], _Body(bytes(view[2 + index : total]))), total


def _packet(head: int, body: _Body) -> mqtt5.Packet:
    reader = _READERS.get(head >> 4)
    if reader is None:
        raise ValueError(f"packet type {head >> 4} is not for a client to send")
    return reader(head, body)


def _subscribe(_head: int, body: _Body) -> mqtt5.SubscribePacket:
    """Read SUBSCRIBE (section 3.8)."""
    packet_id = body.number(2)
    filters = []
    while body.more:
        pattern, qos = body.text(), body.number(1)
        filters.append(mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS(qos), retain_as_published=False))
    return mqtt5.SubscribePacket(packet_id, filters)


def _unsubscribe(_head: int, body: _Body) -> mqtt5.UnsubscribePacket:
    """Read UNSUBSCRIBE (section 3.10)."""
    packet_id = body.number(2)
    patterns = []
    while body.more:
        patterns.append(body.text())
    return mqtt5.UnsubscribePacket(packet_id, patterns)


def _connect(_head: int, body: _Body) -> mqtt5.ConnectPacket:
    """Read CONNECT (section 3.1)."""
    if body.text() != "MQTT" or body.number(1) != LEVEL:
        raise ValueError("not MQTT 3.1.1")
    flags = body.number(1)
    keep_alive = body.number(2)
    client_id = body.text()
    will = None
    if flags & 0x04:
        topic, payload = body.text(), body.binary()
        will = mqtt5.Will(topic, payload=payload, qos=mqtt5.QoS(flags >> 3 & 3), retain=bool(flags & 0x20))
    clean = bool(flags & 0x02)
    return mqtt5.ConnectPacket(
        client_id,
        username=body.text() if flags & 0x80 else None,
        password=body.binary() if flags & 0x40 else None,
        clean_start=clean,
        will=will,
        keep_alive=keep_alive,
        session_expiry_interval=0 if clean else FOREVER,
    )


def _publish(head: int, body: _Body) -> mqtt5.PublishPacket:
    """Read PUBLISH (section 3.3)."""
    qos = head >> 1 & 3
    topic = body.text()
    packet_id = body.number(2) if qos else None
    return mqtt5.PublishPacket(
        topic,
        body.rest(),
        qos=mqtt5.QoS(qos),
        retain=bool(head & 1),
        duplicate=bool(head & 8),
        packet_id=packet_id,
    )


_READERS: dict[int, Callable[[int, _Body], mqtt5.Packet]] = {
    1: _connect,
    3: _publish,
    4: lambda _head, body: mqtt5.PubAckPacket(body.number(2)),
    8: _subscribe,
    10: _unsubscribe,
    12: lambda _head, _body: mqtt5.PingReqPacket(),
    14: lambda _head, _body: mqtt5.DisconnectPacket(),
}


def write(packet: mqtt5.Packet) -> bytes:
    """Write one packet of a server; empty for what 3.1.1 has no packet for (a server's DISCONNECT)."""
    match packet:
        case mqtt5.ConnAckPacket():
            code = _RETURN_CODES.get(int(packet.reason_code), 3)
            out = bytes((0x20, 2, packet.session_present and not code, code))
        case mqtt5.PublishPacket():
            head = 0x30 | packet.duplicate << 3 | int(packet.qos) << 1 | packet.retain
            packet_id = b"" if packet.packet_id is None else packet.packet_id.to_bytes(2, "big")
            topic = packet.topic.encode()
            out = _framed(head, len(topic).to_bytes(2, "big") + topic + packet_id + packet.payload)
        case mqtt5.PubAckPacket():
            out = b"\x40\x02" + packet.packet_id.to_bytes(2, "big")
        case mqtt5.SubAckPacket():
            codes = bytes(min(int(code), 0x80) for code in packet.reason_codes)
            out = _framed(0x90, packet.packet_id.to_bytes(2, "big") + codes)
        case mqtt5.UnsubAckPacket():
            out = b"\xb0\x02" + packet.packet_id.to_bytes(2, "big")
        case mqtt5.PingRespPacket():
            out = b"\xd0\x00"
        case mqtt5.DisconnectPacket():
            out = b""
        case _:
            raise ValueError(f"a server does not send {type(packet).__name__}")
    return out


def _framed(head: int, body: bytes) -> bytes:
    out = bytearray((head,))
    left = len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        out.append(digit | (0x80 if left else 0))
        if not left:
            return bytes(out) + body
