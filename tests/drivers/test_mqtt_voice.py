"""What a dialect says on its own: births and will of a session, replies to what it reads, the same one not at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from drivers._mqtt_voice import AGAIN, MOST, Voice
from drivers.simulated.broker import SimulatedBroker
from gateway import registry
from gateway.clock import SECOND, SystemClock
from gateway.driven_clock import FakeClock
from gateway.model.ports import Announcing, Decoded, Publication
from gateway.transport.mqtt import Message
from gateway.transport.mqtt_options import MqttOptions
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, PlainDialect, Store, driver, up
from tests.patience import until

OPTIONS = MqttOptions("127.0.0.1", "c")


class Host(PlainDialect):
    """Says `STATE`; asks for what it cannot read to be said again."""

    def will(self, wall: int) -> Publication:
        """We are gone."""
        return Publication("STATE/h", b"off %d" % wall, retain=True)

    def births(self, wall: int) -> Sequence[Publication]:
        """We are here."""
        return [Publication("STATE/h", b"on %d" % wall, retain=True)]

    def decode(self, topic: str, payload: bytes, *, retained: bool, into: Decoded) -> bool:
        """Ask again for what is no number."""
        known = super().decode(topic, payload, retained=retained, into=into)
        if into.problems:
            into.replies.append(Publication(f"{topic}/again", payload, qos=0))
        return known


def test_only_a_dialect_that_announces_is_asked_to() -> None:
    assert issubclass(Host, Announcing)
    assert not issubclass(PlainDialect, Announcing)


def test_a_dialect_says_that_it_is_here_asks_back_and_leaves_a_will(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "dialect", lambda _name: SimpleNamespace(create=Host))

    async def main() -> None:
        notebook, store, got = Notebook(), Store(), list[Message]()
        async with SimulatedBroker(SystemClock()) as broker:
            other = await ours(broker.port, "other", got)
            await other.subscribe([("STATE/h", 1), ("+/state/again", 1)])
            async with up(driver(broker.port, notebook), store):
                await until(lambda: len(got) == 1)
                await other.publish("smoke/state", b"rubbish")
                await other.publish("level/state", b"rubbish")
                await other.publish("smoke/state", b"rubbish")
                await other.publish("smoke/state", b"1")
                await until(lambda: store.values == [1.0] and len(got) == 3)
            await until(lambda: len(got) == 4)
            await other.close()
        said = [(topic, payload or b"") for topic, payload, *_ in got]
        here, gone = said[0], said[-1]
        assert sorted(said[1:3]) == [("level/state/again", b"rubbish"), ("smoke/state/again", b"rubbish")]
        assert (here[0], here[1][:3], gone[1][:4]) == ("STATE/h", b"on ", b"off ")
        assert here[1][3:] == gone[1][4:]  # one moment for both
        assert notebook.counts["reply"] == 2

    asyncio.run(main())


def heard(voice: Voice) -> list[Publication]:
    """Return what waits to be published."""
    got: list[Publication] = []

    class Link:
        async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int:
            got.append(Publication(topic, payload, retain, qos))
            return 0

    async def main() -> None:
        task = asyncio.create_task(voice.speak(Link()))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    return got


def test_an_equal_reply_leaves_again_after_a_while_and_on_a_new_connection() -> None:
    one, other = Publication("a", b"?"), Publication("b", b"?")
    clock = FakeClock()
    voice = Voice((), (), clock, Notebook())
    voice.begin(OPTIONS)
    voice.take([one, one, other])
    asyncio.run(clock.advance((AGAIN - 1) / SECOND))
    voice.take([one])
    assert heard(voice) == [one, other]
    asyncio.run(clock.advance(1))
    voice.take([one, one])
    assert heard(voice) == [one]
    voice.begin(OPTIONS)
    voice.take([one])
    assert heard(voice) == [one]


def test_replies_are_bounded() -> None:
    notebook = Notebook()
    voice = Voice((), (), FakeClock(), notebook)
    voice.take(Publication(str(number), b"?") for number in range(MOST + 5))
    assert notebook.counts["reply_dropped"] == 5
    assert len(heard(voice)) == MOST


def test_the_sessions_own_will_comes_before_a_dialects() -> None:
    host = Host.__new__(Host)
    voice = Voice([host], (), SystemClock(), Notebook())
    assert voice.begin(OPTIONS).will is not None
    own = voice.begin(OPTIONS).will
    kept = MqttOptions("127.0.0.1", "c", will=own)
    assert voice.begin(kept) is kept
