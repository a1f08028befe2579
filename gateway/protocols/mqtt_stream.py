"""MQTT packets out of a byte stream that TCP cuts anywhere.

First stage of the `mqtt` source: bytes → packets of the `mqtt5` codec. Bounded (house rule 10 and section 7): a packet
above the limit is never collected; of an oversized PUBLISH topic and packet id are kept, so that it can be counted and
acknowledged instead of coming back for ever. Pure: no socket, no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, KeysView
from typing import NamedTuple

import mqtt5

Reader = Callable[[memoryview], tuple[mqtt5.Packet, int]]

_PUBLISH = 0x30
_PUBACK = 0x40
_LENGTH_BYTES = 4  # MQTT 5.0 section 1.5.5: a variable byte integer has at most four bytes


class OversizePublish(NamedTuple):
    """What is kept of a PUBLISH above the limit: everything but its payload."""

    topic: str
    qos: int
    retain: bool
    duplicate: bool
    packet_id: int | None


class PacketStream:
    """Cuts a stream into packets.

    `broken` is None until bytes come that are no MQTT; from then on nothing more is read, since a stream that lost its
    framing cannot be trusted again. Packets before the broken one are still returned.
    """

    def __init__(self, limit: int, reader: Reader = mqtt5.read) -> None:
        self.broken: str | None = None
        self._limit = limit
        self._reader = reader
        self._tail = bytearray()
        self._needed = 0  # bytes the packet at the head of the tail has in all, 0 while unknown
        self._skip = 0  # bytes of an oversized packet still to be thrown away

    def feed(self, data: bytes) -> list[mqtt5.Packet | OversizePublish]:
        """Take the next bytes, return the packets they complete (often none, in a flood hundreds)."""
        if self._skip:
            dropped = min(self._skip, len(data))
            self._skip -= dropped
            data = data[dropped:]
        if self.broken is not None or not data:
            return []
        if self._tail:
            self._tail += data
            if len(self._tail) < self._needed:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        self._needed = 0
        packets: list[mqtt5.Packet | OversizePublish] = []
        used = self._cut(data, packets)
        if used < len(data) and self.broken is None:
            self._keep(data[used:], packets)
        return packets

    def _cut(self, data: bytes, packets: list[mqtt5.Packet | OversizePublish]) -> int:
        view = memoryview(data)
        size = len(data)
        used = 0
        read = self._reader
        try:
            while used < size:
                try:
                    packet, length = read(view[used:])
                except ValueError:
                    if data[used] != _PUBACK:
                        raise
                    packet, length = _puback(data[used:])
                packets.append(packet)
                used += length
        except IndexError:  # the codec's word for "not all there yet"
            pass
        except ValueError as error:
            self.broken = str(error)
        except BaseException as error:  # the codec panics on text that is not UTF-8; its panic is no Exception
            if type(error).__module__ != "pyo3_runtime":
                raise
            self.broken = "text that is not UTF-8"
        return used

    def _keep(self, rest: bytes, packets: list[mqtt5.Packet | OversizePublish]) -> None:
        """Store an incomplete packet, or what is worth keeping of one above the limit."""
        header = _fixed_header(rest)
        if header is None:
            self._tail += rest
            return
        head, total = header
        if total <= self._limit:
            self._tail += rest
            self._needed = total
            return
        if rest[0] & 0xF0 != _PUBLISH:
            self.broken = f"packet of {total} bytes"
            return
        try:
            publish = _oversize(rest, head)
        except ValueError as error:
            self.broken = str(error)
            return
        if publish is None:  # topic or packet id not all there: at most 64 KiB more
            self._tail += rest
            return
        packets.append(publish)
        self._skip = total - len(rest)


class AckWindow:
    """QoS 1 messages received and not yet acknowledged: PUBACKs leave in the order of arrival ([MQTT-4.6.0-2]).

    A PUBACK that was written may still die with its socket: it is settled by the answer to a ping sent after it.
    """

    def __init__(self) -> None:
        self._arrived: deque[int] = deque()
        self._pending: dict[int, int] = {}  # packet id → bytes
        self.size = 0  # bytes of what is not ticked off
        self._unsettled: dict[int, int] = {}  # packet id → messages under it whose PUBACK is not proven
        self._left: list[int] = []  # PUBACKs that left since the last proof began
        self._proving: list[int] = []  # those before it

    def __len__(self) -> int:
        return len(self._arrived)

    def owe(self, packet_id: int, size: int = 0) -> None:
        """Enter a message of `size` bytes that arrived (one sent twice is owed once)."""
        if packet_id not in self._pending:
            self._pending[packet_id] = size
            self.size += size
            self._unsettled[packet_id] = self._unsettled.get(packet_id, 0) + 1
            self._arrived.append(packet_id)

    def begin_proof(self) -> bool:
        """Begin to prove what has left; False when there is nothing or a proof is under way."""
        if self._proving or not self._left:
            return False
        self._proving, self._left = self._left, []
        return True

    def proven(self) -> None:
        """End the proof: the peer has taken those PUBACKs; an id that it has used again is owed again."""
        for packet_id in self._proving:
            left = self._unsettled.pop(packet_id) - 1
            if left:
                self._unsettled[packet_id] = left
        self._proving = []

    @property
    def unsettled(self) -> KeysView[int]:
        """Packet ids of which some PUBACK is not known to have been taken."""
        return self._unsettled.keys()

    def done(self, packet_ids: Iterable[int]) -> bytes:
        """Tick messages off, return the PUBACKs that may leave now (MQTT 5.0 section 3.4: 40 02 id, success)."""
        for packet_id in packet_ids:
            self.size -= self._pending.pop(packet_id, 0)
        out = bytearray()
        arrived = self._arrived
        while arrived and arrived[0] not in self._pending:
            self._left.append(arrived.popleft())
            out += b"\x40\x02" + self._left[-1].to_bytes(2, "big")
        return bytes(out)


def _fixed_header(data: bytes) -> tuple[int, int] | None:
    """Return (length of the fixed header, length of the whole packet), None while its length bytes are incomplete."""
    length = 0
    for index, byte in enumerate(data[1 : 1 + _LENGTH_BYTES]):
        length |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return index + 2, index + 2 + length
    return None


def _puback(data: bytes) -> tuple[mqtt5.PubAckPacket, int]:
    """Read a PUBACK whose reason the codec does not know: Mosquitto 2.0 says 0x95, packet too large, in it."""
    header = _fixed_header(data[: 1 + _LENGTH_BYTES])
    if header is None or not header[0] + 3 <= header[1] <= len(data):
        raise ValueError("malformed PUBACK")
    packet_id = int.from_bytes(data[header[0] : header[0] + 2], "big")
    return mqtt5.PubAckPacket(packet_id, reason_code=mqtt5.PubAckReasonCode.UNSPECIFIED_ERROR), header[1]


def _oversize(data: bytes, head: int) -> OversizePublish | None:
    """Read topic and packet id (MQTT 5.0 section 3.3.2); None while incomplete; ValueError when they are wrong."""
    qos = data[0] >> 1 & 3
    end = head + 2 + int.from_bytes(data[head : head + 2], "big")
    if len(data) < head + 2 or len(data) < end + (2 if qos else 0):
        return None
    return OversizePublish(
        topic=data[head + 2 : end].decode(),
        qos=qos,
        retain=bool(data[0] & 1),
        duplicate=bool(data[0] & 8),
        packet_id=int.from_bytes(data[end : end + 2], "big") if qos else None,
    )
