"""A walk test through the real step and store: who is called, who is not, and how it ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.model.alarm import AlarmState, OperatorAct, Suppression, Verb
from gateway.model.batch import Event, EventCode, make_batch
from gateway.model.delta import Delta
from gateway.model.inventory import events_of
from gateway.model.notification import NotifyReason
from gateway.model.quality import Doubt, Level, quality
from gateway.model.station import Station
from gateway.model.time import SECOND
from gateway.model.verdict import Cause
from gateway.model.walktest import WalkEnd, Walktest, subjects_of
from gateway.pipeline.step import Effects, step
from gateway.store.shapes import Group
from gateway.testing import Life, Scenario
from tests.step_station import STATION

LOST = quality(Level.BAD, Doubt.NO_COMMS)
ALL_LIFE = frozenset({"gas", "panel"})
QUIET = replace(STATION, devices=STATION.devices[:3])  # without the device that falls silent


def begin(house: Scenario, at: float, cell: str, *, until: float = 600.0, siren: bool = False) -> Effects:
    """Let Li begin a test."""
    act = OperatorAct(
        verb=Verb.WALKTEST,
        alarms=(),
        who="li",
        via="cli",
        at=house.ns(at),
        until=house.ns(until),
        request="r",
        cells=(cell,),
        subjects=subjects_of(house.station, house.ids, ALL_LIFE, (cell,)),
        siren=siren,
    )
    return house.give(at, act)


def end(house: Scenario, at: float) -> Effects:
    """Let Chen end it."""
    return house.act(at, Verb.END_WALKTEST, [], who="chen")


def walk(house: Scenario) -> Walktest:
    """Return the test that runs or ran last."""
    test = house.state.book.walktests.latest
    assert test is not None
    return test


def reports(house: Scenario) -> list[Walktest]:
    """Return the reports that went into the record."""
    bodies = (body for effects in house.seen.effects for kind, body in effects.records if kind == "walktest")
    return [body for body in bodies if isinstance(body, Walktest)]


def tried(cell: str, *, siren: bool = False, station: Station = QUIET) -> Scenario:
    """Return a station with a test since second 5 that would end at 600."""
    house = Scenario(station).start()
    begin(house, 5.0, cell, siren=siren)
    return house


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


def test_at_the_end_what_is_still_true_calls_as_a_real_alarm() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.until(599.0)
    assert house.seen.sent == []
    house.until(601.0)
    (alarm,) = house.alarms()
    assert (alarm.state, alarm.suppression, alarm.test, alarm.lifted) == (
        AlarmState.UNACK,
        Suppression.NONE,
        False,
        Cause.WALKTEST,
    )
    ((at, who, text),) = house.told(NotifyReason.RAISED, contact="li")
    assert (at, who) == (600.0, "li")
    assert "测试已结束" in text


def test_an_alarm_acknowledged_during_the_test_calls_too_if_it_is_still_true() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.until(20.0)
    house.act(30.0, Verb.ACK, [1])
    house.until(601.0)
    assert house.told(NotifyReason.RAISED, contact="li") != []


def test_at_the_end_what_has_returned_is_closed_in_the_testers_name() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.read(20.0, "gas.ch4", 1.0)
    house.until(599.0)
    assert [alarm.state for alarm in house.alarms()] == [AlarmState.LATCHED_UNACK]
    house.until(601.0)
    assert house.alarms() == []
    assert house.seen.sent == []
    last = house.seen.transitions[-3:]
    assert [(t.event.name, t.cause, t.who) for t in last] == [
        (name, Cause.WALKTEST, "li") for name in ("ACK", "RESET", "UNSUPPRESS")
    ]


def test_what_a_person_decided_during_the_test_stays() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.until(20.0)
    house.act(30.0, Verb.SHELVE, [1], until=900.0, reason="检修")
    house.until(601.0)
    (alarm,) = house.alarms()
    assert (alarm.suppression, alarm.test) == (Suppression.SHELVED, False)
    assert house.seen.sent == []
    house.until(901.0)
    assert house.told(NotifyReason.RAISED, contact="li") != []


def test_it_ends_by_an_act_and_the_report_is_in_the_record() -> None:
    house = tried("jc/3")
    house.read(10.0, "temp.t", 20.0)
    house.read(11.0, "gas.ch4", 1.0)
    house.read(12.0, "gas.ch4", 50.0)
    end(house, 60.0)
    (report,) = reports(house)
    assert (report.number, report.who, report.cells, report.end, report.ended_by) == (
        1,
        "li",
        ("jc/3",),
        WalkEnd.ACT,
        "chen",
    )
    assert [house.seconds(at) for at in (report.began, report.ended)] == [5.0, 60.0]
    assert {device: house.seconds(at) for device, at in report.heard.items()} == {"temp": 10.0, "gas": 11.0}
    assert {device: house.seconds(at) for device, at in report.alarmed.items()} == {"gas": 12.0}
    assert report.tested == ["gas", "temp"]
    house.until(700.0)
    assert len(reports(house)) == 1  # its time-out comes to nothing


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


@pytest.mark.parametrize("shift", ["same boot", "known"])
def test_it_goes_on_over_a_restart_with_the_time_that_is_left(shift: str) -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.until(20.0)
    life = house.life if shift == "same boot" else Life(boot="boot-2", base=7 * SECOND)
    again = house.restarted(100.0, life)
    again.until(599.0)
    assert again.seen.sent == []
    assert {device: again.seconds(at) for device, at in walk(again).heard.items()} == {"gas": 10.0}
    again.until(601.0)
    assert [at for at, _, _ in again.told(NotifyReason.RAISED, contact="li")] == [600.0]
    (report,) = reports(again)
    assert (report.end, again.seconds(report.ended)) == (WalkEnd.TIME_OUT, 600.0)
    assert len(reports(again.restarted(650.0, Life(boot="boot-3", base=9 * SECOND)))) == 1  # not told again


def test_it_is_over_when_its_time_ran_out_while_the_station_was_down() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.until(20.0)
    again = house.restarted(1_000.0, Life(boot="boot-2", base=7 * SECOND)).until(1_001.0)
    assert again.told(NotifyReason.RAISED, contact="li") != []
    assert reports(again)[0].end is WalkEnd.TIME_OUT


def test_it_ends_when_nobody_knows_how_long_the_station_was_down() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.until(20.0)
    again = house.restarted(30.0, Life(boot="boot-2", base=7 * SECOND, wall=0, trusted=False)).until(31.0)
    assert reports(again)[0].end is WalkEnd.RESTART
    assert again.told(NotifyReason.RAISED, contact="li") != []
    assert [alarm.test for alarm in again.alarms()] == [False]


def test_an_alarm_found_without_its_test_calls_people() -> None:
    house = tried("jc/3")
    house.read(10.0, "gas.ch4", 20.0)
    house.until(20.0)
    kept = house.alarms()
    house.store.commit(
        Group(boot=house.life.boot, mono=house.ns(20.5), wall=0, steps=[], records=[], rows=[("walktest", "now", None)])
    )
    again = house.restarted(30.0).until(31.0)
    assert [(alarm.test, alarm.suppression) for alarm in again.alarms()] == [(False, Suppression.NONE)]
    assert again.told(NotifyReason.RAISED, contact="li") != []
    other = Scenario(QUIET).start()
    moves = other.state.book.take(kept, other.ns(5.0), Delta())
    assert [(move.alarm.test, move.alarm.suppression) for move in moves] == [(False, Suppression.NONE)]


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


SCRIPT = st.lists(
    st.tuples(
        st.sampled_from(["gas", "gas", "temp", "fire", "reset", "ack", "begin", "end"]),
        st.floats(1.0, 90.0),
        st.floats(0.0, 80.0),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(script=SCRIPT)
def test_whatever_happens_no_true_alarm_is_silent_after_the_test(script: list[tuple[str, float, float]]) -> None:
    house = Scenario(STATION).start()
    now = 1.0
    for what, pause, value in script:
        now += pause
        match what:
            case "gas":
                house.read(now, "gas.ch4", value)
            case "temp":
                house.read(now, "temp.t", value)
            case "fire":
                house.event(now, "panel", EventCode.FIRE, f"1/{int(value) % 3}")
            case "reset":
                house.event(now, "panel", EventCode.RESET)
            case "ack":
                house.act(now, Verb.ACK, [])
            case "begin":
                begin(house, now, "jc" if value > 40 else "jc/3", until=now + 10 * value + 1)
            case "end":
                end(house, now)
        assert all(alarm.suppression is Suppression.BY_DESIGN for alarm in house.alarms() if alarm.test)
        if house.state.book.walktests.running is None:
            assert all(not alarm.test and alarm.suppression is Suppression.NONE for alarm in house.alarms())
        assert house.state.escalation.audit(house.alarms(), house.ns(now)) == []
    house.until(now + 1_000.0)
    assert all(not alarm.test and alarm.suppression is Suppression.NONE for alarm in house.alarms())
    assert len(reports(house)) == walk(house).number if house.state.book.walktests.latest else reports(house) == []
