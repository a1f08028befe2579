"""The `mqtt` driver at a broker: lanes, acknowledgement after the commit, redelivery, what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from drivers._mqtt_lane import Lane
from drivers.simulated.broker import SimulatedBroker
from gateway.clock import SystemClock
from gateway.errors import ConfigError, DeliveryError, DriverFatal, LinkDown
from gateway.model.batch import EventCode
from gateway.model.quality import Doubt, Level, quality
from gateway.transport.mqtt import Message, MqttSession
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, Store, device, driver, plain, up
from tests.patience import PATIENCE, STRICT, until
from tests.recording_proxy import Proxy


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch)


class World:
    """Broker, proxy and a client that publishes."""

    def __init__(self, broker: SimulatedBroker, proxy: Proxy, sender: MqttSession, heard: list[Message]) -> None:
        self.broker = broker
        self.proxy = proxy
        self.sender = sender
        self.heard = heard
        self.notebook = Notebook()
        self.store = Store()

    @property
    def port(self) -> int:
        """Where the driver connects."""
        return self.proxy.port

    async def send(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish."""
        await self.sender.publish(topic, payload, qos=qos, retain=retain)

    async def ready(self) -> None:
        """Wait until both sessions have asked their devices, which is the last thing they do."""
        await until(lambda: sum(topic.endswith("/get") for topic, *_ in self.heard) >= 2)
        self.heard.clear()


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with SimulatedBroker(SystemClock()) as broker:
        proxy = Proxy(broker.port)
        async with proxy.serving():
            heard: list[Message] = []
            sender = await ours(broker.port, "sender", heard)
            await sender.subscribe([("+/get", 1), ("firegrid/#", 1)])
            yield World(broker, proxy, sender, heard)
            await sender.close()


def redelivered(w: World, number: int) -> bool:
    return w.notebook.counts["redelivered"] == number


def play(script: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with world() as one:
            await script(one)

    asyncio.run(main())


def test_readings_and_events_arrive_with_frames_and_are_acknowledged_only_after_the_commit() -> None:
    async def script(w: World) -> None:
        w.store.instant = False
        async with up(driver(w.port, w.notebook), w.store):
            await w.ready()
            await w.send("smoke/state", b"1")
            await w.send("smoke/state", b"fire")
            await w.send("level/state", b"2.5")
            await until(lambda: len(w.store.values) == 2 and len(w.store.events) == 1)
            await asyncio.sleep(0.05)
            assert w.proxy.acknowledged == []
            w.store.commit()
            await until(lambda: len(w.proxy.acknowledged) == 3)
        first = w.store.batches[0]
        assert (first.source, first.frame_of(0), first.quality[0]) == ("broker", b"1", 0)
        assert [mark.session for mark in first.marks] == ["firegrid-jc-07-broker-alarm"]

    play(script)


def test_one_read_makes_one_batch_or_in_a_flood_a_few() -> None:
    async def script(w: World) -> None:
        async with up(driver(w.port, w.notebook), w.store):
            await w.ready()
        numbers = range(1_200)
        await asyncio.gather(*(w.send("level/state", b"%d" % number) for number in numbers))
        async with up(driver(w.port, w.notebook), w.store):
            await until(lambda: len(w.store.values) == 1_200)
        assert w.store.values == list(numbers)
        assert len(w.store.batches) <= (6 if STRICT else 100)  # by what a machine reads at a time
        assert max(map(len, w.store.batches)) <= 500

    play(script)


def test_telemetry_that_cannot_be_taken_ends_the_session_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a lane that is up and deaf; also when the last flush fails as well."""

    async def script(w: World) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("planted")

        closed: list[bool] = []
        close = MqttSession.close

        async def watched(session: MqttSession, *, will: bool = False) -> None:
            closed.append(True)
            await close(session, will=will)

        one = driver(w.port, w.notebook)
        monkeypatch.setattr(MqttSession, "close", watched)
        running = asyncio.create_task(one.run(w.store.emit))
        await w.ready()
        monkeypatch.setattr(Lane, "_batch", broken)
        await w.send("level/state", b"1")
        with pytest.raises(RuntimeError, match="planted"):
            async with asyncio.timeout(PATIENCE):
                await running
        assert len(closed) == 2

    play(script)


def test_what_carries_nothing_is_counted_and_acknowledged_at_once() -> None:
    async def script(w: World) -> None:
        w.store.instant = False
        devices = [device("smoke"), device("level", filter="+/state")]
        async with up(driver(w.port, w.notebook, devices=devices, payload_limit=256), w.store):
            await w.ready()
            await w.send("level/state", b"x" * 257)
            await w.send("level/state", b"y" * 900_000)
            await w.send("level/state", "nö number ".encode() * 20)
            await w.send("level/state", b"boom")
            await w.send("stranger/state", b"1")
            await w.send("smoke/state", b"7")  # the telemetry session gets it too, by its wildcard
            await until(lambda: len(w.proxy.acknowledged) == 6)
            assert w.store.values == [7.0]
            w.store.commit()
            await until(lambda: len(w.proxy.acknowledged) == 7)
        del w.notebook.counts["alive"]
        assert w.notebook.counts == {"new_session": 2, "too_large": 2, "not_a_number": 1, "dialect_failed": 1}
        assert "planted" in w.notebook.findings["dialect level/state"]
        assert w.notebook.findings["unread level too_large"] == f"2 {'y' * 80}"
        assert w.notebook.findings["unread level not_a_number"] == f"1 {'nö number ' * 8}"

    play(script)


def test_a_message_that_comes_again_on_a_new_link_is_stored_once_and_acknowledged_with_its_commit() -> None:
    async def script(w: World) -> None:
        w.store.instant = False
        one = driver(w.port, w.notebook)
        for link in range(3):
            async with up(one, w.store) as running:
                await w.ready()
                if not link:
                    await w.send("smoke/state", b"1")
                    await w.send("smoke/state", b"1")
                    await until(lambda: len(w.store.values) == 2)
                else:
                    await until(partial(redelivered, w, 2 * link))
                if link < 2:
                    w.proxy.cut()
                    with pytest.raises(LinkDown):
                        await running
                else:
                    assert w.proxy.acknowledged == []
                    w.store.commit()
                    await until(lambda: len(w.proxy.acknowledged) == 2)
        assert w.store.values == [1.0, 1.0]

    play(script)


def test_after_a_restart_what_was_committed_is_acknowledged_and_not_stored_again() -> None:
    async def script(w: World) -> None:
        w.store.instant = False
        async with up(driver(w.port, w.notebook), w.store):
            await w.ready()
            await w.send("smoke/state", b"1")
            await until(lambda: len(w.store.values) == 1)
            w.store.commit(acknowledge=False)
            await w.send("smoke/state", b"2")
            await until(lambda: len(w.store.values) == 2)
        again = Store()
        async with up(driver(w.port, w.notebook, marks=w.store.marks), again):
            await until(lambda: len(w.proxy.acknowledged) == 2)
        assert again.values == [2.0]
        assert w.notebook.counts["redelivered"] == 1

    play(script)


def test_subscriptions_no_longer_configured_are_ended_and_queued_messages_of_a_moved_topic_are_taken() -> None:
    async def script(w: World) -> None:
        devices = [device("smoke"), device("level"), device("old")]
        async with up(driver(w.port, w.notebook, devices=devices), w.store):
            await w.ready()
        await w.send("level/state", b"5")  # waits in the telemetry session
        await w.send("old/state", b"6")
        again = Store()
        async with up(driver(w.port, w.notebook, alarm=("smoke", "level")), again):
            await w.ready()
            await until(lambda: again.values == [5.0])
            await w.send("level/state", b"7")
            await w.send("old/state", b"8")
            await until(lambda: len(again.values) == 2)
        assert again.values == [5.0, 7.0]
        assert w.notebook.counts["unknown_topic"] == 1
        lane1, lane2 = (
            w.notebook.kept[f"firegrid-jc-07-broker-{name} subscriptions"] for name in ("alarm", "telemetry")
        )
        assert (lane1, lane2) == ('["level/state","smoke/state"]', "[]")
        # Nothing of it waits at the broker for a session that would never fetch it.
        await w.send("old/state", b"9")
        last = Store()
        async with up(driver(w.port, w.notebook, alarm=("smoke", "level")), last):
            await w.ready()
        assert w.notebook.counts["unknown_topic"] == 1

    play(script)


def test_a_retained_state_is_marked_and_qos_0_of_a_life_safety_device_is_a_finding() -> None:
    async def script(w: World) -> None:
        await w.send("smoke/state", b"1", retain=True)
        await w.send("level/state", b"2", retain=True)
        async with up(driver(w.port, w.notebook), w.store):
            await until(lambda: len(w.store.values) == 2)
            doubtful = quality(Level.UNCERTAIN, Doubt.RETAINED)
            assert [int(batch.quality[0]) for batch in w.store.batches] == [doubtful, doubtful]
            assert w.notebook.findings == {}
            await w.send("smoke/state", b"3", qos=0)
            await w.send("level/state", b"4", qos=0)
            await until(lambda: len(w.store.values) == 4)
            assert [int(batch.quality[0]) for batch in w.store.batches[2:]] == [0, 0]
        assert list(w.notebook.findings) == ["qos0 smoke/state"]
        assert "qos: 1" in w.notebook.findings["qos0 smoke/state"]

    play(script)


def test_birth_will_and_questions() -> None:
    async def script(w: World) -> None:
        status = "firegrid/jc-07/status"

        def told() -> list[tuple[str, bytes | None]]:
            return [(topic, payload) for topic, payload, *_ in w.heard]

        async with up(driver(w.port, w.notebook), w.store):
            await until(lambda: len(w.heard) == 3)
            assert sorted(told()) == [(status, b"online"), ("level/get", b"{}"), ("smoke/get", b"{}")]
        session = await ours(w.broker.port, "firegrid-jc-07-broker-alarm", [])  # comes back before the will's delay
        await session.close()
        assert len(w.heard) == 3

    play(script)


def test_a_refused_subscription_is_a_fault_until_it_is_granted_also_over_a_restart() -> None:
    async def script(w: World) -> None:
        w.broker.refused = frozenset({"smoke/state"})
        async with up(driver(w.port, w.notebook), w.store):
            await w.ready()
        fault, key = EventCode.FAULT, "smoke/state"
        assert [(event.point, event.key, event.code) for event in w.store.events] == [(99, key, fault)]
        w.broker.refused = frozenset()
        for _ in range(2):
            async with up(driver(w.port, w.notebook), w.store):
                await w.ready()
        assert [(event.point, event.key, event.code) for event in w.store.events[1:]] == [(99, key, EventCode.RESTORE)]

    play(script)


def test_options_that_are_wrong_are_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="hots"):
        driver(1883, Notebook(), hots="typo")
    with pytest.raises(ConfigError, match="keepalive"):
        driver(1883, Notebook(), keepalive=0)
    with pytest.raises(ConfigError, match="no topic filter: a/#/b"):
        driver(1883, Notebook(), devices=[device("smoke", filter="a/#/b")])
    with pytest.raises(ConfigError, match="No such file"):
        driver(1883, Notebook(), password_file="/nowhere/secret")  # noqa: S106 - a path


def test_writing_is_refused_for_good() -> None:
    async def main() -> None:
        with pytest.raises(DeliveryError) as caught:
            await driver(1883, Notebook()).write("smoke", "value", 1.0)
        assert not caught.value.retryable

    asyncio.run(main())


def test_a_port_nobody_listens_on_is_link_down_and_a_tls_file_that_is_none_gives_the_driver_up(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")

    async def main() -> None:
        with pytest.raises(LinkDown, match=r"127\.0\.0\.1:1"):
            await driver(1, Notebook()).run(lambda _batch: None)
        with pytest.raises(DriverFatal, match=r"ca\.pem"):
            await driver(1, Notebook(), cafile=str(wrong)).run(lambda _batch: None)

    asyncio.run(main())
