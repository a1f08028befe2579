"""No bytes break a decoder: real inputs, mutated, cut, repeated and sealed anew, within bounded time for each.

Short and always the same here; `make fuzz` (`tests/fuzz/campaign.py`) lets coverage look for a million inputs of each.
"""

from __future__ import annotations

import pkgutil

import pytest

from drivers._panel_device import dialects
from gateway import protocols, registry
from tests.fuzz.decoders import DECODERS
from tests.fuzz.feeding import Decoder
from tests.fuzz.mutants import fuzz, mutant
from tests.fuzz.talks import NOT_ON_A_WIRE

SHORT = 250
CUT = 40
# Modules of `gateway.protocols` that read no foreign bytes, or only through those that are covered.
NO_DECODERS = {"mqtt_topics", "sparkplug", "sparkplug_pb2", "panels"}

# The MQTT codec panics on text that is not UTF-8 and leaves the UnicodeDecodeError behind as unraisable.
panics = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@panics
@pytest.mark.parametrize("name", DECODERS)
def test_real_inputs_pass(name: str) -> None:
    decoder = DECODERS[name]
    assert decoder.seeds
    decoder.renew()
    for seed in decoder.seeds:
        decoder.feed(seed)


@panics
@pytest.mark.parametrize("name", DECODERS)
def test_a_few_mutants(name: str) -> None:
    fuzz(DECODERS[name], 0, SHORT // DECODERS[name].cost)


@pytest.mark.parametrize("name", [name for name, decoder in DECODERS.items() if decoder.in_pieces])
def test_cuts_of_a_conversation_do_not_matter(name: str) -> None:
    decoder = DECODERS[name]
    assert decoder.in_pieces is not None
    decoder.in_pieces([*decoder.seeds, *(mutant(decoder, number) for number in range(CUT))])


def test_every_decoder_is_fuzzed() -> None:
    covered = {part for decoder in DECODERS.values() for part in decoder.covers}
    modules = {found.name for found in pkgutil.iter_modules(protocols.__path__)} - NO_DECODERS
    panels = {f"panels.{name}" for name in dialects()}
    drivers = set(registry.names(registry.Group.DRIVER)) - NOT_ON_A_WIRE
    spoken = set(registry.names(registry.Group.DIALECT))
    missing = (modules | panels | drivers | spoken) - covered
    assert not missing, f"no target in tests/fuzz feeds {sorted(missing)}"


def test_the_fuzzer_finds_a_planted_bug() -> None:
    def planted(data: bytes) -> None:
        assert b"\x00" not in data[:4]

    with pytest.raises(AssertionError):
        fuzz(Decoder(planted, [b"\x01\x03\x02\x02\xf2\x38\xa1"]), 0, 500)
