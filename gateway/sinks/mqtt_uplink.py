"""Sink `mqtt_uplink`: copies to a remote broker, MQTT 5 with QoS 1; what counts is its PUBACK.

Runs in a process of its own (`gateway.uplink`). Its session: `gateway.sinks._mqtt_speaker`.
Payloads: `gateway.sinks._messages`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.options import read
from gateway.model.portion import Aside, Portion
from gateway.model.ports import SinkSetup
from gateway.sinks._messages import Messages
from gateway.sinks._mqtt_speaker import REFUSED, Access, Outgoing, Speaker, connection_of
from gateway.transport.mqtt_options import MqttOptions

__all__ = ["OPTIONS", "REFUSED", "Access", "MqttUplink", "Options", "connection_of", "create"]


class Options(Access, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[sink]]` with `kind = "mqtt_uplink"`. Messages go to `<prefix>/<station>/…`."""


OPTIONS = Options


def create(setup: SinkSetup) -> MqttUplink:
    """Build the sink. Raises ConfigError: wrong keys, or a secret that others may read."""
    return MqttUplink(setup, read(setup.spec, Options))


class MqttUplink:
    """Publishes at one broker."""

    def __init__(self, setup: SinkSetup, options: Options) -> None:
        self._messages = Messages(setup.points, setup.facts)
        self._speaker = Speaker(options, setup.station, setup.instance, setup.clock)

    @property
    def root(self) -> str:
        """What all its topics begin with."""
        return self._speaker.root

    @property
    def connection(self) -> MqttOptions:
        """How the broker is reached."""
        return self._speaker.connection

    async def send(self, portion: Portion) -> Sequence[Aside]:
        """Publish a portion, see `Sink`."""
        return await self._speaker.say(
            Outgoing(f"{self.root}/{message.topic}", message.payload) for message in self._messages.of(portion)
        )

    async def close(self) -> None:
        """Say that this gateway has gone, and close."""
        await self._speaker.close()
