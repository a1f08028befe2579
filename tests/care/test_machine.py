"""What the kernel's files say of the box: each becomes its figure, and one that is gone or mad costs its own alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.care.machine import Daily, Machine, Volume, volume
from gateway.care.own import POINTS
from gateway.clock import HOUR, MINUTE
from tests.care.boxes import FIGURES, FILES, change, machine


def test_every_file_becomes_its_figure(tmp_path: Path) -> None:
    assert machine(tmp_path).look(0) == FIGURES
    assert set(FIGURES) <= {point.name for point in POINTS}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_is_gone_or_mad_costs_its_own_group_only(tmp_path: Path, name: str) -> None:
    box = machine(tmp_path)
    for mad in ("", "mad\n", "\x00\xff-1 -1 -1 nan"):
        change(tmp_path / "root", name, mad)
        found = box.look(0)
        assert len(found) >= len(FIGURES) - 5
        assert all(found[key] == FIGURES[key] for key in ("disk_free", "store_size"))
    (tmp_path / "root" / name).unlink()
    assert len(box.look(0)) >= len(FIGURES) - 5


def test_a_box_that_tells_nothing_is_no_fault(tmp_path: Path) -> None:
    def fails(_: Path) -> Volume:
        raise OSError

    assert Machine(tmp_path / "none.db", root=tmp_path / "nothing", volume=fails).look(0) == {}
    found = Machine(tmp_path / "none.db").look(0)  # whatever this machine is
    assert 0 < found["disk_free_share"] <= 100
    assert volume(tmp_path).free > 0


def test_supply_card_and_charger_say_when_they_are_bad(tmp_path: Path) -> None:
    box, root = machine(tmp_path), tmp_path / "root"
    change(root, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    change(root, "sys/block/mmcblk0/device/life_time", "0x0b 0x03\n")
    change(root, "sys/block/mmcblk0/device/pre_eol_info", "0x03\n")
    change(root, "sys/class/power_supply/ac/online", "0\n")
    found = box.look(0)
    assert (found["under_voltage"], found["card_wear"], found["card_reserve"], found["mains"]) == (1, 110, 2, 0)
    change(root, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    change(root, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert box.look(0)["under_voltage"] == box.look(0)["throttled"] == 1


def test_a_charger_without_a_battery_says_nothing(tmp_path: Path) -> None:
    box, root = machine(tmp_path), tmp_path / "root"
    change(root, "sys/class/power_supply/ups/type", "Wireless\n")
    change(root, "sys/class/power_supply/ac/online", "0\n")  # a PoE hat fed by its USB port
    assert not {"mains", "battery_charge"} & box.look(0).keys()


def test_what_is_written_a_day_comes_from_the_last_day(tmp_path: Path) -> None:
    box, root = machine(tmp_path), tmp_path / "root"
    box.look(0)
    assert "written_day" not in box.look(30 * MINUTE)
    change(root, "proc/self/io", "write_bytes: 101000\n")
    change(root, "sys/block/mmcblk0/mmcblk0p2/stat", "7 0 9 0 0 0 6000 0 0 0 0\n")
    found = box.look(HOUR)
    assert found["written_day"] == 24 * 100_000
    assert found["disk_written_day"] == 24 * 2000 * 512


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 120), st.integers(0, 10**6)), min_size=1, max_size=200))
def test_growth_a_day_lies_between_the_slowest_and_the_fastest_rate(steps: list[tuple[int, int]]) -> None:
    daily, now, count = Daily(), 0, 0
    daily.take(now, count)
    for minutes, grown in steps:
        now, count = now + minutes * MINUTE, count + grown
        found = daily.take(now, count)
        rates = [each / length * 24 * 60 for length, each in steps]
        assert found is None or min(rates) * 0.999 <= found <= max(rates) * 1.001 + 1
    assert (daily.take(now, 0) is None) or count == 0  # a count that begins anew
