"""Mains and battery: what a NUT server says, what a lost phase means, and a battery that runs out ends in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.care.own import furnished
from gateway.care.power import EXIT, GRACE, HOLD, LOOK_EVERY, Power, PowerOffError, Ups, power_off
from gateway.clock import SECOND, SystemClock
from gateway.errors import LinkDown, ProtocolViolation
from gateway.model.batch import Batch
from gateway.model.care import AtLow, PowerSpec
from gateway.model.inventory import BOX, numbered
from gateway.model.station import Station, StoreSpec
from gateway.protocols import nut
from gateway.testing import FakeClock
from gateway.transport.nut import variables
from tests.patience import PATIENCE, until

IDS = numbered(furnished(Station(id="s", name="s", store=StoreSpec(path="/nowhere/s.db")))) | {"io.di1": 99}
NAMES = {number: name for name, number in IDS.items()}
ANSWER = [
    "BEGIN LIST VAR ups",
    'VAR ups battery.charge "87"',
    'VAR ups battery.runtime "1430.5"',
    'VAR ups device.model "Back \\"UPS\\" 700"',
    'VAR ups ups.status "OL CHRG"',
    "END LIST VAR ups",
]


def answer(status: str, charge: str = "87") -> list[str]:
    """Return an answer of a UPS."""
    return ["BEGIN LIST VAR ups", f'VAR ups battery.charge "{charge}"', f'VAR ups ups.status "{status}"', ANSWER[-1]]


# -- what a NUT server says


def test_an_answer_is_read() -> None:
    found = nut.variables(ANSWER, "ups")
    assert found["device.model"] == 'Back "UPS" 700'
    assert nut.figures(found) == {"mains": 1, "battery_low": 0, "battery_charge": 87, "battery_runtime": 1430.5}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("OL", {"mains": 1.0, "battery_low": 0.0}),
        ("OB DISCHRG", {"mains": 0.0, "battery_low": 0.0}),
        ("OB LB", {"mains": 0.0, "battery_low": 1.0}),
        ("OL LB CHRG", {"mains": 1.0, "battery_low": 0.0}),  # an old battery while it is charged
        ("FSD OB LB", {"mains": 0.0, "battery_low": 1.0}),
        ("", {}),
        ("WAIT", {}),
    ],
)
def test_words_of_a_status(status: str, expected: dict[str, float]) -> None:
    assert nut.figures({"ups.status": status, "battery.charge": "unknown"}) == expected


@pytest.mark.parametrize(
    "lines", [[], ["ERR UNKNOWN-UPS"], ANSWER[:-1], ANSWER[1:], ["BEGIN LIST VAR other", "END LIST VAR other"], ["x"]]
)
def test_a_refusal_or_half_an_answer_is_none(lines: list[str]) -> None:
    with pytest.raises(ProtocolViolation):
        nut.variables(lines, "ups")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=40) | st.sampled_from(ANSWER), max_size=8))
def test_whatever_a_server_says_nothing_breaks(lines: list[str]) -> None:
    try:
        nut.figures(nut.variables(lines, "ups"))
    except ProtocolViolation:
        return


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ups@localhost", ("ups", "localhost", 3493)),
        ("ups@127.0.0.1:4000", ("ups", "127.0.0.1", 4000)),
        ("apc@[::1]:4000", ("apc", "::1", 4000)),
        ("apc@[::1]", ("apc", "::1", 3493)),
    ],
)
def test_addresses(text: str, expected: tuple[str, str, int]) -> None:
    assert nut.address(text) == expected


@asynccontextmanager
async def server(lines: list[str], *, hangs: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A NUT server that says these lines to every question."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        if hangs:
            await reader.read()
        writer.write("".join(f"{line}\n" for line in lines).encode())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], asked
    finally:
        listening.close()


def asked_of(lines: list[str], *, hangs: bool = False, deadline: float = PATIENCE) -> dict[str, str]:
    """Ask a real server."""

    async def main() -> dict[str, str]:
        async with server(lines, hangs=hangs) as (port, asked):
            found = await variables("ups", "127.0.0.1", port, clock=SystemClock(), deadline=deadline)
            assert asked == [b"LIST VAR ups\n"]
            return found

    return asyncio.run(main())


def test_a_server_is_asked_over_a_real_socket() -> None:
    assert asked_of(ANSWER)["battery.charge"] == "87"


def test_a_server_that_hangs_is_gone_or_says_no_end_is_a_link_that_is_down() -> None:
    with pytest.raises(LinkDown, match="within"):
        asked_of(ANSWER, hangs=True, deadline=0.3)
    with pytest.raises(LinkDown):
        asked_of(["x" * 100_000])
    with pytest.raises(LinkDown):
        asyncio.run(variables("ups", "127.0.0.1", 1, clock=SystemClock(), deadline=PATIENCE))
    with pytest.raises(ProtocolViolation, match="UNKNOWN-UPS"):
        asked_of(["ERR UNKNOWN-UPS"])


def told(batch: Batch) -> dict[str, float]:
    """Return a batch by names."""
    return {
        NAMES[point].removeprefix(f"{BOX}."): value
        for point, value in zip(batch.point.tolist(), batch.value.tolist(), strict=True)
    }


@pytest.mark.parametrize("phase", ["", "io.di1"])
def test_a_ups_becomes_points_and_a_phase_of_ones_own_counts_more_than_its_word(phase: str) -> None:
    batches: list[Batch] = []

    async def main() -> None:
        async with server(answer("OB LB", "12")) as (port, _):
            spec = PowerSpec(nut=f"ups@127.0.0.1:{port}", mains_lost=phase)
            ups = Ups(spec, batches.append, ids=IDS, clock=SystemClock())
            task = asyncio.create_task(ups.run())
            await until(lambda: batches)
            assert ups.low
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert not ups.low

    asyncio.run(main())
    assert told(batches[0]) == {"battery_charge": 12} | ({} if phase else {"mains": 0})


# -- what is done


class Site:
    """A station without mains, as far as the power part sees it."""

    def __init__(self, spec: PowerSpec) -> None:
        self.clock = FakeClock()
        self.levels: dict[str, float | None] = {}
        self.said_low = False
        self.batches: list[Batch] = []
        self.done: list[tuple[str, float]] = []
        self.commits = True
        self._start = self.clock.mono()
        self.power = Power(
            spec,
            self._put,
            level=self.levels.get,
            said_low=lambda: self.said_low,
            ids=IDS,
            clock=self.clock,
            stop=lambda code: self._note(f"stop {code}"),
            power_off=self._off,
        )

    def _put(self, batch: Batch) -> None:
        self.batches.append(batch)
        if batch.waiting:
            self._note("told")
            if self.commits:
                batch.ack()

    def _note(self, what: str) -> None:
        self.done.append((what, (self.clock.mono() - self._start) / SECOND))

    async def _off(self) -> None:
        self._note("off")

    def play(self, scene: Callable[[], Awaitable[Any]]) -> list[str]:
        """Run a scene beside the part; return what was done."""

        async def main() -> None:
            task = asyncio.create_task(self.power.run())
            await scene()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())
        return [what for what, _ in self.done]


def low_battery(site: Site) -> None:
    """Let the mains fail with a battery at 10 %."""
    site.levels |= {f"{BOX}.mains": 0.0, f"{BOX}.battery_charge": 10.0, "io.di1": 1.0}


@pytest.mark.parametrize(
    ("at_low", "expected"), [("stay", []), ("stop", ["told", f"stop {EXIT}"]), ("poweroff", ["told", "off"])]
)
@pytest.mark.parametrize("phase", ["", "io.di1"])
def test_the_alarm_is_committed_and_told_before_the_station_ends(
    at_low: AtLow, expected: list[str], phase: str
) -> None:
    site = Site(PowerSpec(at_low=at_low, mains_lost=phase))

    async def scene() -> None:
        await site.clock.advance(60)
        low_battery(site)
        await site.clock.advance(300)

    assert site.play(scene) == expected
    lows = [told(batch).get("battery_low") for batch in site.batches]
    assert lows[-1] == 1.0
    assert (0.0 in lows) is False  # before that nothing was known
    if expected:
        (_, alarmed), (_, ended) = site.done
        assert HOLD <= alarmed - 60 <= HOLD + 2 * LOOK_EVERY
        assert ended - alarmed >= GRACE


def test_mains_that_come_back_call_it_off_and_the_next_time_counts_anew() -> None:
    site = Site(PowerSpec(at_low="stop"))

    async def scene() -> None:
        low_battery(site)
        await site.clock.advance(HOLD + LOOK_EVERY + 10)
        site.levels[f"{BOX}.mains"] = 1.0
        await site.clock.advance(300)
        assert [what for what, _ in site.done] == ["told"]
        low_battery(site)
        await site.clock.advance(300)

    assert site.play(scene) == ["told", "told", f"stop {EXIT}"]


@pytest.mark.parametrize(
    "levels",
    [
        {},
        {f"{BOX}.mains": None, f"{BOX}.battery_charge": 5.0},
        {f"{BOX}.mains": 1.0, f"{BOX}.battery_charge": 5.0},
        {f"{BOX}.mains": 0.0, f"{BOX}.battery_charge": None},
        {f"{BOX}.mains": 0.0, f"{BOX}.battery_charge": 90.0},
    ],
)
def test_what_is_not_known_and_a_battery_that_lasts_end_nothing(levels: dict[str, float | None]) -> None:
    site = Site(PowerSpec(at_low="poweroff"))
    site.levels |= levels
    assert site.play(lambda: site.clock.advance(3600)) == []


def test_a_dip_under_load_ends_nothing() -> None:
    site = Site(PowerSpec(at_low="stop"))

    async def scene() -> None:
        for _ in range(20):
            low_battery(site)
            await site.clock.advance(HOLD - LOOK_EVERY)
            site.levels[f"{BOX}.battery_charge"] = 60.0
            await site.clock.advance(LOOK_EVERY + 1)

    assert site.play(scene) == []


def test_a_ups_that_says_itself_that_it_runs_out_is_believed_and_a_battery_that_tells_nothing_has_its_time() -> None:
    site = Site(PowerSpec(at_low="stop"))
    site.levels[f"{BOX}.mains"] = 0.0
    site.said_low = True
    assert site.play(lambda: site.clock.advance(120)) == ["told", f"stop {EXIT}"]
    timed = Site(PowerSpec(at_low="stop", mains_lost="io.di1", lasts=1800.0))
    timed.levels["io.di1"] = 1.0

    async def scene() -> None:
        await timed.clock.advance(1790)
        assert timed.done == []
        await timed.clock.advance(120)

    assert timed.play(scene) == ["told", f"stop {EXIT}"]


def test_a_lost_phase_is_the_mains_point_of_the_box() -> None:
    site = Site(PowerSpec(mains_lost="io.di1"))
    site.levels["io.di1"] = 1.0
    site.play(lambda: site.clock.advance(6))
    assert told(site.batches[-1]) == {"mains": 0.0, "battery_low": 0.0}


def test_nothing_ends_before_the_alarm_is_committed() -> None:
    site = Site(PowerSpec(at_low="stop"))
    site.commits = False
    low_battery(site)
    assert site.play(lambda: site.clock.advance(3600)) == ["told"]


def test_a_machine_that_cannot_be_switched_off_is_a_fault_and_goes_on() -> None:
    clock = SystemClock()
    asyncio.run(power_off("true", clock=clock))
    for command in (["false"], ["/nonexistent/systemctl"], ["sh", "-c", "echo no right >&2; exit 3"]):
        with pytest.raises(PowerOffError):
            asyncio.run(power_off(*command, clock=clock))
