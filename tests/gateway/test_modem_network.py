"""The modem session when the SIM or the network misbehaves: said, waited for, and the radio cycled, not too often."""

from __future__ import annotations

import asyncio

from drivers.simulated.modem import SimulatedModem
from gateway.testing import FakeClock
from tests.gateway.modem_bench import ALERT, bench, play, reason, refused


def no_sim(modem: SimulatedModem) -> None:
    modem.faults.sim = ""


def test_without_sim_a_notice_is_refused_at_once_until_one_is_put_in() -> None:
    async def scene() -> None:
        async with bench(prepare=no_sim) as b:
            await b.until(lambda: reason(b) == "SIM: +CME 10: no SIM")
            error = await refused(b)
            assert (error.reason, error.retryable) == ("SIM: +CME 10: no SIM", False)
            b.modem.faults.sim = "READY"
            b.modem.announce("+CPIN: READY")
            await b.up()
            await b.send(ALERT)
            b.modem.faults.sim = ""
            b.modem.announce("+CPIN: NOT READY")
            await b.until(lambda: not b.session.status.up)

    play(scene())


def test_what_waits_in_the_queue_is_refused_when_the_ladder_ends_below() -> None:
    async def scene() -> None:
        async with bench(prepare=no_sim) as b:
            assert not (await refused(b)).retryable  # handed over before the ladder was climbed

    play(scene())


def test_a_busy_sim_is_waited_for() -> None:
    def busy(modem: SimulatedModem) -> None:
        modem.faults.sim_busy = 3

    async def scene() -> None:
        async with bench(FakeClock(), prepare=busy) as b:
            assert await b.drive(lambda: b.session.status.up) <= 4

    play(scene())


def locked(modem: SimulatedModem) -> None:
    modem.faults.sim = "SIM PIN"


def test_the_pin_opens_the_sim() -> None:
    async def scene() -> None:
        async with bench(FakeClock(), prepare=locked, pin="1234") as b:
            await b.drive(lambda: b.session.status.up)
            await b.send(ALERT)

    play(scene())


def test_a_wrong_pin_is_tried_once_only() -> None:
    async def scene() -> None:
        async with bench(FakeClock(), prepare=locked, pin="9999") as b:
            await b.drive(lambda: b.heard.statuses)
            assert b.session.status.pin_refused
            tried = [each for each in b.modem.commands if each.startswith("AT+CPIN=")]
            await b.drive(lambda: b.modem.commands.count("AT+CPIN?") >= 10, step=2)
            assert [each for each in b.modem.commands if each.startswith("AT+CPIN=")] == tried == ['AT+CPIN="9999"']
            assert "PIN refused" in (await refused(b)).reason

    play(scene())


def test_an_unregistered_modem_is_told_as_down_but_still_tried() -> None:
    def searching(modem: SimulatedModem) -> None:
        modem.faults.registration = modem.faults.registration_lte = 2

    async def scene() -> None:
        async with bench(prepare=searching) as b:
            await b.until(lambda: reason(b) == "not registered: searching")
            assert (await refused(b)).retryable
            b.modem.faults.registration_lte = 1
            b.modem.announce("+CEREG: 1")
            await b.up()
            assert b.session.status.registration == "home"
            await b.send(ALERT)

    play(scene())


def test_registration_for_lte_alone_is_enough() -> None:
    def lte_only(modem: SimulatedModem) -> None:
        modem.faults.registration = 0
        modem.faults.refused_commands = frozenset({"AT+COPS", "AT+COLP"})

    async def scene() -> None:
        async with bench(prepare=lte_only) as b:
            await b.up()
            await b.send(ALERT)

    play(scene())


def test_the_service_centre_number_is_missed() -> None:
    def nameless(modem: SimulatedModem) -> None:
        modem.faults.service_centre = ""

    async def scene() -> None:
        async with bench(prepare=nameless) as b:
            await b.until(lambda: reason(b) == "no service centre number")
            assert (await refused(b)).reason == "+CMS 330: no service centre number"

    play(scene())


def test_the_radio_is_cycled_after_three_network_failures_and_not_again_soon() -> None:
    async def scene() -> None:
        async with bench(FakeClock()) as b:
            await b.up()
            b.modem.faults.refuse.extend([332] * 8)
            for _ in range(8):
                await refused(b)
            assert b.heard.counts["radio_cycled"] == 1
            assert b.modem.commands.count("AT+CFUN=0") == 1
            await b.send(ALERT)

    play(scene())


def test_the_radio_is_cycled_after_three_messages_without_answer() -> None:
    async def scene() -> None:
        async with bench(FakeClock()) as b:
            await b.up()
            b.modem.faults.no_prompt = 3
            for _ in range(3):
                waiting = asyncio.create_task(refused(b))
                await b.drive(waiting.done)
            await b.until(lambda: b.heard.counts["radio_cycled"] == 1)
            await b.send(ALERT)

    play(scene())


def test_the_radio_is_cycled_when_the_network_stays_away() -> None:
    async def scene() -> None:
        async with bench(FakeClock()) as b:
            await b.up()
            b.modem.faults.registration = b.modem.faults.registration_lte = 2
            b.modem.announce("+CREG: 2")
            b.modem.announce("+CEREG: 2")
            took = await b.drive(lambda: b.heard.counts["radio_cycled"], seconds=400, step=5)
            assert 295 <= took <= 340
            # An answer that a busy machine is late with begins the wait anew: driven time does not wait for it.
            await b.drive(lambda: b.heard.counts["radio_cycled"] == 2, seconds=3_000, step=5)

    play(scene())
