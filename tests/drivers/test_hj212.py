"""HJ 212 codec: public packets say what they are said to carry, and are read and answered by the standard."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols import hj212_codes
from gateway.protocols.hj212 import Check, Frame, Frames, Garbage, crc, encode_frame
from gateway.protocols.hj212_packet import (
    Data,
    Factor,
    Fault,
    Packet,
    answer,
    data_of,
    encode,
    parse,
    stamp,
    time_of,
    written,
)
from gateway.protocols.hj212_parts import MOST, PATIENCE, Parts
from tests.drivers.hj212_packets import CASES, EXAMPLE, frames, packet_of

CHINA = 8 * 3600


@pytest.mark.golden("hj212")
@pytest.mark.parametrize("case", CASES, ids=[case["packet"][:40] for case in CASES])
def test_a_public_packet_says_what_it_is_said_to_carry(case: dict[str, Any]) -> None:
    raw = case["packet"].encode()
    found = Frames().feed(raw + b"\r\n")
    segment = raw[6:-4]
    if "refused" in case:
        assert not any(isinstance(one, Frame) and one.check is Check.HJ212 for one in found)
        if isinstance(found[0], Garbage):
            assert found[0].reason == case["refused"]
        assert (len(segment) == case["declared"]) == (case["refused"] == "crc")
        assert f"{crc(segment):04X}" == case["right_crc"]
    else:
        assert found == [Frame(segment, Check.HJ212, raw)]
        assert f"{crc(segment):04X}" == case["crc"].upper()
    packet = packet_of(segment)
    assert (packet.st, packet.cn, packet.flag) == (case["st"], case["cn"], case.get("flag"))
    assert [packet.parts, packet.part] == case.get("part", [0, 0])[::-1]
    data = data_of(packet.cp)
    for name, value in case.get("fields", {}).items():
        assert data.fields[name] == value
    distinct = {factor.code: factor.values for factor in data.factors}
    assert len(distinct) == case.get("count", 0)
    for expected in case.get("factors", []):
        assert distinct[expected["code"]] == expected["values"]


def test_how_many_public_packets_there_are() -> None:
    refused = sum("refused" in case for case in CASES)
    print(f"HJ 212: {len(CASES)} public packets, {len(CASES) - refused} read, {refused} refused")  # noqa: T201 - counted
    assert (len(CASES), refused) == (29, 8)


text = st.text("abcdefghijkABC0123456789._", min_size=1, max_size=8)
factors = st.lists(
    st.builds(
        Factor,
        st.from_regex(r"[a-zA-Z][0-9a-zA-Z]{2,6}", fullmatch=True),
        st.dictionaries(st.sampled_from(["Rtd", "Min", "Avg", "Max", "Cou", "Flag", "SampleTime"]), text, min_size=1),
    ),
    max_size=5,
    unique_by=lambda factor: factor.code,
)
packets = st.builds(
    Packet,
    qn=st.from_regex(r"[0-9]{17}|", fullmatch=True),
    st=st.sampled_from(["21", "31", "91", ""]),
    cn=st.from_regex(r"[0-9]{4}", fullmatch=True),
    pw=text,
    mn=text,
    flag=st.one_of(st.none(), st.integers(0, 7)),
    cp=st.builds(written, st.dictionaries(text, text, max_size=3), factors),
)


@given(packets, st.dictionaries(text, text, max_size=3), factors)
@settings(max_examples=50)
def test_a_packet_is_read_as_it_was_written(packet: Packet, fields: dict[str, str], some: list[Factor]) -> None:
    (frame,) = frames(encode_frame(encode(packet)))
    assert parse(frame.segment) == packet
    assert data_of(written(fields, some)) == Data(fields, some)


def test_a_tolerant_reading_of_items() -> None:
    data = data_of("DataTime=20240101000000; a01-Rtd=1;a01-Flag=T; LA-Rtd-Rtd=2 ,LA-Rtd-Flag=N;a01-Rtd=3;Flag=D;x;")
    assert data.fields == {"DataTime": "20240101000000", "Flag": "D"}
    assert data.factors == [
        Factor("a01", {"Rtd": "1", "Flag": "T"}),
        Factor("LA-Rtd", {"Rtd": "2", "Flag": "N"}),
        Factor("a01", {"Rtd": "3"}),
    ]


@pytest.mark.parametrize(
    ("segment", "fault"),
    [
        (b"", Fault.NO_CP),
        (b"CN=2011;CP=", Fault.NO_CP),
        (b"CN=2011;CP=&&", Fault.NO_CP),
        (b"CN=2011;CP=&&a=1&&tail", Fault.NO_CP),
        (b"CP=&&&&", Fault.NO_CN),
        (b"CN=20x1;CP=&&&&", Fault.NO_CN),
        (b"CN=2011;Flag=8;CP=&&c2VjcmV0IHNlY3JldA==&&", Fault.ENCRYPTED),
    ],
)
def test_a_segment_that_cannot_be_read_is_refused_by_its_reason(segment: bytes, fault: Fault) -> None:
    assert parse(segment) is fault


@pytest.mark.parametrize("flag", ["256", "x", "-1", "4.0", "4 5", "&"])
def test_a_bad_flag_costs_the_flag_alone(flag: str) -> None:
    without = packet_of(b"QN=1;CN=2011;MN=881;PNUM=2;PNO=1;CP=&&a-Rtd=1&&")
    read = packet_of(f"QN=1;CN=2011;MN=881;Flag={flag};PNUM=2;PNO=1;CP=&&a-Rtd=1&&".encode())
    assert read == msgspec.structs.replace(without, flaws=(Fault.BAD_FLAG,))
    assert (read.wants_answer, read.edition) == (False, 2005)


@pytest.mark.parametrize("parts", ["PNUM=2;PNO=3", "PNUM=2;PNO=0", "PNUM=99999;PNO=1", "PNUM=2", "PNUM=x;PNO=1"])
def test_bad_packet_numbers_cost_these_alone(parts: str) -> None:
    without = packet_of(b"QN=1;CN=2011;MN=881;Flag=7;CP=&&a-Rtd=1&&")
    read = packet_of(f"QN=1;CN=2011;MN=881;Flag=7;{parts};CP=&&a-Rtd=1&&".encode())
    assert read == msgspec.structs.replace(without, flaws=(Fault.BAD_PARTS,))
    assert packet_of(f"CN=2011;Flag=x;{parts};CP=&&&&".encode()).flaws == (Fault.BAD_FLAG, Fault.BAD_PARTS)


def test_chinese_text_is_read_in_either_coding() -> None:
    for coding in ("utf-8", "gb18030"):
        segment = "CN=3020;CP=&&i11001-Info=//仪器故障//&&".encode(coding)
        assert data_of(packet_of(segment).cp).factors == [Factor("i11001", {"Info": "//仪器故障//"})]
    assert isinstance(parse(b"CN=3020;CP=&&a-Info=\xff\xff&&"), Packet)


def test_a_field_of_any_length_still_has_an_answer() -> None:
    name = "测".encode("gb18030") * 3_900  # two bytes each as it came, three in an answer
    packet = packet_of(b"QN=" + name + b";CN=2011;PW=" + name[:800] + b";MN=1;Flag=5;CP=&&&&")
    again = packet_of(frames(encode_frame(encode(answer(packet, "9014"))))[0].segment)
    assert (again.qn, again.pw) == (packet.qn, packet.pw)


@pytest.mark.parametrize(
    ("flag", "edition", "wants"), [(None, 2005, False), (1, 2005, True), (5, 2017, True), (8, 2025, False)]
)
def test_flag_bits(flag: int | None, edition: int, *, wants: bool) -> None:
    packet = Packet(cn="2011", flag=flag)
    assert (packet.edition, packet.wants_answer) == (edition, wants)


def test_an_answer_is_the_one_of_the_standard() -> None:
    packet = packet_of(EXAMPLE[6:-4])
    assert encode(answer(packet, "9014")) == (
        b"QN=20160801085857223;ST=91;CN=9014;PW=100000;MN=010000A8900016F000169DC0;Flag=4;CP=&&&&"
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("19700101080001", 10**9),
        ("20240123101501421", 1705976101_421_000_000),
        ("202401231015014215", 1705976101_421_000_000),
        ("20240123101501", 1705976101_000_000_000),
        ("20240230101501", None),
        ("20241301000000", None),
        ("20240101240000", None),
        ("00000000000000", None),
        ("2024012310150", None),
        ("2024012310150x", None),
        ("", None),
        ("9" * 20, None),
    ],
)
def test_times(said: str, expected: int | None) -> None:
    assert time_of(said, CHINA) == expected


@given(st.integers(1, 4_000_000_000_000), st.sampled_from([0, CHINA, -5 * 3600]))
def test_a_time_is_read_as_it_was_written(milliseconds: int, offset: int) -> None:
    wall = milliseconds * 1_000_000
    assert time_of(stamp(wall, offset, thousandths=True), offset) == wall


def test_factor_codes_of_both_editions() -> None:
    assert hj212_codes.factor("a21005") == hj212_codes.factor("04")
    assert hj212_codes.factor("S01") == hj212_codes.FACTORS["a19001"]
    assert hj212_codes.factor("s10001") is None
    old = [factor.old for factor in hj212_codes.FACTORS.values() if factor.old]
    assert len(old) == len(set(old))


def part(number: int, of: int, mn: str = "1") -> Packet:
    return Packet(cn="2051", mn=mn, flag=7, parts=of, part=number)


def test_parts_of_a_message_share_its_time_and_what_does_not_come_is_told() -> None:
    parts = Parts()
    assert parts.add(part(1, 2), "20240101000000", 0) == ("20240101000000", 0)
    assert parts.add(part(2, 2), "", 1) == ("20240101000000", 0)
    assert (len(parts), parts.due(math.inf)) == (0, math.inf)  # type: ignore[arg-type]
    parts.add(part(2, 3), "20240101000100", 2)
    parts.add(part(2, 3), "20240101000100", 3)
    assert parts.due(-1) == 3 + PATIENCE
    assert parts.expire(3 + PATIENCE) == 1
    assert parts.add(part(2, 3), "", 4) == ("", 0)


def test_messages_that_wait_for_parts_are_bounded() -> None:
    parts = Parts()
    lost = sum(parts.add(part(1, 2, mn=str(number)), "", 0)[1] for number in range(1000))
    assert (len(parts), lost) == (MOST, 1000 - MOST)
