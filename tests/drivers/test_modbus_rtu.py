"""The `modbus_rtu` driver: registers, bits, units and states of a device become readings with their quality."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from drivers.modbus_rtu import DEVICE_OPTIONS, OPTIONS, create
from drivers.simulated.modbus_bus import Fault, SimulatedSlave, Value
from gateway.clock import SECOND
from gateway.errors import ConfigError
from gateway.model.point import Device, Profile
from gateway.testing import FakeClock
from tests.drivers.modbus_bench import LEVEL, Bench, Report, device, driver_setup, measure, play, state


@pytest.mark.parametrize(
    ("decode", "more", "words", "value", "quality"),
    [
        ({"scale": 0.1}, {}, [305], 30.5, "GOOD"),
        ({"type": "s16", "scale": 0.1}, {}, [0xFFF6], -1.0, "GOOD"),
        ({"type": "u32"}, {}, [1, 2], 65538, "GOOD"),
        ({"type": "u32", "word_order": "low", "scale": 0.001}, {}, [35, 0], 0.035, "GOOD"),
        ({"type": "s32"}, {}, [0xFFFF, 0xFFFE], -2, "GOOD"),
        ({"type": "f32"}, {}, [0x4148, 0x0000], 12.5, "GOOD"),
        ({"type": "f32", "word_order": "low"}, {}, [0x0000, 0x4148], 12.5, "GOOD"),
        ({"type": "f32"}, {}, [0x7FC0, 0x0000], math.nan, "BAD:not_a_number"),
        ({"mask": 0x0F00}, {}, [0x1A34], 10, "GOOD"),
        ({"offset": -50, "scale": 0.1}, {}, [600], 10, "GOOD"),
        ({"type": "s16"}, {"fault_values": (32767,)}, [0x7FFF], 32767, "BAD:fault_value"),
        ({}, {"valid_range": (0, 100)}, [101], 101, "BAD:implausible"),
        ({}, {"over_range": (0, 100), "valid_range": (0, 1000)}, [130], 100, "UNCERTAIN:over_range"),
    ],
)
def test_registers_become_readings(
    decode: dict[str, Any], more: dict[str, Any], words: list[int], value: float, quality: str
) -> None:
    bench = Bench(
        [device("d", 7, [measure("p", {"fc": 4, "address": 2, **decode}, **more)])],
        [SimulatedSlave(address=7, registers={2 + place: word for place, word in enumerate(words)})],
    )

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        got, described = bench.last("d.p")
        assert described == quality
        assert got == pytest.approx(value, nan_ok=True)

    play(bench, test)


def test_bits_are_read_by_input_and_by_register_and_inverted() -> None:
    points = [
        state("di1", {"fc": 2, "address": 0}),
        state("di2", {"fc": 2, "address": 1}, invert=True),
        state("smoke", {"fc": 3, "address": 0, "bit": 3}),
        state("odd", {"fc": 3, "address": 0}),
    ]
    bench = Bench(
        [device("io", 1, points, block=8)],
        [SimulatedSlave(address=1, inputs={0: 1, 1: 1}, holding={0: 0b1010})],
    )

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        assert bench.last("io.di1") == (1, "GOOD")
        assert bench.last("io.di2") == (0, "GOOD")
        assert bench.last("io.smoke") == (1, "GOOD")
        assert bench.last("io.odd") == (10, "BAD:unknown_label")
        assert bench.bus.asked[1] == 2

    play(bench, test)


@pytest.mark.parametrize(("block", "holes", "requests"), [(1, 0, 4), (3, 0, 2), (16, 0, 2), (16, 6, 1), (8, 6, 2)])
def test_contiguous_registers_come_in_one_request_where_the_profile_allows(
    block: int, holes: int, requests: int
) -> None:
    points = [measure(f"p{n}", {"fc": 3, "address": n}) for n in (0, 1, 2, 9)]
    bench = Bench(
        [device("d", 1, points, block=block, holes=holes)],
        [SimulatedSlave(address=1, holding={n: 100 + n for n in range(10)})],
    )

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.9)
        assert bench.bus.asked[1] == requests
        assert [bench.last(f"d.p{n}")[0] for n in (0, 1, 2, 9)] == [100, 101, 102, 109]

    play(bench, test)


def test_every_reading_carries_its_reply_as_evidence_and_its_arrival() -> None:
    bench = Bench([device("d", 1, [LEVEL])], [SimulatedSlave(address=1, holding={4: 222})])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        batch = bench.batches[0]
        assert batch.frame_of(0)[:5] == bytes((1, 3, 2, 0, 222))
        assert 0 < bench.clock.mono() - int(batch.arrival[0]) < SECOND
        assert batch.source == "bus1"

    play(bench, test)


def test_unit_and_decimals_are_read_first_and_hourly() -> None:
    decode = {
        "fc": 3,
        "address": 4,
        "type": "s16",
        "decimals_register": {"fc": 3, "address": 3},
        "unit_register": {"fc": 3, "address": 2, "factors": {"0x11": 0.01, "0x10": 1.0}},
    }
    slave = SimulatedSlave(address=1, holding={2: 0x11, 3: 1, 4: 1234})
    bench = Bench([device("probe", 1, [measure("level", decode)], poll=60)], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(1)
        assert bench.all_of("probe.level") == [(1.234, "GOOD")]
        slave.holding[3] = 2
        await bench.clock.advance(3600 + 61)
        assert bench.last("probe.level") == (0.1234, "GOOD")
        slave.holding[2] = 0x77
        await bench.clock.advance(3600)
        assert bench.last("probe.level")[1] == "BAD:device_doubt"
        assert "probe.level: unit code 119 (0x77)" in bench.report.findings["probe.level 2"]
        slave.holding.update({2: 0x11, 3: 9})
        await bench.clock.advance(3600)
        assert bench.report.findings["probe.level 2"] == ""
        assert bench.report.findings["probe.level 3"] == "probe.level: register 3 says 9 decimals"
        assert bench.last("probe.level")[1] == "BAD:device_doubt"

    play(bench, test)


def test_a_value_whose_unit_cannot_be_read_is_not_believed() -> None:
    decode = {"fc": 3, "address": 4, "unit_register": {"fc": 3, "address": 2, "factors": {"0x11": 0.01}}}
    slave = SimulatedSlave(address=1, holding={4: 1234})
    bench = Bench([device("probe", 1, [measure("level", decode)])], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(1)
        assert bench.last("probe.level")[1] == "BAD:device_doubt"
        slave.holding[2] = 0x11
        await bench.clock.advance(40)
        assert bench.last("probe.level") == (12.34, "GOOD")

    play(bench, test)


@pytest.mark.parametrize(("code", "quality"), [(1, "GOOD"), (0, "BAD:preheat"), (3, "BAD:fault_value")])
def test_the_status_register_judges_the_points_that_go_by_it(code: int, quality: str) -> None:
    profile = Profile(
        id="gas",
        title="",
        driver="modbus_rtu",
        points=(
            measure("ch4", {"fc": 3, "address": 1, "by_status": True}),
            measure("temperature", {"fc": 3, "address": 7}),
        ),
        options={"status": {"fc": 3, "address": 5, "mask": 0xFF, "preheat": [0], "fault": [2, 3]}, "block": 10},
    )
    gas = Device(id="gas", source="bus1", profile=profile, options={"address": 1})
    own = {"fc": 3, "address": 5, "mask": 0xFF, "fault": [1]}
    odd = Device(id="odd", source="bus1", profile=profile, options={"address": 2, "status": own})
    holding: dict[int, Value] = {1: 20, 5: 0xAA00 | code, 7: 250}
    bench = Bench([gas, odd], [SimulatedSlave(address=address, holding=dict(holding)) for address in (1, 2)])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        assert bench.last("gas.ch4") == (20, quality)
        assert bench.last("gas.temperature") == (250, "GOOD")
        assert bench.last("odd.ch4") == (20, "BAD:fault_value" if code == 1 else "GOOD"), "as the [[device]] says"

    play(bench, test)


def test_without_its_status_a_value_raises_and_does_not_clear() -> None:
    profile = Profile(
        id="gas",
        title="",
        driver="modbus_rtu",
        points=(measure("ch4", {"fc": 3, "address": 1, "by_status": True}),),
        options={"status": {"fc": 3, "address": 50, "preheat": [0]}},
    )
    gas = Device(id="gas", source="bus1", profile=profile, options={"address": 1})
    slave = SimulatedSlave(address=1, holding={1: 20})
    bench = Bench([gas], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        assert bench.last("gas.ch4") == (20, "UNCERTAIN:device_doubt")
        slave.holding[50] = 1
        await bench.clock.advance(10)
        assert bench.last("gas.ch4") == (20, "GOOD")
        del slave.holding[50]
        await bench.clock.advance(10)
        assert bench.last("gas.ch4") == (20, "UNCERTAIN:device_doubt"), "what it told once does not count for ever"

    play(bench, test)


def test_a_new_device_warms_up_and_a_restart_of_ours_does_not_make_it_cold() -> None:
    report = Report()
    slave = SimulatedSlave(address=1, holding={4: 5})

    def bench() -> Bench:
        return Bench([device("d", 1, [LEVEL], preheat=30)], [slave], report=report)

    async def first(bench: Bench) -> None:
        await bench.clock.advance(29)
        assert {quality for _, quality in bench.all_of("d.level")} == {"BAD:preheat"}
        await bench.clock.advance(3)
        assert bench.last("d.level")[1] == "GOOD"

    async def again(bench: Bench) -> None:
        await bench.clock.advance(1)
        assert bench.last("d.level")[1] == "GOOD"
        slave.fault = Fault(silent=True)
        await bench.clock.advance(90)
        slave.fault = Fault()
        await bench.clock.advance(31)
        assert bench.last("d.level")[1] == "BAD:preheat"

    play(bench(), first)
    play(bench(), again)


@pytest.mark.parametrize(
    ("before", "power", "quality"),
    [
        ("another boot", "shared", "BAD:preheat"),  # its power was cut with ours
        ("1", "shared", "BAD:preheat"),  # of a former version
        ("another boot", "own", "GOOD"),
        ("boot-1", "shared", "GOOD"),
    ],
)
def test_after_a_power_cut_of_the_box_a_device_warms_up_that_shares_its_power(
    before: str, power: str, quality: str
) -> None:
    one = device("d", 1, [LEVEL], preheat=30, power=power)
    bench = Bench([one], [SimulatedSlave(address=1, holding={4: 5})], report=Report(kept={"warm/d": before}))

    async def test(bench: Bench) -> None:
        await bench.clock.advance(3)
        assert {quality for _, quality in bench.all_of("d.level")} == {quality}
        alive = {batch.heard for batch in bench.batches if len(batch)}
        assert alive == {() if quality == "GOOD" else (bench.ids["d.level"],)}, "a device that warms up is not silent"

    play(bench, test)
    assert bench.report.kept == {"warm/d": "boot-1" if quality == "GOOD" else before}  # a restart now begins anew


def test_a_device_that_is_asked_rarely_is_not_cold_each_time() -> None:
    bench = Bench(
        [device("d", 1, [LEVEL], preheat=30, poll=120)],
        [SimulatedSlave(address=1, holding={4: 5})],
        report=Report(kept={"warm/d": "boot-1"}),
    )

    async def test(bench: Bench) -> None:
        await bench.clock.advance(250)
        assert [quality for _, quality in bench.all_of("d.level")] == ["GOOD"] * 3

    play(bench, test)


def test_every_problem_of_a_source_is_listed_at_once() -> None:
    devices = [
        device("a", 1, [LEVEL]),
        device("b", 1, [LEVEL]),
        device("c", 300, [LEVEL]),
        device("d", 4, [measure("level", {"fc": 9, "address": 4})]),
        device("e", 5, [measure("level", {"fc": 3, "address": 4, "adress": 4})]),
        device("f", 6, [LEVEL], wake="no hex"),
        device("g", 7, [LEVEL], poll=0),
    ]
    setup = driver_setup(devices, FakeClock(), Report(), parity="X")
    with pytest.raises(ConfigError) as caught:
        create(setup)
    lines = str(caught.value).splitlines()
    assert len(lines) == 7
    for line, word in zip(lines, ["parity", "c:", "d:", "e:", "f:", "g:", "taken by a"], strict=True):
        assert word in line


def test_the_keys_of_the_tables_are_known_to_the_registry() -> None:
    assert issubclass(OPTIONS, msgspec.Struct)
    assert issubclass(DEVICE_OPTIONS, msgspec.Struct)
