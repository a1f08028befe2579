"""A half-open server: it takes connections and swallows what is said, without a FIN; the daemon as a process."""

from __future__ import annotations

import statistics
import time
from functools import partial
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from tests import real_mosquitto, real_tsdb
from tests.daemon import Daemon
from tests.patience import limit, wait
from tests.sinks.test_daemon import at_victoria, heard, links, publish, publisher, stored
from tests.sinks.watched_station import DEVICES, sink, write
from tests.swallowing_proxy import swallowing

NAME = "sink vm"
ROUNDS = 6  # of readings while the server is half-open
LIVE_WAITS = limit(1.0)  # s from a device's word until it is stored, beyond what that takes without an outage


def say(client: paho.Client, folder: Path, value: float) -> float:
    """Let every device say a value; returns how long it took until all of it was stored."""
    began = time.monotonic()
    for device in DEVICES:
        publish(client, device, value)
    wait(partial(heard, folder, value))
    return time.monotonic() - began


def in_ms(folder: Path) -> dict[str, dict[int, object]]:
    """Return what is stored, as VictoriaMetrics keeps it."""
    return {
        name: {time_ // 1_000_000: pytest.approx(value, rel=1e-12) for time_, value in series.items()}
        for name, series in stored(folder).items()
    }


def test_a_half_open_server_holds_nothing_back_and_gets_everything_afterwards(tmp_path: Path) -> None:
    with (
        real_mosquitto.running(tmp_path) as broker,
        real_tsdb.victoria(tmp_path) as victoria,
        swallowing(int(victoria.url.rpartition(":")[2])) as proxy,
    ):
        life = Daemon(write(tmp_path, broker.port, sink("vm", "influx", url=proxy.url, timeout="1s")))
        try:
            life.wait_armed()
            with publisher(broker.port) as client:
                calm = statistics.median(say(client, tmp_path, 1.0 + number) for number in range(3))  # of this machine
                wait(lambda: in_ms(tmp_path) == at_victoria(victoria))
                known, kept = at_victoria(victoria), len(proxy.links)
                proxy.swallow()
                waits = [say(client, tmp_path, 20.0 + number) for number in range(ROUNDS)]
                wait(lambda: "no answer" in links(tmp_path)[NAME]["reason"] or not links(tmp_path)[NAME]["up"])
                assert statistics.median(waits) <= calm + LIVE_WAITS
                assert at_victoria(victoria) == known, "not a byte got through"
                wait(lambda: len(proxy.links) >= kept + 2)  # tried again over a new connection, in vain too
                proxy.swallowing = False  # those of before stay dead
                say(client, tmp_path, 5.0)
                wait(lambda: in_ms(tmp_path) == at_victoria(victoria))
                assert sum(map(len, stored(tmp_path).values())) == (4 + ROUNDS) * len(DEVICES)

                victoria.hang()  # the kernel goes on taking connections for a process that is stopped
                waits = [say(client, tmp_path, 100.0 + number) for number in range(ROUNDS)]
                assert statistics.median(waits) <= calm + LIVE_WAITS
                victoria.go_on()
                wait(lambda: in_ms(tmp_path) == at_victoria(victoria))
                assert links(tmp_path)[NAME]["counters"].get("set_aside", 0) == 0
        finally:
            victoria.go_on()
            assert life.stop() == 0
