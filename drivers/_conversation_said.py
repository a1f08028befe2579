"""What a protocol says to a driver on a wire: the words between a pure conversation and `drivers._conversation`.

A conversation knows the protocol and nothing of sockets, commits or time; `Talking` knows those and nothing of the
protocol (house rule 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from gateway.model.ports import Decoded


class Proof(IntEnum):
    """What the same digest in a former life of ours proves, where no memory of what lay between is left."""

    NOTHING = 0  # no clock tells a repeat from news: it is stored again, marked (in one life: after `within`)
    USUAL = 1  # a repeat for half an hour after a start
    TIME = 2  # the device's own time, right when it came, tells it from all else: a repeat as long as it is kept


@dataclass(slots=True, kw_only=True, eq=False)
class Question:
    """An output to set: what to send, and how long and how often to wait for a `Said` that settles it.

    Keep the object in the conversation and give it back in `Said.settles` when its answer has come.
    """

    data: bytes
    limit: float = 5.0  # s for one try
    tries: int = 2


@dataclass(slots=True, kw_only=True)
class Said:
    """One thing that a peer said, from one frame (or some frames that belong together).

    Attributes:
        decoded: rows, events, signs of life and problems; problems are counted per device.
        frame: the raw bytes, evidence of every row.
        after: the answer to send once the commit that holds the rows and events has returned.
        late: the answer to send instead when `limit` passes before that: it makes the device repeat (b"": none).
        limit: seconds that the protocol gives for the answer, 0: none.
        at_once: an answer that accepts nothing (heartbeat, poll), or any bytes to send; sent now.
        digest: recognises a repeat: of content and device time, without serial numbers; b"": never a repeat.
        within: seconds in which the same digest is a repeat and nothing new. Make it short (a minute, or digest b"")
            where the device's time is missing or stands still: a second fire must not pass for a repeat of the first.
        proof: what that proves after a restart.
        device: id of the configured device that spoke; anything else is a stranger. Who is at a connection is learned
            from what stores, is `heard` or is answered, never from a frame with nothing but problems.
        settles: the question that this answers.
        refusal: why the device refused what `settles` asked, "" when it took it.
    """

    decoded: Decoded = field(default_factory=Decoded)
    frame: bytes = b""
    after: bytes = b""
    late: bytes = b""
    limit: float = 0.0
    at_once: bytes = b""
    digest: bytes = b""
    within: float = 1800.0
    proof: Proof = Proof.USUAL
    device: str = ""
    settles: Question | None = None
    refusal: str = ""

    @property
    def stores(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.decoded.rows or self.decoded.events)


class Conversation(Protocol):
    """With one peer: a serial line, a TCP connection or a UDP address. Pure; `now` is ns on the monotonic clock.

    `wall` is ns since 1970 UTC, 0 while the clock is not to be trusted.
    """

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Take bytes of the stream, cut anywhere, or one datagram. Never raises on foreign bytes."""

    def tick(self, now: int, wall: int) -> list[Said]:
        """Its time is due: a half frame is dropped, a question asked (again), in `at_once`."""

    def due(self) -> int:
        """Return when `tick` wants to be called (ns), NEVER if not. Asked after every call, and at the start."""

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> Question | None:
        """Return how to set an output; None when this device has none of that name, or not this value."""


Talk = Callable[[str], Conversation]  # makes a conversation; given the peer's name, "10.0.0.7:40231"
