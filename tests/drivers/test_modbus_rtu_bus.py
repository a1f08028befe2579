"""The `modbus_rtu` driver: silent devices, outputs, lost links and a busy line."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.modbus_bus import Fault, SimulatedSlave
from gateway.errors import DeliveryError, LinkDown
from tests.drivers.modbus_bench import LEVEL, Bench, device, measure, play, state


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


def test_a_port_on_which_everybody_is_silent_is_opened_again_and_is_not_called_alive_before_someone_answers() -> None:
    slaves = [SimulatedSlave(address=address, holding={4: 100}) for address in (1, 2)]
    bench = Bench([device("d", 1, [LEVEL]), device("e", 2, [LEVEL], poll=300)], slaves)

    async def test(bench: Bench) -> None:
        await bench.clock.advance(5)
        assert bench.report.counts["alive"] == 1
        slaves[0].fault = Fault(silent=True)
        await bench.clock.advance(400)
        assert bench.downs == []  # the other one still answers, however seldom it is asked
        slaves[1].fault = Fault(silent=True)
        await bench.clock.advance(600)
        assert bench.downs
        assert "no device has answered for 6" in bench.downs[-1]
        assert bench.report.counts["alive"] == 1
        told = len(bench.batches)
        slaves[0].fault = Fault()
        await bench.clock.advance(35)
        assert len(bench.batches) > told
        assert bench.last("d.level") == (1.0, "GOOD")
        downs = len(bench.downs)
        await bench.clock.advance(200)
        assert len(bench.downs) == downs

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


FAULTS = st.one_of(
    st.just(Fault()),
    st.just(Fault(silent=True)),
    st.just(Fault(wrong_crc=True)),
    st.builds(Fault, late=st.floats(0.05, 0.35)),  # deadline and quarantine together last 0.4 s
    st.builds(Fault, before=st.binary(max_size=20), after=st.binary(max_size=20)),
    st.builds(Fault, exception=st.integers(1, 11)),
)
TROUBLES = st.lists(st.tuples(st.sampled_from((1, 2)), FAULTS, st.floats(0.05, 3.0)), min_size=1, max_size=12)


@given(troubles=TROUBLES)
@settings(max_examples=8, deadline=None)
def test_whatever_goes_wrong_on_the_line_no_wrong_value_is_ever_good(troubles: list[tuple[int, Fault, float]]) -> None:
    values = {4: 400, 5: 500, 9: 900}
    points = [measure(f"p{place}", {"fc": 3, "address": place}) for place in values]
    slaves = [SimulatedSlave(address=n, holding={place: value + n for place, value in values.items()}) for n in (1, 2)]
    bench = Bench([device(f"d{n}", n, points, poll=0.5) for n in (1, 2)], slaves)

    async def test(bench: Bench) -> None:
        for address, fault, seconds in troubles:
            bench.bus.slaves[address].fault = fault
            await bench.clock.advance(seconds)
        for slave in slaves:
            slave.fault = Fault()
        await bench.clock.advance(31)
        for n in (1, 2):
            for place, value in values.items():
                every = bench.all_of(f"d{n}.p{place}")
                assert {got for got, quality in every if quality == "GOOD"} == {value + n}
                assert every[-1][1] == "GOOD", "it did not come back"

    play(bench, test)
