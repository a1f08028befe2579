"""Where a sink stands: far behind, led back, of a store begun anew; and what is passed over is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.clock import MINUTE, SECOND
from gateway.errors import LinkDown
from gateway.store.shapes import Group
from gateway.uplink.position import RANGES, Position, add
from tests.sinks.far_end import BOOT, CURSOR, FarEnd, Field, drain_of, emptied


def test_far_behind_the_backlog_comes_out_of_chunks_and_the_journal_is_let_go(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path, every=1.0, budget=40_000)
        field.commit(field.epoch())
        far = FarEnd(field)
        drain = drain_of(field, far)
        await emptied(drain)
        field.keep(drain.position)
        far.up = False
        for _ in range(60):
            field.pass_time(MINUTE)
            field.house_keep()
            with pytest.raises(LinkDown):
                await drain.turn()
            drain.interrupt()
            field.keep(drain.position)  # the daemon's word never leads the cursor back
        rows = field.store.connection.execute("SELECT count(*), sum(length(body)) FROM journal").fetchone()
        assert rows[0] < 30 * 60, "the journal has grown beyond what compaction has not had"
        assert drain.position.detour > 0
        far.up = True
        again = drain_of(field, far, drain.position)  # also over a restart
        await emptied(again)
        assert far.got == field.committed
        assert again.position.expired == again.position.undated == again.position.unreadable == 0

    asyncio.run(main())


def test_a_far_end_that_was_emptied_is_sent_everything_again_while_live_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path, every=1.0)
        field.commit(field.epoch(), alarm=True)
        far = FarEnd(field)
        drain = drain_of(field, far)
        for _ in range(30):
            field.pass_time(MINUTE)
            await drain.turn()
            field.keep(drain.position)
            field.house_keep()
        far.got.clear()
        far.notes.clear()
        slow = iter([12 * MINUTE] * 6)  # each long enough for the journal's rows to become chunks
        far.cost = lambda _: next(slow, 0)
        drain.rewind(0)
        while await drain.turn():
            field.keep(drain.position)
            field.house_keep()
        far.cost = lambda _: 0  # what is live would never end
        await emptied(drain)
        assert far.got == field.committed
        assert sorted(set(far.notes)) == field.moves
        assert drain.position.expired == 0

    asyncio.run(main())


def test_rewound_to_a_time_only_what_came_after_it_is_sent_again(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path, every=1.0)
        field.commit(field.epoch(), alarm=True)
        far = FarEnd(field)
        drain = drain_of(field, far)
        for _ in range(60):
            field.pass_time(MINUTE)
            field.house_keep()
        await emptied(drain)
        field.keep(drain.position)
        field.house_keep()
        far.got.clear()
        since = field.clock.wall() - 20 * MINUTE
        drain.rewind(since)
        await emptied(drain)
        assert {key for key in field.committed if key[1] >= since} <= set(far.got)
        assert len(far.got) < 40 * 60 * field.rate

    asyncio.run(main())


def test_a_cursor_is_never_led_back_and_one_that_is_no_more_goes(tmp_path: Path) -> None:
    field = Field(tmp_path)
    for live in (100, 50):
        field.keep(Position(instance="x", live=live))
        assert field.store.connection.execute("SELECT seq FROM cursor").fetchall() == [(100,)]
    field.store.commit(Group(BOOT, field.clock.mono(), field.clock.wall(), (), cursors={CURSOR: -1}))
    assert field.store.connection.execute("SELECT seq FROM cursor").fetchall() == []


def test_what_the_far_end_refuses_is_counted_and_shown_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path)
        field.commit(field.epoch())
        far = FarEnd(field)
        far.refuses = lambda value: value == 1.5
        drain = drain_of(field, far)
        await emptied(drain)
        assert drain.position.set_aside == 1
        assert drain.position.asides[0] == ("5 1.5", "no")
        assert len(far.got) == field.rate - 1

    asyncio.run(main())


def test_a_damaged_row_is_counted_and_costs_itself_alone(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path)
        field.commit(field.epoch())
        broken = field.commit()
        good = dict(field.committed)
        field.clock.jump(SECOND)
        field.commit()
        field.store.connection.execute("UPDATE journal SET body = x'02ff' WHERE seq = ?", (broken,))
        far = FarEnd(field)
        drain = drain_of(field, far)
        await emptied(drain)
        assert drain.position.unreadable == 1
        assert set(far.got) <= set(field.committed) | set(good)
        assert len(far.got) >= field.rate

    asyncio.run(main())


def test_a_store_that_was_begun_anew_does_not_leave_the_sink_waiting(tmp_path: Path) -> None:
    async def main() -> None:
        field = Field(tmp_path)
        field.commit(field.epoch(), alarm=True)
        far = FarEnd(field)
        ahead = Position(instance="x", live=5_000, record=4_000, gaps=[(10, 20), (4_000, 4_990)], notes=[(7, 8)])
        drain = drain_of(field, far, ahead)
        field.clock.jump(SECOND)
        field.commit(alarm=True)
        await emptied(drain)
        assert set(far.got) >= {key for key in field.committed if key[1] == field.clock.wall()}
        assert far.notes[0] == field.moves[-1]

    asyncio.run(main())


def test_ranges_join_where_they_meet_and_never_grow_without_bound() -> None:
    ranges = [(0, 5)]
    add(ranges, 5, 9)
    add(ranges, 9, 9)
    assert ranges == [(0, 9)]
    for place in range(RANGES * 2):
        add(ranges, 20 + 3 * place, 21 + 3 * place)
    assert len(ranges) == RANGES
    assert ranges[0][0] == 0
    assert ranges[-1] == (20 + 3 * (2 * RANGES - 1), 21 + 3 * (2 * RANGES - 1))
