"""Chains: who is told when, what stops it, what everybody hears afterwards, replies, failures and restarts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.model.alarm import OperatorAct, Verb
from gateway.model.contact import ChannelSpec, Policy, PolicyChoice, Step
from gateway.model.notification import DeliveryState, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.verdict import NEVER, Cause
from tests.escalation_world import SECOND, STATION, World, encoded, facts, ns

R = NotifyReason
D = DeliveryState
LI, WANG, CHEN = "13800138000", "+86 13900000001", "0086 137 0000 0002"


def asked(world: World) -> list[tuple[str, float]]:
    """Return (contact, second) of every notice that asks a person, as planned."""
    asking = (R.RAISED, R.ESCALATED, R.REPEATED)
    return [(n.contact, (n.planned_at - ns(0)) / SECOND) for n in world.notices() if n.reason in asking and n.contact]


def test_the_policy_runs_in_steps_and_starts_over_until_answered() -> None:
    world = World()
    world.flip(1, 0, up=True)
    for at in range(1, 400, 7):
        world.pass_time(at)
        world.send_all(at)
        assert world.audit(at) == []
    assert asked(world) == [
        *[("li", 0.0), ("wang", 0.0), ("chen", 60.0)],
        *[("li", 180.0), ("wang", 180.0), ("chen", 240.0)],
        *[("li", 360.0), ("wang", 360.0)],
    ]
    reasons = [n.reason for n in world.notices() if n.contact]
    assert reasons == [R.RAISED, R.RAISED, R.ESCALATED, *[R.REPEATED] * 5]


def test_an_answer_stops_everything_and_everybody_told_hears_once() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.pass_time(60)
    world.ack(1, 61, who="wang")
    world.send_all(62)
    world.pass_time(1000)
    assert sorted(world.said(R.TAKEN_OVER)) == [("chen", "sms"), ("li", "sms"), ("wang", "sms")]
    assert world.said(R.SILENCE) == [("", "siren")]
    assert world.escalation.due() == NEVER
    assert world.rows()["told"] == {}
    assert "王芳 已接管" in world.notices()[-1].text or "taken over by 王芳" in world.notices()[-1].text


def test_who_was_not_told_yet_is_not_told_at_all() -> None:
    world = World()
    world.flip(1, 0, up=True)  # li is being sent to, wang waits behind him
    assert [n.contact for n in world.sent() if n.contact] == ["li"]
    world.ack(1, 2)
    world.send_all(3)
    assert [(n.contact, n.reason) for n in world.sent() if n.contact] == [("li", R.RAISED), ("li", R.TAKEN_OVER)]
    states = {n.contact: n.state for n in world.notices() if n.reason is R.RAISED}
    assert states == {"li": D.SENT, "wang": D.SUPERSEDED}


def test_a_message_that_fails_after_the_answer_is_not_tried_again() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.ack(1, 2)
    world.receipt(1, D.FAILED_FOR_NOW, 3, "CMS ERROR 38")
    assert world.notices()[0].state is D.SUPERSEDED
    assert not any(n.retry_at for n in world.notices())


@pytest.mark.parametrize(
    ("reason", "follow"), [("厨房误报", R.FALSE_ALARM), ("false alarm, steam", R.FALSE_ALARM), ("去看", R.TAKEN_OVER)]
)
def test_the_words_of_the_answer_choose_the_follow_up(reason: str, follow: NotifyReason) -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.ack(1, 2, reason=reason)
    assert world.said(follow) == [("li", "sms")]
    assert reason in world.notices()[-1].text


@pytest.mark.parametrize("how", ["returned", "reset", "removed", "re-raised"])
def test_only_a_person_ends_the_chain_of_a_fire(how: str) -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    if how == "removed":
        delta = world.turn(10)
        move = world.book.remove("r", 1, "", ns(10), delta)
        assert move is not None
        world.escalation.on_transition(move.transition, move.alarm, delta, world.out)
        world.end(10, delta)
    else:
        world.flip(1, 10, up=False, cause=Cause.EVENT_RESET if how == "reset" else Cause.RETURNED)
    if how == "re-raised":
        world.flip(1, 20, up=True)
    world.pass_time(60)
    assert asked(world)[-1] == ("chen", 60.0)
    text = world.notices()[-1].text
    assert ("returned to normal" in text) is (how in ("returned", "reset"))
    assert ("removed from the configuration" in text) is (how == "removed")
    assert world.audit(60) == []


def test_a_fault_that_returns_stops_calling_says_so_and_stays_listed() -> None:
    world = World()
    world.flip(1, 0, up=True, what=facts(AlarmClass.FAULT))
    world.send_all(1)
    world.flip(1, 5, up=False)
    world.send_all(6)
    assert world.said(R.ALL_CLEAR) == [("chen", "sms")]
    assert world.escalation.due() == NEVER
    assert [a.id for a in world.book.open_alarms()] == [1]
    world.ack(1, 7)
    assert world.said(R.TAKEN_OVER) == []
    assert world.book.open_alarms() == []
    assert world.audit(8) == []


def test_a_fault_that_comes_back_is_a_new_chain_with_its_own_follow_up() -> None:
    world = World()
    for at in (0, 20):
        world.flip(1, at, up=True, what=facts(AlarmClass.FAULT))
        world.send_all(at + 1)
        world.flip(1, at + 5, up=False)
        world.send_all(at + 6)
    assert world.said(R.ALL_CLEAR) == [("chen", "sms")] * 2


def test_a_returned_fault_can_still_be_answered_by_message() -> None:
    world = World()
    world.flip(1, 0, up=True, what=facts(AlarmClass.FAULT))
    world.send_all(1)
    world.flip(1, 5, up=False)
    assert world.reply(CHEN, "10", 8)
    assert world.said(R.CONFIRMED) == [("chen", "sms")]
    assert world.book.open_alarms() == []


def test_a_second_place_has_its_own_chain() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.ack(1, 2)
    world.flip(2, 3, up=True)
    world.send_all(4)
    assert [c for c, _ in world.said(R.RAISED)] == ["li", "wang", "li", "wang"]
    assert world.audit(5) == []


def test_a_new_address_is_told_to_all_steps_reached_without_putting_the_next_off() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.flip(1, 30, up=True, cause=Cause.ESCALATED)
    world.send_all(31)
    world.pass_time(60)
    assert asked(world) == [("li", 0.0), ("wang", 0.0), ("li", 30.0), ("wang", 30.0), ("chen", 60.0)]


@pytest.mark.parametrize("answered", [True, False])
def test_news_while_the_last_message_is_on_its_way_gets_a_message_of_its_own(*, answered: bool) -> None:
    world = World()
    world.flip(1, 0, up=True)  # li is being sent to
    if answered:
        world.ack(1, 1)
    world.flip(1, 2, up=True, cause=Cause.ESCALATED)
    world.receipt(1, D.FAILED_FOR_NOW, 3, "busy")
    assert world.notices()[0].state is D.SUPERSEDED  # the newer one goes there
    world.send_all(4)
    assert ("li", 2.0) in asked(world)
    assert world.reply(LI, "10", 5)


# -- replies


def test_a_reply_acknowledges_exactly_what_its_code_says() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.flip(2, 0, up=True)
    world.send_all(1)
    assert world.reply(LI, "１ 11", 5)
    assert [a.state.unacknowledged for a in world.book.open_alarms()] == [True, False]
    assert world.said(R.CONFIRMED) == [("li", "sms")]
    assert world.said(R.TAKEN_OVER) == [("wang", "sms")]


def test_no_or_a_wrong_code_is_answered_with_the_open_ones() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.flip(2, 0, up=True)
    world.send_all(1)
    for text in ("1", "99", "什么情况"):
        assert not world.reply(LI, text, 5)
        world.send_all(6)
    assert world.said(R.OPEN_CODES) == [("li", "sms")] * 3
    assert "10 火警" in world.notices()[-1].text
    assert "11 火警" in world.notices()[-1].text
    assert all(a.state.unacknowledged for a in world.book.open_alarms())
    assert world.answers() == ["open_codes"] * 3


def test_the_same_answer_is_not_queued_twice() -> None:
    world = World()
    world.flip(1, 0, up=True)
    for at in range(1, 9):
        world.reply(LI, "?", at)
    assert world.said(R.OPEN_CODES) == [("li", "sms")]


@pytest.mark.parametrize(
    ("number", "text", "verdict"),
    [
        ("13912345678", "10", "unknown_number"),
        (CHEN, "10", "nothing_open"),  # the captain has not been told yet
        (WANG, "10", "nothing_open"),  # still waits in the queue
        ("", "10", "unknown_number"),
    ],
)
def test_a_reply_counts_only_from_somebody_who_was_told(number: str, text: str, verdict: str) -> None:
    world = World()
    world.flip(1, 0, up=True)
    planned = len(world.notices())
    assert not world.reply(number, text, 1)
    assert world.answers() == [verdict]
    assert len(world.notices()) == planned


def test_a_reply_from_before_the_message_does_not_count() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.flip(2, 10, up=True)
    world.send_all(11)
    assert not world.reply(LI, "11", 9)  # received before he was told of the second one
    assert world.reply(LI, "1", 9)
    assert [a.state.unacknowledged for a in world.book.open_alarms()] == [False, True]


def test_a_lost_reply_after_somebody_else_answered_changes_nothing() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.ack(1, 2, who="wang")
    assert not world.reply(LI, "10", 3)
    assert world.answers() == ["nothing_open"]


# -- failures


def test_when_nobody_can_be_reached_the_next_step_starts_at_once_and_the_siren_sounds() -> None:
    station = replace(
        STATION,
        policies=(
            Policy(
                id="turn-out",
                steps=(
                    Step(after=0.0, notify=("role:squad@cell",), by=("sms",)),
                    Step(after=60.0, notify=("role:captain@community",), by=("sms",)),
                ),
            ),
        ),
    )
    world = World(station)
    world.flip(1, 0, up=True)
    world.receipt(1, D.FAILED_FOR_GOOD, 1, "CMS ERROR 1")
    assert asked(world)[-1] == ("wang", 0.0)
    assert world.said(R.SOUND) == []
    world.receipt(2, D.FAILED_FOR_GOOD, 2, "CMS ERROR 1")
    assert asked(world)[-1] == ("chen", 2.0)
    assert world.said(R.SOUND) == [("", "siren")]
    assert world.audit(2) == []


def test_a_channel_known_to_be_down_counts_as_failed_and_is_used_again_when_it_is_back() -> None:
    world = World()
    world.channel("sms", 0, up=False)
    world.flip(1, 1, up=True)
    assert asked(world) == [("li", 1.0), ("wang", 1.0), ("chen", 1.0)]
    assert [n.channel for n in world.sent()] == ["siren"]
    assert world.audit(1) == []
    world.channel("sms", 50, up=True)
    world.send_all(51)
    assert [n.contact for n in world.sent() if n.contact] == ["li", "wang", "chen"]


def test_a_channel_that_goes_down_later_lets_waiting_steps_go_on() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.receipt(1, D.FAILED_FOR_NOW, 1, "no answer")
    world.channel("sms", 2, up=False)  # wang is being sent to: his message may still arrive
    assert ("chen", 2.0) not in asked(world)
    world.receipt(2, D.FAILED_FOR_NOW, 3, "link down")
    world.channel("sms", 4, up=False)
    assert asked(world)[-1] == ("chen", 4.0)


def test_all_channels_down_does_not_turn_in_circles() -> None:
    world = World()
    world.channel("sms", 0, up=False)
    world.channel("siren", 0, up=False)
    for place in range(20):
        world.flip(place, 1, up=True)
    world.pass_time(600)
    assert len(asked(world)) == 60
    assert world.audit(600) == []


def test_retries_then_failure_for_good() -> None:
    world = World()
    world.channel("siren", 0, up=False)
    world.flip(1, 0, up=True)
    tries = []
    for wait in (10, 30, 90, 0):
        at = (world.notices()[0].sending_at - ns(0)) / SECOND
        tries.append(at)
        world.receipt(1, D.FAILED_FOR_NOW, at + 1, "busy")
        for other in [n.id for n in world.notices() if n.state is D.SENDING]:
            world.receipt(other, D.SENT, at + 1)
        world.pass_time(at + 1 + wait)
    assert tries == [0, 11, 42, 133]
    assert world.notices()[0].state is D.FAILED_FOR_GOOD


def test_a_receipt_that_never_comes_fails_for_now_and_counts_as_told() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.pass_time(120)
    first = world.notices()[0]
    assert (first.state, first.failure, first.retry_at) == (D.FAILED_FOR_NOW, "no receipt", ns(130))
    world.ack(1, 121, who="chen")
    assert ("li", "sms") in world.said(R.TAKEN_OVER)


def test_a_message_that_certainly_failed_needs_no_follow_up() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.receipt(1, D.FAILED_FOR_NOW, 1, "no network")
    world.ack(1, 2, who="chen")
    assert ("li", "sms") not in world.said(R.TAKEN_OVER)
    assert ("wang", "sms") in world.said(R.TAKEN_OVER)


def test_late_and_repeated_receipts_do_no_harm() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.receipt(1, D.SENT, 1)
    assert (world.notices()[0].sent_at, world.notices()[0].done_at) == (ns(1), 0)
    for state in (D.SENT, D.DELIVERED, D.SENT, D.FAILED_FOR_NOW, D.PLANNED):
        world.receipt(1, state, 1)
    assert world.notices()[0].state is D.DELIVERED
    world.receipt(999, D.SENT, 2)
    world.receipt(1, D.READ, 3)
    assert world.notices()[0].state is D.READ


# -- order of sending


def test_a_higher_class_starts_beside_a_lower_one_and_never_the_other_way_round() -> None:
    station = replace(
        STATION, choices=(PolicyChoice(alarm_class=c, policy="office") for c in AlarmClass), policies=STATION.policies
    )
    world = World(replace(station, choices=tuple(station.choices)))
    for place, kind in enumerate((AlarmClass.FAULT, AlarmClass.FAULT, AlarmClass.GAS, AlarmClass.FIRE, AlarmClass.GAS)):
        world.flip(place, place, up=True, what=facts(kind))
    sending = [(n.alarm_class, n.alarm) for n in world.notices() if n.state is D.SENDING]
    assert sending == [(AlarmClass.FAULT, 1), (AlarmClass.GAS, 3), (AlarmClass.FIRE, 4)]
    world.receipt(1, D.SENT, 9)  # the fault is done; gas and fire are not: the next fault waits
    assert len([n for n in world.notices() if n.state is D.SENDING]) == 2


def test_first_notices_leave_before_repeats_and_follow_ups() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.ack(1, 1)  # li is being told of 1; its follow-up waits
    world.flip(2, 2, up=True)
    world.send_all(2)
    order = [(n.alarm, n.contact, n.reason) for n in world.sent() if n.contact]
    assert order == [(1, "li", R.RAISED), (2, "li", R.RAISED), (2, "wang", R.RAISED), (1, "li", R.TAKEN_OVER)]


# -- sounders


def test_the_siren_is_silenced_only_by_the_last_answer() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.flip(2, 0, up=True)
    world.send_all(1)
    world.ack(1, 2)
    assert world.said(R.SILENCE) == []
    world.ack(2, 3)
    world.send_all(4)
    assert world.said(R.SILENCE) == [("", "siren")]
    assert [n.reason for n in world.sent() if n.channel == "siren"] == [R.SOUND, R.SOUND, R.SILENCE]


def test_off_and_on_do_not_overtake_each_other() -> None:
    world = World()
    world.flip(1, 0, up=True)  # SOUND is on its way
    world.ack(1, 1)  # SILENCE waits behind it
    world.flip(2, 2, up=True)  # SOUND again: the SILENCE is given up
    world.send_all(3)
    assert [n.reason for n in world.sent() if n.channel == "siren"] == [R.SOUND, R.SOUND]


def test_a_siren_does_one_thing_at_a_time_whatever_the_class() -> None:
    world = World()
    world.flip(1, 0, up=True, what=facts(AlarmClass.GAS))
    world.send_all(1)
    world.ack(1, 2)  # SILENCE is on its way
    world.flip(2, 3, up=True)
    assert [n.reason for n in world.notices() if n.channel == "siren" and n.state is D.SENDING] == [R.SILENCE]
    world.send_all(4)
    assert [n.reason for n in world.sent() if n.channel == "siren"] == [R.SOUND, R.SILENCE, R.SOUND]


def test_an_off_that_failed_is_said_again_when_the_link_is_back() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.ack(1, 2)
    silence = next(n for n in world.notices() if n.reason is R.SILENCE)
    world.receipt(silence.id, D.FAILED_FOR_GOOD, 3, "bus gone")
    world.channel("siren", 4, up=False)
    world.channel("siren", 5, up=True)
    assert world.said(R.SILENCE) == [("", "siren")] * 2


def test_a_person_told_by_two_channels_hears_once_by_the_one_that_works() -> None:
    station = replace(STATION, channels=(*STATION.channels, ChannelSpec(id="call", kind="modem_call")))
    both = Step(after=0.0, notify=("contact:li",), by=("sms", "call"))
    world = World(replace(station, policies=(Policy(id="turn-out", steps=(both,)),)))
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.channel("sms", 2, up=False)
    world.ack(1, 3, who="chen")
    assert world.said(R.TAKEN_OVER) == [("li", "call")]


def test_a_siren_whose_link_comes_back_is_set_again() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.channel("siren", 2, up=False)
    world.channel("siren", 3, up=True)
    assert len(world.said(R.SOUND)) == 2
    world.ack(1, 4)
    world.send_all(4)
    world.channel("siren", 5, up=False)
    world.channel("siren", 6, up=True)
    assert world.said(R.SILENCE) == [("", "siren")]


# -- suppression


def test_a_shelf_stops_the_chain_and_its_end_calls_again() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.do(OperatorAct(verb=Verb.SHELVE, alarms=(1,), who="li", via="cli", at=ns(5), until=ns(50), reason="检修"), 5)
    world.send_all(6)
    assert len(world.said(R.TAKEN_OVER)) == 2
    assert world.escalation.due() == NEVER
    world.pass_time(100)
    assert asked(world)[2:] == [("li", 50.0), ("wang", 50.0)]
    assert world.audit(100) == []


def test_who_heard_of_the_shelf_hears_again_only_if_told_again() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.do(OperatorAct(verb=Verb.SHELVE, alarms=(1,), who="li", via="cli", at=ns(5), until=ns(50), reason="检修"), 5)
    world.send_all(6)
    world.pass_time(50)  # li is being told again, wang waits
    world.ack(1, 51)
    assert sorted(world.said(R.TAKEN_OVER)) == [("li", "sms"), ("li", "sms"), ("wang", "sms")]


def test_an_alarm_raised_on_the_shelf_calls_nobody() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.do(OperatorAct(verb=Verb.DISABLE, alarms=(1,), who="li", via="cli", at=ns(5), reason="改造"), 5)
    said = len(world.notices())
    world.flip(1, 6, up=False)
    world.flip(1, 7, up=True)
    world.pass_time(500)
    assert len(world.notices()) == said
    assert world.audit(500) == []


# -- restart and undo


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
