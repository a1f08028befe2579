"""UART sensors: published frames, any bytes, and the driver's care for silence, warming up and the wrong sensor."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import uart
from drivers._conversation import Said
from drivers._profiles import names, profile
from gateway.clock import SystemClock
from gateway.errors import ConfigError
from gateway.model.point import Device
from gateway.model.ports import DriverSetup
from gateway.model.quality import describe
from gateway.model.station import SourceSpec
from gateway.protocols.uart import (
    EARS,
    LONGEST_LINE,
    MEGATEC,
    MEGATEC_QUESTION,
    Told,
    Unfit,
    dyp_frame,
    megatec_line,
    winsen_answer,
    winsen_command,
    winsen_upload,
)
from tests.channel_rigs import Notes

CASES = tomllib.loads((Path(__file__).parents[1] / "cases/uart/frames.toml").read_text(encoding="utf-8"))
S = 1_000_000_000
WORD, BYTE = st.integers(0, 0xFFFF), st.integers(0, 255)
FRAMES = {
    "winsen": st.builds(winsen_upload, st.integers(0, 0x77), BYTE, st.integers(0, 4), WORD, WORD)
    | st.builds(winsen_answer, st.just(0x86), WORD, BYTE, BYTE),
    "dyp": st.builds(dyp_frame, WORD),
    "megatec": st.builds(megatec_line, st.fixed_dictionaries({name: st.integers(0, 999) for name in MEGATEC})),
}


@pytest.mark.golden("uart")
@pytest.mark.parametrize("case", CASES["case"], ids=lambda case: f"{case['sensor']} {case['what']}")
def test_published_frames(case: Mapping[str, Any]) -> None:
    data = case["text"].encode() if "text" in case else bytes.fromhex(case["hex"])
    (one,) = EARS[case["sensor"]]().feed(data)
    if "refused" in case:
        assert isinstance(one, Unfit)
        assert one.reason == case["refused"]
    else:
        assert isinstance(one, Told)
        assert one.figures == pytest.approx(case["figures"])
        assert one.raw == data


@pytest.mark.golden("uart")
@pytest.mark.parametrize("case", CASES["question"], ids=lambda case: case["hex"])
def test_published_questions(case: Mapping[str, Any]) -> None:
    assert winsen_command(*case["command"]) == bytes.fromhex(case["hex"])


@pytest.mark.parametrize("sensor", EARS)
@given(data=st.data())
def test_frames_between_garbage_and_in_pieces_are_all_found(sensor: str, data: st.DataObject) -> None:
    frames = data.draw(st.lists(FRAMES[sensor], min_size=1, max_size=5))
    garbage = st.binary(max_size=5).map(lambda raw: raw.replace(b"\xff", b"").replace(b"(", b""))
    parts = [part for frame in frames for part in (data.draw(garbage), frame)]
    if sensor == "megatec":  # garbage in front of a line is one line with it
        parts = [part if part in frames else part + b"\r" for part in parts]
    stream = b"".join(parts)
    ear, found = EARS[sensor](), list[Told | Unfit]()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += ear.feed(stream[:size])
        stream = stream[size:]
    assert [one.raw for one in found if isinstance(one, Told)] == frames


@pytest.mark.parametrize("sensor", ["winsen", "dyp"])
@given(data=st.data())
def test_no_single_bit_flip_passes(sensor: str, data: st.DataObject) -> None:
    frame = bytearray(data.draw(FRAMES[sensor]))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not any(isinstance(one, Told) for one in EARS[sensor]().feed(bytes(frame)))


@pytest.mark.parametrize("sensor", EARS)
@given(chunks=st.lists(st.binary(max_size=300), max_size=10))
def test_any_bytes_are_taken_in_bounds_and_none_vanishes(sensor: str, chunks: list[bytes]) -> None:
    ear, found = EARS[sensor](), list[Told | Unfit]()
    for chunk in chunks:
        found += ear.feed(chunk)
        assert len(ear.pending) <= LONGEST_LINE
    found += ear.drop()
    if sensor != "megatec":  # of lines the ends go
        assert b"".join(one.raw for one in found) + ear.pending == b"".join(chunks)


# -- the driver


def sensor(name: str, *, poll: float = 1.0, notes: Notes | None = None, **options: Any) -> uart.Uart:  # noqa: ANN401
    return uart.Uart(uart._sensor(device(name, poll, options), setup(name, notes or Notes())))  # noqa: SLF001


def device(name: str, poll: float = 1.0, options: Mapping[str, Any] | None = None) -> Device:
    return Device(id="it", source="line", profile=profile(name), poll=poll, options=dict(options or {}))


def setup(name: str, notes: Notes, *devices: Device, **options: Any) -> DriverSetup:  # noqa: ANN401 - keys of a source
    return DriverSetup(
        source=SourceSpec(id="line", driver="uart", options={"wire": "serial", "port": "x", **options}),
        devices=devices or [device(name)],
        point_ids={
            "@line.events": 0,
            **{f"it.{spec.name}": n for n, spec in enumerate(profile(name).points, 1)},
        },
        life_safety=frozenset(),
        clock=SystemClock(),
        memory=notes,
        report=notes,
    )


def told(said: list[Said]) -> list[tuple[int, float, str]]:
    return [(row[0], row[2], describe(row[3])) for one in said for row in one.decoded.rows]


def warm() -> Notes:
    """Return the memory of a station that has heard it before."""
    notes = Notes()
    notes.put("warm/it", SystemClock().boot())
    return notes


def test_a_sensor_that_warms_up_is_not_believed_and_a_restart_of_ours_does_not_cool_it() -> None:
    notes = Notes()
    first = sensor("winsen-ze07-co", notes=notes)
    frame = winsen_upload(4, 3, 1, 123, 5000)
    assert told(first.hear(frame, 10 * S, 0)) == [(1, 12.3, "BAD:preheat")]
    assert told(first.hear(frame, 200 * S, 0)) == [(1, 12.3, "BAD:preheat")], "silent for long: without power"
    assert told(first.hear(frame, 210 * S, 0))[0][2] == "BAD:preheat"
    for second in range(220, 400, 10):
        last = told(first.hear(frame, second * S, 0))
    assert last == [(1, 12.3, "GOOD")]
    assert told(sensor("winsen-ze07-co", notes=notes).hear(frame, 500 * S, 0)) == [(1, 12.3, "GOOD")]


@pytest.mark.parametrize(
    ("before", "power", "quality"),
    [
        (None, "shared", "BAD:preheat"),
        (None, "own", "BAD:preheat"),
        ("another boot", "shared", "BAD:preheat"),  # its power was cut with ours
        ("1", "shared", "BAD:preheat"),  # of a former version
        ("another boot", "own", "GOOD"),
        (SystemClock().boot(), "shared", "GOOD"),
        (SystemClock().boot(), "own", "GOOD"),
    ],
)
def test_after_a_power_cut_of_the_box_a_sensor_warms_up_that_shares_its_power(
    before: str | None, power: str, quality: str
) -> None:
    notes = Notes({} if before is None else {"warm/it": before})
    one = sensor("winsen-ze07-co", notes=notes, power=power)
    assert told(one.hear(winsen_upload(4, 3, 1, 123, 5000), S, 0)) == [(1, 12.3, quality)]


def test_a_sensor_that_warms_up_is_alive() -> None:
    (said,) = sensor("winsen-ze07-co").hear(winsen_upload(4, 3, 1, 123, 5000), 10 * S, 0)
    assert (told([said]), said.decoded.heard) == ([(1, 12.3, "BAD:preheat")], [1])


def test_a_restart_in_the_middle_of_warming_up_begins_anew() -> None:
    notes, frame = Notes(), winsen_upload(4, 3, 1, 123, 5000)
    for life in (1_000, 2_000):
        one = sensor("winsen-ze07-co", notes=notes)
        assert {told(one.hear(frame, (life + second) * S, 0))[0][2] for second in range(0, 100, 10)} == {"BAD:preheat"}
    assert notes.kept == {}


def test_a_wire_that_was_away_for_long_leaves_it_cold() -> None:
    known = uart._sensor(device("winsen-ze07-co"), setup("winsen-ze07-co", warm()))  # noqa: SLF001 - the seam
    frame = winsen_upload(4, 3, 1, 123, 5000)
    said = [told(uart.Uart(known).hear(frame, second * S, 0))[0][2] for second in (10, 70, 131)]
    assert said == ["GOOD", "GOOD", "BAD:preheat"]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [(winsen_upload(5, 3, 1, 209, 250), "another_gas"), (winsen_upload(4, 2, 1, 10, 5000), "unknown_unit")],
)
def test_another_gas_or_unit_is_never_normal(frame: bytes, problem: str) -> None:
    said = sensor("winsen-ze07-co", notes=warm()).hear(frame, S, 0)
    assert [row[2] for row in told(said)] == ["BAD:device_doubt"]
    assert said[0].decoded.problems == [problem]


def test_units_are_turned_into_the_points_own() -> None:
    one = sensor("winsen-ze07-co", notes=warm(), units={"0x04": 0.001})
    assert told(one.hear(winsen_upload(4, 4, 0, 12300, 50000), S, 0)) == [(1, 12.3, "GOOD")]


def test_an_answer_has_no_decimals_and_only_the_value_is_one() -> None:
    one = sensor("winsen-ze07-co", notes=warm(), mode="question", mode_codes="03/04")
    assert [said.at_once for said in one.tick(S, 0)] == [winsen_command(0x78, 0x04), winsen_command(0x86)]
    (echo,) = one.hear(winsen_command(0x86), 2 * S, 0)
    assert (echo.decoded.rows, echo.decoded.heard, echo.decoded.problems) == ([], [], ["echo"])
    (done,) = one.hear(winsen_answer(0x78, 0x0100), 3 * S, 0)
    assert (done.decoded.rows, done.decoded.heard) == ([], [1])
    ((_, value, quality),) = told(one.hear(winsen_answer(0x86, 42), 4 * S, 0))
    assert (round(value, 9), quality) == (4.2, "GOOD")


def test_what_a_ups_does_not_measure_is_bad_and_costs_nothing_else() -> None:
    one = sensor("ups-megatec")
    one.tick(S, 0)
    said = told(one.hear(b"(000.0 140.0 220.4 034 50.0 27.5 --.- 10000001\r", 2 * S, 0))
    names_of = dict(enumerate((spec.name for spec in profile("ups-megatec").points), 1))
    found = {names_of[point]: (value, quality) for point, value, quality in said}
    assert (found["mains_lost"], found["battery"]) == ((1.0, "GOOD"), (27.5, "GOOD"))
    assert (math.isnan(found["temperature"][0]), found["temperature"][1]) == (True, "BAD:not_a_number")


def test_a_room_that_is_never_aired_has_no_fresh_air_of_the_day() -> None:
    one = sensor("winsen-mhz19b", baseline_off=True)
    assert [said.at_once for said in one.tick(S, 0)] == [winsen_command(0x79), winsen_command(0x86)]
    assert sensor("dyp-a02", baseline_off=True, set_mode=True).tick(S, 0) == []


def test_echoes_are_no_sign_of_life() -> None:
    one = sensor("winsen-mhz19b", notes=warm())
    said = [said for second in range(30) for said in one_second(one, second)]
    assert {row[2] for row in told(said)} == {"BAD:no_comms"}


def one_second(one: uart.Uart, second: int) -> list[Said]:
    return [*one.tick(second * S, 0), *one.hear(winsen_command(0x86), second * S, 0)]


def test_it_is_asked_at_its_poll_and_silence_turns_it_bad_once() -> None:
    one = sensor("ups-megatec", poll=2.0)
    assert one.due() == 0
    assert [said.at_once for said in one.tick(100 * S, 0)] == [MEGATEC_QUESTION]
    assert one.due() == 102 * S
    assert one.tick(101 * S, 0) == []
    values = told(one.hear(megatec_line({"input": 229.5, "mains_lost": 0}), 101 * S, 0))
    assert (5, 229.5, "GOOD") in values
    silent = [said for second in range(102, 130) for said in one.tick(second * S, 0) if said.decoded.rows]
    assert len(silent) == 2, "after ten seconds, and then as often"
    assert all(math.isnan(row[1]) and row[2] == "BAD:no_comms" for row in told(silent))
    assert silent[0].device == "it"


def test_the_mode_is_set_once_and_half_a_frame_waits_for_its_rest_only_so_long() -> None:
    one = sensor("winsen-ze07-co", notes=warm())
    assert [said.at_once for said in one.tick(S, 0)] == [winsen_command(0x78, 0x40)]
    frame = winsen_upload(4, 3, 1, 10, 5000)
    assert one.hear(frame[:4], 2 * S, 0) == []
    assert one.due() == 2 * S + uart.HALF
    assert {one for said in one.tick(3 * S, 0) for one in said.decoded.problems} == {"garbage"}
    assert told(one.hear(frame, 3 * S, 0)) == [(1, 1.0, "GOOD")]


def test_a_line_has_one_sensor_and_is_not_called() -> None:
    two = [device("dyp-a02"), device("dyp-a02")]
    with pytest.raises(ConfigError, match="one device, not 2"):
        uart.create(setup("dyp-a02", Notes(), *two))
    with pytest.raises(ConfigError, match="serial or tcp_client"):
        uart.create(setup("dyp-a02", Notes(), wire="tcp_server", port=1))


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("winsen-ze07-co", {"units": {"ppm": 1.0}}, 'units: "ppm" is no code'),
        ("winsen-ze07-co", {"units": {"3": 0}}, "units: 0 would make every value the same"),
        ("winsen-ze07-co", {"answer_scale": 0}, "answer_scale: 0 would"),
        ("winsen-mhz19b", {"sensor": "dyp"}, 'point temperature: no figure "temperature"; known: value'),
        ("ups-megatec", {"mode": "initiative"}, 'fix: mode = "question"'),
    ],
)
def test_what_would_never_be_heard_or_never_change_is_refused(name: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        uart.create(setup(name, Notes(), device(name, options=options)))


@pytest.mark.parametrize("name", [name for name in names() if profile(name).driver == "uart"])
def test_every_shipped_profile_is_understood(name: str) -> None:
    uart.create(setup(name, Notes()))
