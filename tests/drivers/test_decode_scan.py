"""Which profile reads a device on a bus: all of its registers must be there, and hold what they may hold."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest

from drivers._decode_scan import Scan
from drivers._modbus_master import Answer, Manners, Master, Outcome
from gateway.protocols.modbus import Reply, Request


class Registers:
    """Stands in for a master: answers with these registers, refuses all others."""

    def __init__(self, function: int, values: Mapping[int, int]) -> None:
        self._function = function
        self._values = values

    async def ask(self, request: Request, manners: Manners) -> Answer:
        """Return what a device of these registers says."""
        del manners
        wanted = range(request.start, request.start + request.count)
        if request.function != self._function or not set(wanted) <= self._values.keys():
            return Answer(Outcome.REFUSED, Reply(b"", exception=2))
        return Answer(Outcome.ANSWERED, Reply(b"", tuple(self._values[place] for place in wanted)))


@pytest.mark.parametrize(
    ("profile", "function", "registers", "fits"),
    [
        ("xy-md02", 4, {1: 200, 2: 400}, True),
        ("xy-md02", 4, {1: 200, 2: 5000}, False),
        ("xy-md02", 4, {1: 200}, False),
        ("dyp-a19", 3, {0x100: 1500, 0x102: 215}, True),  # it reads each by a request of its own
        ("dyp-a19", 3, {0x100: 1500, 0x102: 5000}, False),
        ("dyp-a19", 3, {0x100: 0xFFFE, 0x102: 215}, False),
    ],
)
def test_a_profile_fits_when_all_its_registers_hold_what_they_may(
    profile: str,
    function: int,
    registers: dict[int, int],
    fits: bool,  # noqa: FBT001 - the case
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drivers._decode_scan._SHOWN", 1000)
    scan = Scan(cast("Master", Registers(function, registers)), 0.1, lambda: None)
    found = asyncio.run(scan.recognise(1, 9600))
    assert (profile in found.profiles) is fits
