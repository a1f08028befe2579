"""A port whose wire is not RTU, as the port that the Modbus master knows: frames are turned on their way.

Between `drivers._modbus_master` and a port of `gateway.transport`; the turning is `gateway.protocols.modbus_framing`.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers._modbus_master import Port
from gateway.errors import LinkDown, ProtocolViolation
from gateway.protocols.modbus_framing import Framing


class FramedPort:
    """Port (`drivers._modbus_master.Port`) over another one. `count` is told of answers that came too late."""

    def __init__(self, port: Port, framing: Framing, count: Callable[[str, int], None]) -> None:
        self._port = port
        self._framing = framing
        self._count = count

    async def read(self) -> bytes:
        """Wait for at least one byte of an RTU frame. Raises LinkDown."""
        while not (data := self._turned(await self._port.read())):
            pass
        return data

    def read_waiting(self) -> bytes:
        """Return what has come, perhaps nothing. Raises LinkDown."""
        return self._turned(self._port.read_waiting())

    def write(self, data: bytes) -> None:
        """Queue one RTU frame. Raises LinkDown."""
        self._port.write(self._framing.pack(data))

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def _turned(self, data: bytes) -> bytes:
        if not data:
            return b""
        try:
            turned = self._framing.unpack(data)
        except ProtocolViolation as error:
            self._port.close()
            raise LinkDown(f"not Modbus: {error}") from error
        if self._framing.late:
            self._count("late", self._framing.late)
            self._framing.late = 0
        return turned
