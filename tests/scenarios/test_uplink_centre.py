"""The sink `gb26875_uplink` against our own centre, as processes: nothing lost, nothing twice without its mark.

Two daemons on real sockets, and between them a proxy that loses the connection in every state of an exchange; then each
process is killed in the middle of a burst of alarms and faults. What the station's record says is in the centre's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.scenarios.losing_proxy import Cut, How, Proxy, When
from tests.scenarios.uplink_rig import AN_HOUR_LATER, House, Panel, Told, centre, soon, station

BURST, MIDDLE = 32, 21  # words; more than a centre keeps of a device in its store


class Scene:
    """Panel, station, proxy, centre."""

    def __init__(self, panel: Panel, site: House, line: Proxy, far: House) -> None:
        self.panel = panel
        self.site = site
        self.line = line
        self.far = far
        self._loop = asyncio.get_running_loop()

    async def lost(self) -> None:
        """Wait until it was lost as planned."""
        await soon(lambda: not self.line.owed)

    async def settled(self) -> None:
        """Wait until the centre has everything that the station's record says, place by place, and the sink rests."""
        await self.lost()
        await soon(lambda: not self._amiss(), self._amiss)
        await soon(self._rests)
        assert self._amiss() == {}
        assert {place: [one.code for one in told] for place, told in self.site.moves().items()} == self.panel.said

    def _rests(self) -> bool:
        self._loop.call_soon_threadsafe(self.panel.beat)
        return self.site.told_all()

    def _amiss(self) -> dict[str, tuple[list[Told], list[Told]]]:
        """Return where the records differ: place → what the station's says, and the centre's."""
        moves, told = self.site.moves(), _known(self.far.told("site"))
        return {
            place: (moves.get(place, []), told.get(place, []))
            for place in moves.keys() | told.keys()
            if moves.get(place) != told.get(place)
        }


def _known(told: dict[str, list[Told]]) -> dict[str, list[Told]]:
    """Return what was told without what carries a mark, which must be a repeat."""
    for all_of in told.values():
        for number, one in enumerate(all_of):
            assert not one.again or one._replace(again=False) in all_of[:number]
    return {place: [one for one in all_of if not one.again] for place, all_of in told.items()}


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Run everything; both daemons are killed at the end."""
    port = free_port()
    panel, line = Panel(), Proxy(port)
    async with line.serving(), panel.listening() as calls:
        site, far = station(folder / "site", panel=calls, centre=line.port), centre(folder / "far", port)
        try:
            await asyncio.gather(site.start(), far.start())
            yield Scene(panel, site, line, far)
        finally:
            site.kill()
            far.kill()


@pytest.mark.timeout(300)
def test_whatever_is_lost_or_killed_the_centre_knows_all_and_nothing_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as on:
            for when, how in zip(When, cycle((How.FIN, How.RESET)), strict=False):
                on.line.plan(Cut(when, how))
                await on.panel.burst(3)
                await on.settled()
            await half_open(on)
            await sink_killed(on)
            await station_killed(on)
            await centre_killed_after_its_commit(on)
            await centre_killed_before_its_commit(on)
            await an_outage_longer_than_most_memories(on)
            assert on.far.standing("site") == on.site.standing("panel")

    asyncio.run(main())


async def half_open(on: Scene) -> None:
    """Nobody says FIN, and the answer never comes."""
    on.line.plan(Cut(When.ANSWERED, How.SILENCE))
    await on.panel.burst(3)
    await on.settled()


async def sink_killed(on: Scene) -> None:
    """In a burst whose words are confirmed, but for the last: the next process says all of it again."""
    on.line.plan(Cut(When.ANSWERED, meanwhile=on.site.kill_sink), after=MIDDLE)
    await on.panel.burst(BURST)
    await on.settled()


async def station_killed(on: Scene) -> None:
    """Its next life says this burst again, of which the store does not know how far it came, and nothing before it."""
    before = set(on.line.words)
    on.line.plan(Cut(When.MID_ANSWER, meanwhile=on.site.kill), after=MIDDLE)
    saying = asyncio.ensure_future(on.panel.burst(BURST))
    await on.lost()
    said = len(on.line.words)
    await on.site.start()
    await saying
    await on.settled()
    assert not before.intersection(on.line.words[said:])


async def centre_killed_after_its_commit(on: Scene) -> None:
    """Nobody got the answer: the next life knows the word."""
    on.line.plan(Cut(When.ANSWERED, meanwhile=on.far.kill), after=MIDDLE)
    await on.panel.burst(BURST)
    await on.lost()
    await on.far.start()
    await on.settled()


async def centre_killed_before_its_commit(on: Scene) -> None:
    """It has the word and has not confirmed it: the next life gets it once more."""
    said = len(on.line.words)
    on.far.disk(before_commit="hang")
    await on.panel.burst(3)
    await soon(lambda: on.far.hangs() and len(on.line.words) > said)
    on.far.kill()
    on.far.disk()
    await on.far.start()
    await on.settled()


async def an_outage_longer_than_most_memories(on: Scene) -> None:
    """The answer was lost, then the line, for an hour as far as the centre's memory of repeats knows."""

    def shut() -> None:
        on.line.closed = True

    on.line.plan(Cut(When.ANSWERED, meanwhile=shut))
    await on.panel.burst(3)
    await on.lost()
    (on.far.folder / AN_HOUR_LATER).touch()
    await soon(lambda: not on.site.sink()["up"])
    await on.panel.burst(3)
    on.line.closed = False
    await on.settled()
