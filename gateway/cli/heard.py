"""The shell of `firegrid listen` and of the listening half of `discover`: wires and brokers → recorder and printer.

Joins `gateway.transport` (port `Ears`, one call per piece) with the pure readers of `drivers._decode_live`. It answers
nobody. Keeps house section 5: ports and sockets are opened by `gateway.transport` alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from drivers._decode_live import Ears
from drivers._decode_said import Said
from gateway.cli.recording import Piece, Recorder, piece
from gateway.clock import SECOND, Clock
from gateway.errors import ConfigError, LinkDown
from gateway.model.point import Profile
from gateway.transport.mqtt import Message, MqttSession, connect
from gateway.transport.mqtt_options import MqttOptions, read_password
from gateway.transport.wires import Peer, WireOptions

QUIET = 2.0  # s without a byte, after which half a frame is given up
_PORT = re.compile(r"(tcp|udp):(?:(.+):)?(\d+)")
_REFUSED = 0x80  # SUBACK codes from here on (MQTT 5.0 section 3.9.3)

Show = Callable[[Piece | None, list[Said]], None]


def wire_of(what: str, options: argparse.Namespace, profile: Profile | None) -> WireOptions | None:
    """Return the wire that is meant, None for a topic. Raises ConfigError."""
    found = _PORT.fullmatch(what)
    try:
        if found is not None:
            kind, address, number = found[1], (found[2] or "127.0.0.1").strip("[]"), int(found[3])
            keys = {"wire": "udp" if kind == "udp" else "tcp_server", "port": number, "listen": address}
            return msgspec.convert(keys, WireOptions)
        if not what.startswith(("/", "./")) and not Path(what).exists():
            return None
        usual = profile.options.get("baudrate", 9600) if profile is not None else 9600
        names = ("bytesize", "parity", "stopbits")
        keys = {"wire": "serial", "port": what, "baudrate": options.baudrate or usual}
        return msgspec.convert({**keys, **{name: getattr(options, name) for name in names}}, WireOptions)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{what}: {error}") from error


class Heard:
    """Who listens on a wire (port `Ears` of `gateway.transport.wires`), or at a broker."""

    def __init__(self, ears: Ears, clock: Clock, show: Show, recorder: Recorder | None = None) -> None:
        self._ears = ears
        self._clock = clock
        self._show = show
        self._recorder = recorder
        self._last: dict[str, int] = {}  # peer that may have half a frame → when it spoke, ns

    def opened(self, name: str) -> None:
        """Nothing: what comes is shown."""

    def met(self, peer: Peer) -> None:
        """Nothing: who says nothing is nobody."""

    def heard(self, peer: Peer, data: bytes) -> None:
        """Take bytes."""
        one = piece(self._clock.wall(), data, peer=peer.name)
        self._record(one)
        self._last[peer.name] = self._clock.mono()
        self._show(one, self._ears.hear(peer.name, data))

    def lost(self, peer: Peer, why: str) -> None:
        """Give up its half frame."""
        del why
        if self._last.pop(peer.name, None) is not None:
            self._show(None, self._ears.quiet(peer.name))

    def taken(self, session: MqttSession, messages: list[Message]) -> None:
        """Take messages; they stay everybody's, and this session is gone with us."""
        for topic, payload, retained, _, _ in messages:
            data = payload or b""
            one = piece(self._clock.wall(), data, topic=topic, retained=retained)
            self._record(one)
            self._show(one, self._ears.message(topic, data, retained=retained))
        session.ack([packet for *_, packet in messages if packet])

    async def until(self, listening: Coroutine[Any, Any, None], seconds: float | None) -> None:
        """Run until it ends, the time is over, or Ctrl-C. Raises LinkDown."""
        try:
            await until(self._clock, seconds, listening, self._tidy())
        finally:
            for peer in list(self._last):
                self._show(None, self._ears.quiet(peer))

    async def _tidy(self) -> None:
        """Give up half frames of who has stopped speaking."""
        while True:
            await self._clock.sleep(QUIET / 2)
            now = self._clock.mono()
            for peer in [peer for peer, last in self._last.items() if now - last > QUIET * SECOND]:
                del self._last[peer]
                self._show(None, self._ears.quiet(peer))

    def _record(self, one: Piece) -> None:
        if self._recorder is not None:
            self._recorder.write(one)


async def until(clock: Clock, seconds: float | None, *work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, the time is over, or Ctrl-C. Raises what it ended with."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(stop.wait()), *map(asyncio.ensure_future, work)]
    try:
        async with clock.timeout(seconds):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    for result in ended:
        if isinstance(result, Exception):
            raise result


async def broker(options: argparse.Namespace, heard: Heard, clock: Clock) -> None:
    """Listen to a topic filter. Raises LinkDown, ConfigError."""
    session = await session_of(options, clock, heard.taken)
    try:
        granted = await session.subscribe([(options.what, 0)])
        if granted[0] >= _REFUSED:
            raise LinkDown(f"broker {options.host}:{options.port} refuses {options.what}: see its acl_file")
        await session.run()
    finally:
        session.abort()


async def session_of(
    options: argparse.Namespace, clock: Clock, receiver: Callable[[MqttSession, list[Message]], None]
) -> MqttSession:
    """Open a session of our own that leaves nothing at the broker. Raises LinkDown, ConfigError."""
    own = MqttOptions(
        host=options.host,
        port=options.port,
        client_id=f"firegrid-listen-{os.getpid()}",
        username=options.username,
        password=None if options.password_file is None else read_password(options.password_file),
        session_expiry=0,
    )
    return await connect(own, clock, receiver)
