"""The sink `gb26875_uplink` against our own centre: nothing lost, nothing twice, in every state of the connection."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.driven_clock import FakeClock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.alarm import AlarmEvent
from gateway.model.portion import Aside, Note, Portion
from gateway.model.time import SECOND
from gateway.protocols.gb26875 import encode_frame
from gateway.protocols.gb26875_units import decode_unit
from gateway.sinks import gb26875_uplink
from gateway.sinks.gb26875_uplink import Gb26875Uplink
from tests.drivers.gb26875_centre import WALL
from tests.sinks.gb26875_far import FATES, delivered, scene, scripted
from tests.sinks.gb26875_station import TANK, move, setup
from tests.sinks.portions import portion

STORY = (
    move(1, second=0),
    move(2, AlarmEvent.ACK, second=5, who="li"),
    move(3, AlarmEvent.CLEAR, second=9),
    move(4, point=TANK, second=12),
)
TOLD = Counter({("FIRE", 0): 1, ("INFO", 5): 1, ("RESTORE", 9): 1, ("SUPERVISORY", 12): 1})


def test_alarms_arrive_fires_first_each_component_in_order() -> None:
    async def main() -> None:
        async with scene(operators={"li": 7}) as (sink, centre, air):
            assert await delivered(sink, air.clock, *reversed(STORY)) == []
            assert centre.told() == [("FIRE", 0), ("RESTORE", 9), ("SUPERVISORY", 12), ("INFO", 5)]
            fire = centre.stored[0]
            assert fire.key == "1/1/0/1"
            assert fire.text == "大厅 烟雾报警 感烟火灾探测器 smoke detector 火警 fire"
            assert "确认" in centre.stored[3].text
            assert centre.stored[3].text.endswith("7")

    asyncio.run(main())


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_loss_in_any_state_costs_nothing_and_doubles_nothing(way: str, fate: str, place: int) -> None:
    async def main() -> None:
        fates = ["ok"] * place + [fate]
        async with scene(**{way: fates}) as (sink, centre, air):  # type: ignore[arg-type]
            assert await delivered(sink, air.clock, *reversed(STORY)) == []
            assert Counter(centre.told()) == TOLD
            assert air.fates[fate] == 1

    asyncio.run(main())


@settings(max_examples=35, deadline=None)
@given(
    up=st.lists(st.sampled_from(("ok", *FATES)), max_size=25),
    down=st.lists(st.sampled_from(("ok", *FATES)), max_size=25),
)
def test_over_any_schedule_of_losses(up: list[str], down: list[str]) -> None:
    async def main() -> None:
        async with scene(up, down) as (sink, centre, air):
            assert await delivered(sink, air.clock, *reversed(STORY), rounds=60) == []
            assert Counter(centre.told()) == TOLD

    asyncio.run(main())


@pytest.mark.parametrize(("age", "marked"), [(20, []), (3600, [("FIRE", 0)])])
def test_a_centre_that_restarts_and_one_that_cannot_commit(age: int, marked: list[tuple[str, int]]) -> None:
    async def main() -> None:
        async with scene(clock=FakeClock(wall=WALL + age * SECOND)) as (sink, centre, air):
            await delivered(sink, air.clock, STORY[0])
            centre.commits = False  # it denies after 8 s, four times
            with pytest.raises(DeliveryError, match="denied it 4 times"):
                await sent(sink, air.clock, *STORY[1:])
            await centre.stop()
            with pytest.raises(LinkDown):
                await sent(sink, air.clock, *STORY[1:])
            centre.commits = True
            await centre.start()
            assert await delivered(sink, air.clock, *reversed(STORY)) == []
            again = [one for one, event in zip(centre.told(), centre.stored, strict=True) if "疑似重发" in event.text]
            assert again == marked  # it knows the fire; one that came late it cannot know for sure
            assert Counter(centre.told()) == TOLD + Counter(marked)

    asyncio.run(main())


def test_after_a_restart_of_ours_content_and_time_are_the_same() -> None:
    async def main() -> None:
        async with scene(down=["ok", "cut_before"]) as (sink, centre, air):
            with pytest.raises(LinkDown):
                await sent(sink, air.clock, *reversed(STORY))
            await sink.close()
            again = gb26875_uplink.create(setup(air.clock), wire=air)
            assert await delivered(again, air.clock, *reversed(STORY)) == []
            assert Counter(centre.told()) == TOLD
            await again.close()

    asyncio.run(main())


@pytest.mark.parametrize("words", ["silent", "other", "noise", "spoilt"])
def test_no_confirmation_four_times_is_a_link_down_and_the_packet_stays_the_same(words: str) -> None:
    async def main() -> None:
        async with scripted(*[words] * 4) as (sink, centre, clock, air):
            began = clock.mono()
            with pytest.raises(LinkDown, match="no confirmation within 10 s, 4 times"):
                await sent(sink, clock, STORY[0])
            assert 40 <= (clock.mono() - began) / SECOND <= 42
            await delivered(sink, clock, STORY[0])
            assert (len(centre.got), air.calls) == (5, 2)
            assert len({encode_frame(frame) for frame in centre.got}) == 1

    asyncio.run(main())


def test_a_frame_that_never_ends_costs_one_resend() -> None:
    async def main() -> None:
        async with scripted("endless") as (sink, centre, clock, _):
            await sent(sink, clock, STORY[0])
            assert len(centre.got) == 2

    asyncio.run(main())


def test_serial_numbers_grow_by_one_with_each_new_packet() -> None:
    async def main() -> None:
        async with scripted("deny", "deny confirm", "confirm confirm") as (sink, centre, clock, _):
            await delivered(sink, clock, *reversed(STORY))
            assert [frame.serial for frame in centre.got] == [0, 0, 0, 1, 2, 3]

    asyncio.run(main())


def test_a_packet_that_is_denied_for_ever_holds_nothing_else_back_and_is_set_aside() -> None:
    async def main() -> None:
        async with scripted(*["deny"] * 4, "confirm", *["deny"] * 8) as (sink, centre, clock, _):
            for _ in range(2):
                with pytest.raises(DeliveryError, match="denied it 4 times"):
                    await sent(sink, clock, STORY[3], STORY[0])
            [aside] = await sent(sink, clock, STORY[3], STORY[0])
            assert "denied" in aside.why
            assert "大厅 烟雾报警" in aside.what
            assert len(centre.got) == 13

    asyncio.run(main())


def test_alone_a_denied_packet_is_never_given_up() -> None:
    async def main() -> None:
        async with scripted(then="deny") as (sink, _, clock, _air):
            for _ in range(6):
                with pytest.raises(DeliveryError):
                    await sent(sink, clock, STORY[0])

    asyncio.run(main())


def test_a_slow_centre_keeps_no_new_fire_waiting() -> None:
    async def main() -> None:
        async with scripted() as (sink, centre, clock, air):
            backlog = [move(n, point=TANK, key=str(n), second=n) for n in range(200)]
            air.delay = 0.5
            with pytest.raises(DeliveryError, match="slowly"):
                await sent(sink, clock, *backlog)
            told = len(centre.got)
            await delivered(sink, clock, move(900, second=900), *backlog, rounds=100)
            assert centre.units[told][:8] == b"\x02\x01\x01\x01\x28\x01\x00\x00"  # the fire is next
            assert len(centre.units) == 201

    asyncio.run(main())


def test_a_link_that_died_unheard_is_found_by_a_heartbeat() -> None:
    async def main() -> None:
        async with scripted("confirm", "deny", "confirm", then="silent", heartbeat=30.0, login="16") as one:
            sink, centre, clock, air = one
            await delivered(sink, clock)
            await clock.advance(65)
            assert [frame.unit for frame in centre.got] == [b"\x16", b"", b""]  # a denial is a sign of life
            await clock.advance(30)
            assert air.ends is not None
            await clock.advance(41)
            assert air.ends is None
            with pytest.raises(LinkDown):
                await sent(sink, clock)

    asyncio.run(main())


def test_a_portion_never_takes_so_long_that_the_process_seems_to_hang() -> None:
    async def main() -> None:
        async with scripted("silent", "silent", "silent", "confirm", then="silent", login="16") as (
            sink,
            _,
            clock,
            _air,
        ):
            began = clock.mono()
            with pytest.raises(LinkDown, match="too slowly"):
                await sent(sink, clock, STORY[0])
            assert (clock.mono() - began) / SECOND <= 51

    asyncio.run(main())


def test_heartbeats_of_a_maker_and_none_at_all() -> None:
    async def main() -> None:
        async with scripted(heartbeat=20.0, heartbeat_unit="8000", heartbeat_command=128) as (sink, centre, clock, _):
            await delivered(sink, clock)
            await clock.advance(21)
            assert [(frame.command, frame.unit) for frame in centre.got] == [(128, b"\x80\x00")]
        async with scripted(heartbeat=0.0) as (sink, centre, clock, _):
            await delivered(sink, clock)
            await clock.advance(9999)
            assert centre.got == []

    asyncio.run(main())


def test_values_are_told_now_and_then() -> None:
    async def main() -> None:
        rows = [(TANK, WALL + place * 10 * SECOND, place / 2, 0) for place in range(14)]
        async with scripted(analogs=["tank.level"]) as (sink, centre, clock, _):
            for row in rows:
                await delivered(sink, clock, portion=portion(row))
            await delivered(
                sink, clock, portion=portion((TANK, WALL + 999 * SECOND, 1e6, 0))
            )  # the wire cannot hold it
            found = [decode_unit(unit) for unit in centre.units]
            assert [one.objects[0].value for one in found if one] == [0, 300, 600]  # type: ignore[union-attr]

    asyncio.run(main())


async def sent(sink: Gb26875Uplink, clock: FakeClock, *notes: Note) -> Sequence[Aside]:
    """Send once."""
    task = asyncio.ensure_future(sink.send(Portion(notes=notes)))
    while not task.done():
        await clock.advance(0.5)
    return task.result()
