"""The `hj212` driver: what is asked of a device and set in it, and what comes of it."""

from __future__ import annotations

from typing import Any

from drivers._conversation import Said
from drivers.simulated.hj212 import Logger
from gateway.model.time import SECOND
from gateway.protocols.hj212_packet import Factor
from tests.drivers.hj212_peer import (
    MN,
    WALL,
    answers,
    hear,
    packet,
    rows,
    talk,
)


def ask(point: str, value: float, logger: Logger, **options: Any) -> tuple[Any, list[Said], dict[int, str]]:  # noqa: ANN401
    """Let the gateway ask and the simulated device answer until nothing more is said."""
    conversation, names = talk(**{"password": logger.pw, **options})
    question = conversation.ask("it", point, value, 0, WALL)
    if question is None:
        return None, [], names
    said: list[Said] = []
    sent = question.data
    for _ in range(5):
        fresh = conversation.hear(logger.hear(sent, WALL), 0, WALL)
        said += fresh
        sent = b"".join(one.at_once for one in fresh)
        if not sent:
            break
    return question, said, names


def test_an_interval_is_set_and_read_back() -> None:
    logger = Logger(MN)
    question, said, names = ask("interval", 60, logger)
    assert logger.settings["RtdInterval"] == "60"
    assert [rows(one, names) for one in said if one.decoded.rows] == [{"interval": (60.0, "GOOD")}]
    assert [one.refusal for one in said if one.settles is question] == [""]


def test_an_interval_that_does_not_take_is_said() -> None:
    class Deaf(Logger):
        def hear(self, data: bytes, wall: int) -> bytes:
            answered = super().hear(data, wall)
            self.settings["RtdInterval"] = "30"
            return answered

    question, said, _ = ask("interval", 60, Deaf(MN))
    assert [one.refusal for one in said if one.settles is question] == ["reads back 30, not 60"]


def test_a_setting_is_asked_for() -> None:
    question, said, names = ask("minutes", 0, Logger(MN))
    assert [rows(one, names) for one in said if one.decoded.rows] == [{"minutes": (10.0, "GOOD")}]
    assert [one.refusal for one in said if one.settles is question] == [""]


def test_the_clock_is_read_and_set() -> None:
    logger = Logger(MN)
    question, said, names = ask("clock", 0, logger)
    assert logger.clock_set == "20240123101501"
    assert [one.refusal for one in said if one.settles is question] == [""]
    _, said, names = ask("time", 0, logger)
    assert [rows(one, names)["time"] for one in said if one.decoded.rows] == [(WALL / SECOND, "GOOD")]
    assert talk()[0].ask("it", "clock", 0, 0, 0) is None  # our own clock is not to be trusted


def test_a_device_that_asks_for_the_time_is_given_it() -> None:
    logger = Logger(MN)
    conversation, _ = talk()
    (said,) = conversation.hear(logger.greet(WALL, "1013"), 0, WALL)
    assert [cn for cn, _, _ in answers(said.at_once)] == ["9013", "1012"]
    settled = conversation.hear(logger.hear(said.at_once, WALL), 0, WALL)
    assert (logger.clock_set, [one.decoded.problems for one in settled]) == ("20240123101501", [[], []])
    assert [cn for cn, _, _ in answers(conversation.hear(logger.greet(WALL, "1013"), 0, 0)[0].at_once)] == ["9013"]


def test_refusals_and_failures_are_said() -> None:
    refusing = Logger(MN)
    refusing.fault.refuses = "3"
    question, said, _ = ask("interval", 60, refusing)
    assert [one.refusal for one in said if one.settles is question] == ["refused: QnRtn=3 wrong password"]
    failing = Logger(MN)
    failing.fault.fails = "5"
    question, said, _ = ask("interval", 60, failing)
    assert [one.refusal for one in said if one.settles is question] == ["failed: ExeRtn=5 busy"]


def test_what_is_no_output_is_not_asked_and_a_command_alone_has_no_value() -> None:
    conversation, _ = talk()
    assert conversation.ask("it", "co", 1, 0, WALL) is None
    assert conversation.ask("it", "nothing", 1, 0, WALL) is None
    assert conversation.ask("other", "interval", 1, 0, WALL) is None
    question = conversation.ask("it", "real_time", 1, 0, WALL)
    assert question is not None
    assert [(cn, cp) for cn, _, cp in answers(question.data)] == [("2011", "")]


def test_an_answer_that_nobody_asked_for_is_counted() -> None:
    assert hear(packet("QnRtn=1", "9011"))[0].decoded.problems == ["unasked"]


def test_a_faulty_logger_is_asked_to_say_it_again() -> None:
    logger = Logger(MN)
    conversation, _ = talk()
    logger.fault.bad_crc = True
    logger.fault.noise = b"\xff\x00#"
    (noise, bad) = conversation.hear(logger.report([Factor("a21005", {"Rtd": "7"})], WALL), 0, WALL)
    assert (noise.decoded.problems, bad.decoded.problems, bad.after) == (["noise"], ["crc"], b"")
    assert logger.again()
