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
    """Stands in for a master: answers with these input registers, refuses all others."""

    def __init__(self, values: Mapping[int, int]) -> None:
        self._values = values

    async def ask(self, request: Request, manners: Manners) -> Answer:
        """Return what a device of these registers says."""
        del manners
        wanted = range(request.start, request.start + request.count)
        if request.function != 4 or not set(wanted) <= self._values.keys():
            return Answer(Outcome.REFUSED, Reply(b"", exception=2))
        return Answer(Outcome.ANSWERED, Reply(b"", tuple(self._values[place] for place in wanted)))


@pytest.mark.parametrize(
    ("registers", "fits"), [({1: 200, 2: 400}, True), ({1: 200, 2: 5000}, False), ({1: 200}, False)]
)
def test_a_profile_fits_when_all_its_registers_hold_what_they_may(
    registers: dict[int, int],
    fits: bool,  # noqa: FBT001 - the case
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drivers._decode_scan._SHOWN", 1000)
    scan = Scan(cast("Master", Registers(registers)), 0.1, lambda: None)
    found = asyncio.run(scan.recognise(1, 9600))
    assert ("xy-md02" in found.profiles) is fits
