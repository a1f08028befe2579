"""Polled Modbus devices behind one port → batches, and outputs set with read-back; the drivers say what the port is.

Joins profile (`drivers._modbus_points`), plan (`drivers._bus_plan`) and master (`drivers._modbus_master`) on one port
for `drivers.modbus_rtu` and `drivers.modbus_tcp`. Keeps house section 6 (a device that does not answer turns BAD, never
normal) and section 11 (only a lost port ends `run`; the supervisor opens it again). Every reading carries the raw reply
as its evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from drivers._bus_plan import BusPlan, Turn
from drivers._modbus_master import Answer, Master, Outcome, Port, Quarantine
from drivers._modbus_points import Block, Field, Row
from drivers._modbus_setup import Unit, schedule
from drivers._values import NO_COMMS, Reading
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.batch import make_batch
from gateway.model.ports import DriverSetup, Emit
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import MILLISECOND, SECOND
from gateway.protocols.modbus import Request

MISSES = 3  # in a row, before a device or a block of it counts as silent
SILENT = 3 * SECOND  # and no answer for so long
RETRY = 30 * SECOND
WRITE_TRIES = 2
GATEWAY = 1500 * MILLISECOND  # that gateways wait for a device of their bus before they turn to the next question
DEAF = 60 * SECOND  # when no device at all has answered for so long, it may be the adapter: the port is opened again
REFUSED: Reading = (NO_COMMS[0], quality(Level.BAD, Doubt.DEVICE_DOUBT))


@dataclass(slots=True)
class _Watch:
    """A block with what is known of it just now."""

    unit: int
    block: Block
    heard: int  # ns of its last answer, or of the start
    misses: int = 0
    refusals: int = 0
    silent: bool = False


@dataclass(slots=True, eq=False)
class _Command:
    """An output to set: what to send, how to read it back, and who waits."""

    unit: int
    point: Field
    ask: Request
    check: Request
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Bus:
    """What lives as long as the port is open."""

    master: Master
    plan: BusPlan
    emit: Emit
    heard: int  # ns of the last answer of any device, or of the start
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    commands: list[_Command] = field(default_factory=list)
    busy: int = 0  # ns until which a gateway may still wait for a device that has missed its question


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is polled through: `open` gives the port or raises LinkDown; `baudrate` is that of the devices.

    `queues`: a gateway may stand there that keeps a question until it has done with the one before.
    """

    name: str
    open: Callable[[], Awaitable[Port]]
    baudrate: int
    echo: bool = False
    queues: bool = False


class Polling:
    """Devices behind one port as source of batches (port `Driver`)."""

    def __init__(self, setup: DriverSetup, units: Sequence[Unit], line: Line) -> None:
        self._setup = setup
        self._clock = setup.clock
        self._units = units
        self._line = line
        now = setup.clock.mono()
        self._watches = [
            _Watch(place, block, now) for place, unit in enumerate(self._units) for block in unit.slave.blocks
        ]
        self._bus: _Bus | None = None
        self._owed: dict[int, Quarantine] = {}  # outlives a port
        self._deaf = False  # an open port says nothing any more: only an answer does

    @property
    def load(self) -> float:
        """Planned share of the line's time, 1.0 = full."""
        return self._plan(0).load

    async def run(self, emit: Emit) -> None:
        """Poll until cancelled.

        Raises:
            LinkDown: the port is absent, taken or was lost, or no device has answered for long.
        """
        port = await self._line.open()
        count = self._setup.report.count
        line = self._line
        master = Master(port, self._clock, baudrate=line.baudrate, echo=line.echo, count=count, owed=self._owed)
        now = self._clock.mono()
        bus = self._bus = _Bus(master, self._plan(now), emit, now)
        if not self._deaf:
            self._setup.report.alive()
        if bus.plan.load > 1:
            self._setup.report.finding("load", f"planned load {bus.plan.load:.0%}: poll less often or split the bus")
        try:
            while True:
                await self._take_turn(bus)
        finally:
            self._bus = None
            for command in bus.commands:
                if not command.done.done():
                    command.done.set_exception(LinkDown(f"{self._line.name}: lost before the output was set"))
            port.close()

    async def write(self, device: str, point: str, value: float) -> None:
        """Set an output and read it back, before any poll.

        Raises:
            DeliveryError: not an output or refused (not retryable), not answered or read back differently (retryable).
            LinkDown: the port is not open.
        """
        number = next((n for n, unit in enumerate(self._units) if unit.slave.device.id == device), None)
        if number is None:
            raise DeliveryError(f"{device}: no such device on {self._setup.source.id}", retryable=False)
        try:
            output = self._units[number].slave.output(point, value)
        except ConfigError as error:
            raise DeliveryError(str(error), retryable=False) from error
        for left in reversed(range(WRITE_TRIES)):
            bus = self._bus
            if bus is None:
                raise LinkDown(f"{self._line.name}: not open")
            command = _Command(number, *output, asyncio.get_running_loop().create_future())
            bus.commands.append(command)
            bus.plan.command(number, command)
            bus.nudge.set()
            try:
                await command.done
            except DeliveryError as error:
                if not error.retryable or not left:
                    raise
            else:
                return

    async def _take_turn(self, bus: _Bus) -> None:
        turn = bus.plan.next(self._clock.mono())
        if not isinstance(turn, Turn):
            bus.nudge.clear()
            try:
                async with self._clock.timeout((turn - self._clock.mono()) / SECOND):
                    await bus.nudge.wait()
            except TimeoutError:
                pass
        elif isinstance(turn.command, _Command):
            await self._set_output(bus, turn, turn.command)
        else:
            await self._poll(bus, turn)

    async def _poll(self, bus: _Bus, turn: Turn) -> None:
        watch = self._watches[turn.poll]
        unit = self._units[watch.unit]
        answer = await self._ask(bus, unit, watch.block.request, turn.deadline)
        self._book(bus, turn, answer, retry=watch.block.hourly and answer.outcome is Outcome.REFUSED)
        if answer.reply is None:
            watch.misses += 1
            self._tell_silence(bus, watch)
            self._give_up_when_deaf(bus)
            return
        watch.misses, watch.silent, watch.heard = 0, False, answer.at
        if answer.outcome is Outcome.REFUSED:
            watch.refusals += 1
            self._setup.report.count(f"exception_{answer.reply.exception}", 1)
            # One refusal may be "busy"; a device that goes on refusing must not look fresh.
            rows = unit.slave.lost(watch.block, REFUSED) if watch.refusals >= MISSES else []
        else:
            watch.refusals = 0
            rows = unit.slave.rows(watch.block, answer.reply.values, warming=not unit.warm)
            for name, remark in watch.block.remarks.items():
                self._setup.report.finding(f"{unit.slave.device.id}.{name} {watch.block.request.start}", remark)
        self._emit(bus, unit, rows, answer)

    async def _ask(self, bus: _Bus, unit: Unit, request: Request, deadline: int) -> Answer:
        """Ask, and wait longer where the gateway may still wait for another device: its silence costs nobody else."""
        asked = self._clock.mono()
        patience = (deadline + max(0, bus.busy - asked)) / SECOND
        answer = await bus.master.ask(request, unit.manners, deadline=patience)
        waits = self._line.queues and answer.outcome is Outcome.SILENT and not answer.given_up
        bus.busy = max(asked, bus.busy) + GATEWAY if waits else 0
        return answer

    async def _set_output(self, bus: _Bus, turn: Turn, command: _Command) -> None:
        if command.done.done():  # whoever asked has gone
            bus.commands.remove(command)
            return
        unit = self._units[command.unit]
        answer = await self._ask(bus, unit, command.ask, unit.patience.worst)
        if answer.outcome is Outcome.ANSWERED:
            answer = await self._ask(bus, unit, command.check, unit.patience.worst)
        self._book(bus, turn, answer)
        problem = self._output_problem(bus, command, answer)
        bus.commands.remove(command)  # from here on nobody else answers for it
        if command.done.done():
            return
        if problem is None:
            command.done.set_result(None)
        else:
            command.done.set_exception(problem)

    def _output_problem(self, bus: _Bus, command: _Command, answer: Answer) -> DeliveryError | None:
        unit, point = self._units[command.unit], command.point
        name = f"{unit.slave.device.id}.{point.spec.name}"
        if answer.reply is None:
            return DeliveryError(f"{name}: no answer ({answer.outcome.value})", retryable=True)
        if answer.outcome is Outcome.REFUSED:
            return DeliveryError(f"{name}: refused with exception {answer.reply.exception}", retryable=False)
        value, packed = point.reading(answer.reply.values)
        self._emit(bus, unit, [(point.point, 0, value, packed)], answer)
        wanted = command.ask.values[0]
        if point.decode.written is not None:
            written = point.decode.written.index(wanted)
        else:
            written = int(wanted != 0) if command.check.function in (1, 2) else wanted
        if answer.reply.values[0] != written:
            return DeliveryError(f"{name}: reads back {answer.reply.values[0]}, not {written}", retryable=True)
        return None

    def _book(self, bus: _Bus, turn: Turn, answer: Answer, *, retry: bool = False) -> None:
        """Tell the plan, and note signs of life. `retry`: do not wait a whole period for what was refused."""
        now = self._clock.mono()
        if answer.reply is None:
            bus.plan.missed(turn, now)
            return
        bus.heard, self._deaf = now, False
        bus.plan.answered(turn, now, round(answer.delay * SECOND), retry=RETRY if retry else 0)
        unit = self._units[turn.device]
        unit.warm = unit.warmth.heard(answer.at)

    def _tell_silence(self, bus: _Bus, watch: _Watch) -> None:
        """Turn what is silent for good BAD: the whole device, or the one block of it that is never answered."""
        whole = bus.plan.misses(watch.unit) >= MISSES
        for one in self._watches if whole else [watch]:
            lasts = self._clock.mono() - one.heard
            if one.unit != watch.unit or one.silent or lasts < SILENT or not (whole or one.misses >= MISSES):
                continue
            one.silent = True
            if rows := self._units[one.unit].slave.lost(one.block, NO_COMMS):
                bus.emit(make_batch(self._setup.source.id, self._clock.mono(), rows))

    def _give_up_when_deaf(self, bus: _Bus) -> None:
        """Raise LinkDown when every device is silent: adapters hang, and come back when they are opened anew."""
        lasts = self._clock.mono() - bus.heard
        if lasts >= DEAF and all(bus.plan.misses(unit) >= MISSES for unit in range(len(self._units))):
            self._deaf = True
            raise LinkDown(f"{self._line.name}: open, but no device has answered for {lasts // SECOND} s")

    def _emit(self, bus: _Bus, unit: Unit, rows: list[Row], answer: Answer) -> None:
        frames = () if answer.reply is None else (answer.reply.frame,)
        alive = not rows or not unit.warm  # though nothing of it is believed
        heard = [one.point for one in unit.slave.fields[:1]] if alive else []
        bus.emit(make_batch(self._setup.source.id, answer.at, rows, frames=frames, frame=[0] * len(rows), heard=heard))

    def _plan(self, now: int) -> BusPlan:
        polls = [
            schedule(
                self._units[watch.unit],
                watch.unit,
                watch.block,
                baudrate=self._line.baudrate,
                life_safety=self._units[watch.unit].slave.device.id in self._setup.life_safety,
            )
            for watch in self._watches
        ]
        return BusPlan([unit.patience for unit in self._units], polls, now)
