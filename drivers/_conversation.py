"""Drivers on a wire: `Talking` joins pure conversations to serial lines, TCP in both directions and UDP.

How to write such a driver, in one file `drivers/<name>.py`:

    class Options(WireOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
        \"\"\"Keys of a `[[source]]` …, beside those of the wire.\"\"\"
        password: str = ""

    OPTIONS = Options
    DEVICE_OPTIONS = DeviceOptions                      # a Struct: keys of a [[device]] or of its profile's [options]

    def create(setup: DriverSetup) -> Talking:
        options = read_options(setup, Options)          # ConfigError
        addresses = {read_device(device, DeviceOptions).address: device for device in setup.devices}
        return Talking(setup, options, lambda name: MyConversation(options, addresses, setup.point_ids))

    class MyConversation:                               # pure; see `Conversation`, one per peer
        def hear(self, data, now, wall): return [self._said(frame) for frame in self._frames.feed(data)]
        def tick(self, now, wall): …                    # drop a half frame, ask again: Said(at_once=b"…")
        def due(self): return NEVER
        def ask(self, device, point, value, now, wall): return None

`Talking` does the rest: peers (bounded; a flood of callers never keeps a known device out), batches whose answers
leave after their commit (house rule 4), late answers and repeats (section 7, last bullet; section 4), idle limits,
counters per device and reason (`"DEVICE reason"`), BAD quality of a device whose connection is gone, outputs. Problems
in `Decoded` are counted, so codecs put closed reasons there. Events of unknown addresses go to
`setup.point_ids[f"@{setup.source.id}.events"]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import msgspec

from drivers._conversation_listening import LOST_AFTER, Listening
from drivers._conversation_said import Conversation, Question, Said, Talk
from drivers._installing import options_of
from drivers._together import until_one_ends
from gateway.clock import Clock
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.point import Device
from gateway.model.ports import Decoded, DriverSetup, Emit
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.transport.wires import Ears, WireOptions, attend

__all__ = [
    "Conversation",
    "Decoded",
    "Question",
    "Said",
    "Talk",
    "Talking",
    "WireOptions",
    "read_device",
    "read_options",
]

Struct = TypeVar("Struct", bound=msgspec.Struct)
Attend = Callable[[WireOptions, Ears, Clock], Awaitable[None]]


def read_options(setup: DriverSetup, schema: type[Struct]) -> Struct:
    """Return the keys of the source. Raises ConfigError."""
    try:
        return msgspec.convert(setup.source.options, schema)
    except msgspec.ValidationError as error:
        raise ConfigError(f"source {setup.source.id}: {error}") from error


def read_device(device: Device, schema: type[Struct]) -> Struct:
    """Return the keys of a device; what it does not give comes from its profile. Raises ConfigError."""
    try:
        return options_of(device, schema, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"device {device.id}: {error}") from error


class Talking:
    """A wire as source of batches (port `Driver`).

    `talk(name)` makes the conversation with a new peer. `lost_after`: seconds after which a device whose connection is
    gone has BAD points; None where devices hang up by themselves after every report (then the silence limit of its
    profile tells). `wire` is the seam for wires that are none.

    Raises:
        ConfigError: more devices than the wire takes peers.
    """

    def __init__(
        self,
        setup: DriverSetup,
        options: WireOptions,
        talk: Talk,
        *,
        lost_after: float | None = LOST_AFTER,
        wire: Attend = attend,
    ) -> None:
        if options.many and options.peers <= len(setup.devices):
            fix = f"fix: peers = {2 * len(setup.devices)}"
            raise ConfigError(
                f"source {setup.source.id}: peers = {options.peers}, but it has {len(setup.devices)} devices; {fix}"
            )
        self.talk = talk  # also for whoever decodes without a wire
        self._options = options
        self._clock = setup.clock
        self._source = setup.source.id
        self._attend = wire
        self._devices = frozenset(device.id for device in setup.devices)
        self._nudge = asyncio.Event()
        self._sleeps_until = 0
        self._listening = Listening(setup, options, talk, lost_after=lost_after, wake=self._wake)

    async def run(self, emit: Emit) -> None:
        """Listen until the wire is lost (raises LinkDown) or this is cancelled; then everything is closed."""
        self._sleeps_until = 0
        self._listening.begin(emit)
        pace = asyncio.create_task(self._pace(), name=f"{self._source} pace")
        try:
            await until_one_ends(self._attend(self._options, self._listening, self._clock), pace)
        finally:
            self._listening.end()
        raise LinkDown(f"{self._source}: the wire ended")

    async def write(self, device: str, point: str, value: float) -> None:
        """Set an output and wait until the device says that it took.

        Raises:
            DeliveryError: no such output or refused (not retryable), not connected or not answered (retryable).
            LinkDown: the wire is not open, or was lost meanwhile.
        """
        if device not in self._devices:
            raise DeliveryError(f"{device}: no such device on {self._source}", retryable=False)
        listening = self._listening
        party, question = listening.ask(device, point, value)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        listening.questions[question] = answer
        try:
            for _ in range(question.tries):
                if not listening.here(party):
                    raise DeliveryError(f"{device}: hung up", retryable=True)
                listening.send(party, question.data)
                with suppress(TimeoutError):
                    async with self._clock.timeout(question.limit):
                        if refusal := await asyncio.shield(answer):
                            raise DeliveryError(f"{device}.{point}: refused: {refusal}", retryable=False)
                        return
            raise DeliveryError(f"{device}.{point}: no answer", retryable=True)
        finally:
            listening.questions.pop(question, None)
            answer.cancel()

    def _wake(self, due: int) -> None:
        """Note that something is due, perhaps before the pace would look again."""
        if due < self._sleeps_until:
            self._nudge.set()

    async def _pace(self) -> None:
        """Do what is due when it is due."""
        listening = self._listening
        while True:
            self._sleeps_until = due = listening.work()
            self._nudge.clear()
            seconds = None if due == NEVER else (due - self._clock.mono()) / SECOND
            with suppress(TimeoutError):
                async with self._clock.timeout(seconds):
                    await self._nudge.wait()
