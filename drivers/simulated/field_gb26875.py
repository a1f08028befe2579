"""A transmission device of GB/T 26875.3 as `simulate` plays it: beats, analog values, a fire at a smoke detector.

Beside `drivers.simulated.field`; the device itself is `drivers.simulated.gb26875.Transmitter`. Keeps house rule 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drivers._gb26875_device import Decode, Speaker, install
from drivers.simulated.field import FarEnd, moved, numbers
from drivers.simulated.gb26875 import FIRE, NORMAL, Transmitter
from gateway.model.point import Device
from gateway.protocols.gb26875_objects import Analog, DeviceStatus
from gateway.protocols.gb26875_tables import QUANTITIES

BEAT, MEASURED, AGAIN = 30, 10, 10  # turns of a second
_STATUS, _ANALOG = 21, 3  # unit types
_SMOKE = 40  # component type, table 4
_PLACE = (1, 1, 1 << 16 | 12)  # where it burns when none is registered: fire alarm system 1, loop 1, point 12
_Series = tuple[Decode, float]  # of an analog value, what it shows at rest


def far_end(device: Device, rest: Mapping[str, float]) -> FarEnd:
    """Return the device."""
    ids = numbers(device)
    return _FarEnd(install(device, ids, -1), {ids[f"{device.id}.{name}"]: name for name in rest}, rest)


class _FarEnd:
    def __init__(self, speaker: Speaker, names: Mapping[int, str], rest: Mapping[str, float]) -> None:
        number = speaker.number or 1
        there = speaker.options.address_in == "source"
        self._box = Transmitter(number if there else 1, 0 if there else number, offset=speaker.offset)
        registered = (speaker.place(key) for key in speaker.options.addresses or ())
        self._place = next((place for place in registered if place is not None and place[2]), _PLACE)
        self._box.components[self._place] = (_SMOKE, NORMAL, "锅炉房感烟")
        self._speaker = speaker
        self._names = names
        self._burns = False
        self.show(rest)

    def say(self, turn: int, wall: int) -> bytes:
        said = self._box.again() if turn % AGAIN == 0 else b""
        if turn % BEAT == 0:
            said += self._box.report(_STATUS, [DeviceStatus(self._box.status, self._box.tag(wall))], wall)
        if self._series and turn % MEASURED == 0:
            said += self._box.report(_ANALOG, list(self._measured(turn, wall)), wall)
        wanted = NORMAL | FIRE if self._burns else NORMAL
        if self._box.components[self._place][1] != wanted:
            said += self._box.change(self._place, wanted, wall)
        return said

    def hear(self, data: bytes, wall: int) -> bytes:
        return self._box.hear(data, wall)

    def show(self, values: Mapping[str, float]) -> None:
        analogs = (one for many in self._speaker.analogs.values() for one in many)
        self._series = [(one.decode, values[self._names[one.point]]) for one in analogs]

    def burn(self) -> None:
        self._burns = True

    def over(self) -> None:
        self._burns = False

    def _measured(self, turn: int, wall: int) -> Iterator[Analog]:
        for decode, value in self._series:
            kind = decode.analog or 0
            step = decode.scale if decode.scale is not None else QUANTITIES[kind].step
            system, address, place = self._speaker.place(decode.at) or (1, 1, 0)
            raw = round((moved(value, turn) - decode.offset) / step)
            yield Analog(system, address, decode.component or 0, place, kind, raw, self._box.tag(wall))
