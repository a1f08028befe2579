"""How a walk test ends: by an act, by its time, over restarts; and that no true alarm is silent afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.alarm import AlarmState, Suppression, Verb
from gateway.model.batch import EventCode
from gateway.model.delta import Delta
from gateway.model.notification import NotifyReason
from gateway.model.time import SECOND
from gateway.model.verdict import Cause
from gateway.model.walktest import WalkEnd
from gateway.store.shapes import Group
from gateway.testing import Life, Scenario
from tests.commissioning.walked import QUIET, begin, end, reports, tried, walk
from tests.step_station import STATION


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
