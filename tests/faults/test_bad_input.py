"""Bad input through a running daemon: each is told, counted or refused, and a real alarm still reaches a person.

One life of `firegrid run` with a real Mosquitto, a modem and a bus hears everything the issue names; then a good gas
alarm must travel to an SMS. What is wrong with a configuration file has its cases in `tests/gateway/test_config_*`,
what is wrong with a store in `tests/faults/test_store_*`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.app import serve
from gateway.house import House
from gateway.model.batch import EventCode
from gateway.model.delta import Delta
from gateway.model.moment import Moment
from gateway.model.quality import describe
from gateway.model.verdict import Change
from gateway.pipeline.latest import Latest
from gateway.store.read import Reader, Series
from gateway.transport import unix
from rules.kinds.threshold import Threshold
from tests.daemon import ROOT, Daemon
from tests.field import Field
from tests.real_mosquitto import running

STATION = """
[station]
id = "bad"
name = "测试站"
clock = "trusted"

[store]
path = "{folder}/station.db"
commit_interval = "1s"

[limits]
settle = "1s"
link_fault = "2s"

[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = {port}

[[source]]
id = "bus"
driver = "modbus_rtu"
port = "{folder}/bus"

[[device]]
id = "room"
source = "bus"
profile = "xy-md02"
address = 1
cell = "a"
poll = "1s"
silence = "1d"

[[device]]
id = "gas1"
source = "broker"
profile = "json-generic"
topic = "gas/1"
time = "$.t"
cell = "a"
silence = "1d"
points = {{ ch4 = {{ unit = "%", decode = {{ path = "$.ch4" }} }} }}

[[device]]
id = "any"
source = "broker"
profile = "json-generic"
topic = "site/{{unit}}"
match = {{ unit = "p1" }}
cell = "a"
silence = "1d"
points = {{ v = {{ unit = "1", decode = {{ path = "$.v" }} }} }}

[[cell]]
id = "a"
name = "一号楼"

[[contact]]
id = "li"
name = "李伟"
phone = "13800138000"
cell = "a"
role = "squad"

[[channel]]
id = "sms"
kind = "sms_modem"
port = "{folder}/modem"

[[policy]]
id = "p"
repeat = "600s"
steps = [{{ after = "0s", notify = ["role:squad@cell"], by = ["sms"] }}]

[[rule]]
id = "gas"
points = "gas1.ch4"
when = "value > 10"
class = "gas"
policy = "p"
"""

# What is published for gas1, what the daemon counts for it, and the reading that comes of it, if any.
PAYLOADS: list[tuple[bytes, str, tuple[float, str] | None]] = [
    (b"this is not JSON", "not_json", None),
    (b'{"ch4": 99', "not_json", None),
    (b"\x00\xff\xfe\x80", "not_json", None),
    (b" ", "empty", None),
    (b"[" * 5000 + b"]" * 5000, "too_deep", None),
    (b"{}", "no_value", None),
    (b"[1, 2]", "no_value", None),
    (b'{"ch4": NaN}', "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": Infinity}', "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": -Infinity}', "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": 1e400}', "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": ' + b"9" * 400 + b"}", "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": null}', "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": {"value": 99}}', "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": "ninety-nine"}', "", (0.0, "BAD:not_a_number")),
    (b'{"ch4": "1.25"}', "", (1.25, "GOOD")),
    (b'{"ch4": "1,5"}', "", (1.5, "GOOD")),
    (b'{"ch4": 2, "t": 0}', "", (2.0, "GOOD")),
    (b'{"ch4": 3, "t": "1970-01-01T00:00:07Z"}', "", (3.0, "GOOD")),
    (b'{"ch4": 4, "t": "2099-12-31T23:59:59Z"}', "", (4.0, "GOOD")),
    (b'{"ch4": 5, "t": "half past nine"}', "bad_time", (5.0, "GOOD")),
    (b'{"ch4": 6, "t": 1e300}', "bad_time", (6.0, "GOOD")),
]
GIANT = b'{"ch4": 99, "filler": "' + b"x" * 10_000_000 + b'"}'
FLOOD = 3_000
TAKEN_APART = 2.0  # s between readings that halving must find


def write(folder: Path, port: int) -> Path:
    config = folder / "station.toml"
    config.write_text(STATION.format(folder=folder, port=port), encoding="utf-8")
    return config


def until(condition: Callable[[], object], within: float, what: str) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s: {what}"
        time.sleep(0.05)


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
    client.publish(topic, payload, qos=1).wait_for_publish(20)


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


@pytest.mark.timeout(110)
def test_one_life_hears_everything_bad_and_a_good_alarm_still_travels(tmp_path: Path) -> None:
    with running(tmp_path) as broker, Field(tmp_path, slaves=1) as field, publisher(broker.port) as client:
        life = Daemon(write(tmp_path, broker.port))
        life.wait_armed()
        until(lambda: links(tmp_path)["broker"]["up"] and links(tmp_path)["bus"]["up"], 15, "links up")
        check_payloads(tmp_path, client)
        check_giant_and_strangers(tmp_path, client)
        check_memory(life, tmp_path, client)
        check_adapter(tmp_path, field)
        told = len(field.texts())
        publish(client, "gas/1", b'{"ch4": 42}')
        until(lambda: any("42" in text for text in field.texts()[told:]), 10, "the good alarm at the phone")
        assert life.stop() == 0
        check_not_again(tmp_path, broker.port)


def check_payloads(folder: Path, client: paho.Client) -> None:
    """Every bad payload is counted or stored as BAD, and none is an alarm."""
    begun = time.time()
    for payload, _, _ in PAYLOADS:
        publish(client, "gas/1", payload)
    wanted = [reading for _, _, reading in PAYLOADS if reading is not None]
    until(lambda: len(stored(folder, "gas1.ch4")) >= len(wanted), 10, "every reading stored")
    assert stored(folder, "gas1.ch4") == wanted
    times = series(folder, "gas1.ch4").time / 1e9
    assert np.all((times > begun - 1) & (times < time.time() + 1)), "1970 and 2099 are not believed"
    counted = counters(folder)
    for what in {what for _, what, _ in PAYLOADS if what}:
        assert counted.get(what) == sum(what == named for _, named, _ in PAYLOADS), (what, counted)
    assert unix.ask(folder / "station.db.sock", {"do": "alarms"})["alarms"] == []


def check_giant_and_strangers(folder: Path, client: paho.Client) -> None:
    """10 MB are dropped while they arrive; a stranger under a known pattern is counted; other topics never come."""
    publish(client, "gas/1", GIANT)
    publish(client, "site/p9", b'{"v": 1}')
    publish(client, "nobody/asked", b'{"v": 1}')
    publish(client, "site/p1", b'{"v": 7}')
    until(lambda: stored(folder, "any.v") == [(7.0, "GOOD")], 15, "the message behind the giant")
    counted = counters(folder)
    assert counted["too_large"] == 1
    assert counted["unknown_device"] == 1


def check_memory(life: Daemon, folder: Path, client: paho.Client) -> None:
    """Thousands of bad messages leave nothing behind in RAM."""
    before = life.rss()
    for number in range(FLOOD):
        client.publish("gas/1", PAYLOADS[number % len(PAYLOADS)][0], qos=1)
        client.publish(f"site/stranger{number}", b"\x00" * 2000, qos=1)
    publish(client, "site/p1", b'{"v": 8}')
    until(lambda: stored(folder, "any.v")[-1] == (8.0, "GOOD"), 30, "the message behind the flood")
    grown = life.rss() - before
    assert grown < before // 5, f"RSS {before >> 20} MiB, grown by {grown / 2**20:.1f} MiB"


def check_adapter(folder: Path, field: Field) -> None:
    """The adapter is pulled while the bus is read: BAD at once, a fault alarm, and back by itself."""
    until(lambda: stored(folder, "room.humidity"), 5, "the bus is read")
    field.call(field.bus.unplug)
    until(lambda: stored(folder, "room.humidity")[-1][1] == "BAD:no_comms", 5, "the points turn BAD")
    until(lambda: any("bus" in text and "link down" in text for text in faults(folder)), 10, "a fault alarm")
    assert not links(folder)["bus"]["up"]
    assert "bus" in links(folder)["bus"]["reason"]
    field.call(field.bus.plug)
    until(lambda: stored(folder, "room.humidity")[-1][1] == "GOOD", 15, "the bus is read again")


def check_not_again(folder: Path, port: int) -> None:
    """Everything bad was acknowledged: the next life hears none of it again."""
    life = Daemon(folder / "station.toml")
    life.wait_armed()
    until(lambda: links(folder)["broker"]["up"], 15, "the broker")
    with publisher(port) as client:
        publish(client, "site/p1", b'{"v": 9}')
    until(lambda: stored(folder, "any.v")[-1] == (9.0, "GOOD"), 10, "the new life hears")
    again = {what: number for what, number in counters(folder).items() if what != "new_session"}
    assert again == {}, "something came again"
    assert life.stop() == 0


@pytest.mark.timeout(60)
def test_a_reading_that_makes_a_rule_kind_or_the_step_raise_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, take = Threshold.apply, Latest.take

    def raising(self: Threshold, pairs: Any, moment: Moment, delta: Delta) -> list[Change]:  # noqa: ANN401 - as apply
        if np.any(moment.value == 666.0):
            raise ZeroDivisionError("a reading no rule was made for")
        return judge(self, pairs, moment, delta)

    def failing(self: Latest, moment: Moment, delta: Delta) -> None:
        if np.any(moment.value == 667.0):
            raise ArithmeticError("a reading that no step survives")
        take(self, moment, delta)

    monkeypatch.setattr(Threshold, "apply", raising)
    monkeypatch.setattr(Latest, "take", failing)
    with running(tmp_path) as broker, Field(tmp_path, slaves=1) as field, publisher(broker.port) as client:
        config = write(tmp_path, broker.port)

        async def scene() -> House:
            up: asyncio.Future[House] = asyncio.get_running_loop().create_future()
            serving = asyncio.create_task(serve(config, ready=up.set_result))
            house = await up
            await asyncio.to_thread(play, house)
            serving.cancel()
            await serving
            return house

        def play(house: House) -> None:
            until(lambda: house.links["broker"].health.up, 15, "the broker")
            for payload in (b'{"v": 1}', b'{"v": 667}', b'{"v": 2}', b'{"v": 667}'):
                client.publish("site/p1", payload, qos=1)
            until(lambda: len(stored(tmp_path, "any.v")) == 4, 10, "the offender and those beside it are kept")
            publish(client, "gas/1", b'{"ch4": 666}')
            until(lambda: any("threshold" in text for text in field.texts()), 10, "a fault of the rule kind is told")
            publish(client, "gas/1", b'{"ch4": 43}')
            until(lambda: any("43" in text for text in field.texts()), 10, "the kind judges again")

        house = asyncio.run(scene())
        assert house.runner.refused == 2
        good = [(1.0, "GOOD"), (2.0, "GOOD")]
        assert [reading for reading in stored(tmp_path, "any.v") if reading[1] == "GOOD"] == good
        assert [quality for value, quality in stored(tmp_path, "any.v") if value == 667.0] == ["BAD:refused"] * 2
        assert sum("refused" in text for text in faults(tmp_path)) >= 1


@pytest.mark.parametrize(
    ("command", "old", "new", "said"),
    [
        ("check", 'steps = [{{ after = "0s"', 'stepz = [{{ after = "0s"', ["stepz", "steps", "station.toml:"]),
        ("run", 'driver = "mqtt"', 'driver = "mqttt"', ["mqttt", "mqtt", "station.toml:"]),
        ("check", 'id = "any"', 'id = "gas1"', ["gas1", "station.toml:"]),
        ("run", 'role = "squad"', 'role = "cook"', ["squad", "station.toml:"]),
        ("check", 'topic = "gas/1"', 'topic = "gas/#/1"', ["gas/#/1", "device[gas1]", "station.toml:35"]),
        ("run", "address = 1", "address = 300", ["300", "device[room]", "station.toml:"]),
    ],
)
def test_a_first_start_refuses_a_bad_configuration_and_says_where(
    tmp_path: Path, command: str, old: str, new: str, said: list[str]
) -> None:
    config = tmp_path / "station.toml"
    assert STATION.count(old) == 1
    config.write_text(STATION.replace(old, new).format(folder=tmp_path, port=1), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", command, "-c", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    words = ended.stdout + ended.stderr
    assert ended.returncode == 2, words
    for word in said:
        assert word in words, words
    assert "Traceback" not in words
    assert not (tmp_path / "station.db").exists()


def test_the_control_socket_answers_what_is_no_request(tmp_path: Path) -> None:
    """Whoever may open the socket cannot end the daemon by what he writes."""

    async def scene() -> None:
        async def answer(request: dict[str, Any], _user: str) -> dict[str, Any]:
            return {"got": request}

        async with unix.serve(tmp_path / "s", answer):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
            for line, said in ((b"\xff\xfe", "not JSON"), (b"[1]", "one JSON object"), (b"[" * 10_000, "not JSON")):
                writer.write(line + b"\n")
                assert said in json.loads(await reader.readline())["error"]
            writer.close()
            await writer.wait_closed()

    asyncio.run(scene())
