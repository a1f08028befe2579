"""Restart and undo: timers go on, what was being sent goes once more, and undone steps leave no trace."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.model.contact import Policy
from gateway.model.notification import DeliveryState, NotifyReason
from tests.escalation_world import LI, SECOND, STATION, World, encoded, ns

R = NotifyReason
D = DeliveryState


@pytest.mark.parametrize("shift", [0, 3600 * SECOND, -3600 * SECOND])
def test_after_a_restart_timers_go_on_and_what_was_being_sent_goes_once_more(shift: int) -> None:
    world = World()
    world.flip(1, 0, up=True)
    hours = shift / SECOND
    again = world.restarted(shift, 20 + hours)
    first = again.notices()[0]
    assert (first.state, first.repeat, first.attempts) == (D.SENDING, True, 2)
    assert first.text.startswith("【重发】【火警】")
    assert again.escalation.chains["1"].due == ns(60 + hours)
    assert [n.channel for n in again.sent()].count("siren") == 1
    again.send_all(21 + hours)
    again.pass_time(60 + hours)
    assert [n.contact for n in again.notices() if n.reason is R.ESCALATED] == ["chen"]
    assert again.audit(60 + hours) == []


def test_a_deadline_missed_while_down_is_due_at_once_and_not_many_times_over() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    again = world.restarted(0, 36_000)
    again.send_all(36_001)
    assert [n.contact for n in again.sent() if n.contact] == ["chen"]
    assert again.escalation.chains["1"].due == ns(36_120)


def test_unknown_time_spent_down_makes_the_next_step_due_at_once() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    again = world.restarted(None, 5)
    assert [n.contact for n in again.sent() if n.contact] == ["chen"]
    assert again.audit(5) == []


def test_after_unknown_time_the_steps_that_follow_keep_their_distance() -> None:
    squad, captain = STATION.policies[0].steps
    policy = Policy(id="turn-out", steps=(squad, captain, replace(captain, after=100.0)))
    world = World(replace(STATION, policies=(policy,)))
    world.flip(1, 0, up=True)
    again = world.restarted(None, 5)
    assert again.escalation.chains["1"].due == ns(45)


def test_a_message_cut_off_by_a_crash_counts_as_told() -> None:
    world = World()
    world.flip(1, 0, up=True)
    again = world.restarted(0, 5)
    again.receipt(1, D.FAILED_FOR_NOW, 6, "no network")
    again.ack(1, 7, who="chen")
    assert ("li", "sms") in again.said(R.TAKEN_OVER)


def test_notices_of_a_channel_that_left_the_configuration_fail_for_good() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.station = replace(STATION, channels=STATION.channels[1:])
    again = world.restarted(0, 5)
    states = {n.channel: n.state for n in again.notices() if n.contact}
    assert states == {"sms": D.FAILED_FOR_GOOD}
    assert again.audit(5) == []


def test_a_salvaged_alarm_without_a_chain_is_adopted() -> None:
    world = World()
    world.flip(1, 0, up=True)
    orphan = World()
    orphan.book.load(world.rows())
    delta = orphan.turn(5)
    assert orphan.audit(5) == [1]
    orphan.escalation.adopt(orphan.book.open_alarms(), ns(5), delta, orphan.out)
    orphan.end(5, delta)
    assert orphan.audit(5) == []
    assert orphan.said(R.RAISED) == [("li", "sms"), ("wang", "sms")]


def test_undone_steps_leave_no_trace_and_can_be_done_again() -> None:
    world = World()
    before = [encoded(world.rows())]
    world.flip(1, 0, up=True)
    before.append(encoded(world.rows()))
    world.pass_time(60)
    before.append(encoded(world.rows()))
    world.reply(LI, "10", 61)
    for state in reversed(before):
        world.undo()
        assert encoded(world.rows()) == state
    world.flip(1, 0, up=True)
    assert encoded(world.rows()) == before[1]
    world.pass_time(60)
    assert encoded(world.rows()) == before[2]


def test_what_leaves_unrecorded_says_so_in_its_own_language() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.pass_time(60)
    marks = {n.contact: world.escalation.unrecorded(n) for n in world.notices() if n.contact}
    assert marks["li"].text.startswith("【未存档】【火警】")
    assert marks["chen"].text.startswith("UNSAVED [FIRE]")
    assert not marks["li"].recorded


def test_settled_notices_do_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.escalation.notices.SETTLED_KEPT", 50)
    world = World()
    world.flip(1, 0, up=True)
    for at in range(0, 20_000, 60):
        world.pass_time(at)
        world.send_all(at)
    assert len(world.notices()) <= 60
    world.ack(1, 20_001)
    assert sorted(world.said(R.TAKEN_OVER)) == [("chen", "sms"), ("li", "sms"), ("wang", "sms")]


def test_a_flood_costs_what_changed() -> None:
    """Every alarm of 2 000 touches a bounded number of rows, whatever stands beside it."""
    station = replace(STATION, contacts=STATION.contacts[:1])
    world = World(station)
    touched = []
    for place in range(2000):
        world.flip(place, 1 + place / 1000, up=True)
        touched.append(sum(1 for _ in world.deltas.pop().rows()))
    assert max(touched[1000:]) <= max(touched[:100]) + 2
