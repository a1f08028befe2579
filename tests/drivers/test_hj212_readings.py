"""The `hj212` driver: what a packet says becomes readings, each with its time and its quality."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._hj212_device import Installed, install, judged
from drivers._profiles import profile, tailor
from drivers.hj212 import Hj212
from drivers.simulated.hj212 import Logger
from gateway.model.batch import EventCode
from gateway.model.point import Device
from gateway.model.quality import GOOD
from gateway.model.time import SECOND
from gateway.protocols.hj212 import encode_frame
from gateway.protocols.hj212_packet import Factor, Packet, data_of, encode, time_of
from tests.drivers.hj212_peer import (
    MN,
    POINTS,
    STRANGER,
    WALL,
    answers,
    device,
    hear,
    ids_of,
    packet,
    talk,
)


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


def test_bad_packet_numbers_cost_no_reading_and_parts_are_no_repeats_of_each_other() -> None:
    conversation, _ = talk()
    values, digests = [], []
    for value in (1, 2, 2):
        whole = Packet(
            qn="1", st="39", cn="2011", pw="123456", mn=MN, flag=7, parts=2, part=1, cp=f"a21005-Rtd={value}"
        )
        data = encode_frame(encode(whole).replace(b"PNUM=2;PNO=1;", b"PNUM=2;PNO=9;"))
        [said] = conversation.hear(data, 0, WALL)
        assert "bad_parts" in said.decoded.problems
        values += [row[2] for row in said.decoded.rows]
        digests.append(said.digest)
    assert values == [1.0, 2.0, 2.0]
    assert digests[0] != digests[1] == digests[2] != b""


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
    assert said.decoded.problems == ["unknown_factor:a99999"]
    assert hear(packet("DataTime=20240123101500;s10004=7"))[0].decoded.problems == ["unknown_factor:s10004"]
    assert hear(packet("DataTime=20240123101500;s10003=7;Flag=N"))[0].decoded.problems == []


def test_names_without_end_are_not_counted_without_end() -> None:
    conversation, _ = talk()
    counted = set()
    for name in [*(f"x{number}-Rtd" for number in range(100)), "a!-Rtd", "a" * 65, "a01001-Rtd", "04-Rtd"]:
        (said,) = conversation.hear(packet(f"{name}=1"), 0, WALL)
        counted |= set(said.decoded.problems)
    assert len(counted) == 66
    assert {"unknown_factor", "unknown_factor:x0", "unknown_factor:a01001"} <= counted


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


def test_a_factor_is_known_by_its_code_of_2005_unless_a_point_has_that_one() -> None:
    said, told = hear(packet("04-Rtd=12.5,04-Flag=N", flag=1))
    assert (told, said.decoded.problems) == ({"co": (12.5, "GOOD")}, [])
    one = device()
    own = {**POINTS, "own": {"unit": "1", "decode": {"code": "04"}}}
    one = msgspec.structs.replace(one, profile=tailor(profile("hj212-generic"), own))
    ids = ids_of(one)
    (said,) = Hj212({MN: install(one, ids, STRANGER)}, STRANGER).hear(packet("04-Rtd=1;a21005-Rtd=2"), 0, WALL)
    assert [(row[0], row[2]) for row in said.decoded.rows] == [(ids["it.own"], 1.0), (ids["it.co"], 2.0)]
