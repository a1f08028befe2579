"""The ledger on a good disk: order, commit policy, acknowledgement after the commit and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SECOND
from gateway.model.batch import make_batch
from gateway.model.delta import Delta
from gateway.model.station import Limits
from gateway.model.verdict import NEVER
from gateway.pipeline.commit import BUCKET, GROUP_READINGS, LONGEST_GROUP, Acknowledgements, Policy, Work
from gateway.pipeline.step import Effects
from tests.gateway.ledger_bench import POINT, Bench
from tests.patience import PATIENCE, until

Body = Callable[[Bench], Coroutine[Any, Any, None]]


def run(folder: Path, body: Body, **options: Any) -> Bench:  # noqa: ANN401 - passed on to Bench
    async def main() -> Bench:
        bench = Bench(folder, **options)
        try:
            await asyncio.wait_for(body(bench), PATIENCE)
        finally:
            bench.disk.release()
        return bench

    return asyncio.run(main())


# -- policy


def work(*, readings: int = 1, messages: int = 0, urgent: bool = False, hurried: bool = False, at: int = 0) -> Work:
    found = Work()
    batch = make_batch("s", at, [(POINT, 0, 1.0, 0)] * readings)
    found.add(at, [batch], Delta(), Effects(urgent=urgent, hurried=hurried), at)
    found.messages = messages
    return found


def policy() -> Policy:
    return Policy(5 * SECOND, Limits(receive_maximum=100))


def test_nothing_is_never_due() -> None:
    assert policy().due(Work()) == NEVER


@pytest.mark.parametrize(
    ("group", "due"),
    [
        (work(at=7), 7 + 5 * SECOND),
        (work(at=7, urgent=True), 0),
        (work(at=7, readings=GROUP_READINGS), 0),
        (work(at=7, readings=GROUP_READINGS - 1), 7 + 5 * SECOND),
        (work(at=7, messages=50), 0),
        (work(at=7, messages=49), 7 + 5 * SECOND),
    ],
)
def test_when_a_group_is_due(group: Work, due: int) -> None:
    assert policy().due(group) == due


def test_small_changes_share_a_bucket_and_urgent_ones_never_do() -> None:
    rule, now = policy(), 100 * SECOND
    rule.spend(Work(), now)
    for _ in range(BUCKET):
        assert rule.due(work(at=now, hurried=True)) <= now
        rule.spend(work(at=now, hurried=True), now)
    assert rule.due(work(at=now, hurried=True)) == now + SECOND // BUCKET
    for _ in range(100):
        assert rule.due(work(at=now, urgent=True, hurried=True)) == 0
        rule.spend(work(at=now, urgent=True, hurried=True), now)
    assert rule.due(work(at=now, hurried=True)) == now + SECOND // BUCKET
    rule.spend(Work(), now + SECOND)
    for _ in range(BUCKET):
        rule.spend(work(at=now, hurried=True), now + SECOND)
    assert rule.due(work(at=now + SECOND, hurried=True)) == now + SECOND + SECOND // BUCKET


def test_a_small_change_waits_no_longer_than_the_interval() -> None:
    rule = Policy(SECOND // 100, Limits())
    for _ in range(BUCKET):
        rule.spend(work(hurried=True), 0)
    assert rule.due(work(at=0, hurried=True)) == SECOND // 100


def test_a_long_group_takes_no_more_telemetry() -> None:
    assert not Policy.full(work(readings=LONGEST_GROUP - 1))
    assert Policy.full(work(readings=LONGEST_GROUP))


# -- acknowledgements


def test_half_a_window_of_each_session_is_withheld_and_the_oldest_goes_first(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        held = Acknowledgements(6)
        alarm = bench.message(0, session="alarm")
        held.hold([alarm], kept := set(alarm.marks))
        assert bench.acked == []
        for value in range(5):
            held.hold([bench.message(value)], set())
        assert bench.acked == [2, 3]
        assert held.unrecorded == 2
        assert kept == set(alarm.marks)
        marks = [mark for batch in held.release() for mark in batch.marks]
        assert sorted(bench.acked) == [1, 2, 3, 4, 5, 6]
        assert sorted(mark.packet for mark in marks) == [1, 4, 5, 6]
        assert held.unrecorded == 2
        assert held.release() == []

    run(tmp_path, body)


def test_a_source_that_holds_its_breath_is_answered_with_all_before_it(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        held = Acknowledgements(100)
        first, other, second = bench.message(1), bench.message(2, session="t"), bench.message(3, waiting=True)
        kept = {*first.marks, *other.marks, *second.marks}
        held.hold([first, other, second], kept)
        assert bench.acked == [1, 3]
        assert kept == set(other.marks)
        assert held.unrecorded == 2

    run(tmp_path, body)


# -- commits


def test_a_group_is_acknowledged_and_leaves_after_its_commit_once_and_in_order(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.once["before_commit"] = "hang"
        bench.take(bench.message(1), answer="first", urgent=True)
        bench.take(bench.message(2), answer="second", urgent=True)
        await bench.wait(1)
        assert (bench.acked, bench.house.left) == ([], [])
        bench.disk.release()
        await bench.quiet()
        assert bench.acked == [1]
        bench.poll()
        await bench.quiet()
        assert bench.acked == [1, 2]
        assert bench.house.left == [("first", True), ("second", True)]
        assert bench.stored() == [(False, [1.0]), (False, [2.0])]

    run(tmp_path, body)


def test_telemetry_waits_for_the_interval_and_an_urgent_step_takes_it_along(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.take(bench.message(1))
        await bench.wait(0.9)
        assert not bench.ledger.busy
        assert bench.ledger.due() == bench.clock.mono() + SECOND // 10
        bench.take(bench.message(2), urgent=True)
        await bench.quiet()
        assert bench.acked == [1, 2]
        bench.take(bench.message(3))
        await bench.wait(1)
        await bench.quiet()
        assert bench.values() == [1.0, 2.0, 3.0]

    run(tmp_path, body)


def test_marks_stand_with_their_commit_and_go_after_the_acknowledgement(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        kept = []
        for value in range(4):
            bench.take(bench.message(value), urgent=True)
            await bench.quiet()
            store = bench.ledger._store  # noqa: SLF001 - what a restart would find
            assert store is not None
            kept.append(sorted(mark.packet for mark in store.all_marks()))
        assert kept == [[1], [1, 2], [2, 3], [3, 4]]

    run(tmp_path, body)


def test_what_a_plug_in_keeps_is_committed_without_a_step(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.ledger.keep("memory", "topics", "a b")
        await bench.wait(1)
        await bench.quiet()
        assert bench.rows()["topics"] == "a b"

    run(tmp_path, body)


def test_the_end_writes_what_is_open(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.take(bench.message(5))
        closing = asyncio.create_task(bench.ledger.close())
        while not closing.done():
            await bench.clock.advance(0.01)
            await until(lambda: closing.done() or not bench.ledger.busy)
        assert bench.acked == [1]
        assert bench.values() == [5.0]

    run(tmp_path, body)


def test_a_hanging_disk_does_not_stop_a_stop(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_commit"] = "hang"
        bench.take(bench.message(5))
        closing = asyncio.create_task(bench.ledger.close())
        for _ in range(60):
            await bench.clock.advance(0.1)
        assert closing.done()

    run(tmp_path, body)
