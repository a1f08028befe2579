"""One contract for the simulated broker and a real Mosquitto, asked by clients that are not ours and by ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from gateway.errors import LinkDown
from gateway.transport.mqtt import Message
from gateway.transport.mqtt_options import Announcement
from tests.mqtt_clients import BROKERS, VERSIONS, Foreign, contract, grows, ours
from tests.patience import until


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", BROKERS)
def test_foreign_clients_of_both_versions_exchange_messages(
    kind: str, version: MQTTProtocolVersion, tmp_path: Path
) -> None:
    async def script(port: int) -> None:
        one, two = Foreign("one", version), Foreign("two", version)
        await one.open(port)
        await two.open(port)
        await one.subscribe("站/+/烟感", 1)
        await one.subscribe("level/#", 0)
        assert one.subscribed == [1, 0]
        await two.publish("站/3/烟感", b"on")
        await two.publish("站/3/4/烟感", b"not covered")
        await two.publish("level", b"1")
        await two.publish("level/a/b", b"", 0)
        await two.publish("level/a/b", b"x" * 40_000)
        await until(lambda: len(one.got) == 4)
        assert one.got[0] == ("站/3/烟感", b"on", 1, False)
        assert [(topic, len(payload), qos) for topic, payload, qos, _ in one.got[1:]] == [
            ("level", 1, 0),
            ("level/a/b", 0, 0),
            ("level/a/b", 40_000, 0),
        ]
        await one.unsubscribe("level/#")
        await two.publish("level", b"2")
        await two.publish("站/9/烟感", b"off")
        await until(lambda: len(one.got) == 5)
        assert one.got[4][0] == "站/9/烟感"
        await one.close()
        await two.close()

    contract(kind, tmp_path, script)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", BROKERS)
def test_a_persistent_session_is_queued_for_also_at_qos_0_and_found_again(
    kind: str, version: MQTTProtocolVersion, tmp_path: Path
) -> None:
    async def script(port: int) -> None:
        sleeper = Foreign("sleeper", version, clean=False)
        await sleeper.open(port)
        assert sleeper.present is False
        await sleeper.subscribe("t/#", 1)
        await sleeper.close()
        sender = Foreign("sender", version)
        await sender.open(port)
        for number in range(50):
            await sender.publish(f"t/{number}", b"%d" % number, number % 2)
        sleeper = Foreign("sleeper", version, clean=False)
        await sleeper.open(port)
        assert sleeper.present is True
        await until(lambda: len(sleeper.got) == 50)
        assert [topic for topic, *_ in sleeper.got] == [f"t/{number}" for number in range(50)]
        assert [qos for _, _, qos, _ in sleeper.got] == [0, 1] * 25
        await sleeper.close()
        await sender.close()

    contract(kind, tmp_path, script)


@pytest.mark.parametrize("kind", BROKERS)
def test_retained_messages_go_to_new_subscriptions_only_and_an_empty_one_clears(kind: str, tmp_path: Path) -> None:
    async def script(port: int) -> None:
        got: list[Message] = []
        sender = Foreign("sender", MQTTProtocolVersion.MQTTv311)
        await sender.open(port)
        await sender.publish("state/a", b"smoke", retain=True)
        await sender.publish("state/b", b"gone", retain=True)
        await sender.publish("state/b", b"", retain=True)
        session = await ours(port, "gateway", got)
        assert not session.session_present
        assert await session.subscribe([("state/+", 1)]) == [1]
        await until(lambda: len(got) == 1)
        assert got[0][:3] == ("state/a", b"smoke", True)
        await sender.publish("state/a", b"clear", retain=True)
        await until(lambda: len(got) == 2)
        assert got[1][:3] == ("state/a", b"clear", False)  # live, though published with retain
        await session.subscribe([("state/+", 1)])
        await session.close()
        await sender.publish("state/a", b"again", retain=True)
        session = await ours(port, "gateway", got)
        assert session.session_present
        await session.subscribe([("state/+", 1)])
        await until(lambda: len(got) == 3)
        assert got[2][:3] == ("state/a", b"again", False)
        await session.close()
        await sender.close()

    contract(kind, tmp_path, script)


@pytest.mark.parametrize("kind", BROKERS)
def test_what_was_not_acknowledged_comes_again_marked_as_duplicate(kind: str, tmp_path: Path) -> None:
    async def script(port: int) -> None:
        first: list[Message] = []
        sender = await ours(port, "sender", [])
        session = await ours(port, "gateway", first, acknowledge=False)
        await session.subscribe([("t", 1)])
        assert await sender.publish("t", b"1") == 0
        assert await sender.publish("t", b"2") == 0
        assert await sender.publish("nobody/wants", b"") == 0x10
        await until(lambda: len(first) == 2)
        session.ack([first[0][-1]])
        await session.close()
        again: list[Message] = []
        session = await ours(port, "gateway", again)
        await until(lambda: len(again) == 1)
        topic, payload, _, duplicate, packet_id = again[0]
        assert (topic, payload, duplicate, packet_id) == ("t", b"2", True, first[1][-1])
        await session.close()
        session = await ours(port, "gateway", again)
        assert await sender.publish("t", b"3") == 0
        await until(lambda: len(again) == 2)
        assert await session.publish("t", b"our own does not come back") in {0, 0x10}
        assert len(again) == 2
        await session.close()
        await sender.close()

    contract(kind, tmp_path, script)


@pytest.mark.parametrize("kind", BROKERS)
def test_the_receive_maximum_bounds_what_is_under_way(kind: str, tmp_path: Path) -> None:
    async def script(port: int) -> None:
        got: list[Message] = []
        session = await ours(port, "gateway", got, acknowledge=False, receive_maximum=5)
        await session.subscribe([("t/#", 1)])
        sender = await ours(port, "sender", [])
        for number in range(30):
            await sender.publish(f"t/{number}", b"")
        await session.publish("elsewhere", b"")  # a round trip: all that may come has come
        assert len(got) == 5
        while len(got) < 30:
            before = len(got)
            session.ack([message[-1] for message in got])
            await grows(got, before + 1)
            assert kind == "mosquitto" or session.unacknowledged <= 5  # 2.0.11 keeps to it only until the first PUBACK
        assert [message[0] for message in got] == [f"t/{number}" for number in range(30)]
        await session.close()
        await sender.close()

    contract(kind, tmp_path, script)


@pytest.mark.parametrize("kind", BROKERS)
def test_the_will_is_sent_for_a_crash_and_on_request_but_not_for_a_goodbye(kind: str, tmp_path: Path) -> None:
    will = Announcement("firegrid/jc-07/status", b"offline")

    async def script(port: int) -> None:
        seen: list[Message] = []
        watcher = await ours(port, "watcher", seen)
        await watcher.subscribe([("firegrid/+/status", 1)])
        for ending, expected in (("crash", 1), ("goodbye", 1), ("with will", 2)):
            session = await ours(port, "gateway", [], will=will, will_delay=0)
            if ending == "crash":
                session.abort()
            else:
                await session.close(will=ending == "with will")
            await grows(seen, expected)
            await watcher.publish("elsewhere", b"")
            await asyncio.sleep(0.05)
            assert [message[1] for message in seen] == [b"offline"] * expected
        await watcher.close()

    contract(kind, tmp_path, script)


@pytest.mark.parametrize("kind", BROKERS)
def test_a_second_client_of_the_same_name_takes_the_session_over(kind: str, tmp_path: Path) -> None:
    async def script(port: int) -> None:
        first = await ours(port, "gateway", [])
        await first.subscribe([("t", 1)])
        got: list[Message] = []
        second = await ours(port, "gateway", got)
        assert second.session_present
        with pytest.raises(LinkDown, match=r"SESSION_TAKEN_OVER|closed the link"):
            await first.run()
        sender = await ours(port, "sender", [])
        await sender.publish("t", b"")
        await until(lambda: len(got) == 1)
        await sender.close()
        await second.close()

    contract(kind, tmp_path, script)


@pytest.mark.parametrize("kind", BROKERS)
def test_a_clean_start_forgets_the_session(kind: str, tmp_path: Path) -> None:
    async def script(port: int) -> None:
        session = await ours(port, "gateway", [])
        await session.subscribe([("t", 1)])
        await session.close()
        clean = Foreign("gateway", MQTTProtocolVersion.MQTTv311)
        await clean.open(port)
        assert clean.present is False
        await clean.close()
        session = await ours(port, "gateway", [])
        assert not session.session_present
        await session.close()

    contract(kind, tmp_path, script)
