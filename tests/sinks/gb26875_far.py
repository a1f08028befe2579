"""A monitoring centre of our own make (`drivers.gb26875`) and the air between it and the sink, lossy as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from msgspec import structs

from drivers.gb26875 import create as create_driver
from gateway.clock import Clock
from gateway.driven_clock import FakeClock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.batch import Batch, Event, Mark
from gateway.model.portion import Aside, Note, Portion
from gateway.model.time import SECOND
from gateway.protocols.gb26875 import Command, Frame, Frames, encode_frame, reply_to
from gateway.sinks import gb26875_uplink
from gateway.sinks._gb26875_options import Options
from gateway.sinks.gb26875_uplink import Gb26875Uplink
from gateway.transport.wires import Ears, Peer
from tests.channel_rigs import Notes
from tests.drivers.conversation_bench import FakeWire
from tests.drivers.gb26875_centre import QUIET, WALL, setup_of
from tests.sinks.gb26875_station import setup

Fate = str  # of one write: "ok", "lost", "cut_before", "cut_after", "half", "twice", "late"
LATE = 13.0  # s
FATES = ("lost", "cut_before", "cut_after", "half", "twice", "late")  # bad ones


class _End:
    """One end of a connection (port `Peer`): what is written comes out at the other's ears, or does not."""

    address = "10.0.0.7"
    done = False

    def __init__(self, air: Air, name: str, fates: Iterator[Fate]) -> None:
        self.name = name
        self.other: _End | None = None
        self.ears: Ears | None = None
        self.open = True
        self._air = air
        self._fates = fates

    def write(self, data: bytes) -> bool:
        """Meet one's fate."""
        if not self.open:
            return False
        fate = next(self._fates, "ok")
        self._air.fates[fate] += 1
        after = asyncio.get_running_loop().call_soon
        whole = {"half": data[: len(data) // 2], "lost": b"", "cut_before": b"", "late": b""}.get(fate, data)
        for part in [whole] * (2 if fate == "twice" else 1):
            if part and self._air.delay:
                self._air.later(self._air.delay, self._arrives, part)
            elif part:
                after(self._arrives, part)
        if fate in ("cut_before", "cut_after", "half"):
            after(self._air.cut)
        if fate == "late":
            self._air.later(LATE, self._arrives, data)
        return True

    def hold(self, *, on: bool) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Hang up."""
        if self.open:
            self.open = False
            asyncio.get_running_loop().call_soon(self._air.cut)

    def _arrives(self, data: bytes) -> None:
        other = self.other
        if other is not None and other.open and other.ears is not None:
            self._air.carried.append((self.name, data))
            other.ears.heard(other, data)


class _Listens(Protocol):
    """Who can be called."""

    @property
    def ears(self) -> Ears | None:
        """Who listens there, None before it does."""


class Air:
    """Between sink and centre. `up`, `down`: the fates of what is written, then all is well."""

    def __init__(self, clock: FakeClock, up: Sequence[Fate] = (), down: Sequence[Fate] = ()) -> None:
        self.clock = clock
        self.up, self.down = iter(up), iter(down)
        self.fates: Counter[Fate] = Counter()
        self.carried: list[tuple[str, bytes]] = []
        self.centre: _Listens | None = None
        self.ends: tuple[_End, _End] | None = None
        self.calls = 0
        self.delay = 0.0  # s that bytes are under way
        self._waits: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, options: Options, ears: Ears, clock: Clock) -> None:
        """Call the centre in place of the sink's wire."""
        del options, clock
        self.calls += 1
        if self.centre is None or self.centre.ears is None:
            raise LinkDown("refused")
        sink, far = _End(self, "up", self.up), _End(self, f"10.0.0.7:{self.calls}", self.down)
        sink.other, far.other = far, sink
        sink.ears, far.ears = ears, self.centre.ears
        self.ends = sink, far
        self._waits = asyncio.get_running_loop().create_future()
        self.centre.ears.met(far)
        ears.met(sink)
        try:
            await self._waits
        finally:
            self.cut()
        raise LinkDown("hung up")

    def cut(self) -> None:
        """Lose the connection, for both."""
        ends, self.ends = self.ends, None
        for end in ends or ():
            if end.open:
                end.open = False
                if end.ears is not None:
                    end.ears.lost(end, "cut")
        if ends and self._waits is not None and not self._waits.done():
            self._waits.set_result(None)

    def later(self, seconds: float, what: Callable[[bytes], None], data: bytes) -> None:
        """Do something when time has passed."""

        async def wait() -> None:
            await self.clock.sleep(seconds)
            what(data)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class FarCentre:
    """Our driver, whose commits happen at once. `stored`: events committed, over restarts."""

    def __init__(self, clock: FakeClock, air: Air, **device: Any) -> None:  # noqa: ANN401 - TOML values
        self.clock = clock
        self.air = air
        self.device = {**QUIET, **device}
        self.stored: list[Event] = []
        self.rows: list[tuple[int, float]] = []
        self.notes = Notes()
        self.commits = True
        self.marks: dict[tuple[str, int], Mark] = {}
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to live, with what was kept."""
        wire = FakeWire()
        setup = setup_of(1, clock=self.clock, notes=self.notes, marks=list(self.marks.values()), device=self.device)
        self.driver = create_driver(setup, wire=wire)
        self._running = asyncio.create_task(self.driver.run(self._take))
        await self.clock.advance(0)
        self.air.centre = wire

    async def stop(self) -> None:
        """Die."""
        self.air.centre = None
        self.air.cut()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._running = None

    def _take(self, batch: Batch) -> None:
        if self.commits:
            asyncio.get_running_loop().call_soon(self._commit, batch)

    def _commit(self, batch: Batch) -> None:
        self.stored += batch.events
        self.rows += list(zip(batch.point.tolist(), batch.value.tolist(), strict=True))
        self.marks |= {(mark.session, mark.packet): mark for mark in batch.marks}
        batch.ack()

    def told(self) -> list[tuple[str, int]]:
        """Return (code, s after the start) of every event stored, in the order of arrival."""
        return [(one.code.name, (one.time - WALL) // SECOND) for one in self.stored]


@contextlib.asynccontextmanager
async def scene(
    up: Sequence[Fate] = (),
    down: Sequence[Fate] = (),
    *,
    clock: FakeClock | None = None,
    device: dict[str, Any] | None = None,
    given: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 - TOML values
) -> AsyncIterator[tuple[Gb26875Uplink, FarCentre, Air]]:
    """Give a sink and its centre with the air between them; `given`: fields of the set-up."""
    clock = clock or FakeClock(wall=WALL + 3600 * SECOND)
    air = Air(clock, up, down)
    centre = FarCentre(clock, air, **(device or {}))
    await centre.start()
    sink = gb26875_uplink.create(replace(setup(clock, **options), **(given or {})), wire=air)
    try:
        yield sink, centre, air
    finally:
        await sink.close()
        await centre.stop()


async def delivered(
    sink: Gb26875Uplink, clock: FakeClock, *notes: Note, portion: Portion | None = None, rounds: int = 40
) -> Sequence[Aside]:
    """Send as the sink's process does: again after a pause until everything was taken."""
    sent = portion or Portion(notes=notes)
    error: Exception | None = None
    for _ in range(rounds):
        task = asyncio.ensure_future(sink.send(sent))
        while not task.done():
            await clock.advance(1.0)
        try:
            return task.result()
        except (LinkDown, DeliveryError) as failure:
            error = failure
        await clock.advance(1.0)
    raise AssertionError(f"not taken in {rounds} rounds: {error}")


class Scripted:
    """A centre that does as it is told (port `Ears`): what comes first decides. `got`: all frames, resends included."""

    def __init__(self, *answers: str, then: str = "confirm") -> None:
        self._answers = iter(answers)
        self._then = then
        self.ears = self
        self.got: list[Frame] = []
        self.peer: Peer | None = None
        self._frames = Frames()

    def opened(self, name: str) -> None:
        """Nothing to do."""

    def met(self, peer: Peer) -> None:
        """Begin anew."""
        self.peer, self._frames = peer, Frames()

    def lost(self, peer: Peer, why: str) -> None:
        """Nothing to do."""

    def heard(self, peer: Peer, data: bytes) -> None:
        """Answer."""
        for frame in self._frames.feed(data):
            assert isinstance(frame, Frame)
            self.got.append(frame)
            if frame.command not in (Command.SEND, 128):
                continue
            for word in next(self._answers, self._then).split():
                for answer in _ANSWERS[word](frame):
                    peer.write(answer)

    def asks(self, command: int, unit: bytes = b"", serial: int = 77) -> None:
        """Send a command."""
        assert self.peer is not None
        self.peer.write(encode_frame(Frame(serial=serial, command=command, source=9, destination=1, unit=unit)))

    @property
    def units(self) -> list[bytes]:
        """Units of everything sent by the device itself."""
        return [frame.unit for frame in self.got if frame.command == Command.SEND]

    @property
    def answers(self) -> list[tuple[int, int, bytes]]:
        """(serial, command, unit) of what the device answered."""
        return [(frame.serial, frame.command, frame.unit) for frame in self.got if frame.command != Command.SEND]


def _reply(frame: Frame, command: int) -> bytes:
    return encode_frame(reply_to(frame, command, bytes(6)))


_ANSWERS: dict[str, Callable[[Frame], list[bytes]]] = {
    "confirm": lambda frame: [_reply(frame, Command.CONFIRM)],
    "deny": lambda frame: [_reply(frame, Command.DENY)],
    "silent": lambda _: [],
    "other": lambda frame: [_reply(structs.replace(frame, serial=frame.serial ^ 0x55), Command.CONFIRM)],
    "noise": lambda _: [b"@@#!\xff" * 9 + b"@"],
    "endless": lambda _: [b"@@" + bytes(22) + b"\xe8\x03" + bytes(7)],  # 1 000 bytes are to come
    "spoilt": lambda frame: [_reply(frame, Command.CONFIRM)[:-3] + b"\x00##"],
}


@contextlib.asynccontextmanager
async def scripted(
    *answers: str,
    then: str = "confirm",
    clock: FakeClock | None = None,
    given: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 - TOML values
) -> AsyncIterator[tuple[Gb26875Uplink, Scripted, FakeClock, Air]]:
    """Give a sink and a centre that does as it is told."""
    clock = clock or FakeClock(wall=WALL + 3600 * SECOND)
    air = Air(clock)
    centre = Scripted(*answers, then=then)
    air.centre = centre
    sink = gb26875_uplink.create(replace(setup(clock, **options), **(given or {})), wire=air)
    try:
        yield sink, centre, clock, air
    finally:
        await sink.close()
