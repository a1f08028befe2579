"""A disk that fails under a running station: the alarm is told within 5 s, marked; the disk comes back (Must show 5).

Real broker, real process, simulated modem; the disk fails at the store's own fail points or is a real one.
"""

from __future__ import annotations

from pathlib import Path

from gateway.model.notification import Notification
from gateway.store.read import Reader
from tests.faults.failing_station import MARK, SICK, TOLD_WITHIN, Site, site
from tests.patience import wait
from tests.small_disk import fill, mount_again, small_disk

__all__ = ["small_disk"]  # a fixture

FAILURES = {
    "read-only": {"before_begin": "read-only", "before_open": "read-only"},
    "full": {"after_journal": "full"},
    "hanging": {"before_commit": "hang"},
}


def check_told(place: Site, device: str, what: str) -> None:
    """Let a detector alarm: its SMS is at the modem in time and says that nothing was recorded."""
    seconds, text = place.alarm(device)
    assert MARK in text, what
    assert seconds <= TOLD_WITHIN, f"{what}: {seconds:.2f} s"


def check_back(place: Site, device: str) -> None:
    """The disk is well again: the house finds it by itself, with everything on it, and nothing is told twice."""
    wait(lambda: not place.volatile())
    wait(lambda: "store" in place.faults() and not place.faults()["store"].startswith("unack"))
    assert len(place.told(device)) == 1
    with Reader(place.store) as reader:
        point = reader.points()[f"{device}.v"]
        assert reader.readings(point).value.tolist() == [99.0]
        raised = [entry.body for entry in reader.transitions() if entry.body.point == point]
        assert len(raised) == 1
        assert device in {entry.body.device for entry in reader.alarms()}


def test_a_disk_that_fails_and_comes_back_again_and_again(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write(limits=SICK)
        place.start()
        place.alarm("g0")
        for number, (name, plan) in enumerate(FAILURES.items(), 1):
            device = f"g{number}"
            place.plan(plan)
            check_told(place, device, name)
            assert place.volatile()
            place.plan({})
            check_back(place, device)
        hangs = place.hangs()
        place.plan({"before_commit": "hang"})
        place.publish("load", 1)
        wait(lambda: place.hangs() > hangs)  # from here on nothing can join that commit
        check_told(place, "g5", "behind telemetry that hangs")
        place.plan({})
        check_back(place, "g5")
        place.plan({"before_commit": "3 s"})
        check_told(place, "g6", "good after 3 s")
        place.plan({})
        check_back(place, "g6")
        assert place.daemon is not None
        assert place.daemon.stop() == 0
    with Reader(tmp_path / "station.db") as reader:
        left = {entry.body.text: entry.body.recorded for entry in reader.record(["notice"], kind=Notification)}
    assert any(MARK in text and not recorded for text, recorded in left.items()), "the record says how it left"


# -- real disks


def test_a_disk_that_is_really_full(tmp_path: Path, small_disk: Path) -> None:
    with site(tmp_path, small_disk / "station.db") as place:
        place.write(limits=SICK)
        place.start()
        ballast = fill(small_disk)
        for number in range(3):  # the WAL has room left from before: it fills up
            assert place.alarm(f"g{number}")[0] <= TOLD_WITHIN
        place.refuse()
        check_told(place, "g4", "full")
        ballast.unlink()
        check_back(place, "g4")


def test_a_disk_that_is_really_read_only(tmp_path: Path, small_disk: Path) -> None:
    store = small_disk / "station.db"
    with site(tmp_path, store) as place:
        place.start()
        assert place.daemon is not None
        assert place.daemon.stop() == 0
        place.write(limits=SICK)
        mount_again(small_disk, "ro")
        place.start()
        assert place.volatile()
        check_told(place, "g1", "read-only")
        mount_again(small_disk, "rw")
        check_back(place, "g1")
