"""The `hj212` driver: readings with their quality, answers after the commit, requests, bad input."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._conversation import Said
from drivers._conversation_said import Proof
from drivers._hj212_device import Installed, install, judged
from drivers._profiles import profile, tailor
from drivers.hj212 import QUIET, Hj212, create
from drivers.simulated.hj212 import Logger
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.batch import EventCode
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.quality import GOOD, describe
from gateway.model.station import SourceSpec
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.hj212 import Check, Frame, Frames, encode_frame
from gateway.protocols.hj212_packet import Factor, Packet, data_of, encode, parse, time_of
from tests.channel_rigs import Notes

MN, STRANGER = "881", 1
OTHER_PW = {"password": "654321"}
WALL = 1_705_976_101 * SECOND  # 2024-01-23 10:15:01 in China
POINTS = {
    "co": {"unit": "mg/m3", "over_range": [0, 100], "decode": {"code": "a21005"}},
    "co_minute": {"unit": "mg/m3", "decode": {"code": "a21005", "kind": "Avg"}},
    "volume": {"unit": "m3", "kind": "counter", "decode": {"code": "a00000", "kind": "Cou", "cn": "2061"}},
    "plant": {"kind": "state", "labels": {"off": 0, "run": 1, "alarm": 4}, "decode": {"code": "SB1", "kind": "RS"}},
    "vendor": {"unit": "1", "decode": {"code": "s10003", "kind": ""}},
    "interval": {"unit": "s", "decode": {"code": "RtdInterval", "kind": "", "get": "1061", "set": "1062"}},
    "minutes": {"unit": "min", "decode": {"code": "MinInterval", "kind": "", "get": "1063"}},
    "clock": {"unit": "s", "decode": {"code": "SystemTime", "kind": "", "set": "1012"}},
    "time": {"unit": "s", "decode": {"code": "SystemTime", "kind": "", "get": "1011"}},
    "real_time": {"unit": "1", "decode": {"code": "upload", "set": "2011"}},
}


def device(**options: Any) -> Device:  # noqa: ANN401 - keys of any type
    return Device(
        id="it", source="src", profile=tailor(profile("hj212-generic"), POINTS), options={"mn": MN, **options}
    )


def ids_of(one: Device) -> dict[str, int]:
    return {f"{one.id}.{spec.name}": number for number, spec in enumerate(one.profile.points, 10)}


def talk(*, datagrams: bool = False, **options: Any) -> tuple[Hj212, dict[int, str]]:  # noqa: ANN401 - likewise
    one = device(**options)
    ids = ids_of(one)
    made = install(one, ids, STRANGER)
    names = {number: name.removeprefix("it.") for name, number in ids.items()} | {STRANGER: "strangers"}
    return Hj212({MN: made}, STRANGER, datagrams=datagrams), names


def packet(cp: str, cn: str = "2011", **fields: Any) -> bytes:  # noqa: ANN401 - likewise
    whole = Packet(qn="20240123101501421", st="39", cn=cn, pw="123456", mn=MN, flag=5, cp=cp)
    return encode_frame(encode(msgspec.structs.replace(whole, **fields)))


def hear(data: bytes, **options: Any) -> tuple[Said, dict[str, tuple[float, str]]]:  # noqa: ANN401 - likewise
    conversation, names = talk(**options)
    (said,) = conversation.hear(data, 0, WALL)
    return said, rows(said, names)


def rows(said: Said, names: dict[int, str]) -> dict[str, tuple[float, str]]:
    return {names[point]: (value, describe(packed)) for point, _, value, packed in said.decoded.rows}


def answers(data: bytes) -> list[tuple[str, str, str]]:
    found = []
    for frame in Frames().feed(data):
        assert isinstance(frame, Frame)
        said = parse(frame.segment)
        assert isinstance(said, Packet)
        found.append((said.cn, said.qn, said.cp))
    return found


# -- readings


def test_real_time_data_are_readings_answered_after_the_commit() -> None:
    said, told = hear(packet("DataTime=20240123101500;a21005-Rtd=12.5,a21005-Flag=N;SB1-RS=1"))
    assert told == {"co": (12.5, "GOOD"), "plant": (1.0, "GOOD")}
    assert {row[1] for row in said.decoded.rows} == {WALL - SECOND}
    assert (said.device, said.at_once, said.limit, said.late) == ("it", b"", 5.0, b"")
    assert said.digest
    assert answers(said.after) == [("9014", "20240123101501421", "")]
    assert said.after.startswith(b"##0066QN=20240123101501421;ST=91;CN=9014;PW=123456;MN=881;Flag=4;CP=&&&&")


def test_each_value_has_the_time_of_its_sample_oldest_first() -> None:
    said, _ = hear(packet("DataTime=20240123101500;a21005-Rtd=1;SB1-SampleTime=20240123091500,SB1-RS=0"))
    assert [row[1] for row in said.decoded.rows] == [WALL - 3601 * SECOND, WALL - SECOND]


def test_without_a_data_time_it_is_that_of_the_exchange() -> None:
    said, _ = hear(packet("a21005-Rtd=1"))
    assert said.decoded.rows[0][1] == WALL + 421_000_000


def test_an_impossible_time_is_none_and_counted() -> None:
    said, told = hear(packet("DataTime=20240230101500;a21005-Rtd=1"))
    assert (said.decoded.rows[0][1], said.decoded.problems) == (0, ["bad_time"])
    assert told == {"co": (1.0, "GOOD")}


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("N", (12.0, "GOOD")),
        ("n", (12.0, "GOOD")),
        ("F", (12.0, "UNCERTAIN:device_doubt")),
        ("M", (12.0, "BAD:device_doubt")),
        ("S", (12.0, "UNCERTAIN:device_doubt")),
        ("D", (12.0, "BAD:fault_value")),
        ("C", (12.0, "BAD:device_doubt")),
        ("T", (100.0, "UNCERTAIN:over_range")),
        ("?", (12.0, "UNCERTAIN:device_doubt")),
        ("3", (12.0, "GOOD")),
    ],
)
def test_a_flag_is_the_quality(flag: str, expected: tuple[float, str]) -> None:
    said, told = hear(packet(f"a21005-Rtd=12,a21005-Flag={flag}"), flags={"3": "good"})
    assert told == {"co": expected}
    assert said.decoded.problems == (["unknown_flag"] if flag == "?" else [])
    assert hear(packet(f"a21005-Rtd=12;Flag={flag}"), flags={"3": "good"})[1] == told  # one for all
    assert hear(packet(f"a21005-Rtd=12;a21005-Flag={flag}"), flags={"3": "good"})[1] == told  # in a group of its own


def test_no_link_to_the_instrument_is_no_value() -> None:
    _, told = hear(packet("a21005-Rtd=12,a21005-Flag=B"))
    assert math.isnan(told["co"][0])
    assert told["co"][1] == "BAD:no_comms"


def test_above_the_range_is_at_least_full_scale_whatever_is_sent() -> None:
    for sent in ("a21005-Rtd=0,", "a21005-Rtd=-9999,", "a21005-Rtd=,", ""):
        _, told = hear(packet(f"{sent}a21005-Flag=T"))
        assert told == {"co": (100.0, "UNCERTAIN:over_range")}
    assert judged("over_range", (250.0, GOOD), 100.0)[0] == 250.0
    assert judged("over_range", (250.0, GOOD), math.nan)[0] == 250.0


@pytest.mark.parametrize("answer", ["flag", "always"])
def test_a_bad_flag_costs_no_reading(answer: str) -> None:
    whole = Packet(qn="20240123101501421", st="39", cn="2011", pw="123456", mn=MN, flag=5, cp="a21005-Rtd=12.5")
    data = encode_frame(encode(whole).replace(b"Flag=5;", b"Flag=5?;"))
    said, told = hear(data, answer=answer)
    assert told == {"co": (12.5, "GOOD")}
    assert said.decoded.problems == ["bad_flag"]
    assert bool(said.after) is (answer == "always")  # as if there were none: nobody asked for an answer
    refused, told = hear(data[:-6] + b"0000\r\n", answer=answer)
    assert (told, refused.after, "bad_flag" in refused.decoded.problems) == ({}, b"", False)


def test_after_a_bad_flag_questions_go_by_the_edition_that_was_heard() -> None:
    conversation, _ = talk()
    conversation.hear(packet("DataTime=20240123101500;a21005-Rtd=1", flag=4), 0, WALL)
    before = conversation.ask("it", "minutes", 1, 0, WALL)
    bad = encode(Packet(qn="1", st="39", cn="2011", pw="123456", mn=MN, flag=4, cp="")).replace(b"Flag=4", b"Flag=x")
    conversation.hear(encode_frame(bad), 0, WALL)
    after = conversation.ask("it", "minutes", 1, 0, WALL)
    assert before is not None
    assert after is not None
    assert b";Flag=5;" in before.data
    assert b";Flag=5;" in after.data


def test_minutes_hours_and_real_time_are_kept_apart() -> None:
    cp = "DataTime=20240123101500;a21005-Avg=3;a00000-Cou=9"
    assert hear(packet(cp, "2051"))[1] == {"co_minute": (3.0, "GOOD")}
    assert hear(packet(cp, "2061"))[1] == {"volume": (9.0, "GOOD")}
    said, told = hear(packet(cp, "2031"))
    assert (told, said.decoded.heard != []) == ({}, True)
    assert answers(said.at_once)  # nothing to store: nothing to wait for


def test_what_is_no_number_is_bad_and_what_the_profile_does_not_name_is_counted() -> None:
    said, told = hear(packet("a21005-Rtd=x;a99999-Rtd=1"))
    assert math.isnan(told["co"][0])
    assert told["co"][1] == "BAD:not_a_number"
    assert said.decoded.problems == ["unknown_factor"]


@pytest.mark.parametrize(
    ("cp", "stray"),
    [("a21005-Rtd=1,5,a21005-Flag=N", True), ("a21005-Rtd=1;", False), ("a21005-Rtd=1;Info=//a,b;c//", False)],
)
def test_what_has_no_name_is_counted(cp: str, stray: bool) -> None:  # noqa: FBT001 - a case
    """A decimal comma costs the value its decimals, and nobody should have to wonder why."""
    said, told = hear(packet(cp))
    assert told["co"] == (1.0, "GOOD")
    assert ("stray_item" in said.decoded.problems) is stray


@pytest.mark.parametrize("sent", ["1_0", "nan", "inf", "-inf", "", "1e999", "x" * 99])
def test_a_text_that_python_would_take_for_a_number_is_none(sent: str) -> None:
    (value, told) = hear(packet(f"a21005-Rtd={sent}"))[1]["co"]
    assert math.isnan(value)
    assert told == "BAD:not_a_number"


def test_a_value_told_twice_is_two_readings() -> None:
    said, _ = hear(packet("a21005-Rtd=120;a21005-Rtd=0"))
    assert [row[2] for row in said.decoded.rows] == [100.0, 0.0]


def test_a_command_of_a_vendor_is_read_as_far_as_points_are_named_else_kept_raw() -> None:
    said, told = hear(packet("DataTime=20240123101500;Operation=1;s10003=23.2", "2000"))
    assert (told, said.decoded.events) == ({"vendor": (23.2, "GOOD")}, [])
    (event,) = hear(packet("x=1", "2999"))[0].decoded.events
    assert (event.code, event.key, event.registered) == (EventCode.INFO, "CN2999", True)
    assert "x=1" in event.text
    assert event.raw


# -- who speaks


def test_a_device_that_is_not_configured_is_counted_and_not_confirmed() -> None:
    said, told = hear(packet("a21005-Rtd=1", mn="77"))
    assert (told, said.decoded.problems, said.after, said.at_once) == ({}, ["unknown_device"], b"", b"")


def test_an_alarm_of_a_device_that_is_not_configured_is_not_registered() -> None:
    said, _ = hear(packet("AlarmTime=20240123101500;04-Ala=1.1,AlarmType=1", "2072", mn="77"))
    (event,) = said.decoded.events
    assert (event.point, event.key, event.code, event.registered) == (STRANGER, "77/04", EventCode.GAS, False)
    assert answers(said.after)


def test_a_wrong_password_is_refused() -> None:
    said, told = hear(packet("a21005-Rtd=1"), **OTHER_PW)
    assert (told, said.decoded.problems, said.after, said.device) == ({}, ["password:it"], b"", "")
    assert hear(packet("a21005-Rtd=1", pw="654321"), **OTHER_PW)[1]


@pytest.mark.parametrize("check", list(Check))
def test_another_check_is_taken_only_where_the_device_may_send_it(check: Check) -> None:
    segment = next(data[6:-6] for data in (packet(f"a21005-Rtd={n}") for n in range(999)) if data[-6:-5] == b"0")
    sent = encode_frame(segment, check)
    said, told = hear(sent)
    assert bool(told) == (check is Check.HJ212)
    assert said.decoded.problems == ([] if told else ["crc"])
    assert not said.after or told
    for crc in ("tolerant", *([] if check is Check.HJ212 else [check.value])):
        said, told = hear(sent, crc=crc)
        assert told
        assert said.decoded.problems == ([] if check is Check.HJ212 else [f"crc_{check.value}"])


def test_login_and_heartbeat_are_answered_at_once() -> None:
    assert answers(hear(packet("", "9021"))[0].at_once) == [("9014", "20240123101501421", "")]
    assert answers(hear(packet("", "9021"), login_answer="9022")[0].at_once)[0][0] == "9022"
    assert hear(packet("", "9021", flag=4))[0].at_once == b""
    assert answers(hear(packet("", "9021", flag=4), answer="always")[0].at_once)
    assert answers(hear(packet("", "9015", flag=9))[0].at_once)[0][0] == "9013"
    assert hear(packet("", "9021"))[0].decoded.heard


def test_answers_can_be_switched_off_or_always_on() -> None:
    assert hear(packet("a21005-Rtd=1"), answer="never")[0].after == b""
    assert hear(packet("a21005-Rtd=1", flag=4))[0].after == b""
    assert hear(packet("a21005-Rtd=1", flag=None), answer="always")[0].after


def test_an_unknown_edition_is_read_and_what_is_encrypted_is_refused() -> None:
    assert hear(packet("a21005-Rtd=1", flag=9))[1]
    said, told = hear(packet("c2VjcmV0", flag=9))
    assert (told, said.decoded.problems, said.after) == ({}, ["encrypted"], b"")


# -- events


def test_alarm_events_of_2005_never_end_an_alarm_unless_it_is_said_how() -> None:
    begins = packet("AlarmTime=20240123101500;04-Ala=1.1,AlarmType=1", "2072", flag=1)
    ends = packet("AlarmTime=20240123101500;04-Ala=0.1,AlarmType=0", "2072", flag=1)
    (event,) = hear(begins)[0].decoded.events
    assert (event.code, event.key, event.time) == (EventCode.GAS, "04", WALL - SECOND)
    assert event.text == "04 一氧化碳 1.1"
    assert hear(ends)[0].decoded.events[0].code is EventCode.GAS
    assert hear(ends, alarm_ends="0")[0].decoded.events[0].code is EventCode.RESTORE
    assert hear(begins, alarm_ends="0", alarm_code="fire")[0].decoded.events[0].code is EventCode.FIRE
    assert hear(packet("AlarmType=1", "2072"))[0].decoded.events[0].code is EventCode.GAS


def test_states_that_mean_alarm_are_told_when_they_change() -> None:
    conversation, _ = talk()
    told = []
    for second, (plant, instrument) in enumerate([(1, 0), (4, 0), (4, 6), (1, 0), (1, 0)]):
        cp = f"DataTime=2024012310150{second};SB7-RS={plant};i12001-Info={instrument};SB1-RS=4"
        (said,) = conversation.hear(packet(cp, "2021"), 0, WALL)
        told.append([(event.key, event.code) for event in said.decoded.events])
    assert told == [
        [],
        [("SB7", EventCode.SUPERVISORY)],
        [("i12001", EventCode.FAULT)],
        [("SB7", EventCode.RESTORE), ("i12001", EventCode.RESTORE)],
        [],
    ]


# -- repeats


def digests(*sent: bytes) -> list[bytes]:
    conversation, _ = talk()
    return [said.digest for data in sent for said in conversation.hear(data, 0, WALL)]


def test_a_repeat_has_the_same_digest_and_anything_else_has_not() -> None:
    one, two = packet("a21005-Rtd=1"), packet("a21005-Rtd=1", qn="20240123101531421")
    first, again, other = digests(one, one, two)
    assert first == again != other


def test_of_a_device_whose_stamp_stands_still_nothing_is_a_repeat() -> None:
    calm, alarm = packet("a21005-Rtd=1"), packet("a21005-Rtd=90")
    assert digests(alarm, calm, alarm)[1:] == [b"", b""]
    assert digests(packet("a21005-Rtd=1", qn="")) == [b""]


# -- the stream


@pytest.mark.parametrize("mn", [MN, "77"])
@pytest.mark.parametrize(
    ("off", "proof", "within"),
    [(0, Proof.TIME, 7 * 86_400.0), (61 * SECOND, Proof.NOTHING, 60.0), (None, Proof.NOTHING, 60.0)],
)
def test_an_alarm_told_twice_is_a_repeat_as_far_as_its_time_proves_it(
    mn: str, off: int | None, proof: Proof, within: float
) -> None:
    """The same bytes may be a second alarm where the clock of the device stands still."""
    data = packet("AlarmTime=20240123101500;04-Ala=1.1,AlarmType=1", "2072", mn=mn)
    conversation, _ = talk()
    (said,) = conversation.hear(data, 0, 0 if off is None else WALL + off)
    assert said.decoded.events
    assert (said.proof, said.within) == (proof, within)


def test_half_a_packet_is_given_up_and_what_is_behind_it_is_heard() -> None:
    conversation, _ = talk()
    assert conversation.due() == NEVER
    assert conversation.hear(b"##9000" + packet("a21005-Rtd=1"), 0, WALL) == []
    assert conversation.due() == QUIET
    said = conversation.tick(QUIET, WALL)
    assert [one.decoded.problems for one in said] == [["cut"], []]
    assert said[1].after
    assert conversation.due() == NEVER


def test_a_slow_sender_is_given_up_in_time() -> None:
    conversation, _ = talk()
    for second in range(15):
        conversation.hear(b"##9000" if not second else b"x", second * SECOND, WALL)
        assert conversation.tick(second * SECOND, WALL) == []
    assert conversation.due() == 15 * SECOND
    assert [one.decoded.problems for one in conversation.tick(15 * SECOND, WALL)] == [["cut"]]


def test_a_datagram_ends_where_it_ends() -> None:
    conversation, _ = talk(datagrams=True)
    assert [one.decoded.problems for one in conversation.hear(b"##9000x", 0, WALL)] == [["cut"]]
    (said,) = conversation.hear(packet("a21005-Rtd=1"), 0, WALL)
    assert said.after


def test_the_parts_of_a_split_message_are_read_and_answered_one_by_one() -> None:
    conversation, names = talk()
    first = packet("DataTime=20240123101500;a21005-Avg=3", "2051", flag=7, parts=3, part=1)
    second = packet("SB1-RS=1", "2051", flag=7, parts=3, part=2, qn="20240123101501422")
    said = [*conversation.hear(first, 0, WALL), *conversation.hear(second, 0, WALL)]
    assert [rows(one, names) for one in said] == [{"co_minute": (3.0, "GOOD")}, {"plant": (1.0, "GOOD")}]
    assert {row[1] for one in said for row in one.decoded.rows} == {WALL - SECOND}
    assert all(answers(one.after) for one in said)
    assert conversation.due() == 120 * SECOND
    assert [one.decoded.problems for one in conversation.tick(120 * SECOND, WALL)] == [["parts_missing"]]


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(packet("a21005-Rtd=1"))), max_size=5))
@settings(max_examples=60)
def test_foreign_bytes_never_raise_and_cost_nothing_good(pieces: list[bytes]) -> None:
    conversation, _ = talk()
    good = 0
    now = 0
    for piece in pieces:
        good += sum(said.stores for said in conversation.hear(piece, now, WALL))
        now += QUIET
        while conversation.due() <= now:
            good += sum(said.stores for said in conversation.tick(now, WALL))
            now += QUIET
    assert good >= pieces.count(packet("a21005-Rtd=1"))


# -- requests


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


# -- there and back


factors = st.lists(
    st.builds(
        Factor,
        st.just("a21005"),
        st.fixed_dictionaries({"Rtd": st.integers(-999, 99).map(str), "Flag": st.sampled_from("NFMSDCTB")}),
    ),
    min_size=1,
    max_size=40,
)


@given(factors, st.integers(40, 200), st.integers(1, 50), st.integers(0, 10**9))
@settings(max_examples=40)
def test_what_is_simulated_is_what_is_heard(some: list[Factor], longest: int, cut: int, second: int) -> None:
    logger = Logger(MN, longest_cp=longest)
    conversation, _ = talk()
    wire = logger.report(some, WALL + second * SECOND)
    said = [one for at in range(0, len(wire), cut) for one in conversation.hear(wire[at : at + cut], 0, WALL)]
    heard = [row for one in said for row in one.decoded.rows]
    assert len(heard) == len(some)
    assert {row[1] for row in heard} == {WALL + second * SECOND}
    reference, _ = talk()
    for factor, row in zip(some, heard, strict=True):
        (alone,) = reference.hear(
            packet(f"a21005-Rtd={factor.values['Rtd']},a21005-Flag={factor.values['Flag']}"), 0, 0
        )
        expected = alone.decoded.rows[0]
        assert row[3] == expected[3]
        assert row[2] == expected[2] or math.isnan(row[2])
    logger.hear(b"".join(one.after for one in said), WALL)
    assert logger.again() == b""


def test_a_faulty_logger_is_asked_to_say_it_again() -> None:
    logger = Logger(MN)
    conversation, _ = talk()
    logger.fault.bad_crc = True
    logger.fault.noise = b"\xff\x00#"
    (noise, bad) = conversation.hear(logger.report([Factor("a21005", {"Rtd": "7"})], WALL), 0, WALL)
    assert (noise.decoded.problems, bad.decoded.problems, bad.after) == (["noise"], ["crc"], b"")
    assert logger.again()


# -- configuration


def setup(*devices: Device, **options: object) -> DriverSetup:
    ids = {"@src.events": STRANGER} | {name: number for one in devices for name, number in ids_of(one).items()}
    keys = {"wire": "udp", "port": 9000, **options}
    return DriverSetup(
        source=SourceSpec(id="src", driver="hj212", options=keys),
        devices=devices,
        point_ids=ids,
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=Notes(),
        report=Notes(),
    )


def test_a_configuration_is_refused_with_every_problem() -> None:
    create(setup(device()))
    wrong = Device(
        id="b",
        source="src",
        profile=tailor(profile("hj212-generic"), {"v": {"unit": "1", "decode": {"register": 1}}}),
        options={"mn": MN},
    )
    with pytest.raises(ConfigError, match="point v: "):
        create(setup(wrong))
    with pytest.raises(ConfigError, match="mn 881 is taken by it"):
        create(setup(device(), Device(id="b", source="src", profile=profile("hj212-dust"), options={"mn": MN})))
    with pytest.raises(ConfigError, match="crc"):
        create(setup(device(crc="none")))
    with pytest.raises(ConfigError, match="no_such_key"):
        create(setup(device(), no_such_key=1))


def test_the_shipped_profiles_read_what_they_name() -> None:
    for name in ("hj212-dust", "hj212-gas"):
        one = Device(id="it", source="src", profile=profile(name), options={"mn": MN})
        made: Installed = install(one, ids_of(one), STRANGER)
        some = [Factor(field.code, {"Rtd": "5"}) for field in made.fields if field.decode.kind == "Rtd"]
        (said,) = Hj212({MN: made}, STRANGER).hear(Logger(MN).report(some, WALL), 0, WALL)
        assert len(said.decoded.rows) == len(some) >= 3
        assert said.decoded.problems == []
    assert time_of("20240123101501", 8 * 3600) == WALL
    assert data_of("").factors == []
