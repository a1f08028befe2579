"""The simulated broker's faults on demand, and what rubbish does to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from drivers.simulated.broker import SimulatedBroker
from gateway.clock import SystemClock
from gateway.errors import LinkDown
from gateway.testing import FakeClock
from gateway.transport.mqtt import Message, connect
from gateway.transport.mqtt_options import Announcement, MqttOptions
from tests.mqtt_clients import ours
from tests.patience import PATIENCE


def test_wrong_passwords_are_refused_by_the_simulated_broker() -> None:
    async def main() -> None:
        async with SimulatedBroker(SystemClock(), users={"firegrid": "right"}) as simulated:
            with pytest.raises(LinkDown, match="BAD_USER_NAME_OR_PASSWORD"):
                await ours(simulated.port, "gateway", [], username="firegrid", password=b"wrong")
            session = await ours(simulated.port, "gateway", [], username="firegrid", password=b"right")
            await session.close()

    asyncio.run(main())


def test_faults_on_demand() -> None:
    clock = FakeClock()

    async def main() -> None:
        async with SimulatedBroker(clock) as simulated:
            options = MqttOptions("127.0.0.1", "gateway", port=simulated.port)
            session = await connect(options, clock, lambda _s, _m: None)
            simulated.drop()
            with pytest.raises(LinkDown, match="closed the link"):
                await session.run()

            for fault in ("freeze", "silent"):
                session = await connect(options, clock, lambda _s, _m: None)
                watch = asyncio.create_task(session.run())
                if fault == "freeze":
                    simulated.freeze()
                else:
                    simulated.silent = True
                for _ in range(60):
                    await clock.advance(0.5)
                assert watch.done()
                assert "is silent" in str(watch.exception())
            simulated.silent = False

            session = await connect(options, clock, lambda _s, _m: None)
            simulated.ack_delay = 3.0
            slow = asyncio.create_task(session.publish("t", b""))
            await asyncio.sleep(0.05)
            await clock.advance(2.9)
            await asyncio.sleep(0.05)
            assert not slow.done()
            await clock.advance(0.2)
            assert await slow == 0x10
            await session.close()

    asyncio.run(main())


def test_a_client_that_says_nothing_for_one_and_a_half_keepalives_is_dropped_and_its_will_told_after_its_delay() -> (
    None
):
    clock = FakeClock()

    async def main() -> None:
        async with SimulatedBroker(clock) as simulated:
            seen: list[Message] = []
            watcher = await connect(
                MqttOptions("127.0.0.1", "watcher", port=simulated.port, keepalive=600),
                clock,
                lambda _s, m: seen.extend(m),
            )
            await watcher.subscribe([("status", 0)])
            will = Announcement("status", b"offline")
            options = MqttOptions("127.0.0.1", "gateway", port=simulated.port, keepalive=20, will=will, will_delay=15)
            await connect(options, clock, lambda _s, _m: None)
            for second in range(60):
                await clock.advance(1)
                await asyncio.sleep(0.002)
                assert not seen or second >= 44
            assert [message[1] for message in seen] == [b"offline"]

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the codec panics on bad UTF-8
@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x09a",  # a client id longer than its packet
        b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x09a",
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a\x30\x05\x00\x02\xff\xfe\x00",
        b"\x30\x03\x00\x01a",  # no CONNECT first
    ],
)
def test_rubbish_ends_its_own_connection_only(rubbish: bytes) -> None:
    async def main() -> None:
        async with SimulatedBroker(SystemClock()) as simulated:
            good = await ours(simulated.port, "good", [])
            reader, writer = await asyncio.open_connection("127.0.0.1", simulated.port)
            writer.write(rubbish)
            with suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()
            assert await good.publish("t", b"") == 0x10
            await good.close()

    asyncio.run(main())


def test_a_broker_that_forgot_everything_says_so() -> None:
    async def main() -> None:
        async with SimulatedBroker(SystemClock()) as simulated:
            session = await ours(simulated.port, "gateway", [])
            await session.subscribe([("t", 1)])
            await simulated.stop()
            await simulated.start()
            session = await ours(simulated.port, "gateway", [])
            assert session.session_present
            await simulated.stop(forget=True)
            await simulated.start()
            session = await ours(simulated.port, "gateway", [])
            assert not session.session_present

    asyncio.run(main())
