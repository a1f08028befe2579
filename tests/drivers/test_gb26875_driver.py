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
from gateway.model.time import DAY, HOUR, SECOND
from gateway.protocols.gb26875 import Command, Frame, Frames
from tests.channel_rigs import Notes
from tests.drivers.conversation_bench import FakePeer, FakeWire
from tests.drivers.gb26875_centre import QUIET, SMOKE, WALL, setup_of

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


def lives(far: Transmitter, *, gap: int, trusted: bool = True, second: bool = False) -> tuple[list[str], Notes]:
    """Let a device say a fire, its confirm be lost, and our next life hear it again, or a second fire, `gap` ns later.

    Returns:
        The texts that the second life stores, and its counters.
    """
    marks: list[Mark] = []
    texts: list[str] = []
    found: list[Notes] = []

    async def before(one: Stage) -> None:
        one.wire.says(one.wire.met("10.0.0.7:1"), far.change(SMOKE, FIRE, WALL))
        await one.clock.advance(0.1)
        marks.extend(one.batches[0].marks)

    async def after(one: Stage) -> None:
        peer = one.wire.met("10.0.0.7:2")
        for _ in range(2):  # its confirm is lost once more
            one.wire.says(peer, far.change(SMOKE, FIRE, WALL + gap) if second else far.again())
            await one.clock.advance(1)
            for batch in one.batches:
                batch.ack()
            second_now.append(len(one.events()))
        texts.extend(event.text for batch in one.batches for event in batch.events)
        found.append(one.notes)

    second_now: list[int] = []
    for life, passed in ((before, 0), (after, gap)):
        clock = FakeClock(wall=WALL + passed)
        clock.trust(synchronised=trusted)
        on(life, 889, clock=clock, marks=list(marks))
    assert second or second_now[0] == second_now[1]  # what was said again and stored is a repeat from then on
    return texts, found[0]


@pytest.mark.parametrize("gap", [SECOND, HOUR, 3 * DAY])
def test_after_a_restart_a_repeat_is_known_by_a_time_that_was_right(gap: int) -> None:
    texts, notes = lives(Transmitter(889), gap=gap)
    assert texts == []
    assert notes.counts["d0 repeat"] == 2


def test_in_one_life_a_repeat_after_a_long_outage_is_known_by_its_time() -> None:
    async def scene(one: Stage) -> None:
        far = Transmitter(889)
        one.wire.says(one.wire.met("10.0.0.7:1"), far.change(SMOKE, FIRE, WALL))
        await one.clock.advance(0.1)
        one.batches[0].ack()
        one.clock.jump(2 * DAY)
        peer = one.wire.met("10.0.0.7:2")
        one.wire.says(peer, far.again())
        assert one.give(far, peer) == [Command.CONFIRM]
        await one.clock.advance(1)
        assert one.events() == [(EventCode.FIRE, "1/1/2/10")]

    on(scene, 889, clock=FakeClock(wall=WALL))


def test_in_one_life_a_backlog_that_is_sent_again_after_half_an_hour_is_stored_marked() -> None:
    async def scene(one: Stage) -> None:
        far = Transmitter(889)
        one.wire.says(one.wire.met("10.0.0.7:1"), far.change(SMOKE, FIRE, WALL - HOUR))
        await one.clock.advance(0.1)
        one.batches[0].ack()
        one.clock.jump(HOUR)
        one.wire.says(one.wire.met("10.0.0.7:2"), far.again())
        await one.clock.advance(1)
        texts = [event.text for batch in one.batches for event in batch.events]
        assert [text.startswith("疑似重发 ") for text in texts] == [False, True]

    on(scene, 889, clock=FakeClock(wall=WALL))


POOR = [
    TransmitterFault(still=1_700_000_000),
    TransmitterFault(still=(WALL - HOUR) // SECOND),
    TransmitterFault(no_clock=True),
]


@pytest.mark.parametrize("fault", POOR)
@pytest.mark.parametrize("second", [False, True])
def test_after_a_restart_what_no_clock_tells_from_a_second_fire_is_stored_marked(
    fault: TransmitterFault,
    second: bool,  # noqa: FBT001 - a case
) -> None:
    texts, notes = lives(Transmitter(889, fault=fault), gap=10 * SECOND, second=second)
    assert [text.startswith("疑似重发 maybe sent again: ") for text in texts] == [True]
    assert notes.counts["d0 maybe_repeat"] == 1


def test_without_a_clock_of_our_own_a_repeat_after_a_restart_is_stored_marked() -> None:
    texts, _ = lives(Transmitter(889), gap=10 * SECOND, trusted=False)
    assert [text.startswith("疑似重发 ") for text in texts] == [True]


def test_a_fire_of_a_later_time_is_news() -> None:
    texts, notes = lives(Transmitter(889), gap=10 * SECOND, second=True)
    assert len(texts) == 1
    assert not texts[0].startswith("疑似重发")
    assert notes.counts["d0 repeat"] == 1  # the second of the second fire


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
        (("1.2.3.400:5",), {}, "is no address"),
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
