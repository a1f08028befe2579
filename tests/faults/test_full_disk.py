"""A disk that others fill under a running daemon (issue 3, Must show 6): alarms are stored and told; it comes back.

Real broker, real process, simulated modem, the daemon's own times. The disk is a small tmpfs; where nobody may mount
one, the store's budget and its fail points stand for it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import MINUTE
from gateway.store import chain
from gateway.store.eviction import RESERVE, reserve_of
from gateway.store.read import Reader
from tests.faults.failing_station import MARK, SICK, TOLD_WITHIN, Site, site
from tests.patience import STRICT, limit, wait
from tests.small_disk import MB, fill, mount, unmount

BACK_WITHIN = limit(10.0)  # s from room on the disk to a house that lives on it
SHIPPED: dict[str, object] = {"reopen": "10s", "commit_deadline": "2s", "open_deadline": "5s"}
TIMES = SHIPPED if STRICT else SICK | {"reopen": "2s"}


class Disk:
    """A folder that can be full. `real`: a file system of its own."""

    def __init__(self, folder: Path, size: int, *, mountable: bool = True) -> None:
        self.folder = folder
        self.real = mountable and mount(folder, size)
        folder.mkdir(exist_ok=True)

    def fill(self, place: Site) -> None:
        """Leave not a byte."""
        if self.real:
            fill(self.folder)
        else:
            place.plan({"after_journal": "full"})

    def free(self, place: Site) -> None:
        """Give all of it back."""
        place.plan({})
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file system."""
        if self.real:
            unmount(self.folder)


@pytest.fixture(params=[True, False], ids=["tmpfs", "fail points"])
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk of 2 MB, on which a store has nothing to give up."""
    disk = Disk(tmp_path / "disk", 2 * MB, mountable=request.param)
    yield disk
    disk.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 72 MB."""
    disk = Disk(tmp_path / "disk", 72 * MB)
    yield disk
    disk.close()


def test_without_anything_to_give_up_alarms_are_told_and_stored_within_ten_seconds_of_room(
    tmp_path: Path, tiny: Disk
) -> None:
    with site(tmp_path, tiny.folder / "station.db") as place:
        place.write(limits=TIMES)
        place.start()
        tiny.fill(place)
        place.refuse()
        for device in ("g0", "g1"):
            seconds, text = place.alarm(device)
            assert seconds <= TOLD_WITHIN
            assert MARK in text
        tiny.free(place)
        assert wait(lambda: not place.volatile(), within=2 * BACK_WITHIN) <= BACK_WITHIN
        with Reader(place.store) as reader:
            assert {"g0", "g1"} <= {entry.body.device for entry in reader.alarms()}
        assert [len(place.told(device)) for device in ("g0", "g1")] == [1, 1]
    assert chain.check(place.store).broken is None


def test_readings_give_way_and_alarms_are_stored_as_if_there_were_room(tmp_path: Path, small: Disk) -> None:
    with site(tmp_path, small.folder / "station.db") as place:
        place.start()
        assert place.daemon is not None
        assert place.daemon.stop() == 0
        measured(place.store)
        if not small.real:
            text = place.config.read_text(encoding="utf-8")
            place.config.write_text(text.replace("[store]", f'[store]\nbudget = "{10}MiB"', 1), encoding="utf-8")
        place.start()
        if small.real:
            wait(lambda: reserve_of(place.store).exists())
            small.fill(place)
        for number in range(6):
            place.publish("load", number)
            seconds, text = place.alarm(f"g{number}")
            assert seconds <= TOLD_WITHIN
            assert MARK not in text, "it is recorded, whoever fills the disk"
            assert not place.volatile()
        wait(lambda: evicted(place.store) > 0)
        with Reader(place.store) as reader:
            assert {f"g{number}" for number in range(6)} <= {entry.body.device for entry in reader.alarms()}
        for value in range(300):
            place.publish("load", value)
        assert not place.volatile()
        assert not small.real or os.statvfs(small.folder).f_bavail * 4096 < RESERVE
    assert chain.check(place.store).broken is None


def measured(store: Path) -> None:
    """Put 16 MB of readings into a store, ten minutes each, as compaction would."""
    with closing(sqlite3.connect(store)) as connection, connection:
        (point,) = connection.execute("SELECT id FROM point WHERE name = 'load.v'").fetchone()
        rows = [(point, 1, n * 10 * MINUTE, (n + 1) * 10 * MINUTE, 0, 0, 600, os.urandom(4_000)) for n in range(4_000)]
        sql = "INSERT INTO chunk (point, boot, t0, t1, s0, s1, n, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        connection.executemany(sql, rows)


def evicted(store: Path) -> int:
    with Reader(store) as reader:
        return reader.evicted()
