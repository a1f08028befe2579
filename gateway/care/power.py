"""Mains and battery: what is known of them becomes points, and a battery that runs out ends the station in order.

Beside the flow. A committed reading survives a cut of the power, so a station stays up on its battery to the last by
default: `at_low` says otherwise. In that order then: the alarm is committed, people are told, and only then the daemon
ends or the machine is switched off (house section 7: fail towards alarming).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from gateway.clock import SECOND, Clock
from gateway.errors import GatewayError
from gateway.model.batch import Batch, make_batch
from gateway.model.care import PowerSpec
from gateway.model.inventory import BOX
from gateway.protocols import nut as words
from gateway.transport import nut

LOOK_EVERY = 5.0  # s
WITHIN = 5.0  # s for one question to a NUT server
HOLD = 15.0  # s that low must last: a battery under a new load dips
GRACE = 30.0  # s for messages to leave after the alarm is committed
EXIT = 4  # of a daemon that ended because its battery runs out
GOOD = 0

Level = Callable[[str], float | None]


class PowerOffError(GatewayError):
    """The machine could not be switched off: it stays up until its battery is empty."""


class Ups:
    """A UPS that a NUT server knows, as points of the box. `low`: whether it says itself that its battery runs out."""

    def __init__(self, spec: PowerSpec, put: Callable[[Batch], None], *, ids: Mapping[str, int], clock: Clock) -> None:
        self._ups, self._host, self._port = words.address(spec.nut)
        self._taken = {"battery_charge", "battery_runtime"} | (set() if spec.mains_lost else {"mains"})
        self._put = put
        self._ids = ids
        self._clock = clock
        self.low = False

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Ask until cancelled. Raises LinkDown, ProtocolViolation."""
        try:
            while True:
                found = await nut.variables(self._ups, self._host, self._port, clock=self._clock, deadline=WITHIN)
                told = words.figures(found)
                self.low = told.get("battery_low") == 1
                rows = [(self._ids[f"{BOX}.{name}"], 0, told[name], GOOD) for name in told if name in self._taken]
                self._put(make_batch(BOX, self._clock.mono(), rows))
                alive()
                await self._clock.sleep(LOOK_EVERY)
        finally:
            self.low = False


class Power:
    """Watches the levels and acts on them.

    Args:
        spec: what is configured.
        put: the intake.
        level: newest believed value of a point by name; None when it is not known.
        said_low: whether a UPS says itself that its battery runs out.
        ids: durable ids by `device.point`.
        clock: counts.
        stop: ends the daemon with an exit code.
        power_off: switches the machine off. Raises PowerOffError.
    """

    def __init__(
        self,
        spec: PowerSpec,
        put: Callable[[Batch], None],
        *,
        level: Level,
        said_low: Callable[[], bool],
        ids: Mapping[str, int],
        clock: Clock,
        stop: Callable[[int], None],
        power_off: Callable[[], Awaitable[None]],
    ) -> None:
        self._spec = spec
        self._put = put
        self._level = level
        self._said_low = said_low
        self._ids = ids
        self._clock = clock
        self._stop = stop
        self._power_off = power_off
        self._lost_since: int | None = None
        self._low_since: int | None = None
        self._acted = False

    async def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Watch until cancelled. Raises PowerOffError."""
        alive()
        while True:
            await self._clock.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Look once, and act when the battery has been low for long enough."""
        now = self._clock.mono()
        lost = self._lost()
        self._lost_since = (self._lost_since or now) if lost else None
        low = bool(lost) and self._low(now)
        self._low_since = (self._low_since or now) if low else None
        rows = []
        if self._spec.mains_lost and lost is not None:
            rows.append((self._ids[f"{BOX}.mains"], 0, float(not lost), GOOD))
        if lost is not None:
            rows.append((self._ids[f"{BOX}.battery_low"], 0, float(low), GOOD))
        self._put(make_batch(BOX, now, rows))
        if self._low_since is None:
            self._acted = False
        elif not self._acted and now - self._low_since >= HOLD * SECOND and self._spec.at_low != "stay":
            self._acted = True
            await self._end()

    def _lost(self) -> bool | None:
        """Return whether the mains are lost; None when nothing is known of them, which ends nothing."""
        if self._spec.mains_lost:
            told = self._level(self._spec.mains_lost)
            return None if told is None else told != 0
        mains = self._level(f"{BOX}.mains")
        return None if mains is None else mains == 0

    def _low(self, now: int) -> bool:
        charge = self._level(f"{BOX}.battery_charge")
        empty = charge is not None and charge < self._spec.low
        long_gone = bool(self._spec.lasts) and now - (self._lost_since or now) >= self._spec.lasts * SECOND
        return empty or long_gone or self._said_low()

    async def _end(self) -> None:
        """Let what stands be committed and told, then end; mains that come back call it off."""
        committed = asyncio.Event()
        row = (self._ids[f"{BOX}.battery_low"], 0, 1.0, GOOD)
        self._put(make_batch(BOX, self._clock.mono(), [row], ack=committed.set, waiting=True))
        await committed.wait()
        await self._clock.sleep(GRACE)
        if not self._lost():
            return
        if self._spec.at_low == "poweroff":
            await self._power_off()
        else:
            self._stop(EXIT)


async def power_off(*command: str, clock: Clock) -> None:
    """Run the command that switches the machine off. Raises PowerOffError: it cannot, or refuses."""
    try:
        async with clock.timeout(WITHIN * 2):
            process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
            _, said = await process.communicate()
    except (OSError, TimeoutError) as error:
        raise PowerOffError(f"{' '.join(command)}: {str(error) or 'no answer'}") from error
    if process.returncode:
        raise PowerOffError(f"{' '.join(command)}: {said.decode(errors='replace').strip()}")
