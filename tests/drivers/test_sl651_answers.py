"""The `sl651` driver: confirmations by mode, passwords, strangers, packets, half frames."""

from __future__ import annotations

from typing import Any

import pytest

from drivers._sl651_talk import ASK_TRIES, PACKET_WAIT, QUIET
from gateway.model.batch import EventCode
from gateway.model.time import SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.sl651 import ACK, EOT, ESC, ETB, NAK, Frame, Function
from gateway.protocols.sl651_frames import Frames
from tests.drivers.sl651_talk import ADDRESS, OTHER, STRANGER, WALL, Far, device, heard, uplink

OBSERVED = "F0F02609211500"  # in Chinese time
AT = 1_789_974_000 * SECOND  # the same in UTC
HERE = f"F1F1{ADDRESS}48{OBSERVED}"


def test_a_report_is_confirmed_with_its_serial_number_after_the_commit() -> None:
    far = Far()
    (said,) = far.hear(far.station.report(WALL, Function.EXTRA), WALL + 5 * SECOND)
    ((answer, body),) = heard(said.after)
    assert (answer.function, answer.station, answer.centre, answer.password) == (0x33, ADDRESS, 1, "1234")
    assert (answer.end, body.serial, body.sent, len(answer.body)) == (ESC, 1, WALL + 8 * 3600 * SECOND + 5 * SECOND, 8)
    assert (said.at_once, said.late, said.limit) == (b"", b"", 0.0)
    assert far.station.unanswered
    far.station.hear(said.after, WALL)
    assert not far.station.unanswered


def test_without_a_trusted_clock_the_answer_has_the_station_s_own_time() -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.TIMED, HERE + "38121312"), wall=0)
    ((_, body),) = heard(said.after)
    assert body.sent == WALL + 8 * 3600 * SECOND
    assert "clock_error" not in far.values(said)


@pytest.mark.parametrize(
    ("options", "function", "end", "answered"),
    [
        ({"mode": "M1"}, 0x32, 0x03, None),
        ({"mode": "M2"}, 0x32, 0x03, ESC),
        ({"mode": "M3"}, 0x31, 0x03, ESC),
        ({"mode": "M4"}, 0x32, 0x03, None),
        ({"answer_end": "EOT"}, 0x32, 0x03, EOT),
        ({}, 0x32, ETB, ACK),
        ({"etb_answer": "ESC"}, 0x32, ETB, ESC),
        ({"etb_answer": "none"}, 0x32, ETB, None),
        ({}, 0x37, 0x03, None),
        ({"confirm_answers": True}, 0x37, 0x03, ESC),
        ({"confirm_answers": True, "mode": "M4"}, 0x37, 0x03, ESC),
        ({"confirm_answers": True, "mode": "M4"}, 0x32, 0x03, None),
    ],
)
def test_what_is_answered_by_mode(options: dict[str, Any], function: int, end: int, answered: int | None) -> None:
    far = Far(**options)
    (said,) = far.hear(uplink(function, HERE + "38121312", end=end))
    assert [frame.end for frame, _ in heard(said.after)] == ([] if answered is None else [answered])
    assert far.values(said)["voltage"] == 13.12


def test_a_repeat_has_the_same_digest_and_is_answered_again() -> None:
    far = Far()
    first = far.station.report(WALL)
    (once,), (again,) = far.hear(first), far.hear(far.station.again())
    (other,) = far.hear(far.station.report(WALL))
    (longer,) = far.hear(uplink(Function.TIMED, HERE + "38121313"))
    assert once.digest == again.digest != b""
    assert len({once.digest, other.digest, longer.digest}) == 3
    assert heard(again.after)[0][1].serial == 1
    assert once.within == 1800.0


def test_without_a_send_time_only_the_next_minute_is_a_repeat() -> None:
    far = Far()
    body = bytes.fromhex("0007 261309211500" + HERE + "38121312")
    (said,) = far.hear(uplink(Function.TIMED, body=body))
    assert said.within == 60.0
    assert said.decoded.problems == ["bad_send_time"]
    assert heard(said.after)[0][1].serial == 7


def test_bad_frames_are_not_answered_and_cost_no_good_one() -> None:
    far = Far()
    far.station.fault.bad_crc = True
    bad = far.station.report(WALL)
    far.station.fault.bad_crc = False
    refused, good = far.hear(bad + far.station.report(WALL))
    assert refused.decoded.problems == ["crc"]
    assert (refused.after, refused.at_once, refused.decoded.rows) == (b"", b"", [])
    assert good.after


def test_a_short_body_is_kept_and_not_confirmed() -> None:
    far = Far()
    (said,) = far.hear(uplink(Function.TIMED, body=b"\x00\x01\x02"))
    assert said.decoded.problems == ["short_body"]
    assert said.decoded.events[0].text == "未解析 unread 000102"
    assert not said.after


def test_a_password_is_checked_where_that_is_wanted() -> None:
    assert Far(password="4321").hear(uplink(0x32, HERE + "38121312"))[0].after  # noqa: S106 - a station's
    far = Far(password="4321", check_password=True)  # noqa: S106 - likewise
    (said,) = far.hear(uplink(0x32, HERE + "38121312"))
    assert (far.rows(said), said.after, said.decoded.problems) == ([], b"", ["wrong_password:it"])
    assert [event.text for event in said.decoded.events] == ["密码错误 wrong password"]
    assert said.device != "it"  # whoever that is does not take the station's place
    assert far.hear(uplink(0x32, HERE + "38121312", password="4321"))[0].after  # noqa: S106 - likewise


@pytest.mark.parametrize(("state", "code"), [("00000080", EventCode.INFO), ("00000084", EventCode.FLOOD)])
def test_an_unknown_station_is_told_at_the_source(state: str, code: EventCode) -> None:
    far = Far()
    (said,) = far.hear(uplink(0x33, f"F1F1{OTHER}48{OBSERVED}392300006380 4520{state}", station=OTHER))
    (event,) = said.decoded.events
    assert (event.point, event.key, event.code, event.registered) == (STRANGER, OTHER, code, False)
    flood = "水位超限 level over limit" if code is EventCode.FLOOD else ""
    said_of_it = f"瞬时河道水位 Z = 6.38 m, 遥测站状态及报警信息 ZT = {state} {flood}".rstrip()
    assert event.text == f"{flood}{', ' if flood else ''}测站 station {OTHER}, 功能码 function 33: {said_of_it}"
    assert (said.device, said.after, said.decoded.problems) == (OTHER, b"", ["unknown_station"])
    assert event.raw == said.frame


def test_one_frame_may_speak_for_several_stations() -> None:
    far = Far(device(), device("two", OTHER))
    stranger = "9999999999"
    rest = HERE + f"38121312 F1F1{OTHER}48{OBSERVED}38121250 F1F1{stranger}48{OBSERVED}38121100"
    (said,) = far.hear(uplink(0x32, rest))
    values = far.values(said)
    assert (values["voltage"], values["two.voltage"]) == (13.12, 12.5)
    assert [(event.key, event.registered) for event in said.decoded.events] == [(stranger, False)]


def test_a_station_that_is_not_configured_may_speak_for_one_that_is() -> None:
    far = Far()
    rest = f"F1F1{OTHER}48{OBSERVED}38121250 F1F1{ADDRESS}48{OBSERVED}38121312 FF010804"
    (said,) = far.hear(uplink(0x32, rest, station=OTHER))
    assert far.values(said) == {"voltage": 13.12}
    assert [(event.point == STRANGER, event.text) for event in said.decoded.events] == [
        (True, f"测站 station {OTHER}, 功能码 function 32: 电源电压 VT = 12.5 V"),
        (False, "FF01 = 4"),
    ]
    assert (said.after, said.decoded.problems) == (b"", ["unknown_station", "unknown_element:FF01"])


def test_what_is_said_of_another_station_is_told_as_its_own() -> None:
    far = Far(device(), device("two", OTHER, ignore=("7B",)))
    rest = f"F1F1{OTHER}48{OBSERVED}7B0805 7A0803 452000000800 38121250 F1F1{ADDRESS}48{OBSERVED}38121312 7B0804"
    (said,) = far.hear(uplink(0x32, rest))
    assert {far.names[event.point]: event.text for event in said.decoded.events} == {
        "two.events": "7A = 3; 遥测站状态及报警信息 ZT = 00000800 水量超限 quota exceeded",
        "events": "7B = 4",
    }


def test_who_does_not_know_the_password_does_not_speak_for_a_station() -> None:
    far = Far(device(), device("two", OTHER, password="4321", check_password=True))  # noqa: S106 - a station's
    (said,) = far.hear(uplink(0x32, HERE + f"38121312 F1F1{OTHER}48{OBSERVED}38121250"))
    assert far.values(said) == {"clock_error": 0.0, "voltage": 13.12}
    assert (said.decoded.problems, bool(said.after)) == (["wrong_password:two"], True)


@pytest.mark.parametrize("numbers", [{}, {"total": 2, "sequence": 1}])
def test_a_sign_of_life_with_a_wrong_password_is_none(numbers: dict[str, Any]) -> None:
    far = Far(password="4321", check_password=True)  # noqa: S106 - a station's
    (said,) = far.hear(uplink(0x36 if numbers else Function.LINK, **numbers))
    assert (said.stores, said.decoded.heard, said.decoded.problems) == (False, [], ["wrong_password:it"])
    asked = far.talk.ask("it", "report_now", 1.0, 0, WALL)
    assert asked is not None
    assert heard(asked.data)[0][0].password == "4321"  # noqa: S105 - likewise


def test_a_picture_is_put_together_and_confirmed_once() -> None:
    far = Far()
    jpg = b"\xff\xd8" + bytes(range(256)) * 12 + b"\xff\xd9"
    sent = far.station.picture(WALL, jpg)
    *middle, last = far.hear(sent)
    assert len(middle) == 12
    assert not any(said.after or said.stores for said in middle)
    (event,) = last.decoded.events
    assert (event.text, event.raw) == (f"图片 picture, {len(jpg)} bytes", jpg)
    assert jpg in last.frame
    ((answer, body),) = heard(last.after)
    assert (answer.total, answer.sequence, answer.end, body.serial) == (13, 13, ESC, 1)
    again = far.hear(far.station.again())[-1]
    assert again.digest == last.digest


def test_packets_in_any_order_are_one_report() -> None:
    far = Far()
    packets = [each.raw for each in Frames().feed(far.station.picture(WALL, bytes(1000))) if isinstance(each, Frame)]
    found = [said for packet in reversed(packets) for said in far.hear(packet)]
    assert found[-1].decoded.events[0].raw == bytes(1000)


def test_a_lost_packet_is_asked_for_and_comes_again() -> None:
    far = Far()
    far.station.fault.lost = {2, 4}
    jpg = bytes(1200)
    assert not any(said.stores for said in far.hear(far.station.picture(WALL, jpg)))
    assert far.talk.due() == PACKET_WAIT
    (asked,) = far.talk.tick(PACKET_WAIT, WALL)
    assert [(frame.end, frame.total, frame.sequence) for frame, _ in heard(asked.at_once)] == [(NAK, 5, 2), (NAK, 5, 4)]
    *_, whole = far.hear(far.station.hear(asked.at_once, WALL))
    assert whole.decoded.events[0].raw == jpg
    assert whole.after


def test_what_came_of_a_report_is_told_when_its_time_is_up() -> None:
    far = Far()
    report = HERE + "38121312 39230000"
    packets = [uplink(0x32, body=body, total=3, sequence=number, end=ETB) for number, body in (
        (1, bytes.fromhex("0007 260921150000" + report)), (3, b"xyz"))]  # fmt: skip
    far.hear(b"".join(packets))
    for turn in range(1, ASK_TRIES + 1):
        (asked,) = far.talk.tick(turn * PACKET_WAIT, WALL)
        assert asked.at_once
        assert not asked.stores
    (partial,) = far.talk.tick((ASK_TRIES + 1) * PACKET_WAIT, WALL)
    assert far.values(partial)["voltage"] == 13.12
    assert partial.decoded.events[0].text == "缺少数据包 packets 2 of 3 missing; 未解析 unread 39230000"
    assert partial.decoded.events[0].raw.endswith(b"xyz")
    assert partial.after == b""  # not confirmed: the station may send it all again
    assert far.talk.due() == NEVER


@pytest.mark.parametrize("options", [{"ask_missing": False}, {"mode": "M1"}])
def test_packets_are_not_asked_for_where_that_is_not_wanted(options: dict[str, Any]) -> None:
    far = Far(**options)
    far.station.fault.lost = {2}
    far.hear(far.station.picture(WALL, bytes(600)))
    said = [each for turn in range(1, 4) for each in far.talk.tick(turn * PACKET_WAIT, WALL)]
    assert [each.at_once for each in said] == [b""]
    assert "packets 2 of 3 missing" in said[0].decoded.events[0].text


def test_a_packet_of_a_whole_report_once_more_asks_for_no_others() -> None:
    """Its confirmation was lost, or a packet that was asked for comes twice."""
    far = Far()
    jpg = bytes(range(256)) * 4
    packets = [each.raw for each in Frames().feed(far.station.picture(WALL, jpg)) if isinstance(each, Frame)]
    twice = [said for packet in packets for said in far.hear(packet + packet)]
    whole, again = twice[-2:]
    assert (whole.digest, bool(whole.after)) == (again.digest, True)
    assert whole.after == again.after
    assert not any(said.after or said.stores for said in twice[:-2])
    late = [said for packet in packets for said in far.hear(packet)]
    assert [said.digest for said in late] == [b""] * (len(packets) - 1) + [whole.digest]
    far.now = far.talk.due()
    assert far.now > ASK_TRIES * PACKET_WAIT
    assert far.talk.tick(far.now, WALL) == []
    assert far.talk.due() == NEVER
    (alone,) = far.hear(packets[-1])
    assert (alone.after, far.talk.due()) == (b"", far.now + PACKET_WAIT)


def test_another_report_begins_where_a_whole_one_is_remembered() -> None:
    far = Far()
    far.hear(far.station.picture(WALL, bytes(1000)))
    *middle, whole = far.hear(far.station.picture(WALL + SECOND, bytes(1000)))
    assert not any(said.after or said.stores for said in middle)
    assert heard(whole.after)[0][1].serial == 2
    assert len(far.talk._packets._waiting) == 1  # noqa: SLF001 - what it keeps is the question


def test_packets_wait_in_bounded_memory() -> None:
    far = Far()
    stored = 0
    for number in range(1, 280):
        part = uplink(0x36, body=bytes(4000), total=4095, sequence=number + 1, end=ETB)
        stored += sum(said.stores for said in far.hear(part))
    assert far.talk._packets._size <= 1 << 20  # noqa: SLF001 - what it keeps is the question
    assert stored == 1
    for number in range(300):
        far.hear(uplink(number % 256, body=b"x", total=2 + number // 256, sequence=2, station=f"{number:010d}"))
    assert len(far.talk._packets._waiting) <= 64  # noqa: SLF001 - likewise


def test_half_a_frame_is_given_up_and_what_stood_inside_it_heard() -> None:
    far = Far()
    report = far.station.report(WALL)
    lying = bytearray(report)
    lying[11:13] = b"\x0f\xff"
    assert far.hear(bytes(lying) + report) == []
    assert far.talk.due() == QUIET
    refused, good = far.talk.tick(QUIET, WALL)
    assert refused.decoded.problems == ["cut_short"]
    assert good.after
    assert far.talk.due() == NEVER


def test_a_datagram_is_whole_or_nothing() -> None:
    far = Far(datagrams=True)
    report = far.station.report(WALL)
    (said,) = far.hear(report[:-1])
    assert said.decoded.problems == ["cut_short"]
    assert far.hear(report)[0].after


def test_a_slow_peer_does_not_hold_half_a_frame_for_ever() -> None:
    far = Far()
    report = uplink(0x32, body=bytes(4000))
    for number in range(100):
        far.now = number * SECOND
        far.hear(report[number : number + 1])
        if far.talk.due() <= far.now:
            break
    assert far.now == 60 * SECOND
    assert far.talk.tick(far.now, WALL)


def test_a_report_that_begins_anew_ends_the_one_before() -> None:
    far = Far()

    def packet(serial: int, sequence: int) -> bytes:
        body = bytes.fromhex(f"{serial:04X}260921150000{HERE}38121312") if sequence == 1 else b""
        return uplink(0x32, body=body or bytes.fromhex("39230000638" + "0"), total=2, sequence=sequence, end=ETB)

    assert not any(said.stores for said in far.hear(packet(1, 1) + packet(1, 1)))
    before, waits = far.hear(packet(2, 1))[0], far.talk.due()
    assert far.values(before)["voltage"] == 13.12
    assert before.after == b""
    assert waits == PACKET_WAIT
    (whole,) = far.hear(packet(2, 2))
    assert far.values(whole)["level"] == 6.38
    assert heard(whole.after)[0][1].serial == 2


def test_not_too_many_packets_are_asked_for_at_once() -> None:
    far = Far()
    far.station.packet, far.station.fault.lost = 20, set(range(2, 50))
    far.hear(far.station.picture(WALL, bytes(980)))
    (asked,) = far.talk.tick(PACKET_WAIT, WALL)
    assert [frame.sequence for frame, _ in heard(asked.at_once)] == list(range(2, 18))


def test_a_test_of_an_unknown_station_is_no_flood() -> None:
    (said,) = Far().hear(uplink(0x30, f"F1F1{OTHER}48{OBSERVED} 452000000004", station=OTHER))
    assert said.decoded.events[0].code is EventCode.INFO
