"""The heartbeat: fed by the probe alone, on a real broker, a real HTTP server and a relay; silence where it is due."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.care.heartbeat import FRESH, WITHIN, Heartbeat, Relay, Webhook
from gateway.care.heartbeat_mqtt import Broker
from gateway.channels.webhook import sign
from gateway.clock import SECOND, Clock, SystemClock
from gateway.errors import DeliveryError, LinkDown
from gateway.model.batch import EventCode
from gateway.model.moment import Input
from gateway.pipeline.supervisor import Supervisor
from gateway.testing import FakeClock
from gateway.transport import mqtt
from gateway.transport.mqtt_options import MqttOptions
from tests import real_mosquitto
from tests.http_far_end import answer, far_end
from tests.patience import until
from tests.ports import free_port

SECRET = b"0123456789abcdef0123456789abcdef"
TOPIC = "firegrid/s1/heartbeat"


def facts(state: str) -> dict[str, object]:
    """Say what a station would."""
    return {"station": "s1", "state": state}


class Probe:
    """When a probe last came back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.goes_round = True
        self._last = clock.mono()

    def last(self) -> int:
        """Return it; now, while it goes round."""
        if self.goes_round:
            self._last = self._clock.mono()
        return self._last


class Listed:
    """A way that keeps what it was told to do."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.broken: Exception | None = None
        self.hangs = False

    async def beat(self) -> None:
        """Keep it, or fail as told."""
        if self.broken is not None:
            raise self.broken
        if self.hangs:
            await asyncio.Event().wait()
        self.said.append("beat")

    async def fall_silent(self) -> None:
        """Keep it."""
        if self.said[-1:] != ["silent"]:
            self.said.append("silent")

    async def stop(self) -> None:
        """Keep it."""
        self.said.append("stop")


def beating(way: Listed, clock: FakeClock, probe: Probe) -> Heartbeat:
    """A heartbeat as shipped."""
    return Heartbeat(way, every=30.0, clock=clock, last_probe=probe.last)


def test_it_beats_while_the_probe_goes_round_and_is_silent_within_half_a_minute_when_it_does_not() -> None:
    clock, way = FakeClock(), Listed()
    probe = Probe(clock)

    async def main() -> None:
        task = asyncio.create_task(beating(way, clock, probe).run())
        await clock.advance(95)
        assert way.said == ["beat"] * 4
        probe.goes_round = False
        await clock.advance(FRESH + 30)
        assert way.said.count("beat") <= 5
        assert way.said[-1] == "silent"
        quiet = len(way.said)
        await clock.advance(600)
        assert len(way.said) == quiet
        probe.goes_round = True
        await clock.advance(2)
        assert way.said[-1] == "beat"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert way.said[-1] == "stop"

    asyncio.run(main())


def test_before_the_first_probe_nothing_is_said_and_a_hung_gateway_does_not_say_that_its_stop_was_meant() -> None:
    clock, way = FakeClock(), Listed()

    async def main() -> None:
        heartbeat = Heartbeat(way, every=30.0, clock=clock, last_probe=lambda: 0)
        task = asyncio.create_task(heartbeat.run())
        await clock.advance(60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert set(way.said) == {"silent"}


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("phase", [0.0, 7.0, 29.9])
def test_a_way_that_fails_is_a_fault_within_100_s_and_returns_to_normal(phase: float, *, hangs: bool) -> None:
    clock, way = FakeClock(), Listed()
    told: list[tuple[float, EventCode]] = []
    start = clock.mono()

    def put(item: Input) -> None:
        told.extend(((clock.mono() - start) / SECOND, event.code) for event in getattr(item, "events", ()))

    async def main() -> None:
        link = Supervisor("heartbeat x", clock=clock, put=put, events=1, key="heartbeat x", fault_after=60.0)
        heartbeat = beating(way, clock, Probe(clock))
        task = asyncio.create_task(link.run(lambda: heartbeat.run(link.alive)))
        await clock.advance(60 + phase)
        way.broken, way.hangs = None if hangs else DeliveryError("no", retryable=True), hangs
        await clock.advance(150)
        faults = [at for at, code in told if code is EventCode.FAULT]
        assert len(faults) == 1
        assert faults[0] - (60 + phase) <= 100
        way.broken, way.hangs = None, False
        await clock.advance(60)
        assert told[-1][1] is EventCode.RESTORE
        task.cancel()

    asyncio.run(main())


# -- a real broker


class Subscriber:
    """Another client of the broker."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []

    def take(self, session: mqtt.MqttSession, messages: list[mqtt.Message]) -> None:
        """Keep state and retain flag of what comes."""
        del session
        self.heard += [(json.loads(payload or b"{}")["state"], retain) for _, payload, retain, _, _ in messages]

    async def until(self, state: str) -> None:
        """Wait for a state."""
        await until(lambda: any(heard == state for heard, _ in self.heard))


@asynccontextmanager
async def subscriber(port: int, name: str) -> AsyncIterator[Subscriber]:
    """Subscribe to the heartbeat."""
    made = Subscriber()
    session = await mqtt.connect(MqttOptions("127.0.0.1", name, port=port), SystemClock(), made.take)
    await session.subscribe([(TOPIC, 0)])
    try:
        yield made
    finally:
        await session.close()


def at(port: int) -> Broker:
    """The heartbeat at a broker."""
    return Broker(lambda: MqttOptions("127.0.0.1", "s1", port=port), TOPIC, facts=facts, clock=SystemClock())


def test_the_state_is_retained_a_stop_is_told_and_silence_is_the_last_will(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        way = at(port)
        async with subscriber(port, "a") as early:
            await way.beat()
            await way.beat()
            await early.until("alive")
            async with subscriber(port, "b") as late:
                await late.until("alive")
                assert late.heard[0] == ("alive", True)
            await way.fall_silent()
            await early.until("lost")
            await way.beat()
            early.heard.clear()
            await way.stop()
            await early.until("stopped")
            await asyncio.sleep(0.1)
            assert [state for state, _ in early.heard] == ["stopped"]

    with real_mosquitto.running(tmp_path, real_mosquitto.OPEN) as broker:
        asyncio.run(main(broker.port))


def test_a_broker_that_is_gone_is_said_and_the_next_beat_connects_anew(tmp_path: Path) -> None:
    async def main(broker: real_mosquitto.Mosquitto) -> None:
        way = at(broker.port)
        await way.beat()
        broker.kill()
        with pytest.raises(LinkDown):
            await way.beat()
        with pytest.raises(LinkDown):
            await way.beat()
        broker.start()
        await way.beat()
        async with subscriber(broker.port, "a") as early:
            await early.until("alive")
        await way.stop()

    with real_mosquitto.running(tmp_path, real_mosquitto.OPEN) as broker:
        asyncio.run(main(broker))


# -- a real HTTP server


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def call(port: int, secret: Path, what: Callable[[Webhook], Any], clock: Clock | None = None) -> None:
    """Let one webhook do one thing."""
    url = f"http://127.0.0.1:{port}/beat"
    asyncio.run(what(Webhook(url, secret, None, facts=facts, clock=clock or SystemClock())))


def test_a_beat_is_posted_signed_and_a_stop_is_told(secret: Path) -> None:
    with far_end(answer(204)) as end:
        call(end.port, secret, lambda way: way.beat(), FakeClock())
        call(end.port, secret, lambda way: way.stop(), FakeClock())
    states = []
    for request in end.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert fields["X-Firegrid-Signature"] == sign(SECRET, fields["X-Firegrid-Timestamp"], body)
        states.append(json.loads(body)["state"])
    assert states == ["alive", "stopped"]


@pytest.mark.parametrize("status", [301, 404, 500])
def test_what_is_no_2xx_is_a_way_that_failed(secret: Path, status: int) -> None:
    with far_end(answer(status)) as end, pytest.raises(LinkDown, match=str(status)):
        call(end.port, secret, lambda way: way.beat())


def test_a_far_end_that_is_gone_does_not_hold_up_a_stop(secret: Path) -> None:
    port = free_port()
    with pytest.raises(LinkDown):
        call(port, secret, lambda way: way.beat())
    call(port, secret, lambda way: way.stop())


# -- a relay


@pytest.mark.parametrize(("toggle", "expected"), [(False, [1.0, 1.0, 1.0]), (True, [1.0, 0.0, 1.0])])
def test_a_relay_is_held_or_toggled_and_left_alone_when_the_gateway_is_silent(
    expected: list[float], *, toggle: bool
) -> None:
    written: list[float] = []

    async def write(value: float) -> None:
        written.append(value)

    async def main() -> None:
        way = Relay(write, toggle=toggle)
        for _ in range(3):
            await way.beat()
        await way.fall_silent()
        await way.stop()

    asyncio.run(main())
    assert written == expected
    assert WITHIN < FRESH
