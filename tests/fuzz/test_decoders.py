"""No bytes break a decoder: real inputs, mutated, cut, repeated and sealed anew, within bounded time for each.

Short and always the same in `make test`; `make fuzz` runs 100 000 new examples of every decoder (`FIREGRID_FUZZ` sets
another number, `FIREGRID_SEED` the first one).
"""

from __future__ import annotations

import os
import random
import time

import pytest

from gateway.protocols.modbus_line import seal
from tests.fuzz.decoders import DECODERS, Decoder

SHORT = 200
LONG = int(os.environ.get("FIREGRID_FUZZ", "100000"))
CASE_WITHIN = 1.0  # s of processor time, a thousand times the usual

# The MQTT codec panics on text that is not UTF-8 and leaves the UnicodeDecodeError behind as unraisable.
panics = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def mutant(decoder: Decoder, number: int) -> bytes:
    """Return input `number`: noise, or a real input after a few strokes: bytes replaced, cut, repeated, joined.

    Made from one number, not from many draws: a hundred thousand are then a matter of seconds.
    """
    rng = random.Random(number)  # noqa: S311 - nothing secret
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(300))
    data = rng.choice(decoder.seeds)
    for _ in range(rng.randrange(5)):
        place, stroke = rng.randrange(len(data) + 1), rng.randrange(5)
        if stroke == 0:
            data = data[:place] + rng.randbytes(rng.randrange(5)) + data[place + rng.randrange(5) :]
        elif stroke == 1:
            data = data[:place]
        elif stroke == 2:
            data = data[:place] + data[place : place + 9] * rng.randrange(2, 40) + data[place:]
        elif stroke == 3:
            data += rng.choice(decoder.seeds)
        elif place < len(data):
            data = data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
        if decoder.sealed and rng.random() < 0.5:
            data = seal(data[:-2])
    return data


def fuzz(name: str, first: int, examples: int) -> None:
    """Feed mutants `first` and following; a failure carries its number and bytes."""
    decoder = DECODERS[name]
    for number in range(first, first + examples):
        data = mutant(decoder, number)
        begun = time.process_time()
        try:
            decoder.feed(data)
            assert time.process_time() - begun < CASE_WITHIN, "took too long"
        except BaseException as error:
            error.add_note(f"mutant {number} of {name}: {data!r}")
            raise


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
    fuzz(name, 0, SHORT)


@panics
@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DECODERS)
def test_many_mutants(name: str) -> None:
    first = int(os.environ.get("FIREGRID_SEED", str(time.time_ns())))
    fuzz(name, first, LONG)


def test_the_fuzzer_finds_a_planted_bug() -> None:
    def planted(data: bytes) -> None:
        assert b"\x00" not in data[:4]

    DECODERS["planted"] = Decoder(planted, [b"\x01\x03\x02\x02\xf2\x38\xa1"])
    try:
        with pytest.raises(AssertionError):
            fuzz("planted", 0, 500)
    finally:
        del DECODERS["planted"]
