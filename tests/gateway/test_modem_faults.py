"""The modem session when the modem, the SIM, the network or the cable misbehaves: nothing hangs, everything is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.modem import SimulatedModem
from gateway.errors import LinkDown
from gateway.testing import FakeClock
from gateway.transport.at_link import AtLink
from gateway.transport.serial import SerialPort, open_pty
from tests.gateway.modem_bench import ALERT, NUMBER, bench, play, reason, refused


@pytest.mark.parametrize(
    ("number", "retryable", "words"),
    [
        (331, True, "no network"),
        (38, True, "out of order"),
        (50, False, "no SMS"),
        (28, False, "bad number"),
        (613, False, "vendor"),
    ],
)
def test_a_refusal_says_why_and_whether_to_try_again(number: int, words: str, *, retryable: bool) -> None:
    async def scene() -> None:
        async with bench() as b:
            b.modem.faults.refuse.append(number)
            error = await refused(b)
            assert (error.retryable, words in error.reason) == (retryable, True)
            assert await b.send(ALERT) == [1]  # nothing was retried, and the next one passes

    play(scene())


def test_echo_noise_and_unsolicited_lines_inside_answers_do_no_harm() -> None:
    def noisy(modem: SimulatedModem) -> None:
        modem.faults.refused_commands = frozenset({"ATE0"})  # the echo stays on
        modem.faults.noise = b"\x00\xff\x80"
        modem.faults.interject = ["RING", "+CREG: 1", "^RSSI: 20", '+CIEV: "SIGNAL",3', "+CEREG: 1"] * 8

    async def scene() -> None:
        async with bench(prepare=noisy) as b:
            assert len(await b.send(ALERT * 10)) == 3
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.texts == ["1"] and not b.modem.network.stored["ME"])
            assert b.modem.sent[0].text == ALERT * 10
            assert b.heard.counts["timeout"] == 0

    play(scene())


INTERRUPTIONS = (
    "RING",
    "+CREG: 1",
    "+CEREG: 5",
    "NO CARRIER",
    '+CLIP: "13800138000",161',
    "+CDS: 25\r\n0006D60B911326880736F4111011719551401110117195714000",
    "+CUSD: 2",
    "> odd",
    "0006",
    "",
)


@settings(max_examples=15, deadline=None)
@given(
    lines=st.lists(st.sampled_from(INTERRUPTIONS), max_size=60),
    noise=st.sampled_from([b"", b"\x00", b"\xff\xfe", b"\r\n\r\n"]),
)
def test_whatever_stands_between_the_lines_messages_and_replies_get_through(lines: list[str], noise: bytes) -> None:
    def prepare(modem: SimulatedModem) -> None:
        modem.faults.interject = list(lines)
        modem.faults.noise = noise

    async def scene() -> None:
        async with bench(prepare=prepare) as b:
            assert len(await b.send(ALERT * 6)) == 2
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.texts == ["1"] and not b.modem.network.stored["ME"])
            assert [m.text for m in b.modem.sent] == [ALERT * 6]
            assert b.heard.counts["timeout"] == 0

    play(scene())


def without_storage(modem: SimulatedModem) -> None:
    modem.faults.refused_commands = frozenset({"AT+CPMS"})


def without_extras(modem: SimulatedModem) -> None:
    modem.faults.refused_commands = frozenset(
        {"AT+CMEE", "AT+CGMI", "AT+CGSN", "AT+CSMS", "AT+CREG", "AT+CLIP", "AT+COLP", "AT+COPS", "AT+CSCA", "AT+CNMI"}
    )


@pytest.mark.parametrize("poor", [without_storage, without_extras])
def test_a_poor_modem_still_sends(poor: Callable[[SimulatedModem], None]) -> None:
    async def scene() -> None:
        async with bench(prepare=poor) as b:
            await b.send(ALERT)
            assert b.modem.sent[0].text == ALERT

    play(scene())


def test_a_question_that_is_never_answered_is_passed_over() -> None:
    def mute_operator(modem: SimulatedModem) -> None:
        modem.faults.unanswered_commands = frozenset({"AT+COPS"})

    async def scene() -> None:
        async with bench(FakeClock(), prepare=mute_operator) as b:
            assert await b.drive(lambda: b.session.status.up) <= 8
            await b.send(ALERT)
            assert b.heard.counts["modem_reset"] == 0

    play(scene())


def test_a_silent_modem_is_said_reset_and_given_back() -> None:
    def silent(modem: SimulatedModem) -> None:
        modem.faults.silent = True

    async def scene() -> None:
        async with bench(FakeClock(), prepare=silent) as b:
            waiting = asyncio.create_task(refused(b))
            assert await b.drive(waiting.done) <= 10
            assert waiting.result().retryable
            assert reason(b) == "modem does not answer"
            assert (await refused(b)).reason == "modem does not answer"  # at once
            assert await b.drive(b.running.done) <= 40
            with pytest.raises(LinkDown):
                b.running.result()

    play(scene())


def test_a_modem_that_falls_silent_and_comes_back_after_the_reset_goes_on() -> None:
    async def scene() -> None:
        async with bench(FakeClock()) as b:
            await b.up()
            b.modem.faults.silent = True
            await b.drive(lambda: b.heard.counts["modem_reset"])
            b.modem.faults.silent = False
            await b.drive(lambda: b.session.status.up, seconds=30)
            await b.send(ALERT)

    play(scene())


@pytest.mark.parametrize(("fault", "within"), [("no_prompt", 11), ("no_result", 121)])
def test_a_message_without_answer_is_given_up_and_the_next_one_goes(fault: str, within: float) -> None:
    """Without a prompt nothing has left; without a result nobody knows."""

    async def scene() -> None:
        async with bench(FakeClock()) as b:
            await b.up()
            setattr(b.modem.faults, fault, 1)
            waiting = asyncio.create_task(refused(b))
            assert await b.drive(waiting.done, step=1) <= within
            assert waiting.result().retryable
            assert waiting.result().uncertain is (fault == "no_result")
            await b.send("next")
            assert b.modem.sent[-1].text == "next"
            assert b.heard.counts["modem_reset"] == 0

    play(scene())


def test_storage_full_in_answer_to_a_message_has_it_read() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.up()
            listed = b.modem.commands.count("AT+CMGL=4")
            b.modem.faults.refuse.append(322)
            assert not (await refused(b)).retryable
            await b.until(lambda: b.modem.commands.count("AT+CMGL=4") > listed)

    play(scene())


def test_a_pulled_modem_is_said_at_once_and_works_after_it_is_back() -> None:
    async def scene() -> None:
        async with bench(seconds_per_sms=0.05) as b:
            await b.up()
            sending = asyncio.create_task(refused(b))
            queued = asyncio.create_task(refused(b))
            await b.until(lambda: any(each.startswith("AT+CMGS") for each in b.modem.commands))
            b.modem.unplug()
            with pytest.raises(LinkDown):
                await b.running
            assert ((await sending).retryable, (await sending).uncertain) == (True, True)
            assert ((await queued).retryable, (await queued).uncertain) == (True, False)
            assert (await refused(b)).retryable
            assert not b.session.status.up
            with pytest.raises(LinkDown):  # nothing there yet
                await b.session.run()
            b.modem.plug()
            b.modem.receive(NUMBER, "1")
            back = await b.again()
            await back.send(ALERT)
            await b.until(lambda: back.heard.texts == ["1"])
            await back.stop()

    play(scene())


def test_the_same_session_runs_again_after_the_modem_was_pulled(tmp_path: Path) -> None:
    async def scene() -> None:
        async with bench(link=tmp_path / "modem") as b:
            for round_ in range(3):
                await b.up()
                await b.send(f"{round_}")
                b.modem.unplug()
                with pytest.raises(LinkDown):
                    await b.running
                b.modem.plug()
                b.running = asyncio.create_task(b.session.run())
            await b.up()
            assert [m.text for m in b.modem.sent] == ["0", "1", "2"]

    play(scene())


def test_a_module_that_starts_anew_is_set_up_anew() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.up()
            b.modem.restart()
            await b.until(lambda: b.modem.commands.count("AT+CMGF=0") == 2)
            await b.send(ALERT)

    play(scene())


def test_a_module_that_starts_anew_without_a_word_is_found_out() -> None:
    async def scene() -> None:
        async with bench(FakeClock()) as b:
            await b.up()
            b.modem.restart(announced=False)
            assert await b.drive(lambda: b.modem.commands.count("AT+CMGF=0") == 2) <= 31
            await b.until(lambda: b.modem.commands[-1] == "AT+CMGL=4")
            b.modem.receive(NUMBER, "1")
            await b.until(lambda: b.heard.texts == ["1"])

    play(scene())


def test_an_error_without_number_has_the_modem_set_up_anew() -> None:
    async def scene() -> None:
        async with bench() as b:
            await b.up()
            b.modem.faults.refused_commands = frozenset({"AT+CMGS"})
            assert not (await refused(b)).retryable
            b.modem.faults.refused_commands = frozenset()
            await b.until(lambda: b.modem.commands.count("AT+CMGF=0") == 2)
            await b.send(ALERT)

    play(scene())


def test_a_late_answer_is_not_taken_for_that_of_the_next_command() -> None:
    async def scene() -> None:
        pair = open_pty()
        clock = FakeClock()
        link = AtLink(SerialPort.open(pair.path), clock, lambda _: None)
        listening = asyncio.create_task(link.listen())

        async def far(answers: dict[bytes, bytes]) -> None:
            heard = b""
            for asked, answer in answers.items():
                while asked not in heard:
                    heard += await pair.port.read()
                heard = heard.partition(asked)[2]
                pair.port.write(answer)

        slow = asyncio.create_task(link.ask("AT+COPS?"))
        await asyncio.sleep(0.01)
        await clock.advance(5)
        # the modem answers the old question first, then everything in turn
        late = b'\r\n+COPS: 0,0,"X",7\r\n\r\nOK\r\n\r\nOK\r\n'
        await far({b"AT\r": late, b"AT+CSQ\r": b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n"})
        assert (await slow).final.text == "no answer"
        talk = asyncio.create_task(far({b"AT+CPIN?\r": b"\r\n+CPIN: READY\r\n\r\nOK\r\n"}))
        assert (await link.ask("AT+CPIN?")).fields("+CPIN") == ["READY"]
        await talk
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        pair.close()

    play(scene())


def test_a_message_is_not_sent_by_a_stray_result_before_the_prompt() -> None:
    async def scene() -> None:
        pair = open_pty()
        link = AtLink(SerialPort.open(pair.path), FakeClock(), lambda _: None)
        listening = asyncio.create_task(link.listen())
        sending = asyncio.create_task(link.submit("AT+CMGS=3", "00AABB"))
        assert b"AT+CMGS=3\r" in await pair.port.read()
        pair.port.write(b"\r\nOK\r\n\r\n> ")
        assert await pair.port.read() == b"00AABB\x1a"
        pair.port.write(b"\r\n+CMGS: 9\r\n\r\nOK\r\n")
        assert (await sending).fields("+CMGS") == ["9"]
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        pair.close()

    play(scene())
