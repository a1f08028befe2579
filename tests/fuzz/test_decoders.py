"""No bytes break a decoder: real inputs, mutated, cut, repeated and sealed anew, within bounded time for each.

Short in `make test`; `make fuzz` runs 100 000 examples of every decoder (`FIREGRID_FUZZ` sets another number).
"""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.protocols.modbus_line import seal
from tests.fuzz.decoders import DECODERS, Decoder

SHORT = 60
LONG = int(os.environ.get("FIREGRID_FUZZ", "100000"))
CASE_WITHIN = 1.0  # s of processor time, a thousand times the usual

# The MQTT codec panics on text that is not UTF-8 and leaves the UnicodeDecodeError behind as unraisable.
panics = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@st.composite
def mutants(draw: st.DrawFn, decoder: Decoder) -> bytes:
    """Draw noise, or a real input after a few strokes: bytes replaced, dropped, put in, a piece repeated."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    data = draw(st.sampled_from(decoder.seeds))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                data = data[:place] + draw(st.binary(max_size=4)) + data[place + draw(st.integers(0, 4)) :]
            case 1:
                data = data[:place]
            case 2:
                data = data[:place] + data[place : place + 9] * draw(st.integers(2, 40)) + data[place:]
            case 3:
                data += draw(st.sampled_from(decoder.seeds))
            case _:
                flipped = bytes([data[place] ^ (1 << draw(st.integers(0, 7)))]) if place < len(data) else b""
                data = data[:place] + flipped + data[place + 1 :]
        if decoder.sealed and draw(st.booleans()):
            data = seal(data[:-2])
    return data


def fuzz(name: str, examples: int) -> None:
    decoder = DECODERS[name]

    @settings(max_examples=examples, database=None, suppress_health_check=list(HealthCheck))
    @given(data=mutants(decoder))
    def run(data: bytes) -> None:
        begun = time.process_time()
        decoder.feed(data)
        assert time.process_time() - begun < CASE_WITHIN

    run()


@panics
@pytest.mark.parametrize("name", DECODERS)
def test_real_inputs_pass(name: str) -> None:
    decoder = DECODERS[name]
    assert decoder.seeds
    for seed in decoder.seeds:
        decoder.feed(seed)


@panics
@pytest.mark.parametrize("name", DECODERS)
def test_a_few_mutants(name: str) -> None:
    fuzz(name, SHORT)


@panics
@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DECODERS)
def test_many_mutants(name: str) -> None:
    fuzz(name, LONG)


def test_the_fuzzer_finds_a_planted_bug() -> None:
    def planted(data: bytes) -> None:
        assert b"\x00" not in data[:4]

    DECODERS["planted"] = Decoder(planted, [b"\x01\x03\x02\x02\xf2\x38\xa1"])
    try:
        with pytest.raises(AssertionError):
            fuzz("planted", 500)
    finally:
        del DECODERS["planted"]
