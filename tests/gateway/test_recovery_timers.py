"""Every timer over a kill at any moment: within a boot, over a reboot whose time is known, and over one that is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from gateway.model.alarm import AlarmState, Suppression, Transition, Verb
from gateway.model.batch import EventCode
from gateway.model.notification import DeliveryState, Notification, NotifyReason
from gateway.model.quality import Doubt, Level, quality
from gateway.model.time import HOUR, SECOND
from gateway.model.verdict import Cause
from gateway.testing import WALL, Life, Scenario, never_answers
from tests.step_station import STATION, with_limits

R = NotifyReason
AT_ONCE = with_limits(settle=0.0)
LOST = quality(Level.BAD, Doubt.NO_COMMS)
END = 420.0


def busy_at_first(notice: Notification) -> Sequence[tuple[float, DeliveryState]]:
    """Answer as a captain's phone does whose first message does not get through."""
    failed = notice.contact == "chen" and notice.attempts == 1
    return ((0.1, DeliveryState.FAILED_FOR_NOW if failed else DeliveryState.SENT),)


EVENTS: tuple[tuple[float, Callable[[Scenario, float], object]], ...] = (
    (10.0, lambda house, at: house.read(at, "gas.ch4", 33.0)),
    (30.0, lambda house, at: house.read(at, "gas.ch4", 1.0)),
    (40.0, lambda house, at: house.event(at, "panel", EventCode.FAULT, "1/1", "回路故障")),
    (45.0, lambda house, at: house.act(at, Verb.SHELVE, [2], until=160.0, reason="检修")),
    (62.0, lambda house, at: house.read(at, "mute.x", 1.0)),
    (100.0, lambda house, at: house.read(at, "temp.t", 60.0)),
    (130.0, lambda house, at: house.read(at, "temp.t", 40.0)),
    (240.0, lambda house, at: house.read(at, "temp.t", 41.0)),
    (245.0, lambda house, at: house.read(at, "temp.t", 44.0)),
    (250.0, lambda house, at: house.read(at, "temp.t", 60.0)),
)


def play(house: Scenario, begin: float, end: float) -> Scenario:
    """Play the part of the script that lies in (begin, end]."""
    for at, happen in EVENTS:
        if begin < at <= end:
            happen(house, at)
    return house.until(end)


def plain(house: Scenario) -> list[tuple[object, ...]]:
    """Return transitions without raw evidence, which a restart may cost."""
    return [(t.alarm, t.rule, t.key, t.event, t.before, t.after, t.cause, t.at, t.value) for t in transitions(house)]


def transitions(house: Scenario) -> list[Transition]:
    """Return all transitions of all lives."""
    return house.seen.transitions


def asked(house: Scenario) -> list[tuple[float, str, NotifyReason]]:
    """Return (second, contact, why) of every message to a person."""
    return [(round(at, 2), n.contact, n.reason) for at, n in house.seen.sent if n.contact]


@pytest.fixture(scope="module")
def uncut() -> Scenario:
    """Return the script played without a kill."""
    return play(Scenario(AT_ONCE, answer=busy_at_first).start(), 0.0, END)


def test_the_script_has_every_timer(uncut: Scenario) -> None:
    causes = {(t.rule, t.cause) for t in transitions(uncut)}
    assert {("leak", Cause.CONDITION), ("leak", Cause.RETURNED), ("warm", Cause.CONDITION)} <= causes
    assert {("warm", Cause.RETURNED), ("silence", Cause.SILENCE), ("event:fault", Cause.SHELF_ENDED)} <= causes
    assert (73.0, "chen", R.ESCALATED) in asked(uncut)
    assert (83.1, "chen", R.ESCALATED) in asked(uncut)  # tried again after 10 s
    assert (193.0, "li", R.REPEATED) in asked(uncut)


@pytest.mark.parametrize(("kill", "tail"), [(4.5, None), *((11.5 + 11 * n, (None, 7.0)[n % 2]) for n in range(37))])
def test_a_kill_at_any_moment_changes_no_timer(kill: float, tail: float | None, uncut: Scenario) -> None:
    house = Scenario(AT_ONCE, answer=busy_at_first).start()
    if tail is not None and kill > tail:
        play(house, 0.0, kill - tail).snapshot()
        play(house, kill - tail, kill)
    else:
        play(house, 0.0, kill)
    again = house.restarted(kill)
    assert again.remarks == []
    play(again, kill, END)
    assert plain(again) == plain(uncut)
    assert asked(again) == asked(uncut)


@pytest.mark.parametrize("down", [0.0, 1.0, 20.0])
def test_over_a_reboot_of_known_length_time_spent_down_counts(down: float) -> None:
    house = Scenario(AT_ONCE).start()
    play(house, 0.0, 11.0)  # the on-delay runs until 13
    life = Life(boot="boot-2", base=7 * SECOND)
    again = house.restarted(11.0 + down, life).until(80.0 + down)
    (raised,) = [t for t in transitions(again) if t.rule == "leak"]
    assert again.seconds(raised.at) == 13.0
    assert again.told(R.RAISED, contact="li")[0][0] == max(13.0, 11.0 + down)
    assert again.told(R.ESCALATED, contact="chen")[0][0] == 73.0


def test_over_a_reboot_of_unknown_length_a_pending_gas_alarm_raises_at_the_first_true() -> None:
    house = Scenario(STATION).start()
    play(house, 0.0, 11.0)
    unknown = Life(boot="boot-2", base=7 * SECOND, wall=0, trusted=False)
    again = house.restarted(20.0, unknown)
    again.until(25.0)
    assert [t for t in transitions(again) if t.rule == "leak"] == []
    again.read(26.0, "gas.ch4", 33.0)
    (raised,) = [t for t in transitions(again) if t.rule == "leak"]
    assert (again.seconds(raised.at), raised.cause) == (26.0, Cause.CONDITION)
    assert "时间未校准" in again.told(R.RAISED, contact="li")[0][2]


def test_over_a_reboot_of_unknown_length_it_raises_as_lost_when_nothing_is_heard() -> None:
    house = Scenario(STATION).start()
    play(house, 0.0, 11.0)
    again = house.restarted(20.0, Life(boot="boot-2", base=7 * SECOND, wall=0, trusted=False)).until(100.0)
    (raised,) = [t for t in transitions(again) if t.rule == "leak"]
    assert (again.seconds(raised.at), raised.cause) == (50.0, Cause.LOST_WHILE_PENDING)


def test_over_a_reboot_of_unknown_length_every_line_of_the_house() -> None:
    house = Scenario(STATION).start()
    house.read(1.0, "temp.t", 60.0)  # supervisory, on-delay 20 s
    house.read(2.0, "gas.ch4", 33.0)
    house.read(6.0, "gas.ch4", 1.0)  # off-delay 60 s
    house.event(7.0, "panel", EventCode.FAULT, "1/1")
    fault = house.alarms()[-1].id
    house.act(8.0, Verb.SHELVE, [fault], until=9_000.0, reason="检修")
    house.read(9.0, "temp.t", 60.0)  # 8 s of the on-delay have gone by
    again = house.restarted(500.0, Life(boot="boot-2", base=3 * SECOND, wall=0, trusted=False))
    assert again.seen.transitions[-1].cause is Cause.SHELF_ENDED
    assert [a.suppression for a in again.alarms()] == [Suppression.NONE] * 2
    assert (500.0, "chen") in [told[:2] for told in again.told(R.ESCALATED)]  # its deadline is due at once
    again.until(505.0)
    again.read(506.0, "gas.ch4", 1.0)  # the off-delay starts again here
    again.until(600.0)
    ended = [again.seconds(t.at) for t in transitions(again) if t.cause is Cause.RETURNED]
    assert ended == [566.0]
    warm = [again.seconds(t.at) for t in transitions(again) if t.rule == "warm"]
    assert warm == [512.0]  # continues from what had elapsed
    before = len(again.seen.transitions)
    again.epoch(650.0, wall=WALL)
    assert len(again.seen.transitions) == before  # nothing told is taken back
    assert again.alarms()[0].state is AlarmState.LATCHED_UNACK


def test_clocks_that_contradict_each_other_are_time_not_known() -> None:
    house = Scenario(STATION).start()
    play(house, 0.0, 20.0)
    before_it_ended = Life(boot="boot-2", base=3 * SECOND, wall=WALL - HOUR)
    again = house.restarted(30.0, before_it_ended)
    assert (30.0, "chen") in [told[:2] for told in again.told(R.ESCALATED)]


def test_what_is_on_its_way_at_a_kill_goes_once_more_and_is_marked() -> None:
    house = Scenario(STATION, answer=never_answers).start()
    play(house, 0.0, 20.0)
    again = house.restarted(21.0)
    again.until(22.0)
    li = again.told(R.RAISED, contact="li")
    assert [(at, text.startswith("【重发】")) for at, _, text in li] == [(13.0, False), (21.0, True)]
    again.until(160.0)  # 120 s without a receipt, then the first retry after 10 s
    assert again.told(R.RAISED, contact="li")[2:] == []  # a newer one goes in its place


def test_faults_wait_for_the_first_poll_round_after_a_start() -> None:
    house = Scenario(STATION).start()
    house.read(1.0, "mute.x", 1.0)
    house.until(100.0)
    again = house.restarted(300.0)  # its limit of 200 s passed at 201
    again.until(329.0)
    assert [t for t in transitions(again) if t.rule == "silence"] == []
    again.until(331.0)
    assert [again.seconds(t.at) for t in transitions(again) if t.rule == "silence"] == [330.0]


def test_a_rule_that_left_in_a_crash_of_the_take_over_ends_its_alarm() -> None:
    house = Scenario(STATION).start()
    play(house, 0.0, 20.0)
    house.act(21.0, Verb.ACK, [1])
    fewer = replace(STATION, rules=STATION.rules[1:])
    again = house.restarted(30.0, station=fewer)
    assert [a.rule for a in again.alarms()] == []
    assert transitions(again)[-1].cause is Cause.CONFIGURATION


def test_a_value_lost_while_pending_raises_at_its_due_time_over_a_kill() -> None:
    house = Scenario(STATION).start()
    house.read(10.0, "gas.ch4", 33.0)
    house.read(11.0, "gas.ch4", 0.0, quality=LOST)
    again = house.restarted(12.0).until(20.0)
    (raised,) = transitions(again)
    assert (again.seconds(raised.at), raised.cause) == (13.0, Cause.LOST_WHILE_PENDING)
