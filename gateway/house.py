"""A living station: every part put together and started in one TaskGroup.

Part of the composition root; decides nothing. The flow stands in `gateway.pipeline.run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway import fitting
from gateway.clock import Clock
from gateway.config.kept import dump
from gateway.control import Control
from gateway.errors import DeliveryError
from gateway.model.batch import Event, EventCode, make_batch
from gateway.model.contact import ChannelSpec
from gateway.model.inventory import OWN, events_of, names_of, points_of, renames_of
from gateway.model.notification import ChannelState
from gateway.model.ports import Channel, ChannelSetup, Driver, DriverSetup
from gateway.model.station import SourceSpec, Station
from gateway.model.walktest import subjects_of
from gateway.pipeline.dispatch import Dispatcher
from gateway.pipeline.found import Life, Past
from gateway.pipeline.intake import Intake, rank_points
from gateway.pipeline.ledger import Ledger
from gateway.pipeline.opening import Enrolment, Faults, Opened
from gateway.pipeline.recovery import shift_of, start_of
from gateway.pipeline.reopening import Reopener
from gateway.pipeline.restart import restore
from gateway.pipeline.run import Runner
from gateway.pipeline.supervisor import Supervisor
from gateway.pipeline.timekeeper import Timekeeper
from gateway.pipeline.validate import Axis
from gateway.transport import unix

log = logging.getLogger(__name__)
ARMED_ANYHOW = 3.0  # s after which a source that neither comes up nor fails is no longer waited for


@dataclass(slots=True)
class Remembered:
    """A plug-in's small durable map, written with the ledger's next commit. `prefix` keeps plug-ins apart."""

    prefix: str
    rows: dict[str, str]
    keep: Callable[[str, str, str], None]

    def get(self, key: str) -> str | None:
        """Return what was put, also before a restart."""
        return self.rows.get(self.prefix + key)

    def put(self, key: str, value: str) -> None:
        """Keep it with the next commit; what stands already costs nothing."""
        if self.rows.get(self.prefix + key) != value:
            self.rows[self.prefix + key] = value
            self.keep("memory", self.prefix + key, value)


def enrolment(station: Station, digest: str) -> Enrolment:
    """Return what a configuration wants to find in its store."""
    return Enrolment(
        names_of(station), renames_of(station), digest, dump(station), restore=partial(restore, station, digest)
    )


class House:
    """One living station. `remarks` are what went wrong before: each becomes a line of a fault alarm."""

    def __init__(
        self,
        station: Station,
        digest: str,
        opened: Opened,
        clock: Clock,
        *,
        remarks: Sequence[str] = (),
        faults: Faults = lambda _: None,
    ) -> None:
        self.station = station
        self.clock = clock
        self._digest = digest
        self._store, self._volatile = opened.store, opened.volatile
        self.unread = opened.unread  # what was before is not known: neither alarms nor memories
        restored = opened.restored
        if restored is None:
            raise AssertionError("the store is opened, then enrolled, then lived in")
        self._remarks = [*opened.remarks, *remarks, *restored.remarks]
        self.ids, self.state = restored.ids, restored.state
        self._wake = asyncio.Event()
        engine = self.state.successor or self.state.engine
        self.intake = Intake(rank_points(engine.life_points, len(self.state.latest.value)), self._wake.set)
        self.runner = Runner(self.state, self.intake, clock, self._wake)
        self.ledger = self.runner.ledger = Ledger(
            None if opened.volatile else self._store,
            self._reopener(opened, faults),
            clock=clock,
            limits=station.limits,
            interval=station.store.commit_interval,
            house=self.runner,
            configuration=digest,
            seq=self._store.last().seq,
            faults=faults,
        )
        self.ledger.wake = self._wake.set
        self.timekeeper = Timekeeper(
            clock,
            self.intake.put,
            trusted_by_configuration=station.clock == "trusted",
            floor=self._store.last().mono + restored.axis.offset if restored.axis.trusted else 0,
        )
        self._memory = self.runner.memory = restored.memory
        self.links: dict[str, Supervisor] = {}
        self.outcome = 0  # exit code of the daemon
        self._life: asyncio.Task[None] | None = None
        self.requests: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}  # which parts of the annex answer
        self.life = {point.device for point in points_of(station, self.ids) if point.id in engine.life_points}
        self.drivers = {source.id: self._driver(source, frozenset(self.life)) for source in station.sources}
        self.channels = {spec.id: self._channel(spec) for spec in station.channels}
        self.runner.dispatcher = Dispatcher(
            self.channels,
            self.intake.put,
            clock,
            send_timeout=station.limits.send_timeout,
            faults=faults,
        )
        self._begin(restored.axis)

    # -- putting together

    def _reopener(self, opened: Opened, faults: Faults) -> Reopener:
        spec, wanted, anew = self.station.store, enrolment(self.station, self._digest), self.runner.store_begun_anew
        return Reopener(spec, opened, wanted, self.ids, faults, tell=self._found, begun=anew)

    def _driver(self, source: SourceSpec, life: frozenset[str]) -> Driver:
        devices = [device for device in self.station.devices if device.source == source.id]
        points = [self.ids[f"{device.id}.{spec.name}"] for device in devices for spec in device.profile.points]
        link = self._link(source.id, self.ids[events_of(f"@{source.id}")], points)
        return fitting.driver(
            DriverSetup(
                source=source,
                devices=devices,
                point_ids=self.ids,
                life_safety=life,
                clock=self.clock,
                memory=self.remembered(f"source {source.id}"),
                report=link,
                limits=self.station.limits,
                station=self.station.id,
                marks=self._store.all_marks(),
                wall=self.timekeeper.wall,
            )
        )

    def _channel(self, spec: ChannelSpec) -> Channel:
        name = f"channel {spec.id}"
        return fitting.channel(
            ChannelSetup(
                spec=spec,
                clock=self.clock,
                memory=self.remembered(name),
                report=self._link(name, self.ids[events_of(OWN)], key=name),
                write=self.write,
                limits=self.station.limits,
                station=self.station.id,
            )
        )

    def remembered(self, owner: str) -> Remembered:
        """Return the small durable map of a plug-in or part."""
        return Remembered(f"{owner} ", self._memory, self.ledger.keep)

    def _link(self, name: str, events: int, points: Sequence[int] = (), *, key: str = "link") -> Supervisor:
        self.links[name] = Supervisor(
            name,
            clock=self.clock,
            put=self.intake.put,
            events=events,
            key=key,
            points=points,
            fault_after=self.station.limits.link_fault,
        )
        return self.links[name]

    def _begin(self, before: Axis) -> None:
        """Put the first inputs: the start, wall time (`before`: in the last life), and what went wrong before."""
        epoch = self.timekeeper.epoch
        shift = shift_of(self._store.last(), before, self.clock, epoch)
        self.intake.put(epoch)  # first: what the start tells again speaks of wall time
        self.intake.put(start_of(self.clock, self._digest, shift))
        if self._volatile:
            self.ledger.begin_volatile("; ".join(self._remarks))
        else:
            self.runner.store_fault(None)
        self._say_start_fault(self._remarks)

    def _say_start_fault(self, remarks: Sequence[str]) -> None:
        """Raise the fault of a start that did not go as it should; without remarks let it return to normal."""
        code = EventCode.FAULT if remarks else EventCode.RESTORE
        event = Event(self.state.gateway_events, "start", code, "; ".join(remarks))
        self.intake.put(make_batch("gateway", self.clock.mono(), events=[event]))

    def _found(self, past: Past) -> None:
        """Go on with unacknowledged alarms, and memories, of a store that could only be read after the start."""
        for key, text in past.memory.items():
            if not key.startswith("channel "):  # how a siren was left is for this life's alarms to say
                self._memory.setdefault(key, text)
        self.unread = False
        if past.alarms:
            own, now = self.state.gateway_events, self.clock.mono()
            self.intake.put(Life(self.ids, own, self.clock.boot(), self.state.axis, now).found(past.alarms))

    # -- living

    async def run(
        self,
        ready: Callable[[], None] = lambda: None,
        beside: Mapping[str, Callable[[], Awaitable[None]]] = MappingProxyType({}),
    ) -> None:
        """Live until cancelled, parts `beside` the flow too; what is open is written before the last door closes."""
        self._life = asyncio.current_task()
        control = Control(
            self.runner,
            self.clock,
            links=lambda: [link.health for link in self.links.values()],
            people={contact.id: contact.name for contact in self.station.contacts},
            subjects=partial(subjects_of, self.station, self.ids, self.life),
            parts=self.requests,
        )
        async with AsyncExitStack() as doors:
            doors.push_async_callback(self.ledger.close)
            doors.push_async_callback(self.runner.dispatcher.close)
            try:
                await doors.enter_async_context(unix.serve(self.socket, control.answer))
            except OSError as error:  # a disk that cannot be written: people still act by SMS
                self._say_start_fault([*self._remarks, f"no control socket {self.socket}: {error.strerror}"])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.runner.run(), name="runner")
                tasks.create_task(self.timekeeper.run(), name="timekeeper")
                for name, driver in self.drivers.items():
                    link = self.links[name]
                    tasks.create_task(link.run(partial(driver.run, link.emit)), name=name)
                for name, channel in self.channels.items():
                    link = self.links[f"channel {name}"]
                    tasks.create_task(link.run(partial(self._keep_channel, name, channel)), name=link.health.name)
                for name, part in beside.items():
                    link = self._link(name, self.ids[events_of(OWN)], key=name)
                    tasks.create_task(link.run(part), name=name)
                tasks.create_task(self._announce(ready), name="announce")

    def stop(self, outcome: int) -> None:
        """End in order, as a signal would; the daemon then exits with `outcome`."""
        self.outcome = outcome
        if self._life is not None:
            self._life.cancel()

    async def _announce(self, ready: Callable[[], None]) -> None:
        """Say that the house is armed when every source has come up, or failed once, or takes too long for either."""
        with contextlib.suppress(TimeoutError):
            async with self.clock.timeout(ARMED_ANYHOW):
                for source in self.station.sources:
                    await self.links[source.id].tried.wait()
        ready()

    @property
    def socket(self) -> Path:
        """Where acts are taken: as configured, else beside the store."""
        return Path(self.station.socket or f"{self.station.store.path}.sock")

    async def _keep_channel(self, name: str, channel: Channel) -> None:
        """Run a channel; while it is down, steps do not wait for it."""
        try:
            await channel.run(self.intake.put)
        except Exception as error:
            self.intake.put(ChannelState(channel=name, up=False, at=self.clock.mono(), reason=str(error)))
            raise

    async def write(self, device: str, point: str, value: float) -> None:
        """Set an output of a device; DeliveryError or LinkDown when it did not take."""
        source = next((known.source for known in self.station.devices if known.id == device), "")
        driver = self.drivers.get(source)
        if driver is None:
            raise DeliveryError(f"no device {device}", retryable=False)
        await driver.write(device, point, value)
