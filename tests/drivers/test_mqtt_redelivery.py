"""Marks of what was handed over: what comes again is known, what only looks like it is not taken for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, KeysView

import pytest

from drivers._mqtt_redelivery import Handed, Known, digest
from drivers.simulated.broker import SimulatedBroker
from gateway.clock import SystemClock
from gateway.model.batch import Mark
from gateway.protocols.mqtt_stream import AckWindow
from tests.mqtt_clients import ours
from tests.mqtt_driver_setup import Notebook, Store, driver, plain, supervised, up
from tests.patience import until
from tests.recording_proxy import Proxy

SESSION = "firegrid-jc-07-broker-alarm"
FIRE = digest("smoke/state", b"fire")
MARK = Mark("s", 1, FIRE)
NOBODY = 0x10  # reason code of a PUBACK: no matching subscribers (MQTT 5.0 section 3.4.2.1)


class Wire:
    """A link on which nothing flows: its window is the real one."""

    def __init__(self, *, session_present: bool = True) -> None:
        self.session_present = session_present
        self.pongs = 0
        self.acknowledged: list[int] = []
        self._window = AckWindow()

    @property
    def unsettled(self) -> KeysView[int]:
        """As the session's."""
        return self._window.unsettled

    def owe(self, packet_id: int) -> None:
        """Let a message come."""
        self._window.owe(packet_id)

    def ack(self, packet_ids: Iterable[int]) -> None:
        """Note what is acknowledged."""
        packet_ids = list(packet_ids)
        self.acknowledged += packet_ids
        self._window.done(packet_ids)

    def pong(self) -> None:
        """Answer a ping behind all acknowledgements so far."""
        self._window.begin_proof()
        self._window.proven()
        self.pongs += 1


def told(handed: Handed, link: Wire, packet_id: int = 1) -> None:
    """Hand a fire over and commit it."""
    handed.follow(link)
    link.owe(packet_id)
    handed.over(packet_id, FIRE)
    handed.committed(link, handed.session, [Mark("s", packet_id, FIRE)])


def test_a_message_whose_acknowledgement_may_be_lost_is_known_on_the_next_links() -> None:
    handed, first = Handed(), Wire(session_present=False)
    told(handed, first)
    for _ in range(3):
        handed.follow(Wire())
        assert handed.known(1, FIRE) is Known.COMMITTED
        assert handed.known(2, FIRE) is Known.NEW


def test_the_same_words_under_an_id_that_was_settled_are_a_new_message() -> None:
    handed, first = Handed(), Wire(session_present=False)
    told(handed, first)
    first.pong()
    handed.follow(Wire())
    assert handed.known(1, FIRE) is Known.NEW


def test_an_id_that_did_not_come_again_is_settled_by_the_first_answered_ping_of_a_later_link() -> None:
    handed, links = Handed(), [Wire(session_present=False), Wire(), Wire()]
    told(handed, links[0])
    handed.follow(links[1])
    assert not handed.settled(links[0], [MARK])
    links[1].pong()
    assert handed.settled(links[0], [MARK])
    handed.follow(links[2])
    assert handed.known(1, FIRE) is Known.NEW


def test_one_that_came_again_is_not_settled_before_its_acknowledgement_on_that_link_is() -> None:
    handed, links = Handed(), [Wire(session_present=False), Wire(), Wire()]
    told(handed, links[0])
    handed.follow(links[1])
    links[1].owe(1)
    assert handed.known(1, FIRE) is Known.COMMITTED
    links[1].pong()
    assert not handed.settled(links[0], [MARK])
    handed.follow(links[2])
    assert handed.known(1, FIRE) is Known.COMMITTED


def test_marks_of_an_earlier_life_count_until_nothing_can_come_again_and_are_stale_once() -> None:
    handed, links = Handed([MARK]), [Wire(), Wire(), Wire()]
    handed.follow(links[0])
    assert handed.stale() == []
    handed.follow(links[1])
    assert handed.known(1, FIRE) is Known.COMMITTED
    links[1].pong()
    assert (handed.stale(), handed.stale()) == ([MARK], [])
    handed.follow(links[2])
    assert handed.known(1, FIRE) is Known.NEW


def test_a_new_session_makes_every_id_and_mark_a_thing_of_the_past() -> None:
    handed, old, new = Handed([Mark("s", 7, FIRE)]), Wire(), Wire(session_present=False)
    told(handed, old)
    handed.follow(new)
    assert (handed.known(1, FIRE), handed.known(7, FIRE)) == (Known.NEW, Known.NEW)
    assert handed.stale() == [Mark("s", 7, FIRE)]
    assert handed.settled(old, [MARK])


def test_a_commit_of_a_lost_session_says_nothing_of_the_same_words_under_the_same_id() -> None:
    handed, old, new, later = Handed(), Wire(session_present=False), Wire(session_present=False), Wire()
    handed.follow(old)
    old.owe(1)
    handed.over(1, FIRE)
    before = handed.session
    handed.follow(new)
    new.owe(1)
    handed.over(1, FIRE)
    handed.committed(old, before, [MARK])
    assert not handed.settled(old, [MARK])
    handed.follow(later)
    assert handed.known(1, FIRE) is Known.HANDED_OVER
    handed.committed(new, handed.session, [MARK])
    assert later.acknowledged == [1]


def test_an_id_that_last_named_a_message_without_content_knows_nothing() -> None:
    handed, first = Handed(), Wire(session_present=False)
    told(handed, first)
    handed.forget(1)
    handed.follow(Wire())
    assert handed.known(1, FIRE) is Known.NEW


def test_a_broker_that_lost_its_session_and_counts_from_one_again_loses_no_fire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same words under the same id, the first sending lost with its link: it comes marked as sent again."""
    plain(monkeypatch)
    notebook, store = Notebook(), Store()

    async def fire(broker: SimulatedBroker) -> None:
        sender = await ours(broker.port, "sender", [])
        await sender.publish("smoke/state", b"fire")
        await sender.close()

    async def sessions(number: int) -> None:
        await until(lambda: notebook.counts["alive"] == 2 * number)

    async def main() -> None:
        async with SimulatedBroker(SystemClock()) as broker:
            proxy = Proxy(broker.port)
            async with proxy.serving():
                running = asyncio.create_task(supervised(driver(proxy.port, notebook), store))
                await sessions(1)
                await fire(broker)
                await until(lambda: len(store.events) == 1 and len(proxy.acknowledged) == 1)
                await broker.stop(forget=True)
                await broker.start()
                await sessions(2)
                proxy.stall()
                await fire(broker)
                proxy.cut()
                proxy.go_on()
                await until(lambda: len(proxy.acknowledged) == 2)
                assert len(store.events) == 2
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_marks_of_a_lost_session_leave_the_store_before_anything_can_come_under_their_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain(monkeypatch)
    notebook, store, mark = Notebook(), Store(instant=False), Mark(SESSION, 1, FIRE)

    async def main() -> None:
        async with SimulatedBroker(SystemClock()) as broker:
            sender = await ours(broker.port, "sender", [])
            async with up(driver(broker.port, notebook, marks=[mark]), store):
                await until(lambda: bool(store.batches) and notebook.counts["alive"] == 1)
                assert [(batch.stale, batch.waiting, len(batch)) for batch in store.batches] == [((mark,), True, 0)]
                assert await sender.publish("smoke/state", b"1") == NOBODY, "not subscribed before it has left"
                store.commit()
                await until(lambda: notebook.counts["alive"] == 2)
            await sender.close()

    asyncio.run(main())
