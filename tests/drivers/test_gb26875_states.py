"""GB/T 26875.3: what raises and ends the state of a place, and how places are written."""

from __future__ import annotations

from typing import Any

import pytest

from drivers._conversation_said import Said
from drivers.simulated.gb26875 import FAULT, FIRE, NORMAL
from gateway.config.chinese import chinese
from gateway.model.batch import EventCode
from gateway.model.quality import GOOD
from gateway.model.time import DAY, SECOND
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Command, encode_frame, reply_to
from gateway.protocols.gb26875_units import encode_unit, text_bytes, time_tag
from tests.drivers.gb26875_centre import (
    CHINA,
    KEY,
    NOW,
    SMOKE,
    WALL,
    centre,
    device,
    events,
    frame_in,
    frames_in,
    installed,
    told,
)

RESET = 1 << 13
TAG = time_tag(WALL, CHINA)


@pytest.mark.parametrize(("asked", "ended"), [(False, [("RESET", "1/1")]), (True, [])])
def test_a_panel_that_is_reset_twice_says_so_twice(asked: bool, ended: list[tuple[str, str]]) -> None:  # noqa: FBT001 - a case
    """The word is the same both times: between them a fire has come. What was asked tells of the reset before that."""
    far, line = device(), centre(installed())

    def hear(data: bytes, second: int) -> list[tuple[str, str]]:
        return told(line.hear(data, NOW + second * SECOND, WALL + second * SECOND))

    def panel(second: int, command: int = Command.SEND) -> list[tuple[str, str]]:
        unit = encode_unit(1, [o.SystemStatus(1, 1, RESET | NORMAL, time_tag(WALL + second * SECOND, CHINA))])
        return hear(far.send(unit, WALL, command), second)

    hear(far.change(SMOKE, FIRE, WALL), 0)
    assert ("RESET", "1/1") in panel(10)
    assert panel(20) == []  # nothing has come since
    hear(far.report(3, [o.Analog(1, 1, 91, 7, 5, 2, time_tag(WALL, CHINA))], WALL), 25)
    assert panel(26) == []
    hear(far.change(SMOKE, FIRE, WALL + 30 * SECOND), 30)
    assert panel(40, Command.ANSWER if asked else Command.SEND) == ended
    assert told(line.hear(far.change(SMOKE, FIRE, WALL + 50 * SECOND), NOW, WALL)) == [("FIRE", KEY)]


def test_a_reset_bit_that_stands_still_beside_an_alarm_is_no_reset() -> None:
    """The standard prints the bit as 1 for "reset" and for "normal"."""
    far, line = device(), centre(installed())
    line.hear(far.report(1, [o.SystemStatus(1, 1, RESET | NORMAL, TAG)], WALL), NOW, WALL)
    line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL)
    said = line.hear(far.report(1, [o.SystemStatus(1, 1, RESET | NORMAL | FIRE, TAG)], WALL), NOW, WALL)
    assert told(said) == [("FIRE", "1/1")]


@pytest.mark.parametrize(("code", "key"), [(4, "1/1"), (24, "device")])
@pytest.mark.parametrize(("flags", "says"), [(8, (EventCode.RESTORE, EventCode.FIRE)), (4, (EventCode.MANUAL,) * 2)])
def test_an_alarm_that_is_cleared_ends_no_fault_and_a_press_the_press_before(
    code: int, key: str, flags: int, says: tuple[EventCode, EventCode]
) -> None:
    one = o.Operation(1, 1, flags, 3, TAG) if code == 4 else o.DeviceOperation(flags, 3, TAG)
    [event] = events(centre(installed()).hear(device().report(code, [one], WALL), NOW, WALL))
    assert (event.key, event.code, event.ends) == (key, *says)


@pytest.mark.parametrize(("code", "key"), [(4, "1/1"), (24, "device")])
def test_records_that_were_asked_for_raise_and_end_nothing(code: int, key: str) -> None:
    """Nobody turns out for the manual alarm of last month, nor does the reset after it end the fire of today."""
    line, far = centre(installed(889, ask_state=True)), device()
    line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL)
    old = time_tag(WALL - 30 * DAY, CHINA)
    flags = (0x04, 0x01, 0x08, 0x40, 0x20)
    objects = [o.Operation(1, 1, flag, 3, old) if code == 4 else o.DeviceOperation(flag, 3, old) for flag in flags]
    said = line.hear(far.send(encode_unit(code, objects), WALL, Command.ANSWER), NOW + SECOND, WALL)
    assert told(said) == [("INFO", key)] * 5
    assert all(event.text.startswith("操作记录 record: ") for event in events(said))
    assert events(said)[0].time == WALL - 30 * DAY
    assert frames_in(said) == []  # nothing was reset just now


def test_a_duty_answer_ends_what_a_former_life_of_ours_missed() -> None:
    assert told(centre(installed()).hear(device().operate(0x20, WALL), NOW, WALL)) == [("RESTORE", "device/duty")]


@pytest.mark.parametrize(
    ("unit", "says"),
    [
        ("01 01 0102 0200", [("INFO", "type/1"), ("FIRE", "1/2")]),  # a maker that leaves the time out
        ("01 01 0102 0400", [("INFO", "type/1")]),
        ("01 01 010202", [("INFO", "type/1")]),
    ],
)
def test_a_fire_of_a_system_cut_short_is_one(unit: str, says: list[tuple[str, str]]) -> None:
    said = centre(installed()).hear(device().send(bytes.fromhex(unit), WALL), NOW, WALL)
    assert told(said) == says
    assert [event.registered for event in events(said)] == [True, False][: len(says)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_count_that_lies_is_counted_and_costs_no_object(count: int) -> None:
    """Of two objects."""
    unit = encode_unit(2, [o.ComponentStatus(1, 1, 40, place, FIRE, b"", TAG) for place in (7, 8)])
    [said] = centre(installed()).hear(device().send(bytes((2, count)) + unit[2:], WALL), NOW, WALL)
    assert told([said]) == [("FIRE", "1/1/0/7"), ("FIRE", "1/1/0/8")]
    assert said.decoded.problems == ["bad_length"]


@pytest.mark.parametrize("command", [Command.CONFIRM, Command.DENY])
def test_what_comes_with_a_confirmation_is_read(command: Command) -> None:
    unit = encode_unit(2, [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], FIRE, b"", TAG)])
    [said] = centre(installed()).hear(device().send(unit, WALL, command), NOW, WALL)
    assert (told([said]), said.after, said.at_once) == ([("FIRE", KEY)], b"", b"")


@pytest.mark.parametrize(("flip", "denied"), [((-1,), True), ((-2, -1), True), ((-1, -3), False), ((-1, 30), False)])
def test_a_wrong_end_is_denied_where_all_else_is_right(flip: tuple[int, ...], denied: bool) -> None:  # noqa: FBT001 - a case
    data = bytearray(device().change(SMOKE, FIRE, WALL))
    for place in flip:
        data[place] ^= 0x16  # "##" becomes "55" in one published program
    [said] = centre(installed()).hear(bytes(data), NOW, WALL)
    assert (told([said]), said.decoded.problems) == ([], ["bad_end"])
    assert [frame.command for frame in frames_in([said])] == [Command.DENY] * denied


def test_values_of_equal_places_in_two_systems_are_each_told_once() -> None:
    values = [o.Analog(system, address, 91, 7, 5, 2, TAG) for system, address in ((1, 1), (2, 1), (1, 2), (1, 1))]
    said = centre(installed()).hear(device().report(3, values, WALL), NOW, WALL)
    assert told(said) == [("INFO", "1/1/0/7"), ("INFO", "2/1/0/7"), ("INFO", "1/2/0/7")]


def test_a_description_filled_with_0xff_is_read() -> None:
    raw = text_bytes("三层走廊").ljust(31, b"\xff")
    said = centre(installed()).hear(
        device().report(2, [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], FIRE, raw, TAG)], WALL), NOW, WALL
    )
    assert [event.text for event in events(said)] == ["三层走廊 感烟火灾探测器 smoke detector 火警 fire"]


def test_systems_and_ends_are_called_as_the_station_does() -> None:
    line, far = centre(installed(names={"1/1": "A座", KEY: "走廊"}, recovery_types=True)), device()

    def text(said: list[Said]) -> str:
        return events(said)[0].text

    system = "A座 火灾报警系统 fire alarm system"
    assert text(line.hear(far.report(1, [o.SystemStatus(1, 1, FIRE, TAG)], WALL), NOW, WALL)) == f"{system} 火警 fire"
    operated = line.hear(far.report(4, [o.Operation(1, 1, 2, 7, TAG)], WALL), NOW, WALL)
    assert text(operated) == f"{system} 消音 silence, 操作员 operator 7"
    body = encode_unit(2, [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], FAULT, b"", TAG)])[1:]
    assert text(line.hear(far.send(b"\x87" + body, WALL), NOW, WALL)).startswith("走廊 感烟火灾探测器")


def test_places_may_be_written_as_panels_show_them() -> None:
    points = {
        "tank": {"kind": "measure", "unit": "m", "decode": {"analog": 2, "at": "1/01/002/010"}},
        "pump": {"kind": "state", "labels": {"off": 0, "on": 1}, "decode": {"bit": 5, "at": "01/1/2/010"}},
    }
    speaker = installed(addresses=["1/1/002/010"], names={"1/1/02/11": "西梯"}, points=points)
    line, far = centre(speaker), device()
    said = line.hear(far.change(SMOKE, FIRE | 1 << 5, WALL), NOW, WALL)
    assert [event.registered for event in events(said)] == [True, True]
    assert [row[2:] for one in said for row in one.decoded.rows] == [(1.0, GOOD)]
    assert events(line.hear(far.change((1, 1, 2 << 16 | 11), FIRE, WALL), NOW, WALL))[0].text.startswith("西梯 ")
    [value] = line.hear(far.report(3, [o.Analog(*SMOKE[:2], 92, SMOKE[2], 2, 250, TAG)], WALL), NOW, WALL)
    assert value.decoded.rows[0][2:] == (2.5, GOOD)


@pytest.mark.parametrize(
    ("decode", "split", "words"),
    [
        ({"analog": 2, "at": "1/1"}, "point_low", '"1/1" is no place; write "1/1/2/10" (system/address/loop/point)'),
        ({"analog": 2, "at": "device"}, "whole", '"device" is no place; write "1/1/131082" (system/address/component)'),
        ({"bit": 5, "at": "1/1/2/x"}, "point_low", '"1/1/2/x" is no place; write "device", "1/1" or "1/1/2/10"'),
        ({"bit": 5}, "point_low", '"" is no place; write "device"'),
        ({"command": "request", "type": 62}, "whole", '"" is no place; write "1/1" or "1/1/131082"'),
    ],
)
def test_points_of_places_that_cannot_be_are_refused_all_at_once(
    decode: dict[str, Any], split: str, words: str
) -> None:
    point = {"kind": "state", "labels": {"off": 0, "on": 1}, "decode": decode}
    with pytest.raises(ValueError, match="point x: ") as refused:
        installed(points={"x": point, "y": point}, component_address=split)
    first, second = str(refused.value).splitlines()
    assert words in first
    assert second == first.replace("point x", "point y")
    assert chinese(first).startswith("测点 x：“")


def test_a_clock_that_is_no_longer_trusted_sets_none() -> None:
    line, far = centre(installed(889, set_time=True)), device(silent=True)
    [_, order] = line.hear(far.beat(WALL), NOW, WALL)
    assert frame_in(order.at_once).unit[0] == 90
    assert frames_in(line.tick(NOW + 10 * SECOND, 0)) == []
    late = reply_to(frame_in(order.at_once), Command.CONFIRM, TAG)
    assert frames_in(line.hear(encode_frame(late), NOW + 11 * SECOND, 0)) == []


@pytest.mark.parametrize("still", [0, 1_700_000_000])
def test_a_reset_that_an_answer_tells_of_ends_nothing_and_is_not_asked_for_again(still: int) -> None:
    """The bit may have stood since the reset of last week; an answer that makes us ask again would never end."""
    far, line = device(still=still), centre(installed(889, ask_state=True))
    far.systems[1, 1] = RESET | NORMAL
    data, found = far.change(SMOKE, FIRE, WALL), []
    for _ in range(4):  # the fire, and what is asked after it: 81 and 61
        said = line.hear(data, NOW, WALL)
        found += told(said)
        data = b"".join(far.hear(one.at_once, WALL) for one in said if one.at_once)
    assert data == b""
    assert ("FIRE", KEY) in found
    assert [code for code, _ in found if code == "RESET"] == []
    far.systems[1, 1] = NORMAL
    line.hear(far.report(1, [o.SystemStatus(1, 1, NORMAL, far.tag(WALL))], WALL), NOW, WALL)
    late = encode_unit(1, [o.SystemStatus(1, 1, RESET | NORMAL, far.tag(WALL))])
    assert told(line.hear(far.send(late, WALL, Command.ANSWER), NOW, WALL)) == [("RESET", "1/1")]  # the bit has come


@pytest.mark.parametrize("asked", [False, True])
def test_what_is_normal_is_told_once_whatever_the_clock_of_the_device_says(asked: bool) -> None:  # noqa: FBT001 - a case
    """A device without heartbeat is asked every minute, others beat: each would be five rows of the record."""
    far, line = device(still=1_700_000_000), centre(installed())
    command = Command.ANSWER if asked else Command.SEND
    unit = encode_unit(21, [o.DeviceStatus(NORMAL, far.tag(WALL))])
    found = [told(line.hear(far.send(unit, WALL, command), NOW + at * SECOND, WALL)) for at in (0, 61, 122, 183)]
    assert [len(one) for one in found] == [5, 0, 0, 0]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("code", "status"), [(4, 1), (24, 21)])
def test_a_status_that_is_normal_as_ever_does_not_end_a_press_of_the_key(code: int, status: int, reset: bool) -> None:  # noqa: FBT001 - a case
    """A device that calls to tell of the press is asked how it is, and no bit of its answer knows of a press."""
    line, far = centre(installed()), device()

    def operate(flags: int) -> bytes:
        one = o.Operation(1, 1, flags, 3, TAG) if code == 4 else o.DeviceOperation(flags, 3, TAG)
        return far.report(code, [one], WALL)

    def word(word: int, second: int) -> list[str]:
        tag = time_tag(WALL + second * SECOND, CHINA)
        one = o.SystemStatus(1, 1, word, tag) if status == 1 else o.DeviceStatus(word, tag)
        said = line.hear(far.send(encode_unit(status, [one]), WALL, Command.ANSWER), NOW, WALL)
        return [name for name, _ in told(said)]

    if reset:
        line.hear(operate(1), NOW, WALL)
    line.hear(operate(4), NOW, WALL)
    assert [word(NORMAL, 1), word(FIRE, 2), word(NORMAL, 3)] == [[], ["FIRE"], ["RESTORE"]]
