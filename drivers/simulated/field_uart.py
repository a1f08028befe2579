"""A sensor on a line of its own as `simulate` plays it: sends its value every second, or answers when it is asked.

Beside `drivers.simulated.field`; frames are those of `gateway.protocols.uart`. Keeps house rule 9.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from drivers._installing import options_of
from drivers.simulated.field import FarEnd, moved
from drivers.uart import DeviceOptions, FigureOptions
from gateway.model.point import Device
from gateway.protocols.uart import (
    MEGATEC_QUESTION,
    VALUE,
    dyp_frame,
    megatec_line,
    winsen_answer,
    winsen_command,
    winsen_upload,
)

_ASK = winsen_command(VALUE)
_TENTHS = 1  # decimals that a sensor sends unasked
_ROOM = 20.0  # Cel
_USUAL_GAS, _USUAL_UNIT, _FULL = 4, "3", 500  # CO, ppm


def far_end(device: Device, rest: Mapping[str, float]) -> FarEnd:
    """Return the sensor."""
    return _FarEnd(options_of(device, DeviceOptions, strict=True), device, rest)


class _FarEnd:
    def __init__(self, own: DeviceOptions, device: Device, rest: Mapping[str, float]) -> None:
        self._own = own
        self._device = device
        self._turn = 0
        self.show(rest)

    def say(self, turn: int, wall: int) -> bytes:
        del wall
        self._turn = turn
        return self._frame(asked=False) if self._own.mode == "initiative" else b""

    def hear(self, data: bytes, wall: int) -> bytes:
        del wall
        question = {"winsen": _ASK, "megatec": MEGATEC_QUESTION, "dyp": b"\x55"}[self._own.sensor]
        return self._frame(asked=True) if question in data else b""

    def show(self, values: Mapping[str, float]) -> None:
        self._figures: dict[str, float] = {}
        for spec in self._device.profile.points:
            if spec.name in values:
                decode = msgspec.convert(spec.decode, FigureOptions)
                value = float(not values[spec.name]) if spec.invert else values[spec.name]
                self._figures[decode.figure] = (value - decode.offset) / decode.scale

    def burn(self) -> None:
        """It sees no fire."""

    def over(self) -> None:
        """It latches nothing."""

    def _frame(self, *, asked: bool) -> bytes:
        value = moved(self._figures.get("value", 0.0), self._turn)
        if self._own.sensor == "megatec":
            return megatec_line(dict(self._figures))
        if self._own.sensor == "dyp":
            return dyp_frame(round(value))
        if asked:
            value = value / self._own.answer_scale
            return winsen_answer(VALUE, round(value), round(self._figures.get("temperature", _ROOM)) + 40)
        code, factor = next(iter(self._own.units.items()), (_USUAL_UNIT, 1.0))
        gas = _USUAL_GAS if self._own.gas is None else self._own.gas
        tens = 10**_TENTHS
        return winsen_upload(gas, int(code, 0), _TENTHS, max(0, round(value / factor * tens)), _FULL * tens)
