"""The link to a monitoring centre: one exchange at a time, its time-out and resends, and the centre's own commands.

Beside `gateway.sinks.gb26875_uplink`, over `gateway.transport`. GB/T 26875.3-2011, clause "time-out and resend": an
answer within 10 s, three resends with the same serial number, a deny is resent as well; then it is a failure. A packet
that was not confirmed keeps its bytes over reconnections, so that the centre recognises it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.clock import SECOND, Clock
from gateway.errors import DeliveryError, LinkDown
from gateway.protocols.gb26875 import (
    USER_COMMANDS,
    Command,
    Frame,
    Frames,
    Garbage,
    deniable,
    encode_frame,
    head_of,
    reply_to,
)
from gateway.protocols.gb26875_units import time_tag
from gateway.sinks._gb26875_options import Options, offset_of
from gateway.transport import datagrams, wires_tcp
from gateway.transport.wires import Ears, Peer, WireOptions

TRIES = 4  # the first and three resends
HALF = 5 * SECOND  # ns that the rest of a frame may take
_ASKED = (Command.CONTROL, Command.REQUEST)
Call = Callable[[Options, Ears, Clock], Awaitable[None]]
Answer = Callable[[Frame], tuple[int, bytes]]  # what a centre asks → command and unit of the answer


async def call(options: Options, ears: Ears, clock: Clock) -> None:
    """Call a centre and stay until it is lost. Raises LinkDown."""
    if options.wire == "udp":
        await datagrams.call(options.host, options.port, ears, clock)
    else:
        await wires_tcp.call(WireOptions(wire="tcp_client", host=options.host, port=options.port), ears, clock)


class Line:
    """One connection to one centre (port `Ears`). `answer` serves its commands; it never raises.

    `wire` is the seam for wires that are none.
    """

    def __init__(self, options: Options, clock: Clock, answer: Answer, wire: Call = call) -> None:
        self.name = f"{options.host}:{options.port}"
        self._options = options
        self._clock = clock
        self._answer = answer
        self._wire = wire
        self._offset = offset_of(options.utc_offset)
        self._serial = 0
        self._frames = Frames()
        self._heard_at = 0
        self._peer: Peer | None = None
        self._calling: asyncio.Future[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._met: asyncio.Future[None] | None = None
        self._waiting: tuple[int, asyncio.Future[int]] | None = None  # serial → command of the answer
        self._turn = asyncio.Lock()
        self._spoke_at = 0

    # -- for the sink

    async def live(self) -> None:
        """Be connected. Raises LinkDown."""
        if self._peer is not None:
            return
        self._drop()
        self._met = asyncio.get_running_loop().create_future()
        self._calling = asyncio.ensure_future(self._wire(self._options, self, self._clock))
        self._calling.add_done_callback(_seen)
        await asyncio.wait((self._calling, self._met), return_when=asyncio.FIRST_COMPLETED)
        if self._peer is None:
            calling, self._calling = self._calling, None
            if calling.done():
                calling.result()
            raise LinkDown(f"{self.name}: lost at once")
        if self._options.login:
            await self.exchange(self.packet(bytes.fromhex(self._options.login)), denied=True)
        if self._options.heartbeat:
            self._beating = asyncio.create_task(self._beat())
            self._beating.add_done_callback(_seen)

    def packet(self, unit: bytes, command: int = Command.SEND) -> bytes:
        """Return a new packet: the next serial number, and the time by our clock."""
        serial, self._serial = self._serial, (self._serial + 1) & 0xFFFF
        options = self._options
        return encode_frame(
            Frame(
                serial=serial,
                command=command,
                source=options.address,
                destination=options.centre,
                unit=unit,
                user=options.user_version,
                sent=self._now(),
            )
        )

    async def exchange(self, packet: bytes, *, denied: bool = False) -> None:
        """Send a packet until it is confirmed; `denied`: a denial will do as well, somebody is there.

        Raises:
            LinkDown: no answer to any of four tries, or the connection was lost; it is closed then.
            DeliveryError: denied four times.
        """
        async with self._turn:
            serial = int.from_bytes(packet[2:4], "little")
            for _ in range(TRIES):
                found = await self._try(packet, serial)
                if found == Command.CONFIRM or (found is not None and denied):
                    return
            if found == Command.DENY:
                raise DeliveryError(f"{self.name} denied it {TRIES} times", retryable=True)
        self._drop()
        raise LinkDown(f"{self.name}: no confirmation within {self._options.timeout:g} s, {TRIES} times")

    def close(self) -> None:
        """Hang up."""
        self._drop()

    # -- port Ears

    def opened(self, name: str) -> None:
        """Nothing to do: the far end is met."""

    def met(self, peer: Peer) -> None:
        """Begin with a far end."""
        self._peer, self._frames = peer, Frames()
        self._spoke_at = self._clock.mono()
        if self._met is not None and not self._met.done():
            self._met.set_result(None)

    def heard(self, peer: Peer, data: bytes) -> None:
        """Take bytes of the stream, cut anywhere, or one datagram."""
        now = self._clock.mono()
        found: list[Frame | Garbage] = []
        if self._frames.pending and now - self._heard_at > HALF:
            found += self._frames.drop()
        self._heard_at = self._spoke_at = now
        found += self._frames.feed(data)
        if self._options.wire == "udp":
            found += self._frames.drop()
        for one in found:
            if isinstance(one, Frame):
                self._frame(peer, one)
            elif deniable(one) and (head := head_of(one.data)) and head.command in _ASKED:
                self._reply(peer, head, Command.DENY, b"")

    def lost(self, peer: Peer, why: str) -> None:
        """Wait for nothing any more."""
        del why
        if peer is self._peer:
            self._peer = None
            self._fail()

    # -- inside

    async def _try(self, packet: bytes, serial: int) -> int | None:
        """Send once; return the command that answers, None when nothing does in time."""
        if self._peer is None:
            raise LinkDown(f"{self.name}: the connection was lost")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting = serial, answer
        try:
            if not self._peer.write(packet):
                answer.cancel()
                self._drop()
                raise LinkDown(f"{self.name}: takes nothing")
            self._spoke_at = self._clock.mono()
            async with self._clock.timeout(self._options.timeout):
                return await answer
        except TimeoutError:
            return None
        finally:
            self._waiting = None

    def _frame(self, peer: Peer, frame: Frame) -> None:
        if frame.command in (Command.CONFIRM, Command.DENY):
            if self._waiting is not None and self._waiting[0] == frame.serial and not self._waiting[1].done():
                self._waiting[1].set_result(frame.command)
        elif frame.command in _ASKED:
            self._reply(peer, frame, *self._answer(frame))
        elif frame.command == Command.SEND or frame.command in USER_COMMANDS:  # some centres send heartbeats
            self._reply(peer, frame, Command.DENY if len(frame.unit) > 2 else Command.CONFIRM, b"")
        elif frame.command != Command.ANSWER:
            self._reply(peer, frame, Command.DENY, b"")

    def _reply(self, peer: Peer, frame: Frame, command: int, unit: bytes) -> None:
        peer.write(encode_frame(reply_to(frame, command, self._now(), unit)))

    async def _beat(self) -> None:
        """Say a word when nothing was said for long, so that a link that has died is found."""
        period = round(self._options.heartbeat * SECOND)
        while self._peer is not None:
            left = self._spoke_at + period - self._clock.mono()
            if left > 0:
                await self._clock.sleep(left / SECOND)
                continue
            unit, command = bytes.fromhex(self._options.heartbeat_unit), self._options.heartbeat_command
            try:
                await self.exchange(self.packet(unit, command), denied=True)
            except LinkDown:  # the next portion calls again
                return

    def _now(self) -> bytes:
        return time_tag(self._clock.wall(), self._offset)

    def _fail(self) -> None:
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_exception(LinkDown(f"{self.name}: the connection was lost"))

    def _drop(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()
        self._fail()
        for task in (self._calling, self._beating):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        self._calling = self._beating = None


def _seen(task: asyncio.Future[None]) -> None:
    """Take notice of how a task ended: nobody else asks."""
    if not task.cancelled():
        task.exception()
