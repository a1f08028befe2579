"""The `hj212` driver: who may speak, what is answered and when, alarms, repeats, bad input and configuration."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._conversation_said import Proof
from drivers._profiles import profile, tailor
from drivers.hj212 import QUIET, create
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.batch import EventCode
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.station import SourceSpec
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.hj212 import Check, encode_frame
from tests.channel_rigs import Notes
from tests.drivers.hj212_peer import (
    MN,
    OTHER_PW,
    STRANGER,
    WALL,
    answers,
    device,
    hear,
    ids_of,
    packet,
    rows,
    talk,
)


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
    assert (told, said.decoded.problems, said.after, said.device) == ({}, ["encrypted"], b"", "it")


@pytest.mark.parametrize(
    ("segment", "problem", "device"),
    [
        (b"QN=1;ST=22;PW=1;MN=881;Flag=5;CP=&&&&", "no_cn", "it"),
        (b"QN=1;ST=22;CN=2011;PW=1; MN=881;&&", "no_cp", "it"),
        (b"QN=1;ST=22;CN=2011;PW=1;MN=77;&&", "no_cp", ""),
        (b"QN=1;&&", "no_cp", ""),
    ],
)
def test_what_cannot_be_read_is_counted_for_the_device_that_sent_it(segment: bytes, problem: str, device: str) -> None:
    (said,) = talk()[0].hear(encode_frame(segment), 0, WALL)
    assert (said.decoded.problems, said.device, said.stores, said.decoded.heard) == ([problem], device, False, [])


def digests(*sent: bytes) -> list[bytes]:
    conversation, _ = talk()
    return [said.digest for data in sent for said in conversation.hear(data, 0, WALL)]


def test_a_repeat_has_the_same_digest_and_anything_else_has_not() -> None:
    one, two = packet("a21005-Rtd=1"), packet("a21005-Rtd=1", qn="20240123101531421")
    first, again, other = digests(one, one, two)
    assert first == again != other


@pytest.mark.parametrize("mn", [MN, "77"])
def test_alarms_without_qn_are_told_apart_by_their_time(mn: str) -> None:
    """Devices of 2005 often send none."""
    begins, ends = (packet(f"AlarmTime=2024012310150{second};04-Ala=1", "2072", qn="", mn=mn) for second in (0, 1))
    values = packet("DataTime=20240123101500;a21005-Rtd=1", qn="")
    first, again, other, reading = digests(begins, begins, ends, values)
    assert b"" != first == again != other != b""
    assert reading != b""


def test_of_a_device_whose_stamp_stands_still_nothing_is_a_repeat() -> None:
    calm, alarm = packet("a21005-Rtd=1"), packet("a21005-Rtd=90")
    assert digests(alarm, calm, alarm)[1:] == [b"", b""]
    assert digests(packet("a21005-Rtd=1", qn="")) == [b""]


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


def test_parts_of_a_whole_message_once_more_lack_no_others() -> None:
    conversation, _ = talk()
    parts = [
        packet(f"DataTime=20240123101500;a21005-Avg={part}", "2051", flag=7, parts=3, part=part) for part in (1, 2, 3)
    ]
    said = [one for part in parts for one in conversation.hear(part + part, 0, WALL)]
    assert len(said) == 6
    assert all(answers(one.after) for one in said)
    assert conversation.due() == NEVER


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
