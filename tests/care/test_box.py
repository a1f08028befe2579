"""The box as points: what the kernel's files say, which figures are alarms, and that it costs next to nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.care.box import Box, Starts
from gateway.care.machine import Daily, Machine, Volume, volume
from gateway.care.modems import Modems
from gateway.care.own import LOOK_EVERY, POINTS, furnished, named_so
from gateway.clock import DAY, HOUR, MINUTE, SECOND
from gateway.model.batch import Batch
from gateway.model.contact import ChannelSpec, Contact
from gateway.model.inventory import BOX, names_of, numbered, points_of
from gateway.model.modem import ModemStatus, NetworkTime
from gateway.model.point import AlarmClass, Device, PointSpec, Profile
from gateway.model.station import RuleSpec, Station, StoreSpec
from gateway.testing import FakeClock, Scenario
from rules.compile import compile_rules
from rules.matching import Matcher
from tests.care.boxes import FILES, build, change, half_full

STATION = Station(
    id="s1",
    name="s1",
    store=StoreSpec(path="/nowhere/station.db"),
    channels=(ChannelSpec(id="sms", kind="sms_modem"),),
    contacts=(Contact(id="li", name="Li", phone="13800138000"),),
)
FIGURES = {
    "disk_free": 8 << 30,
    "disk_free_share": 50.0,
    "inodes_free_share": 90.0,
    "store_size": 3,
    "wal_size": 5,
    "card_wear": 30.0,
    "card_reserve": 0.0,
    "cpu_temperature": 48.312,
    "load": 0.5,
    "uptime": 86400.25,
    "throttled": 0.0,
    "under_voltage_seen": 1.0,
    "under_voltage": 0.0,
    "memory_available": 25.0,
    "memory_used": 64 << 20,
    "battery_charge": 87.0,
    "mains": 1.0,
}


def machine(tmp_path: Path) -> Machine:
    """A made-up box with a store."""
    (tmp_path / "station.db").write_bytes(b"123")
    (tmp_path / "station.db-wal").write_bytes(b"12345")
    return Machine(tmp_path / "station.db", root=build(tmp_path / "root"), volume=half_full, cores=4)


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


# -- points and alarms


def scenario() -> Scenario:
    """A station with its box."""
    return Scenario(furnished(STATION)).start()


BAD = [
    ("disk_free_share", 9.0, "fault:warning", 65),
    ("disk_free_share", 4.0, "fault:critical", 65),
    ("inodes_free_share", 1.0, "fault:critical", 65),
    ("wal_size", float(300 << 20), "fault:warning", 65),
    ("store_budget", 91.0, "maintenance:warning", 65),
    ("thinning", 1.0, "fault:warning", 0),
    ("written_day", float(5 << 30), "maintenance:warning", 3600),
    ("disk_written_day", float(20 << 30), "maintenance:warning", 3600),
    ("card_wear", 90.0, "maintenance:warning", 65),
    ("card_wear", 110.0, "fault:critical", 65),
    ("card_reserve", 2.0, "fault:critical", 65),
    ("cpu_temperature", 82.0, "fault:warning", 65),
    ("under_voltage", 1.0, "fault:warning", 0),
    ("under_voltage_seen", 1.0, "maintenance:warning", 0),
    ("throttled", 1.0, "maintenance:warning", 300),
    ("memory_available", 3.0, "fault:critical", 65),
    ("load", 4.0, "maintenance:warning", 900),
    ("restarts_day", 6.0, "fault:warning", 0),
    ("clock_trusted", 0.0, "supervisory:warning", 600),
    ("clock_error", 6.0, "supervisory:warning", 600),
    ("modem_signal", -109.0, "maintenance:warning", 600),
    ("modem_registered", 0.0, "fault:warning", 65),
    ("sim", 0.0, "fault:warning", 65),
    ("sim", 2.0, "fault:warning", 65),
    ("mains", 0.0, "supervisory:warning", 10),
    ("battery_charge", 15.0, "supervisory:critical", 65),
    ("battery_low", 1.0, "supervisory:critical", 0),
]


@pytest.mark.parametrize(("name", "value", "kind", "delay"), BAD)
def test_a_bad_figure_is_an_alarm_without_a_line_of_configuration(
    name: str, value: float, kind: str, delay: float
) -> None:
    life = scenario().until(70)  # faults wait out the settling of a start
    for at in range(70, 70 + round(delay) + 61, 30):
        life.read(at, f"{BOX}.{name}", value)
        if at - 70 < delay:
            assert f"profile:{kind}" not in {alarm.rule for alarm in life.alarms()}
    raised = {alarm.rule: alarm for alarm in life.alarms()}
    assert f"profile:{kind}" in raised
    assert not raised[f"profile:{kind}"].alarm_class.life_safety


def test_the_box_has_no_alarm_that_the_rules_refuse() -> None:
    station = furnished(STATION)
    assert compile_rules(station, points_of(station, numbered(station)))[1] == []


def test_every_alarm_of_the_box_is_tried_above() -> None:
    tried = {(name, kind) for name, _, kind, _ in BAD}
    there = {
        (point.name, f"{alarm.alarm_class.word}:{alarm.severity.word}") for point in POINTS for alarm in point.alarms
    }
    warnings_below = {
        ("inodes_free_share", "fault:warning"),
        ("memory_available", "fault:warning"),
        ("battery_charge", "supervisory:warning"),
        ("card_reserve", "maintenance:warning"),
    }
    assert there - tried == warnings_below


def test_a_good_box_raises_nothing_and_a_silent_one_does() -> None:
    life = scenario()
    for at in range(0, 4000, 30):
        for name, value in FIGURES.items():
            life.read(at, f"{BOX}.{name}", value if name != "under_voltage_seen" else 0.0)
    assert life.alarms() == []
    life.until(4200)
    assert [alarm.rule for alarm in life.alarms()] == ["silence"]


def test_points_that_never_speak_are_no_alarm() -> None:
    life = scenario()
    for at in range(0, 8000, 30):
        life.read(at, f"{BOX}.disk_free", 1e9)
    assert life.alarms() == []


def test_wide_rules_do_not_mean_the_box() -> None:
    station = furnished(STATION)
    matcher = Matcher(points_of(station, numbered(station)))
    for pattern in ("unit:Cel", "kind:measure", "*.cpu_temperature", "*"):
        assert not any(point.device == BOX for point in matcher.match([pattern])[0])
    assert len(matcher.match(["gateway.*"])[0]) == len(POINTS)
    assert len(matcher.match(["gateway.cpu_temperature"])[0]) == 1


def test_a_rule_that_names_a_point_refines_its_alarm() -> None:
    rule = RuleSpec(
        id="hot", points=("gateway.cpu_temperature",), when="value > 60", alarm_class=AlarmClass.FAULT, on_delay=0.0
    )
    life = Scenario(furnished(Station(id="s", name="s", store=STATION.store, rules=(rule,)))).start().until(70)
    life.read(80, f"{BOX}.cpu_temperature", 65.0)
    assert [alarm.rule for alarm in life.alarms()] == ["hot"]


def test_a_station_is_furnished_once_in_its_language_and_a_name_of_the_users_stands() -> None:
    once = furnished(STATION)
    assert furnished(once) == once
    english = furnished(Station(id="s", name="s", language="en", store=STATION.store)).devices[0]
    assert all(point.title.isascii() for point in english.profile.points)
    own = Device(id=BOX, source="bus", profile=Profile(id="other", title="", points=(PointSpec(name="x"),)))
    theirs = Station(id="s", name="s", store=STATION.store, devices=(own,))
    assert named_so(theirs)
    assert not named_so(once)
    assert furnished(theirs) == theirs
    assert f"{BOX}.disk_free" in names_of(once)


# -- the part


class Kept(dict[str, str]):
    """A memory of plug-ins."""

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self[key] = value


async def arrived(batches: list[Batch], wanted: int) -> None:
    """Wait for a batch that a thread brings about."""
    for _ in range(5000):
        if len(batches) >= wanted:
            return
        await asyncio.sleep(0.001)
    raise AssertionError


def test_the_box_speaks_every_half_minute_and_costs_less_than_a_thousandth_of_a_core(tmp_path: Path) -> None:
    batches: list[Batch] = []
    clock = FakeClock()
    ids = numbered(furnished(STATION))
    box = Box(batches.append, machine=machine(tmp_path), ids=ids, clock=clock, inside=lambda: {"loop_lag": 0.1})

    async def main() -> float:
        task = asyncio.create_task(box.run())
        for wanted in (1, 2, 3):
            await arrived(batches, wanted)
            await clock.advance(LOOK_EVERY)
        before = time.process_time()
        for _ in range(20):
            await box.look()
        task.cancel()
        return (time.process_time() - before) / 20

    cost = asyncio.run(main())
    assert cost / LOOK_EVERY < 0.001
    assert len(batches[0]) == len(FIGURES) + 1
    assert batches[0].source == BOX
    names = {number: name for name, number in ids.items()}
    assert dict(zip((names[each] for each in batches[1].point.tolist()), batches[1].value.tolist(), strict=True))[
        f"{BOX}.loop_lag"
    ] == pytest.approx(0.1)


def test_no_number_and_no_point_of_ours_say_nothing(tmp_path: Path) -> None:
    batches: list[Batch] = []
    box = Box(
        batches.append,
        machine=Machine(tmp_path / "x", root=tmp_path, volume=half_full),
        ids=numbered(furnished(STATION)),
        clock=FakeClock(),
        inside=lambda: {"clock_error": float("inf"), "unheard": 1.0},
    )
    asyncio.run(box.look())
    assert len(batches[0]) == 3


def test_starts_are_counted_over_lives_for_a_day() -> None:
    memory, now = Kept(), 1_790_000_000 * SECOND
    assert Starts(memory).count(None) is None
    for life in range(1, 8):
        starts = Starts(memory)
        assert starts.count(now) == starts.count(now) == life
        now += HOUR
    now += DAY - 3 * HOUR
    assert Starts(memory).count(now) == 4  # those of the hours 4, 5 and 6, and this one
    memory["starts"] = "{"
    assert Starts(memory).count(now) == 1


class Channel:
    """A channel over a modem, as far as supervision sees it."""

    def __init__(self, status: ModemStatus, time: NetworkTime | None = None) -> None:
        self.status, self.time = status, time

    def modem(self) -> ModemStatus:
        """Return it."""
        return self.status

    def network_time(self) -> NetworkTime | None:
        """Return it."""
        return self.time


def test_the_worst_of_the_modems_counts() -> None:
    well = ModemStatus(model="EC200", sim="READY", registration="home", signal=-67)
    ill = ModemStatus(model="SIM800", sim="SIM PUK", registration="denied", signal=-111)
    gone = ModemStatus(model="A7670", sim="+CME 10: no SIM", registration="unknown")

    def figures(*statuses: ModemStatus) -> dict[str, float]:
        channels = [Channel(status) for status in statuses]
        return Modems(channels, lambda *_: None, FakeClock()).figures()

    assert figures(well) == {"modem_registered": 1, "sim": 1, "modem_signal": -67}
    assert figures(well, ill) == {"modem_registered": 0, "sim": 2, "modem_signal": -111}
    assert figures(gone) == {"modem_registered": 0, "sim": 0}
    assert figures(ModemStatus()) == {}


def test_each_word_of_a_modems_clock_is_passed_on_once() -> None:
    heard: list[tuple[int, int, int]] = []
    silent, told = Channel(ModemStatus()), Channel(ModemStatus(), NetworkTime(5 * SECOND, 9, 2))
    clock = FakeClock()

    async def main() -> None:
        modems = Modems([silent, told], lambda *word: heard.append(word), clock)
        task = asyncio.create_task(modems.run())
        await clock.advance(60)
        assert heard == [(5 * SECOND, 9, 2)]
        told.time = NetworkTime(35 * SECOND, 39, 2)
        await clock.advance(60)
        task.cancel()

    asyncio.run(main())
    assert heard == [(5 * SECOND, 9, 2), (35 * SECOND, 39, 2)]
