"""Mutants of real inputs: what decoders are fed where coverage does not lead, and shortly in `make test`."""

from __future__ import annotations

import random
import time

from gateway.protocols.modbus_line import seal
from tests.fuzz.feeding import Decoder

CASE_WITHIN = 1.0  # s of processor time, a thousand times the usual


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


def fuzz(decoder: Decoder, first: int, examples: int) -> None:
    """Feed mutants `first` and following; a failure carries its number and bytes."""
    decoder.renew()
    for number in range(first, first + examples):
        data = mutant(decoder, number)
        begun = time.process_time()
        try:
            decoder.feed(data)
            assert time.process_time() - begun < CASE_WITHIN, "took too long"
        except BaseException as error:
            error.add_note(f"mutant {number}: {data!r}")
            raise
