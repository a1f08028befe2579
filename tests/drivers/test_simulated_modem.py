"""The simulated modem as another program sees it: AT commands and PDUs on a serial port, faults on demand."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.simulated.modem import SimulatedModem
from gateway.clock import SECOND, SystemClock
from gateway.errors import LinkDown
from gateway.protocols.smsparts import submit_parts
from gateway.protocols.smspdu import Deliver, decode, encode, tpdu_length
from gateway.testing import FakeClock
from gateway.transport.serial import SerialPort
from tests.patience import PATIENCE

NUMBER = "+8613800138000"


async def talk(port: SerialPort, asked: bytes, end: bytes = b"OK\r\n") -> bytes:
    """Write bytes and read until the end of the answer."""
    port.write(asked)
    answer = b""
    async with asyncio.timeout(PATIENCE):
        while end not in answer:
            answer += await port.read()
    return answer


async def play(modem: SimulatedModem, asked: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Ask one thing after the other on a port of our own."""
    serving = asyncio.create_task(modem.run())
    port = SerialPort.open(modem.path)
    try:
        return [await talk(port, each, end) for each, end in asked]
    finally:
        port.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_it_echoes_until_told_not_to() -> None:
    first, second, third = asyncio.run(
        play(SimulatedModem(SystemClock()), [(b"AT\r", b"OK\r\n"), (b"ATE0\r", b"OK\r\n"), (b"AT\r", b"OK\r\n")])
    )
    assert first == b"AT\r\r\nOK\r\n"
    assert second.startswith(b"ATE0\r")
    assert third == b"\r\nOK\r\n"


def test_it_takes_a_message_reports_it_and_the_far_phone_answers() -> None:
    async def scene() -> None:
        told: list[tuple[str, str]] = []
        modem = SimulatedModem(SystemClock(), on_sms=lambda number, text: told.append((number, text)))
        pdus = [encode(part) for part in submit_parts(NUMBER, "火警" * 50, reference=5)]
        asked: list[tuple[bytes, bytes]] = [(b"ATE0\r", b"OK\r\n"), (b"AT+CNMI=2,1,0,1,0\r", b"OK\r\n")]
        for pdu in pdus:
            asked += [(b"AT+CMGS=%d\r" % tpdu_length(pdu), b"> "), (pdu.hex().encode() + b"\x1a", b"+CDS: 26\r\n")]
        answers = await play(modem, asked)
        assert b"+CMGS: 1" in answers[3]
        assert b"+CMGS: 2" in answers[5]
        assert told == [(NUMBER, "火警" * 50)]
        assert (modem.sent[0].parts, modem.sent[0].at) == (2, modem.network.parts[0].at)

    asyncio.run(scene())


def test_escape_leaves_the_prompt_and_a_wrong_pdu_is_refused() -> None:
    modem = SimulatedModem(SystemClock())
    answers = asyncio.run(
        play(
            modem,
            [
                (b"AT+CMGS=9\r", b"> "),
                (b"00\x1b", b"OK\r\n"),
                (b"AT+CMGS=9\r", b"> "),
                (b"nonsense\x1a", b"+CMS ERROR: 304\r\n"),
                (b"AT\r", b"OK\r\n"),
            ],
        )
    )
    assert len(answers) == 5
    assert modem.sent == []


def test_messages_are_read_listed_and_deleted() -> None:
    modem = SimulatedModem(SystemClock(), storage=2)

    async def scene() -> list[bytes]:
        modem.receive(NUMBER, "１ 收到")
        modem.receive(NUMBER, "second")
        modem.receive(NUMBER, "no place")
        asked = [(b"ATE0\r", b"OK\r\n"), (b"AT+CMGR=1\r", b"OK\r\n"), (b"AT+CMGL=4\r", b"OK\r\n")]
        asked += [(b"AT+CMGD=1\r", b"OK\r\n"), (b"AT+CMGR=1\r", b"321\r\n"), (b"AT+CPMS?\r", b"OK\r\n")]
        return await play(modem, asked)

    _, read, listed, _, empty, used = asyncio.run(scene())
    message = decode(bytes.fromhex(read.split()[2].decode()))
    assert isinstance(message, Deliver)
    assert (message.number, message.user.text) == (NUMBER, "１ 收到")
    assert listed.count(b"+CMGL:") == 2
    assert empty.endswith(b"+CMS ERROR: 321\r\n")
    assert b'"ME",1,2' in used
    assert modem.network.lost == 1


def test_a_slow_network_takes_its_seconds() -> None:
    async def scene() -> None:
        clock = FakeClock()
        modem = SimulatedModem(clock, seconds_per_sms=4)
        serving = asyncio.create_task(modem.run())
        port = SerialPort.open(modem.path)
        began = clock.mono()
        pdu = encode(submit_parts(NUMBER, "火警", reference=1)[0])
        await talk(port, b"AT+CMGS=%d\r" % tpdu_length(pdu), b"> ")
        answer = asyncio.create_task(talk(port, pdu.hex().encode() + b"\x1a"))
        while not answer.done():
            await asyncio.sleep(0.002)
            await clock.advance(0.5)
        assert b"+CMGS: 1" in answer.result()
        assert (clock.mono() - began) / SECOND >= 4
        assert modem.sent[0].at == began
        port.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scene())


def test_it_can_be_pulled_and_put_back_under_the_same_name(tmp_path: Path) -> None:
    async def scene() -> None:
        modem = SimulatedModem(SystemClock(), link=tmp_path / "modem")
        serving = asyncio.create_task(modem.run())
        port = SerialPort.open(tmp_path / "modem")
        await talk(port, b"ATE0\r")
        modem.unplug()
        modem.announce("RING")  # nobody hears it, nothing breaks
        with pytest.raises(LinkDown):
            await port.read()
        port.close()
        with pytest.raises(LinkDown):
            SerialPort.open(tmp_path / "modem")
        modem.plug()
        port = SerialPort.open(tmp_path / "modem")
        assert (await talk(port, b"AT\r")).startswith(b"AT\r")  # the echo is back: settings were lost
        port.close()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scene())


OTHER_PROGRAM = """
import sys, serial
port = serial.Serial(sys.argv[1], 115200, timeout=60)
port.write(b"AT+CGMM\\r")
print(port.read_until(b"OK\\r\\n").decode())
"""


def test_another_process_talks_to_it() -> None:
    async def scene() -> None:
        modem = SimulatedModem(SystemClock())
        serving = asyncio.create_task(modem.run())
        command = (sys.executable, "-c", OTHER_PROGRAM, str(modem.path))
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
        assert b"simulated modem" in output
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scene())
