"""Starts that do not go as they should: refused with what to do, or begun all the same and said by a fault alarm."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.model.alarm import Alarm
from gateway.store.read import Reader
from tests.faults.failing_station import MARK, SICK, TOLD_WITHIN, Site, site
from tests.patience import limit, wait

BROKEN = """
[[rule]]
id = "gas"
points = "nothing*.v"
when = "value >"
class = "gaz"
"""


def fault(place: Site) -> str:
    """Return the text of the fault alarm about the start."""
    alarms = place.ask("alarms")["alarms"]
    return " ".join(a["text"] for a in alarms if a["device"] == "@gateway" and a["key"] == "start")


def live_once(place: Site) -> None:
    """Let a station live once, with an alarm that nobody has acknowledged."""
    place.start()
    place.alarm("g0")
    assert place.daemon is not None
    assert place.daemon.stop() == 0
    place.field.modem.sent.clear()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the files of a station that has lived once: a life costs a second, its copy nothing."""
    folder = tmp_path_factory.mktemp("lived")
    with site(folder) as place:
        live_once(place)
    return sorted(folder.glob("station.db*"))


def ran_before(place: Site, lived: list[Path]) -> None:
    """Give a station what a life before this one has left."""
    for file in lived:
        shutil.copy2(file, place.folder)


# -- configuration


def test_a_first_start_refuses_a_broken_file_with_all_its_problems(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write(BROKEN)
        code, message = place.fails_to_start()
        assert code == 2
        assert message.count(str(place.config)) >= 2, message
        assert "gaz" in message
        assert not place.store.exists()
        place.config.write_text("[station\n", encoding="utf-8")
        code, message = place.fails_to_start()
        assert (code, f"{place.config}:1" in message) == (2, True), message


def test_a_later_start_runs_on_the_last_good_one_and_says_where_the_mistake_is(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        live_once(place)
        assert place.daemon is not None
        for device, broken in (("g1", BROKEN), ("g2", "[station\n")):
            place.write(broken)
            place.start()
            wait(lambda: "station.toml:" in fault(place))
            seconds, text = place.alarm(device)
            assert seconds <= TOLD_WITHIN
            assert MARK not in text
            assert place.daemon.stop() == 0
        place.write()
        place.start()
        wait(lambda: not fault_state(place).startswith("unack"))


def fault_state(place: Site) -> str:
    """Return how the fault about the start stands; empty when there is none."""
    return place.faults().get("start", "")


# -- the store


def test_a_second_daemon_is_refused_and_told_who_has_the_store(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.start()
        assert place.daemon is not None
        code, message = place.fails_to_start()
        assert code == 1
        assert f"process {place.daemon.pid}" in message
        assert "Traceback" not in message
        assert place.alarm("g0")[0] <= TOLD_WITHIN


def test_a_store_of_a_newer_version_is_left_alone_and_its_alarms_go_on(tmp_path: Path, lived: list[Path]) -> None:
    with site(tmp_path) as place:
        ran_before(place, lived)
        with closing(sqlite3.connect(place.store)) as connection:
            connection.execute("PRAGMA user_version = 99")
        place.start()
        assert place.volatile()
        assert "install the firegrid that wrote it" in fault(place)
        assert [a["device"] for a in place.ask("alarms")["alarms"] if a["rule"] == "gas"] == ["g0"]
        seconds, text = place.alarm("g1")
        assert seconds <= TOLD_WITHIN
        assert MARK in text
        assert place.daemon is not None
        assert place.daemon.stop() == 0
        with closing(sqlite3.connect(place.store)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (99,)


@pytest.mark.parametrize("damage", ["middle", "all"])
def test_a_damaged_store_is_set_aside_and_what_can_be_read_of_it_goes_on(
    tmp_path: Path, lived: list[Path], damage: str
) -> None:
    with site(tmp_path) as place:
        ran_before(place, lived)
        content = place.store.read_bytes()
        if damage == "all":
            place.store.write_bytes(b"garbage" * 1000)
        else:
            with closing(sqlite3.connect(place.store)) as connection:
                (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'").fetchone()
            place.store.write_bytes(content[: (root - 1) * 4096] + b"\xff" * 4096 + content[root * 4096 :])
        place.start()
        assert not place.volatile()
        assert "station.db.aside-1" in fault(place)
        open_alarms = [a["device"] for a in place.ask("alarms")["alarms"] if a["rule"] == "gas"]
        assert open_alarms == ([] if damage == "all" else ["g0"])
        seconds, text = place.alarm("g1")
        assert seconds <= TOLD_WITHIN
        assert MARK not in text
        with Reader(place.store) as reader:
            assert {"g1", *open_alarms} <= {entry.body.device for entry in reader.alarms()}


@pytest.mark.parametrize(
    ("plan", "before"),
    [
        ({"before_open": "hang"}, "none"),
        ({"before_open": "hang", "before_salvage": "hang"}, "unread"),
        ({"before_enrol": "hang"}, "read"),
        ({"before_restore": "hang"}, "read"),
        ({"before_open": "read-only"}, "read"),
        ({"before_enrol": "full", "after_journal": "full"}, "read"),
    ],
)
def test_a_start_without_a_disk_hears_and_tells_and_gets_on_it_later(
    tmp_path: Path, lived: list[Path], plan: dict[str, str], before: str
) -> None:
    """`before`: whether there is a store already, and whether it can still be read."""
    first = before == "none"
    with site(tmp_path) as place:
        if not first:
            ran_before(place, lived)
        place.write(limits={**SICK, "open_deadline": "3s"} if before == "read" else SICK)  # if busy, it reads as well
        place.plan(plan)
        assert place.start() <= limit(10.0)
        assert place.volatile()
        if before == "read":
            assert [a["device"] for a in place.ask("alarms")["alarms"] if a["rule"] == "gas"] == ["g0"]
        seconds, text = place.alarm("g1")
        assert seconds <= TOLD_WITHIN
        assert MARK in text
        place.plan({})
        wait(lambda: not place.volatile())
        wait(lambda: not place.faults()["store"].startswith("unack"))
        assert len(place.told("g1")) == 1
        expected = {"g1"} if first else {"g0", "g1"}
        with Reader(place.store) as reader:
            assert {e.body.device for e in reader.state("alarm", Alarm) if e.body.rule == "gas"} == expected
            assert reader.readings(reader.points()["g1.v"]).value.tolist() == [99.0]
        assert not place.store.with_name("station.db.aside-1").exists()
