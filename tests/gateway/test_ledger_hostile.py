"""What must not cost the house its ledger: values that cannot be packed, plug-ins that raise, floods of notices."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Container, Coroutine
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.clock import SECOND
from gateway.model.alarm import OperatorAct, Verb
from gateway.model.delta import Delta
from gateway.model.notification import Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.station import Limits
from gateway.pipeline import backlog
from gateway.pipeline.backlog import Backlog
from gateway.pipeline.step import Effects
from gateway.pipeline.upkeep import COMPACT_EVERY, COMPACT_SOON
from gateway.store.shapes import Group
from tests.gateway.ledger_bench import Bench
from tests.patience import PATIENCE, until

BAD = OperatorAct(verb=Verb.ACK, alarms=(1 << 70,), who="li", via="cli", at=0, reason="\ud800")


def run(folder: Path, body: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        bench = Bench(folder)
        try:
            await asyncio.wait_for(body(bench), PATIENCE)
        finally:
            bench.disk.release()

    asyncio.run(main())


def take_bad(bench: Bench) -> None:
    """Add a step whose input, record and row cannot be packed, with an answer to it."""
    delta = Delta()
    bench.house.table.put(delta, "bad", "\ud800")
    effects = Effects(urgent=True, records=[("act", BAD)], answers={"bad": ()})
    bench.ledger.add(bench.clock.mono(), [BAD, bench.message(66)], delta, effects)


async def closed(bench: Bench) -> None:
    closing = asyncio.create_task(bench.ledger.close())
    while not closing.done():
        await asyncio.sleep(0.001)
        await bench.clock.advance(0.01)


def test_what_cannot_be_packed_costs_itself_alone(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        take_bad(bench)
        bench.take(bench.message(1), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        assert bench.house.left == [("bad", False), ("gas", False)]
        assert bench.house.faults != []
        assert bench.house.table.rows.pop("bad")
        bench.disk.release()
        await bench.wait(10.1)
        await until(lambda: not bench.ledger.volatile)
        assert bench.values() == [1.0]
        assert bench.acked == [1, 2]
        assert bench.rows() == bench.house.table.rows

    run(tmp_path, body)


def test_what_cannot_be_packed_while_volatile_ends_no_turn(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(0), urgent=True)
        await until(lambda: bench.ledger.volatile)
        take_bad(bench)
        bench.poll()
        assert bench.house.left == [("bad", False)]
        bench.disk.release()
        await bench.wait(10.1)
        await until(lambda: not bench.ledger.volatile)
        assert bench.acked == [1, 2]

    run(tmp_path, body)


def test_the_fault_is_raised_before_anything_of_the_group_can_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(bench: Bench) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(bench.house, "unrecorded", fail)
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(1), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        assert bench.house.left == [("gas", True)]
        assert len(bench.house.faults) == 1
        assert bench.ledger.due() <= bench.clock.mono() + 10 * SECOND

    run(tmp_path, body)


def test_a_stop_without_the_disk_tries_it_once_more(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(1), urgent=True)
        await until(lambda: bench.ledger.volatile)
        bench.take(bench.message(2))
        bench.disk.release()
        await closed(bench)
        assert bench.values() == [1.0, 2.0]
        assert bench.acked == [1, 2]

    run(tmp_path, body)


def test_a_stop_waits_for_a_disk_that_takes_one_group_after_the_other(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        for value in range(5):
            bench.take(bench.message(value), urgent=True)
            await until(lambda: bench.ledger.volatile)
        bench.disk.plan.clear()
        begun, go_on = [], threading.Semaphore(0)

        def slow(point: str) -> None:
            if point == "before_commit":
                begun.append(point)
                go_on.acquire(timeout=PATIENCE)

        bench.disk.hook = slow
        closing = asyncio.create_task(bench.ledger.close())
        for group in range(5):
            await until(lambda: len(begun) > group)  # noqa: B023 - waited for here
            await bench.clock.advance(0.7 * Limits().commit_deadline)
            assert not closing.done()
            go_on.release()
        await until(lambda: not bench.ledger.busy)
        while not closing.done():
            await asyncio.sleep(0.001)
            await bench.clock.advance(0.01)
        assert bench.values() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert sorted(bench.acked) == [1, 2, 3, 4, 5]

    run(tmp_path, body)


@pytest.mark.parametrize("how", ["raise", "hang"])
def test_a_stop_without_the_disk_ends_in_time(tmp_path: Path, how: str) -> None:
    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(1), urgent=True)
        await until(lambda: bench.ledger.volatile)
        bench.disk.plan["before_open"] = how
        await closed(bench)
        assert bench.disk.passed.count("before_open") == 2, "the fresh connection, and the last try"
        assert bench.ledger.volatile

    run(tmp_path, body)


@pytest.mark.parametrize("broken", ["hand_over", "ack", "settled"])
def test_a_plug_in_that_raises_after_the_commit_costs_nobody_else(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise ZeroDivisionError

    async def body(bench: Bench) -> None:
        first, second = bench.message(1), bench.message(2)
        if broken == "hand_over":
            monkeypatch.setattr(bench.house, "hand_over", fail)
        else:
            setattr(first, broken, fail)
        bench.take(first, second, urgent=True)
        await bench.quiet()
        assert bench.acked == ([2] if broken == "ack" else [1, 2])
        for value in (3, 4, 5):
            bench.take(bench.message(value), urgent=True)
            await bench.quiet()
        assert bench.values() == [1.0, 2.0, 3.0, 4.0, 5.0]
        store = bench.ledger._store  # noqa: SLF001 - what a restart would find
        assert store is not None
        assert [mark.packet for mark in store.all_marks()] == [4, 5], "marks do not pile up"

    run(tmp_path, body)


def test_an_acknowledgement_that_raises_without_the_disk_costs_nobody_else(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def body(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        first = bench.message(1)
        first.ack = fail
        bench.take(first, urgent=True)
        await until(lambda: bench.ledger.volatile)
        for value in range(2, 31):
            bench.take(bench.message(value), urgent=True)
        bench.disk.release()
        await bench.wait(10.1)
        await until(lambda: not bench.ledger.volatile)
        assert bench.acked == list(range(2, 31))

    run(tmp_path, body)


@pytest.mark.parametrize(("more", "pause"), [(True, COMPACT_SOON), (False, COMPACT_EVERY)])
def test_compaction_goes_on_soon_while_more_is_to_do(
    tmp_path: Path, *, more: bool, pause: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(bench: Bench) -> None:
        slices = []

        def compact(limit_ms: int, spared: Container[int]) -> bool:
            del spared
            slices.append(limit_ms)
            return more

        monkeypatch.setattr(bench.ledger._store, "compact", compact)  # noqa: SLF001 - in place of a flood
        await bench.clock.advance(1.0)
        bench.poll()
        await until(lambda: bench.ledger._writer.pending == 0)  # noqa: SLF001
        await asyncio.sleep(0)
        assert slices == [30]
        assert bench.ledger.due() == bench.clock.mono() + pause

    run(tmp_path, body)


# -- bounds in bytes


def notice(number: int, text: str) -> Notification:
    return Notification(
        id=number, alarm=1, alarm_class=AlarmClass.FIRE, contact="li", channel="sms", address="1",
        reason=NotifyReason.RAISED, text=text,
    )  # fmt: skip


def test_of_notices_the_newest_state_stays_and_of_acts_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "NOTICE_BYTES", 3_000)
    kept = Backlog()
    act = ("act", replace(BAD, alarms=(1,), reason="checked"))
    for number in range(100):
        records = [act, ("notice", notice(number % 2, f"{number:0100}"))]
        kept.add(Group(boot="b", mono=number, wall=0, steps=(), records=records), 0)
    groups, _ = kept.offer()
    records = [record for group in groups for record in group.records]
    assert records.count(act) == 100
    texts = [int(body.text) for _, body in records if isinstance(body, Notification)]
    assert len(texts) <= 2 + 3_000 // 100
    assert texts == list(range(100 - len(texts), 100)), "the newest, in order"
    assert backlog.BACKLOG_BYTES == 16 << 20


def test_what_is_of_another_life_goes_once_so_that_marks_of_this_one_stay() -> None:
    kept = Backlog()
    for number in range(2):
        kept.add(Group(boot="b", mono=number, wall=0, steps=()), 0)
    kept.begin_anew([])
    kept.offer()
    assert kept.alone
    kept.settle(1, whole=False)
    assert not kept.alone
