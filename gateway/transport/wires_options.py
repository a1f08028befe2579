"""The keys of a source that speaks over a wire: a serial line, a TCP connection in either direction, or UDP.

Read by `gateway.transport.wires` and, as the base of their own `OPTIONS`, by all drivers on a wire. Keeps house
section 13 (one TOML a person can read): one set of names whatever the protocol, and nothing listens beyond the box
itself unless the configuration says so.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

import msgspec

from gateway.config.quantities import Seconds

Wire = Literal["serial", "tcp_client", "tcp_server", "udp"]
PEERS = 1000  # at once, on a wire that others call
_HOUR = 3600.0  # s
_LAST_PORT = 65535


class WireOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[source]]` on a wire; a driver adds its own by inheriting.

    `parity`: none, even, odd, or the constant ninth bit of some panels' buses: mark (`"M"`, 1) or space (`"S"`, 0).
    `port`: the device file of a serial line (`"/dev/ttyUSB0"`), else the number of the TCP or UDP port. `host`: whom a
    `tcp_client` calls. `listen`: the address on which a `tcp_server` or `udp` is called; the default is the box alone,
    `"0.0.0.0"` everybody. `allow`: networks that may call (`["10.0.0.0/8"]`; none given: all). `peers`: callers at
    once. `idle`: seconds after which a TCP peer that says nothing understandable is hung up on, 0: never.
    """

    wire: Wire
    port: str | int
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 9600
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O", "M", "S"] = "N"
    stopbits: Literal[1, 2] = 1
    host: str = ""
    listen: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    peers: Annotated[int, msgspec.Meta(ge=1, le=20_000)] = PEERS
    idle: Annotated[Seconds, msgspec.Meta(ge=0)] = _HOUR

    def __post_init__(self) -> None:
        """Check what the kinds of wire need. Raises ValueError, which msgspec reports as a ValidationError."""
        if self.wire == "serial":
            if not isinstance(self.port, str) or not self.port:
                raise ValueError(f'port = {self.port!r}; a serial wire needs the device file: port = "/dev/ttyUSB0"')
        elif not isinstance(self.port, int) or not 0 < self.port <= _LAST_PORT:
            raise ValueError(f"port = {self.port!r}; the wire {self.wire} needs a number: port = 1 … {_LAST_PORT}")
        if self.wire == "tcp_client" and not self.host:
            raise ValueError('host is missing; a tcp_client needs whom to call: host = "192.168.1.20"')
        networks(self.allow)

    @property
    def number(self) -> int:
        """The TCP or UDP port."""
        return int(self.port)

    @property
    def many(self) -> bool:
        """Whether others call, many at once."""
        return self.wire in ("tcp_server", "udp")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(allow: tuple[str, ...]) -> list[Network]:
    """Return the networks of `allow`. Raises ValueError: not `10.0.0.0/8`, `192.168.1.7` or the like."""
    try:
        return [ipaddress.ip_network(text) for text in allow]
    except ValueError as error:
        raise ValueError(f'allow: {error}; write networks as "10.0.0.0/8"') from None


def admits(allowed: list[Network], address: str) -> bool:
    """Whether a caller of this address may speak; everybody may where no network is named."""
    if not allowed or not address:
        return True
    caller = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(caller, "ipv4_mapped", None) or caller
    return any(mapped in network for network in allowed)
