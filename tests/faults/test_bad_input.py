"""Bad input through a running daemon: each is told, counted or refused, and a real alarm still reaches a person.

One life of `firegrid run` with a real Mosquitto, a modem and a bus hears everything the issue names; then a good gas
alarm must travel to an SMS. What is wrong with a configuration file has its cases in `tests/gateway/test_config_*`,
what is wrong with a store in `tests/faults/test_store_*`.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import paho.mqtt.client as paho

from gateway.transport import unix
from tests.daemon import Daemon
from tests.faults.hearing_station import counters, faults, links, publish, publisher, series, stored, write
from tests.field import Field
from tests.patience import wait
from tests.real_mosquitto import running

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


def test_one_life_hears_everything_bad_and_a_good_alarm_still_travels(tmp_path: Path) -> None:
    with running(tmp_path) as broker, Field(tmp_path, slaves=1) as field, publisher(broker.port) as client:
        life = Daemon(write(tmp_path, broker.port))
        life.wait_armed()
        wait(lambda: links(tmp_path)["broker"]["up"] and links(tmp_path)["bus"]["up"], what="links up")
        check_payloads(tmp_path, client)
        check_giant_and_strangers(tmp_path, client)
        check_memory(life, tmp_path, client)
        check_adapter(tmp_path, field)
        told = len(field.texts())
        publish(client, "gas/1", b'{"ch4": 42}')
        wait(lambda: any("42" in text for text in field.texts()[told:]), what="the good alarm at the phone")
        assert life.stop() == 0
        check_not_again(tmp_path, broker.port)


def check_payloads(folder: Path, client: paho.Client) -> None:
    """Every bad payload is counted or stored as BAD, and none is an alarm."""
    begun = time.time()
    for payload, _, _ in PAYLOADS:
        publish(client, "gas/1", payload)
    wanted = [reading for _, _, reading in PAYLOADS if reading is not None]
    wait(lambda: len(stored(folder, "gas1.ch4")) >= len(wanted), what="every reading stored")
    assert stored(folder, "gas1.ch4") == wanted
    times = series(folder, "gas1.ch4").time / 1e9
    assert np.all((times > begun - 1) & (times < time.time() + 1)), "1970 and 2099 are not believed"
    counted = counters(folder)
    for what in {what for _, what, _ in PAYLOADS if what}:
        assert counted.get(what) == sum(what == named for _, named, _ in PAYLOADS), (what, counted)
    alarms = unix.ask(folder / "station.db.sock", {"do": "alarms"})["alarms"]
    assert [alarm for alarm in alarms if alarm["rule"]] == []


def check_giant_and_strangers(folder: Path, client: paho.Client) -> None:
    """10 MB are dropped while they arrive; a stranger under a known pattern is counted; other topics never come."""
    publish(client, "gas/1", GIANT)
    publish(client, "site/p9", b'{"v": 1}')
    publish(client, "nobody/asked", b'{"v": 1}')
    publish(client, "site/p1", b'{"v": 7}')
    wait(lambda: stored(folder, "any.v") == [(7.0, "GOOD")], what="the message behind the giant")
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
    wait(lambda: stored(folder, "any.v")[-1] == (8.0, "GOOD"), what="the message behind the flood")
    grown = life.rss() - before
    assert grown < before // 5, f"RSS {before >> 20} MiB, grown by {grown / 2**20:.1f} MiB"


def check_adapter(folder: Path, field: Field) -> None:
    """The adapter is pulled while the bus is read: BAD at once, a fault alarm, and back by itself."""
    wait(lambda: stored(folder, "room.humidity"), what="the bus is read")
    field.call(field.bus.unplug)
    wait(lambda: stored(folder, "room.humidity")[-1][1] == "BAD:no_comms", what="the points turn BAD")
    wait(lambda: any("bus" in text and "link down" in text for text in faults(folder)), what="a fault alarm")
    assert not links(folder)["bus"]["up"]
    assert "bus" in links(folder)["bus"]["reason"]
    field.call(field.bus.plug)
    wait(lambda: stored(folder, "room.humidity")[-1][1] == "GOOD", what="the bus is read again")


def check_not_again(folder: Path, port: int) -> None:
    """Everything bad was acknowledged: the next life hears none of it again."""
    life = Daemon(folder / "station.toml")
    life.wait_armed()
    wait(lambda: links(folder)["broker"]["up"], what="the broker")
    with publisher(port) as client:
        publish(client, "site/p1", b'{"v": 9}')
    wait(lambda: stored(folder, "any.v")[-1] == (9.0, "GOOD"), what="the new life hears")
    again = {what: number for what, number in counters(folder).items() if what != "new_session"}
    assert again == {}, "something came again"
    assert life.stop() == 0
