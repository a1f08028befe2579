"""The modems of a station as figures of its box, and as a witness of the time.

Beside the flow. Every channel over a modem shares the one AT session of its port with both (house section 5); nothing
here asks the modem anything of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.clock import Clock
from gateway.model.modem import ModemStatus, OverModem

HEAR_EVERY = 10.0  # s
_REGISTRATION = {"home": 1.0, "roaming": 2.0}
_READY, _MISSING, _LOCKED = 1.0, 0.0, 2.0


class Modems:
    """All modems. `hear` takes what their clocks say: (ns monotonic, ns since 1970, error in ns)."""

    def __init__(self, modems: Sequence[OverModem], hear: Callable[[int, int, int], None], clock: Clock) -> None:
        self._modems = tuple(modems)
        self._hear = hear
        self._clock = clock
        self._heard = 0

    def figures(self) -> dict[str, float]:
        """Return the worst of each figure: a second modem that is well does not hide the first."""
        known = [status for modem in self._modems if (status := modem.modem()).model]  # answered once
        figures: dict[str, float] = {}
        if known:
            figures["modem_registered"] = min(_REGISTRATION.get(status.registration, 0.0) for status in known)
            figures["sim"] = max((_sim(status) for status in known), key=[_READY, _MISSING, _LOCKED].index)
        signals = [status.signal for status in known if status.signal is not None]
        if signals:
            figures["modem_signal"] = float(min(signals))
        return figures

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Pass on what the first modem that tells the time says, until cancelled."""
        alive()
        while True:
            await self._clock.sleep(HEAR_EVERY)
            told = next((time for modem in self._modems if (time := modem.network_time()) is not None), None)
            if told is not None and told.mono > self._heard:
                self._heard = told.mono
                self._hear(told.mono, told.wall, told.error)


def _sim(status: ModemStatus) -> float:
    if status.sim == "READY":
        return _READY
    return _LOCKED if status.pin_refused or "PIN" in status.sim or "PUK" in status.sim else _MISSING
