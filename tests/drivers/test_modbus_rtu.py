"""The `modbus_rtu` driver on a simulated bus and the driven clock: readings with their quality, outputs, lost links."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from drivers.modbus_rtu import DEVICE_OPTIONS, OPTIONS, ModbusRtu, create
from drivers.simulated.modbus_bus import Fault, ModbusBus, SimulatedSlave
from drivers.simulated.wire import Wire
from gateway.clock import SECOND
from gateway.errors import ConfigError, DeliveryError, LinkDown
from gateway.model.batch import Batch
from gateway.model.point import Device, Kind, PointSpec, Profile
from gateway.model.ports import DriverSetup
from gateway.model.quality import describe
from gateway.model.station import SourceSpec
from gateway.testing import FakeClock


@dataclass
class Report:
    """Counts what the driver reports, and is its memory."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    def count(self, what: str, number: int = 1) -> None:
        """Add to a counter."""
        self.counts[what] += number

    def finding(self, key: str, text: str) -> None:
        """Keep a remark."""
        self.findings[key] = text

    def alive(self) -> None:
        """Take it."""

    def get(self, key: str) -> str | None:
        """Return what was put."""
        return self.kept.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self.kept[key] = value


def measure(name: str, decode: Mapping[str, Any], **more: Any) -> PointSpec:  # noqa: ANN401 - fields of PointSpec
    return PointSpec(name=name, unit="1", decode=dict(decode), **more)


def state(name: str, decode: Mapping[str, Any], **more: Any) -> PointSpec:  # noqa: ANN401 - as above
    labels = {"normal": 0.0, "alarm": 1.0}
    return PointSpec(name=name, kind=Kind.STATE, labels=labels, decode=dict(decode), **more)


def device(
    name: str,
    address: int,
    points: Sequence[PointSpec],
    *,
    poll: float = 1.0,
    preheat: float = 0.0,
    **options: Any,  # noqa: ANN401 - as above
) -> Device:
    profile = Profile(id=f"{name}-type", title="", points=tuple(points), driver="modbus_rtu", preheat=preheat)
    return Device(id=name, source="bus1", profile=profile, poll=poll, options={"address": address, **options})


LEVEL = measure("level", {"fc": 3, "address": 4, "type": "s16", "scale": 0.01})


class Bench:
    """A driver on a simulated bus: what it emitted, newest reading by point name."""

    def __init__(
        self,
        devices: Sequence[Device],
        slaves: Sequence[SimulatedSlave],
        *,
        life_safety: frozenset[str] = frozenset(),
        report: Report | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.wire = Wire()
        self.bus = ModbusBus(self.wire, self.clock, slaves)
        self.report = report or Report()
        names = [f"{one.id}.{spec.name}" for one in devices for spec in one.profile.points]
        self.ids = {name: number for number, name in enumerate(names, 1)}
        self.setup = DriverSetup(
            source=SourceSpec(id="bus1", driver="modbus_rtu", options={"port": "wire"}),
            devices=devices,
            point_ids={**self.ids, "@bus1.events": 0},
            life_safety=life_safety,
            clock=self.clock,
            memory=self.report,
            report=self.report,
        )
        self.driver = ModbusRtu(self.setup, open_port=lambda _: self.wire.open())
        self.batches: list[Batch] = []

    async def play(self, test: Callable[[Bench], Awaitable[None]]) -> None:
        """Run bus and driver beside the test."""
        tasks = [asyncio.create_task(self.bus.run()), asyncio.create_task(self.driver.run(self.batches.append))]
        try:
            await test(self)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def all_of(self, name: str) -> list[tuple[float, str]]:
        """Return (value to 9 decimals, quality) of every reading of a point."""
        wanted = self.ids[name]
        return [
            (round(float(batch.value[row]), 9), describe(int(batch.quality[row])))
            for batch in self.batches
            for row in range(len(batch))
            if int(batch.point[row]) == wanted
        ]

    def last(self, name: str) -> tuple[float, str]:
        """Return the newest reading of a point."""
        return self.all_of(name)[-1]


def play(bench: Bench, test: Callable[[Bench], Awaitable[None]]) -> None:
    asyncio.run(bench.play(test))


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
    bench = Bench([gas], [SimulatedSlave(address=1, holding={1: 20, 5: 0xAA00 | code, 7: 250})])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        assert bench.last("gas.ch4") == (20, quality)
        assert bench.last("gas.temperature") == (250, "GOOD")

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


def test_a_device_that_falls_silent_turns_bad_once_and_comes_back_at_once() -> None:
    slave = SimulatedSlave(address=1, holding={4: 100})
    bench = Bench([device("d", 1, [LEVEL])], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(5)
        slave.fault = Fault(silent=True)
        await bench.clock.advance(60)
        bad = [quality for _, quality in bench.all_of("d.level") if quality != "GOOD"]
        assert bad == ["BAD:no_comms"]
        slave.fault = Fault()
        await bench.clock.advance(31)
        assert bench.last("d.level") == (1.0, "GOOD")

    play(bench, test)


def test_a_device_that_was_never_there_turns_bad() -> None:
    bench = Bench([device("d", 9, [LEVEL])], [])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(20)
        assert [quality for _, quality in bench.all_of("d.level")] == ["BAD:no_comms"]

    play(bench, test)


def test_one_lost_answer_is_not_a_fault() -> None:
    slave = SimulatedSlave(address=1, holding={4: 100})
    bench = Bench([device("d", 1, [LEVEL])], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        for _ in range(5):
            await bench.clock.advance(2)
            slave.fault = Fault(wrong_crc=True)
            await bench.clock.advance(1)
            slave.fault = Fault()
        assert {quality for _, quality in bench.all_of("d.level")} == {"GOOD"}
        assert bench.report.counts["broken"] == 5

    play(bench, test)


def test_refusals_that_go_on_turn_the_point_bad_and_leave_the_others() -> None:
    points = [LEVEL, measure("absent", {"fc": 3, "address": 99})]
    bench = Bench([device("d", 1, points)], [SimulatedSlave(address=1, holding={4: 100})])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(5)
        assert bench.last("d.absent")[1] == "BAD:device_doubt"
        assert bench.last("d.level") == (1.0, "GOOD")
        assert bench.report.counts["exception_2"] >= 4
        assert any(batch.heard for batch in bench.batches)

    play(bench, test)


OUTPUTS = [
    state("do1", {"fc": 1, "address": 0, "write": 5}),
    state("inverted", {"fc": 1, "address": 1, "write": 5}, invert=True),
    measure("setpoint", {"fc": 3, "address": 8, "scale": 0.1, "write": 6}),
]


def test_outputs_are_set_before_any_poll_and_read_back() -> None:
    slave = SimulatedSlave(address=1, coils={0: 0, 1: 0}, holding={8: 0, 4: 1})
    bench = Bench([device("d", 1, [*OUTPUTS, LEVEL], poll=5)], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(1)
        for name, value in (("do1", 1.0), ("inverted", 0.0), ("setpoint", 12.3)):
            setting = asyncio.create_task(bench.driver.write("d", name, value))
            await bench.clock.advance(0.15)
            await setting
            assert bench.last(f"d.{name}") == (value, "GOOD")
        assert slave.coils == {0: 1, 1: 1}
        assert slave.holding[8] == 123

    play(bench, test)


def test_an_output_that_does_not_take_is_said_so() -> None:
    slave = SimulatedSlave(address=1, coils={0: 0}, holding={4: 1})
    bench = Bench([device("d", 1, [*OUTPUTS, LEVEL], poll=5)], [slave])

    async def failing(name: str, fault: Fault) -> DeliveryError:
        slave.fault = fault
        setting = asyncio.create_task(bench.driver.write("d", name, 1.0))
        await bench.clock.advance(3)
        with pytest.raises(DeliveryError) as caught:
            await setting
        return caught.value

    async def test(bench: Bench) -> None:
        await bench.clock.advance(1)
        assert (await failing("do1", Fault(silent=True))).retryable
        assert not (await failing("do1", Fault(exception=4))).retryable
        assert not (await failing("level", Fault())).retryable
        slave.fault = Fault()
        await bench.clock.advance(5)
        assert bench.last("d.do1")[1] == "GOOD"
        slave.fault = Fault(stuck=True)
        await bench.clock.advance(6)
        assert "reads back 0" in str(await failing("do1", Fault(stuck=True)))

    play(bench, test)


def test_a_command_given_up_is_not_sent_later() -> None:
    slave = SimulatedSlave(address=1, coils={0: 0, 1: 0}, holding={8: 0, 4: 1})
    bench = Bench([device("d", 1, OUTPUTS, poll=5)], [slave])

    async def test(bench: Bench) -> None:
        slave.fault = Fault(silent=True)
        await bench.clock.advance(0.02)
        setting = asyncio.create_task(bench.driver.write("d", "do1", 1.0))
        await asyncio.sleep(0)
        setting.cancel()
        slave.fault = Fault()
        await bench.clock.advance(10)
        assert slave.coils[0] == 0

    play(bench, test)


def test_a_pulled_adapter_ends_the_run_and_whoever_waits_and_it_can_be_run_again() -> None:
    slave = SimulatedSlave(address=1, coils={0: 0, 1: 0}, holding={8: 0, 4: 1})
    bench = Bench([device("d", 1, OUTPUTS)], [slave])

    async def main() -> None:
        serving = asyncio.create_task(bench.bus.run())
        with pytest.raises(LinkDown):
            await bench.driver.write("d", "do1", 1.0)
        running = asyncio.create_task(bench.driver.run(bench.batches.append))
        await bench.clock.advance(1)
        setting = asyncio.create_task(bench.driver.write("d", "do1", 1.0))
        await bench.clock.advance(0.001)
        bench.bus.unplug()
        for waiting in (running, setting):
            with pytest.raises(LinkDown):
                await waiting
        with pytest.raises(LinkDown):
            await bench.driver.run(bench.batches.append)
        bench.bus.plug()
        before = len(bench.batches)
        again = asyncio.create_task(bench.driver.run(bench.batches.append))
        await bench.clock.advance(1)
        assert len(bench.batches) > before
        for task in (again, serving):
            task.cancel()
        await asyncio.gather(again, serving, return_exceptions=True)

    asyncio.run(main())


def _eight(load: float) -> Bench:
    """Return a bus of eight devices at a planned load, paced at 9 600 baud."""
    slaves = [SimulatedSlave(address=n, holding={4: n, 5: n}) for n in range(1, 9)]
    points = [measure("a", {"fc": 3, "address": 4}), measure("b", {"fc": 3, "address": 5})]

    def bench(poll: float) -> Bench:
        return Bench([device(f"d{n}", n, points, poll=poll, block=2) for n in range(1, 9)], slaves)

    return bench(bench(1.0).driver.load / load)


@pytest.mark.parametrize(("silent", "cost"), [((3,), 0), ((1, 2, 5, 8), 1)])
@pytest.mark.parametrize("start", [0, 5])
def test_silent_devices_cost_the_others_next_to_nothing(silent: tuple[int, ...], cost: int, start: int) -> None:
    bench = _eight(0.6)
    poll = bench.setup.devices[0].poll

    async def test(bench: Bench) -> None:
        await bench.clock.advance(start)
        for address in silent:
            bench.bus.slaves[address].fault = Fault(silent=True)
        await bench.clock.advance(30)
        for address in set(range(1, 9)) - set(silent):
            assert len(bench.all_of(f"d{address}.a")) >= (start + 30) // poll - cost

    play(bench, test)


def test_a_full_line_carries_90_percent_of_what_the_wire_allows() -> None:
    bench = _eight(3.0)
    # 8 + 9 characters of 10 bits, 3.5 characters of silence, and the 10 ms that the slaves take.
    possible = 20 / ((8 + 9 + 3.5) * 10 / 9600 + 0.01)

    async def test(bench: Bench) -> None:
        await bench.clock.advance(20)
        polls = sum(len(bench.all_of(f"d{n}.a")) for n in range(1, 9))
        assert polls >= 0.9 * possible
        assert "planned load" in bench.report.findings["load"]

    play(bench, test)


def test_alarm_points_go_first() -> None:
    slaves = [SimulatedSlave(address=n, holding={4: n}) for n in (1, 2)]
    bench = Bench([device("slow", 1, [LEVEL]), device("smoke", 2, [LEVEL])], slaves, life_safety=frozenset({"smoke"}))

    async def test(bench: Bench) -> None:
        await bench.clock.advance(0.5)
        assert [int(batch.point[0]) for batch in bench.batches] == [bench.ids["smoke.level"], bench.ids["slow.level"]]

    play(bench, test)


def test_every_problem_of_a_source_is_listed_at_once() -> None:
    good = Bench([device("a", 1, [LEVEL])], []).setup
    devices = [
        device("a", 1, [LEVEL]),
        device("b", 1, [LEVEL]),
        device("c", 300, [LEVEL]),
        device("d", 4, [measure("level", {"fc": 9, "address": 4})]),
        device("e", 5, [measure("level", {"fc": 3, "address": 4, "adress": 4})]),
        device("f", 6, [LEVEL], wake="no hex"),
        device("g", 7, [LEVEL], poll=0),
    ]
    names = {f"{one.id}.level": number for number, one in enumerate(devices)}
    source = SourceSpec(id="bus1", driver="modbus_rtu", options={"port": "/dev/null", "parity": "X"})
    setup = DriverSetup(
        source=source,
        devices=devices,
        point_ids=names,
        life_safety=frozenset(),
        clock=good.clock,
        memory=good.memory,
        report=good.report,
    )
    with pytest.raises(ConfigError) as caught:
        create(setup)
    lines = str(caught.value).splitlines()
    assert len(lines) == 7
    for line, word in zip(lines, ["parity", "c:", "d:", "e:", "f:", "g:", "taken by a"], strict=True):
        assert word in line


def test_the_keys_of_the_tables_are_known_to_the_registry() -> None:
    assert issubclass(OPTIONS, msgspec.Struct)
    assert issubclass(DEVICE_OPTIONS, msgspec.Struct)
