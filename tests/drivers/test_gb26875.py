"""GB/T 26875.3 as the centre: what devices say becomes events and readings, and each gets the answer that it is due."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.gb26875 import DUTY_ANSWER, FIRE, Transmitter
from gateway.model.quality import GOOD, describe
from gateway.model.time import SECOND
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Command
from gateway.protocols.gb26875_units import text_bytes, time_ns, time_tag
from tests.drivers.gb26875_centre import (
    CHINA,
    KEY,
    NOW,
    SMOKE,
    SOURCE_EVENTS,
    WALL,
    cases,
    centre,
    device,
    events,
    frame_in,
    installed,
    told,
)
from tests.drivers.gb26875_objects import units


def test_golden_cases_are_counted() -> None:
    found = Counter(case["kind"] for case in cases("frames.toml"))
    assert (sum(found.values()), found["capture"], len(cases("refused.toml"))) == (40, 24, 5)


@pytest.mark.golden("gb26875")
@pytest.mark.parametrize("case", cases("frames.toml"), ids=lambda case: case["number"])
def test_a_published_frame_is_told_counted_and_answered(case: dict[str, Any]) -> None:
    [said] = centre(installed()).hear(bytes.fromhex(case["bytes"]), NOW, 0)
    assert [list(pair) for pair in told([said])] == case["says"]
    assert said.decoded.problems == case.get("problems", [])
    answer = said.after or said.at_once
    assert (frame_in(answer).command if answer else 0) == case["answer"]
    assert said.frame == bytes.fromhex(case["bytes"])
    for event in said.decoded.events:
        assert event.raw == said.frame
        if "object" in case and "time" in case["object"]:
            assert bool(event.time) == bool(case["object"]["time"])


@pytest.mark.golden("gb26875 refused")
@pytest.mark.parametrize("case", cases("refused.toml"), ids=range(5))
def test_a_wrong_checksum_is_denied_and_says_nothing(case: dict[str, Any]) -> None:
    [said] = centre(installed()).hear(bytes.fromhex(case["bytes"]), NOW, WALL)
    assert (told([said]), said.decoded.rows, said.decoded.problems) == ([], [], ["bad_checksum"])
    raw = bytes.fromhex(case["bytes"])
    if raw[26] == Command.SEND:
        denial = frame_in(said.at_once)
        assert (denial.command, denial.serial) == (Command.DENY, int.from_bytes(raw[2:4], "little"))
    else:
        assert said.at_once == b""


def test_a_fire_is_confirmed_after_the_commit_and_denied_when_that_is_late() -> None:
    far = device()
    [said] = centre(installed(889)).hear(far.change(SMOKE, FIRE, WALL), NOW, WALL)
    assert (said.device, said.limit, said.at_once) == ("d", 10.0, b"")
    after, late = frame_in(said.after), frame_in(said.late)
    assert (after.command, late.command) == (Command.CONFIRM, Command.DENY)
    for answer in (after, late):
        assert (answer.serial, answer.source, answer.destination, answer.unit) == (0, 1, 889, b"")
        assert time_ns(answer.sent, CHINA) == WALL
    [event] = events([said])
    assert (event.key, event.time, event.registered) == (KEY, WALL, True)
    assert event.text == "三层走廊 感烟火灾探测器 smoke detector 火警 fire"
    far.hear(said.after, WALL)
    assert not far.unanswered


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 0xFFFF), st.booleans())
def test_a_fire_bit_is_a_fire_whatever_else_the_word_says(word: int, system: bool) -> None:  # noqa: FBT001 - drawn
    tag = time_tag(WALL, CHINA)
    said = centre(installed()).hear(
        device().report(1, [o.SystemStatus(1, 1, word, tag)], WALL)
        if system
        else device().report(2, [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], word, b"", tag)], WALL),
        NOW,
        WALL,
    )
    codes = {code for code, _ in told(said)}
    assert ("FIRE" in codes) == bool(word & 0b10)
    assert ("FAULT" in codes) == bool(word & (0b111_0000_0100 if system else 0b1_0000_0100))
    assert ("DISABLED" in codes) == bool(word & 0b1000)
    assert ("SUPERVISORY" in codes) == bool(word & 0b1_0000)
    states = 0b111_1111_1110 if system else 0b1_1111_1110
    reserved = word & (0xC000 if system else 0xFE00)
    assert ("RESTORE" in codes) == (not word & states and (bool(word & 1) or not reserved))
    assert ("RESET" in codes) == (system and bool(word & 1 << 13))


@pytest.mark.parametrize(
    ("flags", "own", "panel"),
    [
        (0x01, "RESET", "RESET"),
        (0x02, "INFO", "INFO"),
        (0x04, "MANUAL", "MANUAL"),
        (0x08, "RESTORE", "RESTORE"),
        (0x10, "INFO", "INFO"),
        (0x20, "RESTORE", "INFO"),
        (0x40, "TEST", "TEST"),
        (0x80, "INFO", "INFO"),
    ],
)
def test_operations_of_persons(flags: int, own: str, panel: str) -> None:
    tag = time_tag(WALL, CHINA)
    line = centre(installed())
    key = "device/duty" if flags == DUTY_ANSWER else "device"
    assert told(line.hear(device().operate(flags, WALL), NOW, WALL)) == [(own, key)]
    assert told(line.hear(device().report(4, [o.Operation(1, 3, flags, 9, tag)], WALL), NOW, WALL)) == [(panel, "1/3")]


def test_power_faults_of_a_panel_stand_beside_each_other_and_end_with_it() -> None:
    line, far = centre(installed()), device()

    def say(word: int, second: int) -> list[tuple[str, str]]:
        tag = time_tag(WALL + second * SECOND, CHINA)
        return told(line.hear(far.report(1, [o.SystemStatus(1, 1, word, tag)], WALL), NOW, WALL))

    assert say(0b1_0000_0001, 0) == [("FAULT", "1/1/mains")]
    assert say(0b11_0000_0001, 1) == [("FAULT", "1/1/mains"), ("FAULT", "1/1/backup")]
    ended = [("RESTORE", "1/1"), ("RESTORE", "1/1/mains"), ("RESTORE", "1/1/backup")]
    assert say(1, 2) == ended
    assert say(1, 3) == []  # no news


@settings(max_examples=200, deadline=None)
@given(units())
def test_whatever_a_device_sends_comes_out_whole(unit: Any) -> None:  # noqa: ANN401 - a Unit
    """Simulator → wire → centre: every object of every type is told, counted or read, and the frame is answered."""
    far = device()
    said = centre(installed()).hear(far.report(unit.type, unit.objects, WALL), NOW, WALL)
    [one] = said
    assert one.after
    assert one.digest
    up = unit.type < 61
    assert (len(one.decoded.events) + len(one.decoded.rows) + len(one.decoded.problems) > 0) or not unit.objects
    if not up:
        assert "wrong_direction" in one.decoded.problems
    statuses = [item for item in unit.objects if isinstance(item, o.ComponentStatus | o.SystemStatus)]
    fires = Counter(key for code, key in told(said) if code == "FIRE")
    for item in statuses:
        if item.status & FIRE:
            speaker = installed()
            place = f"{item.system}/{item.address}"
            if isinstance(item, o.ComponentStatus):
                place = speaker.component(item.system, item.address, item.place)
            assert fires[place]
    far.hear(one.after, WALL)
    assert not far.unanswered


@settings(max_examples=100, deadline=None)
@given(st.integers(-32768, 32767), st.integers(0, 2**31))
def test_an_analog_value_is_read_with_sign_step_and_range(raw: int, seconds: int) -> None:
    points = {"mains": {"kind": "measure", "unit": "m", "labels": {}, "decode": {"at": "", "bit": None, "analog": 2}}}
    wall = WALL + seconds * SECOND
    speaker = installed(points=points)
    said = centre(speaker).hear(
        device().report(3, [o.Analog(1, 1, 92, 7, 2, raw, time_tag(wall, CHINA))], wall), NOW, 0
    )
    [row] = [row for one in said for row in one.decoded.rows]
    high = raw / 100 > 320
    expected = min(max(raw / 100, 0), 320)
    assert row[0] == 2
    assert row[2] == pytest.approx(expected)
    assert describe(row[3]) == ("GOOD" if raw >= 0 and not high else "UNCERTAIN:over_range")


def test_values_of_one_place_or_component_type_feed_their_own_points() -> None:
    points = {
        "mains": {
            "kind": "measure",
            "unit": "kPa",
            "labels": {},
            "decode": {"at": "1/1/0/7", "bit": None, "analog": 5},
        },
        "backup": {
            "kind": "measure",
            "unit": "MPa",
            "labels": {},
            "decode": {"at": "", "bit": None, "analog": 128, "component": 91, "scale": 0.001, "offset": -1},
        },
    }
    line = centre(installed(points=points))
    tag = time_tag(WALL, CHINA)
    values = [
        o.Analog(1, 1, 91, 7, 5, 3000, tag),
        o.Analog(1, 1, 91, 8, 5, 4000, tag),
        o.Analog(1, 1, 91, 8, 128, 1500, tag),
        o.Analog(1, 1, 92, 8, 128, 1600, tag),
    ]
    [said] = line.hear(device().report(3, values, WALL), NOW, WALL)
    assert said.decoded.rows == [(2, WALL, 300.0, GOOD), (3, WALL, 0.5, GOOD)]
    assert said.decoded.problems == ["unmapped_analog", "unmapped_analog"]
    assert [event.key for event in events([said])] == ["1/1/0/8", "1/1/0/8"]
    [again] = line.hear(device().report(3, values[1:2], WALL), NOW, WALL)  # told once, counted always
    assert (told([again]), again.decoded.problems) == ([], ["unmapped_analog"])


def test_status_bits_feed_state_points() -> None:
    line, far = centre(installed()), device()
    [said] = line.hear(far.report(21, [o.DeviceStatus(0b1001, time_tag(WALL, CHINA))], WALL), NOW, WALL)
    assert said.decoded.rows == [(2, WALL, 1.0, GOOD), (3, WALL, 0.0, GOOD)]


@pytest.mark.parametrize(
    ("split", "key"), [("point_low", "1/1/2/10"), ("point_high", "1/1/10/2"), ("whole", "1/1/131082")]
)
def test_the_component_address_splits_as_the_device_says(split: str, key: str) -> None:
    speaker = installed(component_address=split, addresses=[key])
    assert speaker.place(key) == SMOKE
    [event] = events(centre(speaker).hear(device().change(SMOKE, FIRE, WALL), NOW, WALL))
    assert (event.key, event.registered) == (key, True)


def test_a_place_is_called_as_the_station_the_panel_or_its_configuration_says() -> None:
    tag = time_tag(WALL, CHINA)
    bare = [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], FIRE, b"", tag)]
    kind = "感烟火灾探测器 smoke detector 火警 fire"
    line, far = centre(installed()), device()
    assert events(line.hear(far.report(2, bare, WALL), NOW, WALL))[0].text == kind
    named = [o.ComponentConfig(*SMOKE[:2], 40, SMOKE[2], text_bytes("走廊"))]
    assert told(line.hear(far.report(7, named, WALL), NOW, WALL)) == [("INFO", KEY)]
    assert events(line.hear(far.report(2, bare, WALL), NOW, WALL))[0].text == f"走廊 {kind}"
    assert events(line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL))[0].text == f"三层走廊 {kind}"
    line = centre(installed(names={KEY: "北楼三层"}, addresses=[]))
    [event] = events(line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL))
    assert (event.text, event.registered) == (f"北楼三层 {kind}", True)


def test_a_fire_of_an_address_that_is_not_installed_is_not_registered() -> None:
    line, far = centre(installed(addresses=["1/1/2/11"])), device()
    assert [event.registered for event in events(line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL))] == [False]
    assert [event.registered for event in events(line.hear(far.operate(0x04, WALL), NOW, WALL))] == [True]


def test_an_unknown_device_is_told_at_the_source_and_confirmed() -> None:
    [said] = centre(installed(5)).hear(device().change(SMOKE, FIRE, WALL), NOW, WALL)
    [event] = events([said])
    assert (event.point, event.key, event.registered) == (SOURCE_EVENTS, f"889/{KEY}", False)
    assert frame_in(said.after).command == Command.CONFIRM
    assert said.device == "889"


def test_many_devices_of_one_peer_and_one_that_changes_its_address() -> None:
    line = centre(installed(889, "a"), installed("0x37A", "b"), installed("192.168.1.4:7533", "c"))
    for number, name in ((889, "a"), (0x37A, "b"), (int.from_bytes(bytes.fromhex("C0A801046D1D"), "little"), "c")):
        far = Transmitter(number)
        [said] = line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL)
        assert (said.device, told([said])) == (name, [("FIRE", KEY)])
    far.address = 12345
    assert told(line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL)) == [("FIRE", f"12345/{KEY}")]


def test_a_device_may_stand_in_the_destination() -> None:
    line = centre(installed(100, address_in="destination"), installed(100, "other"))
    [said] = line.hear(Transmitter(0, centre=100).change(SMOKE, FIRE, WALL), NOW, WALL)
    assert (said.device, frame_in(said.after).source, frame_in(said.after).destination) == ("d", 100, 0)
    [said] = line.hear(Transmitter(100, centre=1).change(SMOKE, FIRE, WALL), NOW, WALL)
    assert said.device == "other"
