"""The verdict of the kill harness: what it must say of messages that come late, early or twice."""

from __future__ import annotations

import pytest

from drivers.simulated.modem_network import SentMessage
from gateway.clock import SECOND
from tests.faults.verdict import Past, told_again, untimely

# Seconds on the boot-time clock: when it fell due, when it was told, lives (born, armed, died); what is wrong.
TOLD: dict[str, tuple[float, float | None, list[tuple[float, float | None, float]], str]] = {
    "at once": (10.0, 10.1, [(0.0, 1.0, 20.0)], ""),
    "early": (10.0, 8.9, [(0.0, 1.0, 20.0)], "early"),
    "late": (10.0, 11.2, [(0.0, 1.0, 20.0)], "told 1.20 s after"),
    "late, killed before it had to": (10.0, 11.2, [(0.0, 1.0, 10.9), (11.0, 11.1, 20.0)], ""),
    "due in a sleep": (10.0, 13.9, [(0.0, 1.0, 9.0), (12.0, 13.0, 15.0)], ""),
    "due in a sleep, late": (10.0, 14.2, [(0.0, 1.0, 9.0), (12.0, 13.0, 15.0)], "told 1.20 s after"),
    "due in a sleep, told by the next but one": (10.0, 16.1, [(12.0, 13.0, 14.5), (15.0, 16.0, 17.0)], "told 3.10 s"),
    "a life that was never armed": (10.0, 16.1, [(12.0, None, 14.5), (15.0, 16.0, 17.0)], ""),
    "never": (10.0, None, [(0.0, 1.0, 20.0)], "told never"),
    "never, nobody could": (10.0, None, [(0.0, 1.0, 10.5)], ""),
}


@pytest.mark.parametrize("name", TOLD)
def test_the_moment_of_telling_is_judged(name: str) -> None:
    due, told, lived, fault = TOLD[name]
    lives = [Past(ns(born), None if armed is None else ns(armed), ns(died), 0) for born, armed, died in lived]
    said = untimely(ns(due), None if told is None else ns(told), lives, [])
    assert (fault in said) if fault else said == ""


def test_what_the_modem_sends_before_and_a_bad_disk_are_allowed_for() -> None:
    lives = [Past(0, ns(1), ns(30), 0)]
    queue = [SentMessage(ns(10.1 + 0.1 * n), "1", "", 2) for n in range(10)]
    assert untimely(ns(10), ns(12.5), lives, queue) == ""
    assert untimely(ns(10), ns(12.7), lives, queue) != ""
    assert untimely(ns(10), ns(12.9), [lives[0]._replace(bad_disk=True)], []) == ""
    assert untimely(ns(10), ns(13.1), [lives[0]._replace(bad_disk=True)], []) != ""


def ns(seconds: float) -> int:
    """Return it as the clock counts."""
    return round(seconds * SECOND)


ASKED = "【火警】码16 一号楼 panel 1/0，11-22 13:37:21。测试站。回复16确认"
TAKEN = "【火警】码16 一号楼 panel 1/0：李伟 已接管"
AGAIN: dict[str, tuple[list[tuple[float, str]], bool]] = {
    "asked again after a kill, marked": ([(1, ASKED), (6, "【重发】" + ASKED)], False),
    "asked again after a kill, unmarked": ([(1, ASKED), (6, ASKED)], True),
    "asked again in other words": ([(1, ASKED), (6, ASKED.replace("码16", "码17"))], True),
    "asked again in one life": ([(1, ASKED), (2, "【重发】" + ASKED)], True),
    "recorded by the next life": ([(1, "【未存档】" + ASKED), (6, ASKED)], False),
    "followed up once": ([(1, ASKED), (2, TAKEN)], False),
    "followed up again after a kill, marked": ([(1, TAKEN), (6, "【重发】" + TAKEN)], False),
    "followed up again after a kill, unmarked": ([(1, TAKEN), (6, TAKEN)], True),
    "followed up again in one life": ([(1, TAKEN), (2, "【重发】" + TAKEN)], True),
    "confirmed twice": ([(1, TAKEN.replace("李伟 已接管", "已确认，由您接管")) for _ in range(2)], True),
    "about nothing of ours": ([(1, TAKEN.replace("1/0", "b1")) for _ in range(2)], False),
}


@pytest.mark.parametrize("name", AGAIN)
def test_what_comes_twice_is_judged(name: str) -> None:
    messages, wrong = AGAIN[name]
    lives = [Past(0, ns(0.5), ns(5), 0), Past(ns(5), ns(5.5), ns(9), 0)]
    sent = [SentMessage(ns(at), "1", text, 1) for at, text in messages]
    assert bool(told_again(sent, ["1/0"], lives)) is wrong


def test_the_same_words_to_two_people_are_two_messages() -> None:
    sent = [SentMessage(ns(1), number, TAKEN, 1) for number in ("1", "2")]
    assert told_again(sent, ["1/0"], [Past(0, ns(0.5), ns(5), 0)]) == []
