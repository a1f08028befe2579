"""What comes back: replies and reports are read, joined, told once, and freed only when they are accepted."""

from __future__ import annotations

import asyncio

from drivers.simulated.modem import SimulatedModem
from gateway.protocols.smspdu import Deliver, decode, encode
from gateway.testing import FakeClock
from tests.gateway.modem_bench import NUMBER, bench, play

ALERT = "【微型消防站】1号楼3层烟感报警，请立即到场处置，回复1确认。"


def test_a_reply_is_kept_in_the_modem_until_it_is_accepted() -> None:
    async def scene() -> None:
        async with bench(accept=False) as b:
            await b.up()
            b.modem.receive(NUMBER, "１ 收到")
            await b.until(lambda: b.heard.replies)
            (reply,) = b.heard.replies
            assert (reply.number, reply.text, reply.complete) == (NUMBER, "１ 收到", True)
            assert reply.sent is not None
            await b.send("other work goes on")
            assert len(b.modem.network.stored["ME"]) == 1
            assert not any(each.startswith("AT+CMGD") for each in b.modem.commands)
            b.session.accepted(b.heard.tokens[0])
            await b.until(lambda: not b.modem.network.stored["ME"])

    play(scene())


def test_a_listing_tells_nothing_twice() -> None:
    async def scene() -> None:
        async with bench(accept=False) as b:
            await b.up()
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.replies)
            b.modem.announce("+SMS FULL")
            await b.until(lambda: b.modem.commands.count("AT+CMGL=4") == 2)
            b.session._inbox.list_soon()  # noqa: SLF001 - so that the listing comes before the deletion
            b.session.accepted(b.heard.tokens[0])
            await b.until(lambda: not b.modem.network.stored["ME"])
            assert b.modem.commands.count("AT+CMGL=4") == 3
            assert b.heard.texts == ["1"]

    play(scene())


def test_a_process_that_dies_between_reading_and_freeing_gets_the_reply_again() -> None:
    async def scene() -> None:
        async with bench(accept=False) as b:
            await b.up()
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.replies)
            next_life = await b.again()
            await b.until(lambda: next_life.heard.replies)
            assert next_life.heard.texts == ["1"]
            assert next_life.heard.tokens == b.heard.tokens
            await b.until(lambda: not b.modem.network.stored["ME"])
            await next_life.stop()

    play(scene())


def test_a_late_acceptance_frees_nothing_that_came_later() -> None:
    async def scene() -> None:
        async with bench(accept=False) as b:
            await b.up()
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.replies)
            next_life = await b.again(accept=False)
            b.modem.network.stored["ME"].clear()
            b.modem.receive(NUMBER, "2")
            await b.until(lambda: next_life.heard.replies)
            next_life.session.accepted(b.heard.tokens[0])
            await next_life.send()
            assert len(b.modem.network.stored["ME"]) == 1
            await next_life.stop()

    play(scene())


def test_a_long_reply_is_joined_and_its_parts_are_freed_together() -> None:
    async def scene() -> None:
        async with bench(accept=False) as b:
            await b.up()
            text = "已到场，" * 40
            first, *rest = b.modem.network.written(NUMBER, text)
            b.modem.deliver(rest[-1])
            b.modem.deliver(first)
            await b.send()
            assert b.heard.replies == []
            for pdu in rest[:-1]:
                b.modem.deliver(pdu)
            await b.until(lambda: b.heard.replies)
            assert b.heard.texts == [text]
            assert len(b.modem.network.stored["ME"]) == 3
            b.session.accepted(b.heard.tokens[0])
            await b.until(lambda: not b.modem.network.stored["ME"])

    play(scene())


def test_part_of_a_reply_is_told_when_the_rest_never_comes() -> None:
    async def scene() -> None:
        async with bench(FakeClock()) as b:
            await b.up()
            b.modem.deliver(b.modem.network.written(NUMBER, "已到场，" * 40)[0])
            took = await b.drive(lambda: b.heard.replies, seconds=700, step=5)
            assert 600 <= took <= 640
            assert b.heard.texts[0].startswith("已到场")
            assert not b.heard.replies[0].complete

    play(scene())


def test_replies_are_read_between_the_parts_of_a_long_message() -> None:
    async def scene() -> None:
        async with bench(seconds_per_sms=0.05) as b:
            await b.up()
            long = asyncio.create_task(b.send("火" * 600))
            await b.until(lambda: b.modem.network.parts)
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.replies)
            assert len(b.modem.network.parts) <= 3
            await long

    play(scene())


def test_what_was_stored_before_the_start_is_read_and_a_full_storage_is_emptied() -> None:
    def fill(modem: SimulatedModem) -> None:
        for n in range(6):
            modem.receive(NUMBER, f"{n}")

    async def scene() -> None:
        async with bench(storage=5, prepare=fill) as b:
            await b.until(lambda: len(b.heard.replies) == 5 and not b.modem.network.stored["ME"])
            assert b.heard.texts == ["0", "1", "2", "3", "4"]
            assert b.modem.network.lost == 1
            assert b.heard.counts["storage_full"] == 1
            b.modem.receive(NUMBER, "6")
            await b.until(lambda: b.heard.texts[-1] == "6")

    play(scene())


def test_parts_that_fill_the_storage_make_room_as_they_are() -> None:
    async def scene() -> None:
        async with bench(storage=2) as b:
            await b.up()
            one, two, _ = b.modem.network.written(NUMBER, "火" * 150)
            b.modem.deliver(one)
            b.modem.deliver(two)
            b.modem.receive(NUMBER, "lost: no place")
            b.session._facts.storage_used = 2  # noqa: SLF001 - what the next poll would find after half a minute
            b.modem.announce("+SMS FULL")
            await b.until(lambda: not b.modem.network.stored["ME"])
            assert b.heard.texts == ["火" * 134]

    play(scene())


def test_a_message_that_cannot_be_read_is_shown_and_freed() -> None:
    async def scene() -> None:
        async with bench(accept=False) as b:
            await b.up()
            broken = bytes.fromhex("07912143658709F1FF0B918100551512F2")
            b.modem.deliver(broken)
            await b.until(lambda: b.heard.replies)
            assert (b.heard.replies[0].number, b.heard.replies[0].text) == ("", broken.hex().upper())
            assert b.heard.counts["unreadable"] == 2  # read again before it is believed to be broken
            b.session.accepted(b.heard.tokens[0])
            await b.until(lambda: not b.modem.network.stored["ME"])

    play(scene())


def test_a_reply_that_was_garbled_on_the_line_is_read_again() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.up()
            b.modem.faults.garbled_reads = 1
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.replies)
            assert b.heard.texts == ["1"]
            assert b.heard.counts["unreadable"] == 1
            await b.until(lambda: not b.modem.network.stored["ME"])

    play(scene())


def test_reports_that_the_modem_stores_are_read_from_their_memory() -> None:
    def no_direct_reports(modem: SimulatedModem) -> None:
        modem.faults.indications = ("2,1,0,2,0",)

    async def scene() -> None:
        async with bench(prepare=no_direct_reports) as b:
            (reference,) = await b.send()
            await b.until(lambda: b.heard.reports)
            assert b.heard.reports[0].reference == reference
            await b.until(lambda: not b.modem.network.stored["SR"])
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.texts == ["1"] and not b.modem.network.stored["ME"])

    play(scene())


def test_a_direct_message_and_a_report_among_messages_are_told_by_what_they_are() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.send()
            pdu = b.modem.network.written(NUMBER, "直接")[0]
            message = decode(pdu)
            assert isinstance(message, Deliver)
            b.modem.announce(f"+CMT: ,{len(pdu) - 1}\r\n{encode(message).hex().upper()}")
            await b.until(lambda: b.heard.texts == ["直接"])
            report = b.modem.network.report(b.modem.network.parts[0].message, 77)
            assert report is not None
            b.modem.deliver(report)  # in the memory of messages
            await b.until(lambda: any(r.reference == 77 for r in b.heard.reports))
            await b.until(lambda: not b.modem.network.stored["ME"])

    play(scene())


def test_a_reply_that_was_never_announced_is_found() -> None:
    def no_indications(modem: SimulatedModem) -> None:
        modem.faults.indications = ()

    async def scene() -> None:
        async with bench(FakeClock(), prepare=no_indications) as b:
            await b.up()
            b.modem.network.keep("ME", b.modem.network.written(NUMBER, "1")[0])
            assert await b.drive(lambda: b.heard.replies) <= 31

    play(scene())
