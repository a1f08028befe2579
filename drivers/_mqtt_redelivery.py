"""What was handed over already: a message that comes again after a lost link is stored once (house section 4).

A broker sends an unacknowledged QoS 1 message again with the same packet id and the DUP flag, at the beginning of a
link, never later (MQTT 5.0 section 4.4). One that equals what was handed over under this id is not handed over again:
committed, it is acknowledged at once; not yet, with the commit. An id whose acknowledgement the broker has taken may
name a new message of the same words, so it is forgotten; all are when the broker has begun a new session.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, KeysView, Sequence
from enum import IntEnum
from hashlib import blake2b
from typing import Protocol

from gateway.model.batch import Mark

_PACKET_IDS = 65_536
_DIGEST = 8  # bytes; a message is confused with another only if packet id and digest are equal


class Known(IntEnum):
    """What is known of a message that came again."""

    NEW = 0
    HANDED_OVER = 1
    COMMITTED = 2


class Link(Protocol):
    """What is asked of a connection, live or dead: see `MqttSession`."""

    session_present: bool
    pongs: int

    @property
    def unsettled(self) -> KeysView[int]:
        """Packet ids of which the broker is not known to have taken the acknowledgement."""

    def ack(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge; nothing on a dead link."""


def digest(topic: str, payload: bytes) -> bytes:
    """Return the 8 bytes by which a message is recognised.

    The topic counts: two smoke detectors say the same words, and brokers use low packet ids again and again.
    """
    return blake2b(topic.encode() + payload, digest_size=_DIGEST).digest()


class Handed:
    """Digest and state per packet id of one session: 0.6 MB whatever happens, across reconnections.

    `session` counts the sessions that the broker began: a commit of an earlier one says nothing of the ids of this.
    """

    def __init__(self, marks: Iterable[Mark] = ()) -> None:
        self.session = 0
        self._inherited = list(marks)
        self._link: Link | None = None
        self._again: set[int] = set()  # packet ids sent again on the live link, handed over on an earlier one
        self._clear()
        for mark in self._inherited:
            self._digest[mark.packet] = int.from_bytes(mark.digest, "little")
            self._state[mark.packet] = Known.COMMITTED

    def _clear(self) -> None:
        self._digest = array("Q", bytes(_PACKET_IDS * _DIGEST))
        self._state = bytearray(_PACKET_IDS)

    def follow(self, link: Link) -> None:
        """Go over to a link, before its first message: what can come again is only what the one before left open."""
        before = self._link
        if before is link:
            return
        self._link = link
        self._again.clear()
        if not link.session_present:
            self.session += 1
            self._clear()
        elif before is not None and before.pongs:
            digests, states = self._digest, self._state
            self._clear()
            for packet_id in before.unsettled:
                self._digest[packet_id], self._state[packet_id] = digests[packet_id], states[packet_id]

    def over(self, packet_id: int, value: bytes) -> None:
        """Enter a message handed over."""
        self._digest[packet_id] = int.from_bytes(value, "little")
        self._state[packet_id] = Known.HANDED_OVER

    def forget(self, packet_id: int) -> None:
        """Enter that an id now names a message of which nothing is kept."""
        self._digest[packet_id] = 0

    def known(self, packet_id: int, value: bytes) -> Known:
        """Say what is known of a message with the DUP flag; one not committed yet is acknowledged when it is."""
        if self._digest[packet_id] != int.from_bytes(value, "little"):
            return Known.NEW
        known = Known(self._state[packet_id])
        if known is Known.HANDED_OVER:
            self._again.add(packet_id)
        return known

    def committed(self, link: Link, session: int, marks: Sequence[Mark]) -> None:
        """Acknowledge after the commit: on the link that brought it, and on a later one that brought it again."""
        link.ack([mark.packet for mark in marks])
        if session != self.session:
            return
        safe = [mark.packet for mark in marks if self._digest[mark.packet] == int.from_bytes(mark.digest, "little")]
        for packet_id in safe:
            self._state[packet_id] = Known.COMMITTED
        if self._again and self._link is not None and self._link is not link:
            again = self._again.intersection(safe)
            self._again -= again
            self._link.ack(again)

    def settled(self, link: Link, marks: Sequence[Mark]) -> bool:
        """Whether the broker has taken these acknowledgements, on their link or a later one, or cannot send again."""
        packet_ids = {mark.packet for mark in marks}
        later = self._link if self._link is not link else None
        return packet_ids.isdisjoint(link.unsettled) or (
            later is not None and _over(later) and packet_ids.isdisjoint(later.unsettled)
        )

    def stale(self) -> list[Mark]:
        """Return marks of an earlier life that may go from the store, each once."""
        if not self._inherited or self._link is None or not _over(self._link):
            return []
        unsettled = self._link.unsettled
        stale = [mark for mark in self._inherited if mark.packet not in unsettled]
        self._inherited = [mark for mark in self._inherited if mark.packet in unsettled]
        return stale


def _over(link: Link) -> bool:
    """Whether nothing comes again any more: there was nothing, or it came, which is before the first ping's answer."""
    return not link.session_present or link.pongs > 0
