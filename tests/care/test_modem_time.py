"""Time from the network by way of a modem: what its clock shows, whether it is asked, and whether it is believed."""

from __future__ import annotations

import asyncio
import tomllib
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.modem import SimulatedModem
from gateway.clock import SECOND
from gateway.model.moment import Epoch, Input
from gateway.pipeline.timekeeper import Timekeeper
from gateway.protocols.at import clock_time
from gateway.testing import FakeClock
from tests.gateway.modem_bench import Bench, bench

TRUE = 1_790_000_000
CASES = tomllib.loads((Path(__file__).parents[1] / "cases/time/modem_clock.toml").read_text(encoding="utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"])
def test_a_modems_clock_is_read_with_its_zone_or_not_at_all(case: dict[str, str | int]) -> None:
    assert clock_time(str(case["text"])) == case.get("utc")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"\d\d/\d\d/\d\d,\d\d:\d\d:\d\d[+-]\d\d?", fullmatch=True))
def test_whatever_a_modem_shows_nothing_breaks(text: str) -> None:
    found = clock_time(text)
    assert found is None or 946_000_000 < found < 4_200_000_000


def asked(ends: Bench, times: int) -> bool:
    """Whether the modem was asked for its clock more often than that."""
    return ends.modem.commands.count("AT+CCLK?") > times


def lived(*, clock: str = "", refused: frozenset[str] = frozenset()) -> list[tuple[str, float]]:
    """Run a box that woke in 1970 beside a simulated modem; return (source, seconds wrong) of every epoch."""
    seen: list[Input] = []

    def prepare(modem: SimulatedModem) -> None:
        modem.network.ahead = TRUE - 60
        modem.faults.clock, modem.faults.refused_commands = clock, refused

    async def main() -> None:
        box = FakeClock(mono=0, wall=60 * SECOND)
        box.trust(synchronised=False)
        keeper = Timekeeper(box, seen.append)
        async with bench(box, prepare=prepare) as ends:
            for rounds in range(3):
                await ends.drive(partial(asked, ends, rounds), seconds=90, step=5)
                answered = iter((False, True))
                await ends.drive(partial(next, answered))  # the line is quiet
                if (told := ends.session.time) is not None:
                    keeper.hear(told.mono, told.wall, told.error)
                keeper.look()

    asyncio.run(main())
    return [
        (item.source, abs(item.wall_offset / SECOND - TRUE))
        for item in seen
        if isinstance(item, Epoch) and item.trusted
    ]


def test_a_box_that_woke_in_1970_learns_the_time_from_the_network() -> None:
    epochs = lived()
    assert [source for source, _ in epochs] == ["modem"]
    assert epochs[0][1] <= 2.0


@pytest.mark.parametrize(
    ("clock", "refused"),
    [
        ("80/01/06,00:00:00+00", frozenset[str]()),  # never told
        ("04/01/01,00:00:12+32", frozenset[str]()),
        ("26/09/21,22:13:20+32", frozenset[str]()),  # stands
        ("26/09/21,22:13:20", frozenset[str]()),  # no zone
        ("rubbish", frozenset[str]()),
        ("", frozenset({"AT+CCLK"})),
        ("", frozenset({"AT+CTZU"})),  # never follows the network
    ],
)
def test_a_modem_that_does_not_know_the_time_is_not_believed(clock: str, refused: frozenset[str]) -> None:
    assert lived(clock=clock, refused=refused) == []
