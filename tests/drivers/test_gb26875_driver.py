"""The `gb26875` driver in driven time on a wire that is none: late commits, restarts, outputs, mistakes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from drivers._conversation import Talking
from drivers.gb26875 import create
from drivers.simulated.gb26875 import FIRE, Transmitter, TransmitterFault
from gateway.driven_clock import FakeClock
from gateway.errors import ConfigError, DeliveryError
from gateway.model.batch import Batch, EventCode, Mark
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.time import SECOND
from gateway.protocols.gb26875 import Command, Frame, Frames
from tests.channel_rigs import Notes
from tests.drivers.conversation_bench import FakePeer, FakeWire
from tests.drivers.gb26875_centre import setup_of

WALL = 1_790_000_000 * SECOND
SMOKE = (1, 1, 2 << 16 | 10)
QUIET = {"ask_state": False, "set_time": False, "check": 0}
GENEROUS = 20  # s of real time


class Stage:
    """A driver on a wire that is none, in driven time."""

    def __init__(self, clock: FakeClock, wire: FakeWire, notes: Notes, driver: Talking) -> None:
        self.clock, self.wire, self.notes, self.driver = clock, wire, notes, driver
        self.batches: list[Batch] = []

    def events(self) -> list[tuple[EventCode, str]]:
        """Return (code, key) of everything that was handed over."""
        return [(event.code, event.key) for batch in self.batches for event in batch.events]

    def give(self, far: Transmitter, peer: FakePeer) -> list[int]:
        """Hand on what the driver has sent; return the commands."""
        data, peer.sent = b"".join(peer.sent), []
        far.hear(data, WALL)
        return [frame.command for frame in Frames().feed(data) if isinstance(frame, Frame)]


@contextlib.asynccontextmanager
async def stage(*numbers: int | str, **options: Any) -> AsyncIterator[Stage]:  # noqa: ANN401 - keys of setup_of
    clock, wire, notes = options.pop("clock", None) or FakeClock(), FakeWire(), Notes()
    driver = create(setup_of(*numbers, clock=clock, notes=notes, **options), wire=wire)
    one = Stage(clock, wire, notes, driver)
    running = asyncio.create_task(driver.run(one.batches.append))
    await clock.advance(0)
    try:
        yield one
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def on(scene: Callable[[Stage], Awaitable[None]], *numbers: int | str, **options: Any) -> None:  # noqa: ANN401 - likewise
    async def main() -> None:
        async with stage(*numbers, **options) as one:
            await scene(one)

    asyncio.run(main())


@pytest.mark.parametrize(("wall", "orders"), [(None, 0), (lambda: 0, 0), (lambda: WALL, 1)])
def test_clocks_are_set_by_the_time_that_the_station_trusts(wall: Callable[[], int] | None, orders: int) -> None:
    async def scene(one: Stage) -> None:
        far, peer = Transmitter(889), one.wire.met("10.0.0.7:1")
        one.wire.says(peer, far.change(SMOKE, FIRE, WALL))
        await one.clock.advance(0.1)
        assert one.give(far, peer).count(Command.CONTROL) == orders

    clock = FakeClock()
    clock.trust(synchronised=False)  # as the kernel sees it
    on(scene, 889, clock=clock, wall=wall, device={**QUIET, "set_time": True})


@pytest.mark.parametrize("new_serial", [False, True])
def test_a_commit_that_lasts_too_long_is_denied_and_the_repeat_confirmed_stored_once(new_serial: bool) -> None:  # noqa: FBT001 - a case
    async def scene(one: Stage) -> None:
        far = Transmitter(889, fault=TransmitterFault(new_serial=new_serial))
        peer = one.wire.met("10.0.0.7:1")
        one.wire.says(peer, far.change(SMOKE, FIRE, WALL))
        await one.clock.advance(7.9)
        assert one.batches[0].waiting
        assert peer.sent == []
        await one.clock.advance(0.2)  # well inside the 10 s of the standard
        assert one.give(far, peer) == [Command.DENY]
        one.batches[0].ack()
        assert peer.sent == []
        one.wire.says(peer, far.again())
        assert one.give(far, peer) == [Command.CONFIRM]
        assert not far.unanswered
        assert one.events() == [(EventCode.FIRE, "1/1/2/10")]
        assert one.notes.counts["d0 repeat"] == 1

    on(scene, 889)


def test_a_repeat_after_a_restart_is_confirmed_and_not_stored_again() -> None:
    far = Transmitter(889)
    marks: list[Mark] = []

    async def before(one: Stage) -> None:
        one.wire.says(one.wire.met("10.0.0.7:1"), far.change(SMOKE, FIRE, WALL))
        await one.clock.advance(0.1)
        marks.extend(one.batches[0].marks)  # committed, and the power fails

    async def after(one: Stage) -> None:
        peer = one.wire.met("10.0.0.7:2")
        one.wire.says(peer, far.again())
        assert one.give(far, peer) == [Command.CONFIRM]
        await one.clock.advance(1)
        assert one.events() == []

    on(before, 889)
    on(after, 889, marks=marks)


def test_a_device_that_stands_still_in_the_middle_of_a_frame_loses_that_frame_alone() -> None:
    async def scene(one: Stage) -> None:
        far = Transmitter(889)
        peer = one.wire.met("10.0.0.7:1")
        frame = far.change(SMOKE, FIRE, WALL)
        one.wire.says(peer, frame[:-5])
        await one.clock.advance(5.1)
        assert one.notes.counts["unknown unfinished"] == 1
        one.wire.says(peer, far.again())
        await one.clock.advance(0.1)
        assert one.events() == [(EventCode.FIRE, "1/1/2/10")]

    on(scene, 889)


def test_what_is_refused_is_counted_by_device_and_reason() -> None:
    async def scene(one: Stage) -> None:
        far = Transmitter(889)
        peer = one.wire.met("10.0.0.7:1")
        one.wire.says(peer, far.beat(WALL))
        far.fault.bad_checksum = True
        one.wire.says(peer, far.change(SMOKE, FIRE, WALL))
        assert one.give(far, peer) == [Command.CONFIRM, Command.DENY]
        assert far.denied == 1
        far.fault.bad_checksum = False
        far.address = 5
        one.wire.says(peer, far.send(b"\x01\x01", WALL))
        assert one.notes.counts["d0 bad_checksum"] == 1
        assert one.notes.counts["unknown bad_length"] == 1

    on(scene, 889)


def test_an_output_waits_for_the_confirm_of_the_device() -> None:
    async def scene(one: Stage) -> None:
        far = Transmitter(889)
        peer = one.wire.met("10.0.0.7:1")
        with pytest.raises(DeliveryError, match="not connected"):
            await one.driver.write("d0", "duty_check", 5)
        one.wire.says(peer, far.beat(WALL))
        peer.sent.clear()
        writing = asyncio.create_task(one.driver.write("d0", "duty_check", 5))
        await one.clock.advance(0)
        one.wire.says(peer, far.hear(b"".join(peer.sent), WALL))
        await asyncio.wait_for(writing, GENEROUS)
        assert far.duty == 5
        with pytest.raises(DeliveryError):
            await one.driver.write("d0", "duty_check", 0)

    on(scene, 889)


@pytest.mark.parametrize(
    ("numbers", "device", "said"),
    [
        ((1, 1), {}, "d1: address 1, that of d0"),
        (("", ""), {}, "d1: no address, like d0"),
        (("1.2.3.4.5",), {}, "d0: "),
        (("1.2.3.400:5",), {}, "no IP:port"),
        ((1 << 48,), {}, "6 bytes"),
        ((1,), {"addresses": ["1/1/x"]}, "no place"),
        ((1,), {"utc_offset": "china"}, "d0: "),
        ((1,), {"check": -1}, "d0: "),
    ],
)
def test_every_mistake_of_a_configuration_is_named(numbers: tuple[Any, ...], device: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        create(setup_of(*numbers, clock=FakeClock(), notes=Notes(), device=device))


@pytest.mark.parametrize(
    "decode",
    [
        {"analog": 2, "bit": 1},
        {"at": "1/1"},
        {"bit": 1},
        {"analog": 256},
        {"command": "request", "type": 90},
        {"command": "request", "type": 61, "at": "device"},
        {"command": "fly"},
    ],
)
def test_every_mistake_of_a_point_is_named(decode: dict[str, Any]) -> None:
    setup = setup_of(1, clock=FakeClock(), notes=Notes())
    kind = setup.devices[0].profile
    points = tuple(type(spec)(name=spec.name, kind=spec.kind, decode=decode) for spec in kind.points[:1])
    made = Device(id="d0", source="src", profile=type(kind)(id="p", title="", points=points))
    wrong = DriverSetup(
        source=setup.source,
        devices=[made],
        point_ids={"@src.events": 0, "d0.events": 1},
        life_safety=frozenset(),
        clock=setup.clock,
        memory=setup.memory,
        report=setup.report,
    )
    with pytest.raises(ConfigError, match="device d0: point events"):
        create(wrong)
