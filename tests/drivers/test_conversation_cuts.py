"""Properties of drivers on a wire (driven time): cuts do not matter, nothing is lost or stored twice by a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._conversation_peers import Party, Peers
from drivers._conversation_said import Said
from gateway.driven_clock import FakeClock
from gateway.model.batch import Mark
from gateway.model.verdict import NEVER
from tests.drivers.conversation_bench import Bench, FakePeer, bench

DEVICES = ("a", "b", "fire1")
WORDS = st.sampled_from(["value 1", "value 2", "fire", "info", "poll"])
LINES = st.lists(st.tuples(st.sampled_from([*DEVICES, "who"]), WORDS), max_size=12)


def stream(lines: Sequence[tuple[str, str]]) -> bytes:
    """Return what is said, each line with a serial number of its own."""
    return b"".join(f"{device} {serial} {word}\n".encode() for serial, (device, word) in enumerate(lines))


def expected(lines: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Return how many readings and how many events come of it."""
    values = sum(word.startswith("value") and device != "who" for device, word in lines)
    polls = sum(word == "poll" for _, word in lines)
    return values, len(lines) - values - polls


@settings(max_examples=40, deadline=None)
@given(LINES, st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0.0, 0.004, 0.05, 0.3])), max_size=8), st.data())
def test_any_cut_of_the_stream_tells_the_same_once(
    lines: list[tuple[str, str]], cuts: list[tuple[int, float]], data: st.DataObject
) -> None:
    whole = stream(lines)
    commits = data.draw(st.lists(st.booleans(), min_size=len(cuts), max_size=len(cuts)))

    async def main() -> None:
        async with bench(DEVICES) as one:
            peer, said = one.wire.met("10.0.0.1:1"), 0
            for (at, pause), commit in zip(sorted(cuts), commits, strict=True):
                one.wire.says(peer, whole[said:at])
                said = max(said, min(at, len(whole)))
                await one.clock.advance(pause)
                if commit:
                    await one.commit()
            one.wire.says(peer, whole[said:])
            await one.clock.advance(1)
            await one.commit()
            assert (sum(map(len, one.batches)), len(one.events)) == expected(lines)
            answers = {line.split(b" ")[1] for line in peer.sent}
            assert answers == {b"%d\n" % serial for serial in range(len(lines))}
            assert len(peer.sent) == len(lines)

    asyncio.run(main())


@dataclass
class Teller:
    """A device that says its lines one after the other, each again and again until it is answered."""

    lines: list[bytes]
    peer: FakePeer | None = None
    place: int = 0

    def turn(self, one: Bench) -> None:
        """Say the line whose turn it is, on a connection of its own making."""
        if self.peer is None or self.peer.closed:
            self.peer = one.wire.met(f"10.0.0.{id(self) % 250}:1")
        while self.place < len(self.lines) and self._answered():
            self.place += 1
        if self.place < len(self.lines):
            one.wire.says(self.peer, self.lines[self.place])

    def _answered(self) -> bool:
        serial = self.lines[self.place].split(b" ")[1]
        return self.peer is not None and b"ok %s\n" % serial in self.peer.sent


STEPS = st.lists(st.sampled_from(["turn", "commit", "late", "hang_up", "kill", "stop", "forget"]), max_size=40)
ENDS = ("kill", "stop")


class World:
    """Tellers, and what outlives a life of the daemon: the store's events and marks."""

    def __init__(self, each: int, limit: float) -> None:
        self.tellers = [Teller([f"{name} {name}{k} fire\n".encode() for k in range(each)]) for name in DEVICES]
        self.stored: list[bytes] = []
        self._kept: dict[tuple[str, int], Mark] = {}
        self._clock = FakeClock()
        self._limit = limit

    async def live(self, steps: Sequence[str]) -> None:
        """Live once. Ended by `kill`, what is not committed is gone; by `stop`, all that was heard is committed."""
        marks = list(self._kept.values())
        async with bench(DEVICES, clock=self._clock, marks=marks, limit=self._limit) as one:
            one.kept = self._kept
            for step in steps:
                await self._act(one, step)
            if steps[-1] == "stop":
                await one.commit()
            self.stored += [event.raw for event in one.committed_events]
        for teller in self.tellers:
            teller.peer = None

    async def _act(self, one: Bench, step: str) -> None:
        first = self.tellers[0].peer
        if step == "turn":
            for teller in self.tellers:
                teller.turn(one)
        elif step == "commit":
            await one.commit()
        elif step == "late":
            await one.clock.advance(1)
        elif step == "hang_up" and first is not None and not first.closed:
            one.wire.lose(first)
        elif step == "forget":
            one.forget()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), STEPS, st.sampled_from([0.0, 0.5]))
def test_whatever_is_killed_nothing_is_lost_and_nothing_stored_twice(each: int, steps: list[str], limit: float) -> None:
    world = World(each, limit)

    async def main() -> None:
        life: list[str] = []
        for step in [*steps, *["turn", "commit"] * (2 * each + 2), "stop"]:
            life.append(step)
            if step in ENDS:
                await world.live(life)
                life = []

    asyncio.run(main())
    assert sorted(world.stored) == sorted(line.rstrip(b"\n") for teller in world.tellers for line in teller.lines)


class Silent:
    """A conversation that says nothing."""

    def hear(self, data: bytes, now: int, wall: int) -> list[Said]:
        """Hear nothing."""
        del data, now, wall
        return []

    def tick(self, now: int, wall: int) -> list[Said]:
        """Do nothing."""
        del now, wall
        return []

    def due(self) -> int:
        """Want nothing."""
        return NEVER

    def ask(self, device: str, point: str, value: float, now: int, wall: int) -> None:
        """Have no output."""


PLANS = st.lists(st.tuples(st.integers(0, 3), st.one_of(st.integers(0, 100), st.just(NEVER)), st.integers(0, 4)))


@settings(max_examples=100, deadline=None)
@given(PLANS)
def test_every_peer_is_called_when_it_wants_to_be_whatever_it_wanted_before(plans: list[tuple[int, int, int]]) -> None:
    parties = [Party(FakePeer(str(number)), Silent(), 0, 0) for number in range(4)]
    peers, wanted, now = Peers(4), dict.fromkeys(range(4), NEVER), 0
    for party in parties:
        peers.add(party)
    for number, due, passes in plans:
        peers.plan(parties[number], due)
        wanted[number] = due
        now += passes
        assert peers.next_due() <= min(wanted.values())
        called = set()
        while (one := peers.pop_due(now)) is not None:
            called.add(parties.index(one))
            peers.plan(one, NEVER)
        assert called == {number for number, due in wanted.items() if due <= now}
        wanted.update(dict.fromkeys(called, NEVER))
