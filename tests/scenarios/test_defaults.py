"""Every deadline that process tests shorten, at its default, on the driven clock: nothing before it, the effect at it.

`DEFAULTS` says what a station without `[limits]` gets; each entry has a test of its name that drives it. The defaults
are those of the house (sections 4, 6, 7) and of the standards it follows.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.app import read
from gateway.clock import SECOND
from gateway.errors import LinkDown
from gateway.escalation.plan import REPEAT_LIFE_SAFETY
from gateway.model.batch import Batch, EventCode
from gateway.model.moment import Input
from gateway.model.notification import DeliveryState, Notification, NotifyReason, Receipt
from gateway.model.point import MAINS_SILENCE, Profile
from gateway.model.station import Limits, StoreSpec
from gateway.pipeline.dispatch import Dispatcher
from gateway.pipeline.opening import open_store
from gateway.pipeline.supervisor import Supervisor
from gateway.testing import FakeClock, Scenario, sends_at_once
from gateway.transport.mqtt import connect
from gateway.transport.mqtt_options import DEFAULT_KEEPALIVE, MqttOptions
from tests import station_toml as toml
from tests.gateway.ledger_bench import Bench
from tests.gateway.test_dispatch import NOTICE, Failing
from tests.gateway.test_mqtt_session import CONNACK, Peer, nothing, says
from tests.patience import PATIENCE, until
from tests.step_station import STATION

FAULT_WITHIN = 100.0  # s from the loss of a link to its fault alarm, GB 4717 and EN 54-2
DEFAULTS: dict[str, float] = {
    "link_fault": 60.0,
    "settle": 60.0,
    "commit_deadline": 2.0,
    "reopen": 10.0,
    "open_deadline": 5.0,
    "receive_maximum": 8192,
    "send_timeout": 120.0,
    "keys": 4096,
    "first_test": 30 * 86400.0,  # tests/commissioning/test_tested.py
    "test_life": 180 * 86400.0,
    "test_other": 365 * 86400.0,
    "repeat": 120.0,
    "silence": 100.0,
    "keepalive": 20,
    "commit_interval": 5.0,
}
RETRY = (10.0, 30.0, 90.0)  # s
LIMITS = Limits()
HOUSE = replace(STATION, limits=LIMITS)


def test_the_table_is_what_a_station_without_limits_gets(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    text = toml.station(tmp_path).replace('commit_interval = "500ms"\n', "").replace('settle = "1s"\n', "")
    config.write_text(text + toml.broker(1) + toml.sensor("v"), encoding="utf-8")
    station = read(config).station
    assert station is not None
    found = {name: getattr(station.limits, name) for name in Limits.__struct_fields__}
    found |= {"repeat": REPEAT_LIFE_SAFETY, "silence": MAINS_SILENCE, "keepalive": DEFAULT_KEEPALIVE}
    assert found | {"commit_interval": station.store.commit_interval} == DEFAULTS | {"retry": RETRY}


# -- links


def faults(put: list[Input]) -> list[EventCode]:
    return [event.code for batch in put if isinstance(batch, Batch) for event in batch.events]


def test_link_fault() -> None:
    async def main() -> None:
        clock, put = FakeClock(), list[Input]()
        link = Supervisor("bus", clock=clock, put=put.append, events=1, fault_after=LIMITS.link_fault)

        async def lost() -> None:
            raise LinkDown("pulled")

        running = asyncio.create_task(link.run(lost))
        await clock.advance(DEFAULTS["link_fault"] - 1)
        assert faults(put) == []
        await clock.advance(1)
        assert faults(put) == [EventCode.FAULT]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_keepalive_and_link_fault_together_keep_the_hundred_seconds() -> None:
    """A broker that is silently gone: found out by its unanswered ping, then a fault alarm."""

    async def main() -> None:
        clock, put = FakeClock(), list[Input]()
        link = Supervisor("broker", clock=clock, put=put.append, events=1, fault_after=LIMITS.link_fault)
        peer = Peer(says(CONNACK))

        async def once() -> None:
            if link.health.tries:
                raise LinkDown("nobody answers")
            session = await connect(MqttOptions("127.0.0.1", "c", port=peer.port), clock, nothing)
            link.alive()
            await session.run()

        async with peer.serving():
            running = asyncio.create_task(link.run(once))
            await until(lambda: link.health.up)
            begun = clock.mono()
            while link.health.up:
                await clock.advance(1)
            assert (clock.mono() - begun) / SECOND == DEFAULTS["keepalive"]
            await clock.advance(DEFAULTS["link_fault"] - 1)
            assert EventCode.FAULT not in faults(put)
            await clock.advance(1)
            assert EventCode.FAULT in faults(put)
            assert (clock.mono() - begun) / SECOND <= FAULT_WITHIN
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_silence() -> None:
    profile = Profile(id="p", title="", points=STATION.devices[-1].profile.points)
    devices = tuple(replace(one, profile=profile) if one.id == "mute" else one for one in HOUSE.devices)
    house = Scenario(replace(HOUSE, devices=devices)).start()
    house.read(5, "mute.x", 1.0)
    house.until(5 + DEFAULTS["silence"] - 1)
    assert silent(house) == []
    house.until(5 + DEFAULTS["silence"])
    assert silent(house) == ["mute"]


def silent(house: Scenario) -> list[str]:
    return [alarm.device for alarm in house.alarms() if alarm.rule == "silence" and alarm.device == "mute"]


def test_settle() -> None:
    """Nothing was ever heard of a device: its silence is a fault, but not before the first poll round is over."""
    again = Scenario(HOUSE).start().restarted(1000).start(1000)
    again.until(1000 + DEFAULTS["settle"] - 1)
    assert silent(again) == []
    again.until(1000 + DEFAULTS["settle"])
    assert silent(again) == ["mute"]


# -- people


def test_repeat() -> None:
    policy = replace(HOUSE.policies[0], repeat=0.0)
    house = Scenario(replace(HOUSE, policies=(policy,)), answer=sends_at_once).start()
    house.read(10, "gas.ch4", 50.0)
    last = 10 + policy.steps[-1].after
    house.until(last + DEFAULTS["repeat"] - 1)
    assert house.told(NotifyReason.REPEATED) == []
    house.until(last + DEFAULTS["repeat"])
    assert {at for at, _, _ in house.told(NotifyReason.REPEATED)} == {last + DEFAULTS["repeat"]}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_retry(number: int) -> None:
    """A method that fails for now is tried again after 10, 30 and 90 s."""

    def fails(notice: Notification) -> list[tuple[float, DeliveryState]]:
        return [(0.0, DeliveryState.FAILED_FOR_NOW)] if notice.channel == "sms" else [(0.0, DeliveryState.SENT)]

    house = Scenario(HOUSE, answer=fails).start()
    house.event(10, "panel", EventCode.FIRE, "1/1")
    house.until(9 + sum(LIMITS.retry) + 10)
    tried = [at for at, notice in house.seen.sent if notice.contact == "li" and notice.reason is NotifyReason.RAISED]
    pauses = [round(later - earlier, 3) for earlier, later in pairwise(tried)]
    assert pauses[number] == RETRY[number]


def test_send_timeout() -> None:
    async def main() -> None:
        clock, put = FakeClock(), list[Input]()
        dispatcher = Dispatcher({"sms": Failing(None)}, put.append, clock, send_timeout=LIMITS.send_timeout)
        dispatcher.send(NOTICE)
        await clock.advance(DEFAULTS["send_timeout"] - 1)
        assert put == []
        await clock.advance(1)
        (receipt,) = put
        assert isinstance(receipt, Receipt)
        assert (receipt.state, receipt.uncertain) == (DeliveryState.FAILED_FOR_NOW, True)

    asyncio.run(main())


# -- the store


def play(test: Callable[[Bench], Awaitable[None]], folder: Path) -> None:
    """Run a test with a ledger that has every limit at its default."""

    async def main() -> None:
        bench = Bench(folder, window=LIMITS.receive_maximum, interval=DEFAULTS["commit_interval"])
        try:
            await test(bench)
        finally:
            bench.disk.release()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_commit_deadline(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.disk.plan["before_commit"] = "hang"
        bench.take(bench.message(1), answer="gas", safety=True)
        await bench.wait(DEFAULTS["commit_deadline"] - 1)
        assert bench.house.left == []
        await bench.wait(1)
        assert bench.house.left == [("gas", False)]

    play(test, tmp_path)


def test_reopen(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.disk.plan["before_begin"] = "raise"
        bench.take(bench.message(1), answer="gas", safety=True)
        await until(lambda: bench.ledger.volatile)
        bench.disk.release()
        await bench.wait(DEFAULTS["reopen"] - 1)
        await bench.quiet()
        assert bench.ledger.volatile
        await bench.wait(1)
        await until(lambda: not bench.ledger.volatile)

    play(test, tmp_path)


def test_commit_interval(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.take(bench.message(1))
        await bench.wait(DEFAULTS["commit_interval"] - 1)
        assert not bench.ledger.busy
        assert bench.acked == []
        await bench.wait(1)
        await bench.quiet()
        assert bench.acked == [1]

    play(test, tmp_path)


def test_receive_maximum(tmp_path: Path) -> None:
    """Half a window of messages is committed at once: the broker must not stop for want of acknowledgements."""

    async def test(bench: Bench) -> None:
        half = LIMITS.receive_maximum // 2
        bench.take(*(bench.message(1) for _ in range(half - 1)))
        assert not bench.ledger.busy
        bench.take(bench.message(1))
        assert bench.ledger.busy
        await bench.quiet()
        assert len(bench.acked) == half

    play(test, tmp_path)


def test_open_deadline(tmp_path: Path) -> None:
    async def main() -> None:
        clock, go_on = FakeClock(), threading.Event()

        def hangs(point: str) -> None:
            if point == "before_open":
                go_on.wait(2 * PATIENCE)

        spec = StoreSpec(path=str(tmp_path / "station.db"))
        opening = asyncio.create_task(open_store(spec, clock=clock, deadline=LIMITS.open_deadline, faults=hangs))
        await clock.advance(DEFAULTS["open_deadline"] - 1)
        assert not opening.done()
        await clock.advance(1)
        await until(opening.done)
        opened = opening.result()
        assert opened.volatile
        assert "did not answer within 5 s" in opened.remarks[0]
        opened.store.close()
        go_on.set()

    asyncio.run(main())
