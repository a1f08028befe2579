"""A walk test through the real step and store: what it silences, and who is called all the same."""

from __future__ import annotations

import pytest

from gateway.model.alarm import AlarmState, Suppression
from gateway.model.batch import Event, EventCode, make_batch
from gateway.model.inventory import events_of
from gateway.model.notification import NotifyReason
from gateway.model.verdict import Cause
from gateway.model.walktest import subjects_of
from gateway.pipeline.step import step
from gateway.testing import Scenario
from tests.commissioning.walked import ALL_LIFE, LOST, begin, end, tried, walk
from tests.step_station import STATION


def test_a_device_under_test_raises_a_marked_alarm_and_calls_nobody() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 50.0)
    house.until(300.0)
    alarms = house.alarms()
    assert {alarm.rule for alarm in alarms} == {"leak", "now"}
    assert all(alarm.test and alarm.suppression is Suppression.BY_DESIGN for alarm in alarms)
    assert all(alarm.state is AlarmState.UNACK for alarm in alarms)
    assert house.seen.sent == []  # no SMS, no siren
    assert {t.rule for t in house.seen.transitions} == {"leak", "now"}  # recorded like any


def test_alarms_elsewhere_stay_real() -> None:
    house = tried("jc/3")  # the panel is in jc
    house.event(10.0, "panel", EventCode.FIRE, "1/4")
    (alarm,) = house.alarms()
    assert (alarm.test, alarm.suppression) == (False, Suppression.NONE)
    assert house.told(NotifyReason.RAISED, contact="li") != []
    assert house.told(NotifyReason.SOUND) != []


def test_a_cell_includes_the_cells_below_it_and_names_that_are_none_are_refused() -> None:
    house = Scenario(STATION).start()
    found = subjects_of(STATION, house.ids, ALL_LIFE, ("jc",))
    assert [(one.device, one.must_alarm) for one in found] == [
        ("gas", True),
        ("temp", False),
        ("panel", True),
        ("mute", False),
    ]
    with pytest.raises(LookupError, match="did you mean 'jc/3'"):
        subjects_of(STATION, house.ids, ALL_LIFE, ("jc/33",))


@pytest.mark.parametrize("keys", [1, 4])
def test_an_address_of_the_tested_panel_that_nobody_registered_stays_real(keys: int) -> None:
    house = tried("jc")
    point = house.ids[events_of("panel")]
    for number in range(keys):
        house.event(10.0 + number, "panel", EventCode.FIRE, f"1/{number}")
    stranger = Event(point, "9/9", EventCode.FIRE, "?", registered=False)
    assert house.seen.sent == []
    house.give(30.0, make_batch("s", house.ns(30.0), events=[stranger]))
    real = [alarm for alarm in house.alarms() if not alarm.test]
    assert [(alarm.cause, alarm.suppression) for alarm in real] == [(Cause.UNREGISTERED, Suppression.NONE)]
    assert house.told(NotifyReason.RAISED, contact="li") != []


def test_one_more_address_behind_the_key_limit_makes_the_collective_alarm_real() -> None:
    house = tried("jc")  # keys = 4
    for number in range(5):
        house.event(10.0 + number, "panel", EventCode.FIRE, f"1/{number}")
    assert house.seen.sent == []
    house.event(30.0, "panel", EventCode.FIRE, "9/9")
    (real,) = [alarm for alarm in house.alarms() if not alarm.test]
    assert (real.key, real.suppression) == ("…", Suppression.NONE)
    assert house.told(NotifyReason.RAISED, contact="li") != []


def test_an_alarm_that_calls_already_goes_on_calling_when_its_cell_comes_under_test() -> None:
    house = Scenario(STATION).start()
    house.read(10.0, "gas.ch4", 50.0)
    house.until(14.0)
    begin(house, 20.0, "jc/3")
    house.read(30.0, "gas.ch4", 1.0)
    house.until(95.0)
    house.read(100.0, "gas.ch4", 50.0)
    house.until(140.0)
    assert all(not alarm.test for alarm in house.alarms())
    assert house.told(NotifyReason.ESCALATED, contact="chen") != []


def test_a_detector_has_to_alarm_and_a_fault_is_no_alarm_of_a_detector() -> None:
    house = tried("jc", station=STATION)
    house.event(10.0, "panel", EventCode.FAULT, "1/1")
    house.read(11.0, "mute.x", 1.0, quality=LOST)
    test = walk(house)
    assert (list(test.heard), test.alarmed, test.tested) == (["panel"], {}, [])
    house.event(12.0, "panel", EventCode.TEST, "1/2")  # it says itself that its button was pressed
    assert walk(house).tested == ["panel"]


def test_a_silent_device_under_test_is_a_test_alarm_then_a_real_one() -> None:
    house = tried("jc", station=STATION)
    house.until(300.0)
    (silent,) = house.alarms()
    assert (silent.cause, silent.device, silent.test) == (Cause.SILENCE, "mute", True)
    assert walk(house).alarmed == {}
    house.until(601.0)
    assert house.told(NotifyReason.RAISED, contact="li") != []


def test_sirens_sound_only_when_asked_for_and_stop_when_it_returns() -> None:
    house = tried("jc/3", siren=True)
    house.read(10.0, "gas.ch4", 50.0)
    house.until(12.0)
    assert [at for at, _, _ in house.told(NotifyReason.SOUND)] == [10.0]
    assert "测试" in house.told(NotifyReason.SOUND)[0][2]
    house.until(14.0)  # a second alarm has the same siren
    house.read(20.0, "gas.ch4", 1.0)
    house.until(200.0)
    assert len(house.told(NotifyReason.SILENCE)) == 1
    assert [contact for _, contact, _ in house.told() if contact] == []


def test_acts_that_cannot_be_are_refused_and_change_nothing() -> None:
    house = Scenario(STATION).start()
    (none,) = end(house, 1.0).answers["r"]
    (past,) = begin(house, 2.0, "jc/3", until=1.0).answers["r"]
    begin(house, 5.0, "jc/3")
    (twice,) = begin(house, 6.0, "jc").answers["r"]
    assert ("no walk test" in none.en, "end in the future" in past.en, "still going on" in twice.en) == (True,) * 3
    assert walk(house).cells == ("jc/3",)
    assert begin(house, 700.0, "jc", until=900.0).answers["r"] == ()  # the first ended at 600
    assert walk(house).number == 2


def test_a_step_that_fails_leaves_no_tick() -> None:
    house = tried("jc/3")
    before = walk(house)
    batch = make_batch("s", house.ns(10.0), [(house.ids["gas.ch4"], 0, 50.0, 0)])
    house.until(9.0)
    delta, _ = step(house.state, [batch], house.ns(10.0))
    assert walk(house).heard != {}
    delta.undo()
    assert walk(house) is before
    step(house.state, [batch], house.ns(10.0))
    assert list(walk(house).heard) == ["gas"]
