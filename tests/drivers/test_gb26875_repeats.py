"""GB/T 26875.3: what tells a repeat of a device from news, whatever its clock is worth."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._conversation_said import Proof
from drivers._gb26875_talk import Centre
from drivers._gb26875_words import PLACES, Words
from drivers.simulated.gb26875 import FIRE, NORMAL, Transmitter, TransmitterFault
from gateway.model.batch import EventCode
from gateway.model.time import HOUR, MINUTE, SECOND
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875_units import time_tag
from tests.drivers.gb26875_centre import CHINA, NOW, SMOKE, WALL, centre, device, events, installed


def digests(line: Centre, *frames: bytes, now: int = NOW) -> list[bytes]:
    return [said.digest for place, frame in enumerate(frames) for said in line.hear(frame, now + place, WALL)]


@pytest.mark.parametrize("new_serial", [False, True])
def test_a_repeat_has_the_digest_of_what_it_repeats(new_serial: bool) -> None:  # noqa: FBT001 - a case
    far = device(new_serial=new_serial)
    line = centre(installed())
    first, second = digests(line, far.change(SMOKE, FIRE, WALL), far.again())
    assert first == second
    assert digests(centre(installed()), far.again()) == [first]  # also for a new life
    later, other = digests(line, far.change(SMOKE, FIRE, WALL + SECOND), far.change((1, 1, 9), FIRE, WALL))
    assert len({first, later, other}) == 3


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["no_clock", "still"]), st.lists(st.sampled_from([FIRE, NORMAL]), min_size=1, max_size=12))
def test_a_second_fire_never_passes_for_a_repeat_because_of_a_poor_clock(how: str, words: list[int]) -> None:
    """With a clock that stands still, or none: the same word again is a repeat, another word is news."""
    fault = TransmitterFault(no_clock=True) if how == "no_clock" else TransmitterFault(still=1_700_000_000)
    far, line = Transmitter(889, fault=fault), centre(installed())
    seen: set[bytes] = set()
    before: tuple[int, bytes] | None = None
    for place, word in enumerate(words):
        [digest] = digests(line, far.change(SMOKE, word, WALL), now=NOW + place * SECOND)
        if before is not None and before[0] == word:
            assert digest == before[1]
        else:
            assert digest not in seen
        seen.add(digest)
        before = (word, digest)


def test_a_second_fire_a_minute_later_is_news_where_the_clock_stands_still() -> None:
    """Nobody told of a reset between them, and every frame has the same time."""
    far, line = device(still=1_700_000_000), centre(installed())
    [first, again] = digests(line, far.change(SMOKE, FIRE, WALL), far.again())
    far.unanswered.clear()
    [second, repeated] = digests(line, far.change(SMOKE, FIRE, WALL), far.again(), now=NOW + 70 * SECOND)
    assert first == again != second == repeated


def test_a_frame_sent_again_late_as_it_was_is_a_repeat() -> None:
    far, line = device(), centre(installed())
    [first] = digests(line, far.change(SMOKE, FIRE, WALL))
    assert digests(line, far.again(), now=NOW + 70 * SECOND) == [first]


def test_the_second_of_two_frames_of_one_second_is_a_repeat_too_when_it_is_sent_again_late() -> None:
    far, line = device(), centre(installed())
    line.hear(far.change((1, 1, 9), FIRE, WALL), NOW, WALL)
    [second] = digests(line, far.change(SMOKE, FIRE, WALL))
    assert digests(line, far.again(), now=NOW + 70 * SECOND)[-1] == second


def test_what_two_devices_say_alike_is_no_repeat() -> None:
    line = centre(installed())  # the one device of its source, whoever sends
    other = device()
    other.address = 890
    assert len(set(digests(line, device().change(SMOKE, FIRE, WALL), other.change(SMOKE, FIRE, WALL)))) == 2


def test_after_a_reset_the_same_fire_of_a_poor_clock_is_news() -> None:
    far, line = device(no_clock=True), centre(installed())
    [first] = digests(line, far.change(SMOKE, FIRE, WALL))
    line.hear(far.report(4, [o.Operation(1, 1, 1, 0, bytes(6))], WALL), NOW + SECOND, WALL)
    assert digests(line, far.change(SMOKE, FIRE, WALL), now=NOW + 2 * SECOND) != [first]


def test_what_has_no_time_is_a_repeat_for_a_minute_only() -> None:
    line = centre(installed())
    [said] = line.hear(device(no_clock=True).change(SMOKE, FIRE, WALL), NOW, WALL)
    [wrong] = line.hear(device().change(SMOKE, FIRE, WALL - 2 * MINUTE), NOW, WALL)
    [right] = line.hear(device().change(SMOKE, FIRE, WALL - SECOND), NOW, WALL)
    assert [(one.proof, one.within) for one in (said, wrong, right)] == [
        (Proof.NOTHING, 60.0),
        (Proof.NOTHING, 1800.0),
        (Proof.TIME, 7 * 86_400.0),
    ]


def test_a_printed_fire_of_a_wrong_clock_is_a_repeat_for_a_minute_only() -> None:
    """No state of a place is known of what is printed: nothing else tells a second one."""
    line = "火警 一层".encode("gb18030")
    body = bytes(4) + bytes((1, len(line))) + line
    found = []
    for off in (0, HOUR):
        unit = bytes((9, 1)) + body + time_tag(WALL - off, CHINA)
        [said] = centre(installed()).hear(device().send(unit, WALL), NOW, WALL)
        assert [event.code for event in events([said])] == [EventCode.FIRE]
        found.append((said.proof, said.within))
    assert found == [(Proof.TIME, 7 * 86_400.0), (Proof.NOTHING, 60.0)]


def test_a_repeat_says_the_same_again_so_that_it_is_answered_after_the_commit() -> None:
    far, line = device(), centre(installed())
    [first] = line.hear(far.change(SMOKE, NORMAL, WALL), NOW, WALL)
    [again] = line.hear(far.again(), NOW + SECOND, WALL)
    assert events([first]) == events([again]) != []
    assert again.stores


def test_the_words_of_a_device_are_bounded() -> None:
    words = Words()
    tag = time_tag(WALL, CHINA)
    for number in range(PLACES + 10):
        assert words.note(f"1/1/0/{number}", tag, 1, NOW) == (0, None)
    assert len(words._last) == PLACES  # noqa: SLF001 - the bound is the point
    assert words.note("1/1/0/0", tag, 2, NOW) == (0, None)
    assert words.note("1/1/0/500", tag, 2, NOW) == (NOW, 1)
    assert words.note("1/1/0/1", bytes(6), 1, NOW) == (NOW, None)  # forgotten and without a time: news
