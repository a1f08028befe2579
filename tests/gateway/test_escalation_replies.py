"""Replies: which ones acknowledge, which are answered with the open codes, which count for nothing."""

from __future__ import annotations

import pytest

from gateway.model.notification import DeliveryState, NotifyReason
from tests.escalation_world import CHEN, LI, WANG, World

R = NotifyReason
D = DeliveryState


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
