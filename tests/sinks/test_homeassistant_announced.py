"""What the Home Assistant sink announces at a real Mosquitto: components, parts, and that our own dialect learns."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers._profiles import profile, tailor
from drivers.dialects.homeassistant import create as create_dialect
from drivers.dialects.homeassistant import learn, merge
from gateway.clock import SECOND
from gateway.model.point import Device, Point, PointSpec
from gateway.model.ports import Decoded, DialectSetup
from gateway.model.quality import describe
from gateway.sinks import homeassistant
from tests.mqtt_clients import ours
from tests.patience import until
from tests.real_mosquitto import running
from tests.sinks.homeassistant_station import BAD, retained, setup, states
from tests.sinks.portions import WALL, portion


def test_two_points_never_share_a_component(tmp_path: Path) -> None:
    names = {1: ("a_b", "c"), 2: ("a", "b_c")}
    twins = {number: Point(number, one, PointSpec(name=name, unit="Cel"), "") for number, (one, name) in names.items()}

    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(replace(setup(broker.port), points=twins))
            await sink.send(portion())
            told = (await states(broker.port))["homeassistant/device/jc-07/config"]["cmps"]
            topics = [entry["stat_t"] for name, entry in told.items() if name.startswith("jc-07_a")]
            assert topics == ["firegrid-ha/jc-07/point/a_b/c", "firegrid-ha/jc-07/point/a/b_c"]
            await sink.close()

    asyncio.run(main())


def test_a_point_that_left_is_removed_and_no_more_named(tmp_path: Path) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port))
            await sink.send(portion((1, WALL, 1.0, 0)))
            await sink.close()
            got: list[Any] = []
            listener = await ours(broker.port, "ha", got)
            await listener.subscribe([("homeassistant/device/jc-07/config", 1)])
            await until(lambda: len(got) == 1)
            sink = homeassistant.create(setup(broker.port, points=(1, 3)))
            await sink.send(portion((1, WALL, 1.0, 0)))
            await until(lambda: len(got) == 3)
            first, then = (json.loads(payload)["cmps"] for _, payload, *_ in got[1:])
            assert {name: entry for name, entry in first.items() if len(entry) == 1} == {
                "jc-07_hall_temperature": {"p": "sensor"},
                "jc-07_pump_mode": {"p": "sensor"},
            }
            assert set(then) == {"jc-07_transition", "jc-07_event", "jc-07_hall_smoke"}
            await listener.close()
            await sink.close()

    asyncio.run(main())


def test_many_points_are_announced_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homeassistant, "PART", 2)

    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port))
            await sink.send(portion())
            stands = await retained(broker.port, "homeassistant/#")
            assert {topic: len(told["cmps"]) for topic, told in stands.items()} == {
                "homeassistant/device/jc-07/config": 2,
                "homeassistant/device/jc-07_2/config": 2,
                "homeassistant/device/jc-07_3/config": 1,
            }
            assert len({told["dev"]["ids"][0] for told in stands.values()}) == 1
            await sink.close()
            got: list[Any] = []
            listener = await ours(broker.port, "ha", got)
            await listener.subscribe([("homeassistant/device/+/config", 1)])
            await until(lambda: len(got) == 3)
            monkeypatch.setattr(homeassistant, "PART", 10)
            sink = homeassistant.create(setup(broker.port))
            await sink.send(portion())
            await until(lambda: len(got) == 8)
            left, whole = [json.loads(payload)["cmps"] for _, payload, *_ in got[3:5]], json.loads(got[5][1])["cmps"]
            assert {len(entry) for part in left for entry in part.values()} == {1}  # first they leave their parts
            assert {name for part in left for name in part} < set(whole)
            await listener.close()
            assert list(await retained(broker.port, "homeassistant/#")) == ["homeassistant/device/jc-07/config"]
            await sink.close()

    asyncio.run(main())


def test_what_it_announces_our_own_dialect_learns_and_reads(tmp_path: Path) -> None:
    """Round trip: points → discovery and states → devices learnt → the readings that were sent."""

    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port))
            await sink.send(portion((1, WALL, 1.0, 0), (2, WALL, 21.5, 0)))
            stands = await retained(broker.port, "#")
            found = [one for topic, told in stands.items() for one in learn(topic, json.dumps(told).encode())]
            (device,) = merge(found)
            assert device.id == "jc-07"
            assert {name: keys["decode"]["topic"] for name, keys in device.points.items()} == {
                "smoke": "firegrid-ha/jc-07/point/hall/smoke",
                "temperature": "firegrid-ha/jc-07/point/hall/temperature",
            }
            known = tailor(profile(device.profile), {name: dict(keys) for name, keys in device.points.items()})
            options = {key: value for key, value in device.options.items() if key != "silence"}
            one = Device(id="it", source="b", profile=known, options=options)
            ids = {f"it.{spec.name}": number for number, spec in enumerate(known.points)}
            dialect = create_dialect(DialectSetup(devices=[one], point_ids=ids, source_events=99))
            assert set(dialect.filters(one)) <= set(stands)
            into = Decoded()
            for topic, told in stands.items():
                dialect.decode(topic, json.dumps(told).encode(), retained=False, into=into)
            read = {point: (value, describe(mark)) for point, _, value, mark in into.rows}
            assert read == {ids["it.smoke"]: (1.0, "GOOD"), ids["it.temperature"]: (21.5, "GOOD")}
            await sink.send(
                portion((2, WALL + SECOND, np.nan, BAD))
            )  # one point of the station is bad, not all of them
            dead = Decoded()
            topic, told = "firegrid-ha/jc-07/point/hall/temperature", (await states(broker.port))["hall/temperature"]
            dialect.decode(topic, json.dumps(told).encode(), retained=False, into=dead)
            assert [(point, describe(mark)) for point, _, _, mark in dead.rows] == [
                (ids["it.temperature"], "BAD:no_comms")
            ]
            gone = Decoded()
            topic = "firegrid-ha/jc-07/status"
            dialect.decode(topic, b'{"online":false,"instance":"i1"}', retained=True, into=gone)
            assert {describe(mark) for *_, mark in gone.rows} == {"BAD:offline"}
            await sink.close()

    asyncio.run(main())
