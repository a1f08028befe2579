"""What has to be stored before it is answered: into batches, and answered when the commit returns, late, or again.

Beside `_conversation_listening.py`. Keeps house rule 4 (the source is told "accepted" only after the commit), section
4 (a repeat is recognised) and section 7's last bullet: an answer that would come after the protocol's limit becomes
one that makes the device repeat; what it said is committed all the same, and its repeat is answered at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import msgspec

from drivers._conversation_gather import COMPANY, Answer, Gathered, Gatherer
from drivers._conversation_peers import Party, Rank
from drivers._conversation_repeats import Known, Repeats, shortened
from drivers._conversation_said import Said
from gateway.model.batch import Mark
from gateway.model.ports import DriverSetup, Emit
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER

PERHAPS = "疑似重发 maybe sent again: "  # before the text of an event
UNKNOWN = "unknown"  # the device in counters of strangers
WINDOW = 64 * 1024  # bytes of a peer that may wait for a commit; then it is held back
WINDOWS = 8 * 1024 * 1024  # of all peers together; then what cannot be held back is dropped, and counted
PART = WINDOWS // 8  # of one device that cannot be held back; a stranger has its window, all strangers together half
_IN_TIME = 0.8  # of a limit: the rest is for the way


class Keeping:
    """Batches and answers of one source. `send(party, data)` says something to a peer."""

    def __init__(self, setup: DriverSetup, send: Callable[[Party, bytes], None]) -> None:
        self._source = setup.source.id
        self._clock = setup.clock
        self._report = setup.report
        self._life_safety = setup.life_safety
        self._send = send
        devices = [device.id for device in setup.devices]
        self._repeats: Repeats[Answer] = Repeats(self._source, devices, setup.marks, self._clock.mono())
        self._emit: Emit | None = None
        self._urgent, self._plain = Gatherer(0), Gatherer(COMPANY)
        self._deadlines: list[tuple[int, int, Answer]] = []
        self._number = 0
        self._unsaved = 0  # bytes
        self._held: set[Party] = set()

    def begin(self, emit: Emit) -> None:
        """Hand batches to `emit` from now on."""
        self._emit = emit
        self._held.clear()

    def end(self, now: int) -> None:
        """Hand over what waits for company; from now on nothing is."""
        for gatherer in (self._urgent, self._plain):
            self._flush(gatherer, now)
        self._emit = None

    @property
    def full(self) -> bool:
        """Whether so much waits for a commit that no more can be taken."""
        return self._unsaved >= WINDOWS

    def crowded_out(self, party: Party) -> bool:
        """Whether a peer among many that cannot be held back has had its share: a flood leaves room to devices."""
        if party.rank is Rank.DEVICE:
            return self.full or party.unsaved >= PART
        return 2 * self._unsaved >= WINDOWS or party.unsaved >= WINDOW

    # -- what comes

    def keep(self, party: Party, said: Said, who: str, now: int) -> None:
        """Hand over what has to be stored, unless it is a repeat. `who`: the device's id, or UNKNOWN."""
        key = who if who != UNKNOWN else f"{party.peer.address} {said.device}"
        digest = shortened(said.digest) if said.digest else b""
        if digest:
            known, before = self._repeats.find(key, digest, now, said.proof)
            if known is Known.BEFORE:
                self._repeated(party, said, before, who, now)
                return
            if known is Known.PERHAPS:
                self._doubted(said, who)
        answer = Answer(party, said, who, key, digest)
        mark, until = None, now + round(said.within * SECOND)
        if digest:
            mark = self._repeats.enter(key, digest, until, answer, said.proof)
        # What no answer acknowledges is not sent again after a restart: no mark has to be kept for it.
        gatherer = self._urgent if said.decoded.events or who in self._life_safety else self._plain
        weight = gatherer.add(answer, mark if said.after else None, until, now)
        self._limit(answer, now)
        party.unsaved += weight
        self._unsaved += weight
        if party.unsaved >= WINDOW or self.full:
            self._held.add(party)
            party.peer.hold(on=True)
        if gatherer.crowded:
            self._flush(gatherer, now)

    def heard(self, points: Sequence[int], now: int) -> None:
        """Take signs of life."""
        self._plain.heard(points, now)

    def lost(self, rows: Sequence[tuple[int, int, float, int]], device: str, now: int) -> None:
        """Take points of a device that turn BAD."""
        (self._urgent if device in self._life_safety else self._plain).lost(rows, now)

    def gone(self, party: Party) -> None:
        """Forget that a peer was held back."""
        self._held.discard(party)

    def _repeated(self, party: Party, said: Said, before: Answer | None, who: str, now: int) -> None:
        """Answer what was said before: at once if it is committed, else when it is."""
        self._report.count(f"{who} repeat")
        decoded = said.decoded
        points = decoded.heard or [row[0] for row in decoded.rows[:1]] or [event.point for event in decoded.events[:1]]
        self._plain.heard(points, now)
        if before is None:
            self._send(party, said.after)
        else:
            before.party, before.said, before.late = party, said, False
            self._limit(before, now)

    def _doubted(self, said: Said, who: str) -> None:
        """Mark what may be a repeat: a second fire of a device whose clock stands still must not pass for one."""
        events = said.decoded.events
        if events:  # the same reading again is no doubt
            self._report.count(f"{who} maybe_repeat")
        events[:] = [msgspec.structs.replace(event, text=f"{PERHAPS}{event.text}") for event in events]

    def _limit(self, answer: Answer, now: int) -> None:
        said = answer.said
        answer.deadline = NEVER
        if said.limit and said.after:
            answer.deadline = now + round(said.limit * _IN_TIME * SECOND)
            self._number += 1
            heapq.heappush(self._deadlines, (answer.deadline, self._number, answer))

    # -- when its time has come

    def due(self) -> int:
        """Return when there is something to do (ns)."""
        return min(self._urgent.due, self._plain.due, self._deadlines[0][0] if self._deadlines else NEVER)

    def work(self, now: int) -> None:
        """Hand over what has gathered; give late answers."""
        for gatherer in (self._urgent, self._plain):
            if gatherer.due <= now:
                self._flush(gatherer, now)
        while self._deadlines and self._deadlines[0][0] <= now:
            at, _, answer = heapq.heappop(self._deadlines)
            if at == answer.deadline and not answer.done:
                answer.late = True
                self._report.count(f"{answer.who} late")
                self._send(answer.party, answer.said.late)

    def _flush(self, gatherer: Gatherer, now: int) -> None:
        stale = self._repeats.stale(now)
        batch = gatherer.take(self._source, now, ack=self._committed, settled=self._settled, stale=stale)
        if batch is not None and self._emit is not None:
            self._emit(batch)

    def _settled(self, marks: Sequence[Mark], until: int) -> bool:
        return self._repeats.settled(marks, until, self._clock.mono())

    def _committed(self, gathered: Gathered) -> None:
        """Answer everything that a commit holds."""
        for answer in gathered.answers:
            answer.done = True
            if answer.digest:
                self._repeats.committed(answer.key, answer.digest, answer)
            if not answer.late:
                self._send(answer.party, answer.said.after)
        while self._deadlines and self._deadlines[0][2].done:  # nobody has to wake for them
            heapq.heappop(self._deadlines)
        for party, weight in gathered.weights.items():
            party.unsaved -= weight
            self._unsaved -= weight
        self._let_go()

    def _let_go(self) -> None:
        """Read on from whom is answered again."""
        if self._held and self._unsaved < WINDOWS // 2:
            for party in [party for party in self._held if party.unsaved < WINDOW // 2]:
                self._held.discard(party)
                party.peer.hold(on=False)
