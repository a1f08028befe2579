"""SIGKILL at every named fail point and at random: what was committed is there whole, what was not is not there."""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import MINUTE
from gateway.model.alarm import Alarm
from gateway.model.batch import Batch, Mark
from gateway.model.moment import Epoch
from gateway.store.database import FAIL_POINTS, Store
from gateway.store.read import Reader
from gateway.store.shapes import Group
from tests.store_groups import BOOT, WALL, group

READINGS = 40
RANDOM_KILLS = 25
SEED = 20261122


def numbered(number: int) -> Group:
    """Return a group all of whose parts say its number."""
    rows = [(point, 0, number + point / 100, 0) for point in range(1, READINGS + 1)]
    epoch = Epoch(boot=BOOT, mono_from=number, wall_offset=WALL)
    kept, forgotten = Mark("alarms", number, b"%d" % number), Mark("alarms", number - 1, b"%d" % (number - 1))
    return group(number, rows, mono=number * MINUTE, more=[epoch], marks=([kept], [forgotten]))


def work(path: Path, report: int, kill_at: tuple[str, int] | None) -> None:
    """Child: commit for ever and report every seq that has returned; die at the n-th passing of a fail point."""
    passed: Counter[str] = Counter()

    def fault(name: str) -> None:
        passed[name] += 1
        if (name, passed[name]) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    store = Store.open(path, faults=fault)
    for number in itertools.count(store.last().seq + 1):
        seq = store.commit(numbered(number))
        os.write(report, seq.to_bytes(4, "big"))
        if number % 3 == 0:
            store.save_snapshot(seq, "1", "h", {"x": bytes(100)})
        if number % 5 == 0:
            store.compact(1)


def killed(path: Path, *, kill_at: tuple[str, int] | None = None, after: int = 0) -> int:
    """Run the child until it is killed, after `after` commits without a fail point; return the last seq it reported."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            work(path, writer, kill_at)
        finally:
            os._exit(1)
    os.close(writer)
    told = b""
    while len(told) < 4 * after or kill_at is not None:
        part = os.read(reader, 4096)
        if not part:
            break
        told += part
    if kill_at is None:
        os.kill(child, signal.SIGKILL)
        while part := os.read(reader, 4096):
            told += part
    os.close(reader)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    return int.from_bytes(told[-4:], "big") if told else 0


def check(path: Path, reported: int) -> int:
    """Look at what is there after a kill; return the last seq."""
    with closing(Store.open(path)) as store:
        last = store.last().seq
        assert reported <= last <= reported + 1, "everything reported is there; at most the one that was out beside it"
        assert store.verify(100_000) == (2 * last, True, None)
        assert store.rows("alarm", Alarm).keys() == {str(n) for n in range(1, last + 1)}
        assert [epoch.mono_from for epoch in store.epochs()] == list(range(1, last + 1))
        assert [mark.packet for mark in store.marks("alarms")] == ([last] if last else [])
        for row in store.tail(0):
            batch = row.steps[0][1][0]
            assert isinstance(batch, Batch)
            assert batch.value.tolist() == [row.seq + point / 100 for point in range(1, READINGS + 1)]
        with Reader(path) as reader:
            for point in (1, READINGS):
                assert reader.readings(point).value.tolist() == [n + point / 100 for n in range(1, last + 1)]
        snapshot = store.last_snapshot()
        assert (snapshot.seq if snapshot else 0) <= last
    return last


@pytest.mark.parametrize("passing", [1, 4, 11])
@pytest.mark.parametrize("point", FAIL_POINTS)
def test_a_kill_at_a_fail_point(tmp_path: Path, point: str, passing: int) -> None:
    path = tmp_path / "station.db"
    reported = killed(path, kill_at=(point, passing))
    last = check(path, reported)
    assert reported == passing - 1
    assert last == (passing if point == "after_commit" else passing - 1)
    assert check(path, killed(path, after=3)) > last, "it goes on"


def test_kills_at_random_in_one_long_life(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    rng = random.Random(SEED)  # noqa: S311 - moments of death
    last = 0
    for _ in range(RANDOM_KILLS):
        reported = killed(path, after=rng.randint(1, 12))
        before, last = last, check(path, reported)
        assert last > before
    print(f"seed {SEED}: {RANDOM_KILLS} kills, {last} commits")  # noqa: T201 - the harness states its seed


def test_the_check_catches_a_commit_reported_too_early(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    reported = killed(path, kill_at=("before_commit", 3))
    with pytest.raises(AssertionError, match="everything reported is there"):
        check(path, reported + 1)
