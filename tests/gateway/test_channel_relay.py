"""The relay: on while it is wanted, set again after everything that may have made the module forget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.channels.relay import Relay, create
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.contact import ChannelSpec
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.ports import ChannelSetup
from gateway.testing import FakeClock
from tests.channel_rigs import Notes


class Output:
    """One output of a module on a bus that can go."""

    def __init__(self) -> None:
        self.value: float | None = None
        self.writes = 0
        self.failure: Exception | None = None
        self.hangs = False

    async def write(self, device: str, point: str, value: float) -> None:
        """Set it, or fail as told."""
        assert (device, point) == ("hall-do", "do1")
        self.writes += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        self.value = value


class House:
    """A relay at work, its output and what it told."""

    def __init__(self, kept: dict[str, str] | None = None, output: Output | None = None, **options: object) -> None:
        self.clock = FakeClock()
        self.notes = Notes(kept)
        self.output = output or Output()
        self.told: list[ChannelState] = []
        spec = ChannelSpec(id="siren", kind="relay", options={"device": "hall-do", "point": "do1", **options})
        self.channel: Relay = create(
            ChannelSetup(spec=spec, clock=self.clock, memory=self.notes, report=self.notes, write=self.output.write)
        )

    def tell(self, said: Input) -> None:
        """Keep what it says."""
        assert isinstance(said, ChannelState)
        self.told.append(said)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[House]:
        """Run it."""
        task = asyncio.create_task(self.channel.run(self.tell))
        await self.clock.advance(0)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def notice(number: int, reason: NotifyReason = NotifyReason.SOUND) -> Notification:
    return Notification(
        id=number,
        alarm=1,
        alarm_class=AlarmClass.FIRE,
        contact="",
        channel="siren",
        address="",
        reason=reason,
        text="声光报警",
    )


def test_it_goes_on_and_off_and_is_said_to_be_so() -> None:
    async def scene() -> None:
        async with House().running() as house:
            assert house.output.value == 0.0  # also off is set at the start: the last daemon may have died sounding
            receipt = await house.channel.send(notice(1))
            assert (receipt.notice, receipt.state, house.output.value) == (1, DeliveryState.DELIVERED, 1.0)
            await house.channel.send(notice(2, NotifyReason.SILENCE))
            assert house.output.value == 0.0
            assert [state.up for state in house.told] == [True]

    asyncio.run(scene())


def test_it_is_set_again_after_a_restart() -> None:
    async def scene() -> None:
        kept: dict[str, str] = {}
        async with House(kept).running() as before:
            await before.channel.send(notice(5))
        async with House(kept).running() as after:
            assert after.output.value == 1.0
            await after.channel.send(notice(4, NotifyReason.SILENCE))  # older than what it knows: a late try
            assert after.output.value == 1.0
            await after.channel.send(notice(6, NotifyReason.SILENCE))
        async with House(kept).running() as later:
            assert later.output.value == 0.0

    asyncio.run(scene())


def test_ids_that_start_anew_do_not_keep_it_silent() -> None:
    async def scene() -> None:
        async with House({"sounding": "500 off"}).running() as house:  # the store was lost, this memory was not
            await house.channel.send(notice(2))
            assert house.output.value == 1.0
            await house.channel.send(notice(3, NotifyReason.SILENCE))
            assert house.output.value == 0.0
            await house.channel.send(notice(2))  # in one life an older word is a late try
            assert house.output.value == 0.0

    asyncio.run(scene())


def test_it_is_set_again_after_a_bus_failure_and_by_a_module_that_lost_its_power() -> None:
    async def scene() -> None:
        async with House().running() as house:
            house.output.failure = LinkDown("the adapter is gone")
            with pytest.raises(DeliveryError, match="adapter") as caught:
                await house.channel.send(notice(1))
            assert caught.value.retryable
            assert [(state.up, state.reason) for state in house.told] == [(True, ""), (False, "the adapter is gone")]
            await house.clock.advance(60)
            assert len(house.told) == 2  # a change is told once
            house.output.failure = None
            await house.clock.advance(15)
            assert house.output.value == 1.0  # without another notice
            assert [state.up for state in house.told] == [True, False, True]
            house.output.value = 0.0  # its power came back
            await house.clock.advance(15)
            assert house.output.value == 1.0

    asyncio.run(scene())


def test_after_a_failed_refresh_nothing_is_taken_for_granted() -> None:
    async def scene() -> None:
        async with House().running() as house:
            await house.channel.send(notice(1))
            house.output.failure = LinkDown("gone")
            await house.clock.advance(15)
            house.output.failure, house.output.value = None, 0.0  # back, without its memory, before the next refresh
            await house.channel.send(notice(2))
            assert house.output.value == 1.0

    asyncio.run(scene())


def test_a_dead_output_is_known_before_it_is_needed() -> None:
    async def scene() -> None:
        output = Output()
        output.failure = DeliveryError("does not read back", retryable=True)
        async with House(output=output).running() as house:
            assert [(state.up, state.reason) for state in house.told] == [(False, "does not read back")]

    asyncio.run(scene())


def test_a_write_that_hangs_is_given_up() -> None:
    async def scene() -> None:
        async with House(timeout=5.0).running() as house:
            house.output.hangs = True
            sending = asyncio.create_task(house.channel.send(notice(1)))
            await house.clock.advance(5)
            with pytest.raises(DeliveryError, match="no answer in time") as caught:
                await sending
            assert caught.value.retryable
            assert not house.told[-1].up

    asyncio.run(scene())


def test_a_flood_of_alarms_is_one_write() -> None:
    async def scene() -> None:
        async with House().running() as house:
            before = house.output.writes
            await asyncio.gather(*(house.channel.send(notice(number)) for number in range(500)))
            assert house.output.writes == before + 1

    asyncio.run(scene())


def test_an_inverted_output() -> None:
    async def scene() -> None:
        async with House(on=0, off=1).running() as house:
            assert house.output.value == 1
            await house.channel.send(notice(1))
            assert house.output.value == 0

    asyncio.run(scene())


def test_a_word_that_says_neither_changes_nothing() -> None:
    async def scene() -> None:
        async with House().running() as house:
            await house.channel.send(notice(1))
            await house.channel.send(notice(2, NotifyReason.CONFIRMED))
            assert house.output.value == 1.0

    asyncio.run(scene())


steps = st.lists(
    st.sampled_from(["sound", "silence", "bus dies", "bus lives", "power lost", "restart", "wait"]), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_whatever_happens_the_output_ends_as_last_told(told: list[str]) -> None:
    async def scene() -> None:
        kept: dict[str, str] = {}
        output = Output()
        wanted, number = 0.0, 0
        house = House(kept, output)
        running = asyncio.create_task(house.channel.run(house.tell))
        for step in told:
            if step in ("sound", "silence"):
                number += 1
                reason = NotifyReason.SOUND if step == "sound" else NotifyReason.SILENCE
                wanted = 1.0 if step == "sound" else 0.0
                await asyncio.gather(house.channel.send(notice(number, reason)), return_exceptions=True)
            elif step == "restart":
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                house = House(kept, output)
                running = asyncio.create_task(house.channel.run(house.tell))
            elif step == "power lost":
                output.value = 0.0
            elif step == "wait":
                await house.clock.advance(7)
            else:
                output.failure = LinkDown("gone") if step == "bus dies" else None
        output.failure = None
        await house.clock.advance(20)
        assert output.value == wanted
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


@pytest.mark.parametrize("options", [{"on": 1, "off": 1}, {"refresh": 0.0}, {"pont": "do2"}, {"device": 3}])
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="siren"):
        House(**options)  # type: ignore[arg-type] # wrong on purpose


def test_the_order_of_notices_survives_a_supersession() -> None:
    async def scene() -> None:
        async with House().running() as house:
            house.output.failure = LinkDown("gone")
            first = notice(1)
            for late in (first, notice(2, NotifyReason.SILENCE)):
                await asyncio.gather(house.channel.send(late), return_exceptions=True)
            house.output.failure = None
            await house.channel.send(msgspec.structs.replace(first, attempts=2))  # tried again, out of date
            assert house.output.value == 0.0

    asyncio.run(scene())
