"""What a simulated SL 651 station says is what the driver reads, and no bytes make it raise."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._sl651_talk import PACKET_WAIT, Talk
from drivers.simulated.sl651 import Station
from gateway.model.point import PointSpec
from gateway.model.time import MINUTE, SECOND
from gateway.model.verdict import NEVER
from gateway.protocols.sl651 import Coding
from gateway.protocols.sl651_elements import ELEMENTS
from tests.drivers.sl651_talk import ADDRESS, OTHER, STRANGER, WALL, Far, device, uplink

OBSERVED = "F0F02609211500"  # in Chinese time
AT = 1_789_974_000 * SECOND  # the same in UTC
HERE = f"F1F1{ADDRESS}48{OBSERVED}"


NUMBERS = {row.name: row for row in ELEMENTS.values() if row.code not in range(0xF4, 0xFD) and row.name != "ZT"}
STATION = device()
TWO = Far(STATION, device("two", OTHER))
EXAMPLES = st.fixed_dictionaries(
    {
        "values": st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.integers(-999, 999), min_size=1, max_size=12),
        "coding": st.sampled_from(Coding),
        "state": st.integers(0, 0xFFFF),
        "function": st.sampled_from([0x31, 0x32, 0x33, 0x34, 0x37, 0x38, 0x3A, 0x44, 0x46]),
        "missing": st.booleans(),
        "noise": st.sampled_from([b"", b"\x00", b"noise", b"\x02\x03"]),
        "stray": st.booleans(),
    }
)


@given(example=EXAMPLES)
@settings(max_examples=150)
def test_what_is_simulated_is_what_is_read(example: dict[str, Any]) -> None:
    names: dict[str, int] = example["values"]
    specs = tuple(PointSpec(name=f"p_{name.lower()}", unit="1", decode={"element": name}) for name in names)
    far = Far(msgspec.structs.replace(STATION, profile=msgspec.structs.replace(STATION.profile, points=specs)))
    values = {name: _fitting(name, number) for name, number in names.items()}
    station = Station(ADDRESS, coding=example["coding"], values=values, state=example["state"])
    station.fault.stray, station.fault.noise = example["stray"], example["noise"]
    gone = next(iter(values))
    station.fault.missing = {gone} if example["missing"] else set()
    found = [said for said in far.hear(station.report(WALL, example["function"])) if said.device]
    rows = {name: (value, quality) for name, _, value, quality in far.rows(*found)}
    for name, value in values.items():
        read, quality = rows[f"p_{name.lower()}"]
        if name in station.fault.missing:
            assert quality == "BAD:fault_value"
        else:
            assert (read, quality) == (value, "GOOD")
    assert {time for _, time, _, _ in far.rows(*found)} == {WALL // MINUTE * MINUTE}


def _fitting(name: str, number: int) -> float:
    row = NUMBERS[name]
    top = 10**row.digits - 1
    return float(max(-top, min(top, number)) / 10**row.decimals)


@given(
    rain=st.lists(st.integers(0, 254), min_size=12, max_size=12),
    levels=st.lists(st.integers(0, 65534), min_size=12, max_size=12),
    coding=st.sampled_from(Coding),
)
@settings(max_examples=30)
def test_an_hour_simulated_is_the_hour_read(rain: list[int], levels: list[int], coding: Coding) -> None:
    far = Far(STATION, coding=coding)
    wet, high = [each / 10 for each in rain], [each / 100 for each in levels]
    (said,) = far.hear(far.station.hour(WALL, wet, high))
    assert [value for name, _, value, _ in far.rows(said) if name == "rain_5min"] == wet
    assert [value for name, _, value, _ in far.rows(said) if name == "level_5min"] == high
    hour = 3600 * SECOND
    times = [time for name, time, _, _ in far.rows(said) if name == "rain_5min"]
    assert times[-1] == WALL // hour * hour


@given(data=st.binary(max_size=200), function=st.integers(0, 255), wall=st.sampled_from([0, WALL]))
@settings(max_examples=200)
def test_no_body_makes_the_driver_raise(data: bytes, function: int, wall: int) -> None:
    talk = Talk(TWO.installed, STRANGER)
    for body in (data or b"x", bytes.fromhex("0007260921150000" + HERE) + data):
        for total in (0, 2):
            for said in talk.hear(uplink(function, body=body, total=total, sequence=min(total, 1)), 0, wall):
                assert len(said.decoded.rows) < 1000
                for event in said.decoded.events:
                    assert event.raw
                    event.text.encode()
    for turn in range(1, 6):
        talk.tick(turn * PACKET_WAIT, wall)
    assert talk.due() == NEVER
    talk.ask("it", "set_clock", 1.0, 0, wall)
