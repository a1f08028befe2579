"""The record's chain is looked over while the house lives: slice by slice, told once, never before a commit."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.clock import HOUR, SECOND
from gateway.pipeline.upkeep import VERIFY_EVERY, VERIFY_ROWS
from gateway.store.database import Store
from tests.gateway.ledger_bench import Bench
from tests.patience import until

ROWS = VERIFY_ROWS + 50


async def filled(bench: Bench) -> None:
    """Record more rows than a slice has, in a few commits."""
    for number in range(ROWS):
        bench.take(answer=f"row {number}", urgent=number % 50 == 49)
    bench.take(urgent=True)
    while bench.ledger.busy or bench.ledger.due() == 0:
        bench.poll()
        await bench.quiet()


async def look(bench: Bench) -> None:
    """Let the next slices that are due be done."""
    await bench.clock.advance(VERIFY_EVERY / SECOND)
    for _ in range(2):  # compaction first
        bench.poll()
        await until(lambda: bench.ledger._writer.pending == 0)  # noqa: SLF001 - what is under way is not told
        await asyncio.sleep(0)


def change(path: Path, sql: str) -> None:
    """Change the file behind the daemon's back."""
    with closing(sqlite3.connect(path)) as foreign, foreign:
        foreign.execute(sql)


def run(folder: Path, damage: str, slices: int) -> list[list[int | None]]:
    """Look over a damaged record so many times; returns what was told after each."""
    told: list[list[int | None]] = []

    async def main() -> None:
        bench = Bench(folder)
        await filled(bench)
        if damage:
            change(bench.path, damage)
        for _ in range(slices):
            await look(bench)
            told.append(list(bench.house.broken))
        await bench.clock.advance(HOUR / SECOND)
        for _ in range(2):
            await look(bench)
        assert bench.house.broken == told[-1], "told once"
        bench.take(answer="after", urgent=True)
        await bench.quiet()
        assert ("after", True) in bench.house.left, "a commit goes on"
        await bench.ledger.close()

    asyncio.run(main())
    return told


def test_a_row_that_was_changed_is_named_once_when_its_slice_comes(tmp_path: Path) -> None:
    place = VERIFY_ROWS + 7
    assert place == 207
    assert run(tmp_path, "UPDATE record SET body = x'80' WHERE n = 207", 3) == [[], [place], [place]]


def test_a_whole_record_is_told_to_be_so_after_the_last_slice(tmp_path: Path) -> None:
    assert run(tmp_path, "", 2) == [[], [None]]


def test_a_page_that_cannot_be_read_breaks_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "station.db"

    async def main() -> None:
        bench = Bench(tmp_path)
        await filled(bench)
        await bench.ledger.close()
        bench.lock.release()

    asyncio.run(main())
    with closing(sqlite3.connect(path)) as foreign:
        leaves = "SELECT min(pageno) FROM dbstat WHERE name = 'record' AND pagetype = 'leaf'"
        (page,) = foreign.execute(leaves).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with closing(Store.open(path)) as store:
        assert store.verify(VERIFY_ROWS) == (0, True, 1)
