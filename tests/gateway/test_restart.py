"""Starting on what the store holds: disks that hang on a read or are only slow, a change of rules inside the tail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.app import open_house
from gateway.clock import SECOND, SystemClock
from gateway.errors import StoreError
from gateway.house import House
from gateway.model.batch import Batch, make_batch
from gateway.model.station import StoreSpec
from gateway.pipeline import recovery
from gateway.pipeline.opening import Enrolment, enrol, open_store
from gateway.pipeline.restart import Beat, Restored
from gateway.store.database import Store
from gateway.testing import FakeClock
from tests import station_toml as toml
from tests.patience import PATIENCE, until

DEADLINE = 5.0  # s
PIECES = 6


def configuration(folder: Path, limit: int) -> Path:
    """Write a station with a rate over a minute and a threshold of `limit`."""
    path = folder / "station.toml"
    text = toml.station(folder, limits=toml.WELL) + toml.broker(9)
    text += toml.sensor("g") + toml.rule("high", "g.v", f"value > {limit}")
    text += toml.table(
        "rule", id="rising", kind="rate", points="g.v", window="60s", when="per_min > 1e9", class_="supervisory"
    )
    path.write_text(text, encoding="utf-8")
    return path


async def lives(path: Path, batches: Callable[[House], list[Batch]]) -> House:
    """Let a house take batches and commit them, then die without a word."""
    house = await open_house(path, SystemClock())
    for batch in [None, *batches(house)]:
        if batch is not None:
            house.intake.put(batch)
        before = house.ledger.seq
        house.ledger.keep("memory", "test", str(before))
        house.ledger._open.urgent = True  # noqa: SLF001 - at once
        house.runner.turn()
        await until(lambda before=before: house.ledger.seq > before)  # type: ignore[misc]
    await until(lambda: house.ledger._writer.pending == 0)  # noqa: SLF001 - the snapshot
    house.ledger._store.close()  # type: ignore[union-attr]  # noqa: SLF001 - the process lives on
    house.ledger._reopen._lock.release()  # type: ignore[attr-defined]  # noqa: SLF001 - likewise
    return house


def readings(house: House) -> list[Batch]:
    """Return a reading a second of the last half minute."""
    now, point = SystemClock().mono(), house.ids["g.v"]
    return [make_batch("broker", now - (30 - n) * SECOND, [(point, 0, 1.0 + n, 0)]) for n in range(3)]


def test_a_change_of_rules_inside_the_tail_costs_no_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        first = await lives(configuration(tmp_path, 10), readings)
        with monkeypatch.context() as patch:  # killed before its first snapshot
            patch.setattr(Store, "save_snapshot", lambda *_: None)
            second = await lives(configuration(tmp_path, 20), readings)
        third = await open_house(configuration(tmp_path, 30), SystemClock())
        assert first.state.engine.snapshot() != second.state.engine.snapshot()
        assert not [remark for remark in third._remarks if "afresh" in remark]  # noqa: SLF001 - what is told
        assert third.state.successor is not None
        assert third.state.engine.kinds["rate"].snapshot() == second.state.engine.kinds["rate"].snapshot()
        await third.ledger.close()

    asyncio.run(main())


@pytest.mark.parametrize("beats", [True, False])
def test_a_disk_that_gives_something_is_waited_for_and_one_that_hangs_is_not(tmp_path: Path, *, beats: bool) -> None:
    """It gives a piece after 0.4 of the deadline, six times, and says so or does not."""
    read: list[Store] = []
    given = [0]

    async def main() -> None:
        clock, spec, go_on = FakeClock(), toml_spec(tmp_path), threading.Semaphore(0)

        def restore(store: Store, before: object, beat: Beat) -> Restored:
            del before
            read.append(store)
            for _ in range(PIECES if len(read) == 1 else 0):
                assert go_on.acquire(timeout=PATIENCE)
                if beats:
                    beat()
                given[0] += 1
            return object()  # type: ignore[return-value] # handed on, not looked at

        opened = await open_store(spec, clock=clock, deadline=DEADLINE, faults=lambda _: None)
        wanted = Enrolment(("a.b",), {}, "digest", b"blob", restore=restore)
        enrolled = enrol(opened, wanted, spec, clock=clock, deadline=DEADLINE, faults=lambda _: None)
        starting = asyncio.create_task(enrolled)
        await until(lambda: read)
        for piece in range(PIECES if beats else 2):
            await clock.advance(0.4 * DEADLINE)
            assert not starting.done()
            go_on.release()
            await until(lambda: given[0] > piece)  # noqa: B023 - waited for here
        if not beats:
            await clock.advance(0.2 * DEADLINE)
        await until(starting.done)
        begun = starting.result()
        assert begun.volatile is not beats
        assert begun.restored is not None
        assert read[-1] is begun.store
        go_on.release(PIECES)
        begun.store.close()

    asyncio.run(main())


def test_a_disk_that_trickles_is_not_waited_for_without_end(tmp_path: Path) -> None:
    async def main() -> None:
        clock, spec, ended, rows = FakeClock(), toml_spec(tmp_path), threading.Event(), [0]

        def restore(store: Store, before: object, beat: Beat) -> Restored:
            del before
            while store is opened.store and not ended.wait(0.002):
                rows[0] += 1
                beat()
            return object()  # type: ignore[return-value] # handed on, not looked at

        opened = await open_store(spec, clock=clock, deadline=5.0, faults=lambda _: None)
        wanted = Enrolment(("a.b",), {}, "digest", b"blob", restore=restore)
        starting = asyncio.create_task(enrol(opened, wanted, spec, clock=clock, deadline=5.0, faults=lambda _: None))
        await until(lambda: rows[0] > 0)
        for seconds in (4.9, 4.9, 4.9, 0.3):
            before = rows[0]
            await until(lambda: rows[0] > before + 1)  # noqa: B023 - waited for here
            assert not starting.done()
            await clock.advance(seconds)
        await until(starting.done)
        begun = starting.result()
        assert begun.volatile
        assert "not read within 15 s" in begun.remarks[0]
        ended.set()
        begun.store.close()

    asyncio.run(main())


def toml_spec(folder: Path) -> StoreSpec:
    """Return where the store is."""
    return StoreSpec(path=str(folder / "station.db"))


@pytest.mark.parametrize("late", [False, True])
def test_a_read_error_leaves_the_house_volatile_with_what_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    async def main() -> None:
        path, calls = configuration(tmp_path, 10), []
        await lives(path, readings)
        axis_of, before = recovery.axis_of, Store.last_good_configuration

        def fails_once(store: Store, *boot: str) -> object:
            calls.append(boot)
            if len(calls) == 1:
                raise StoreError("disk I/O error")
            return axis_of(store, *boot) if late else before(store)

        if late:
            fails = SimpleNamespace(axis_of=fails_once, load=recovery.load)
            monkeypatch.setattr("gateway.pipeline.restart.recovery", fails)
        else:
            monkeypatch.setattr(Store, "last_good_configuration", fails_once)
        house = await open_house(path, SystemClock())
        assert house.ledger.volatile
        assert house.state.latest.value.size
        await house.ledger.close()

    asyncio.run(main())
