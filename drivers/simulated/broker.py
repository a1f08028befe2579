"""A small MQTT broker for demo and tests: 3.1.1 and 5, with faults on demand. Not for production.

QoS 0 and 1, retained messages, wills, persistent sessions with a bounded queue (also for QoS 0), wildcards, session
take-over. Faults: `silent` (open, but hears and answers nothing), `freeze` (links die without a FIN), `drop` (links
are reset), `ack_delay` (PUBACKs come late), `refused` (filters nobody may subscribe to). Bound to the same contract
tests as a real Mosquitto (house rule 9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Self

import mqtt5

from drivers.simulated.broker_link import Link
from drivers.simulated.broker_session import Message, Session, as_retained
from gateway.clock import SECOND, Clock
from gateway.transport.listener import listen

QUEUE_LIMIT = 20_000  # messages per session
SESSION_LIMIT = 500
RETAINED_LIMIT = 10_000
_TICK = 1.0  # s between looks at keepalives, delayed wills and expired sessions


class SimulatedBroker:
    """Use as `async with SimulatedBroker(clock) as broker`; then `broker.port`. `users`: name → password; None: all."""

    def __init__(self, clock: Clock, *, port: int = 0, users: Mapping[str, str] | None = None) -> None:
        self.clock = clock
        self.port = port
        self.silent = False
        self.ack_delay = 0.0
        self.refused: frozenset[str] = frozenset()
        self._users = users
        self._links: set[Link] = set()
        self._sessions: dict[str, Session] = {}
        self._retained: dict[str, Message] = {}
        self._wills: dict[str, tuple[int, Message]] = {}  # by client id: due (ns) and message
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen (again on the same port after `stop`). Sessions and retained messages are those of before."""
        self._server, self.port = await listen(lambda: Link(self), port=self.port)
        self._spawn(self._watch())

    async def stop(self, *, forget: bool = False) -> None:
        """Drop everyone, wills unsent; with `forget` lose sessions and retained messages, as a killed broker may."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.will = None
            link.drop()
        for task in list(self._tasks):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets dropped connections say so
        if forget:
            self._sessions.clear()
            self._retained.clear()
            self._wills.clear()

    # faults on demand
    def drop(self) -> None:
        """Reset every connection; wills are sent."""
        for link in list(self._links):
            link.drop()

    def freeze(self) -> None:
        """Let the present connections die without a FIN; new ones work."""
        for link in self._links:
            link.frozen = True
            if link.session is not None and link.session.send == link.send:
                link.session.send = None

    # called by links
    def opened(self, link: Link) -> None:
        """Enter a connection."""
        link.heard = self.clock.mono()
        self._links.add(link)

    def closed(self, link: Link) -> None:
        """Forget a connection: its session waits, its will is sent or planned."""
        self._links.discard(link)
        session = link.session
        if (
            session is None
            or self._sessions.get(link.client_id) is not session
            or session.send not in (None, link.send)
        ):
            return  # never connected, or taken over
        session.send = None
        session.ended = self.clock.mono()
        if link.will is not None:
            delay = min(link.will_delay, session.expiry)
            if delay:
                self._wills[link.client_id] = (session.ended + delay * SECOND, link.will)
            else:
                self._route(link.will, sender=None)
        if not session.expiry:
            del self._sessions[link.client_id]

    def connect(self, link: Link, packet: mqtt5.ConnectPacket) -> None:
        """Answer CONNECT: authorise, take over or make the session, hand out what waits."""
        codes = mqtt5.ConnAckReasonCode
        password = (packet.password or b"").decode(errors="replace")
        if self._users is not None and self._users.get(packet.username or "") != password:
            self._refuse(link, codes.BAD_USER_NAME_OR_PASSWORD if link.version == 5 else codes.NOT_AUTHORIZED)
            return
        client_id = packet.client_id or f"auto-{id(link):x}"
        old = self._sessions.get(client_id)
        if old is None and len(self._sessions) >= SESSION_LIMIT:
            self._refuse(link, codes.QUOTA_EXCEEDED)
            return
        for other in [other for other in self._links if other.session is not None and other.session is old]:
            other.will = None
            other.bye(mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER)
        self._wills.pop(client_id, None)
        session = Session(client_id, QUEUE_LIMIT) if old is None or packet.clean_start else old
        self._sessions[client_id] = session
        session.expiry = packet.session_expiry_interval
        session.window = packet.receive_max
        link.session, link.client_id, link.keep_alive = session, client_id, packet.keep_alive
        if packet.will is not None:
            will = packet.will
            link.will = Message(will.topic, will.payload or b"", min(int(will.qos), 1), will.retain)
            link.will_delay = will.will_delay_interval
        assigned = None if packet.client_id else client_id
        link.send(
            mqtt5.ConnAckPacket(
                session_present=session is old, max_qos=mqtt5.QoS.AT_LEAST_ONCE, assigned_client_id=assigned
            )
        )
        session.resume(link.send)

    def publish(self, link: Link, packet: mqtt5.PublishPacket) -> None:
        """Route a message and acknowledge it."""
        qos = int(packet.qos)
        if qos > 1:
            link.bye(mqtt5.DisconnectReasonCode.QOS_NOT_SUPPORTED)
            return
        found = self._route(Message(packet.topic, packet.payload, qos, packet.retain), sender=link.session)
        if packet.packet_id is None:
            return
        codes = mqtt5.PubAckReasonCode
        ack = mqtt5.PubAckPacket(
            packet.packet_id, reason_code=codes.SUCCESS if found else codes.NO_MATCHING_SUBSCRIBERS
        )
        if self.ack_delay:
            self._spawn(self._later(link, ack))
        else:
            link.send(ack)

    def subscribe(self, link: Link, session: Session, packet: mqtt5.SubscribePacket) -> None:
        """Enter subscriptions and send what is retained for them."""
        codes = mqtt5.SubAckReasonCode
        answers = []
        retained: list[Message] = []
        for wanted in packet.topic_filters:
            if wanted.pattern in self.refused:
                answers.append(codes.NOT_AUTHORIZED)
                continue
            new = wanted.pattern not in session.filters
            session.filters[wanted.pattern] = wanted
            qos = min(int(wanted.max_qos), 1)
            answers.append(codes.GRANTED_QOS_AT_LEAST_ONCE if qos else codes.GRANTED_QOS_AT_MOST_ONCE)
            handling = int(wanted.retain_handling)
            if handling == 0 or (handling == 1 and new):
                probe = Session(session.client_id, 0, filters={wanted.pattern: wanted})
                retained += [
                    as_retained(message, qos)
                    for message in self._retained.values()
                    if probe.wants(message.topic, qos, own=False)
                ]
        link.send(mqtt5.SubAckPacket(packet.packet_id, answers))
        for message in retained:
            session.deliver(message)

    def unsubscribe(self, link: Link, session: Session, packet: mqtt5.UnsubscribePacket) -> None:
        """End subscriptions."""
        codes = mqtt5.UnsubAckReasonCode
        answers = [
            codes.NO_SUBSCRIPTION_EXISTED if session.filters.pop(pattern, None) is None else codes.SUCCESS
            for pattern in packet.patterns
        ]
        link.send(mqtt5.UnsubAckPacket(packet.packet_id, answers))

    # inside
    def _refuse(self, link: Link, reason: mqtt5.ConnAckReasonCode) -> None:
        link.send(mqtt5.ConnAckPacket(reason_code=reason))
        link.close()

    def _route(self, message: Message, sender: Session | None) -> bool:
        """Keep a retained message, hand a message to every session that wants it; False if none does."""
        if message.retain:
            if not message.payload:
                self._retained.pop(message.topic, None)
            elif message.topic in self._retained or len(self._retained) < RETAINED_LIMIT:
                self._retained[message.topic] = message
        found = False
        for session in self._sessions.values():
            wanted = session.wants(message.topic, message.qos, own=session is sender)
            if wanted is not None:
                found = True
                qos, as_published = wanted
                session.deliver(Message(message.topic, message.payload, qos, message.retain and as_published))
        return found

    async def _later(self, link: Link, packet: mqtt5.Packet) -> None:
        await self.clock.sleep(self.ack_delay)
        link.send(packet)

    async def _watch(self) -> None:
        while True:
            await self.clock.sleep(_TICK)
            now = self.clock.mono()
            for link in list(self._links):
                if link.keep_alive and now - link.heard > link.keep_alive * SECOND * 3 // 2:
                    link.drop()
            for client_id, (due, will) in list(self._wills.items()):
                if due <= now:
                    del self._wills[client_id]
                    self._route(will, sender=None)
            for client_id, session in list(self._sessions.items()):
                if session.ended is not None and now - session.ended > session.expiry * SECOND:
                    del self._sessions[client_id]

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
