"""A wire that is none, and a store that commits when it is told: what `drivers._conversation` is tested on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec

from drivers._conversation import Talking, WireOptions
from gateway.clock import Clock
from gateway.driven_clock import FakeClock
from gateway.model.batch import Batch, Event, Mark
from gateway.model.point import Device, PointSpec, Profile
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.transport.wires import Ears
from tests.channel_rigs import Notes
from tests.line_talk import LineTalk, Options

POINTS = (PointSpec(name="v"), PointSpec(name="w"))


class FakePeer:
    """A far end that keeps what is sent to it (port `Peer`)."""

    def __init__(self, name: str, address: str = "") -> None:
        self.name = name
        self.address = address or name.rpartition(":")[0]
        self.sent: list[bytes] = []
        self.reads = True
        self.held = False
        self.done = False
        self.closed = False

    def write(self, data: bytes) -> bool:
        """Keep it."""
        if self.closed or not self.reads:
            return False
        self.sent.append(data)
        return True

    def hold(self, *, on: bool) -> None:
        """Note it."""
        self.held = on

    def close(self) -> None:
        """Note it."""
        self.closed = True


class FakeWire:
    """In place of `attend`: what a test says is heard."""

    def __init__(self) -> None:
        self.ears: Ears | None = None
        self.breaks: asyncio.Future[None] | None = None

    async def __call__(self, options: WireOptions, ears: Ears, clock: Clock) -> None:
        """Stand until `breaks` gets an exception."""
        del options, clock
        self.ears, self.breaks = ears, asyncio.get_running_loop().create_future()
        ears.opened("fake")
        await self.breaks

    def met(self, name: str) -> FakePeer:
        """Return a new caller."""
        assert self.ears is not None
        peer = FakePeer(name)
        self.ears.met(peer)
        return peer

    def says(self, peer: FakePeer, data: bytes) -> None:
        """Let a caller say something."""
        assert self.ears is not None
        self.ears.heard(peer, data)

    def lose(self, peer: FakePeer) -> None:
        """Let a caller hang up."""
        assert self.ears is not None
        peer.closed = True
        self.ears.lost(peer, "hung up")


class Bench:
    """A driver of lines on a fake wire. `batches` have been emitted; `commit` does what the ledger would."""

    def __init__(self, wire: FakeWire, clock: FakeClock, notes: Notes, driver: Talking) -> None:
        self.wire = wire
        self.clock = clock
        self.notes = notes
        self.driver = driver
        self.batches: list[Batch] = []
        self.kept: dict[tuple[str, int], Mark] = {}
        self._acknowledged: list[Batch] = []
        self._committed = 0

    async def commit(self) -> None:
        """Commit and acknowledge everything that has been heard from whoever waits."""
        await self.clock.advance(0.02)
        ready, self._committed = self.batches[self._committed :], len(self.batches)
        for batch in ready:
            for mark in batch.marks:
                self.kept[mark.session, mark.packet] = mark
        for batch in ready:
            batch.ack()
        self._acknowledged += ready

    def forget(self) -> None:
        """Let marks go that are settled or stale."""
        gone = [mark for batch in self._acknowledged if batch.settled() for mark in batch.marks]
        gone += [mark for batch in self._acknowledged for mark in batch.stale]
        for mark in gone:
            if self.kept.get((mark.session, mark.packet)) == mark:
                del self.kept[mark.session, mark.packet]

    def stored(self) -> list[tuple[str, float]]:
        """Return (device, value) of every reading and (device, code) of every event that was committed, in order."""
        return told(self.batches[: self._committed])

    @property
    def committed_events(self) -> list[Event]:
        """Events committed."""
        return [event for batch in self.batches[: self._committed] for event in batch.events]

    @property
    def events(self) -> list[Event]:
        """Events emitted."""
        return [event for batch in self.batches for event in batch.events]


def told(batches: Sequence[Batch]) -> list[tuple[str, float]]:
    """Return what batches tell: frames name the device."""
    found: list[tuple[str, float]] = []
    for batch in batches:
        frames = [(batch.frame_of(row).decode(), float(batch.value[row])) for row in range(len(batch))]
        found += [(frame.partition(" ")[0], value) for frame, value in frames if frame]
        found += [(event.key, float(event.code)) for event in batch.events]
    return found


def setup_of(
    clock: Clock, notes: Notes, *, devices: Sequence[str], marks: Sequence[Mark] = (), **options: object
) -> DriverSetup:
    """Return what the driver is given: devices with the points v and w."""
    made = [Device(id=name, source="src", profile=Profile(id="p", title="", points=POINTS)) for name in devices]
    ids = {"@src.events": 0}
    for name in devices:
        for point in ("v", "w", "events"):
            ids[f"{name}.{point}"] = len(ids)
    return DriverSetup(
        source=SourceSpec(id="src", driver="line", options={"wire": "tcp_server", "port": 1, **options}),
        devices=made,
        point_ids=ids,
        life_safety=frozenset(name for name in devices if name.startswith("fire")),
        clock=clock,
        memory=notes,
        report=notes,
        station="s",
        marks=marks,
    )


@contextlib.asynccontextmanager
async def bench(
    devices: Sequence[str] = ("a", "b", "fire1"),
    *,
    clock: FakeClock | None = None,
    marks: Sequence[Mark] = (),
    lost_after: float | None = 30.0,
    **options: Any,  # noqa: ANN401 - TOML values
) -> AsyncIterator[Bench]:
    """Run a driver of lines on a fake wire until the test is done."""
    clock, notes, wire = clock or FakeClock(), Notes(), FakeWire()
    setup = setup_of(clock, notes, devices=devices, marks=marks, **options)
    made = msgspec.convert(setup.source.options, Options)
    driver = Talking(
        setup, made, lambda _: LineTalk(setup.point_ids, "src", made.limit), lost_after=lost_after, wire=wire
    )
    one = Bench(wire, clock, notes, driver)
    running = asyncio.create_task(driver.run(one.batches.append))
    await clock.advance(0)
    try:
        yield one
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def on(scene: Callable[[Bench], Awaitable[None]], **options: Any) -> None:  # noqa: ANN401 - TOML values
    """Run a scene on a bench with these options."""

    async def main() -> None:
        async with bench(**options) as one:
            await scene(one)

    asyncio.run(main())
