"""A daemon with a broker, a bus and a modem around it, for tests of bad input; and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.model.batch import EventCode
from gateway.model.quality import describe
from gateway.store.read import Reader, Series
from gateway.transport import unix
from tests import station_toml as toml
from tests.patience import PATIENCE


def station(folder: Path, port: int) -> str:
    """Return the station: gas1 with a time of its own, p1 under a pattern of topics, room on the bus."""
    limits = {"link_fault": "2s", **toml.WELL}
    text = toml.station(folder, interval="1s", limits=limits) + toml.broker(port) + toml.bus(folder)
    text += toml.slave("room", 1) + toml.sensor("gas1", topic="gas/1", point="ch4", unit="%", time="$.t")
    text += toml.sensor("any", topic="site/{unit}", match={"unit": "p1"})
    return text + toml.rule("gas", "gas1.ch4", "value > 10")


def write(folder: Path, port: int) -> Path:
    config = folder / "station.toml"
    config.write_text(station(folder, port), encoding="utf-8")
    return config


@contextmanager
def publisher(port: int) -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="sender", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client: paho.Client, topic: str, payload: bytes) -> None:
    client.publish(topic, payload, qos=1).wait_for_publish(PATIENCE)


def links(folder: Path) -> dict[str, dict[str, Any]]:
    status = unix.ask(folder / "station.db.sock", {"do": "status"})
    return {link["name"]: link for link in status["links"]}


def counters(folder: Path) -> dict[str, int]:
    found: dict[str, int] = links(folder)["broker"]["counters"]
    return found


def series(folder: Path, point: str) -> Series:
    with Reader(folder / "station.db") as reader:
        return reader.readings(reader.points()[point])


def stored(folder: Path, point: str) -> list[tuple[float, str]]:
    found = series(folder, point)
    values = np.nan_to_num(found.value)  # what is no number is stored as NaN; here 0 stands for it
    return [(float(values[row]), describe(int(found.quality[row]))) for row in range(len(found))]


def faults(folder: Path) -> list[str]:
    with Reader(folder / "station.db") as reader:
        return [entry.body.text for entry in reader.events() if entry.body.code is EventCode.FAULT]
