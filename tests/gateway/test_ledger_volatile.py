"""The ledger on a failing disk: told in time, marked, nothing twice, back by itself and in order (house section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import SECOND
from gateway.pipeline import backlog
from gateway.store.database import Store
from tests.gateway.ledger_bench import Bench
from tests.patience import PATIENCE, until

Body = Callable[[Bench], Coroutine[Any, Any, None]]
DEADLINE = 2.0  # Limits.commit_deadline
AGAIN = 10.0  # Limits.reopen
OPEN_DEADLINE = 5.0  # Limits.open_deadline


def run(folder: Path, body: Body, **options: Any) -> Bench:  # noqa: ANN401 - passed on to Bench
    async def main() -> Bench:
        bench = Bench(folder, **options)
        try:
            await asyncio.wait_for(body(bench), PATIENCE)
        finally:
            bench.disk.release()
        return bench

    return asyncio.run(main())


async def back(bench: Bench) -> None:
    """Let the disk come back."""
    bench.disk.release()
    await bench.wait(AGAIN + 0.1)
    await until(lambda: not bench.ledger.volatile)
    await bench.quiet()


def test_a_commit_that_fails_once_goes_again_on_a_fresh_connection(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.once["before_commit"] = "raise"
        bench.take(bench.message(1), answer="gas", safety=True)
        await bench.quiet()
        assert bench.house.left == [("gas", True)]
        assert bench.acked == [1]
        assert bench.values() == [1.0]
        assert bench.house.faults == []

    run(tmp_path, body)


def test_a_commit_that_stored_and_then_failed_is_not_stored_twice(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.once["after_commit"] = "raise"
        bench.take(bench.message(1), answer="gas", safety=True)
        await bench.quiet()
        assert bench.house.left == [("gas", True)]
        assert bench.values() == [1.0]
        bench.take(bench.message(2), urgent=True)
        await bench.quiet()
        assert bench.values() == [1.0, 2.0]

    run(tmp_path, body)


@pytest.mark.parametrize("point", ["before_begin", "after_journal", "before_commit", "after_commit"])
def test_a_hanging_commit_is_given_up_after_two_seconds_and_the_alarm_leaves_marked(tmp_path: Path, point: str) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan[point] = "hang"
        bench.take(bench.message(1), answer="gas", safety=True)
        await bench.wait(DEADLINE - 0.1)
        assert bench.house.left == []
        await bench.wait(0.1)
        assert bench.house.left == [("gas", False)]
        assert bench.house.faults == ["a commit takes too long"]
        assert bench.acked == []
        await back(bench)
        assert bench.house.left == [("gas", False)], "told once"
        assert bench.values() == [1.0], "stored once"
        assert bench.acked == [1]
        assert bench.house.faults[-1] is None

    run(tmp_path, body)


def test_an_alarm_does_not_wait_for_telemetry_that_hangs_before_it(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_commit"] = "hang"
        bench.take(bench.message(1))
        await bench.wait(1.5)
        assert bench.ledger.busy
        bench.take(bench.message(99), answer="gas", safety=True)
        await bench.wait(DEADLINE)
        assert bench.house.left == [("gas", False)]
        bench.take(bench.message(98), answer="second", safety=True)
        assert bench.house.left[-1] == ("second", False), "once volatile, at once"
        await back(bench)
        assert bench.values() == [1.0, 99.0, 98.0]
        assert [late for late, _ in bench.stored()][1:] == [True, True]

    run(tmp_path, body)


def test_hanging_telemetry_alone_is_given_up_later(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_commit"] = "hang"
        bench.take(bench.message(1), urgent=True)
        await bench.wait(OPEN_DEADLINE - 0.1)
        assert not bench.ledger.volatile
        await bench.wait(0.1)
        assert bench.ledger.volatile

    run(tmp_path, body)


def test_a_commit_that_returns_good_after_three_seconds_is_told_once_and_stored_once(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.once["before_commit"] = "hang"
        bench.take(bench.message(1), answer="gas", safety=True)
        await bench.wait(3)
        assert bench.ledger.volatile
        bench.disk.release()
        await until(lambda: bench.ledger.due() == 0)  # it came back: looked at now, not at the next try
        bench.poll()
        await until(lambda: not bench.ledger.volatile)
        assert bench.house.left == [("gas", False)]
        assert bench.stored() == [(False, [1.0])], "the late commit itself, found by its number"
        assert bench.acked == [1]

    run(tmp_path, body)


def test_a_disk_that_refuses_turns_the_house_volatile_and_comes_back_in_order(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.take(bench.message(0), urgent=True)
        await bench.quiet()
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(1), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        assert bench.house.left == [("gas", False)]
        for value in range(2, 8):
            bench.take(bench.message(value), answer=f"a{value}", urgent=True)
            await bench.wait(5)
            await bench.quiet()
        assert bench.ledger.volatile
        await back(bench)
        assert bench.values() == [float(value) for value in range(8)]
        assert [late for late, _ in bench.stored()] == [False] + [True] * 7
        assert bench.acked == list(range(1, 9))
        assert bench.house.left == [(name, False) for name in ("gas", *(f"a{value}" for value in range(2, 8)))]
        assert bench.rows() == bench.house.table.rows
        assert bench.house.anew == 0

    run(tmp_path, body)


@pytest.mark.parametrize("where", ["before_commit", "after_commit"])
@pytest.mark.parametrize("hit", range(1, 5))
def test_coming_back_may_itself_be_cut_anywhere(tmp_path: Path, hit: int, where: str) -> None:
    """The disk takes some groups of the backlog and fails again: none is lost, none is written twice."""

    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        for value in range(5):
            bench.take(bench.message(value), urgent=True)
            await bench.wait(0.2)
            await until(lambda: bench.ledger.volatile)
        bench.disk.plan.clear()
        passed = 0

        def count(point: str) -> None:
            nonlocal passed
            if point == "before_begin":
                passed += 1
                if passed == hit:
                    bench.disk.once[where] = "raise"
            honest(point)

        honest, bench.disk.hook = bench.disk.hook, count
        await bench.wait(3 * AGAIN)
        await until(lambda: not bench.ledger.volatile)
        assert bench.values() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert bench.acked == [1, 2, 3, 4, 5]
        assert bench.rows() == bench.house.table.rows
        assert bench.house.anew == 0

    run(tmp_path, body)


def test_what_happens_while_the_backlog_is_written_is_written_too(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(1), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        bench.disk.plan.clear()
        bench.disk.once["before_commit"] = "hang"
        await bench.wait(AGAIN)
        bench.take(bench.message(2), answer="more", safety=True)
        assert bench.house.left[-1] == ("more", False), "an alarm does not wait for the way back"
        await back(bench)
        assert bench.values() == [1.0, 2.0]
        assert bench.rows() == bench.house.table.rows

    run(tmp_path, body)


def test_never_deaf(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(0), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        for value in range(1, 100):
            bench.take(bench.message(value))
            await bench.wait(0.1)
        await bench.wait(1)
        assert bench.acked == list(range(1, len(bench.acked) + 1)), "in order"
        assert 100 - len(bench.acked) <= 10, "half a window is withheld"
        assert bench.ledger.unrecorded == len(bench.acked)
        await back(bench)
        assert bench.acked == list(range(1, 101)), "every one once"
        assert sorted(bench.values()) == [float(value) for value in range(100)]

    run(tmp_path, body)


def test_marks_of_what_comes_again_after_a_kill_are_on_the_disk_and_no_others(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        for value in range(30):
            bench.take(bench.message(value), urgent=True)
            await until(lambda: bench.ledger.volatile or not bench.ledger.busy)
        unacknowledged = set(range(1, 31)) - set(bench.acked)
        bench.disk.plan.clear()
        bench.disk.once["before_open"] = "hang"
        await bench.wait(AGAIN + 0.1)
        bench.disk.go_on.set()
        await until(lambda: not bench.ledger.volatile)
        store = bench.ledger._store  # noqa: SLF001 - what a restart would find
        assert store is not None
        assert {mark.packet for mark in store.all_marks()} == unacknowledged

    run(tmp_path, body)


def test_readings_give_way_to_memory_and_records_never(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(0), answer="first", safety=True)
        await until(lambda: bench.ledger.volatile)
        bench.ledger._backlog._limit = 20_000  # noqa: SLF001 - in place of megabytes
        for value in range(1, 200):
            answer = f"a{value}" if value % 40 == 0 else ""
            bench.take(bench.message(value), answer=answer, urgent=True)
            assert bench.ledger.backlog_bytes <= 20_000
        assert bench.ledger.dropped > 100
        await back(bench)
        assert bench.values() == [float(value) for value in range(200 - len(bench.values()), 200)], "the newest stayed"
        store = Store.open(bench.path, lock=bench.lock)
        records = store.connection.execute("SELECT count(*) FROM record").fetchone()[0]
        store.close()
        assert records == 5
        assert bench.rows() == bench.house.table.rows

    assert backlog.BACKLOG_BYTES == 16 << 20
    run(tmp_path, body)


# -- another file


@pytest.mark.parametrize("how", ["gone", "garbage", "older"])
def test_a_store_that_is_not_ours_any_more_gets_everything_from_ram(tmp_path: Path, how: str) -> None:
    async def body(bench: Bench) -> None:
        bench.take(bench.message(0), answer="first", urgent=True)
        await bench.quiet()
        before = bench.files()
        for value in range(1, 4):
            bench.take(bench.message(value), answer=f"a{value}", urgent=True)
            await bench.quiet()
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(4), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        await asyncio.sleep(0.05)  # the connection that is given up closes
        bench.replace({"gone": {}, "garbage": {"": b"garbage" * 5000}, "older": before}[how])
        await back(bench)
        assert bench.house.anew == 1
        assert bench.values() == [4.0]
        assert bench.rows() == bench.house.table.rows
        assert bench.path.with_name("station.db.aside-1").exists() == (how != "gone")
        bench.take(bench.message(5), urgent=True)
        await bench.quiet()
        assert bench.values() == [4.0, 5.0]

    run(tmp_path, body)


def test_a_house_that_began_without_a_disk_gets_on_it(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.ledger.begin_volatile("it does not open")
        bench.disk.plan["before_open"] = "raise"
        bench.take(bench.message(1), answer="gas", safety=True)
        assert bench.house.left == [("gas", False)]
        await bench.wait(3 * AGAIN + 0.1)
        await until(lambda: bench.disk.passed.count("before_open") == 3)  # every ten seconds
        assert bench.ledger.volatile
        await back(bench)
        assert bench.values() == [1.0]
        assert bench.rows() == bench.house.table.rows
        assert bench.house.anew == 0

    run(tmp_path, body, volatile=True)


def test_only_one_attempt_hangs_at_a_time(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.ledger.begin_volatile("it does not open")
        bench.disk.plan["before_open"] = "hang"
        await bench.wait(5 * AGAIN)
        assert bench.disk.passed.count("before_open") == 1
        assert bench.ledger.due() > bench.clock.mono() + SECOND, "and nobody turns in circles meanwhile"

    run(tmp_path, body, volatile=True)
