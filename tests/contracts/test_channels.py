"""What every channel keeps, found by file name: rigs in `tests/channel_rigs.py`, the port in `gateway.model.ports`."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import registry
from gateway.clock import Clock, SystemClock
from gateway.errors import ConfigError, DeliveryError
from gateway.model.contact import ChannelKind, ChannelSpec
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.ports import Channel, ChannelSetup
from gateway.registry import Group
from tests.channel_rigs import DEAD, WORKING, Notes, Rig, RigMaker, no_output
from tests.contracts import importing
from tests.open_files import opened
from tests.patience import PATIENCE, until

KINDS = registry.names(Group.CHANNEL)


def make(kind: str, rig: Rig, clock: Clock, notes: Notes | None = None) -> Channel:
    notes = notes or Notes()
    spec = ChannelSpec(id="it", kind=kind, options=rig.options)
    setup = ChannelSetup(spec=spec, clock=clock, memory=notes, report=notes, write=rig.write, station="s")
    channel: Channel = registry.channel(kind).create(setup)
    return channel


def notice(number: int = 1) -> Notification:
    return Notification(
        id=number,
        alarm=1,
        alarm_class=AlarmClass.FIRE,
        contact="li",
        channel="it",
        address="13800138000",
        reason=NotifyReason.RAISED,
        text="火警",
    )


def test_every_channel_has_a_rig() -> None:
    assert set(KINDS) == set(WORKING) == set(DEAD)


def test_import_opens_and_starts_nothing() -> None:
    importing.check("channel", list(KINDS))


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_a_struct_that_refuses_unknown_keys(kind: str, tmp_path: Path) -> None:
    schema = registry.options("channel", kind)
    assert schema is not None

    async def sample() -> dict[str, Any]:
        async with WORKING[kind](tmp_path) as rig:
            return rig.options

    options = asyncio.run(sample())
    msgspec.convert(options, schema)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**options, "no_such_key": 1}, schema)
    assert schema.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_options_are_a_configuration_error(kind: str) -> None:
    with pytest.raises(ConfigError):
        make(kind, Rig(options={"no_such_key": 1}, write=no_output), SystemClock())


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_whether_it_needs_a_person(kind: str) -> None:
    assert registry.addressed(kind) is (ChannelKind.PERSON if kind.startswith("sms") else ChannelKind.PLACE)


@pytest.mark.parametrize("kind", KINDS)
def test_making_it_opens_nothing(kind: str, tmp_path: Path) -> None:
    async def scene() -> None:
        for rigs in (WORKING, DEAD):
            async with rigs[kind](tmp_path) as rig:
                before, threads = opened(), set(threading.enumerate())
                make(kind, rig, SystemClock())
                assert opened(before) <= before
                assert set(threading.enumerate()) <= threads

    asyncio.run(scene())


@pytest.mark.parametrize("kind", KINDS)
def test_a_notice_is_handed_over_and_its_receipt_is_its_own(kind: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with WORKING[kind](tmp_path) as rig:
            clock = SystemClock()
            channel = make(kind, rig, clock)
            told: list[Input] = []
            running = asyncio.create_task(channel.run(told.append))
            await until(lambda: any(isinstance(each, ChannelState) and each.up for each in told))
            assert all(each.channel == "it" for each in told if isinstance(each, ChannelState))
            before = clock.mono()
            receipt = await channel.send(notice(7))
            assert receipt.notice == 7
            assert receipt.state in (DeliveryState.SENT, DeliveryState.DELIVERED)
            assert before <= receipt.at <= clock.mono()
            channel.accepted("of no reply that there is")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rigs", [WORKING, DEAD], ids=["working", "dead"])
def test_it_is_alive_when_it_says_that_it_is_up(kind: str, rigs: dict[str, RigMaker], tmp_path: Path) -> None:
    """`doctor` and the supervisor go by `alive`: a channel that is up must not look as if it had never come up."""

    async def scene() -> None:
        async with rigs[kind](tmp_path) as rig:
            notes, told = Notes(), list[Input]()
            running = asyncio.create_task(make(kind, rig, SystemClock(), notes).run(told.append))
            await until(lambda: running.done() or any(isinstance(each, ChannelState) for each in told))
            if rigs is WORKING:
                await until(lambda: any(isinstance(each, ChannelState) and each.up for each in told))
            up = any(isinstance(each, ChannelState) and each.up for each in told)
            assert bool(notes.counts["alive"]) is up
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_far_end_is_a_delivery_error_with_a_reason(kind: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with DEAD[kind](tmp_path) as rig:
            clock = SystemClock()
            channel = make(kind, rig, clock)
            running = asyncio.create_task(channel.run(lambda _: None))
            with pytest.raises(DeliveryError) as caught:
                async with clock.timeout(PATIENCE):
                    await channel.send(notice())
            assert caught.value.reason
            assert caught.value.retryable
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_it_leaves_nothing_open(kind: str, tmp_path: Path) -> None:
    async def scene() -> None:
        async with WORKING[kind](tmp_path) as rig:
            before, tasks = opened(), len(asyncio.all_tasks())
            for moment in (0, 1, 5, 30):
                channel = make(kind, rig, SystemClock())
                told: list[Input] = []
                running = asyncio.create_task(channel.run(told.append))
                sending = asyncio.create_task(channel.send(notice()))
                for _ in range(moment):
                    await asyncio.sleep(0.001)
                for task in (sending, running):
                    task.cancel()
                await asyncio.gather(running, sending, return_exceptions=True)
                # a far end of the rig closes its own side a moment later
                await until(lambda: opened(before) <= before and len(asyncio.all_tasks()) <= tasks)

    asyncio.run(scene())
