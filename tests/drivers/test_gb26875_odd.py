"""GB/T 26875.3: what makers add, what nobody knows, and bytes that are no frame: nothing is lost, nothing raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._conversation_said import Said
from drivers._gb26875_device import STRANGERS
from drivers.simulated.gb26875 import FAULT, FIRE, NORMAL, Transmitter
from gateway.model.batch import EventCode
from gateway.model.quality import GOOD
from gateway.model.time import SECOND
from gateway.protocols import gb26875_objects as o
from gateway.protocols.gb26875 import Command, Frame, encode_frame
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
    problems,
    told,
)
from tests.drivers.gb26875_objects import frames_of


@pytest.mark.parametrize(
    ("unit", "command", "answer"),
    [("", 2, ""), ("80 00", 128, ""), ("16", 2, "17"), ("", 200, "")],
)
def test_vendor_heartbeats_are_answered_at_once_and_are_signs_of_life(unit: str, command: int, answer: str) -> None:
    [said] = centre(installed()).hear(device().beat(WALL, command, bytes.fromhex(unit)), NOW, WALL)
    reply = frame_in(said.at_once)
    assert (reply.command, reply.unit, said.after) == (Command.CONFIRM, bytes.fromhex(answer), b"")
    assert (said.stores, said.decoded.heard, said.decoded.problems) == (False, [1], [])


@pytest.mark.parametrize("command", [0, 1, 4, 7, 127])
def test_other_commands_are_denied(command: int) -> None:
    [said] = centre(installed()).hear(device().send(b"\x02\x00", WALL, command), NOW, WALL)
    assert frame_in(said.at_once).command == Command.DENY
    assert said.decoded.problems == ["wrong_direction" if command in (1, 4) else "unknown_command"]


@pytest.mark.parametrize(
    ("unit", "reason"), [("96 01 0102", "unknown_type"), ("01 01 02", "bad_length"), ("63", "unknown_type")]
)
def test_what_nobody_knows_is_kept_raw_shown_and_confirmed(unit: str, reason: str) -> None:
    raw = bytes.fromhex(unit)
    [said] = centre(installed()).hear(device().send(raw, WALL), NOW, WALL)
    assert told([said]) == [("INFO", f"type/{raw[0]}")]
    assert raw in events([said])[0].raw
    assert said.decoded.problems == [reason]
    assert frame_in(said.after).command == Command.CONFIRM


def test_a_bad_object_costs_none_of_those_beside_it_and_a_fire_cut_short_is_one() -> None:
    whole = encode_unit(2, [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], FIRE, b"", time_tag(WALL, CHINA))])
    line = centre(installed())
    said = line.hear(device().send(b"\x02\x02" + whole[2:] + whole[2:22], WALL), NOW, WALL)
    assert told(said) == [("FIRE", KEY), ("INFO", "type/2"), ("FIRE", KEY)]
    assert [event.registered for event in events(said)] == [True, True, False]
    said = line.hear(device().send(b"\x02\x01" + whole[2:] + whole[2:22], WALL), NOW, WALL)  # one, as it says
    assert told(said) == [("FIRE", KEY), ("INFO", "type/2")]
    said = line.hear(device().send(whole[:22], WALL), NOW, WALL)
    assert told(said) == [("INFO", "type/2"), ("FIRE", KEY)]
    assert [event.registered for event in events(said)] == [True, False]


def test_reserved_bits_alone_end_no_fire() -> None:
    far, line = device(), centre(installed())
    assert told(line.hear(far.change(SMOKE, FIRE, WALL), NOW, WALL)) == [("FIRE", KEY)]
    said = line.hear(far.change(SMOKE, 0x0200, WALL + SECOND), NOW, WALL)
    assert (told(said), problems(said)) == ([("INFO", KEY)], ["reserved_bits"])
    assert told(line.hear(far.change(SMOKE, NORMAL, WALL + 2 * SECOND), NOW, WALL)) == [("RESTORE", KEY)]
    assert told(line.hear(far.change(SMOKE, FIRE, WALL + 3 * SECOND), NOW, WALL)) == [("FIRE", KEY)]
    said = line.hear(far.change(SMOKE, 0x0200 | NORMAL, WALL + 4 * SECOND), NOW, WALL)  # its "normal" counts
    assert told(said) == [("RESTORE", KEY), ("INFO", KEY)]


def test_one_makers_ends_of_states_are_used_where_the_device_says_so() -> None:
    tag = time_tag(WALL, CHINA)
    body = encode_unit(2, [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], FIRE, b"", tag)])[1:]
    assert told(centre(installed()).hear(device().send(b"\x87" + body, WALL), NOW, WALL)) == [("INFO", "type/135")]
    line = centre(installed(recovery_types=True))
    assert told(line.hear(device().send(b"\x87" + body, WALL), NOW, WALL)) == [("RESTORE", KEY)]
    assert told(line.hear(device().send(b"\x87\x01\x02", WALL), NOW, WALL)) == [("INFO", "type/135")]


def test_one_makers_end_of_a_fault_ends_no_fire() -> None:
    far, line, tag = device(), centre(installed(recovery_types=True)), time_tag(WALL, CHINA)

    def ended(word: int) -> list[tuple[str, str, EventCode | None]]:
        body = encode_unit(2, [o.ComponentStatus(*SMOKE[:2], 40, SMOKE[2], word, b"", tag)])[1:]
        said = line.hear(far.send(b"\x87" + body, WALL), NOW, WALL)
        return [(event.code.name, event.key, event.ends) for event in events(said)]

    line.hear(far.change(SMOKE, FIRE | FAULT, WALL), NOW, WALL)
    assert ended(FAULT) == [("RESTORE", KEY, EventCode.FAULT)]
    assert ended(0x0020) == [("INFO", KEY, None)]
    assert told(line.hear(far.change(SMOKE, NORMAL, WALL + SECOND), NOW, WALL)) == [("RESTORE", KEY)]
    assert ended(0) == [("RESTORE", KEY, None)]


def test_a_backlog_does_not_make_the_end_of_now_old_news() -> None:
    far, line = device(), centre(installed())

    def at(seconds: int, word: int, ago: int = 0) -> list[tuple[str, str]]:
        wall = WALL + seconds * SECOND
        return told(line.hear(far.change(SMOKE, word, wall - ago * SECOND), NOW + seconds * SECOND, wall))

    assert at(0, FIRE) == [("FIRE", KEY)]
    assert at(70, FIRE, 70) == [("FIRE", KEY)]  # sent again
    assert at(80, FAULT, 3600) == [("FAULT", KEY)]
    assert at(90, NORMAL, 1800) == [("RESTORE", KEY)]  # ends nothing newer: rules.panel
    assert at(600, NORMAL) == [("RESTORE", KEY)]
    assert at(700, NORMAL) == []
    assert at(710, FIRE, 1800) == [("FIRE", KEY)]
    assert at(720, NORMAL) == [("RESTORE", KEY)]


@pytest.mark.parametrize(("fire", "end"), [(0, 31 * 86_400), (3600, 3600), (1800, 3600), (-7200, 3600), (0, -7200)])
def test_the_end_is_told_once_whatever_the_clock_of_the_device_says(fire: int, end: int) -> None:
    far, line = device(), centre(installed())
    said = [
        told(line.hear(far.change(SMOKE, word, WALL + (second - ago) * SECOND), NOW + second * SECOND, WALL))
        for second, word, ago in ((0, FIRE, fire), (10, NORMAL, end), (20, NORMAL, end), (30, NORMAL, end))
    ]
    assert said == [[("FIRE", KEY)], [("RESTORE", KEY)], [], []]


def test_a_fault_bit_that_falls_ends_no_fire() -> None:
    far, line = device(), centre(installed())
    line.hear(far.change(SMOKE, FIRE | FAULT, WALL), NOW, WALL)
    assert told(line.hear(far.change(SMOKE, FIRE, WALL + SECOND), NOW, WALL)) == [("FIRE", KEY)]
    assert told(line.hear(far.change(SMOKE, FAULT, WALL + 2 * SECOND), NOW, WALL)) == [("FAULT", KEY)]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["首次火警", "一层"], "FIRE"),
        (["主电故障"], "FAULT"),
        (["火警恢复"], "INFO"),
        (["复位"], "RESET"),
        (["x"], "INFO"),
    ],
)
def test_what_a_panel_prints_is_read_for_its_words(lines: list[str], code: str) -> None:
    parts = [text_bytes(line) for line in lines]
    body = b"\0\0\0\0" + bytes((len(parts),)) + b"".join(bytes((len(part),)) + part for part in parts)
    for unit in (b"\x09\x01" + body + time_tag(WALL, CHINA), b"\x0a\x01" + b"".join(parts)):
        [event] = events(centre(installed()).hear(device().send(unit, WALL), NOW, WALL))
        assert (event.code.name, event.registered) == (code, False)
        assert all(line in event.text for line in lines)


def test_an_impossible_time_costs_the_time_only() -> None:
    [said] = centre(installed()).hear(device(no_clock=True).change(SMOKE, FIRE, WALL), NOW, WALL)
    assert [(event.code.name, event.time) for event in events([said])] == [("FIRE", 0)]
    assert said.decoded.problems == ["bad_time"]


def test_without_trusted_time_a_device_gets_its_own_back() -> None:
    far = device()
    [said] = centre(installed()).hear(far.change(SMOKE, FIRE, WALL), NOW, 0)
    assert frame_in(said.after).sent == far.tag(WALL)


def test_a_clock_that_is_wrong_is_told() -> None:
    line = centre(installed())
    said = line.hear(device().report(28, [o.DeviceTime(time_tag(WALL - 120 * SECOND, CHINA))], WALL), NOW, WALL)
    assert problems(said) == ["wrong_clock"]
    assert events(said)[0].text == "时钟偏差 clock is wrong by -120 s"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=120), frames_of().map(encode_frame)), max_size=5), st.booleans())
def test_any_bytes_are_taken_in_and_time_runs_out(pieces: list[bytes], datagrams: bool) -> None:  # noqa: FBT001 - drawn
    line = centre(installed(5, ask_state=True, check=60), datagrams=datagrams)
    said: list[Said] = []
    for place, piece in enumerate(pieces):
        said += line.hear(piece, NOW + place, WALL)
        assert len(line._directory._strangers) < 10  # noqa: SLF001 - bounded by what came
    for minute in range(6):
        said += line.tick(NOW + minute * 60 * SECOND, WALL)
    assert line._half > NOW  # noqa: SLF001 - given up
    for one in said:
        for data in (one.after, one.late, one.at_once):
            assert not data or frame_in(data)


def test_half_a_frame_is_given_up_and_the_next_one_is_heard() -> None:
    line, far = centre(installed()), device()
    frame = far.change(SMOKE, FIRE, WALL)
    assert line.hear(frame[:40], NOW, WALL) == []
    assert line.due() == NOW + 5 * SECOND
    assert problems(line.tick(line.due(), WALL)) == ["unfinished"]
    assert told(line.hear(frame, NOW, WALL)) == [("FIRE", KEY)]


def test_frames_stuck_together_and_cut_apart_with_garbage_between() -> None:
    far = device(noise=b"\x00@#")
    stream = far.change(SMOKE, FIRE, WALL) + far.change(SMOKE, FAULT, WALL) + far.beat(WALL)
    expected = [("FIRE", KEY), ("FAULT", KEY)]
    assert told(centre(installed()).hear(stream, NOW, WALL)) == expected
    line = centre(installed())
    pieces = [said for place in range(len(stream)) for said in line.hear(stream[place : place + 1], NOW, WALL)]
    assert told(pieces) == expected
    assert set(problems(pieces)) == {"noise"}


def test_a_frame_never_goes_on_in_the_next_datagram() -> None:
    line, far = centre(installed(), datagrams=True), device()
    frame = far.change(SMOKE, FIRE, WALL)
    assert problems(line.hear(frame[:30], NOW, WALL)) == ["unfinished"]
    assert told(line.hear(frame, NOW, WALL)) == [("FIRE", KEY)]


def test_a_device_may_bring_points_of_its_own() -> None:
    points = {
        "pump_1": {"kind": "state", "labels": {"stopped": 0, "running": 1}, "decode": {"at": "11/1/0/1", "bit": 5}},
        "ask": {"kind": "text", "decode": {"command": "request", "type": 61, "at": "1/1"}},
    }
    speaker = installed(points=points)
    line = centre(speaker)
    [said] = line.hear(device().change((11, 1, 1), 0b10_0001, WALL), NOW, WALL)
    assert [row[2:] for row in said.decoded.rows] == [(1.0, GOOD)]
    assert told([said]) == [("FEEDBACK", "11/1/0/1")]
    assert line.ask("d", "ask", 1, NOW, WALL) is not None


def test_strangers_are_told_apart_up_to_a_number() -> None:
    line = centre(installed(5))
    for number in range(100, 400):
        said = line.hear(Transmitter(number).change(SMOKE, FIRE, WALL), NOW, WALL)
        assert told(said) == [("FIRE", f"{number}/{KEY}")]
    assert len(line._directory._strangers) == STRANGERS  # noqa: SLF001 - the bound is the point


def test_answers_to_nothing_are_counted_and_asked_for_nothing() -> None:
    line = centre(installed())
    for command, reasons in ((Command.CONFIRM, []), (Command.DENY, ["denied"])):
        [said] = line.hear(encode_frame(Frame(serial=9, command=command, source=889)), NOW, WALL)
        assert (said.decoded.problems, said.decoded.heard, frames_in([said])) == (reasons, [1], [])
