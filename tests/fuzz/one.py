"""One decoder in a process of its own: `python -m tests.fuzz.one "gb26875 talk" -runs=1000000 CORPUS`.

Coverage leads, by atheris (libFuzzer), whose options all others are; where there is no atheris (other machines than
x86-64) mutants are fed. `--replay FOLDER` feeds what was fed before a failure once more: a decoder may remember.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.mutants import fuzz

if TYPE_CHECKING:
    from tests.fuzz.feeding import Decoder

# What is followed: decoders and what they are made of, not the house around them.
FOLLOWED = (
    "gateway.protocols.",
    "gateway.config.text",
    "gateway.config.spreadsheet",
    "gateway.config.kept",
    "gateway.escalation.reply",
    "gateway.store.journal",
    "rules.language",
    "drivers.",
)
# Nor a step for every byte of a checksum, nor how `decode` words what was found: no branches to find, much time.
_NOT_FOLLOWED = (
    "drivers._decode_said",
    "drivers.simulated.",
    "drivers._profiles",
    "gateway.protocols.modbus_line",
    "gateway.protocols.sparkplug_pb2",
)
_HOUSE = ("gateway", "drivers", "rules")
REMEMBERED = 2_000  # inputs that a failure leaves behind
BLOCKS = 300_000  # objects that a decoder may come to hold; a leak of one an input is found within a third of a million
MUTANTS = 100_000
_LOOK = 4_096  # inputs between two looks at what is held
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None


class GrowthError(Exception):
    """A decoder holds more and more."""


class Feeder:
    """Feeds a decoder, remembers what was fed last, and looks whether it grows."""

    def __init__(self, decoder: Decoder, folder: Path) -> None:
        self._decoder = decoder
        self._folder = folder
        self._last: deque[bytes] = deque(maxlen=REMEMBERED)
        self._number = 0
        self._begin = 0

    def feed(self, data: bytes) -> None:
        """Feed one input."""
        self._last.append(data)
        self._number += 1
        try:
            self._decoder.feed(data)
            if self._number % _LOOK == 0:
                self._look()
        except BaseException:
            self._keep()
            raise

    def _look(self) -> None:
        held = sys.getallocatedblocks()
        self._begin = self._begin or held
        if held - self._begin > BLOCKS:
            raise GrowthError(f"{held - self._begin} objects more than after {_LOOK} inputs")

    def _keep(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(self._last):
            (self._folder / f"{number:04}").write_bytes(data)


def aside() -> list[str]:
    """Return the modules of the house that are not followed; atheris takes packages whole, and wants these by name."""
    root = Path(__file__).parents[2]
    paths = [path.relative_to(root).with_suffix("") for package in _HOUSE for path in (root / package).rglob("*.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    return [name for name in names if not name.startswith(FOLLOWED) or name.startswith(_NOT_FOLLOWED)]


def decoder_of(name: str) -> Decoder:
    """Import the decoders, followed if they can be, and return one that has its devices."""
    if HAS_ATHERIS:
        atheris = importlib.import_module("atheris")  # not on every machine
        with atheris.instrument_imports(include=list(_HOUSE), exclude=aside()):
            from tests.fuzz.decoders import DECODERS

            DECODERS[name].renew()
            return DECODERS[name]
    from tests.fuzz.decoders import DECODERS

    return DECODERS[name]


def main() -> None:
    """Fuzz or replay."""
    name, *arguments = sys.argv[1:]
    if arguments[:1] == ["--replay"]:
        decoder = decoder_of(name)
        decoder.renew()
        for path in sorted(Path(arguments[1]).iterdir()):
            decoder.feed(path.read_bytes())
        return
    if not HAS_ATHERIS:
        begun = time.monotonic()
        fuzz(decoder_of(name), time.time_ns(), MUTANTS)
        sys.stderr.write(f"stat::number_of_executed_units: {MUTANTS}\n")
        sys.stderr.write(f"stat::average_exec_per_sec: {round(MUTANTS / (time.monotonic() - begun))}\n")
        return
    atheris = importlib.import_module("atheris")

    prefix = next((one.partition("=")[2] for one in arguments if one.startswith("-artifact_prefix=")), "./")
    sys.unraisablehook = lambda _: None  # the MQTT codec leaves one behind for text that is not UTF-8
    atheris.Setup([sys.argv[0], *arguments], Feeder(decoder_of(name), Path(f"{prefix}before")).feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
