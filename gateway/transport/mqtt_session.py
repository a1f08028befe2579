"""One MQTT 5 session at a broker: sans-I/O codec in an `asyncio.Protocol`.

Shell of the `mqtt` source: socket ↔ messages. Every QoS 1 message stays the broker's until `ack` is called after the
commit (house rule 4); what one read brings is handed over in one synchronous call, nothing per message is awaited. A
link is alive while pings are answered, not while it is "connected". Figures: `docs/benchmarks.md`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, KeysView, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import mqtt5

from gateway.clock import SECOND, Clock
from gateway.errors import LinkDown
from gateway.protocols.mqtt_stream import AckWindow, OversizePublish, PacketStream
from gateway.transport.mqtt_options import MqttOptions, topic_filter

# (topic, payload, retain, duplicate, packet id); payload None: above the packet limit, thrown away unread;
# packet id 0: QoS 0, nothing to acknowledge.
Message = tuple[str, bytes | None, bool, bool, int]
Receiver = Callable[["MqttSession", list[Message]], None]

_PACKET_IDS = 65_535
_CLOSE_WITHIN = 1.0  # s
_ERROR = 0x80  # reason codes from here on are refusals (MQTT 5.0 section 2.4)


class Refused(LinkDown):
    """The broker answered and said no: try again slowly. `reason` is the code of the CONNACK or DISCONNECT."""

    def __init__(self, message: str, *, reason: int) -> None:
        super().__init__(message)
        self.reason = reason


class MqttSession(asyncio.Protocol):
    """A live connection; made by `connect`, dead for good after the first failure (then connect anew)."""

    def __init__(self, options: MqttOptions, clock: Clock, receiver: Receiver) -> None:
        self.session_present = False
        self.keepalive = options.keepalive
        self.peer = f"broker {options.host}:{options.port}"  # for messages to people
        self._options = options
        self._clock = clock
        self._receiver = receiver
        self._stream = PacketStream(options.packet_limit)
        self._transport: asyncio.Transport | None = None
        self._connected: asyncio.Future[mqtt5.ConnAckPacket] = asyncio.get_running_loop().create_future()
        self._down: asyncio.Future[LinkDown] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._window = AckWindow()
        self._proof = 0  # number of the ping sent behind PUBACKs to prove them, 0 when none is under way
        self._pings = 0
        self.pongs = 0  # from the first on all has come again that the broker had to send again
        self._held_back = False
        self._answers: dict[int, asyncio.Future[list[int]]] = {}
        self._last_id = 0
        self._slots = asyncio.Semaphore(1)
        self._heard = self._pinged = self._answered = clock.mono()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102 - asyncio's: sends CONNECT
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type; create_connection gives no other
        if self._down.done():  # `connect` was cancelled: this session must not take over the next one
            transport.abort()
            return
        self._transport = transport
        transport.write(self._options.connect_packet().write())

    def data_received(self, data: bytes) -> None:
        """Hand over what arrived: all messages of these bytes in one call."""
        self._heard = self._clock.mono()
        messages: list[Message] = []
        publish = mqtt5.PublishPacket
        for packet in self._stream.feed(data):
            if type(packet) is publish:
                packet_id = packet.packet_id or 0
                payload = packet.payload
                messages.append((packet.topic, payload, packet.retain, packet.duplicate, packet_id))
                if packet_id:
                    self._window.owe(packet_id, len(payload))
            else:
                self._control(packet, messages)
        if messages:
            self._receiver(self, messages)
            self._hold_back()
        if self._stream.broken is not None:
            self._fail(LinkDown(f"{self.peer} sent bytes that are no MQTT: {self._stream.broken}"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - asyncio's: everyone who waits is told
        self._fail(LinkDown(f"{self.peer} closed the link" + (f": {exc}" if exc else "")))
        self._gone.set()

    def pause_writing(self) -> None:  # noqa: D102 - asyncio's: the broker does not read, `publish` waits
        self._writable.clear()

    def resume_writing(self) -> None:  # noqa: D102 - asyncio's
        self._writable.set()

    @property
    def unacknowledged(self) -> int:
        """QoS 1 messages handed over and not yet acknowledged to the broker."""
        return len(self._window)

    @property
    def pressed(self) -> bool:
        """Whether half of what may be unacknowledged is: soon we shall have to stop reading."""
        most, window = self._options, self._window
        return 2 * len(window) >= most.receive_maximum or 2 * window.size >= most.receive_bytes

    def ack(self, packet_ids: Iterable[int]) -> None:
        """Acknowledge messages once they are safe, in any order. Unknown ids and a dead link are ignored.

        PUBACKs leave in the order of arrival: one that is early waits for those before it. After a reconnection the
        broker sends again, for the new session object, what it did not see acknowledged.
        """
        pubacks = self._window.done(packet_ids)
        if pubacks:
            self._write(pubacks)
            self._prove()
            self._hold_back()

    @property
    def unsettled(self) -> KeysView[int]:
        """Packet ids of this link whose acknowledgement the broker may not have: no ping sent after it is answered."""
        return self._window.unsettled

    def _prove(self) -> None:
        """Send a ping behind the PUBACKs that left, one at a time."""
        if self._window.begin_proof():
            self._ping()
            self._proof = self._pings

    def _ping(self) -> None:
        self._pings += 1
        self._write(mqtt5.PingReqPacket().write())

    def _ponged(self) -> None:
        self._answered = self._clock.mono()
        self.pongs += 1
        if self._proof and self.pongs >= self._proof:
            self._window.proven()
            self._proof = 0
            self._prove()

    async def subscribe(self, filters: Sequence[tuple[str, int]]) -> list[int]:
        """Subscribe to (filter, QoS 0 or 1) pairs; return a reason code each, ≥ 0x80 a refusal (section 3.9.3).

        The retain flag of what then comes means "a state from before", see `topic_filter`.
        """
        wanted = [topic_filter(pattern, qos) for pattern, qos in filters]
        return await self._request(lambda packet_id: mqtt5.SubscribePacket(packet_id, wanted).write())

    async def unsubscribe(self, filters: Sequence[str]) -> list[int]:
        """End subscriptions; return a reason code each (section 3.11.3)."""
        return await self._request(lambda packet_id: mqtt5.UnsubscribePacket(packet_id, list(filters)).write())

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry: int | None = None
    ) -> int:
        """Publish; with QoS 1 return the PUBACK's reason code (0x10: nobody subscribed; ≥ 0x80: refused), else 0.

        Raises `LinkDown` when no answer comes in time: whether the broker has it is then unknown.
        """
        async with self._deadline("read"):
            await self._writable.wait()

        def packet(packet_id: int | None) -> bytes:
            level = mqtt5.QoS(qos)
            return mqtt5.PublishPacket(
                topic, payload, qos=level, retain=retain, packet_id=packet_id, message_expiry_interval=expiry
            ).write()

        if not qos:
            self._write(packet(None))
            return 0
        async with self._slots:
            return (await self._request(packet))[0]

    async def run(self) -> NoReturn:
        """Watch the link until it ends, then raise `LinkDown` with the reason. Run it as long as the session is used.

        A ping leaves every half keepalive; half a keepalive of silence after it ends the link, so that one that died
        without a FIN is noticed within one. A broker that sends but answers no ping has two.
        """
        pause = self.keepalive / 2
        quiet = round(pause * SECOND)
        while True:
            try:
                async with self._clock.timeout(pause):
                    raise await asyncio.shield(self._down)
            except TimeoutError:
                pass
            now = self._clock.mono()
            if self._held_back:  # we do not read: nothing can be judged
                self._heard = self._answered = now
            if self._heard < self._pinged and now - self._pinged >= quiet:
                self._fail(LinkDown(f"{self.peer} is silent for {(now - self._heard) / SECOND:.0f} s"))
            elif self._pinged - self._answered >= 4 * quiet:
                self._fail(LinkDown(f"{self.peer} does not answer pings"))
            else:
                self._pinged = now
                self._ping()

    async def close(self, *, will: bool = False) -> None:
        """End the connection in order, with the will sent or not; the session stays at the broker."""
        codes = mqtt5.DisconnectReasonCode
        reason = codes.DISCONNECT_WITH_WILL_MESSAGE if will else codes.NORMAL_DISCONNECTION
        self._write(mqtt5.DisconnectPacket(reason_code=reason).write())
        self._fail(LinkDown(f"{self.peer}: closed by us"), flush=True)
        try:
            async with self._clock.timeout(_CLOSE_WITHIN):
                await self._gone.wait()
        except TimeoutError:  # a TLS peer that does not answer the goodbye
            self._cut()

    def abort(self) -> None:
        """Drop the connection as a crash would: the broker sends the will."""
        self._fail(LinkDown(f"{self.peer}: dropped by us"))

    def _control(self, packet: mqtt5.Packet | OversizePublish, messages: list[Message]) -> None:
        match packet:
            case OversizePublish():
                packet_id = packet.packet_id or 0
                messages.append((packet.topic, None, packet.retain, packet.duplicate, packet_id))
                if packet_id:
                    self._window.owe(packet_id)
            case mqtt5.PubAckPacket():
                self._answer(packet.packet_id, [int(packet.reason_code)])
            case mqtt5.SubAckPacket() | mqtt5.UnsubAckPacket():
                self._answer(packet.packet_id, [int(code) for code in packet.reason_codes])
            case mqtt5.PingRespPacket():
                self._ponged()
            case mqtt5.ConnAckPacket() if not self._connected.done():
                self.session_present = packet.session_present  # now: messages may come in the same read
                self._connected.set_result(packet)
            case mqtt5.DisconnectPacket():
                why = packet.reason_code
                self._fail(Refused(f"{self.peer} ended the session: {why.name}", reason=int(why)))
            case _:
                self._fail(LinkDown(f"{self.peer} sent {type(packet).__name__}, which is not its to send"))

    def _answer(self, packet_id: int, codes: list[int]) -> None:
        waiter = self._answers.pop(packet_id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(codes)

    def _hold_back(self) -> None:
        """Stop reading at the bytes allowed or twice the messages: Mosquitto 2.0.11 exceeds what it was told."""
        if self._transport is None or self._down.done():
            return
        waiting, limit = len(self._window), self._options.receive_maximum
        size, most = self._window.size, self._options.receive_bytes
        if not self._held_back and (waiting >= 2 * limit or size >= most):
            self._held_back = True
            self._transport.pause_reading()
        elif self._held_back and waiting <= limit and 2 * size <= most:
            self._held_back = False
            self._transport.resume_reading()

    async def _request(self, packet: Callable[[int], bytes]) -> list[int]:
        packet_id = self._free_id()
        waiter: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._answers[packet_id] = waiter
        try:
            self._write(packet(packet_id))
            async with self._deadline("answer"):
                return await waiter
        finally:
            self._answers.pop(packet_id, None)

    def _free_id(self) -> int:
        for _ in range(_PACKET_IDS):
            self._last_id = self._last_id % _PACKET_IDS + 1
            if self._last_id not in self._answers:
                return self._last_id
        raise LinkDown(f"{self.peer}: every packet id waits for an answer")

    @asynccontextmanager
    async def _deadline(self, verb: str) -> AsyncIterator[None]:
        """Bound an answer of the broker; none in time ends the link. Raises `LinkDown` on a dead link too."""
        if self._down.done():
            raise self._down.result()
        try:
            async with self._clock.timeout(self._options.answer_within):
                yield
        except TimeoutError:
            error = LinkDown(f"{self.peer} did not {verb} within {self._options.answer_within:g} s")
            self._fail(error)
            raise error from None

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._down.done():
            self._transport.write(data)

    def _fail(self, error: LinkDown, *, flush: bool = False) -> None:
        if self._down.done():
            return
        self._down.set_result(error)
        waiters: list[asyncio.Future[Any]] = [self._connected, *self._answers.values()]
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # seen: nobody may be waiting for it yet
        self._writable.set()
        if flush and self._transport is not None:
            self._transport.close()
        else:
            self._cut()

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def open(self) -> None:
        """Wait for CONNACK and take over what it says. Raises `Refused` or `LinkDown`."""
        async with self._deadline("answer CONNECT"):
            answer = await self._connected
        code = int(answer.reason_code)  # the codec's codes call themselves integers and are none
        if code >= _ERROR:
            self._fail(Refused(f"{self.peer} refused the connection: {answer.reason_code.name}", reason=code))
            raise self._down.result()
        if answer.server_keep_alive:
            self.keepalive = answer.server_keep_alive
        self._slots = asyncio.Semaphore(answer.receive_max)
