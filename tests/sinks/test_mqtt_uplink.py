"""The MQTT uplink against a real Mosquitto: passes on PUBACK only, survives the broker, one gateway a station."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.errors import ConfigError, DeliveryError
from gateway.sinks import mqtt_uplink
from gateway.sinks._messages import READINGS, rfc3339
from gateway.transport.mqtt_options import MqttOptions
from tests.patience import PATIENCE, until
from tests.ports import free_port
from tests.real_mosquitto import OPEN, Mosquitto, running
from tests.sinks.living_station import Living
from tests.sinks.portions import WALL, event, move, portion, readings, setup


class Centre:
    """Who listens at the far broker."""

    def __init__(self, port: int) -> None:
        self.got: list[tuple[str, Any]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="centre", clean_session=False)
        listening = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("firegrid/#", 1)
        self._client.on_subscribe = lambda *_: listening.set()
        self._client.on_message = lambda _c, _u, got: self.got.append((got.topic, json.loads(got.payload)))
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert listening.wait(PATIENCE)  # what is sent before is not for it

    def close(self) -> None:
        """Go."""
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, topic: str) -> list[Any]:
        """Return the payloads of a kind, in order."""
        return [payload for known, payload in self.got if known.endswith(topic)]

    def values(self) -> dict[str, float]:
        """Return time → value of every reading."""
        return {row["time"]: row["value"] for message in self.of("/readings") for row in message["readings"]}


def test_everything_stored_arrives_also_over_a_broker_that_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        port = free_port()
        kept = f"persistence true\npersistence_location {tmp_path}/\n"
        broker = Mosquitto(tmp_path, f"listener {port} 127.0.0.1\n{OPEN}{kept}user root\n", port)
        broker.start()
        centre = Centre(port)
        try:
            living = Living(tmp_path, "mqtt_uplink", host="127.0.0.1", port=port, keepalive=2)
            async with living.sending(monkeypatch):
                living.read(1.0, 50.0)
                await until(lambda: living.at_rest)
                broker.stop()  # it keeps the centre's session: what it has taken is its own to deliver
                living.read(2.0)
                await until(lambda: bool(living.error))
                living.read(3.0, 4.0)
                broker.start()
                await until(lambda: living.at_rest)
                wanted = dict(zip(rfc3339(list(living.stored())), living.stored().values(), strict=True))
                await until(lambda: centre.values() == wanted)
                await until(lambda: len({one["n"] for one in centre.of("/event")}) == living.count("event"))
                await until(lambda: len({one["n"] for one in centre.of("/transition")}) == living.count("transition"))
        finally:
            centre.close()
            broker.kill()

    asyncio.run(main())


def test_payloads(tmp_path: Path) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            centre = Centre(broker.port)
            sink = mqtt_uplink.create(setup("mqtt_uplink", host="127.0.0.1", port=broker.port))
            rows = portion((1, WALL, 12.5, 0), (1, WALL + 1, np.nan, 135), notes=(event(7), move(8, who="li")))
            assert await sink.send(rows) == []
            await sink.send(readings(READINGS + 1))
            await until(lambda: len(centre.of("/readings")) == 3)
            await sink.close()
            await until(lambda: Counter(one["online"] for one in centre.of("/status")) == {True: 1, False: 1})
            centre.close()
        place = {"device": "kitchen", "point": "ch4", "unit": "%[LEL]"}
        assert centre.of("/readings")[0] == {
            "readings": [
                {**place, "time": "2026-09-21T14:13:20.000000000Z", "value": 12.5, "quality": "GOOD"},
                {**place, "time": "2026-09-21T14:13:20.000000001Z", "value": None, "quality": "BAD:not_a_number"},
            ]
        }
        assert centre.of("/event") == [
            {
                "n": 7,
                "time": "2026-09-21T14:13:20.000000000Z",
                "device": "panel",
                "key": "3/17",
                "code": "fire",
                "text": "火警",
            }
        ]
        (told,) = centre.of("/transition")
        assert (told["alarm"], told["from"], told["to"], told["who"], told["class"]) == (
            5,
            "normal",
            "unack",
            "li",
            "gas",
        )

    asyncio.run(main())


def test_a_second_gateway_of_the_same_station_stops_and_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            first, second = (
                mqtt_uplink.create(setup("mqtt_uplink", host="127.0.0.1", port=broker.port, instance=name))
                for name in ("i1", "i2")
            )
            await first.send(readings(1))
            with pytest.raises(DeliveryError, match=r"another gateway \(i1\) speaks for station 'jc-07'"):
                await second.send(readings(1))
            await first.send(readings(1))
            await first.close()
            await second.send(readings(1))
            await second.close()

    asyncio.run(main())


def test_a_broker_that_does_not_let_us_in_or_publish_is_a_fault_with_words(tmp_path: Path) -> None:
    async def main() -> None:
        acl = tmp_path / "acl"
        acl.write_text("topic read #\n", encoding="utf-8")
        with running(tmp_path, OPEN + f"acl_file {acl}\n") as broker:
            sink = mqtt_uplink.create(setup("mqtt_uplink", host="127.0.0.1", port=broker.port))
            with pytest.raises(DeliveryError, match="let this user publish to firegrid/jc-07/#"):
                await sink.send(readings(1))
            await sink.close()
        with running(tmp_path, "allow_anonymous false\n") as broker:
            sink = mqtt_uplink.create(setup("mqtt_uplink", host="127.0.0.1", port=broker.port))
            with pytest.raises(DeliveryError, match="check username, password_file"):
                await sink.send(readings(1))
            await sink.close()

    asyncio.run(main())


def test_names_that_no_topic_can_hold() -> None:
    sink = mqtt_uplink.create(setup("mqtt_uplink", host="h", station="a/b+c#"))
    assert sink.root == "firegrid/a-b-c-"
    assert isinstance(sink.connection, MqttOptions)
    with pytest.raises(ConfigError, match="prefix"):
        mqtt_uplink.create(setup("mqtt_uplink", host="h", prefix="a/#"))
