"""The daemon's side of a sink: its process is kept, woken, ended when it hangs, and dies with the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from gateway.clock import SECOND, SystemClock
from gateway.model.batch import Batch, EventCode
from gateway.model.moment import Input
from gateway.pipeline.supervisor import Supervisor
from gateway.testing import FakeClock
from gateway.uplink import part
from gateway.uplink.messages import Order, Report
from gateway.uplink.part import Uplink, forget, row_of
from gateway.uplink.position import Position
from tests.http_far_end import answer, far_end, hang
from tests.patience import PATIENCE, until
from tests.sinks.living_station import Living

SAYS = """
import json, sys, time
order = json.loads(sys.stdin.readline())
def say(live, error=""):
    position = dict(order["position"], live=live, sent=live)
    print(json.dumps({"position": position, "error": error, "waits": bool(error)}), flush=True)
"""


class Ledger:
    """What rides along."""

    def __init__(self) -> None:
        self.seq = 0
        self.rows: dict[tuple[str, str], str | None] = {}
        self.cursors: dict[str, int] = {}

    def ride(self, rows: Mapping[tuple[str, str], str | None], cursors: Mapping[str, int]) -> None:
        """Remember it."""
        self.rows.update(rows)
        self.cursors.update(cursors)


class Desk:
    """A sink's part with everything around it."""

    def __init__(self, script: str, memory: MutableMapping[str, str] | None = None) -> None:
        self.clock = SystemClock()
        self.put: list[Input] = []
        self.ledger = Ledger()
        self.memory: MutableMapping[str, str] = {} if memory is None else memory
        self.link = Supervisor("sink far", clock=self.clock, put=self.put.append, events=1, fault_after=0.2)
        command = (sys.executable, "-c", SAYS + script)
        self.part = Uplink(
            "far",
            store="/nowhere",
            ledger=self.ledger,
            memory=self.memory,
            link=lambda: self.link,
            clock=self.clock,
            command=command,
        )

    def codes(self) -> list[EventCode]:
        """Return what the link has told the station."""
        return [event.code for item in self.put if isinstance(item, Batch) for event in item.events]

    def run(self, check: Callable[[], bool]) -> None:
        """Let it live until a condition holds."""

        async def main() -> None:
            task = asyncio.create_task(self.link.run(self.part.run))
            try:
                await until(check)
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        asyncio.run(main())


def test_its_place_is_remembered_when_the_daemon_stops_and_handed_to_the_next_process() -> None:
    desk = Desk("say(41)\nsys.stdin.read()")
    desk.run(lambda: desk.part.position.live == 41)
    assert desk.ledger.cursors == {"sink far": 41}
    assert msgspec.json.decode(desk.memory[row_of("far")], type=Position).live == 41
    again = Desk("say(order['position']['live'] + 1)\nsys.stdin.read()", desk.memory)
    again.run(lambda: again.part.position.live == 42)
    assert again.part.position.instance == desk.part.position.instance


def test_how_far_alarms_were_told_is_written_with_the_next_commit_and_readings_wait() -> None:
    desk = Desk("""
say(41)
sys.stdin.readline()
order["position"]["notes"] = [[3, 7]]
say(42)
sys.stdin.read()
""")

    def written() -> bool:
        if desk.part.position.live == 41:
            assert not desk.ledger.rows
            desk.ledger.seq += 1  # wakes it
        return bool(desk.ledger.rows)

    desk.run(written)
    assert msgspec.json.decode(desk.memory[row_of("far")], type=Position).notes == [(3, 7)]


def test_a_far_end_that_is_down_is_a_fault_while_the_process_goes_on_and_returns_to_normal(tmp_path: Path) -> None:
    up = tmp_path / "up"
    desk = Desk(f"""
import pathlib
while not pathlib.Path({str(up)!r}).exists():
    say(1, "nobody there")
    time.sleep(0.05)
say(2)
sys.stdin.read()
""")

    def told() -> bool:
        if EventCode.FAULT in desk.codes():
            up.touch()
        return up.exists() and desk.link.health.up

    desk.run(told)
    assert desk.codes() == [EventCode.FAULT, EventCode.RESTORE]
    assert desk.link.health.counters["sent"] == 2
    assert "commit 2" in desk.link.health.findings["position"]


def test_a_process_that_ends_is_started_again_with_its_last_words_as_reason() -> None:
    desk = Desk('say(1, "the disk is gone")\nsys.exit(75)')
    desk.run(lambda: desk.link.health.tries >= 2)
    assert "the disk is gone" in desk.link.health.reason


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "HUNG_AFTER", 1.0)
    desk = Desk("""
import os, signal
say(os.getpid())
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
""")
    # A machine that is so busy that it was ended before it could say who it is: it is begun again.
    desk.run(lambda: desk.part.position.live > 0 and "says nothing" in desk.link.health.reason)
    with pytest.raises(ProcessLookupError):
        os.kill(desk.part.position.live, 0)


def test_a_process_is_woken_after_a_commit_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "WAKE_EVERY", 0.02)
    desk = Desk("""
n = 0
say(0)
for line in sys.stdin:
    n += 1
    say(n)
""")
    seen: list[int] = []

    def commits() -> bool:
        seen.append(desk.part.position.live - desk.ledger.seq)
        desk.ledger.seq += desk.part.position.live == desk.ledger.seq + 1
        return desk.part.position.live == 4

    desk.run(commits)
    assert max(seen) == 1, "woken without a commit"  # the one is that of the start


def test_a_real_process_sends_and_dies_with_the_daemon(tmp_path: Path) -> None:
    """Nobody tells it to go: its stdin ends as it does when the daemon is killed."""

    async def main() -> None:
        with far_end(answer(204)) as end:
            living = Living(tmp_path, "influx", url=f"http://127.0.0.1:{end.port}", bucket="b")
            living.read(1.0)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.uplink", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(msgspec.json.encode(living.order) + b"\n")
            report = msgspec.json.decode(await process.stdout.readline(), type=Report)
            while not report.position.sent:
                report = msgspec.json.decode(await process.stdout.readline(), type=Report)
            process.send_signal(signal.SIGINT)  # the terminal's Ctrl-C is the daemon's affair
            end.behave = hang(end)
            living.read(2.0)
            process.stdin.write(b"\n")
            await until(lambda: len(end.requests) > 1)  # it hangs in an exchange
            process.stdin.close()
            async with asyncio.timeout(PATIENCE):
                assert await process.wait() == 0

    asyncio.run(main())


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        order = Order(str(tmp_path / "none.db"), "far", "sink far", Position(instance="x"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.uplink", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate(msgspec.json.encode(order) + b"\n")
        assert process.returncode in (0, 75)
        assert not out or "there is no store yet" in json.loads(out)["error"]

    asyncio.run(main())


def test_a_sink_that_left_the_configuration_lets_the_journal_go() -> None:
    ledger = Ledger()
    memory = {row_of("old"): "{}", row_of("far"): "{}", "source x y": "z"}
    forget(["far"], ledger, memory)
    assert set(memory) == {row_of("far"), "source x y"}
    assert ledger.cursors == {"sink old": -1}
    assert ledger.rows == {("memory", row_of("old")): None}


def test_a_place_that_cannot_be_read_is_begun_anew() -> None:
    desk = Desk("", {row_of("far"): "{not json"})
    assert desk.part.position.live == 0
    assert desk.part.position.instance


def test_a_black_hole_for_24_hours_costs_the_station_nothing() -> None:
    """The process says only that nobody is there; the part writes no commit of its own and grows by nothing."""

    async def main() -> None:  # an event of asyncio wants a loop
        clock = FakeClock()
        put: list[Input] = []
        link = Supervisor("sink far", clock=clock, put=put.append, events=1, fault_after=60.0)
        ledger = Ledger()
        uplink = Uplink("far", store="x", ledger=ledger, memory={}, link=lambda: link, clock=clock)
        for _ in range(24 * 3600 // 30):
            clock.jump(30 * SECOND)
            ledger.seq += 6
            uplink.take(Report(Position(instance="i", live=5), "nobody there", waits=True))
        events = [event.code for item in put if isinstance(item, Batch) for event in item.events]
        assert events == [EventCode.FAULT]
        assert ledger.cursors == {"sink far": 5}
        assert len(ledger.rows) == 1

    asyncio.run(main())
