"""Channel `relay`: a buzzer or siren on an output of a device; the one way to reach people that needs no network.

Beside the dispatcher, through `setup.write` to the device's driver, which reads the output back. The escalation counts
alarms and says "on" and "off" (SOUND, SILENCE); here the newest word counts and is kept: it is set again after a
restart, after a bus failure, and now and then anyway, because a module that lost its power has forgotten it and a
channel that is needed once a year must be known to work before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from gateway.config.options import read
from gateway.config.quantities import Seconds
from gateway.errors import DeliveryError, DriverError
from gateway.model.contact import ChannelKind
from gateway.model.moment import Input
from gateway.model.notification import ChannelState, DeliveryState, Notification, NotifyReason, Receipt
from gateway.model.ports import ChannelSetup

ADDRESSED = ChannelKind.PLACE
_ON = frozenset({NotifyReason.SOUND, NotifyReason.RAISED, NotifyReason.ESCALATED, NotifyReason.REPEATED})
_OFF = frozenset(
    {
        NotifyReason.SILENCE,
        NotifyReason.TAKEN_OVER,
        NotifyReason.SHELVED,
        NotifyReason.OUT_OF_SERVICE,
        NotifyReason.ALL_CLEAR,
        NotifyReason.FALSE_ALARM,
    }
)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of a `[[channel]]` with `kind = "relay"`.

    `on` and `off` are what is written to the point; `refresh`: how often it is set again; `retry`: how often while it
    fails; `timeout`: how long a write may take. Times in seconds.
    """

    device: str
    point: str
    on: float = 1.0
    off: float = 0.0
    refresh: Seconds = 15.0
    retry: Seconds = 3.0
    timeout: Seconds = 5.0

    def __post_init__(self) -> None:
        """Refuse an output that cannot change, and times that would never end or never pass."""
        if self.on == self.off:
            raise ValueError("on and off must differ")
        if min(self.refresh, self.retry, self.timeout) <= 0:
            raise ValueError("refresh, retry and timeout must be above 0s")


OPTIONS = Options
_MEMORY = "sounding"  # "<id of the newest notice> on|off"


def create(setup: ChannelSetup) -> Relay:
    """Build the channel; nothing is written yet. Raises ConfigError: unknown or wrong keys."""
    return Relay(setup, read(setup.spec, Options))


class Relay:
    """Keeps one output as the newest notice wants it."""

    def __init__(self, setup: ChannelSetup, options: Options) -> None:
        self._id = setup.spec.id
        self._clock = setup.clock
        self._memory = setup.memory
        self._write = setup.write
        self._health = setup.report
        self._options = options
        self._turn = asyncio.Lock()
        newest, _, state = (setup.memory.get(_MEMORY) or "").partition(" ")
        self._newest = int(newest) if newest.isdecimal() else -1
        self._inherited = True  # `_newest` is of an earlier life, whose ids may have been lost with its store
        self._wanted = state == "on"
        self._actual: bool | None = None  # as read back; None: not known
        self._tell: Callable[[Input], None] | None = None
        self._told: str | None = None

    async def run(self, tell: Callable[[Input], None]) -> None:
        """Set the output again and again, and tell when that stops or starts to work."""
        self._tell, self._told = tell, None
        try:
            while True:
                try:
                    await self._set(again=True)
                except DeliveryError:
                    await self._clock.sleep(self._options.retry)
                else:
                    await self._clock.sleep(self._options.refresh)
        finally:
            self._tell = None

    async def send(self, notice: Notification) -> Receipt:
        """Switch on or off; DELIVERED when it reads back so. Raises DeliveryError, and goes on trying in `run`."""
        on = notice.reason in _ON
        if (on or notice.reason in _OFF) and (notice.id >= self._newest or (on and self._inherited)):
            self._newest, self._inherited, self._wanted = notice.id, False, on
            self._memory.put(_MEMORY, f"{notice.id} {'on' if self._wanted else 'off'}")
        await self._set(again=False)
        return Receipt(notice=notice.id, state=DeliveryState.DELIVERED, at=self._clock.mono())

    def accepted(self, token: str) -> None:
        """Nothing comes back by this way."""

    async def _set(self, *, again: bool) -> None:
        """Write what is wanted when its turn has come; several waiting for the same are one write."""
        async with self._turn:
            wanted = self._wanted
            if self._actual is wanted and not again:
                return
            self._actual = None
            options = self._options
            try:
                async with self._clock.timeout(options.timeout):
                    await self._write(options.device, options.point, options.on if wanted else options.off)
            except TimeoutError as error:
                self._report("no answer in time")
                raise DeliveryError(f"{options.device}.{options.point}: no answer in time", retryable=True) from error
            except (DriverError, DeliveryError) as error:
                self._report(str(error))
                raise DeliveryError(f"{options.device}.{options.point}: {error}", retryable=True) from error
            self._actual = wanted
            self._report("")

    def _report(self, failure: str) -> None:
        """Tell a change of health once."""
        if not failure:
            self._health.alive()
        if self._tell is not None and failure != self._told:
            self._told = failure
            self._tell(ChannelState(channel=self._id, up=not failure, at=self._clock.mono(), reason=failure))
