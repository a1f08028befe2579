"""The sign of life and the loop's lag on the driven clock: what the manager hears, and when it hears nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from gateway.care.lag import CALM, LIMIT, LoopLag
from gateway.care.watchdog import Watchdog
from gateway.clock import SECOND
from gateway.model.batch import Batch, EventCode, make_batch
from gateway.pipeline.intake import Intake
from gateway.testing import FakeClock
from gateway.transport.notify import Notifier, notifier, watchdog


class Manager:
    """Hears what is told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)

    def heard(self) -> list[str]:
        """Return the datagrams since the last call."""
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(self._socket.recv(4096).decode())
        return told

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@firegrid-test-{os.getpid()}"
    made = Manager(name)
    yield made
    made.close()


def test_the_manager_is_told_of_the_first_probe_that_came_back_and_of_none_that_did_not(manager: Manager) -> None:
    clock, probes = FakeClock(), list[Batch]()
    told = Notifier(manager.name)
    dog = Watchdog(probes.append, clock=clock, notifier=told, watched=30.0, interval=5.0, status=lambda: "re\ncording")

    async def main() -> None:
        task = asyncio.create_task(dog.run())
        await clock.advance(40)
        assert manager.heard() == ["STATUS=starting"]
        assert len(probes) == 1, "no second one while the first is under way"
        assert dog.last == 0
        probes[0].ack()
        await clock.advance(0)
        assert manager.heard() == [f"READY=1\nMAINPID={os.getpid()}\nWATCHDOG=1\nSTATUS=re cording"]
        assert dog.took == 40
        await clock.advance(0)  # it took longer than a turn: the next one leaves at once
        assert len(probes) == 2
        for _ in range(3):
            probes[-1].ack()
            await clock.advance(10)
            assert manager.heard() == ["WATCHDOG=1\nSTATUS=re cording"]
        await clock.advance(100)
        assert manager.heard() == [], "the last one never came back"
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert manager.heard() == ["STOPPING=1\nSTATUS=stopping"]

    asyncio.run(main())


def test_without_a_manager_nobody_is_told_and_probes_go_all_the_same() -> None:
    clock, probes = FakeClock(), list[Batch]()
    dog = Watchdog(probes.append, clock=clock, notifier=notifier({}), watched=None, interval=5.0, status=lambda: "fine")

    async def main() -> None:
        task = asyncio.create_task(dog.run())
        for n in range(3):
            await clock.advance(10)
            probes[n].ack()
            await clock.advance(0)
        task.cancel()

    asyncio.run(main())
    assert dog.last == clock.mono()


def test_a_manager_that_has_gone_or_reads_nothing_disturbs_nobody(tmp_path: Path) -> None:
    told = notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    told.tell("WATCHDOG=1")
    told.close()
    deaf = Manager(str(tmp_path / "deaf"))
    told = notifier({"NOTIFY_SOCKET": deaf.name})
    for _ in range(2_000):  # far more than its queue holds
        told.tell("WATCHDOG=1")
    told.close()
    deaf.close()
    told.close()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_who_is_watched_and_how_closely(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog(environment) == seconds


@pytest.mark.parametrize(("interval", "waits"), [(5.0, False), (60.0, True)])
def test_a_probe_asks_for_a_commit_of_its_own_only_where_none_is_due_in_time(interval: float, *, waits: bool) -> None:
    clock, probes = FakeClock(), list[Batch]()
    dog = Watchdog(probes.append, clock=clock, notifier=Notifier(), watched=30.0, interval=interval, status=lambda: "")

    async def main() -> None:
        task = asyncio.create_task(dog.run())
        await clock.advance(0)
        task.cancel()

    asyncio.run(main())
    assert probes[0].waiting is waits


def test_a_probe_does_not_wait_behind_a_flood() -> None:
    intake = Intake(np.zeros(2, dtype=np.uint8), lambda: None)
    for n in range(50):
        intake.put(make_batch("detectors", n, [(1, 0, 0.0, 0)] * 1_000))
    intake.put(make_batch("probe", 50))
    assert any(not len(item) for item in intake.take() if isinstance(item, Batch))


def test_a_loop_that_stood_still_is_a_fault_until_it_has_kept_up_for_a_while() -> None:
    clock, said = FakeClock(), list[Batch]()
    lag = LoopLag(said.append, clock=clock, events=1)

    def codes() -> list[EventCode]:
        return [event.code for batch in said for event in batch.events]

    async def main() -> None:
        task = asyncio.create_task(lag.run())
        await clock.advance(CALM + 1)
        assert codes() == [EventCode.RESTORE], "a fault of an earlier life may stand"
        clock.jump(round((LIMIT - 0.1) * SECOND))
        await clock.advance(CALM)
        assert codes() == [EventCode.RESTORE], "late, but not too late"
        for _ in range(3):
            clock.jump(4 * SECOND)
            await clock.advance(20)
        assert codes() == [EventCode.RESTORE, EventCode.FAULT], "told once"
        assert 3.5 <= lag.worst <= 4.5
        await clock.advance(CALM)
        assert codes() == [EventCode.RESTORE, EventCode.FAULT, EventCode.RESTORE]
        task.cancel()

    asyncio.run(main())
