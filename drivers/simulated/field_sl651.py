"""A hydrological station of SL 651 as `simulate` plays it: it measures, reports, and repeats what is not confirmed.

Beside `drivers.simulated.field`; the station itself is `drivers.simulated.sl651.Station`. Keeps house rule 9.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from drivers._sl651_device import Decode, Installed, install
from drivers.simulated.field import FarEnd, moved, numbers
from drivers.simulated.sl651 import Station
from gateway.model.point import Device, Kind
from gateway.model.time import SECOND
from gateway.protocols.sl651 import Coding
from gateway.protocols.sl651_elements import LEVEL_SERIES, RAIN_SERIES, STATE, code_of

REPORT, AGAIN = 30, 10  # turns of a second; a real one reports every 5 min to 1 h
_SERIES = frozenset((RAIN_SERIES, *LEVEL_SERIES, STATE))


def far_end(device: Device, rest: Mapping[str, float]) -> FarEnd:
    """Return the station."""
    measured = {
        spec.name: decode
        for spec in device.profile.points
        if spec.kind in (Kind.MEASURE, Kind.COUNTER)
        and (decode := msgspec.convert(spec.decode, Decode)).element
        and code_of(decode.element) not in _SERIES
    }
    return _FarEnd(install(device, numbers(device), -1), measured, rest)


class _FarEnd:
    def __init__(self, installed: Installed, measured: Mapping[str, Decode], rest: Mapping[str, float]) -> None:
        own = installed.options
        self._measured = measured
        self.show(rest)
        self._box = Station(
            installed.address, centre=own.centre, coding=Coding(own.coding), offset=installed.offset // SECOND
        )
        if own.password:
            self._box.password = own.password

    def say(self, turn: int, wall: int) -> bytes:
        said = self._box.again() if turn % AGAIN == 0 else b""
        if turn % REPORT == 0:
            self._box.values = {name: moved(value, turn) for name, value in self._shown.items()}
            said += self._box.report(wall)
        return said

    def hear(self, data: bytes, wall: int) -> bytes:
        return self._box.hear(data, wall)

    def show(self, values: Mapping[str, float]) -> None:
        self._shown = {
            decode.element: (values[name] - decode.offset) / decode.scale for name, decode in self._measured.items()
        }

    def burn(self) -> None:
        """Water does not burn."""

    def over(self) -> None:
        """It latches nothing."""
