"""A serial line whose address bytes have a ninth bit: mark parity for them, space parity for all others.

Beside `gateway.transport.wires`, with the same call, `attend`, for the drivers that poll such a line; to listen to one,
any parity will do. What is written are symbols of two bytes, the ninth bit (1 or 0) and the eight others. No port has
a ninth bit to send, so the parity is switched between bytes, when all before has left (`SerialPort.set_mark`). Keeps
house section 5 (only `gateway.transport` opens a port) and section 11 (a port that does not send is one `LinkDown`).
"""

from __future__ import annotations

import msgspec

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.transport.wires import Ears, SerialPeer, WireOptions, line


class NinthBitPeer(SerialPeer):
    """Whatever is on such a line (port `Peer`)."""

    def write(self, data: bytes) -> bool:
        """Send symbols; a port that takes none is closed, so that reading ends with LinkDown."""
        try:
            for ninth, byte in zip(data[::2], data[1::2], strict=True):
                self._port.set_mark(on=bool(ninth))
                self._port.write(bytes((byte,)))
        except LinkDown:
            self._port.close()
            return False
        return True


async def attend(options: WireOptions, ears: Ears, clock: Clock) -> None:
    """Open a serial line and listen until cancelled; then it is closed.

    The ninth bit of what comes is not looked at: the kernel drops no byte for it.

    Raises:
        LinkDown: it cannot be opened, was lost, or does not send.
    """
    del clock
    await line(msgspec.structs.replace(options, parity="S"), ears, NinthBitPeer)
