"""Devices never tried, or not for too long: an alarm of their cell, once, durable, and over when they were tried."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from gateway.care.tested import Overdue
from gateway.clock import SECOND
from gateway.model.alarm import AlarmState
from gateway.model.batch import Batch, EventCode
from gateway.model.point import AlarmClass
from gateway.model.walktest import Subject, WalkEnd, Walktest
from gateway.testing import BOOTED, WALL, FakeClock, Scenario
from tests.step_station import STATION

DAY = 86_400
PATIENT = [replace(one, profile=replace(one.profile, silence=1e9)) for one in STATION.devices[:3]]
QUIET = replace(STATION, devices=tuple(PATIENT), choices=())  # gas and temp in jc/3, panel in jc
LIFE = frozenset({"gas", "panel"})


@dataclass
class Notes:
    """A memory that survives."""

    rows: dict[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        """Return what was put."""
        return self.rows.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self.rows[key] = value


@dataclass
class Station:
    """One life of the look, days on a driven clock, and the real step behind it."""

    notes: Notes = field(default_factory=Notes)
    house: Scenario = field(default_factory=lambda: Scenario(QUIET).start())
    test: Walktest | None = None
    trusted: bool = True
    day: float = 0.0

    def __post_init__(self) -> None:
        self.clock = FakeClock(mono=BOOTED)
        self.put: list[Batch] = []
        self.born()

    def born(self) -> None:
        """Begin a life of the look."""
        self.look = Overdue(
            self.put.append,
            station=self.house.station,
            ids=self.house.ids,
            life=LIFE,
            memory=self.notes,
            clock=self.clock,
            latest=lambda: self.test,
            offset=lambda: WALL - BOOTED if self.trusted else None,
        )

    def at(self, day: float) -> list[tuple[str, str]]:
        """Look on a day; return (cell, text) of the alarms that are true then."""
        self.clock.jump(round((day - self.day) * DAY * SECOND))
        self.day = day
        self.put.clear()
        self.look.look()
        for batch in self.put:
            self.house.give(max(self.house.now, day * DAY), batch)
        return [(alarm.cell, alarm.text) for alarm in self.house.alarms() if alarm.condition]

    def tried(self, day: float, *devices: str) -> None:
        """Let a walk test have ended on a day in which these did what they must."""
        moment = BOOTED + round(day * DAY * SECOND)
        self.test = Walktest(
            number=1 + (self.test.number if self.test else 0),
            who="li",
            cells=("jc",),
            subjects=tuple(Subject(one.id, one.cell, (), one.id in LIFE) for one in QUIET.devices),
            began=moment - SECOND,
            until=moment,
            heard=dict.fromkeys(devices, moment),
            alarmed=dict.fromkeys(devices, moment),
            ended=moment,
            end=WalkEnd.ACT,
        )


def test_a_new_station_has_thirty_days_then_one_alarm_per_cell_that_lists_the_devices() -> None:
    station = Station()
    assert station.at(0) == []
    assert station.at(30) == []
    cells = dict(station.at(30.01))
    assert sorted(cells) == ["jc", "jc/3"]
    assert "gas（从未 never）" in cells["jc/3"]
    assert "temp（从未 never）" in cells["jc/3"]
    assert {alarm.alarm_class for alarm in station.house.alarms()} == {AlarmClass.SUPERVISORY}
    assert station.at(31) != []
    assert station.put == []  # once


def test_what_was_tried_is_over_and_due_again_after_its_own_time() -> None:
    station = Station()
    station.at(0)
    assert len(station.at(31)) == 2
    station.tried(32, "gas", "temp", "panel")
    assert station.at(32.1) == []
    assert station.at(32 + 180) == []
    late = dict(station.at(32 + 181))
    assert sorted(late) == ["jc", "jc/3"]
    assert "gas（181 d）" in late["jc/3"]
    assert "temp" not in late["jc/3"]  # only fire, gas and flood after 180 days
    assert "temp（366 d）" in dict(station.at(32 + 366))["jc/3"]


def test_a_device_that_spoke_but_did_not_alarm_stays_due() -> None:
    station = Station()
    station.at(0)
    station.at(31)
    station.tried(32, "temp", "panel")
    ((cell, text),) = station.at(33)
    assert (cell, "gas" in text) == ("jc/3", True)


def test_one_more_device_makes_the_alarm_ask_again() -> None:
    station = Station()
    station.at(0)
    station.at(31)
    station.tried(32, "gas", "temp", "panel")
    station.at(33)
    station.at(33)
    station.at(32 + 181)
    (alarm,) = [alarm for alarm in station.house.alarms() if alarm.cell == "jc/3" and alarm.condition]
    assert alarm.state is AlarmState.UNACK
    before = alarm.raised
    station.at(32 + 366)
    (again,) = [alarm for alarm in station.house.alarms() if alarm.cell == "jc/3" and alarm.condition]
    assert again.raised > before


def test_it_is_durable_and_a_restart_raises_nothing_twice() -> None:
    station = Station()
    station.at(0)
    station.at(31)
    raised = len(station.house.seen.transitions)
    station.born()  # the level holds in the store
    assert len(station.at(32)) == 2
    assert len(station.house.seen.transitions) == raised
    station.tried(33, "gas", "temp", "panel")
    station.born()
    assert station.at(34) == []


def test_a_lost_ending_is_said_again() -> None:
    station = Station()
    station.at(0)
    station.at(31)
    station.tried(32, "gas", "temp", "panel")
    station.put.clear()
    station.look.look()  # and killed before it was stored
    assert {event.code for batch in station.put for event in batch.events} == {EventCode.RESTORE}
    station.born()
    assert station.at(33) == []


def test_the_cell_of_the_first_device_moves_with_the_configuration() -> None:
    station = Station()
    station.at(0)
    station.at(31)
    gas, temp, panel = QUIET.devices
    station.house.station = replace(QUIET, devices=(temp, gas, panel))
    station.born()
    assert sorted(cell for cell, _ in station.at(32)) == ["jc", "jc/3"]


@pytest.mark.parametrize("why", ["clock", "test"])
def test_nothing_is_judged_while_the_time_is_unknown_or_a_test_goes_on(why: str) -> None:
    station = Station()
    station.at(0)
    if why == "clock":
        station.trusted = False
    else:
        station.tried(1)
        assert station.test is not None
        station.test = replace(station.test, ended=0, end=None)
    assert station.at(100) == []
    assert station.put == []
