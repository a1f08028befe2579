"""A data logger of HJ 212 as `simulate` plays it: real-time data of its factors, repeated until they are confirmed.

Beside `drivers.simulated.field`; the logger itself is `drivers.simulated.hj212.Logger`. Keeps house rule 9.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers._hj212_device import Installed, install
from drivers.simulated.field import FarEnd, moved, numbers
from drivers.simulated.hj212 import Logger
from gateway.model.point import Device
from gateway.protocols.hj212_packet import Factor

REPORT, AGAIN = 10, 10  # turns of a second
_REAL_TIME = ("", "2011")


def far_end(device: Device, rest: Mapping[str, float]) -> FarEnd:
    """Return the logger."""
    return _FarEnd(install(device, numbers(device), -1), rest)


class _FarEnd:
    def __init__(self, installed: Installed, rest: Mapping[str, float]) -> None:
        own = installed.options
        self._box = Logger(own.mn, offset=installed.offset)
        if own.password:
            self._box.pw = own.password
        self._fields = [one for one in installed.fields if one.kind == "Rtd" and one.cn in _REAL_TIME]
        self.show(rest)

    def say(self, turn: int, wall: int) -> bytes:
        said = b"".join(self._box.unanswered.values()) if turn % AGAIN == 0 else b""
        if turn % REPORT == 0:
            told = [
                Factor(code, {"Rtd": f"{moved(value, turn):.3f}", "Flag": "N"}) for code, value in self._shown.items()
            ]
            said += self._box.report(told, wall)
        return said

    def hear(self, data: bytes, wall: int) -> bytes:
        return self._box.hear(data, wall)

    def show(self, values: Mapping[str, float]) -> None:
        self._shown = {one.code: (values[one.spec.name] - one.decode.offset) / one.decode.scale for one in self._fields}

    def burn(self) -> None:
        """It measures no smoke."""

    def over(self) -> None:
        """It latches nothing."""
