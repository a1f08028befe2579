"""The whole way: a broker, the daemon, a process for each sink, and real servers; what is stored reads back equal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.cli.main import run
from gateway.model.alarm import AlarmState
from gateway.model.inventory import BOX
from gateway.store.read import Reader
from gateway.transport import unix
from tests import real_mosquitto, real_tsdb
from tests.daemon import Daemon
from tests.patience import PATIENCE, wait
from tests.sinks.watched_station import DEVICES, sink, write

VALUES = (1.5, 0.123456789012345, -1e-7, 25.0, 3.0)  # 25 raises, 3 returns; VictoriaMetrics keeps about 13 digits


@contextmanager
def publisher(port: int) -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="field")
    client.connect("127.0.0.1", port)
    client.loop_start()
    yield client
    client.loop_stop()
    client.disconnect()


def publish(client: paho.Client, device: str, value: float) -> None:
    client.publish(f"station/{device}", json.dumps({"v": value}), qos=1).wait_for_publish(PATIENCE)


def stored(folder: Path) -> dict[str, dict[int, float]]:
    """Return point → ns → value of every reading of the store; equal arrivals follow ns by ns."""
    with Reader(folder / "station.db") as reader:
        ids = reader.points()
        found = {name: reader.readings(ids[name]) for name in (f"{device}.v" for device in DEVICES)}
    told: dict[str, dict[int, float]] = {name: {} for name in found}
    for name, one in found.items():
        for time_, value in zip(one.time.tolist(), one.value.tolist(), strict=True):
            while time_ in told[name]:
                time_ += 1  # noqa: PLW2901 - the rule of the far end, written out
            told[name][time_] = value
    return told


def heard(folder: Path, value: float) -> bool:
    """Return whether every device's value is stored."""
    return all(value in list(series.values()) for series in stored(folder).values())


def moves(folder: Path) -> list[tuple[int, int, str, str, str]]:
    """Return (ns to a µs, alarm, before, after, cause) of every transition of the store."""
    with Reader(folder / "station.db") as reader:
        clock, rows = reader.clock(), list(reader.transitions())
    return sorted(
        (
            (clock.wall(row.boot, row.body.at) or 0) // 1000,
            row.body.alarm,
            row.body.before.value,
            row.body.after.value,
            row.body.cause.value,
        )
        for row in rows
    )


def links(folder: Path) -> dict[str, Any]:
    return {link["name"]: link for link in unix.ask(folder / "station.db.sock", {"do": "status"})["links"]}


def at_influx(server: real_tsdb.Influx) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for tags, time_, fields in server.rows("firegrid_reading"):
        if tags["device"] == BOX:  # the gateway's own figures come by themselves
            continue
        found.setdefault(f"{tags['device']}.{tags['point']}", {})[time_] = fields["value"]
    return found


def at_victoria(server: real_tsdb.Victoria) -> dict[str, dict[int, float]]:
    rows = server.rows("firegrid_reading_value")
    return {f"{labels['device']}.{labels['point']}": series for labels, series in rows if labels["device"] != BOX}


def test_what_the_daemon_stores_reads_back_equal_from_victoria_metrics_and_influxdb(tmp_path: Path) -> None:
    with (
        real_mosquitto.running(tmp_path) as broker,
        real_tsdb.victoria(tmp_path) as victoria,
        real_tsdb.influx(tmp_path) as influx,
    ):
        sinks = sink("vm", "influx", url=victoria.url) + sink(
            "influx", "influx", url=influx.url, api="v1", bucket="firegrid"
        )
        life = Daemon(write(tmp_path, broker.port, sinks))
        try:
            life.wait_armed()
            with publisher(broker.port) as client:
                for value in VALUES:
                    for device in DEVICES:
                        publish(client, device, value)
                    # VictoriaMetrics keeps milliseconds, and one value in each
                    wait(partial(heard, tmp_path, value))
            wait(lambda: stored(tmp_path) == at_influx(influx))
            in_ms = {
                name: {time_ // 1_000_000: pytest.approx(value, rel=1e-12) for time_, value in series.items()}
                for name, series in stored(tmp_path).items()
            }
            wait(lambda: in_ms == at_victoria(victoria))
            told = [
                (time_ // 1000, fields["id"], fields["from"], fields["to"], tags["cause"])
                for tags, time_, fields in influx.rows("firegrid_transition")
            ]
            assert sorted(told) == moves(tmp_path)
            states = {fields["state"] for _, _, fields in influx.rows("firegrid_alarm")}
            assert {1, 4} <= states
            assert AlarmState.LATCHED_UNACK in {move[3] for move in moves(tmp_path)}
            assert any(fields["text"] == 'Gasleck "Küche", 燃气' for _, _, fields in influx.rows("firegrid_alarm"))
            health = links(tmp_path)
            assert health["sink vm"]["up"]
            assert health["sink influx"]["counters"]["sent"] >= len(VALUES) * len(DEVICES)
            influx.ask("DROP DATABASE firegrid")
            influx.make()
            assert run(["sink", "rewind", "influx", "-c", str(tmp_path / "station.toml")]) == 0
            assert run(["sink", "rewind", "none", "-c", str(tmp_path / "station.toml")]) == 3
            wait(lambda: stored(tmp_path) == at_influx(influx))
        finally:
            assert life.stop() == 0
