"""The peers of one wire: bounded in number, each with its conversation, and when each wants to be called.

Beside `_conversation.py`. Keeps the issue's bad input outside: when the table is full the one goes that matters least
(never understood before understood, a stranger before a configured device, the oldest first), so that a flood of
callers never keeps a known device out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from drivers._conversation_said import Conversation
from gateway.model.verdict import NEVER
from gateway.transport.wires import Peer

_SPARE = 64  # stale entries that the heap of times may have whatever the number of peers


class Rank(IntEnum):
    """How much a peer matters."""

    NOBODY = 0  # nothing that it said was understood
    STRANGER = 1  # it speaks the protocol, and is no configured device
    DEVICE = 2


@dataclass(slots=True, eq=False)
class Party:
    """A peer with its conversation. Times in ns, monotonic.

    `unsaved`: weight of what it said that is not committed. `due`: when it wants to be called. `planned`: the one entry
    of the heap that counts.
    """

    peer: Peer
    conversation: Conversation
    since: int
    heard: int
    rank: Rank = Rank.NOBODY
    devices: set[str] = field(default_factory=set)
    unsaved: int = 0
    held: bool = False
    due: int = NEVER
    planned: int = NEVER


class Peers:
    """Who is on the wire, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ranks: dict[Rank, dict[Peer, Party]] = {rank: {} for rank in Rank}
        self._at: dict[Peer, Party] = {}
        self._times: list[tuple[int, int, Party]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[Party]:
        return iter(list(self._at.values()))

    def get(self, peer: Peer) -> Party | None:
        """Return the party of a peer, None when it is not in the table (any more)."""
        return self._at.get(peer)

    def excess(self, newcomer: Party) -> Party | None:
        """Return who has to go for a newcomer, which may still prove a device; None while there is room."""
        if len(self._at) <= self._most:
            return None
        others = (party for rank in Rank for party in self._ranks[rank].values() if party is not newcomer)
        return next(others, newcomer)

    def add(self, party: Party) -> None:
        """Enter a peer that has just come."""
        self._at[party.peer] = self._ranks[party.rank][party.peer] = party

    def rank(self, party: Party, rank: Rank) -> None:
        """Let a peer matter more or less than before."""
        if rank is not party.rank and party.peer in self._at:
            del self._ranks[party.rank][party.peer]
            party.rank = rank
            self._ranks[rank][party.peer] = party

    def remove(self, peer: Peer) -> Party | None:
        """Take a peer out; None when it was not there."""
        party = self._at.pop(peer, None)
        if party is not None:
            del self._ranks[party.rank][peer]
            party.planned = NEVER
        return party

    # -- when each wants to be called

    def plan(self, party: Party, due: int) -> None:
        """Note when a peer wants to be called."""
        party.due = due
        if due < party.planned:
            self._push(party, due)

    def next_due(self) -> int:
        """Return a lower bound of when the next one wants to be called."""
        return self._times[0][0] if self._times else NEVER

    def pop_due(self, now: int) -> Party | None:
        """Return a peer whose time has come, None when there is none; it has to be planned anew."""
        while self._times and self._times[0][0] <= now:
            at, _, party = heapq.heappop(self._times)
            if at != party.planned:
                continue
            party.planned = NEVER
            if party.due <= now:
                return party
            if party.due != NEVER:
                self._push(party, party.due)
        return None

    def _push(self, party: Party, due: int) -> None:
        party.planned = due
        self._count += 1
        if len(self._times) > 2 * len(self._at) + _SPARE:
            self._times = [entry for entry in self._times if entry[0] == entry[2].planned and entry[2] is not party]
            heapq.heapify(self._times)
        heapq.heappush(self._times, (due, self._count, party))
