"""Every wire on real descriptors: options that fit, bytes both ways, loss, and callers that behave badly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.transport import wires_tcp
from gateway.transport.serial import open_pty
from gateway.transport.wires import Peer, WireOptions, admits, attend, networks
from gateway.transport.wires_peer import UNSENT_LIMIT
from tests.patience import PATIENCE, until
from tests.ports import free_port


class Listener:
    """Notes everything that a wire tells (port `Ears`)."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.peers: list[Peer] = []
        self.bytes: dict[Peer, bytes] = {}
        self.gone: list[tuple[Peer, str]] = []

    def opened(self, name: str) -> None:
        """Note the name."""
        self.open.append(name)

    def met(self, peer: Peer) -> None:
        """Note the peer."""
        self.peers.append(peer)

    def heard(self, peer: Peer, data: bytes) -> None:
        """Note the bytes."""
        self.bytes[peer] = self.bytes.get(peer, b"") + data

    def lost(self, peer: Peer, why: str) -> None:
        """Note the loss."""
        self.gone.append((peer, why))


@contextlib.asynccontextmanager
async def on(ears: Listener, **options: Any) -> AsyncIterator[asyncio.Task[None]]:  # noqa: ANN401 - TOML values
    made = msgspec.convert(options, WireOptions)
    running = asyncio.ensure_future(attend(made, ears, SystemClock()))
    try:
        await until(lambda: ears.open or running.done())
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wire": "serial", "port": 4001}, "device file"),
        ({"wire": "serial", "port": ""}, "device file"),
        ({"wire": "tcp_server", "port": "/dev/ttyUSB0"}, "needs a number"),
        ({"wire": "udp", "port": 0}, "needs a number"),
        ({"wire": "udp", "port": 65536}, "needs a number"),
        ({"wire": "tcp_client", "port": 4001}, "host is missing"),
        ({"wire": "udp", "port": 4001, "allow": ["10.0.0/8"]}, "networks"),
        ({"wire": "udp", "port": 4001, "allow": ["10.0.0.1/8"]}, "networks"),
        ({"wire": "udp", "port": 4001, "peers": 0}, "peers"),
        ({"wire": "pigeon", "port": 4001}, "pigeon"),
        ({"wire": "udp", "port": 4001, "hots": "x"}, "hots"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_the_fix(options: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(options, WireOptions)


def test_nothing_is_open_beyond_the_box_unless_configured() -> None:
    assert msgspec.convert({"wire": "tcp_server", "port": 1}, WireOptions).listen == "127.0.0.1"


@pytest.mark.parametrize(
    ("allow", "address", "admitted"),
    [
        ((), "203.0.113.9", True),
        (("10.0.0.0/8",), "10.255.1.2", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8", "192.168.1.7"), "192.168.1.7", True),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("fe80::/10",), "10.0.0.1", False),
        (("10.0.0.0/8",), "", True),  # a serial line has no address
    ],
)
def test_networks_that_may_call(allow: tuple[str, ...], address: str, admitted: bool) -> None:  # noqa: FBT001 - a case
    assert admits(networks(allow), address) is admitted


def test_serial_both_ways_and_lost(tmp_path: Path) -> None:
    async def main() -> None:
        pair, ears = open_pty(tmp_path / "line"), Listener()
        async with on(ears, wire="serial", port=str(tmp_path / "line")) as running:
            (peer,) = ears.peers
            assert (peer.name, peer.address) == (str(tmp_path / "line"), "")
            pair.port.write(b"up")
            await until(lambda: ears.bytes.get(peer) == b"up")
            assert peer.write(b"down")
            assert await pair.port.read() == b"down"
            pair.unplug()
            with pytest.raises(LinkDown):
                await asyncio.wait_for(running, PATIENCE)
            assert not peer.write(b"x")
        pair.close()

    asyncio.run(main())


def test_a_serial_line_that_takes_nothing_is_lost(tmp_path: Path) -> None:
    async def main() -> None:
        pair, ears = open_pty(tmp_path / "line"), Listener()
        async with on(ears, wire="serial", port=str(tmp_path / "line")) as running:
            (peer,) = ears.peers
            assert not all(peer.write(bytes(4096)) for _ in range(100))
            with pytest.raises(LinkDown):
                await asyncio.wait_for(running, PATIENCE)
        pair.close()

    asyncio.run(main())


def test_a_tcp_client_both_ways_and_lost() -> None:
    async def main() -> None:
        came: list[asyncio.StreamWriter] = []

        async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.append(writer)
            writer.write(await reader.readexactly(4) + b"!")

        server = await asyncio.start_server(far, "127.0.0.1", 0)
        port, ears = server.sockets[0].getsockname()[1], Listener()
        async with on(ears, wire="tcp_client", host="127.0.0.1", port=port) as running:
            (peer,) = ears.peers
            assert peer.write(b"down")
            await until(lambda: ears.bytes.get(peer) == b"down!")
            came[0].transport.abort()
            with pytest.raises(LinkDown, match=f"127.0.0.1:{port}"):
                await asyncio.wait_for(running, PATIENCE)
        server.close()
        with pytest.raises(LinkDown):
            await attend(
                msgspec.convert({"wire": "tcp_client", "host": "127.0.0.1", "port": port}, WireOptions),
                ears,
                SystemClock(),
            )

    asyncio.run(main())


def test_a_tcp_server_both_ways_with_many() -> None:
    async def main() -> None:
        port, ears = free_port(), Listener()
        async with on(ears, wire="tcp_server", port=port):
            callers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
            for number, (_, writer) in enumerate(callers):
                writer.write(b"%d" % number)
            await until(lambda: len(ears.bytes) == 20)
            assert sorted(int(data) for data in ears.bytes.values()) == list(range(20))
            for peer, data in ears.bytes.items():
                assert peer.address == "127.0.0.1"
                assert peer.write(b"<%s>" % data)
            assert [await reader.readuntil(b">") for reader, _ in callers] == [b"<%d>" % n for n in range(20)]
            callers[7][1].close()
            await until(lambda: ears.gone)
            assert ears.bytes[ears.gone[0][0]] == b"7"
            next(peer for peer, data in ears.bytes.items() if data == b"3").close()
            assert await callers[3][0].read() == b""
            assert len(ears.gone) == 1  # whom we hung up on is not told
            with pytest.raises(LinkDown, match="cannot listen"):
                await attend(
                    msgspec.convert({"wire": "tcp_server", "port": port}, WireOptions), Listener(), SystemClock()
                )
        ends = [reader.read() for reader, _ in callers]
        assert set(await asyncio.wait_for(asyncio.gather(*ends), PATIENCE)) == {b""}  # leaving closes everything
        for _, writer in callers:
            writer.close()

    asyncio.run(main())


def test_a_caller_that_has_said_its_last_word_still_gets_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires_tcp, "ANSWERED_WITHIN", PATIENCE)

    async def main() -> None:
        port, ears = free_port(), Listener()
        async with on(ears, wire="tcp_server", port=port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"question")
            writer.write_eof()
            await until(lambda: ears.bytes)
            (peer,) = ears.peers
            await until(lambda: peer.done)
            assert not ears.gone
            assert peer.write(b"one")
            assert peer.write(b"two")
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b"onetwo"
            writer.close()
            await until(lambda: ears.gone)
            monkeypatch.setattr(wires_tcp, "ANSWERED_WITHIN", 0.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"never answered")
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write_eof()  # has said nothing: there is no answer to wait for
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
            writer.close()
            await until(lambda: len(ears.gone) == 3)

    asyncio.run(main())


@pytest.mark.parametrize("parity", ["M", "S"])
def test_a_constant_ninth_bit_is_a_setting_of_a_serial_line(parity: str, tmp_path: Path) -> None:
    async def main() -> None:
        pair, ears = open_pty(tmp_path / "line"), Listener()
        async with on(ears, wire="serial", port=str(tmp_path / "line"), parity=parity):
            pair.port.write(b"up")
            await until(lambda: list(ears.bytes.values()) == [b"up"])
        pair.close()

    asyncio.run(main())


def test_a_caller_that_never_reads_is_hung_up_on() -> None:
    async def main() -> None:
        port, ears = free_port(), Listener()
        async with on(ears, wire="tcp_server", port=port):
            with socket.socket() as caller:
                caller.connect(("127.0.0.1", port))
                await until(lambda: ears.peers)
                sent = 0
                while ears.peers[0].write(bytes(4096)):
                    sent += 4096
                assert sent >= UNSENT_LIMIT
                await until(lambda: ears.gone)

    asyncio.run(main())


def test_a_caller_held_back_loses_nothing() -> None:
    async def main() -> None:
        port, ears = free_port(), Listener()
        async with on(ears, wire="tcp_server", port=port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await until(lambda: ears.peers)
            peer = ears.peers[0]
            peer.hold(on=True)
            peer.hold(on=True)
            writer.write(b"x" * 100_000)
            await asyncio.sleep(0.05)
            assert not ears.bytes
            peer.hold(on=False)
            peer.hold(on=False)
            await until(lambda: len(ears.bytes.get(peer, b"")) == 100_000)
            writer.close()
            del reader

    asyncio.run(main())


def test_udp_is_a_peer_an_address() -> None:
    async def main() -> None:
        port, ears = free_port(socket.SOCK_DGRAM), Listener()
        async with on(ears, wire="udp", port=port):
            with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
                for sender in (one, two):
                    sender.connect(("127.0.0.1", port))
                    sender.settimeout(PATIENCE)
                one.send(b"a")
                one.send(b"b")
                two.send(b"c")
                await until(lambda: sorted(ears.bytes.values()) == [b"ab", b"c"])
                peer = next(peer for peer, data in ears.bytes.items() if data == b"c")
                assert peer.name == f"127.0.0.1:{two.getsockname()[1]}"
                assert peer.write(b"ok")
                assert two.recv(10) == b"ok"
                peer.close()
                peer.close()
                assert not peer.write(b"x")
                two.send(b"again")  # met anew
                await until(lambda: len(ears.peers) == 3)
                with pytest.raises(LinkDown, match="cannot listen"):
                    await attend(msgspec.convert({"wire": "udp", "port": port}, WireOptions), Listener(), SystemClock())

    asyncio.run(main())
