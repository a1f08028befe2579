"""Devices that change their id in the middle of a connection, and two connections that claim the same id at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from drivers._conversation import Talking, WireOptions
from gateway.driven_clock import FakeClock
from gateway.model.batch import Batch
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import SECOND
from gateway.transport.wires import Wire
from tests.channel_rigs import Notes
from tests.drivers.conversation_bench import FakePeer, FakeWire
from tests.drivers.three_protocols import PROTOCOLS, WALL, Far, Spoken

DEVICES = {"a": 7, "b": 8}
STRANGER = 9
ALL = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)


class Findings(Notes):
    """Keeps remarks as well."""

    def __init__(self) -> None:
        super().__init__()
        self.remarks: dict[str, str] = {}

    def finding(self, key: str, text: str) -> None:
        """Keep it."""
        self.remarks[key] = text


class Caller:
    """A connection; whatever speaks over it, `told` has which of what it said is answered."""

    def __init__(self, house: House, name: str) -> None:
        self._house = house
        self.peer: FakePeer = house.wire.met(name)
        self._read = 0

    def say(self, *frames: bytes) -> None:
        """Say these in one go."""
        self._house.wire.says(self.peer, b"".join(frames))

    def heard_by(self, *fars: Far) -> None:
        """Let devices at this connection hear what has been answered since."""
        data, self._read = b"".join(self.peer.sent[self._read :]), len(self.peer.sent)
        for far in fars:
            far.hear(data, WALL * SECOND)


class House:
    """A driver that is called, by whom a test says, and a store that commits when it is told."""

    def __init__(self, protocol: Spoken, wire: Wire = "tcp_server") -> None:
        self.clock, self.notes, self.wire = FakeClock(), Findings(), FakeWire()
        self.batches: list[Batch] = []
        self._committed = 0
        setup = protocol.setup(self.clock, self.notes, DEVICES, wire=wire)
        options = WireOptions(wire=wire, port=1)
        self._driver = Talking(setup, options, protocol.create(setup).talk, wire=self.wire)

    async def commit(self) -> None:
        """Commit what has been handed over."""
        await self.clock.advance(0.25)
        ready, self._committed = self.batches[self._committed :], len(self.batches)
        for batch in ready:
            batch.ack()

    def stored(self) -> list[int]:
        """Return the point (0: of no configured device) of every event and reading."""
        rows = [int(point) for batch in self.batches for point in batch.point]
        return rows + [event.point for batch in self.batches for event in batch.events]

    def lost(self) -> list[int]:
        """Return the points that turned BAD for want of a connection."""
        marks = [(int(p), int(q)) for batch in self.batches for p, q in zip(batch.point, batch.quality, strict=True)]
        return [point for point, mark in marks if mark == quality(Level.BAD, Doubt.NO_COMMS)]

    def run(self, scene: Callable[[], Awaitable[Any]]) -> None:
        """Run the driver beside a scene."""

        async def main() -> None:
            running = asyncio.create_task(self._driver.run(self.batches.append))
            await self.clock.advance(0)
            await scene()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(main())


def reports(protocol: Spoken, far: Far, numbers: Sequence[int]) -> list[bytes]:
    return [protocol.says(far, number) for number in numbers]


@ALL
def test_a_device_that_changes_its_id_in_the_middle_is_taken_at_its_word(protocol: Spoken) -> None:
    house = House(protocol)
    a, b, other = (protocol.far(number) for number in (*DEVICES.values(), STRANGER))

    async def scene() -> None:
        line = Caller(house, "10.0.0.1:1")
        line.say(*reports(protocol, a, [1]), *reports(protocol, b, [2]), *reports(protocol, a, [3]))
        await house.commit()
        line.heard_by(a, b)
        assert not a.unanswered
        assert not b.unanswered
        told = house.stored()
        assert (told.count(1), told.count(2)) == (2, 1)
        line.say(*reports(protocol, other, [4]))
        line.say(*reports(protocol, b, [5]))
        await house.commit()
        line.heard_by(b)
        assert not b.unanswered, "a stranger in between costs nothing"
        assert house.stored().count(2) == 2
        assert not line.peer.closed
        assert not house.notes.remarks
        await house.clock.advance(60)
        house.wire.lose(line.peer)
        await house.clock.advance(60)
        assert sorted(house.lost()) == [1, 2], "both that it has been are gone with it"

    house.run(scene)


@ALL
def test_two_that_claim_one_id_are_each_answered_and_both_are_heard(protocol: Spoken) -> None:
    house = House(protocol)
    first, second = protocol.far(DEVICES["a"]), protocol.far(DEVICES["a"])

    async def scene() -> None:
        lines = [Caller(house, "10.0.0.1:1"), Caller(house, "10.0.0.2:1")]
        for number in range(0, 10, 2):
            lines[0].say(*reports(protocol, first, [number]))
            lines[1].say(*reports(protocol, second, [number + 1]))
            await house.commit()
            lines[0].heard_by(first)
            lines[1].heard_by(second)
            assert not first.unanswered
            assert not second.unanswered
        assert house.stored().count(1) == 10
        assert not any(line.peer.closed for line in lines)
        assert list(house.notes.remarks) == ["twice a"]
        assert "10.0.0" in house.notes.remarks["twice a"]
        assert house.notes.counts["a replaced"] == 9
        house.wire.lose(lines[1].peer)
        await house.clock.advance(20)
        lines[0].say(*reports(protocol, first, [20]))
        await house.commit()
        lines[0].heard_by(first)
        assert not first.unanswered
        await house.clock.advance(60)
        assert house.lost() == [], "the one that is left speaks for it"

    house.run(scene)


@ALL
def test_over_udp_every_port_of_a_device_has_its_answer_and_another_address_is_told_of(protocol: Spoken) -> None:
    house = House(protocol, "udp")
    far, other = protocol.far(DEVICES["a"]), protocol.far(DEVICES["a"])

    async def scene() -> None:
        lines = [Caller(house, f"10.0.0.1:{port}") for port in range(4)]
        for number, line in enumerate(lines):
            line.say(*reports(protocol, far, [number]))
        await house.commit()
        assert [len(line.peer.sent) for line in lines] == [1, 1, 1, 1]
        for line in lines:
            line.heard_by(far)
        assert not far.unanswered
        assert not house.notes.remarks
        lines[0].say(*reports(protocol, far, [10]))
        await house.commit()
        lines[1].say(*reports(protocol, far, [11]))
        assert lines[0].peer.closed, "nothing is owed to it"
        stranger = Caller(house, "10.0.0.2:1")
        stranger.say(*reports(protocol, other, [12]))
        await house.commit()
        stranger.heard_by(other)
        assert not other.unanswered
        assert list(house.notes.remarks) == ["twice a"]
        assert house.stored().count(1) == 7

    house.run(scene)


@ALL
def test_two_that_say_the_very_same_at_once_are_stored_once_and_whoever_repeats_is_answered(protocol: Spoken) -> None:
    house = House(protocol)
    first, second = protocol.far(DEVICES["a"]), protocol.far(DEVICES["a"])

    async def scene() -> None:
        lines = [Caller(house, "10.0.0.1:1"), Caller(house, "10.0.0.2:1")]
        for line, far in zip(lines, (first, second), strict=True):
            line.say(*reports(protocol, far, [1]))
        await house.commit()
        assert house.stored().count(1) == 1
        for line, far in zip(lines, (first, second), strict=True):
            line.heard_by(far)
            for frame in list(far.unanswered.values()):
                del frame
                line.say(*reports(protocol, protocol.far(DEVICES["a"]), [1]))
            await house.clock.advance(0.1)
            line.heard_by(far)
            assert not far.unanswered
        assert house.stored().count(1) == 1

    house.run(scene)
