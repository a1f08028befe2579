"""The door to a broker: `connect` opens one MQTT 5 session (`mqtt_session.py`) over TCP or TLS."""

from __future__ import annotations

import asyncio

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.transport.mqtt_options import MqttOptions
from gateway.transport.mqtt_session import Message, MqttSession, Receiver, Refused

__all__ = ["Message", "MqttSession", "Receiver", "Refused", "connect"]


async def connect(options: MqttOptions, clock: Clock, receiver: Receiver) -> MqttSession:
    """Open a session; clean start is never asked for, so that the broker keeps what came while we were away.

    `receiver(session, messages)` is called as messages arrive, the first time possibly before this returns (queued
    messages follow CONNACK at once). Afterwards look at `session_present`: False says that subscriptions and queue are
    gone. Raises `LinkDown`, `Refused` (a `LinkDown` with the broker's reason code), `ConfigError` (TLS files).
    """
    context = options.tls.context() if options.tls else None
    session = MqttSession(options, clock, receiver)
    try:
        try:
            async with clock.timeout(options.answer_within):
                await asyncio.get_running_loop().create_connection(
                    lambda: session, options.host, options.port, ssl=context
                )
        except TimeoutError:
            raise LinkDown(f"{session.peer} did not answer within {options.answer_within:g} s") from None
        except OSError as error:  # refused, unreachable, unknown host, TLS handshake
            raise LinkDown(f"{session.peer}: {error}") from error
        await session.open()
    except BaseException:
        session.abort()  # also for a TLS handshake that asyncio, cancelled, finishes all the same
        raise
    return session
