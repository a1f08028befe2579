"""Chains: who is told when, what stops it, what everybody hears afterwards, shelves, and the bound on memory."""

from __future__ import annotations

import pytest

from gateway.model.alarm import OperatorAct, Verb
from gateway.model.notification import DeliveryState, NotifyReason
from gateway.model.point import AlarmClass
from gateway.model.verdict import NEVER, Cause
from tests.escalation_world import CHEN, LI, World, asked, facts, ns

R = NotifyReason
D = DeliveryState


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


def test_a_shelf_stops_the_chain_and_its_end_calls_again() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.do(OperatorAct(verb=Verb.SHELVE, alarms=(1,), who="li", via="cli", at=ns(5), until=ns(50), reason="检修"), 5)
    world.send_all(6)
    assert sorted(world.said(R.SHELVED)) == [("li", "sms"), ("wang", "sms")]
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
    assert sorted(world.said(R.SHELVED)) == [("li", "sms"), ("wang", "sms")]
    assert sorted(world.said(R.TAKEN_OVER)) == [("li", "sms")]


def shelve(world: World, at: float, until: float) -> None:
    """Let li shelve the first alarm."""
    verb = Verb.SHELVE
    world.do(OperatorAct(verb=verb, alarms=(1,), who="li", via="cli", at=ns(at), until=ns(until), reason="检修"), at)


@pytest.mark.parametrize(
    ("wall", "zh", "en"),
    [
        ("15:30", "：已由 李伟 搁置到 15:30，原因：检修", ": shelved by 李伟 until 15:30, reason: 检修"),
        ("", "：已由 李伟 搁置 30 分钟，原因：检修", ": shelved by 李伟 for 30 min, reason: 检修"),
    ],
)
def test_a_shelf_is_called_a_shelf_and_its_end_is_told(wall: str, zh: str, en: str) -> None:
    world = World(wall=lambda _: wall)
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.pass_time(60)  # chen, who reads English, is told too
    world.send_all(61)
    shelve(world, 70, 70 + 1790)
    texts = {n.contact: n.text for n in world.notices() if n.reason is R.SHELVED}
    assert set(texts) == {"li", "wang", "chen"}
    assert world.escalation.notices.informed(1, ns(70)) == 3
    assert world.escalation.notices.informed(1, ns(60)) == 0  # asked, not informed
    assert texts["wang"].endswith(zh)
    assert texts["chen"].endswith(en)
    assert world.said(R.TAKEN_OVER) == []
    world.send_all(71)
    world.pass_time(70 + 1790)
    anew = [n for n in world.notices() if n.planned_at == ns(70 + 1790)]
    assert [(n.contact, n.reason) for n in anew if n.contact] == [("li", R.RAISED), ("wang", R.RAISED)]
    assert all("搁置已到期" in n.text for n in anew if n.contact)
    world.flip(1, 70 + 1800, up=False)
    world.flip(1, 70 + 1801, up=True)  # a new alarm: the shelf is no longer news
    world.send_all(70 + 1802)
    world.pass_time(70 + 1920)
    last = [n for n in world.notices() if n.contact][-1]
    assert last.planned_at > ns(70 + 1801)
    assert "搁置" not in last.text


@pytest.mark.parametrize("reason", ["误报频繁", "false alarms all day"])
def test_a_shelf_whose_reason_speaks_of_false_alarms_is_no_false_alarm(reason: str) -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    act = OperatorAct(verb=Verb.SHELVE, alarms=(1,), who="root", via="cli", at=ns(5), until=ns(50), reason=reason)
    world.do(act, 5)
    assert world.said(R.FALSE_ALARM) == []
    assert "已由 站内用户 root 搁置" in world.notices()[-1].text


def test_out_of_service_is_told_as_that_and_its_end_calls_again() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    world.do(OperatorAct(verb=Verb.DISABLE, alarms=(1,), who="li", via="cli", at=ns(5), reason="改造"), 5)
    assert world.notices()[-1].text.endswith("：已由 李伟 停用，原因：改造")
    world.send_all(6)
    world.do(OperatorAct(verb=Verb.ENABLE, alarms=(1,), who="li", via="cli", at=ns(9)), 9)
    assert "已重新投用" in [n.text for n in world.notices() if n.contact][-1]


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
