"""Who is at the other end of a wire, and who listens: the two ports between `gateway.transport.wires` and drivers.

A wire calls; nobody reads. So five hundred connections need no task of their own, and the bytes of one turn of the
loop reach the driver before it waits again (house section 2: a batch is what arrived since the last turn).
"""

from __future__ import annotations

from typing import Protocol

UNSENT_LIMIT = 64 * 1024  # bytes; a peer that has not taken that much reads nothing any more


class Peer(Protocol):
    """One far end: a serial line, a TCP connection, or a UDP address. Hashed by identity."""

    name: str  # "10.0.0.7:40231", "/dev/ttyUSB0"
    address: str  # "10.0.0.7", "" on a serial line
    done: bool  # it has said its last word and only waits for the answer

    def write(self, data: bytes) -> bool:
        """Queue bytes, never wait. False: not sent, since it is gone or does not read; then it is hung up on."""

    def hold(self, *, on: bool) -> None:
        """Read nothing more from it for a while, or go on; what cannot be held back (serial, UDP) goes on."""

    def close(self) -> None:
        """Hang up; `lost` is not called for it. Idempotent."""


class Ears(Protocol):
    """Who listens on a wire. Called in the loop's thread; waits for nothing."""

    def opened(self, name: str) -> None:
        """The wire stands: the port is open, the far end answered, or others may call."""

    def met(self, peer: Peer) -> None:
        """A far end is there; it may be closed at once."""

    def heard(self, peer: Peer, data: bytes) -> None:
        """Take some bytes of a stream, or one whole datagram."""

    def lost(self, peer: Peer, why: str) -> None:
        """A far end has hung up or was lost; never told of one that we closed."""
