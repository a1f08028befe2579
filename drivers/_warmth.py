"""Whether a device that must warm up has been under power for long enough: `preheat` of its profile.

Beside the drivers of such devices (`uart`, `modbus_rtu`, `modbus_tcp`). Keeps house section 6: what a cold sensor says
is BAD, never normal.
"""

from __future__ import annotations

from typing import Literal

from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.time import SECOND

Power = Literal["shared", "own"]  # with this box: it is cold after the box was; only a silence of its own makes it cold
POWER_CUT = 60 * SECOND  # ns of silence after which it may have been without power: it warms up again


class Warmth:
    """Whether a device is warm, in all conversations with it.

    It was cold when it was never heard, when it was silent for long, and when it is fed with this box and the box was
    booted since it was warm; a restart of the daemon alone does not cool it.
    """

    def __init__(self, device: Device, setup: DriverSetup, power: Power) -> None:
        self._memory, self._key, self._boot = setup.memory, f"warm/{device.id}", setup.clock.boot()
        self._preheat = round(device.profile.preheat * SECOND)
        self._silence = max(POWER_CUT, 3 * round(device.poll * SECOND))
        before = self._memory.get(self._key)
        self._cold = before is None or (power == "shared" and before != self._boot)
        self._heard = 0  # ns of its last word, 0: none yet
        self._warm_at = 0

    def heard(self, now: int) -> bool:
        """Note that it speaks; return whether its figures count already."""
        if not self._preheat:
            return True
        if now - self._heard > self._silence if self._heard else self._cold:
            self._warm_at = now + self._preheat
        self._heard = now
        warm = now >= self._warm_at
        if warm:  # not before: a restart in the middle begins anew
            self._memory.put(self._key, self._boot)
        return warm
