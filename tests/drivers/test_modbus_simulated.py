"""Simulated Modbus devices: quantities behave, and a slave of every shipped profile is read back by the driver."""

from __future__ import annotations

import math

import msgspec
import pytest

from drivers import _profiles
from drivers.simulated import behaviour
from drivers.simulated.profile_slave import ProfileSlave
from gateway.model.point import Device, Kind, PointSpec, Profile
from tests.drivers.modbus_bench import LEVEL, Bench, device, measure, play, state

SHIPPED = [profile for profile in map(_profiles.profile, _profiles.names()) if profile.driver == "modbus_rtu"]


def _some(spec: PointSpec) -> float:
    """Return a value that the point can have, in the middle of what is good."""
    if spec.kind is Kind.STATE:
        return max(spec.labels.values()) if len(spec.labels) == 2 else min(spec.labels.values())
    low, high = spec.valid_range or (0.0, 100.0)
    top = min(high, (spec.over_range or (0, high))[1])
    return round(max(low, 0.0) + (min(top, 20.0) - max(low, 0.0)) / 4, 1)


@pytest.mark.parametrize("profile", SHIPPED, ids=lambda profile: profile.id)
def test_what_is_put_into_a_simulated_device_is_what_the_driver_reads(profile: Profile) -> None:
    own = Device(id="d", source="bus1", profile=msgspec.structs.replace(profile, preheat=0.0), options={"address": 7})
    slave = ProfileSlave(own, 7)
    values = {spec.name: _some(spec) for spec in profile.points if spec.decode and spec.name != "status"}
    for name, value in values.items():
        slave.set_point(name, value)
    bench = Bench([own], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(20)
        for name, value in values.items():
            read, quality = bench.last(f"d.{name}")
            assert (name, quality) == (name, "GOOD")
            assert read == pytest.approx(value, abs=0.11), name

    play(bench, test)


def test_a_point_that_behaves_is_seen_to_behave() -> None:
    points = [LEVEL, state("wet", {"fc": 3, "address": 0, "bit": 1}), state("dry", {"fc": 3, "address": 0, "bit": 2})]
    own = device("tank", 3, [*points, measure("far", {"fc": 4, "address": 1, "type": "f32", "word_order": "low"})])
    slave = ProfileSlave(own, 3)
    slave.set_point("level", behaviour.drain(3.0, 0.5, begins=5, half_life=10))
    slave.set_point("wet", behaviour.switch(0, 1, at=10))
    slave.set_point("dry", 1)
    slave.set_point("far", -12.5)
    bench = Bench([own], [slave])

    async def test(bench: Bench) -> None:
        await bench.clock.advance(4)
        assert bench.last("tank.level") == (3.0, "GOOD")
        assert bench.last("tank.wet") == (0, "GOOD")
        await bench.clock.advance(12)
        assert bench.last("tank.level")[0] == pytest.approx(1.75, abs=0.15)
        assert bench.last("tank.wet") == (1, "GOOD")
        assert bench.last("tank.dry") == (1, "GOOD")
        assert bench.last("tank.far") == (-12.5, "GOOD")

    play(bench, test)
    with pytest.raises(KeyError):
        slave.set_point("absent", 1)


def test_quantities_behave() -> None:
    assert behaviour.constant(5)(100) == 5
    assert behaviour.ramp(0, 2, high=10)(3) == 6
    assert behaviour.ramp(0, 2, high=10)(30) == 10
    assert behaviour.sine(20, 5, 60)(15) == pytest.approx(25)
    fire = behaviour.fire(20, 300, begins=10, doubling=5)
    assert fire(9) == 20
    assert fire(10) < fire(15) < fire(30) < fire(60) == fire(math.inf) == 300
    assert behaviour.drain(3, 1, begins=0, half_life=10)(10) == pytest.approx(2)
    assert behaviour.switch(0, 1, at=3)(3) == 1
