"""Floods of datagrams, from one sender and from a thousand, against every protocol: the device beside is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from drivers import _conversation_keeping
from drivers._conversation import Talking, WireOptions
from drivers._conversation_keeping import WINDOW
from gateway.clock import Clock
from gateway.driven_clock import FakeClock
from gateway.model.batch import Batch
from gateway.transport.wires import Ears
from gateway.transport.wires_udp import Address, UdpSocket
from tests.channel_rigs import Notes
from tests.drivers.three_protocols import PROTOCOLS, Spoken

PEERS = 200
WINDOWS, PART = 1 << 20, 1 << 17  # bytes; less than in a house, to be quick
GOOD: Address = ("10.0.0.1", 5000)
DEVICE, STRANGER = 7, 8
NOISE = bytes(range(256))


class Net(asyncio.DatagramTransport):
    """A socket without a kernel: what is sent to whom."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Address] = []

    def sendto(self, data: object, addr: Any = None) -> None:  # noqa: ANN401 - as the base has it
        """Note who is answered."""
        assert data
        self.sent.append(addr)

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Be the kernel's end of it as well: it has no room to set."""
        del name, default
        return self

    def setsockopt(self, *_: object) -> None:
        """Have no room to set."""


class House:
    """A driver over UDP, and a store that commits when it is told."""

    def __init__(self, protocol: Spoken, peers: int = PEERS) -> None:
        self.clock, self.notes, self.net = FakeClock(), Notes(), Net()
        self.batches: list[Batch] = []
        self.committed = 0
        setup = protocol.setup(self.clock, self.notes, {"it": DEVICE}, wire="udp", peers=peers)
        talk = protocol.create(setup).talk
        self.driver = Talking(
            setup, WireOptions(wire="udp", port=1, peers=peers), talk, lost_after=None, wire=self._attend
        )
        self.socket: UdpSocket

    async def _attend(self, options: WireOptions, ears: Ears, clock: Clock) -> None:
        del options, clock
        self.socket = UdpSocket(ears)
        self.socket.connection_made(self.net)
        ears.opened("net")
        await asyncio.get_running_loop().create_future()

    async def commit(self) -> None:
        """Commit what has been handed over."""
        await self.clock.advance(0.25)
        ready, self.committed = self.batches[self.committed :], len(self.batches)
        for batch in ready:
            batch.ack()

    def waiting(self) -> int:
        """Return the bytes of frames that wait for a commit."""
        return sum(len(frame) for batch in self.batches[self.committed :] for frame in batch.frames)

    def run(self, scene: Callable[[], Any]) -> None:
        """Run the driver beside a scene."""

        async def main() -> None:
            running = asyncio.create_task(self.driver.run(self.batches.append))
            await self.clock.advance(0)
            await scene()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(main())


def said(protocol: Spoken, device: int, number: int) -> bytes:
    """Return the report of a number by a device."""
    return protocol.says(protocol.far(device), number)


def flood(kind: str, protocol: Spoken, number: int, senders: int) -> tuple[bytes, Address]:
    """Return datagram `number` of a flood."""
    place = number % senders
    data = NOISE[number % 200 :] if kind == "noise" else said(protocol, STRANGER, number)
    return data, (f"10.1.{place >> 8}.{place & 255}", 1024 + place)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("kind", ["noise", "strangers"])
@pytest.mark.parametrize("senders", [1, 1000])
def test_a_flood_leaves_the_device_beside_it_its_answers(name: str, kind: str, senders: int) -> None:
    protocol = PROTOCOLS[name]
    house = House(protocol)

    async def scene() -> None:
        for round_ in range(3):
            for number in range(round_ * 400, (round_ + 1) * 400):
                house.socket.datagram_received(*flood(kind, protocol, number, senders))
            answered = house.net.sent.count(GOOD)
            house.socket.datagram_received(said(protocol, DEVICE, round_), GOOD)
            await house.commit()
            assert house.net.sent.count(GOOD) > answered
            assert len(house.socket.peers) <= PEERS
            assert GOOD in house.socket.peers
        if senders > PEERS:
            assert house.notes.counts["too_many"] >= 1_200 - PEERS - 3
        assert not house.notes.counts["conversation_failed"]

    house.run(scene)


@pytest.mark.parametrize("senders", [1, 1000])
def test_while_nothing_is_committed_a_hundred_thousand_datagrams_leave_room_to_the_device(
    senders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_conversation_keeping, "WINDOWS", WINDOWS)
    protocol = PROTOCOLS["gb26875"]
    house = House(protocol, 2 * senders + 2)
    some = [said(protocol, STRANGER, number) for number in range(2_000)]
    others = [flood("noise", protocol, number, senders)[1] for number in range(senders)]

    async def scene() -> None:
        house.socket.datagram_received(said(protocol, DEVICE, 0), GOOD)
        await house.commit()
        for number in range(100_000):
            house.socket.datagram_received(some[number % len(some)], others[number % senders])
        house.socket.datagram_received(said(protocol, DEVICE, 1), GOOD)
        await house.clock.advance(0.25)
        assert house.waiting() <= (WINDOW if senders == 1 else WINDOWS // 2)
        assert house.notes.counts["overflow"] >= 50_000
        answered = house.net.sent.count(GOOD)
        await house.commit()
        assert house.net.sent.count(GOOD) == answered + 1
        house.socket.datagram_received(some[0], ("10.2.0.0", 1))
        await house.commit()
        assert ("10.2.0.0", 1) in house.net.sent, "there is room again"

    house.run(scene)


def test_a_device_that_babbles_has_its_part_and_its_neighbours_have_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conversation_keeping, "PART", PART)
    protocol = PROTOCOLS["gb26875"]
    house = House(protocol)

    async def scene() -> None:
        for number in range(1_000):
            house.socket.datagram_received(said(protocol, DEVICE, number), GOOD)
        await house.clock.advance(0.25)
        assert house.notes.counts["overflow"]
        assert 0 < house.waiting() <= PART
        house.socket.datagram_received(said(protocol, STRANGER, 1), ("10.0.0.2", 1))
        await house.commit()
        assert ("10.0.0.2", 1) in house.net.sent

    house.run(scene)
