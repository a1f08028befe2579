"""Fifty callers that say one byte a second for ever, beside five hundred devices that talk: who stays, who goes."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from drivers._conversation import Talking, WireOptions
from gateway.driven_clock import FakeClock
from gateway.model.batch import Batch
from tests.channel_rigs import Notes
from tests.drivers.conversation_bench import FakePeer, FakeWire
from tests.drivers.three_protocols import PROTOCOLS, WALL, Far, Spoken

DEVICES, SLOW = 500, 50
IDLE = 60.0  # s
ROUNDS, PAUSE = 3, 30  # of reports, s apart


async def talk(
    protocol: Spoken, clock: FakeClock, wire: FakeWire, batches: list[Batch], slow: list[FakePeer]
) -> list[tuple[FakePeer, Far]]:
    """Let every device report in every round and hear its answer, and the slow ones go on meanwhile."""
    good = [(wire.met(f"10.0.{n >> 8}.{n & 255}:1"), protocol.far(n)) for n in range(DEVICES)]
    # Frames of configured devices that lack their end, so that every byte could become something.
    trickles = [itertools.cycle(protocol.says(protocol.far(n), 90)[:-2]) for n in range(SLOW)]
    done = 0
    for number in range(ROUNDS):
        for peer, far in good:
            wire.says(peer, protocol.says(far, number))
        await clock.advance(0.25)
        ready, done = batches[done:], len(batches)
        for batch in ready:
            batch.ack()
        for peer, far in good:
            far.hear(b"".join(peer.sent), WALL * 10**9)
            peer.sent.clear()
            assert not far.unanswered, "every device is answered, whatever else is on the wire"
        for _ in range(PAUSE):
            for peer, trickle in zip(slow, trickles, strict=True):
                if not peer.closed:
                    wire.says(peer, bytes([next(trickle)]))
            await clock.advance(1)
    return good


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_one_byte_a_second_is_nothing_and_ends_while_devices_are_answered(protocol: Spoken) -> None:
    clock, notes, wire, batches = FakeClock(), Notes(), FakeWire(), list[Batch]()
    setup = protocol.setup(clock, notes, {f"d{n}": n for n in range(DEVICES)}, wire="tcp_server", idle=IDLE)
    options = WireOptions(wire="tcp_server", port=1, idle=IDLE)

    async def main() -> None:
        running = asyncio.create_task(
            Talking(setup, options, protocol.create(setup).talk, wire=wire).run(batches.append)
        )
        await clock.advance(0)
        slow = [wire.met(f"10.9.0.{n}:1") for n in range(SLOW)]
        good = await talk(protocol, clock, wire, batches, slow)
        assert all(peer.closed for peer in slow)
        assert not any(peer.closed for peer, _ in good)
        assert notes.counts["idle"] == SLOW
        assert sum(len(batch.frames) for batch in batches) == ROUNDS * DEVICES
        assert not notes.counts["conversation_failed"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
