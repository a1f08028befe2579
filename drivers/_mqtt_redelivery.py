"""What was handed over already: a message that comes again after a lost link is stored once (house section 4).

A broker sends an unacknowledged QoS 1 message again with the same packet id and the DUP flag. One that equals what was
handed over under this id is not handed over again: committed, it is acknowledged at once; not yet, with the commit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from enum import IntEnum
from hashlib import blake2b

from gateway.model.batch import Mark

_PACKET_IDS = 65_536
_DIGEST = 8  # bytes; a message is confused with another only if packet id and digest are equal


class Known(IntEnum):
    """What is known of a message that came again."""

    NEW = 0
    HANDED_OVER = 1
    COMMITTED = 2


def digest(topic: str, payload: bytes) -> bytes:
    """Return the 8 bytes by which a message is recognised.

    The topic counts: two smoke detectors say the same words, and brokers use low packet ids again and again.
    """
    return blake2b(topic.encode() + payload, digest_size=_DIGEST).digest()


class Handed:
    """Digest and state per packet id of one session: 0.6 MB whatever happens, across reconnections."""

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self._digest = array("Q", bytes(_PACKET_IDS * _DIGEST))
        self._state = bytearray(_PACKET_IDS)
        for mark in marks:
            self._digest[mark.packet] = int.from_bytes(mark.digest, "little")
            self._state[mark.packet] = Known.COMMITTED

    def over(self, packet_id: int, value: bytes) -> None:
        """Enter a message handed over."""
        self._digest[packet_id] = int.from_bytes(value, "little")
        self._state[packet_id] = Known.HANDED_OVER

    def committed(self, marks: Iterable[Mark]) -> list[int]:
        """Enter that messages are safe; return their packet ids, without those that meanwhile name another message."""
        safe = []
        for mark in marks:
            if self._digest[mark.packet] == int.from_bytes(mark.digest, "little"):
                self._state[mark.packet] = Known.COMMITTED
                safe.append(mark.packet)
        return safe

    def known(self, packet_id: int, value: bytes) -> Known:
        """Say what is known of a message with the DUP flag."""
        if self._digest[packet_id] != int.from_bytes(value, "little"):
            return Known.NEW
        return Known(self._state[packet_id])
