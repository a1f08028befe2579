"""The whole daemon looked after by nobody: its box speaks, its heartbeat is heard, its death and its end are known."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path

from gateway.app import serve
from gateway.clock import SystemClock
from gateway.house import House
from gateway.store.read import Reader
from gateway.transport import mqtt
from gateway.transport.mqtt_options import MqttOptions
from tests import patience, real_mosquitto
from tests.daemon import Daemon
from tests.http_far_end import answer, far_end
from tests.patience import PATIENCE
from tests.sinks.watched_station import write

HEARTBEAT = """
[heartbeat]
every = "5s"
source = "broker"
url = "http://127.0.0.1:{port}/beat"
secret_file = "secret"

[power]
nut = "ups@127.0.0.1:1"
"""


def config(folder: Path, port: int, hook: int) -> Path:
    """Write a station with a heartbeat on two ways, and a UPS nobody answers for."""
    secret = folder / "secret"
    secret.write_bytes(b"0123456789abcdef")
    secret.chmod(0o600)
    return write(folder, port, HEARTBEAT.format(port=hook))


async def until(port: int, wanted: str, meanwhile: Callable[[], object] = lambda: None) -> list[str]:
    """Listen to the heartbeat until a state comes; return all states."""
    heard: list[str] = []

    def take(_: mqtt.MqttSession, messages: list[mqtt.Message]) -> None:
        heard.extend(json.loads(payload or b"{}")["state"] for _, payload, *_ in messages)

    session = await mqtt.connect(MqttOptions("127.0.0.1", "listener", port=port), SystemClock(), take)
    await session.subscribe([("firegrid/jc-07/heartbeat", 0)])
    await asyncio.to_thread(meanwhile)
    await patience.until(lambda: wanted in heard)
    await session.close()
    return heard


def newest(folder: Path, point: str) -> float | None:
    """Return the newest stored value of a point of the box."""
    with Reader(folder / "station.db") as reader:
        series = reader.readings(reader.points()[f"gateway.{point}"])
    return series.value.tolist()[-1] if len(series.value) else None


def test_life_death_and_end_of_a_daemon_are_known_to_others(tmp_path: Path) -> None:
    with real_mosquitto.running(tmp_path) as broker, far_end(answer(204)) as end:
        path = config(tmp_path, broker.port, end.port)
        life = Daemon(path)
        try:
            life.wait_armed()
            assert set(asyncio.run(until(broker.port, "alive"))) == {"alive"}
            assert asyncio.run(until(broker.port, "lost", life.kill))[-1] == "lost"
            life = Daemon(path)
            life.wait_armed()
            asyncio.run(until(broker.port, "alive"))
            heard = asyncio.run(until(broker.port, "stopped", lambda: life.signal(signal.SIGTERM)))
            assert "lost" not in heard
            assert life.wait_end(PATIENCE)
        finally:
            with contextlib.suppress(OSError):
                life.kill()
    states = [json.loads(request.partition(b"\r\n\r\n")[2])["state"] for request in end.requests]
    assert states.count("alive") >= 2
    assert states[-1] == "stopped"
    assert 0 < (newest(tmp_path, "disk_free_share") or 0) <= 100
    assert newest(tmp_path, "clock_trusted") == 1
    assert newest(tmp_path, "restarts_day") == 2


def test_a_daemon_that_stands_still_is_given_up_by_the_broker(tmp_path: Path) -> None:
    with real_mosquitto.running(tmp_path) as broker:
        path = config(tmp_path, broker.port, 9)
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('driver = "mqtt"', 'driver = "mqtt"\nkeepalive = 2', 1), encoding="utf-8")
        life = Daemon(path)
        try:
            life.wait_armed()
            asyncio.run(until(broker.port, "alive"))
            assert asyncio.run(until(broker.port, "lost", lambda: life.signal(signal.SIGSTOP)))[-1] == "lost"
        finally:
            life.kill()


def test_an_end_of_its_own_has_its_exit_code(tmp_path: Path) -> None:
    def ready(house: House) -> None:
        house.stop(4)

    with real_mosquitto.running(tmp_path) as broker:
        assert asyncio.run(serve(config(tmp_path, broker.port, 9), ready=ready)) == 4
