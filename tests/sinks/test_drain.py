"""Order, cursors and counts of what leaves: nothing lost, live never waits, alarms newest first; on a driven clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.clock import MILLISECOND, MINUTE, SECOND
from gateway.errors import LinkDown
from gateway.model.batch import make_batch
from gateway.model.portion import Portion
from tests.sinks.far_end import BOOT, FarEnd, Field, drain_of, emptied

HOURS = 72
LIVE_WAITS = SECOND


def over_the_wire(portion: Portion) -> int:
    """Return ns that a request takes: 30 ms and 10 µs a line, as a Raspberry Pi does it."""
    return 30 * MILLISECOND + len(portion) * 10_000


def test_72_hours_without_the_server_lose_nothing_live_does_not_wait_and_the_newest_alarm_comes_first(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        field = Field(tmp_path, every=60.0, rate=30)
        field.commit(field.epoch())
        far = FarEnd(field, cost=over_the_wire)
        drain = drain_of(field, far)
        await emptied(drain)
        far.up = False
        for minute in range(HOURS * 60):
            field.pass_time(MINUTE)
            if minute % 20 == 0:  # it tries more often; here each try costs a second of the test
                with pytest.raises(LinkDown):
                    await drain.turn()
                drain.interrupt()
                field.keep(drain.position)
                field.house_keep()
        missing = len(field.committed) - len(far.got)
        assert missing == HOURS * 60 * 30
        assert field.store.connection.execute("SELECT count(*) FROM journal").fetchone()[0] > HOURS * 60  # held

        field.every = SECOND  # from now on 30 readings a second
        field.due = field.clock.mono() + SECOND
        far.up, far.order = True, []
        drain.interrupt()
        began, before = field.clock.mono(), len(far.got)
        while await drain.turn():
            pass
        took = (field.clock.mono() - began) / SECOND
        assert far.order[0] == "notes"
        assert far.notes[0] == max(far.notes)
        drained = missing / took
        assert drained >= 20 * 30, f"{drained:.0f} readings/s"
        lived = {key: at for key, at in field.stamp.items() if at > began}
        waits = [far.at[key] - at for key, at in lived.items() if key in far.at]
        assert len(waits) >= 30 * (took - 2)
        assert max(waits) <= LIVE_WAITS
        await emptied(drain)
        assert far.got == field.committed
        assert sorted(set(far.notes)) == sorted(field.moves)
        assert drain.position.sent >= len(field.committed) + len(field.moves) - before
        assert drain.position.cursor() == field.store.last().seq
        assert not drain.waits()

    asyncio.run(main())


def test_alarms_leave_newest_first_before_any_reading(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path)
        field.commit(field.epoch())
        for _ in range(5):
            field.clock.jump(SECOND)
            field.commit(alarm=True)
        far = FarEnd(field)
        drain = drain_of(field, far)
        await drain.turn()
        assert far.order[0] == "notes"
        assert far.notes == field.moves[::-1]

    asyncio.run(main())


def test_a_failed_turn_passes_nothing_over_and_a_restart_goes_on_where_the_far_end_was(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path)
        field.commit(field.epoch())
        far = FarEnd(field)
        drain = drain_of(field, far)
        await emptied(drain)
        field.clock.jump(SECOND)
        field.commit(alarm=True)
        far.up = False
        for _ in range(3):
            with pytest.raises(LinkDown):
                await drain.turn()
            drain.interrupt()
        far.up = True
        again = drain_of(field, far, drain.position)
        await emptied(again)
        assert far.got == field.committed
        assert far.notes == field.moves

    asyncio.run(main())


def test_times_that_are_not_trusted_are_held_back_and_leave_with_the_right_ones(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path)
        field.clock.step_wall(-20 * 365 * 86400)  # it woke in 2006
        field.commit(field.epoch(trusted=False), alarm=True)
        far = FarEnd(field)
        drain = drain_of(field, far)
        for _ in range(3):
            field.clock.jump(SECOND)
            field.commit(alarm=True)
            assert not await drain.turn()
        assert not far.got
        assert not far.notes
        assert drain.waits()
        field.keep(drain.position)
        field.house_keep()
        right = 20 * 365 * 86400 * SECOND
        field.clock.step_wall(20 * 365 * 86400)
        field.committed = {(point, time + right): value for (point, time), value in field.committed.items()}
        field.clock.jump(SECOND)
        field.commit(field.epoch())
        await emptied(drain)
        assert far.got == field.committed
        assert sorted(far.notes) == sorted(field.moves)
        assert not drain.waits()

    asyncio.run(main())


def test_a_boot_that_never_knew_the_time_is_counted_and_passed_over(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path)
        field.commit(alarm=True)
        far = FarEnd(field)
        drain = drain_of(field, far)
        await emptied(drain)
        assert drain.waits()
        field.boot = "boot-2"
        field.committed.clear()
        field.commit(field.epoch())
        await emptied(drain)
        assert far.got == field.committed
        assert drain.position.undated == field.rate + 1
        assert not drain.waits()

    asyncio.run(main())


def test_when_the_line_becomes_slow_slices_become_shorter_and_live_does_not_wait(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path, every=0.5, rate=100)
        field.commit(field.epoch())
        field.pass_time(900 * SECOND)
        slow_from = 0

        def cost(portion: Portion) -> int:
            nonlocal slow_from
            if len(portion) > 15_000 and not slow_from:
                slow_from = field.clock.mono()
            return len(portion) * (70_000 if slow_from else 1_000)

        far = FarEnd(field, cost=cost)
        drain = drain_of(field, far)
        while await drain.turn():
            pass
        waits = [far.at[key] - at for key, at in field.stamp.items() if at > slow_from + 3 * SECOND and key in far.at]
        assert slow_from
        assert len(waits) > 300
        assert max(waits) <= LIVE_WAITS

    asyncio.run(main())


def test_readings_of_one_arrival_follow_ns_by_ns_and_what_a_device_says_twice_is_one(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path, rate=0)
        field.commit(field.epoch())
        at, own = field.clock.mono(), field.clock.wall() - SECOND
        rows = [(1, 0, 1.0, 0), (2, 0, 2.0, 0), (1, 0, 3.0, 0), (1, 0, 4.0, 0), (3, own, 5.0, 0), (3, own, 6.0, 0)]
        field.commit(make_batch("bus", at, rows))
        far = FarEnd(field)
        await emptied(drain_of(field, far))
        wall = field.clock.wall()
        assert far.got == {(1, wall): 1.0, (2, wall): 2.0, (1, wall + 1): 3.0, (1, wall + 2): 4.0, (3, own): 6.0}

    asyncio.run(main())


def test_the_boot_of_the_fake_is_the_boot_of_the_rows(tmp_path: Path) -> None:
    assert Field(tmp_path).clock.boot() == BOOT
