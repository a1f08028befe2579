"""The serial port on pseudo-terminals: bytes through, and every way to lose the link is LinkDown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import LinkDown
from gateway.transport.serial import UNSENT_LIMIT, PtyPair, SerialPort, open_pty


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[PtyPair]:
    """Give a pair under a stable name."""
    made = open_pty(tmp_path / "bus")
    yield made
    made.close()


def test_bytes_pass_unchanged_in_both_directions(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        every = bytes(range(256))
        port.write(every)
        assert await _read(pair.port, 256) == every
        pair.port.write(every)
        assert await _read(port, 256) == every
        assert port.read_waiting() == b""
        port.close()

    asyncio.run(main())


def test_more_than_the_line_takes_is_queued_and_arrives_in_order(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        sent = os.urandom(UNSENT_LIMIT)
        port.write(sent)
        port.write(b"tail")
        assert await _read(pair.port, UNSENT_LIMIT + 4) == sent + b"tail"
        port.close()

    asyncio.run(main())


def test_a_port_that_takes_no_bytes_is_no_link(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        port.write(bytes(UNSENT_LIMIT))
        with pytest.raises(LinkDown, match="takes no bytes"):
            port.write(bytes(UNSENT_LIMIT))
        port.close()

    asyncio.run(main())


def test_a_cancelled_read_loses_no_byte(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        pair.port.write(b"kept")
        assert await _read(port, 4) == b"kept"
        port.close()

    asyncio.run(main())


def test_pulling_the_adapter_ends_a_waiting_read_and_every_later_call(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        pair.unplug()
        with pytest.raises(LinkDown):
            await reading
        with pytest.raises(LinkDown):
            port.write(b"x")
        with pytest.raises(LinkDown):
            await port.read()
        with pytest.raises(LinkDown):
            await pair.port.read()
        port.close()
        port.close()
        with pytest.raises(LinkDown):
            SerialPort.open(pair.path)

    asyncio.run(main())


def test_plugged_back_it_answers_under_the_same_path(pair: PtyPair) -> None:
    async def main() -> None:
        for _ in range(3):
            pair.unplug()
            pair.plug()
            port = SerialPort.open(pair.path)
            port.write(b"ping")
            assert await _read(pair.port, 4) == b"ping"
            port.close()

    asyncio.run(main())


def test_closing_our_side_wakes_the_reader(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        port.close()
        with pytest.raises(LinkDown, match="closed"):
            await reading

    asyncio.run(main())


def test_a_second_reader_is_a_bug_and_said_so(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="two readers"):
            await port.read()
        pair.port.write(b"x")
        assert await reading == b"x"
        port.close()

    asyncio.run(main())


def test_a_port_held_by_another_is_refused(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        with pytest.raises(LinkDown):
            SerialPort.open(pair.path)
        port.close()
        SerialPort.open(pair.path).close()

    asyncio.run(main())


def test_what_is_no_port_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "absent", tmp_path / "file", tmp_path):
        with pytest.raises(LinkDown, match=path.name):
            SerialPort.open(path)


def test_settings_no_port_can_have_are_refused(pair: PtyPair) -> None:
    with pytest.raises(LinkDown):
        SerialPort.open(pair.path, bytesize=9)


def test_a_pair_without_a_link_has_its_own_path() -> None:
    made = open_pty()
    assert made.path.exists()
    made.close()
    made.close()


async def _read(port: SerialPort, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += await port.read()
    return got
