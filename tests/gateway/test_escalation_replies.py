"""Replies: which ones acknowledge, which are answered with the open codes, which count for nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.escalation.seen import REPLIES_KEPT
from gateway.model.batch import EventCode
from gateway.model.notification import DeliveryState, NotifyReason, Reply
from gateway.testing import WALL, Life, Scenario
from tests.escalation_world import CHEN, LI, SECOND, WANG, World, encoded, ns
from tests.step_station import STATION

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


def test_a_reply_read_again_does_not_answer_a_newer_alarm() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    assert world.reply(LI, "1", 5, written=4)
    world.flip(2, 10, up=True)
    world.send_all(11)
    assert not world.reply(LI, "1", 12, written=4)  # CMGD was refused, or never came
    world = world.restarted(0, 20)
    world.send_all(21)
    assert not world.reply(LI, "1", 22, written=4)
    assert world.answers() == ["read_again"]
    assert world.said(R.OPEN_CODES) == []  # nobody is bothered by it
    assert world.reply(LI, "1", 23, written=22)  # a new one, of the same words


def test_a_reply_that_came_before_anything_was_open_is_remembered_too() -> None:
    world = World()
    assert not world.reply(LI, "1", 0, written=0)
    world.flip(1, 1, up=True)
    world.send_all(2)
    assert not world.reply(LI, "1", 3, written=0)
    assert world.answers() == ["nothing_open", "read_again"]


def test_without_a_time_of_the_network_its_place_names_a_reply() -> None:
    world = World()
    world.flip(1, 0, up=True)
    world.send_all(1)
    assert world.reply(LI, "1", 5, place="a")
    world.flip(2, 10, up=True)
    world.send_all(11)
    assert not world.reply(LI, "1", 12, place="a")
    assert world.reply(LI, "1", 13, place="b")


@pytest.mark.parametrize(("written", "trusted", "counts"), [(-1, True, False), (0, True, True), (-1, False, True)])
def test_what_was_written_before_the_alarm_was_told_does_not_answer_it(
    written: float, *, trusted: bool, counts: bool
) -> None:
    world = World()
    world.flip(1, 200, up=True)
    world.send_all(201)
    assert world.reply(LI, "1", 205, written=80 + written, trusted=trusted) is counts  # two minutes are forgiven
    assert world.answers() == ["acknowledges" if counts else "open_codes"]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_stored_reply_does_not_answer_an_alarm_of_the_next_life(*, trusted: bool) -> None:
    """Written long ago and never taken, or taken and kept by the modem: with a trusted clock neither counts."""
    house = Scenario(STATION, life=Life(trusted=trusted)).start()
    taken = Reply(channel="sms", number=LI, text="1", at=house.ns(5), sent=WALL + 5 * SECOND)
    assert house.give(5, taken).accepted == [taken]
    house = house.restarted(150)
    house.event(160, "panel", EventCode.FAULT, "1", "烟感")
    house.until(165)
    again = replace(taken, at=house.ns(170))
    assert house.give(170, again).accepted == [again]  # so that the modem is asked once more to delete it
    assert house.alarms()[0].state.unacknowledged
    house.give(175, replace(taken, text="１", at=house.ns(175)))
    assert house.alarms()[0].state.unacknowledged is trusted
    house.give(180, replace(taken, at=house.ns(180), sent=WALL + 179 * SECOND))
    assert not house.alarms()[0].state.unacknowledged


def test_replies_noted_do_not_grow_without_bound_and_the_oldest_goes() -> None:
    world = World()
    seen = world.escalation._inbox.seen  # noqa: SLF001 - the bound is not to be seen from outside
    for at in range(REPLIES_KEPT + 1):
        world.reply(LI, "1", at, written=at)
    assert sorted(seen.table) == list(range(2, REPLIES_KEPT + 2))
    before = encoded(world.rows())
    world.reply(LI, "1", REPLIES_KEPT + 1, written=REPLIES_KEPT + 1)
    world.undo()
    assert encoded(world.rows()) == before
    world.reply("13912345678", "1", REPLIES_KEPT + 2, written=0)  # strangers push nobody out
    assert encoded(world.rows()) == before


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("alarm"), st.integers(1, 400)),
        st.tuples(st.just("write"), st.integers(1, 400)),
        st.tuples(st.just("again"), st.integers(0, 9)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=120, deadline=None)
@given(EVENTS, st.booleans())
def test_an_acknowledgement_covers_only_what_was_told_before_its_reply_was_first_received(
    events: list[tuple[str, int]],
    trusted: bool,  # noqa: FBT001 - drawn
) -> None:
    """The far phone's messages are kept for ever by the modem and handed out again at will."""
    world, now, place = World(), 0.0, 0
    written: list[float] = []
    for kind, number in events:
        now += number if kind in ("alarm", "write") else 1
        first = written[number % len(written)] if kind == "again" and written else now
        if kind == "alarm":
            place += 1
            world.flip(place, now, up=True)
        elif kind == "restart":
            world = world.restarted(0, now)
        elif kind == "write" or written:
            if kind == "write":
                written.append(now)
            open_before = {a.id: a for a in world.book.open_alarms() if a.state.unacknowledged}
            told = {row.alarm: row.at for row in world.escalation.notices.told.to("li", ns(now))}
            acknowledged = world.reply(LI, "1", now, written=first, trusted=trusted)
            left = {a.id for a in world.book.open_alarms() if a.state.unacknowledged}
            covered = set(open_before) - left
            assert bool(covered) is acknowledged
            assert all(told[alarm] <= ns(first) for alarm in covered)
            assert kind == "write" or not covered
        world.send_all(now)
