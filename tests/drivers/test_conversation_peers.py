"""Drivers on a wire: peers that come, go, are replaced, flood or do not read, and outputs (driven time)."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.quality import Doubt, Level, quality
from tests.drivers.conversation_bench import Bench, bench, on

LOST = quality(Level.BAD, Doubt.NO_COMMS)


def test_a_half_frame_is_dropped_when_its_time_is_over() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 fi")
        await one.clock.advance(3)
        assert one.notes.counts["unknown half"] == 1
        one.wire.says(peer, b"a 2 fire\n")
        await one.commit()
        assert peer.sent == [b"ok 2\n"]

    on(scene)


def test_a_device_whose_connection_is_gone_turns_bad_unless_it_comes_back() -> None:
    async def scene(one: Bench) -> None:
        peers = [one.wire.met(f"10.0.0.1:{number}") for number in range(2)]
        one.wire.says(peers[0], b"a 1 poll\n")
        one.wire.says(peers[1], b"b 1 poll\n")
        for peer in peers:
            one.wire.lose(peer)
        await one.clock.advance(20)
        one.wire.says(one.wire.met("10.0.0.1:3"), b"b 2 poll\n")
        assert not one.batches
        await one.clock.advance(20)
        (batch,) = one.batches
        assert batch.point.tolist() == [1, 2]  # a.v, a.w
        assert set(batch.quality.tolist()) == {LOST}

    on(scene)


def test_devices_that_hang_up_by_themselves_stay_as_they_are() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        one.wire.says(peer, b"a 1 poll\n")
        one.wire.lose(peer)
        await one.clock.advance(3600)
        assert not one.batches

    on(scene, lost_after=None)


def test_a_newer_connection_replaces_a_dead_one_but_not_one_that_speaks() -> None:
    async def scene(one: Bench) -> None:
        old, new, third = (one.wire.met(f"10.0.0.1:{number}") for number in range(3))
        one.wire.says(old, b"a 1 poll\n")
        await one.clock.advance(60)
        one.wire.says(new, b"a 2 poll\n")
        assert (old.closed, new.closed) == (True, False)
        one.wire.says(third, b"a 3 poll\n")
        assert not new.closed  # two devices have one address: both go on being heard
        one.wire.says(new, b"a 4 fire\n")
        await one.commit()
        assert new.sent[-1] == b"ok 4\n"
        assert one.notes.counts["a replaced"] == 3
        await one.clock.advance(60)
        assert not one.batches[1:]  # and nobody was lost

    on(scene)


def test_two_that_speak_as_one_device_are_told_of_while_both_are_there() -> None:
    async def scene(one: Bench) -> None:
        first, second = (one.wire.met(f"10.0.0.1:{number}") for number in range(2))
        one.wire.says(first, b"a 1 poll\n")
        one.wire.says(second, b"a 2 poll\n")
        assert one.notes.findings == {"twice a": "10.0.0.1:1 and 10.0.0.1:0 both speak as a"}
        one.wire.lose(first)
        assert one.notes.findings == {"twice a": ""}

    on(scene)


def test_a_device_that_hung_up_and_calls_again_before_its_answer_is_one_device() -> None:
    async def scene(one: Bench) -> None:
        first, again = (one.wire.met(f"10.0.0.1:{number}") for number in range(2))
        one.wire.says(first, b"a 1 fire\n")
        first.done = True
        one.wire.says(again, b"a 2 poll\n")
        assert not one.notes.findings
        assert not first.closed
        await one.commit()
        assert first.sent == [b"ok 1\n"]

    on(scene)


def test_a_flood_of_callers_never_keeps_a_device_out() -> None:
    async def scene(one: Bench) -> None:
        device, speaker = one.wire.met("10.0.0.1:1"), one.wire.met("10.0.0.2:1")
        one.wire.says(device, b"a 1 poll\n")
        one.wire.says(speaker, b"who 1 poll\n")
        flood = [one.wire.met(f"10.0.0.9:{number}") for number in range(30)]
        assert sum(not peer.closed for peer in flood) == 6
        assert not device.closed
        assert not speaker.closed
        second = one.wire.met("10.0.0.1:2")
        one.wire.says(second, b"b 1 fire\n")
        await one.commit()
        assert second.sent == [b"ok 1\n"]
        assert one.notes.counts["too_many"] == 25
        for number in range(30):
            one.wire.says(one.wire.met(f"10.0.0.9:{number}"), b"who 1 poll\n")
        assert speaker.closed
        assert not device.closed
        assert not second.closed

    on(scene, peers=8)


def test_more_devices_than_peers_is_a_mistake_of_the_configuration() -> None:
    async def never(_: Bench) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match="peers = 2, but it has 3 devices; fix: peers = 6"):
        on(never, peers=2)


def test_a_silent_connection_is_hung_up_on() -> None:
    async def scene(one: Bench) -> None:
        silent, noisy, good = (one.wire.met(f"10.0.0.1:{number}") for number in range(3))
        for number in range(5):
            await one.clock.advance(10)
            one.wire.says(noisy, b"?\n")
            one.wire.says(good, b"a %d poll\n" % number)
        assert not silent.closed
        await one.clock.advance(11)
        assert (silent.closed, noisy.closed, good.closed) == (True, True, False)
        assert one.notes.counts["idle"] == 2

    on(scene, idle=60)


def test_whoever_may_not_call_is_hung_up_on() -> None:
    async def scene(one: Bench) -> None:
        assert one.wire.met("11.0.0.1:1").closed
        assert not one.wire.met("10.0.0.1:1").closed
        assert one.notes.counts["not_allowed"] == 1

    on(scene, allow=["10.0.0.0/8"])


def test_a_peer_that_does_not_read_is_hung_up_on_and_the_others_are_answered() -> None:
    async def scene(one: Bench) -> None:
        deaf, good = one.wire.met("10.0.0.1:1"), one.wire.met("10.0.0.2:1")
        one.wire.says(deaf, b"a 1 fire\n")
        one.wire.says(good, b"b 1 fire\n")
        deaf.reads = False
        await one.commit()
        assert deaf.closed
        assert good.sent == [b"ok 1\n"]
        assert one.notes.counts["not_sent"] == 1

    on(scene)


def test_whoever_was_hung_up_on_is_not_called_any_more() -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        peer.reads = False
        one.wire.says(peer, b"a 1 poll\na 2 fi")
        assert peer.closed
        await one.clock.advance(10)
        assert not one.notes.counts["unknown half"]
        one.wire.says(peer, b"re\n")
        await one.commit()
        assert not one.events

    on(scene)


def test_a_peer_whose_words_are_not_committed_is_held_back_alone() -> None:
    async def scene(one: Bench) -> None:
        loud, quiet = one.wire.met("10.0.0.1:1"), one.wire.met("10.0.0.2:1")
        for number in range(300):
            one.wire.says(loud, b"a %d value 1\n" % number)
        one.wire.says(quiet, b"b 1 value 1\n")
        assert (loud.held, quiet.held) == (True, False)
        await one.clock.advance(1)
        await one.commit()
        assert not loud.held
        assert len(one.stored()) == 301

    on(scene)


def test_over_udp_too_much_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers._conversation_keeping.WINDOWS", 1 << 18)

    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        for number in range(2_000):
            one.wire.says(peer, b"a %d value 1\n" % number)
        assert one.notes.counts["overflow"] > 0
        await one.clock.advance(1)
        await one.commit()
        assert len(one.stored()) + one.notes.counts["overflow"] == 2_000
        one.wire.says(peer, b"a x value 1\n")
        await one.commit()
        assert one.stored()[-1] == ("a", 1.0)

    on(scene, wire="udp")


def test_an_output_is_set_when_the_device_says_so() -> None:
    async def scene(one: Bench) -> None:
        with pytest.raises(LinkDown, match="nobody"):
            await one.driver.write("a", "out", 1)
        peer = one.wire.met("10.0.0.1:1")
        with pytest.raises(DeliveryError, match="not connected") as caught:
            await one.driver.write("a", "out", 1)
        assert caught.value.retryable
        one.wire.says(peer, b"a 1 poll\n")
        for device, point in (("a", "v"), ("nobody", "out")):
            with pytest.raises(DeliveryError) as caught:
                await one.driver.write(device, point, 1)
            assert not caught.value.retryable
        peer.sent.clear()
        writing = asyncio.create_task(one.driver.write("a", "out", 1))
        await one.clock.advance(1.5)
        assert peer.sent == [b"set a 1\n"] * 2
        one.wire.says(peer, b"a 2 told 1\n")
        await writing
        writing = asyncio.create_task(one.driver.write("a", "out", 0))
        await one.clock.advance(0.5)
        one.wire.says(peer, b"a 2 told 0\n")
        with pytest.raises(DeliveryError, match="refused: busy"):
            await writing
        writing = asyncio.create_task(one.driver.write("a", "out", 0))
        await one.clock.advance(5)
        with pytest.raises(DeliveryError, match="no answer") as caught:
            await writing
        assert caught.value.retryable
        writing = asyncio.create_task(one.driver.write("a", "out", 0))
        await one.clock.advance(0.5)
        one.wire.lose(peer)
        await one.clock.advance(1)
        with pytest.raises(DeliveryError, match="hung up") as caught:
            await writing
        assert caught.value.retryable

    on(scene)


def test_a_bug_in_a_conversation_costs_what_was_just_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(one: Bench) -> None:
        peer = one.wire.met("10.0.0.1:1")
        with monkeypatch.context() as patch:
            patch.setattr("tests.line_talk.LineTalk._said", lambda *_: 1 / 0)
            one.wire.says(peer, b"a 1 fire\n")
        one.wire.says(peer, b"a 1 fire\n")
        await one.commit()
        assert peer.sent == [b"ok 1\n"]
        assert one.notes.counts["conversation_failed"] == 1

    on(scene)


def test_a_lost_wire_is_link_down_and_what_waited_for_company_is_handed_over() -> None:
    async def main() -> None:
        async with bench() as one:
            one.wire.says(one.wire.met("10.0.0.1:1"), b"a 1 value 1\n")
            assert one.wire.breaks is not None
            one.wire.breaks.set_exception(LinkDown("gone"))
            await one.clock.advance(0)
            await one.commit()
            assert one.stored() == [("a", 1.0)]

    asyncio.run(main())
