"""Wires: serial lines, TCP in both directions and UDP behind one call, `attend`; what a driver on a wire needs to know.

First station of the flow for every protocol that may come over any of them (GB/T 26875.3, SL 651, HJ 212, panel
serial outputs, UART sensors). `attend(options, ears, clock)` opens the wire and calls the listener; a far end is a
`Peer` whoever dialled. Keeps house section 5 (only `gateway.transport` opens a port or socket) and section 11 (every
way a wire can die is one `LinkDown`; the supervisor owns the back-off).
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.transport import wires_tcp, wires_udp
from gateway.transport.serial import SerialPort
from gateway.transport.wires_options import Wire, WireOptions, admits, networks
from gateway.transport.wires_peer import Ears, Peer

__all__ = ["Ears", "Peer", "SerialPeer", "Wire", "WireOptions", "admits", "attend", "line", "networks"]


async def attend(options: WireOptions, ears: Ears, clock: Clock) -> None:
    """Open a wire and listen until cancelled; then everything is closed.

    Raises:
        LinkDown: it cannot be opened, or was lost. A wire that others call is not lost with one of them.
    """
    match options.wire:
        case "serial":
            await line(options, ears, SerialPeer)
        case "tcp_client":
            await wires_tcp.call(options, ears, clock)
        case "tcp_server":
            await wires_tcp.be_called(options, ears, clock)
        case "udp":
            await wires_udp.bind(options, ears)


class SerialPeer:
    """Whatever is on a serial line (port `Peer`)."""

    address = ""
    done = False

    def __init__(self, port: SerialPort) -> None:
        self.name = port.name
        self._port = port

    def write(self, data: bytes) -> bool:
        """Queue bytes; a port that takes none is closed, so that reading ends with LinkDown."""
        try:
            self._port.write(data)
        except LinkDown:
            self._port.close()
            return False
        return True

    def hold(self, *, on: bool) -> None:
        """Do nothing: lines without handshake cannot be held back."""

    def close(self) -> None:
        """Give the port back."""
        self._port.close()


async def line(options: WireOptions, ears: Ears, peer_on: Callable[[SerialPort], SerialPeer]) -> None:
    """Open a serial line and listen until cancelled; then it is closed. Raises LinkDown."""
    port = SerialPort.open(
        str(options.port),
        baudrate=options.baudrate,
        bytesize=options.bytesize,
        parity=options.parity,
        stopbits=options.stopbits,
    )
    try:
        peer = peer_on(port)
        ears.opened(port.name)
        ears.met(peer)
        while True:
            ears.heard(peer, await port.read())
    finally:
        port.close()
