"""What was given up while it hung must not touch the store that the house has come back to (house section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store.database import Store
from tests.gateway.ledger_bench import Bench
from tests.patience import PATIENCE, until

BACK = 10.2  # s; Limits.reopen


async def back_beside(bench: Bench) -> None:
    """Come back by another thread while the first hangs, write on, and only then let the first go on."""
    await bench.wait(2.1)
    assert bench.ledger.volatile
    for value in (3, 4, 5):
        bench.take(bench.message(value), urgent=True)
    await bench.wait(BACK)
    await until(lambda: not bench.ledger.volatile)
    await bench.quiet()
    bench.take(bench.message(6), urgent=True)
    await bench.quiet()
    bench.disk.release()
    await until(lambda: not bench.disk.hanging)
    await asyncio.sleep(0.2)  # the one that was given up wakes in a thread of its own
    bench.poll()
    bench.take(bench.message(7), urgent=True)
    await bench.quiet()


def closes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Store]:
    """Let the store's next close hang; returns what was closed."""
    closed, honest = [], Store.close

    def close(store: Store) -> None:
        closed.append(store)
        if len(closed) == 1:
            bench.disk.hang()
        honest(store)

    monkeypatch.setattr(Store, "close", close)
    return closed


@pytest.mark.parametrize("where", ["closing", "opening"])
def test_a_retry_that_wakes_late_leaves_the_store_alone(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        bench.take(bench.message(1), urgent=True)
        await bench.quiet()
        bench.disk.once["before_commit"] = "raise"
        if where == "closing":
            closes(bench, monkeypatch)
        else:
            bench.disk.once["before_open"] = "hang"
        bench.take(bench.message(2), answer="gas", safety=True)
        await until(lambda: bench.disk.hanging)  # the commit fails, the retry begins
        await back_beside(bench)
        assert not bench.path.with_name("station.db.aside-1").exists()
        assert bench.values() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
        assert bench.house.faults == ["a commit takes too long", None]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_retry_that_comes_too_late_closes_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        opened, closed, honest, close = [], [], Store.open, Store.close

        def note(*args: object, **options: object) -> Store:
            opened.append(honest(*args, **options))  # type: ignore[arg-type] # as given
            return opened[-1]

        def shut(store: Store) -> None:
            closed.append(store)
            close(store)

        monkeypatch.setattr(Store, "open", note)
        monkeypatch.setattr(Store, "close", shut)
        bench.disk.once["before_commit"] = "raise"
        bench.disk.once["before_open"] = "hang"
        bench.take(bench.message(2), answer="gas", safety=True)
        await until(lambda: bench.disk.hanging)  # the commit fails, the retry begins
        await bench.wait(2.1)
        assert bench.ledger.volatile
        bench.disk.release()
        await until(lambda: len(opened) == 1)
        await until(lambda: opened[0] in closed)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def snapshot(store: Store) -> None:
    store.save_snapshot(1, "1", "old", {"engine": b"old"})


def forget(store: Store) -> None:
    with store.transaction() as connection:  # as compaction does at the end of a slice
        connection.execute("DELETE FROM journal")


@pytest.mark.parametrize("write", [snapshot, forget])
def test_what_hangs_before_its_transaction_writes_nothing_after_the_way_back(
    tmp_path: Path, write: Callable[[Store], None]
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        bench.take(bench.message(1), urgent=True)
        await bench.quiet()
        writer, store, came = bench.ledger._writer, bench.ledger._store, []  # noqa: SLF001 - what housekeeping uses
        assert store is not None

        def hangs() -> None:
            bench.disk.hang()
            try:
                write(store)
            except StoreError as error:
                came.append(str(error))

        writer.submit(hangs)
        bench.take(bench.message(2), answer="gas", safety=True)
        await back_beside(bench)
        await until(lambda: came)
        assert came == [f"{bench.path}: this connection was given up, another has taken over"]
        assert bench.values() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
