"""A ninth bit by switching the parity: what the port is told, in order, and what ends the line.

A pseudo-terminal carries no parity, so its order is watched at the port's own calls.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import LinkDown
from gateway.transport.serial import PtyPair, SerialPort, open_pty
from gateway.transport.serial_ninth import NinthBitPeer

CMSPAR = 0o10000000000
PARITIES = {termios.PARENB | CMSPAR | termios.PARODD: "mark", termios.PARENB | CMSPAR: "space"}
CONTROL = 2  # place of the flags in what tcgetattr returns


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[PtyPair]:
    """Give a line."""
    made = open_pty(tmp_path / "line")
    yield made
    made.close()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give what is called, in order."""
    said: list[str] = []
    write, drain, setting = os.write, termios.tcdrain, termios.tcsetattr

    def wrote(descriptor: int, data: bytes) -> int:
        said.append(f"write {bytes(data).hex()}")
        return write(descriptor, data)

    def drained(descriptor: int) -> None:
        said.append("drain")
        drain(descriptor)

    def was_set(descriptor: int, when: int, settings: list[Any]) -> None:
        assert when == termios.TCSANOW
        said.append(PARITIES.get(settings[CONTROL] & (termios.PARENB | termios.PARODD | CMSPAR), "none"))
        setting(descriptor, when, settings)

    monkeypatch.setattr(os, "write", wrote)
    monkeypatch.setattr(termios, "tcdrain", drained)
    monkeypatch.setattr(termios, "tcsetattr", was_set)
    return said


def test_the_parity_is_switched_when_all_before_has_left(pair: PtyPair, calls: list[str]) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path, baudrate=2400, parity="S")
        calls.clear()
        peer = NinthBitPeer(port)
        assert peer.write(bytes.fromhex("0100"))
        assert calls == ["drain", "mark", "write 00"]
        calls.clear()
        assert peer.write(bytes.fromhex("000f 001f"))
        assert calls == ["drain", "space", "write 0f", "write 1f"]
        calls.clear()
        assert peer.write(bytes.fromhex("0100 000f"))
        assert calls == ["drain", "mark", "write 00", "drain", "space", "write 0f"]
        assert pair.port.read_waiting() == bytes.fromhex("000f1f000f")
        peer.close()

    asyncio.run(main())


def test_every_other_setting_stays_and_an_empty_line_is_not_a_lost_one(pair: PtyPair) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path, baudrate=2400, parity="S")
        port.set_mark(on=True)
        assert port.read_waiting() == b""  # not taken for hung up
        pair.port.write(bytes(range(256)))
        assert port.read_waiting() == bytes(range(256))
        port.close()

    asyncio.run(main())


def test_a_port_that_does_not_send_is_no_link(pair: PtyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path)
        peer = NinthBitPeer(port)
        assert peer.write(bytes.fromhex("0100"))
        monkeypatch.setattr(fcntl, "ioctl", lambda *_: b"\x01\x00\x00\x00")  # as TIOCOUTQ counts
        assert not peer.write(bytes.fromhex("000f"))
        monkeypatch.undo()
        with pytest.raises(LinkDown):
            port.read_waiting()

    asyncio.run(main())


def test_a_port_without_mark_and_space_parity_is_no_link(pair: PtyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        port = SerialPort.open(pair.path, parity="S")
        setting = termios.tcsetattr

        def as_some_drivers(descriptor: int, when: int, settings: list[Any]) -> None:
            settings[CONTROL] &= ~CMSPAR
            setting(descriptor, when, settings)

        monkeypatch.setattr(termios, "tcsetattr", as_some_drivers)
        with pytest.raises(LinkDown, match="cannot send mark and space parity"):
            port.set_mark(on=True)
        assert not NinthBitPeer(port).write(bytes.fromhex("0100"))
        assert pair.port.read_waiting() == b""
        port.close()

    asyncio.run(main())


def test_a_port_that_is_gone_is_no_link(pair: PtyPair) -> None:
    async def main() -> None:
        peer = NinthBitPeer(SerialPort.open(pair.path))
        pair.unplug()
        assert not peer.write(bytes.fromhex("0100"))
        assert not peer.write(bytes.fromhex("0100"))

    asyncio.run(main())
