"""The way back to a disk that takes some groups and fails again: it must get on faster than new groups come."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.clock import MINUTE, SECOND
from gateway.errors import StoreFull
from gateway.model.batch import EventSeen
from gateway.store.read import Reader
from tests.gateway.ledger_bench import Bench
from tests.patience import PATIENCE, until

MB = 1 << 20
AGAIN = 10.0  # Limits.reopen
WAITING = 8  # groups


def test_a_disk_that_gets_on_is_tried_again_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        bench.disk.plan["before_begin"] = "raise"
        for value in range(WAITING):
            bench.take(bench.message(value), urgent=True)
            await bench.wait(0.2)
            await until(lambda: bench.ledger.volatile)
        bench.disk.plan.clear()
        passed, honest = 0, bench.disk.hook

        def every_third_fails(point: str) -> None:
            nonlocal passed
            passed += point == "before_begin"
            if point == "before_begin" and passed % 3 == 0:
                bench.disk.once[point] = "raise"
            honest(point)

        bench.disk.hook = every_third_fails
        await bench.wait(AGAIN + 0.1)
        for _ in range(WAITING):
            await bench.wait(0.1)
            await until(lambda: not bench.ledger.busy)
        assert not bench.ledger.volatile
        assert bench.values() == [float(value) for value in range(WAITING)]
        bench.disk.release()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_the_way_back_to_a_disk_full_of_readings_gives_up_readings_first(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, budget=MB + MB // 2)
        bench.take(bench.message(0.0), urgent=True)
        await bench.quiet()
        bench.house.life = frozenset({2})
        fill_with_readings(bench)
        bench.disk.hook = lambda point: full(point) if chunks(bench) == 256 else None
        bench.take(bench.message(1.0), answer="alarm", safety=True)
        await until(lambda: bench.ledger.volatile)
        await bench.wait(AGAIN / 2 + 0.5)
        await until(lambda: not bench.ledger.volatile)
        with Reader(bench.path) as reader:
            assert reader.evicted() == 128_000
            assert [entry.body.key for entry in reader.record(["event"], EventSeen)] == ["alarm"]
        with closing(sqlite3.connect(bench.path)) as connection:
            left = connection.execute("SELECT point, count(*) FROM chunk GROUP BY point").fetchall()
        assert left == [(2, 128)], "what a gas rule watches goes last"

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def chunks(bench: Bench) -> int:
    with closing(sqlite3.connect(bench.path)) as connection:
        return int(connection.execute("SELECT count(*) FROM chunk").fetchone()[0])


def full(point: str) -> None:
    if point == "before_begin":
        raise StoreFull("the disk is full")


def fill_with_readings(bench: Bench) -> None:
    """Put 1 MB of chunks of each of two points into the store."""
    with closing(sqlite3.connect(bench.path)) as connection, connection:
        for point in (1, 2):
            rows = [(point, 1, 0, MINUTE, 0, 0, 1_000, bytes(MB // 128))] * 128
            sql = "INSERT INTO chunk (point, boot, t0, t1, s0, s1, n, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            connection.executemany(sql, rows)


def test_a_full_disk_is_tried_often_enough_to_be_back_within_ten_seconds(tmp_path: Path) -> None:
    async def main() -> None:
        bench, tries = Bench(tmp_path), []

        def full_and_counted(point: str) -> None:
            if point == "before_open":
                tries.append(bench.clock.mono())
            full(point)

        bench.disk.hook = full_and_counted
        bench.take(bench.message(1.0), safety=True)
        await until(lambda: bench.ledger.volatile)
        tries.clear()  # the second try of the same commit
        await bench.wait(30)
        assert len(tries) >= 5
        assert max(after - before for before, after in itertools.pairwise(tries)) < 6 * SECOND
        bench.disk.release()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_no_mark_stays_of_what_was_acknowledged_while_its_commit_hung(tmp_path: Path) -> None:
    """Else a message of the same words under the same id would be taken for it after the next start."""

    async def main() -> None:
        bench = Bench(tmp_path)
        bench.disk.plan["before_commit"] = "hang"
        bench.take(bench.message(1), safety=True)
        await until(lambda: bench.disk.hanging)
        await bench.wait(2.1)
        assert bench.ledger.volatile
        for value in range(2, 20):  # more than half of the window: never deaf
            bench.take(bench.message(value), urgent=True)
        assert 1 in bench.acked
        bench.disk.release()  # the commit is made after all
        await until(lambda: not bench.ledger.busy)
        await bench.wait(AGAIN + 0.1)
        await until(lambda: not bench.ledger.volatile)
        await bench.quiet()
        assert bench.values() == [float(value) for value in range(1, 20)]
        for value in range(20, 24):  # what was acknowledged is forgotten some commits later
            bench.take(bench.message(value), urgent=True)
            await bench.quiet()
        store = bench.ledger._store  # noqa: SLF001 - what a restart would find
        assert store is not None
        assert {mark.packet for mark in store.all_marks()} <= set(range(20, 24))

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
