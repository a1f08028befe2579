"""Cutting a text into parts and joining parts: nothing is lost, no pair is cut, nothing grows without bound."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols import gsm7
from gateway.protocols.smsfields import Alphabet, UserData
from gateway.protocols.smsparts import Joiner, submit_parts
from gateway.protocols.smspdu import Deliver, Submit, decode, encode, tpdu_length

NUMBER = "+8613800138000"
MINUTE = 60_000_000_000


def delivered(parts: list[Submit], number: str = NUMBER) -> list[Deliver]:
    """The parts as the far end would get them."""
    return [Deliver(number, part.user, part.coding, 0x91) for part in parts]


@pytest.mark.parametrize(
    ("text", "lengths", "coding"),
    [
        ("", [0], 0),
        ("a" * 160, [160], 0),
        ("a" * 161, [153, 8], 0),
        ("火" * 70, [70], 8),
        ("火" * 71, [67, 4], 8),
        ("a" * 152 + "€" + "b" * 20, [152, 21], 0),
        ("火" * 66 + "😀" + "火" * 10, [66, 11], 8),
        ("€" * 80, [80], 0),
        ("€" * 81, [76, 5], 0),
        ("a" * 160 + "，", [67, 67, 27], 8),
    ],
    ids=lambda value: str(value)[:12],
)
def test_parts_are_as_long_as_allowed_and_no_pair_is_cut(text: str, lengths: list[int], coding: int) -> None:
    parts = submit_parts(NUMBER, text, reference=0x130)
    assert [len(part.user.text) for part in parts] == lengths
    assert {part.coding for part in parts} == {coding}
    assert "".join(part.user.text for part in parts) == text
    places = [part.user.concatenation for part in parts]
    if len(parts) == 1:
        assert places == [None]
    else:
        assert [(p.reference, p.total, p.sequence) for p in places if p] == [
            (0x30, len(parts), n) for n in range(1, len(parts) + 1)
        ]


def test_an_alarm_text_asks_for_a_report_and_its_validity() -> None:
    (part,) = submit_parts("10086", "1号楼3层烟感报警", reference=1, validity=7200)
    pdu = encode(part)
    assert pdu.hex().upper().startswith("0031000581" + "0180F6" + "0008" + "17")
    assert tpdu_length(pdu) == len(pdu) - 1
    (plain,) = submit_parts("10086", "test", reference=1, report=False)
    assert encode(plain)[1] == 0x01


def test_a_lone_surrogate_does_not_stop_a_message() -> None:
    (part,) = submit_parts(NUMBER, "火\ud800", reference=1)
    assert part.user.text == "火?"


def test_a_text_of_more_than_255_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="256 parts"):
        submit_parts(NUMBER, "火" * (67 * 255 + 1), reference=1)


MIXED = st.text(alphabet=st.sampled_from("a1€[]火警😀，\n"), max_size=600)


@given(text=MIXED, order=st.randoms(use_true_random=False), twice=st.booleans())
def test_any_text_comes_out_of_its_shuffled_parts(text: str, order: random.Random, *, twice: bool) -> None:
    messages = [decode(encode(part)) for part in submit_parts(NUMBER, text, reference=9)]
    parts = delivered([message for message in messages if isinstance(message, Submit)])
    tagged = list(enumerate(parts)) * (2 if twice and len(parts) > 1 else 1)
    order.shuffle(tagged)
    joiner = Joiner()
    whole = [found for tag, part in tagged for found in joiner.add(part, tag, 0) if found.complete]
    assert whole
    assert {found.text for found in whole} == {text}


def test_characters_cut_by_a_far_end_are_joined() -> None:
    cut = "😀".encode("utf-16-be")
    parts = [Deliver("1", UserData(Alphabet.UCS2, cut[i : i + 2], bytes((0, 3, 5, 2, i // 2 + 1))), 8) for i in (0, 2)]
    joiner = Joiner()
    assert joiner.add(parts[1], "second", 0) == []
    (whole,) = joiner.add(parts[0], "first", 0)
    assert (whole.text, whole.tags, whole.complete) == ("😀", ("first", "second"), True)
    assert parts[0].user.text == "\ufffd"


def test_a_part_that_comes_twice_frees_both_places() -> None:
    first, second = delivered(submit_parts(NUMBER, "a" * 200, reference=1))
    joiner = Joiner()
    assert joiner.add(first, 1, 0) == []
    assert joiner.add(first, 2, 0) == []
    (whole,) = joiner.add(second, 3, 0)
    assert whole.tags == (1, 2, 3)


def test_senders_and_totals_are_told_apart_and_a_reused_reference_gives_the_older_out() -> None:
    long_a = delivered(submit_parts(NUMBER, "a" * 200, reference=1))
    long_b = delivered(submit_parts(NUMBER, "b" * 200, reference=1), number="+8613900139000")
    long_c = delivered(submit_parts(NUMBER, "c" * 200, reference=1))
    joiner = Joiner()
    assert joiner.add(long_a[0], "a1", 0) == []
    assert joiner.add(long_b[0], "b1", 0) == []
    (older,) = joiner.add(long_c[0], "c1", 0)
    assert (older.text, older.complete, older.tags) == ("a" * 153, False, ("a1",))
    (whole,) = joiner.add(long_c[1], "c2", 0)
    assert (whole.text, whole.complete) == ("c" * 200, True)


def test_unfinished_messages_are_bounded_and_given_out_never_dropped() -> None:
    joiner = Joiner(limit=3)
    given_out = []
    for reference in range(10):
        part = delivered(submit_parts(NUMBER, "1" * 200, reference=reference))[0]
        given_out += joiner.add(part, reference, reference)
    assert [found.tags for found in given_out] == [(n,) for n in range(7)]
    assert not any(found.complete for found in given_out)


def test_an_unfinished_message_is_given_out_after_ten_minutes() -> None:
    part = delivered(submit_parts(NUMBER, "1" * 200, reference=1))[1]
    joiner = Joiner()
    joiner.add(part, "slot", 0)
    assert joiner.expire(10 * MINUTE) == []
    (late,) = joiner.expire(10 * MINUTE + 1)
    assert (late.text, late.complete) == ("1" * 47, False)
    assert joiner.expire(99 * MINUTE) == []


def test_the_escape_never_stands_last_in_a_part() -> None:
    for lead in range(140, 160):
        for part in submit_parts(NUMBER, "a" * lead + "€" * 40, reference=1):
            assert part.user.data[-1] != gsm7.ESCAPE
