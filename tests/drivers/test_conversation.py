"""Drivers on a wire: answers after the commit, late answers, repeats, peers that come and go (driven time)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._conversation_repeats import SLOTS
from gateway.model.batch import Batch, EventCode
from gateway.model.quality import Doubt, Level, quality
from tests.drivers.conversation_bench import Bench, bench, on

LOST = quality(Level.BAD, Doubt.NO_COMMS)


def test_the_answer_leaves_after_the_commit_and_not_before() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 fire\n")
        await one.clock.advance(5)
        (batch,) = one.batches
        assert batch.waiting
        assert not peer.sent
        await one.commit()
        assert peer.sent == [b"ok 1\n"]
        assert [(event.code, event.raw, event.registered) for event in one.events] == [
            (EventCode.FIRE, b"a 1 fire", True)
        ]

    on(scene)


def test_a_poll_is_answered_at_once_and_no_batch_comes_of_it() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 poll\n")
        assert peer.sent == [b"here 1\n"]
        await one.clock.advance(1)
        assert not one.batches

    on(scene)


def test_a_frame_alone_leaves_in_the_same_turn_and_a_crowd_in_one_batch() -> None:
    async def scene(one: Bench) -> None:
        names = [f"d{number}" for number in range(200)]
        peers = [one.wire.met(f"10.0.0.1:{number}") for number in range(200)]
        one.wire.says(peers[0], b"d0 0 value 1\n")
        await one.clock.advance(0)
        assert len(one.batches) == 1
        for name, peer in zip(names, peers, strict=True):
            one.wire.says(peer, f"{name} 1 value 2\n".encode())
        await one.clock.advance(0.1)
        assert len(one.batches) == 2
        await one.commit()
        assert all(peer.sent[-1] == b"ok 1\n" for peer in peers)
        assert len(one.stored()) == 201

    on(scene, devices=[f"d{number}" for number in range(200)])


@pytest.mark.parametrize(
    ("limit", "word", "peers", "seconds"),
    [
        (10.0, "value", 60, 0.2),
        (10.0, "value", 1, 0.01),
        (10.0, "value", 5, 0.05),
        (0.5, "value", 60, 0.05),
        (0.0, "value", 60, 0.1),
        (10.0, "fire", 60, 0.05),
        (10.0, "fire", 1, 0.01),
    ],
)
def test_what_waits_for_an_answer_waits_for_company_no_longer_than_its_limit_allows(
    limit: float, word: str, peers: int, seconds: float
) -> None:
    async def scene(one: Bench) -> None:
        callers = [one.wire.met(f"10.0.0.1:{number}") for number in range(peers)]
        for serial in range(2):
            for number, peer in enumerate(callers):
                one.wire.says(peer, f"d{number} {serial} {word} 1\n".encode())
            if not serial:
                await one.clock.advance(0)
        assert len(one.batches) == 1
        await one.clock.advance(seconds - 0.001)
        assert len(one.batches) == 1
        await one.clock.advance(0.001)
        assert len(one.batches) == 2

    on(scene, limit=limit, devices=[f"d{number}" for number in range(peers)])


def test_every_reading_has_its_own_frame() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 value 1\na 2 value 2\nb 3 value 3\n")
        await one.commit()
        assert one.stored() == [("a", 1.0), ("a", 2.0), ("b", 3.0)]

    on(scene)


def test_too_late_for_the_limit_the_device_is_made_to_repeat_and_its_repeat_is_answered_at_once() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 fire\n")
        await one.clock.advance(0.39)
        assert not peer.sent
        await one.clock.advance(0.02)
        assert peer.sent == [b"no 1\n"]
        await one.commit()
        assert peer.sent == [b"no 1\n"]  # nothing more until it says it again
        one.wire.says(peer, b"a 1 fire\n")
        assert peer.sent == [b"no 1\n", b"ok 1\n"]
        await one.clock.advance(1)
        assert len(one.events) == 1
        assert (one.notes.counts["a late"], one.notes.counts["a repeat"]) == (1, 1)

    on(scene, limit=0.5)


def test_in_time_it_is_answered_once() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 fire\n")
        await one.clock.advance(0.05)
        await one.commit()
        await one.clock.advance(5)
        assert peer.sent == [b"ok 1\n"]
        assert not one.notes.counts["a late"]

    on(scene, limit=0.1)


def test_a_repeat_before_the_commit_is_answered_with_it_on_the_connection_that_asked_last() -> None:
    async def scene(one: Bench) -> None:
        before = one.wire.met("10.0.0.1:1")
        one.wire.says(before, b"a 1 fire\n")
        await one.clock.advance(0.1)
        one.wire.lose(before)
        after = one.wire.met("10.0.0.1:2")
        one.wire.says(after, b"a 1 fire\n")
        await one.clock.advance(0.3)
        assert not after.sent
        await one.commit()
        assert (before.sent, after.sent) == ([], [b"ok 1\n"])
        assert len(one.events) == 1

    on(scene)


def test_a_repeat_that_comes_while_the_commit_lasts_has_a_limit_of_its_own() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 fire\n")
        await one.clock.advance(0.6)
        one.wire.says(peer, b"a 1 fire\n")
        await one.clock.advance(0.2)
        await one.commit()
        assert peer.sent == [b"no 1\n", b"ok 1\n"]
        assert len(one.events) == 1

    on(scene, limit=0.5)


def test_the_same_words_are_something_new_when_their_time_is_over() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        for _ in range(2):
            one.wire.says(peer, b"a 1 fire\n")
            await one.commit()
            await one.clock.advance(1801)
        assert len(one.events) == 2

    on(scene)


def test_a_repeat_is_known_over_a_restart_and_marks_go_in_time() -> None:
    async def main() -> None:
        async with bench() as one:
            peer = one.wire.met("10.0.0.1:1")
            for number in range(5):
                one.wire.says(peer, b"a %d fire\n" % number)
            await one.commit()
            one.forget()
            assert len(one.kept) == 5
        async with bench(clock=one.clock, marks=list(one.kept.values())) as two:
            two.kept = one.kept
            peer = two.wire.met("10.0.0.1:1")
            two.wire.says(peer, b"a 3 fire\n")
            assert peer.sent == [b"ok 3\n"]
            two.wire.says(peer, b"a 9 fire\n")
            await two.commit()
            two.forget()
            assert len(two.events) == 1
            assert len(two.kept) == 6
            await two.clock.advance(1801)
            two.wire.says(peer, b"b 1 fire\n")
            await two.commit()
            two.forget()
            assert [mark.session for mark in two.kept.values()] == ["src b"]

    asyncio.run(main())


def test_marks_are_bounded_a_device() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        for number in range(5 * SLOTS):
            one.wire.says(peer, b"a %d fire\n" % number)
            await one.clock.advance(0.02)
            await one.commit()
        assert len(one.kept) == SLOTS
        one.forget()
        assert len(one.kept) == SLOTS
        one.wire.says(peer, b"a %d fire\n" % (4 * SLOTS))
        assert len(one.events) == 5 * SLOTS

    on(scene)


def test_what_an_unknown_device_says_is_an_event_of_the_source() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"who 1 fire\nwho 1 fire\n")
        await one.commit()
        (event,) = one.events
        assert (event.point, event.registered) == (0, False)
        assert peer.sent == [b"ok 1\n"]
        assert not one.kept
        assert one.notes.counts["unknown repeat"] == 1

    on(scene)


def test_a_burst_in_one_turn_is_cut_into_batches_that_a_step_can_take() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"".join(b"a %d value 1\n" % number for number in range(1200)))
        assert [len(batch) for batch in one.batches] == [500, 500]
        await one.clock.advance(0.1)
        await one.commit()
        assert len(one.stored()) == 1200
        assert len(peer.sent) == 1200

    on(scene)


def test_garbage_is_counted_and_costs_nothing_beside_it() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"\xff\xfe\na 1 fire\n\n" + b"x" * 500)
        one.wire.says(peer, b"\na 2 fire\n")
        await one.commit()
        assert len(one.events) == 2
        assert one.notes.counts["unknown garbage"] == 3
        assert one.notes.counts["unknown no_end"] == 1

    on(scene)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=25), st.integers(0, 49))
def test_polls_and_events_are_answered_within_100_ms_on_a_store_that_takes_50_ms(pauses: list[int], phase: int) -> None:
    """An event is confirmed within the limit or at its first repeat, and stored once; a poll is answered at once."""

    async def scene(one: Bench) -> None:
        async def store() -> None:
            await one.clock.sleep(phase / 1000)
            while True:
                await one.clock.sleep(0.05)
                ready = list(one.batches)
                await one.clock.sleep(0.05)
                for batch in ready[len(done) :]:
                    batch.ack()
                done[:] = ready

        done: list[Batch] = []
        storing = asyncio.create_task(store())
        peer = one.wire.met("line")
        for serial, pause in enumerate(pauses):
            one.wire.says(peer, b"fire1 p%d poll\n" % serial)
            assert peer.sent[-1] == b"here p%d\n" % serial
            one.wire.says(peer, b"fire1 %d fire\n" % serial)
            await one.clock.advance(0.1)
            if b"ok %d\n" % serial not in peer.sent:
                assert peer.sent[-1] == b"no %d\n" % serial
                await one.clock.advance(0.05)
                one.wire.says(peer, b"fire1 %d fire\n" % serial)
                await one.clock.advance(0.1)
            assert peer.sent.count(b"ok %d\n" % serial) == 1
            await one.clock.advance(pause / 1000)
        storing.cancel()
        assert len(one.events) == len(pauses)

    on(scene, limit=0.1)
