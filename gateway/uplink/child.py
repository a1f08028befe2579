"""The process of one sink: reads the store, sends, and reports; dies with the daemon.

Started by `gateway.uplink.part`. Lines of JSON: on stdin first an `Order`, then `Wake`s ("something was committed");
on stdout `Report`s. It opens the store read-only and never touches the intake, so a far end that hangs costs the daemon
nothing; and nothing is polled: without a wake it sleeps (house section 4: heavy work runs in a child process).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import NoReturn

import msgspec

from gateway import registry
from gateway.clock import SECOND, Clock, SystemClock
from gateway.config.kept import undump
from gateway.errors import ConfigError, DeliveryError, GatewayError
from gateway.model.alarm import Alarm, AlarmState
from gateway.model.batch import EventCode
from gateway.model.inventory import names_of, points_of
from gateway.model.point import Point, PointSpec
from gateway.model.ports import Sink, SinkSetup
from gateway.model.station import Station
from gateway.store.feed import Feed
from gateway.store.read import Reader
from gateway.uplink.drain import Drain
from gateway.uplink.messages import HEARTBEAT, Order, Report, Rewind, Told
from rules.compile import compile_rules

SOON = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # s between tries when the far end does not answer
SLOWLY = 60.0  # s, when a person has to mend something first
REPORT_EVERY = SECOND // 4
THREADS = 16  # exchanges that never end, each with a thread: a fresh process is the cure
LONGEST = 400  # characters of what a far end wants told
LOST = 75  # exit code (EX_TEMPFAIL): start me again


class Child:
    """Turns until its stdin ends."""

    def __init__(self, order: Order, clock: Clock) -> None:
        self._order = order
        self._clock = clock
        self._wake = asyncio.Event()
        self._said_at = 0
        self._error = ""
        self._tries = 0
        self._rewind: Rewind | None = None
        self._told: list[Told] = []

    def wake(self, line: bytes) -> None:
        """Something was committed, or (a line that is not empty) a person wants something."""
        if line.strip():
            self._rewind = msgspec.json.decode(line, type=Rewind)
        self._wake.set()

    def tell(self, key: str, code: EventCode, text: str) -> None:
        """Have an event told by the daemon, with the next report."""
        self._told.append(Told(key, code, text[:LONGEST]))
        self._wake.set()

    def fail(self, reason: str) -> None:
        """Say the last words."""
        _say(Report(self._order.position, reason))

    async def run(self) -> NoReturn:
        """Send for ever. Raises GatewayError: the process is to be started again."""
        feed = Feed(self._order.store)
        sink = open_sink(self._order, self._clock, self.tell)
        drain = Drain(feed, sink, self._order.position, cursor=self._order.cursor, clock=self._clock)
        others = threading.active_count()
        while not feed.replaced() and threading.active_count() - others < THREADS:
            pause = HEARTBEAT
            if self._rewind is not None:
                drain.rewind(self._rewind.since)
                self._rewind = None
            try:
                more = await drain.turn()
            except DeliveryError as error:
                self._error, pause = error.reason, SOON[0] if error.retryable else SLOWLY
                more = False
            except GatewayError as error:
                self._error, more, pause = str(error), False, SOON[min(self._tries, len(SOON) - 1)]
            else:
                self._error = ""
            if self._error:
                self._tries += 1
                drain.interrupt()
                self._report(drain, now=True)
                await self._sleep(drain, pause)
                drain.interrupt()
                continue
            self._tries = 0
            self._report(drain, now=not more)
            if not more:
                await self._woken(pause)
        raise GatewayError("another store, or too many exchanges that never end: a fresh process is needed")

    async def _woken(self, seconds: float) -> None:
        try:
            async with self._clock.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _sleep(self, drain: Drain, seconds: float) -> None:
        """Back off; a sign of life goes on meanwhile."""
        while seconds > 0:
            await self._clock.sleep(min(seconds, HEARTBEAT))
            seconds -= HEARTBEAT
            self._report(drain, now=True)

    def _report(self, drain: Drain, *, now: bool) -> None:
        at = self._clock.mono()
        if now or self._told or at - self._said_at >= REPORT_EVERY:
            self._said_at = at
            waits = drain.waits()
            told, self._told = tuple(self._told), []
            _say(Report(drain.position, self._error, waits, (drain.oldest() or 0) if waits else 0, told))


def _say(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


def open_sink(
    order: Order, clock: Clock, tell: Callable[[str, EventCode, str], None] = lambda _key, _code, _text: None
) -> Sink:
    """Make the sink as the configuration in the store has it. Raises ConfigError, StoreError."""
    with Reader(order.store) as reader:
        kept, ids = reader.configuration(), reader.points()
    if kept is None:
        raise ConfigError("there is no configuration in the store yet")
    station = undump(kept[1])
    spec = next((spec for spec in station.sinks if spec.id == order.sink), None)
    if spec is None:
        raise ConfigError(f"the configuration in the store has no sink {order.sink!r}")
    known = {name: ids[name] for name in names_of(station) if name in ids}
    engine, _ = compile_rules(station, points_of(station, known))
    setup = SinkSetup(
        spec=spec,
        station=station.id,
        instance=order.position.instance,
        points=places(station, ids),
        facts=engine.facts,
        clock=clock,
        names={device.id: device.name for device in station.devices if device.name},
        alarms=partial(open_alarms, order.store),
        tell=tell,
    )
    made: Sink = registry.sink(spec.kind).create(setup)
    return made


def open_alarms(store: str) -> list[tuple[Alarm, int]]:
    """Return every open alarm with its time, as `SinkSetup.alarms` says. Raises StoreError."""
    with Reader(store) as reader:
        return [(row.body, reader.wall(row.boot, _since(row.body)) or 0) for row in reader.alarms()]


def _since(alarm: Alarm) -> int:
    return alarm.returned_at if alarm.state is AlarmState.RTN_UNACK else alarm.raised


def places(station: Station, ids: Mapping[str, int]) -> dict[int, Point]:
    """Return every point that the store knows; of one that left the configuration there is its name alone."""
    found = {}
    for name, number in ids.items():
        device, _, point = name.rpartition(".")
        found[number] = Point(number, device, PointSpec(name=point), "")
    known = {name: ids[name] for name in names_of(station) if name in ids}
    return found | {point.id: point for point in points_of(station, known)}


async def _main() -> NoReturn:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    child = Child(msgspec.json.decode(await orders.readline(), type=Order), SystemClock())
    working = asyncio.create_task(child.run())
    working.add_done_callback(partial(_ended, child))
    while line := await orders.readline():
        child.wake(line)
    os._exit(0)  # the daemon is gone: no thread of ours is waited for


def _ended(child: Child, task: asyncio.Task[NoReturn]) -> None:
    error = task.exception()
    child.fail(str(error) if isinstance(error, GatewayError) else repr(error))
    os._exit(LOST)


def main() -> None:
    """Run the process. It ends with its stdin, not with the terminal's Ctrl-C: the daemon stops first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_main())
