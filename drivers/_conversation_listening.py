"""What is done about everything that peers of a wire say: who they are, what leaves as a batch, who is answered when.

The deciding half of `drivers._conversation.Talking`, called by the wire (port `Ears`) and by its pace: no call here
waits. Keeps house rule 4 (only after the commit a source is told "accepted") and section 7's last bullet (where the
commit outlasts the protocol's limit the device is made to repeat, and its repeat is answered at once).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from drivers._conversation_keeping import UNKNOWN, Keeping
from drivers._conversation_peers import Party, Peers, Rank
from drivers._conversation_said import Question, Said, Talk
from drivers._values import NO_COMMS
from gateway.errors import DeliveryError, LinkDown
from gateway.model.ports import DriverSetup, Emit
from gateway.model.time import MILLISECOND, SECOND
from gateway.model.verdict import NEVER
from gateway.transport.wires import Peer, WireOptions, admits, networks

log = logging.getLogger(__name__)
LOST_AFTER = 30.0  # s; a device that has not come back by then has no comms
REPLACED = 10 * SECOND  # ns of silence after which the former connection of a device is dead
_AGAIN = 10 * MILLISECOND  # at least between two ticks of a peer
_TRUST_FOR = SECOND  # the kernel is not asked at every frame whether wall time is right


class Listening:
    """Listens to one wire (port `Ears`). `wake(due)` tells the pace that something is due at `due` (ns)."""

    def __init__(
        self,
        setup: DriverSetup,
        options: WireOptions,
        talk: Talk,
        *,
        lost_after: float | None,
        wake: Callable[[int], None],
    ) -> None:
        self._source = setup.source.id
        self._clock = setup.clock
        self._report = setup.report
        self._talk = talk
        self._wake = wake
        self._points = {
            device.id: [setup.point_ids[f"{device.id}.{spec.name}"] for spec in device.profile.points]
            for device in setup.devices
        }
        self._many = options.many
        self._allowed = networks(options.allow)
        self._most = options.peers if options.many else 1
        self._holds = options.wire.startswith("tcp")
        self._idle = round(options.idle * SECOND) if self._holds else 0
        self._lost_after = None if lost_after is None or not self._holds else round(lost_after * SECOND)
        self._keeping = Keeping(setup, self.send)
        self.questions: dict[Question, asyncio.Future[str]] = {}
        self._wall = setup.wall or self._kernels_wall
        self._trusted, self._trusted_until = False, 0
        self._clear()

    def _clear(self) -> None:
        self._peers = Peers(self._most)
        self._owner: dict[str, Party] = {}
        self._absent: dict[str, int] = {}  # device → when it counts as lost, in order
        self._twice: dict[str, tuple[Party, Party]] = {}  # device → who both speak as it, while both are there

    # -- the life of the wire

    def begin(self, emit: Emit) -> None:
        """Begin anew with a wire that is about to be opened."""
        self._clear()
        self._keeping.begin(emit)

    def end(self) -> None:
        """Hand over what still waits for company; nobody is there any more."""
        self._keeping.end(self._clock.mono())
        for answer in self.questions.values():
            if not answer.done():
                answer.set_exception(LinkDown(f"{self._source}: the wire was lost"))
        for party in self._peers:
            self._peers.remove(party.peer)
            party.peer.close()

    def opened(self, name: str) -> None:
        """Say that the wire stands."""
        log.info("%s: open: %s", self._source, name)
        self._report.alive()

    # -- peers

    def met(self, peer: Peer) -> None:
        """Take a far end in; whoever matters least goes if there are too many."""
        if not admits(self._allowed, peer.address):
            self._report.count("not_allowed")
            peer.close()
            return
        now = self._clock.mono()
        party = Party(peer, self._talk(peer.name), now, now)
        self._peers.add(party)
        self._plan(party, now)
        excess = self._peers.excess(party)
        if excess is not None:
            self._hang_up(excess, "too_many")

    def lost(self, peer: Peer, why: str) -> None:
        """Forget a far end; its devices have a while to come back."""
        log.debug("%s: %s: %s", self._source, peer.name, why)
        party = self._peers.remove(peer)
        if party is not None:
            self._gone(party)

    def _hang_up(self, party: Party, why: str) -> None:
        self._report.count(why)
        if self._peers.remove(party.peer) is not None:
            self._gone(party)
        party.peer.close()

    def _gone(self, party: Party) -> None:
        self._keeping.gone(party)
        for device in [device for device, both in self._twice.items() if party in both]:
            del self._twice[device]
            self._report.finding(f"twice {device}", "")
        for device in party.devices:
            if self._owner.get(device) is party:
                del self._owner[device]
                if self._lost_after is not None and self._many:
                    self._absent[device] = self._clock.mono() + self._lost_after
                    self._wake(self._absent[device])

    def _recognise(self, party: Party, said: Said, now: int) -> None:
        """Note who speaks here."""
        party.heard = now
        device = said.device
        if self._owner.get(device) is party:
            return
        if device not in self._points:
            if party.rank is Rank.NOBODY:
                self._peers.rank(party, Rank.STRANGER)
            return
        before = self._owner.get(device)
        self._owner[device] = party
        party.devices.add(device)
        self._absent.pop(device, None)
        self._peers.rank(party, Rank.DEVICE)
        if before is not None:
            self._replaced(device, before, now)

    def _replaced(self, device: str, before: Party, now: int) -> None:
        """Let a newer connection of a device stand; two that both speak have one address by mistake."""
        self._report.count(f"{device} replaced")
        before.devices.discard(device)
        if before.devices:
            return
        self._peers.rank(before, Rank.STRANGER)
        alive = now - before.heard < REPLACED
        # Over UDP a device may come from another port each time: then it waits for its answer at all of them.
        if not alive or not (self._holds or before.unsaved):
            self._hang_up(before, "hung_up_replaced")
        # One that has hung up and waits for its answer is the same device that calls again.
        now_there = self._owner[device]
        if alive and not before.peer.done and (self._holds or before.peer.address != now_there.peer.address):
            self._twice[device] = before, now_there
            self._report.finding(
                f"twice {device}", f"{now_there.peer.name} and {before.peer.name} both speak as {device}"
            )

    # -- what they say

    def heard(self, peer: Peer, data: bytes) -> None:
        """Take bytes from a far end."""
        party = self._peers.get(peer)
        if party is None:
            return
        if not self._holds and (self._keeping.crowded_out(party) if self._many else self._keeping.full):
            self._report.count("overflow")
            return
        now = self._clock.mono()
        self._take(party, self._called(party, party.conversation.hear, data, now=now), now)
        self._plan(party, now)

    def _called(self, party: Party, call: Callable[..., list[Said]], *data: bytes, now: int) -> list[Said]:
        """Call the protocol's code: a bug in it costs what was just heard, and the conversation begins anew."""
        try:
            return call(*data, now, self._wall())
        except Exception:
            self._report.count("conversation_failed")
            log.exception("%s: a bug in a conversation; it begins anew", self._source)
            party.conversation = self._talk(party.peer.name)
            return []

    def _kernels_wall(self) -> int:
        now = self._clock.mono()
        if now >= self._trusted_until:
            self._trusted, self._trusted_until = self._clock.synchronised(), now + _TRUST_FOR
        return self._clock.wall() if self._trusted else 0

    def _take(self, party: Party, things: Sequence[Said], now: int, *, came: bool = True) -> None:
        """Do what things said ask for. `came`: they were heard just now; else they are what a `tick` made."""
        for said in things:
            who = said.device if said.device in self._points else UNKNOWN
            for problem in said.decoded.problems:
                self._report.count(f"{who} {problem}")
            if said.at_once:
                self.send(party, said.at_once)
            if said.settles is not None:
                self._settle(said.settles, said.refusal)
            if said.stores:
                if came:
                    self._recognise(party, said, now)
                self._keeping.keep(party, said, who, now)
                continue
            answers = said.after or said.at_once or said.settles is not None
            if came and (said.decoded.heard or (answers and not said.decoded.problems)):  # wrong frames bear any name
                self._recognise(party, said, now)
            self._keeping.heard(said.decoded.heard, now)
            if said.after:
                self.send(party, said.after)
        self._wake(self._keeping.due())

    def _settle(self, question: Question, refusal: str) -> None:
        answer = self.questions.get(question)
        if answer is not None and not answer.done():
            answer.set_result(refusal)

    # -- what we say

    def send(self, party: Party, data: bytes) -> None:
        """Send to a peer; one that is gone or does not read is hung up on, and repeats what it was not answered."""
        if data and not party.peer.write(data):
            self._hang_up(party, "not_sent")

    def here(self, party: Party) -> bool:
        """Whether a peer is still connected."""
        return self._peers.get(party.peer) is party

    def ask(self, device: str, point: str, value: float) -> tuple[Party, Question]:
        """Return whom to ask, and what, to set an output.

        Raises:
            DeliveryError: no such output (not retryable), device not connected (retryable).
            LinkDown: nobody is on the wire.
        """
        now = self._clock.mono()
        party = self._owner.get(device)
        if party is None and not self._many:
            party = next(iter(self._peers), None)
        if party is None:
            if not len(self._peers):
                raise LinkDown(f"{self._source}: nobody is connected")
            raise DeliveryError(f"{device}: not connected", retryable=True)
        question = party.conversation.ask(device, point, value, now, self._wall())
        self._plan(party, now)
        if question is None:
            raise DeliveryError(f"{device}.{point} cannot be set to {value:g}", retryable=False)
        return party, question

    # -- time

    def _plan(self, party: Party, now: int) -> None:
        if not self.here(party):  # hung up on meanwhile
            return
        due = max(party.conversation.due(), now)
        if self._idle:
            due = min(due, party.heard + self._idle)
        self._peers.plan(party, due)
        self._wake(due)

    def work(self) -> int:
        """Do what is due; return when something will be (ns)."""
        now = self._clock.mono()
        while (party := self._peers.pop_due(now)) is not None:
            if self._idle and now - party.heard >= self._idle:
                self._hang_up(party, "idle")
                continue
            self._take(party, self._called(party, party.conversation.tick, now=now), now, came=False)
            self._plan(party, now)
            if party.due <= now and self.here(party):
                self._peers.plan(party, now + _AGAIN)
        for device in [device for device, due in self._absent.items() if due <= now]:
            del self._absent[device]
            self._report.count(f"{device} no_comms")
            self._keeping.lost([(point, 0, *NO_COMMS) for point in self._points[device]], device, now)
        self._keeping.work(now)
        return min(self._peers.next_due(), self._keeping.due(), min(self._absent.values(), default=NEVER))
