"""The modem session against the simulated modem, real bytes on a real pseudo-terminal: sending and receiving."""

from __future__ import annotations

import asyncio

import pytest

from gateway.clock import SystemClock
from gateway.errors import DeliveryError
from gateway.protocols.smspdu import Outcome
from tests.gateway.modem_bench import NUMBER, bench, play

ALERT = "【微型消防站】1号楼3层烟感报警，请立即到场处置，回复1确认。"


def test_the_ladder_is_climbed_in_order_and_the_facts_are_told() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.up()
            status = b.session.status
            assert (status.sim, status.registration, status.operator, status.signal) == (
                "READY",
                "home",
                "CHINA MOBILE",
                -67,
            )
            assert (status.model, status.service_centre) == ("firegrid simulated modem 1", "+8613800100500")
            assert (status.storage_used, status.storage_total) == (0, 20)
            asked = b.modem.commands
            rungs = [
                "AT",
                "ATE0",
                "AT+CMEE=1",
                "AT+CGMI",
                "AT+CPIN?",
                "AT+CMGF=0",
                "AT+CPMS=",
                "AT+CSCA?",
                "AT+CNMI=2,1,0,1,0",
            ]
            places = [next(i for i, each in enumerate(asked) if each.startswith(rung)) for rung in rungs[1:]]
            assert places == sorted(places)

    play(scene())


def test_a_chinese_alert_arrives_as_it_was_written() -> None:
    async def scene() -> None:
        async with bench() as b:
            references = await b.send(ALERT)
            assert [(m.number, m.text, m.parts) for m in b.modem.sent] == [(NUMBER, ALERT, 1)]
            part = b.modem.network.parts[0]
            assert (part.message.coding, part.message.report, part.message.validity.hex()) == (8, True, "17")
            await b.until(lambda: b.heard.reports)
            assert [(r.reference, r.number, r.outcome) for r in b.heard.reports] == [
                (references[0], NUMBER, Outcome.DELIVERED)
            ]

    play(scene())


def test_a_long_text_goes_in_parts_with_the_callers_reference() -> None:
    async def scene() -> None:
        async with bench() as b:
            text = ALERT * 5
            assert await b.send(text, reference=300) == [1, 2, 3]
            assert b.modem.sent[0].text == text
            places = [part.message.user.concatenation for part in b.modem.network.parts]
            assert [(p.reference, p.total, p.sequence) for p in places if p] == [(44, 3, 1), (44, 3, 2), (44, 3, 3)]

    play(scene())


def test_a_higher_class_goes_between_the_parts_of_a_long_message() -> None:
    async def scene() -> None:
        async with bench(seconds_per_sms=0.05) as b:
            await b.up()
            long = asyncio.create_task(b.send("维" * 300, priority=5))
            queued = asyncio.create_task(b.send("故障", priority=4))
            await b.until(lambda: any(each.startswith("AT+CMGS") for each in b.modem.commands))
            fire = asyncio.create_task(b.send("火警", priority=0))
            await asyncio.gather(long, fire, queued)
            order = [part.message.user.text[:2] for part in b.modem.network.parts]
            # whichever was first in the modem when the fire came, the fire is next
            assert order.index("火警") == 1
            assert order.index("故障") <= 2
            assert len(order) == 7
            assert [m.text[:2] for m in b.modem.sent][-1] == "维维"

    play(scene())


def test_within_a_class_the_order_is_kept_and_who_gave_up_is_left_out() -> None:
    async def scene() -> None:
        async with bench(seconds_per_sms=0.01) as b:
            tasks = [asyncio.create_task(b.send(f"{n}", priority=1, reference=n)) for n in range(6)]
            await asyncio.sleep(0)
            tasks[3].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert [m.text for m in b.modem.sent] == ["0", "1", "2", "4", "5"]

    play(scene())


def test_the_hook_is_called_before_the_first_byte() -> None:
    async def scene() -> None:
        clock = SystemClock()
        async with bench(clock) as b:
            await b.up()
            times: list[int] = []
            await b.session.send(NUMBER, ALERT * 3, priority=0, reference=1, started=lambda: times.append(clock.mono()))
            assert len(times) == 1
            assert times[0] <= b.modem.sent[0].at

    play(scene())


@pytest.mark.parametrize("number", ["", "12 34", "+86138001380001380013800"])
def test_a_number_that_cannot_be_dialled_is_refused_for_good(number: str) -> None:
    async def scene() -> None:
        async with bench() as b:
            with pytest.raises(DeliveryError) as refused:
                await b.send(number=number)
            assert not refused.value.retryable

    play(scene())
