"""The MQTT session against a server of our own that misbehaves: deadlines, broken bytes, refusals, secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import mqtt5
import pytest

from gateway.clock import SystemClock
from gateway.errors import ConfigError, LinkDown
from gateway.testing import FakeClock
from gateway.transport.mqtt import Message, MqttSession, Refused, connect
from gateway.transport.mqtt_options import DEFAULT_RECEIVE_BYTES, MqttOptions, Tls, read_password
from tests.patience import PATIENCE, until

CONNACK = mqtt5.ConnAckPacket(session_present=True).write()
PONG = mqtt5.PingRespPacket().write()
ONE = mqtt5.QoS.AT_LEAST_ONCE

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A scripted server; `got` collects what the session sent."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.got = bytearray()
        self.port = 0
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                await self._script(reader, writer)
                while data := await reader.read(65_536):
                    self.got += data
        finally:
            writer.transport.abort()


def says(*answers: bytes) -> Script:
    """Wait for CONNECT, then send these bytes and listen."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(b"".join(answers))
        await writer.drain()

    return script


def nothing(_session: MqttSession, _messages: list[Message]) -> None:
    return


async def link_down(session: MqttSession) -> LinkDown:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LinkDown) as caught:
            await session.run()
    return caught.value


def test_messages_of_one_read_come_in_one_call_and_are_acknowledged_only_when_told() -> None:
    calls: list[list[Message]] = []
    publishes = [mqtt5.PublishPacket(f"t/{i}", b"%d" % i, qos=ONE, packet_id=i).write() for i in (1, 2, 3)]

    async def main() -> None:
        peer = Peer(says(CONNACK, *publishes))
        async with peer.serving():
            options = MqttOptions("127.0.0.1", "c", port=peer.port)
            session = await connect(options, SystemClock(), lambda _s, messages: calls.append(messages))
            await until(lambda: sum(map(len, calls)) == 3)
            assert session.session_present
            assert session.unacknowledged == 3
            session.ack([2, 3])
            await asyncio.sleep(0.05)
            assert peer.got == b""
            session.ack([1])
            ping = mqtt5.PingReqPacket().write()
            await until(lambda: len(peer.got) == 12 + len(ping))
            assert peer.got == b"".join(mqtt5.PubAckPacket(i).write() for i in (1, 2, 3)) + ping
            assert 1 in session.unsettled, "what was written may still die with the socket"
            session.data_received(mqtt5.PingRespPacket().write())
            assert not session.unsettled
            await session.close()

    asyncio.run(main())
    assert calls[0][0] == ("t/1", b"1", False, False, 1)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4], "no MQTT"),
        ([mqtt5.PingReqPacket().write()], "not its to send"),
        ([mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD).write()], "BAD_USER_NAME"),
        ([mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED).write()], "NOT_AUTHORIZED"),
        ([CONNACK[:1]], "did not answer CONNECT"),
    ],
)
def test_a_connection_that_cannot_be_is_link_down(answers: list[bytes], why: str) -> None:
    async def main() -> None:
        peer = Peer(says(*answers))
        async with peer.serving():
            patience = 0.5 if "did not" in why else 10.0
            options = MqttOptions("127.0.0.1", "c", port=peer.port, answer_within=patience)
            with pytest.raises(LinkDown, match=why):
                await connect(options, SystemClock(), nothing)

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the codec panics on bad UTF-8
@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\x00",
        b"\x30\x05\x00\x02\xff\xfe\x00",
        b"\x30\xff\xff\xff\xff\x01",
        b"\x36\x05\x00\x01a\x00\x01",
        b"\xf0\x80",
    ],
)
def test_rubbish_later_on_hands_over_what_came_before_and_ends_the_link(rubbish: bytes) -> None:
    good = mqtt5.PublishPacket("t", b"1").write()
    seen: list[Message] = []

    async def main() -> None:
        peer = Peer(says(CONNACK, good, rubbish, b"\xff" * 200))
        async with peer.serving():
            options = MqttOptions("127.0.0.1", "c", port=peer.port)
            session = await connect(options, SystemClock(), lambda _s, messages: seen.extend(messages))
            assert "no MQTT" in str(await link_down(session))
            with pytest.raises(LinkDown):
                await session.publish("t", b"")
            session.ack([1])

    asyncio.run(main())
    assert [m[0] for m in seen] == ["t"]


def test_a_session_taken_over_says_so() -> None:
    ended = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER).write()

    async def main() -> None:
        peer = Peer(says(CONNACK, ended))
        async with peer.serving():
            session = await connect(MqttOptions("127.0.0.1", "c", port=peer.port), SystemClock(), nothing)
            error = await link_down(session)
        assert isinstance(error, Refused)
        assert error.reason == 142

    asyncio.run(main())


def test_a_link_that_falls_silent_is_noticed_within_one_keepalive_and_a_half() -> None:
    clock = FakeClock()

    async def main() -> float:
        peer = Peer(says(CONNACK))
        async with peer.serving():
            session = await connect(MqttOptions("127.0.0.1", "c", port=peer.port, keepalive=20), clock, nothing)
            began = clock.mono()
            watch = asyncio.create_task(session.run())
            while not watch.done():
                await clock.advance(0.5)
            assert isinstance(watch.exception(), LinkDown)
        return (clock.mono() - began) / 1e9

    assert asyncio.run(main()) <= 30


def test_answered_pings_keep_the_link_and_unanswered_ones_end_it_though_data_comes() -> None:
    clock = FakeClock()
    answering = True

    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65_536)
            writer.write(CONNACK)
            while await reader.read(65_536):
                writer.write(PONG if answering else mqtt5.PublishPacket("t", b"").write())

        nonlocal answering
        peer = Peer(script)
        async with peer.serving():
            session = await connect(MqttOptions("127.0.0.1", "c", port=peer.port, keepalive=20), clock, nothing)
            watch = asyncio.create_task(session.run())
            for _ in range(20):
                await clock.advance(10)
                await asyncio.sleep(0.01)  # the peer is real
            assert not watch.done()
            answering = False
            for _ in range(8):
                await clock.advance(10)
                await asyncio.sleep(0.01)
            with pytest.raises(LinkDown, match="does not answer pings"):
                await watch

    asyncio.run(main())


def test_a_publish_without_answer_ends_the_link() -> None:
    async def main() -> None:
        peer = Peer(says(CONNACK))
        async with peer.serving():
            options = MqttOptions("127.0.0.1", "c", port=peer.port, answer_within=0.3)
            session = await connect(options, SystemClock(), nothing)
            with pytest.raises(LinkDown, match="did not answer"):
                await session.publish("t", b"")
            assert "did not answer" in str(await link_down(session))

    asyncio.run(main())


def test_a_cancelled_connect_leaves_no_ghost_that_takes_over_the_next_session() -> None:
    async def mute(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    async def main() -> None:
        session = MqttSession(MqttOptions("127.0.0.1", "c"), SystemClock(), nothing)
        session.abort()
        peer = Peer(mute)
        async with peer.serving():
            await asyncio.get_running_loop().create_connection(lambda: session, "127.0.0.1", peer.port)
            await asyncio.sleep(0.05)
        assert peer.got == b""

    asyncio.run(main())


def test_nobody_listening_is_link_down() -> None:
    async def main() -> None:
        with pytest.raises(LinkDown, match=r"broker 127\.0\.0\.1:1"):
            await connect(MqttOptions("127.0.0.1", "c", port=1), SystemClock(), nothing)

    asyncio.run(main())


def test_a_password_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("打开\nsecond line\n", encoding="utf-8")
    secret.chmod(0o600)
    assert read_password(secret) == "打开".encode()
    for mode in (0o640, 0o604, 0o620):
        secret.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600"):
            read_password(secret)
    secret.chmod(0o600)
    secret.write_text("")
    with pytest.raises(ConfigError, match="empty"):
        read_password(secret)
    with pytest.raises(ConfigError, match="No such file"):
        read_password(tmp_path / "none")


def test_tls_files_that_are_wrong_are_a_configuration_error(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        Tls(cafile=wrong).context()
    with pytest.raises(ConfigError, match="No such file"):
        Tls(certfile=tmp_path / "none").context()


def test_large_messages_are_held_back_by_their_bytes_and_come_on_as_they_are_acknowledged() -> None:
    """Forty times 1 MB: fewer messages than any receive maximum, more memory than a small box can spare."""
    number, size = 40, 1_000_000
    waiting: list[int] = []
    came: list[int] = []
    most = 0

    def take(session: MqttSession, messages: list[Message]) -> None:
        nonlocal most
        waiting.extend(packet_id for *_, packet_id in messages)
        came.extend(len(payload or b"") for _, payload, *_ in messages)
        most = max(most, len(waiting))
        if len(waiting) >= DEFAULT_RECEIVE_BYTES // size // 2 + 1:
            assert session.pressed, "else no commit would come in time"

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await says(CONNACK)(reader, writer)
        for packet_id in range(1, number + 1):
            writer.write(mqtt5.PublishPacket("t", bytes(size), qos=ONE, packet_id=packet_id).write())
            await writer.drain()

    async def main() -> None:
        peer = Peer(flood)
        async with peer.serving():
            session = await connect(MqttOptions("127.0.0.1", "c", port=peer.port), SystemClock(), take)
            await until(lambda: session.pressed)
            await asyncio.sleep(0.3)  # as much as comes
            assert len(came) < number, "held back"
            while len(came) < number:
                safe, waiting[:] = list(waiting), []  # a commit
                before = len(came)
                session.ack(safe)
                await until(lambda before=before: len(came) > before)  # type: ignore[misc]
            session.abort()
        assert most * size <= DEFAULT_RECEIVE_BYTES + size
        assert came == [size] * number

    asyncio.run(main())
