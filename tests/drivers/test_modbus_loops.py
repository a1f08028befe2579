"""4–20 mA transmitters, packed decimals and relays with words of their own, as profiles say them."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers._modbus_points import Field, Slave
from drivers._modbus_registers import Decode
from drivers.simulated.modbus_bus import SimulatedSlave
from gateway.errors import ConfigError
from gateway.model.point import PointSpec
from gateway.model.quality import describe
from tests.drivers.modbus_bench import Bench, device, measure, play, state


def field(unit: str = "MPa", **decode: Any) -> Field:  # noqa: ANN401 - keys of `decode`
    spec = PointSpec(name="p", unit=unit, valid_range=(-0.1, 1.7))
    return Field(1, spec, msgspec.convert({"fc": 4, "address": 0, **decode}, Decode))


@pytest.mark.parametrize(
    ("raw", "value", "quality"),
    [
        (4000, 0.0, "GOOD"),
        (12000, 0.8, "GOOD"),
        (20000, 1.6, "GOOD"),
        (3700, -0.03, "GOOD"),
        (20900, 1.69, "GOOD"),
        (3599, -0.0401, "BAD:fault_value"),
        (21001, 1.7001, "BAD:fault_value"),
        (0, -0.4, "BAD:fault_value"),
    ],
)
def test_a_current_that_no_transmitter_sends_is_a_broken_wire(raw: int, value: float, quality: str) -> None:
    seen, packed = field(loop={"low": 0, "high": 1.6}).reading([raw])
    assert (round(seen, 6), describe(packed)) == (value, quality)


def test_both_end_points_of_a_module_are_the_modules_own() -> None:
    twelve_bits = field(loop={"low": 0, "high": 1.6, "raw4": 819, "raw20": 4095})
    assert twelve_bits.reading([819])[0] == pytest.approx(0.0, abs=1e-9)
    assert twelve_bits.reading([4095])[0] == pytest.approx(1.6)
    assert describe(twelve_bits.reading([0])[1]) == "BAD:fault_value"


@given(low=st.floats(-100, 100), span=st.floats(0.1, 100), share=st.floats(0, 1))
def test_a_loop_is_a_straight_line_between_its_ends(low: float, span: float, share: float) -> None:
    one = msgspec.convert({"fc": 4, "address": 0, "loop": {"low": low, "high": low + span}}, Decode)
    assert one.loop is not None
    factor, offset = one.loop.scale()
    assert (4000 + 16000 * share) * factor + offset == pytest.approx(low + span * share, abs=1e-6)


@pytest.mark.parametrize("loop", [{"low": 1, "high": 1}, {"low": 0, "high": 1, "raw4": 5, "raw20": 5}])
def test_a_loop_without_a_span_is_refused(loop: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError, match="must differ"):
        msgspec.convert({"fc": 4, "address": 0, "loop": loop}, Decode)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"scale": 0}, "scale: 0 would make every value the same"),
        ({"unit_register": {"fc": 3, "address": 2, "factors": {"cm": 0.01}}}, '"cm" is no code'),
        ({"unit_register": {"fc": 3, "address": 2, "factors": {"0x11": 0}}}, "0 would make every value the same"),
        ({"bit": 16}, "outside the 16 bits of type u16"),
        ({"mask": 0x10000}, "outside the 16 bits of type u16"),
    ],
)
def test_what_would_stay_normal_for_ever_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert({"fc": 3, "address": 0, **wrong}, Decode)
    assert msgspec.convert({"fc": 3, "address": 0, "type": "u32", "bit": 16}, Decode).raw([1, 0]) == 1


@pytest.mark.parametrize(("word", "value"), [(0xA019, 2.5), (0x0019, 25.0), (0x2019, 250.0), (0xC001, 0.01), (0, 0.0)])
def test_a_packed_decimal(word: int, value: float) -> None:
    assert msgspec.convert({"fc": 4, "address": 0, "type": "d16"}, Decode).raw([word]) == value


def test_a_relay_is_set_by_words_of_its_own_and_read_back_as_it_says() -> None:
    spec = state("relay", {"fc": 3, "address": 2, "write": 6, "written": [0x0200, 0x0100]})
    board = Slave(device("board", 1, [spec]), 1, {"board.relay": 1}, block=1, holes=0)
    assert board.output("relay", 1.0)[1].values == (0x0100,)
    assert board.output("relay", 0.0)[1].values == (0x0200,)
    assert math.isfinite(board.fields[0].reading([1])[0])


def test_the_driver_sees_that_such_a_relay_took() -> None:
    class Board(SimulatedSlave):
        """Takes 0x0100 for on and says 1 then."""

        def answer(self, request: Any, t: float) -> bytes:  # noqa: ANN401 - a request of the codec
            frame = super().answer(request, t)
            if self.holding[2] in (0x0100, 0x0200):
                self.holding[2] = int(self.holding[2] == 0x0100)
            return frame

    spec = state("relay", {"fc": 3, "address": 2, "write": 6, "written": [0x0200, 0x0100]})
    slave = Board(address=1, holding={2: 0})

    async def scene(bench: Bench) -> None:
        await bench.clock.advance(1)
        setting = asyncio.create_task(bench.driver.write("board", "relay", 1.0))
        await bench.clock.advance(2)
        await setting
        assert slave.holding[2] == 1

    play(Bench([device("board", 1, [spec])], [slave]), scene)


def test_devices_on_channels_of_one_module_share_its_address_and_no_register() -> None:
    here = measure("p", {"fc": 4, "address": 0, "loop": {"low": 0, "high": 1.6}})
    there = measure("p", {"fc": 4, "address": 1, "loop": {"low": 0, "high": 5}})
    Bench([device("pump", 1, [here]), device("tank", 1, [there])], [])
    with pytest.raises(ConfigError, match="device tank: address 1 is taken by pump"):
        Bench([device("pump", 1, [here]), device("tank", 1, [here])], [])
