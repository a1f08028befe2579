"""One connection at the simulated broker: version, packets, faults. What they mean is the broker's (`broker.py`)."""

from __future__ import annotations

import asyncio
from typing import Protocol

import mqtt5

from drivers.simulated.broker_session import Message, Session
from gateway.clock import Clock
from gateway.protocols import mqtt311
from gateway.protocols.mqtt_stream import OversizePublish, PacketStream

_PACKET_LIMIT = 1 << 20
_UNREAD_LIMIT = 16 << 20  # bytes a client may leave unread before it is dropped


class Broker(Protocol):
    """What a connection tells its broker; `silent`: it neither hears nor answers anybody."""

    clock: Clock
    silent: bool

    def opened(self, link: Link) -> None:
        """Enter a connection."""

    def closed(self, link: Link) -> None:
        """Forget a connection."""

    def connect(self, link: Link, packet: mqtt5.ConnectPacket) -> None:
        """Answer CONNECT."""

    def publish(self, link: Link, packet: mqtt5.PublishPacket) -> None:
        """Answer PUBLISH."""

    def subscribe(self, link: Link, session: Session, packet: mqtt5.SubscribePacket) -> None:
        """Answer SUBSCRIBE."""

    def unsubscribe(self, link: Link, session: Session, packet: mqtt5.UnsubscribePacket) -> None:
        """Answer UNSUBSCRIBE."""


class Link(asyncio.Protocol):
    """A client's connection. `frozen`: it neither hears nor answers any more, and no FIN was sent."""

    def __init__(self, broker: Broker) -> None:
        self.session: Session | None = None
        self.client_id = ""
        self.will: Message | None = None
        self.will_delay = 0
        self.keep_alive = 0
        self.heard = 0
        self.frozen = False
        self.version = 0
        self._broker = broker
        self._stream: PacketStream | None = None
        self._head = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter the link."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type; a server gives no other
        self._transport = transport
        self._broker.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Leave, with the will if nobody said goodbye."""
        self._broker.closed(self)

    def data_received(self, data: bytes) -> None:
        """Handle packets in order; the first says which version the client speaks."""
        if self.frozen or self._broker.silent:
            return
        self.heard = self._broker.clock.mono()
        if self._stream is None:
            self._head += data
            found = mqtt311.level(self._head)
            if found is None:
                return
            if found not in (mqtt311.LEVEL, 5):
                self.drop()
                return
            self.version = found
            self._stream = PacketStream(_PACKET_LIMIT, mqtt5.read if found == 5 else mqtt311.read)
            data, self._head = self._head, b""
        for packet in self._stream.feed(data):
            if not self.frozen:
                self._handle(packet)
        if self._stream.broken is not None:
            self.drop()

    def send(self, packet: mqtt5.Packet) -> None:
        """Write one packet in the client's version."""
        if self.frozen or self._broker.silent or self._transport is None:
            return
        if self._transport.get_write_buffer_size() > _UNREAD_LIMIT:
            self.drop()
            return
        self._transport.write(packet.write() if self.version == 5 else mqtt311.write(packet))

    def bye(self, reason: mqtt5.DisconnectReasonCode) -> None:
        """End the connection, saying why to those who can hear it."""
        self.send(mqtt5.DisconnectPacket(reason_code=reason))
        self.close()

    def close(self) -> None:
        """End the connection once what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _handle(self, packet: mqtt5.Packet | OversizePublish) -> None:
        if self.session is not None:
            self._dispatch(self.session, packet)
        elif isinstance(packet, mqtt5.ConnectPacket):
            self._broker.connect(self, packet)
        else:
            self.drop()

    def _dispatch(self, session: Session, packet: mqtt5.Packet | OversizePublish) -> None:
        match packet:
            case mqtt5.PublishPacket():
                self._broker.publish(self, packet)
            case OversizePublish():
                self.bye(mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE)
            case mqtt5.PubAckPacket():
                session.acknowledged(packet.packet_id)
            case mqtt5.SubscribePacket():
                self._broker.subscribe(self, session, packet)
            case mqtt5.UnsubscribePacket():
                self._broker.unsubscribe(self, session, packet)
            case mqtt5.PingReqPacket():
                self.send(mqtt5.PingRespPacket())
            case mqtt5.DisconnectPacket():
                if int(packet.reason_code) == int(mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION):
                    self.will = None
                self.drop()
            case _:
                self.bye(mqtt5.DisconnectReasonCode.PROTOCOL_ERROR)
