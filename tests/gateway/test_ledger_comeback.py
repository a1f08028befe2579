"""The way back to a disk that takes some groups and fails again: it must get on faster than new groups come."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.gateway.ledger_bench import Bench
from tests.real_mosquitto import until

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

    asyncio.run(asyncio.wait_for(main(), 20))
