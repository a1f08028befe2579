"""The console: a line per notice, whatever the text, and a reader that goes or sleeps harms nobody."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path

import msgspec
import pytest

from gateway.channels.console import PATIENCE, Console, create
from gateway.clock import Clock, SystemClock
from gateway.errors import ConfigError, DeliveryError
from gateway.model.contact import ChannelSpec
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.ports import ChannelSetup
from gateway.testing import FakeClock
from tests.channel_rigs import Notes, no_output

NOTICE = Notification(
    id=3,
    alarm=1,
    alarm_class=AlarmClass.FIRE,
    contact="",
    channel="screen",
    address="",
    reason=NotifyReason.RAISED,
    text="火警 1号楼",
)
LINE = "[fire] raised: 火警 1号楼\n"


def setup(clock: Clock | None = None, **options: object) -> ChannelSetup:
    spec = ChannelSpec(id="screen", kind="console", options=dict(options))
    notes = Notes()
    return ChannelSetup(spec=spec, clock=clock or SystemClock(), memory=notes, report=notes, write=no_output)


def piped(clock: Clock | None = None) -> tuple[Console, int, int]:
    """Return a console that writes to a pipe, and the pipe's ends."""
    reader, writer = os.pipe()

    def write(line: bytes) -> None:
        while line:
            line = line[os.write(writer, line) :]

    return Console(setup(clock), write), reader, writer


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_line_is_written_to_the_stream(stream: str, capfd: pytest.CaptureFixture[str]) -> None:
    receipt = asyncio.run(create(setup(stream=stream)).send(NOTICE))
    assert (receipt.notice, receipt.state) == (3, DeliveryState.SENT)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ((LINE, "") if stream == "stdout" else ("", LINE))


def test_a_file_grows_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "notices.log"
    channel = create(setup(file=str(path)))

    async def scene() -> None:
        await asyncio.gather(*(channel.send(NOTICE) for _ in range(20)))

    asyncio.run(scene())
    assert path.read_text(encoding="utf-8") == LINE * 20
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_people_write_stays_text(capfd: pytest.CaptureFixture[str]) -> None:
    wicked = msgspec.structs.replace(NOTICE, text="a\x1b[2Jb\nc\r\x07\x9b\u202ed\ud800")
    asyncio.run(create(setup()).send(wicked))
    out = capfd.readouterr().out
    assert out.count("\n") == 1
    assert out.rstrip("\n").isprintable()
    assert "a [2Jb c" in out


def test_a_reader_that_has_gone_fails_the_notice_and_is_told() -> None:
    async def scene() -> None:
        channel, reader, writer = piped()
        told: list[Input] = []
        running = asyncio.create_task(channel.run(told.append))
        os.close(reader)
        with pytest.raises(DeliveryError) as caught:
            await channel.send(NOTICE)
        assert not caught.value.retryable
        await asyncio.sleep(0)
        os.close(writer)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [each.up for each in told if isinstance(each, ChannelState)] == [True, False]

    asyncio.run(scene())


def test_a_reader_that_sleeps_holds_one_thread_and_no_notice_for_long() -> None:
    async def scene() -> None:
        clock = FakeClock()
        channel, reader, writer = piped(clock)
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, b"x" * 4096):
                pass
        os.set_blocking(writer, True)
        told: list[Input] = []
        running = asyncio.create_task(channel.run(told.append))
        sending = [asyncio.create_task(channel.send(NOTICE)) for _ in range(3)]
        await clock.advance(PATIENCE)
        for outcome in await asyncio.gather(*sending, return_exceptions=True):
            assert isinstance(outcome, DeliveryError)
            assert outcome.retryable
        assert sum(thread.name == "console" for thread in threading.enumerate()) == 1
        await clock.advance(0)
        os.set_blocking(reader, False)  # it wakes up and reads
        awake = asyncio.create_task(channel.send(NOTICE))
        read = b""
        while not awake.done():
            await asyncio.sleep(0.001)
            try:
                read += os.read(reader, 65536)
            except BlockingIOError:
                continue
        assert (await awake).state is DeliveryState.SENT
        await clock.advance(0)
        assert [each.up for each in told if isinstance(each, ChannelState)] == [True, False, True]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        os.close(reader)
        os.close(writer)
        assert LINE.encode("utf-8") in read

    asyncio.run(scene())


def test_a_full_disk_may_be_tried_again() -> None:
    channel = create(setup(file="/dev/full"))
    with pytest.raises(DeliveryError, match="No space left") as caught:
        asyncio.run(channel.send(NOTICE))
    assert caught.value.retryable


def test_a_stream_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="screen"):
        create(setup(stream="printer"))
