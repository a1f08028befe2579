"""Failures, order of sending and sounders: nobody reachable, channels down, retries, receipts, sirens."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.contact import ChannelSpec, Policy, PolicyChoice, Step
from gateway.model.notification import DeliveryState, NotifyReason
from gateway.model.point import AlarmClass
from tests.escalation_world import SECOND, STATION, World, asked, facts, ns

R = NotifyReason
D = DeliveryState


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


def test_what_may_have_arrived_goes_again_marked_and_counts_as_told() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.receipt(1, D.FAILED_FOR_NOW, 1, "the modem gave no answer to the message", uncertain=True)
    assert (world.notices()[0].repeat, world.notices()[0].uncertain) == (False, True)
    world.send_all(2)
    world.pass_time(12)
    again = next(n for n in world.sent() if n.id == 1 and n.attempts == 2)
    assert again.repeat
    assert again.text.startswith("【重发】")
    world.receipt(1, D.FAILED_FOR_NOW, 13, "no network")
    world.pass_time(44)
    third = next(n for n in world.sent() if n.id == 1 and n.attempts == 3)
    assert (third.text, third.repeat) == (again.text, True)  # the first one may still have arrived
    world.ack(1, 45, who="chen")
    assert ("li", "sms") in world.said(R.TAKEN_OVER)


def test_a_receipt_that_never_comes_makes_the_next_try_a_marked_one() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.pass_time(135)
    assert [(n.attempts, n.repeat) for n in world.sent() if n.id == 1] == [(1, False), (2, True)]


def test_a_message_that_certainly_failed_goes_again_as_it_was() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.receipt(1, D.FAILED_FOR_NOW, 1, "no network")
    world.send_all(2)
    world.pass_time(12)
    assert [(n.attempts, n.repeat) for n in world.sent() if n.id == 1] == [(1, False), (2, False)]


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
