"""The Home Assistant sink against a real Mosquitto: what stands there is what is, and our own dialect can read it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.clock import SECOND
from gateway.errors import ConfigError
from gateway.model.alarm import AlarmState
from gateway.model.point import AlarmClass, AlarmSpec, Kind, Point, PointSpec
from gateway.model.portion import Note
from gateway.model.quality import Doubt, Level, quality
from gateway.model.verdict import Cause
from gateway.sinks import homeassistant
from gateway.sinks._ha_components import component, shown, slug, state_of
from tests.mqtt_clients import ours
from tests.patience import until
from tests.real_mosquitto import running
from tests.sinks.homeassistant_station import BAD, POINTS, SHOWN, retained, setup, states
from tests.sinks.living_station import Living
from tests.sinks.portions import WALL, event, move, portion


def test_a_station_shows_itself_with_its_states_and_goes_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port, name="Station 7"))
            rows = ((1, WALL, 1.0, 0), (2, WALL, 21.5, 0), (2, WALL - 1, 99.0, 0), (4, WALL, 2.0, 0), (3, WALL, 1.0, 0))
            happened: list[Any] = []
            listener = await ours(broker.port, "ha", happened)
            await listener.subscribe([("firegrid-ha/jc-07/event", 1), ("firegrid-ha/jc-07/transition", 1)])
            notes = (move(8), event(7))  # newest first, as the record is read
            assert await sink.send(replace(portion(*rows), notes=notes)) == []
            stands = await states(broker.port)
            told = stands["homeassistant/device/jc-07/config"]
            assert told["dev"] == {"ids": ["jc-07"], "name": "Station 7", "mf": "firegrid"}
            assert set(told["cmps"]) == {
                "jc-07_transition",
                "jc-07_event",
                "jc-07_hall_smoke",
                "jc-07_hall_temperature",
                "jc-07_pump_mode",
            }
            assert stands["hall/smoke"] == {
                "v": 1.0,
                "available": "online",
                "state": "ON",
                "quality": "GOOD",
                "t": "2026-09-21T14:13:20.000000000Z",
            }
            assert (stands["hall/temperature"]["v"], stands["pump/mode"]["state"]) == (21.5, "manual")
            assert stands["firegrid-ha/jc-07/status"] == {"online": True, "instance": "i1"}
            await until(lambda: len(happened) == 2)
            assert [json.loads(message[1])["event_type"] for message in happened] == ["fire", AlarmState.UNACK.value]
            assert not any(message[2] for message in happened)  # what happened is not retained
            await sink.close()
            assert (await states(broker.port))["firegrid-ha/jc-07/status"]["online"] is False
            await listener.close()

    asyncio.run(main())


def test_bad_is_unavailable_never_off() -> None:
    smoke, mode = POINTS[1].spec, POINTS[4].spec
    for value, mark in ((np.nan, BAD), (0.0, BAD), (np.nan, 0)):
        said = state_of(smoke, value, mark, "")
        assert (said["available"], said["state"]) == ("offline", None)
    uncertain = quality(Level.UNCERTAIN, Doubt.RETAINED)
    assert state_of(smoke, 1.0, uncertain, "")["state"] == "ON"
    assert state_of(mode, 5.0, 0, "")["state"] is None
    entry = component(POINTS[1], "u", "t", "s")
    assert entry["avty_mode"] == "all"
    assert [one["t"] for one in entry["avty"]] == ["s", "t"]


@pytest.mark.parametrize(
    ("spec", "platform", "kind"),
    [
        (POINTS[1].spec, "binary_sensor", "smoke"),
        (PointSpec(name="heat", kind=Kind.STATE, labels={"a": 0, "b": 1}), "binary_sensor", "heat"),
        (PointSpec(name="contact", kind=Kind.STATE, labels={"closed": 0, "open": 1}), "binary_sensor", "door"),
        (PointSpec(name="relay", kind=Kind.STATE, labels={"off": 0, "on": 1}), "binary_sensor", None),
        (POINTS[4].spec, "sensor", "enum"),
        (PointSpec(name="t", unit="Cel"), "sensor", "temperature"),
        (PointSpec(name="humidity", unit="%"), "sensor", "humidity"),
        (PointSpec(name="level", unit="%"), "sensor", None),
        (PointSpec(name="level", unit="mm"), "sensor", "distance"),
        (PointSpec(name="co", unit="[ppm]"), "sensor", "carbon_monoxide"),
        (PointSpec(name="energy", unit="kW.h", kind=Kind.COUNTER), "sensor", "energy"),
        (PointSpec(name="flow", unit="L/min"), "sensor", None),
    ],
)
def test_platform_and_class(spec: PointSpec, platform: str, kind: str | None) -> None:
    entry = component(Point(1, "d", spec, ""), "u", "t", "s")
    assert (entry["p"], entry.get("dev_cla")) == (platform, kind)


def test_on_is_the_side_that_alarms() -> None:
    alarm = AlarmSpec(when='value == "off"', alarm_class=AlarmClass.FAULT)
    spec = PointSpec(name="mains", kind=Kind.STATE, labels={"off": 0, "on": 1}, alarms=(alarm,))
    assert [state_of(spec, value, 0, "")["state"] for value in (0.0, 1.0)] == ["ON", "OFF"]


def test_neither_text_nor_what_left_the_configuration_is_shown() -> None:
    assert [number for number, point in POINTS.items() if shown(point.spec)] == [1, 2, 4]


def test_an_object_id_is_plain_and_unique() -> None:
    names = ["jc-07", "站 7", "站 8", "a.b", "a b"]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("jc-07") == "jc-07"
    assert all(slug(name).isascii() and slug(name).replace("_", "").replace("-", "").isalnum() for name in names)


def test_a_backlog_never_overwrites_what_is_newer_also_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port))
            await sink.send(portion((1, WALL, 1.0, 0)))
            await sink.send(portion((1, WALL - SECOND, 0.0, 0)))
            assert (await states(broker.port))["hall/smoke"]["state"] == "ON"
            await sink.close()
            sink = homeassistant.create(setup(broker.port))
            await sink.send(portion((1, WALL - SECOND, 0.0, 0)))
            assert (await states(broker.port))["hall/smoke"]["state"] == "ON"
            ahead = WALL + 10**9 * SECOND  # a wrong clock holds nothing back
            await sink.send(portion((1, ahead, 1.0, 0)))
            await sink.send(portion((1, WALL + SECOND, 0.0, 0)))
            assert (await states(broker.port))["hall/smoke"]["state"] == "OFF"
            await sink.close()

    asyncio.run(main())


@pytest.mark.parametrize("payload", [b'{"t": "\xff"}', b"[" * 5_000, b"[]", b'{"t"', b""])
def test_what_others_left_at_the_broker_stops_nothing(payload: bytes) -> None:
    sink = homeassistant.create(setup())
    for topic in ("homeassistant/device/jc-07/config", "firegrid-ha/jc-07/point/hall/smoke"):
        sink._heard(topic, payload)  # noqa: SLF001 - as a retained message of anybody comes in
    assert not sink._before  # noqa: SLF001
    assert not sink._newest  # noqa: SLF001


def test_a_number_is_told_now_and_then_a_change_of_state_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port))
            got: list[Any] = []
            listener = await ours(broker.port, "ha", got)
            await listener.subscribe([("firegrid-ha/jc-07/point/#", 1)])
            for second in range(21):
                mark = BAD if second == 15 else 0
                await sink.send(portion((2, WALL + second * SECOND, float(second), mark), (1, WALL + second, 0.0, 0)))
            await sink.send(portion((1, WALL + SECOND, 1.0, 0)))
            await until(lambda: len(got) == 6)
            told = [json.loads(payload) for topic, payload, *_ in got if topic.endswith("temperature")]
            assert [one["v"] for one in told] == [0.0, 10.0, 15.0, 16.0]
            assert [one["available"] for one in told] == ["online", "online", "offline", "online"]
            await listener.close()
            await sink.close()

    asyncio.run(main())


def test_the_last_number_is_told_though_it_had_to_wait_and_nothing_follows(tmp_path: Path) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port))
            await sink.send(portion((2, WALL, 20.0, 0)))
            await sink.send(portion((2, WALL + SECOND, 30.0, 0), (2, WALL + 2 * SECOND, 55.0, 0)))
            await sink.send(portion((1, WALL + 9 * SECOND, 0.0, 0)))
            assert (await states(broker.port))["hall/temperature"]["v"] == 20.0
            await sink.send(portion((1, WALL + 10 * SECOND, 0.0, 0)))
            assert (await states(broker.port))["hall/temperature"]["v"] == 55.0
            await sink.send(portion((2, WALL + 21 * SECOND, 21.0, 0)))
            await sink.send(portion((1, WALL + 99 * SECOND, 0.0, 0)))
            assert (await states(broker.port))["hall/temperature"]["v"] == 21.0  # what was late is not told again
            await sink.close()

    asyncio.run(main())


def test_who_is_silent_is_unavailable_and_as_it_was_when_heard_again(tmp_path: Path) -> None:
    def silence(n: int, cause: Cause, second: int) -> Note:
        note = move(n, time=WALL + second * SECOND)
        return note._replace(body=msgspec.structs.replace(note.body, rule="silence", cause=cause))

    async def main() -> None:
        with running(tmp_path) as broker:
            sink = homeassistant.create(setup(broker.port))

            async def after(*rows: tuple[int, int, float, int], notes: tuple[Note, ...] = ()) -> dict[str, Any]:
                await sink.send(replace(portion(*rows), notes=notes))
                stands = await states(broker.port)
                return {name: (stands[name]["available"], stands[name]["v"]) for name in stands if name in SHOWN}

            alive = {"hall/smoke": ("online", 1.0), "hall/temperature": ("online", 21.5), "pump/mode": ("online", 2.0)}
            dead = {name: ("offline", None) if name.startswith("hall") else said for name, said in alive.items()}
            assert await after((1, WALL, 1.0, 0), (2, WALL, 21.5, 0), (4, WALL, 2.0, 0)) == alive
            assert await after(notes=(silence(1, Cause.SILENCE, 100),)) == dead
            assert await after((4, WALL + 101 * SECOND, 2.0, 0)) == dead
            slow = WALL + 90 * SECOND  # its clock is
            heard = await after((2, slow, 22.0, 0), notes=(silence(2, Cause.HEARD, 200),))
            assert heard == alive | {"hall/temperature": ("online", 22.0)}
            both = (silence(4, Cause.SILENCE, 400), silence(3, Cause.HEARD, 300))  # the newest first
            assert await after((1, WALL + 300 * SECOND, 0.0, 0), notes=both) == dead
            assert (await after(notes=(silence(5, Cause.HEARD, 500),)))["hall/smoke"] == ("online", 0.0)
            await sink.close()

    asyncio.run(main())


def test_from_the_journal_of_a_living_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with running(tmp_path) as broker:
            living = Living(tmp_path, "homeassistant", host="127.0.0.1", port=broker.port, keepalive=2)
            async with living.sending(monkeypatch):
                living.read(1.0, 50.0)
                await until(lambda: living.at_rest)
                stands = await retained(broker.port, "firegrid-ha/#")
                (state,) = [said for topic, said in stands.items() if topic.endswith("point/gas/ch4")]
                assert state["v"] == 50.0
                broker.kill()
                living.read(2.0)
                await until(lambda: bool(living.error))
                broker.start()  # it kept nothing
                await until(lambda: living.at_rest)
                stands = await retained(broker.port, "#")
                (state,) = [said for topic, said in stands.items() if topic.endswith("point/gas/ch4")]
                assert state["v"] == 2.0
                assert any(topic.startswith("homeassistant/device/") for topic in stands)

    asyncio.run(main())


def test_wrong_keys() -> None:
    with pytest.raises(ConfigError, match="prefix"):
        homeassistant.create(setup(prefix="a/#"))
