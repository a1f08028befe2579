"""What a connection to a broker needs to know, and the secrets it reads from files.

Beside `mqtt.py`. Secrets live in files of their own, never in the station's TOML, and a file that others may read is
refused (house section 13: one configuration a person can read, and show).
"""

from __future__ import annotations

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import mqtt5
import msgspec

from gateway.errors import ConfigError

DEFAULT_KEEPALIVE = 20
DEFAULT_RECEIVE_MAXIMUM = 20_000
DEFAULT_RECEIVE_BYTES = 16 << 20
DEFAULT_PACKET_LIMIT = 1 << 20
WEEK = 7 * 24 * 3600
_USUAL_PORT, _USUAL_TLS_PORT = 1883, 8883


@dataclass(frozen=True)
class Tls:
    """Files of a TLS connection: `cafile` None means the system's own list; certificate and key are for client auth."""

    cafile: Path | None = None
    certfile: Path | None = None
    keyfile: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Build the context: TLS 1.2 or newer, name and chain checked. Raises `ConfigError` naming the file."""
        try:
            context = ssl.create_default_context(cafile=self.cafile)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certfile is not None:
                if self.keyfile is not None:
                    refuse_shared(self.keyfile)
                context.load_cert_chain(self.certfile, self.keyfile)
        except OSError as error:  # ssl.SSLError is one too
            raise ConfigError(f"TLS files ({self.cafile}, {self.certfile}, {self.keyfile}): {error}") from error
        return context


@dataclass(frozen=True)
class Announcement:
    """A message that says how we are: the will (the birth is an ordinary `publish` to the same topic)."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(frozen=True)
class MqttOptions:
    """One session at one broker. Times in seconds, sizes in bytes.

    `receive_maximum` bounds the unacknowledged QoS 1 messages the broker may have under way (MQTT 5.0 section
    3.1.2.11.3), `receive_bytes` their payloads: MQTT has no word for that, so past it we stop reading. `packet_limit`
    bounds one: of larger messages only topic and packet id are kept. `will_delay` keeps a short reconnection from being
    told as an outage.
    """

    host: str
    client_id: str
    port: int = _USUAL_PORT
    username: str | None = None
    password: bytes | None = None
    tls: Tls | None = None
    keepalive: int = DEFAULT_KEEPALIVE
    session_expiry: int = WEEK
    receive_maximum: int = DEFAULT_RECEIVE_MAXIMUM
    receive_bytes: int = DEFAULT_RECEIVE_BYTES
    packet_limit: int = DEFAULT_PACKET_LIMIT
    will: Announcement | None = None
    will_delay: int = 15
    answer_within: float = 10.0

    def connect_packet(self) -> mqtt5.ConnectPacket:
        """Build CONNECT: fixed client id, no clean start, so that the broker keeps what comes while we are away."""
        will = None
        if self.will is not None:
            will = mqtt5.Will(
                self.will.topic,
                payload=self.will.payload,
                qos=mqtt5.QoS(self.will.qos),
                retain=self.will.retain,
                will_delay_interval=self.will_delay,
            )
        return mqtt5.ConnectPacket(
            self.client_id,
            username=self.username,
            password=self.password,
            clean_start=False,
            will=will,
            keep_alive=self.keepalive,
            session_expiry_interval=self.session_expiry,
            receive_max=self.receive_maximum,
        )


class BrokerAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of any table that names a broker: where it is, and who we are there.

    `tls` is meant by any of the three files; alone it trusts the system's certificates. `keepalive` in seconds.
    """

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    username: str | None = None
    password_file: str | None = None
    tls: bool = False
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    keepalive: Annotated[int, msgspec.Meta(ge=2, le=600)] = DEFAULT_KEEPALIVE

    def session(self, client_id: str) -> MqttOptions:
        """Return a session of this account. Raises `ConfigError`: a password file that others may read."""
        files = [Path(name) if name else None for name in (self.cafile, self.certfile, self.keyfile)]
        secure = self.tls or any(files)
        return MqttOptions(
            host=self.host,
            port=self.port or (_USUAL_TLS_PORT if secure else _USUAL_PORT),
            client_id=client_id,
            username=self.username,
            password=read_password(Path(self.password_file)) if self.password_file else None,
            tls=Tls(*files) if secure else None,
            keepalive=self.keepalive,
        )


def topic_filter(pattern: str, qos: int) -> mqtt5.TopicFilter:
    """Build a subscription (MQTT 5.0 section 3.8.3.1).

    Retained messages are sent only if the session did not have it, and only these carry the retain flag: it means "a
    state from before", also where a device publishes everything retained. What we publish ourselves does not come back.
    """
    return mqtt5.TopicFilter(
        pattern,
        max_qos=mqtt5.QoS(qos),
        no_local=True,
        retain_as_published=False,
        retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
    )


def refuse_shared(path: Path) -> None:
    """Raise `ConfigError` when anyone but owner may read or write the file, or it cannot be looked at."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{path}: others may read this secret (mode {stat.S_IMODE(mode):04o}); fix: chmod 600 {path}")


def read_password(path: Path) -> bytes:
    """Return the first line of a password file. Raises `ConfigError` (shared, unreadable or empty)."""
    refuse_shared(path)
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if not lines or not lines[0]:
        raise ConfigError(f"{path}: the password file is empty; fix: write the password as its first line")
    return lines[0]
