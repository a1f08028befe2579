"""Sink `gb26875_uplink`: our alarms and faults to a city monitoring centre, as a transmission device of GB/T 26875.3.

Runs in a process of its own (`gateway.uplink`), from the journal like every sink: what is not confirmed stays there and
is told once more, with the same bytes as long as this process lives, with the same content and times for ever (house
section 10: what has no trusted time is held back by then). Words: `_gb26875_words`; order: `_gb26875_telling`; the
centre's own commands: `_gb26875_answers`; the link: `_gb26875_line`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from gateway.clock import SECOND
from gateway.config.options import read
from gateway.errors import DeliveryError, GatewayError, LinkDown
from gateway.model.batch import EventCode
from gateway.model.point import Point
from gateway.model.portion import Aside, Portion
from gateway.model.ports import SinkSetup
from gateway.model.quality import LEVEL_SHIFT, Level
from gateway.model.station import SinkSpec
from gateway.model.words import nearest
from gateway.protocols.gb26875 import Command, Frame
from gateway.protocols.gb26875_objects import Analog
from gateway.protocols.gb26875_tables import COMPONENTS
from gateway.protocols.gb26875_units import encode_unit
from gateway.sinks._gb26875_answers import Answers
from gateway.sinks._gb26875_line import Call, Line, call
from gateway.sinks._gb26875_options import Options, offset_of
from gateway.sinks._gb26875_places import Places
from gateway.sinks._gb26875_telling import DUTY, DUTY_ANSWER, Step, Telling
from gateway.sinks._gb26875_words import Words

OPTIONS = Options
PATIENCE = 50.0  # s for one portion, below the minute after which a process is taken to hang
TURN = 5 * SECOND  # ns after which a portion is left, so that a new fire gets its turn
ROUNDS = 3  # of four denials each, while others are confirmed: then the centre will never take it
REMEMBERED = 5000  # packets that were sent, while what they belong to has not passed
_LOWEST, _HIGHEST = -(1 << 15), (1 << 15) - 1


def create(setup: SinkSetup, *, wire: Call = call) -> Gb26875Uplink:
    """Build the sink; `wire` is the seam for wires that are none.

    Raises:
        ConfigError: wrong keys.
    """
    return Gb26875Uplink(setup, read(setup.spec, Options), wire)


def misfits(spec: SinkSpec, points: Mapping[int, Point], people: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (key, reason, nearest name or nothing) of what the table names and cannot be told so: for `check`.

    `points`: every point of the station; `people`: ids of its contacts. Raises ConfigError: wrong keys.
    """
    options = read(spec, Options)
    yield from Places(options, points, {}).unknown()
    for name in options.operators:
        if name not in people:
            yield f"operators.{name}", f'unknown contact "{name}"', nearest(name, people)


class Gb26875Uplink:
    """Reports to one centre."""

    def __init__(self, setup: SinkSetup, options: Options, wire: Call) -> None:
        self._clock = setup.clock
        self._tell = setup.tell
        self._every = round(options.every * SECOND)
        self._places = Places(options, setup.points, setup.names)
        offset = offset_of(options.utc_offset)
        self._analogs = self._places.numbered()
        if left_out := [f"{key}: {reason}" for key, reason, _ in self._places.unknown()]:  # and the rest is told
            setup.tell("config", EventCode.INFO, f"配置有误，未采用 left out: {'; '.join(left_out)}")
        sink = setup.spec.id
        self._words = Words(
            self._places, setup.facts, setup.alarms, sink=sink, offset=offset, running=options.running_bit
        )
        self._telling = Telling(self._words, self._places, options.operators, sink=sink)
        self._answers = Answers(
            self._words,
            self._places,
            self._telling,
            clock=setup.clock,
            offset=offset,
            title=f"firegrid {setup.station}",
            analogs=self._values,
            tell=setup.tell,
            again=self._initialise,
        )
        self._line = Line(options, setup.clock, self._answer, wire)
        self._packets: dict[tuple[object, ...], bytes] = {}  # sent, but what they belong to has not passed yet
        self._done: set[tuple[object, ...]] = set()  # of those the confirmed ones
        self._denied: dict[tuple[object, ...], int] = {}  # rounds of denials
        self._newest: dict[int, tuple[int, float]] = {}  # point → (wall ns, value)
        self._sampled: dict[int, int] = {}  # point → wall ns of the value told last
        self._again = 0  # wall ns of an order to tell everything anew

    async def send(self, portion: Portion) -> Sequence[Aside]:
        """Tell a portion, see `Sink`. DeliveryError also when the centre is slow: what is left goes on in a second."""
        try:
            async with self._clock.timeout(PATIENCE):
                return await self._send(portion)
        except TimeoutError:
            raise LinkDown(f"{self._line.name} answers too slowly") from None

    async def _send(self, portion: Portion) -> Sequence[Aside]:
        await self._line.live()
        self._duty_over()
        if self._again:
            await self._take(self._telling.present(self._again))
            self._again = 0
        steps = self._telling.plan(portion.notes, self._clock.wall()) if portion.notes else []
        samples = self._samples(portion)
        asides = await self._take([*steps, *samples])
        for step in samples:
            self._sampled[step.word] = step.time
        if len(self._packets) > REMEMBERED:
            self._packets.clear()
            self._done.clear()
        return asides

    async def close(self) -> None:
        """Hang up."""
        self._line.close()

    async def _take(self, steps: Sequence[Step]) -> list[Aside]:
        """Have every step confirmed; return those that the centre will never take. Raises LinkDown, DeliveryError."""
        began, asides, refused, left = self._clock.mono(), [], "", 0
        taken = False
        for place, step in enumerate(steps):
            if step.key in self._done:
                continue
            if self._clock.mono() - began > TURN:
                left = len(steps) - place
                break
            try:
                await self._line.exchange(self._packet(step))
            except DeliveryError as error:
                refused = error.reason
                self._denied[step.key] = self._denied.get(step.key, 0) + 1
                continue
            taken = True
            self._done.add(step.key)
            self._confirmed(step)
        pending = [step for step in steps if step.key not in self._done]
        if not left and (taken or self._done):
            asides = [Aside(described(step), refused) for step in pending if self._denied.get(step.key, 0) >= ROUNDS]
        if left or len(asides) < len(pending):
            why = refused or f"{self._line.name} takes them slowly: {left} still wait"
            raise DeliveryError(why, retryable=True)
        for step in steps:
            self._packets.pop(step.key, None)
            self._denied.pop(step.key, None)
            self._done.discard(step.key)
        return asides

    def _packet(self, step: Step) -> bytes:
        if step.key not in self._packets:
            self._packets[step.key] = self._line.packet(encode_unit(step.type, [step.body]))
        return self._packets[step.key]

    def _confirmed(self, step: Step) -> None:
        if step.type == 3:
            return
        self._telling.confirmed(step)
        if step.type == 24 and getattr(step.body, "flags", 0) & DUTY_ANSWER:
            self._answers.duty_until = 0
            self._tell(DUTY, EventCode.RESTORE, "查岗已应答 the duty check was answered")

    # -- the centre's side

    def _answer(self, frame: Frame) -> tuple[int, bytes]:
        try:
            return self._answers.to(frame)
        except (GatewayError, ValueError):
            return Command.DENY, b""

    def _initialise(self) -> None:
        """Tell everything that stands once more, with the next portion."""
        self._again = self._clock.wall()
        self._telling.told.clear()

    def _duty_over(self) -> None:
        """Stop asking when the time is over; the alarm stays listed until a person has seen it."""
        if self._answers.duty_until and self._clock.mono() >= self._answers.duty_until:
            self._answers.duty_until = 0
            self._tell(DUTY, EventCode.RESTORE, "查岗超时无人应答 nobody answered the duty check in time")

    # -- values

    def _samples(self, portion: Portion) -> list[Step]:
        """Note the newest values of the points told as values; return those that are due."""
        if not self._analogs or not len(portion.point):
            return []
        wanted = np.isin(portion.point, list(self._analogs)) & (portion.quality >> LEVEL_SHIFT < Level.BAD)
        rows = np.flatnonzero(wanted & np.isfinite(portion.value))
        for row in rows[np.argsort(portion.time[rows], kind="stable")].tolist():
            point, time = int(portion.point[row]), int(portion.time[row])
            if time >= self._newest.get(point, (0, 0.0))[0]:
                self._newest[point] = time, float(portion.value[row])
        due = [
            (point, time)
            for point, (time, _) in self._newest.items()
            if time - self._sampled.get(point, 0) >= self._every
        ]
        steps = [(point, time, self._analog(point)) for point, time in due]
        return [Step(("value", point, time), 3, body, time, point) for point, time, body in steps if body is not None]

    def _analog(self, point: int) -> Analog | None:
        """Return the newest value as an object; None when the wire cannot hold it."""
        time, value = self._newest[point]
        quantity, one = self._analogs[point], self._places.component(point, "")
        raw = round(value * quantity.scale)
        if not _LOWEST <= raw <= _HIGHEST:
            return None
        tag = self._words.tag(time)
        return Analog(one.system, one.address, one.type, one.place, quantity.code, raw, tag)

    def _values(self) -> Mapping[tuple[int, int, int], Sequence[Analog]]:
        found = [self._analog(point) for point in self._newest]
        return {(one.system, one.address, one.place): [one] for one in found if one is not None}


def described(step: Step) -> str:
    """Return what a step tells, for people."""
    component = step.target.component if step.target else None
    if component is None:
        return f"type {step.type}: {step.body}"
    name = component.description.decode("gb18030", "replace")
    kind = COMPONENTS.get(component.type, component.type)
    return f"{name} ({kind}, {component.system}/{component.address}/{component.place}): {step.word:#06x}"
